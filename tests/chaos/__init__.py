"""Chaos with a referee: ``python -m tests.chaos --claims N --seed S``."""
