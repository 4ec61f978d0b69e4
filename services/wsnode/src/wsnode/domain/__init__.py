"""What a node decides, without I/O, clock or environment."""
