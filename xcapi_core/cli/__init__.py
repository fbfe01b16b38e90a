"""The `xcapi` command."""
