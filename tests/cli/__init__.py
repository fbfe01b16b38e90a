"""The `xcapi` command, as a process."""
