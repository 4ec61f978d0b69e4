"""What the node's two listeners answer."""
