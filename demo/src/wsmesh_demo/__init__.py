"""A whole wsmesh cluster on loopback: registry, nodes, HAProxy and a page, for people, scripts and tests."""
