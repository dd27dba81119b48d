"""``python -m ermpoll.sandbox`` serves a sandbox, with options as JSON."""

from __future__ import annotations

import json
import sys

from ermpoll.sandbox.process import serve

raise SystemExit(serve(**json.loads(sys.argv[1] if len(sys.argv) > 1 else "{}")))
