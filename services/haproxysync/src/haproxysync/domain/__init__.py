"""Decisions without I/O: what the registry may say, what HAProxy should hold, and what to change."""
