"""Chaos with a referee: ``python -m tests.end_to_end.chaos --claims N --seed S``."""
