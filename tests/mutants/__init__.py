"""Mutation check: `python -m tests.mutants` (or `make mutants`) breaks the pure core a little and runs its tests."""
