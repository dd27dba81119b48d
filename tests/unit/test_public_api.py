"""The public names and signatures; changing one is a decision, not an accident."""

from __future__ import annotations

import inspect
import subprocess
import sys

import pytest

import ermpoll

NAMES = [
    "Agent",
    "Backtest",
    "Catalog",
    "CatalogError",
    "Comparison",
    "ErmpollError",
    "History",
    "NoticeError",
    "Poller",
    "PreconditionFailed",
    "Proof",
    "Queue",
    "Shadow",
    "Timeline",
    "TransformError",
    "UsageError",
    "WriteRefused",
    "acts",
    "agents",
    "blocking_poll",
    "compare",
    "compat",
    "connect",
    "console",
    "current_job",
    "dry_run",
    "errors",
    "monitor",
    "preview",
    "sandbox",
    "shadow",
    "state_change_once",
    "teach",
    "watch",
]

#: The parameters promised; a function may have more, behind these or by keyword.
SIGNATURES = {
    "connect": "url=None, credentials=None, *, read_only=False, timeout_s=30, ca=None",
    "Catalog.get": "self, path, *, etag=None",
    "Catalog.put": "self, path, rows, *, guard=None",
    "Catalog.post": "self, path, rows",
    "Catalog.delete": "self, path",
    "Queue": (
        "catalog, table, state='state', ready='actionable', claimed='claimed',"
        " done='complete', failed='failed', where='', order='RID', path=None,"
        " columns=None, owner=None, error=None, attempts=None, retry_at=None,"
        " lease_s=600, max_attempts=3, words=()"
    ),
    "Queue.candidates": "self, limit=50",
    "Queue.counts": "self",
    "Queue.held": "self",
    "Queue.failures": "self, limit=50",
    "Queue.stale": "self, older_than_s=None",
    "Queue.plan": "self, transform=None, limit=50, rows=None",
    "Queue.claim": "self, limit=1, *, rows=None, transform=None, token=None",
    "Queue.at": "self, when",
    "Queue.history": "self, rid",
    "Queue.timeline": "self, since, until=None",
    "Queue.prove": "self, since, until=None",
    "Queue.complete": "self, claim, changes=None, *, on_edit='keep'",
    "Queue.fail": "self, claim, errors",
    "Queue.release": "self, claim",
    "Queue.renew": "self, claim",
    "Queue.refused": "self",
    "Queue.retry": "self, rows",
    "Queue.rescue": "self, rows, force=False",
    "Queue.why": "self, rid",
    "Agent": (
        "jobs, work, *, transform=None, workers=1, prefetch=None, notices=None,"
        " poll_s=600, coalesce_s=0.1, executor=None, name=None"
    ),
    "Agent.dry_run": "self, limit=5, work=False",
    "Agent.start": "self",
    "Agent.stop": "self, timeout_s=30",
    "Agent.run_once": "self, rows=None",
    "Agent.run": "self, until_idle=False, *, wait_s=None, wait_for='mine'",
    "Agent.pause": "self",
    "Agent.resume": "self",
    "Agent.subscribe": "self, listener",
    "Agent.panel": "self",
    "acts": "",
    "agents": "",
    "Poller": "look, *, notices=None, poll_s=600, coalesce_s=0.1",
    "state_change_once": "catalog, query, update, transform, idle_etag=None",
    "blocking_poll": (
        "look, *, notices=None, polling_seconds=600, coalesce_seconds=0.1, stop=None"
    ),
    "compat.PollingErmrestCatalog": (
        "scheme, server, catalog_id, credentials=None, caching=True,"
        " session_config=None, amqp_server=None"
    ),
    "preview": "jobs",
    "dry_run": "jobs, transform",
    "watch": "jobs, notices=None",
    "monitor": "agent_or_poller",
    "console": "x, work=None",
    "sandbox.start": "",
    "teach.check": "answer, *rules, right=''",
    "teach.race": "a, b",
}

#: Parameters whose names are ours to choose.
FREE_NAMES = {"errors", "agent_or_poller", "x"}


def find(dotted: str) -> object:
    thing: object = ermpoll
    for part in dotted.split("."):
        thing = getattr(thing, part)
    return thing


def promised(text: str) -> inspect.Signature:
    space: dict[str, object] = {}
    exec(f"def promise({text}): ...", space)
    return inspect.signature(space["promise"])  # type: ignore[arg-type]


def test_the_public_names_are_these() -> None:
    assert sorted(ermpoll.__all__) == NAMES
    assert set(NAMES) <= set(dir(ermpoll))


@pytest.mark.parametrize("name", NAMES)
def test_each_public_name_resolves_and_is_documented(name: str) -> None:
    assert (inspect.getdoc(getattr(ermpoll, name)) or "").strip()


def test_an_unknown_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="no attribute 'poling'"):
        _ = ermpoll.poling


@pytest.mark.parametrize("dotted", SIGNATURES)
def test_signature_is_the_promised_one(dotted: str) -> None:
    actual = inspect.signature(find(dotted)).parameters  # type: ignore[arg-type]
    wanted = promised(SIGNATURES[dotted]).parameters

    for place, (name, parameter) in enumerate(wanted.items()):
        found = actual.get(name)
        if name in FREE_NAMES:
            found = list(actual.values())[place]
        assert found is not None, f"{dotted} lacks {name}"
        if parameter.default is not parameter.empty:
            assert found.default == parameter.default, f"{dotted}: default of {name}"
        if parameter.kind is parameter.POSITIONAL_OR_KEYWORD:
            assert list(actual.values())[place] is found, f"{dotted}: place of {name}"
    for name, parameter in actual.items():
        optional = parameter.default is not parameter.empty or parameter.kind in (
            parameter.VAR_KEYWORD,
            parameter.VAR_POSITIONAL,
        )
        assert optional or name in wanted or FREE_NAMES & set(wanted), (
            f"{dotted} asks for {name}, which nobody promised"
        )


def test_importing_loads_neither_pika_pandas_nor_ipywidgets() -> None:
    heavy = {"pika", "pandas", "ipywidgets", "requests", "tornado"}
    code = f"import sys, ermpoll; print(*({heavy} & set(sys.modules)))"

    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)

    assert (done.returncode, done.stdout.strip()) == (0, ""), done.stderr


def test_what_the_sandbox_needs_is_said_where_it_is_missing():
    code = (
        "import sys; sys.modules['regex'] = None\n"
        "import ermpoll\n"
        "try: ermpoll.sandbox.start()\n"
        "except ImportError as error: print(error)"
    )

    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    )

    assert "needs regex, not installed here. Install with: pip install" in done.stdout
