"""A node of wsmesh: WebSocket clients, the publish API and the mesh."""
