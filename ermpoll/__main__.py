"""``python -m ermpoll`` is the command ``ermpoll``."""

from ermpoll.cli import main

raise SystemExit(main())
