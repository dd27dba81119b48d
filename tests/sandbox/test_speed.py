"""The sandbox is not what is measured: speed, memory, a million rows."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest


@pytest.mark.long
@pytest.mark.timeout(600)
def test_every_figure_of_the_bench_meets_its_goal(tmp_path: Path) -> None:
    path = tmp_path / "figures.json"
    command = [sys.executable, "-m", "tests.bench.sandbox", "--json", str(path)]

    done = subprocess.run(command, capture_output=True, text=True, check=False)

    assert done.returncode == 0, done.stderr
    figures = json.loads(path.read_text())["figures"]
    assert [figure for figure in figures if figure["met"] is False] == []
