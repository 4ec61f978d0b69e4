"""Keeps HAProxy's slots as the registry says. Standard library only: it runs on the balancers."""
