"""The edges: the registry over HTTP, HAProxy's socket and binary, files and the lock."""
