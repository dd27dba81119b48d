"""Sandboxes in processes of their own."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any


@contextmanager
def serving(**options: Any) -> Iterator[tuple[subprocess.Popen[str], dict[str, Any]]]:
    """Start a sandbox process; yield it and the line that it prints."""
    process = subprocess.Popen(
        [sys.executable, "-m", "ermpoll.sandbox", json.dumps(options)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    with process:
        assert process.stdout is not None
        assert process.stderr is not None
        line = process.stdout.readline()
        assert line, process.stderr.read()
        try:
            yield process, json.loads(line)
        finally:
            process.kill()


def refused(**options: Any) -> tuple[int, str]:
    """Return the exit code and message of a sandbox that doesn't start."""
    done = subprocess.run(
        [sys.executable, "-m", "ermpoll.sandbox", json.dumps(options)],
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )
    return done.returncode, done.stderr
