"""The registry of wsmesh: nodes, apps and channel rules."""
