"""The node's way to the outside: peers, registry, disk."""
