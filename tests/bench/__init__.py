"""Benches: ``python -m tests.bench.NAME [--quick]`` prints a table."""
