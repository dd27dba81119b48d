"""The agents of a storm: processes that come, freeze, are killed, and stop."""

from __future__ import annotations

import itertools
import math
import random
import signal
import subprocess
import sys
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from tests.end_to_end.chaos.ledger import wall_s
from tests.end_to_end.chaos.liveness import Life, Window
from tests.end_to_end.chaos.words import Said
from tests.end_to_end.chaos.worker import Kind, Role
from tests.helpers.conditions import let_pass

ROOT = Path(__file__).parents[3]
#: What they run on, one after the other.
KINDS = (Kind.THREADS, Kind.POOL, Kind.CLOCK, Kind.KERNEL)


def run(module: str, folder: Path, *arguments: str) -> subprocess.Popen[bytes]:
    """Run a module of this package, with its log in a folder."""
    whole = f"{__package__}.{module}"
    with (folder / f"{module}.log").open("ab") as log:
        return subprocess.Popen(
            [sys.executable, "-m", whole, *arguments],
            cwd=ROOT,
            stdout=subprocess.PIPE if module == "place" else log,
            stderr=subprocess.DEVNULL if module == "legacy" else log,
        )


@dataclass(slots=True, kw_only=True)
class Member:
    """One agent, living or gone."""

    role: Role
    process: subprocess.Popen[bytes]
    born: float
    ended: float = math.inf
    frozen: list[Window] = field(default_factory=list)


class Fleet:
    """All agents of one storm.

    Attributes
    ----------
    crashes
        Processes that ended as they should not.
    """

    def __init__(
        self,
        folder: Path,
        rng: random.Random,
        counts: Counter[str],
        *,
        lease_s: float,
        owner: bool,
        planted: Sequence[str] = (),
    ) -> None:
        self._folder, self._rng, self._counts = folder, rng, counts
        self._lease_s, self._owner = lease_s, owner
        self._planted = itertools.cycle(planted or [""])
        self._kinds = itertools.cycle(KINDS if not planted else KINDS[:2])
        self._members: list[Member] = []
        self.crashes: list[str] = []
        self.url = self.amqp = ""

    @property
    def names(self) -> list[str]:
        return [one.role.name for one in self._members]

    @property
    def planted(self) -> dict[str, str]:
        """The fault of each agent that has one."""
        roles = [one.role for one in self._members]
        return {role.name: role.planted for role in roles if role.planted}

    def spawn(self, instead_of: Member | None = None) -> None:
        """Let one more agent begin, on what another one ran on."""
        number = len(self._members) + 1
        role = Role(
            url=self.url,
            name=f"agent-{number}",
            folder=str(self._folder),
            lease_s=self._lease_s,
            kind=instead_of.role.kind if instead_of else next(self._kinds),
            amqp=self.amqp if number % 2 else "",
            owner=self._owner,
            planted=next(self._planted),
        )
        module = "kernel" if role.kind is Kind.KERNEL else "worker"
        process = run(module, self._folder, role.text)
        self._members.append(Member(role=role, process=process, born=wall_s()))

    def kill(self) -> None:
        """Kill one, and let another begin."""
        one = self._any()
        one.process.kill()
        one.process.wait()
        one.ended = wall_s()
        self._counts["agents killed"] += 1
        self.spawn(one)

    def freeze(self, seconds: float) -> None:
        """Let one get to nothing for a while."""
        one, since = self._any(), wall_s()
        one.process.send_signal(signal.SIGSTOP)
        let_pass(seconds)
        one.process.send_signal(signal.SIGCONT)
        one.frozen.append((since, wall_s()))

    def revive(self) -> None:
        """Replace those that ended by themselves."""
        for one in self._living():
            if one.process.poll() is not None:
                code = one.process.returncode
                self.crashes.append(f"{one.role.name} ended by itself with {code}")
                one.ended = wall_s()
                self.spawn(one)

    def wait_for_all(self) -> None:
        """Wait until all that live have begun; before, they hear no signal."""
        for one in self._living():
            while one.process.poll() is None and not any(one.role.words.read()):
                let_pass(0.05)

    def stop(self) -> None:
        """Let all stop, as they are asked to."""
        self.wait_for_all()
        asked = self._living()
        for one in asked:
            one.process.send_signal(signal.SIGTERM)
            one.ended = wall_s()
        for one in asked:
            self.crashes += crash_of(one.role.name, one.process)

    def end(self) -> None:
        """End all at once."""
        for one in self._members:
            one.process.kill()
            one.process.wait()

    def lives(self, said: Sequence[Said], away: Sequence[Window]) -> list[Life]:
        """Return when each was there, and when it could do nothing."""
        words = {one.name: one for one in said}
        return [
            Life(
                name=one.role.name,
                born=one.born,
                ended=one.ended,
                away=(*away, *one.frozen, *words[one.role.name].away),
                lost=words[one.role.name].lost,
                anew=[since for since, _ in words[one.role.name].away],
            )
            for one in self._members
        ]

    def _living(self) -> list[Member]:
        return [one for one in self._members if one.ended == math.inf]

    def _any(self) -> Member:
        """One that a signal reaches; a kernel has a process of its own."""
        living = self._living()
        return self._rng.choice([o for o in living if o.role.kind is not Kind.KERNEL])


def crash_of(name: str, process: subprocess.Popen[bytes]) -> list[str]:
    """Wait for the end of what was told to end; say what was wrong with it."""
    try:
        code = process.wait(25)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
        return [f"{name} did not end within 25 s of SIGTERM"]
    return [f"{name} ended with {code}"] if code else []
