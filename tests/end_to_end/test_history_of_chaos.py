"""What a storm leaves in the catalog is right, and what is planted there is not."""

from __future__ import annotations

import json
import random
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

import ermpoll
from ermpoll.history import Breach
from tests.end_to_end.chaos.storm import Setting, Storm
from tests.end_to_end.chaos.table import QUEUE, TABLE

ROOT = Path(__file__).parents[2]


@contextmanager
def served(folder: Path) -> Iterator[ermpoll.Queue]:
    """The queue of a storm that is over, on the catalog that it left."""
    place = [sys.executable, "-m", "tests.end_to_end.chaos.place", "0", "0"]
    with subprocess.Popen(
        [*place, str(folder / "catalog")], cwd=ROOT, stdout=subprocess.PIPE
    ) as process:
        try:
            assert process.stdout is not None
            url = json.loads(process.stdout.readline())["url"]
            catalog = ermpoll.connect(url, {"bearer-token": "owner"})
            yield ermpoll.Queue(catalog, TABLE, **QUEUE)
        finally:
            process.kill()


def plant(jobs: ermpoll.Queue) -> set[tuple[str, Breach]]:
    """Write what nobody should, a row for each breach; which rows and which."""

    def put(rid: str, **values: Any) -> None:
        path = f"attributegroup/{TABLE}/RID;{','.join(values)}"
        jobs.catalog.put(path, [{"RID": rid, **values}])

    new = [{"state": QUEUE["ready"], "attempts": 0, "number": -n} for n in range(1, 7)]
    made = jobs.catalog.post(f"entity/{TABLE}", new).rows
    orphan, miscounted, two, tokenless, freed, edited = (str(r["RID"]) for r in made)
    claimed = QUEUE["claimed"]
    put(orphan, state=claimed, owner=f"x~{'0' * 16}~0.000001", attempts=1)
    put(miscounted, state=claimed, owner=f"x~{'1' * 16}~600", attempts=2)
    claim = jobs.claim(4, rows=[two, tokenless, freed, edited])
    put(two, owner=f"x~{'2' * 16}~600")
    put(tokenless, state=QUEUE["done"], owner=None)
    put(freed, state=QUEUE["ready"], owner=None)
    put(edited, note="by hand")
    jobs.complete(claim, {edited: {"note": "by work"}}, on_edit="overwrite")
    return {
        (orphan, Breach.ORPHANED), (miscounted, Breach.ATTEMPTS),
        (two, Breach.TWO_HOLDERS), (tokenless, Breach.NO_TOKEN),
        (freed, Breach.NO_RIGHT), (edited, Breach.OVERWRITTEN),
    }  # fmt: skip


@pytest.mark.long
@pytest.mark.timeout(300)
def test_the_proof_finds_nothing_in_a_storm_and_all_that_is_planted(
    tmp_path: Path,
) -> None:
    seed = random.SystemRandom().getrandbits(32)
    report = Storm(Setting(claims=2000, seed=seed, longest_s=60), tmp_path).run()

    with served(tmp_path) as jobs:
        fine = jobs.prove("1 d", rate=None)
        windows = jobs.prove("1 d", windows=30, rate=None)
        planted = plant(jobs)
        wrong = jobs.prove("1 d", rate=None)

    assert fine, f"seed {seed}: {fine}"
    assert windows, f"seed {seed}: {windows}"
    # each claim that the record has, and no other
    claims = report.counts["claims"] + report.counts["claims without token"]
    assert fine.claims == claims
    assert windows.requests < fine.requests
    assert {(one.rid, one.breach) for one in wrong.findings} == planted
