"""The sandbox bench runs to its end, a million rows included, and memory stays flat.

Its times are read in what it prints: a busy machine must not fail a test.
"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest


@pytest.mark.long
@pytest.mark.timeout(600)
def test_the_bench_runs_and_memory_stays_flat(tmp_path: Path) -> None:
    path = tmp_path / "figures.json"
    command = [sys.executable, "-m", "tests.bench.sandbox", "--json", str(path)]

    done = subprocess.run(command, capture_output=True, text=True, check=False)

    assert done.returncode == 0, done.stderr
    figures = json.loads(path.read_text())["figures"]
    [memory] = [figure for figure in figures if figure["unit"] == "MB"]
    assert memory["met"], memory
