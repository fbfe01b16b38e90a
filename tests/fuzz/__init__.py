"""Fuzzing: `python -m tests.fuzz` (or `make fuzz`) gives mutated inputs to five entry points of the function."""
