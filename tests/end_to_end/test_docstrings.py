"""Every public name carries an example, and each example is so."""

from __future__ import annotations

import doctest
import inspect
import threading
from types import ModuleType

import pytest

import ermpoll
from ermpoll.queue.results import Claim, Outcome, Plan
from ermpoll.queue.table import Candidates
from ermpoll.sandbox import Box

#: Public classes that are met as what others return.
RETURNED = (Box, Candidates, Claim, Outcome, Plan)
#: Those whose every method is in an example.
ACTING = (Box, Plan, ermpoll.Agent, ermpoll.Catalog, ermpoll.Poller, ermpoll.Queue)
NAMES = {name: getattr(ermpoll, name) for name in ermpoll.__all__}
SHOWN = {**NAMES, **{one.__name__: one for one in RETURNED}}
OPTIONS = doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE

parser = doctest.DocTestParser()


def examples(shown: object) -> str:
    """The code of a docstring's examples."""
    parts = parser.get_examples(inspect.getdoc(shown) or "")
    return "".join(part.source + part.want for part in parts)


def places(name: str) -> list[object]:
    """Where the examples of a public name stand."""
    shown = SHOWN[name]
    if isinstance(shown, type) and issubclass(shown, ermpoll.ErmpollError):
        return [ermpoll.errors]
    if isinstance(shown, ModuleType) and not examples(shown):
        inside = [getattr(shown, one) for one in shown.__all__]
        return [one for one in inside if inspect.isfunction(one)]
    return [shown]


@pytest.mark.parametrize("name", SHOWN)
def test_public_name_has_an_example(name: str) -> None:
    told = [examples(place) for place in places(name)]

    assert told
    assert all(told)
    assert name in "".join(told) or not name.endswith(("Error", "Failed", "Refused"))


@pytest.mark.parametrize("acting", ACTING, ids=lambda one: one.__name__)
def test_every_method_is_in_an_example(acting: type) -> None:
    told = examples(acting)
    offered = offered_by(acting)

    missing = [name for name in offered if f".{name}" not in told]

    assert [name for name in missing if not examples(getattr(acting, name))] == []


def offered_by(acting: type) -> list[str]:
    """The methods and properties of a class that its objects offer."""
    blank = object.__new__(acting)
    public = [name for name in dir(blank) if not name.startswith("_")]
    return [name for name in public if hasattr(acting, name)]


RUN = {name: one for name, one in SHOWN.items() if examples(one)}
RUN |= {"teach.race": ermpoll.teach.race, "teach.check": ermpoll.teach.check}
RUN |= {"sandbox.start": ermpoll.sandbox.start}


@pytest.mark.parametrize("name", RUN)
def test_example_is_so(name: str, box: Box) -> None:
    jobs = box.lesson("Example", 12)
    space = {"ermpoll": ermpoll, "box": box, "jobs": jobs, "threading": threading}
    space["catalog"] = box.catalog()
    doc = inspect.getdoc(RUN[name]) or ""
    example = parser.get_doctest(doc, space, name, None, None)
    said: list[str] = []

    runner = doctest.DocTestRunner(optionflags=OPTIONS)
    runner.run(example, out=said.append, clear_globs=False)

    end_what_was_started(example.globs, box)
    assert not said, "".join(said)


def end_what_was_started(space: dict[str, object], box: Box) -> None:
    """End what an example that failed has left."""
    for one in space.values():
        if one is not box and not isinstance(one, ModuleType):
            for end in ("close", "stop"):
                getattr(one, end, bool)()
