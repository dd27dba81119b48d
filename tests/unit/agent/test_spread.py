"""The shares of a table, as filters: together they are all of it."""

from __future__ import annotations

import re
from urllib.parse import unquote

import pytest

from ermpoll.agent.sharing.spread import LAST_SYMBOLS, Spread, Spreading


def symbols(kind: Spread, place: tuple[int, int]) -> str:
    found = re.search(r"\[(.*)\]", unquote(Spreading(kind).filter(place)))
    return found[1] if found else LAST_SYMBOLS


@pytest.mark.parametrize("kind", [None, "random", (1, 3), (0, 16)])
@pytest.mark.parametrize("n", [1, 2, 4, 5, 16])
def test_those_of_one_machine_share_a_shard_among_them(kind, n):
    whole = symbols(kind, (0, 1))
    parts = [symbols(kind, (k, n)) for k in range(n)]

    assert set("".join(parts)) == set(whole)
    if n <= len(whole):
        assert sorted("".join(parts)) == sorted(whole)
