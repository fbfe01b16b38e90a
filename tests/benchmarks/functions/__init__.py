"""Functions that the benchmarks run under the Functions Framework; each file is one `--source`."""
