"""How far one act travels through the package: ``python -m tests.bench.hops``.

A profile of calls, the sandbox's own apart. One after the other, the files of the
functions that are called: how often does the file change from one call to the next, how
often the package, and how many of each were seen?
"""

from __future__ import annotations

import itertools
import sys
import threading
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from types import FrameType

import ermpoll
from ermpoll.sandbox import demo

_ROOT = Path(ermpoll.__file__).parent
#: What bounds one look of an agent.
_LOOK = "Cycle.look"


@dataclass(frozen=True, slots=True)
class Way:
    """The files of the functions that were called, in order, below the package."""

    files: tuple[Path, ...]

    @property
    def packages(self) -> tuple[Path, ...]:
        return tuple(file.parent for file in self.files)

    def __str__(self) -> str:
        files, packages = self.files, self.packages
        return (
            f"{len(files):>6} {_changes(files):>13} {len(set(files)):>6}"
            f" {_changes(packages):>16} {len(set(packages)):>9}"
        )


def _changes(places: tuple[Path, ...]) -> int:
    return sum(here != before for before, here in itertools.pairwise(places))


def calls_of(act: Callable[[], object]) -> Way:
    """Profile one act on this thread."""
    files: list[Path] = []

    def note(frame: FrameType, event: str, _: object) -> None:
        if event == "call" and (file := _ours(frame)):
            files.append(file)

    sys.setprofile(note)
    try:
        act()
    finally:
        sys.setprofile(None)
    return Way(tuple(files))


def look_of(agent: ermpoll.Agent) -> Way:
    """Run an agent until idle; profile its look that finished and claimed a row.

    Only the thread that looks is followed: what works in another is the user's.
    """
    files: list[Path] = []
    looks: list[tuple[Way, tuple[int, int]]] = []
    before, looking = (0, 0), 0

    def note(frame: FrameType, event: str, _: object) -> None:
        nonlocal before, looking
        if event not in ("call", "return") or not (file := _ours(frame)):
            return
        if frame.f_code.co_qualname == _LOOK:
            looking = threading.get_ident()
        if threading.get_ident() != looking:
            return
        bounds = frame.f_code.co_qualname == _LOOK
        if event == "call":
            if bounds:
                files.clear()
                before = _counted(agent)
            files.append(file)
        elif bounds:
            now = _counted(agent)
            looks.append((Way(tuple(files)), (now[0] - before[0], now[1] - before[1])))

    threading.setprofile(note)
    try:
        agent.run(until_idle=True)
    finally:
        threading.setprofile(None)
    return next(way for way, counted in looks if counted == (1, 1))


def _counted(agent: ermpoll.Agent) -> tuple[int, int]:
    status = agent.status
    return status.claimed, status.completed


def _ours(frame: FrameType) -> Path | None:
    path = Path(frame.f_code.co_filename)
    if not path.is_relative_to(_ROOT):
        return None
    file = path.relative_to(_ROOT)
    return None if file.parts[0] == "sandbox" else file


def main() -> None:
    print(f"{'':20} calls  file changes  files  package changes  packages")
    with ermpoll.sandbox.start() as box:
        jobs = box.jobs()
        print(f"{'jobs.claim(1)':20}{calls_of(lambda: jobs.claim(1))}")
        rids = [row["RID"] for row in jobs.candidates(limit=3)]
        where = ";".join(f"RID={rid}" for rid in rids)
        jobs = ermpoll.Queue(box.catalog(), demo.TABLE, where=where, **demo.QUEUE)
        agent = ermpoll.Agent(jobs, lambda row: None, prefetch=0, poll_s=1)
        # a panel listens, mostly
        agent.subscribe(lambda event: None)
        print(f"{'one look':20}{look_of(agent)}")


if __name__ == "__main__":
    main()
