"""The `wsmesh` command line (docs/cli.md)."""
