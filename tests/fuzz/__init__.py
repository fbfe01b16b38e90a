"""Fuzzing: `python -m tests.fuzz` (or `make fuzz`) throws mutated inputs at five doors of the function."""
