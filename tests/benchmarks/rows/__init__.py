"""The rows of the table, one module each: `measure(run)` returns what it found."""
