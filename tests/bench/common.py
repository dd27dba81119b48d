"""What the benches share: a server of its own, a table to print, JSON to keep."""

from __future__ import annotations

import argparse
import json
import os
import platform
import signal
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import asdict, dataclass, field
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from ermpoll.sandbox.box import Box, of_line
from tests.helpers.sandbox_client import Client

_PACKAGES = ("ermpoll", "deriva", "requests", "pandas", "pika", "tornado")


@dataclass(frozen=True, slots=True, kw_only=True)
class Figure:
    """One measurement: a line of the table."""

    what: str
    unit: str
    ours: float
    #: deriva-py doing the same on the same server, or None where it can't.
    theirs: float | None = None
    #: The number to reach, or None.
    goal: float | None = None
    #: True where the goal is a least, not a most.
    at_least: bool = False

    @property
    def met(self) -> bool | None:
        """Whether the goal is reached; None without one."""
        if self.goal is None:
            return None
        return self.ours >= self.goal if self.at_least else self.ours <= self.goal


@dataclass(slots=True)
class Report:
    """The figures of one bench, printed as they come and written at the end."""

    name: str
    quick: bool
    figures: list[Figure] = field(default_factory=list)
    began: float = field(default_factory=time.monotonic)

    def __post_init__(self) -> None:
        print(f"{self.name}{' (quick)' if self.quick else ''}: {_told(machine())}\n")
        print(_line("what", "unit", "ermpoll", "deriva-py", "goal", ""))

    def add(self, what: str, unit: str, ours: float, **more: Any) -> Figure:
        """Note a figure and print its line."""
        figure = Figure(what=what, unit=unit, ours=ours, **more)
        self.figures.append(figure)
        word = {None: "", True: "met", False: "MISSED"}[figure.met]
        sign = ">=" if figure.at_least else "<="
        goal = "" if figure.goal is None else f"{sign} {_number(figure.goal)}"
        ours, theirs = _number(figure.ours), _number(figure.theirs)
        print(_line(figure.what, figure.unit, ours, theirs, goal, word), flush=True)
        return figure

    def write(self, path: Path) -> None:
        """Write all figures, with the machine they were taken on, as JSON."""
        took_s = time.monotonic() - self.began
        document = {
            "bench": self.name,
            "quick": self.quick,
            "at": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
            "took_s": round(took_s, 1),
            "machine": machine(),
            "figures": [{**asdict(f), "met": f.met} for f in self.figures],
        }
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(document, indent=2) + "\n")
        print(f"\n{took_s:.1f} s; written to {path}")


@dataclass(frozen=True, slots=True)
class Spread:
    """What repeated runs took."""

    runs: tuple[float, ...]

    @property
    def median(self) -> float:
        return statistics.median(self.runs)

    def percentile(self, share: float) -> float:
        """Return the run that `share` (0 to 1) of the runs don't exceed."""
        ranked = sorted(self.runs)
        return ranked[min(int(share * len(ranked)), len(ranked) - 1)]


def timed(call: Callable[[], object], times: int = 1) -> Spread:
    """Call so often, one after the other; what each took, in seconds."""
    runs = []
    for _ in range(times):
        began = time.perf_counter()
        call()
        runs.append(time.perf_counter() - began)
    return Spread(tuple(runs))


def arguments(name: str) -> argparse.Namespace:
    """Read a bench's command line: ``quick`` and ``json``."""
    parser = argparse.ArgumentParser(prog=f"python -m tests.bench.{name}")
    parser.add_argument("--quick", action="store_true", help="less of it, in < 30 s")
    parser.add_argument(
        "--json",
        type=Path,
        default=Path(f"build/bench-{name}.json"),
        metavar="PATH",
        help="where the figures go (default: %(default)s)",
    )
    return parser.parse_args()


@contextmanager
def server(*options: str) -> Iterator[Box]:
    """A sandbox in a process of its own; ``--price`` makes it as slow as a real one."""
    process = subprocess.Popen(
        [sys.executable, "-m", "ermpoll", "sandbox", "--control", *options],
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        assert process.stdout is not None
        yield of_line(process.stdout.readline())
    finally:
        process.send_signal(signal.SIGTERM)
        process.communicate(timeout=20)


def job_table(
    box: Box,
    columns: Mapping[str, str],
    rows: list[dict[str, Any]],
    *,
    at_once: int = 2_000,
) -> tuple[str, str]:
    """Make a catalog with a table ``Ops:Job`` of these rows; its address and label."""
    url = box.new_catalog()
    with client(url) as door:
        door.table("Job", columns)
        for first in range(0, len(rows), at_once):
            door.post("/entity/Ops:Job", rows[first : first + at_once])
    return url, "Ops:Job"


@contextmanager
def client(url: str) -> Iterator[Client]:
    """A bare client of a catalog, to prepare and to check."""
    door = Client(url)
    with closing(door.connection):
        yield door


def deriva_catalog(url: str, **options: Any) -> Any:
    """deriva-py's own PollingErmrestCatalog on a catalog's address."""
    from deriva.core.polling_ermrest_catalog import PollingErmrestCatalog

    parts = urlsplit(url)
    number = parts.path.rpartition("/")[2]
    return PollingErmrestCatalog(parts.scheme, parts.netloc, number, **options)


def machine() -> dict[str, object]:
    """What the figures were taken on."""
    return {
        "cpu": _cpu(),
        "cores": os.cpu_count(),
        "load": round(os.getloadavg()[0], 1) if hasattr(os, "getloadavg") else None,
        "system": f"{platform.system()} {platform.machine()}",
        "python": platform.python_version(),
        **{name: _version(name) for name in _PACKAGES},
    }


def _cpu() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor()
    named = (line.partition(":")[2] for line in lines if line.startswith("model name"))
    return next(named, platform.processor()).strip()


def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None


def _told(facts: Mapping[str, object]) -> str:
    return ", ".join(f"{name} {value}" for name, value in facts.items() if value)


def _number(value: float | None) -> str:
    if value is None:
        return "-"
    digits = 0 if abs(value) >= 100 else 1 if abs(value) >= 10 else 3
    return f"{value:,.{digits}f}"


def _line(what: str, unit: str, *cells: str) -> str:
    ours, theirs, goal, word = cells
    return f"{what:<42.42} {unit:<8} {ours:>10} {theirs:>10} {goal:>10}  {word}"
