"""Only a row's own fault may be written into the row."""

from __future__ import annotations

import ast
import inspect
from concurrent.futures import CancelledError
from concurrent.futures.process import BrokenProcessPool
from concurrent.futures.thread import BrokenThreadPool

import pytest

from ermpoll import errors
from ermpoll.catalog.transport import error_of
from ermpoll.errors import ErmpollError, Fault, Unavailable, UsageError, fault_of


def answer(status: int, words: str = "") -> ErmpollError:
    return error_of("PUT", status, "http://localhost/x", words)


@pytest.mark.parametrize(
    ("error", "fault"),
    [
        (answer(400, "invalid input syntax"), Fault.ROW),
        (answer(409, "violates foreign key"), Fault.ROW),
        (answer(401), Fault.LOGIN),
        (answer(403), Fault.LOGIN),
        (answer(412), Fault.BUSY),
        (answer(503, "Transaction aborted."), Fault.BUSY),
        (answer(400, "Query run time limit exceeded."), Fault.BUSY),
        (answer(404), Fault.CATALOG),
        (answer(302), Fault.CATALOG),
        (answer(429), Fault.CATALOG),
        (answer(500), Fault.CATALOG),
        (answer(503), Fault.CATALOG),
        (Unavailable("no answer within 30 s"), Fault.NETWORK),
        (BrokenProcessPool("a worker died"), Fault.EXECUTOR),
        (BrokenThreadPool("its initializer failed"), Fault.EXECUTOR),
        (CancelledError(), Fault.EXECUTOR),
        (errors.ExecutorError(), Fault.EXECUTOR),
        (errors.NoticeError(), Fault.BROKER),
        (errors.Unreadable(), Fault.ROW),
        (errors.TransformError(), Fault.ROW),
        (errors.WriteRefused(), Fault.CALLER),
        (errors.UsageError(), Fault.CALLER),
        (errors.ReadingStopped(), Fault.CALLER),
        (ValueError("bad image"), Fault.ROW),
        (ConnectionError("another service"), Fault.ROW),
        (MemoryError(), Fault.ROW),
        (KeyboardInterrupt(), Fault.CALLER),
        (SystemExit(1), Fault.CALLER),
    ],
)
def test_an_error_has_its_cause_in_one_place(error, fault):
    assert fault_of(error) is fault


def test_every_error_of_ours_has_such_a_place_by_its_own_kind():
    tree = ast.parse(inspect.getsource(errors))
    kinds = [
        getattr(errors, node.name)
        for node in tree.body
        if isinstance(node, ast.ClassDef) and node.name not in ("ErmpollError", "Fault")
    ]

    assert {kind for kind in kinds if fault_of(kind()) is Fault.ROW} == {
        errors.BadRequest, errors.Conflict, errors.Unreadable, errors.TransformError,
    }  # fmt: skip


def shown(error: Exception) -> list[str]:
    assert isinstance(error, ErmpollError)
    return error._render_traceback_()


def test_a_notebook_shows_the_sentence_first_and_all_of_it_when_asked():
    def deep() -> None:
        raise UsageError("expected a, found b; give c")

    with pytest.raises(UsageError) as raised:
        deep()

    first, hint = shown(raised.value)
    assert first == "UsageError: expected a, found b; give c"
    assert "%tb" in hint
    assert "in deep" in "".join(shown(raised.value))


def test_a_notebook_s_shell_shows_it_so(capsys):
    shell = pytest.importorskip("IPython.core.interactiveshell").InteractiveShell()
    shell.run_cell("import ermpoll\nermpoll.connect('nowhere', {'cookie': 'x' * 9})")
    told = capsys.readouterr().out
    shell.run_line_magic("tb", "")
    whole = capsys.readouterr().out

    assert told.startswith("UsageError: expected an address like")
    assert len(told.strip().splitlines()) == 2
    assert "client.py" in whole


def test_what_a_notebook_shows_moves_no_cursor():
    first, _ = shown(UsageError("expected ä, found\n\x1b[2J\u202eb"))

    assert first == "UsageError: expected ä, found\n\\x1b[2J\\u202eb"
