"""The course runs unattended, keeps its form, and leaks no login."""

from __future__ import annotations

import ast
import json
import re
import secrets
import threading
import time
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import TypeAlias

import nbformat
import pytest
from nbclient import NotebookClient

import ermpoll
from tests.helpers import loops

NOTEBOOKS = sorted((Path(__file__).parents[2] / "notebooks").glob("*.ipynb"))
LIMIT_S = 20
#: The notebook with its outputs, where it ran, and for how many seconds.
Executed: TypeAlias = tuple[nbformat.NotebookNode, Path, float]

each_notebook = pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)


def code(path: Path) -> list[nbformat.NotebookNode]:
    book = nbformat.read(path, as_version=4)
    return [cell for cell in book.cells if cell.cell_type == "code"]


def prose(path: Path) -> str:
    book = nbformat.read(path, as_version=4)
    return "\n".join(cell.source for cell in book.cells if cell.cell_type != "code")


def run(
    path: Path, folder: Path, parameters: str | None = None, tried: str = ""
) -> nbformat.NotebookNode:
    """Run a notebook on a fresh kernel, widget state stored, and return it.

    What is ``tried`` runs before its last cell, the clean-up.
    """
    book = nbformat.read(path, as_version=4)
    if tried:
        book.cells.insert(-1, nbformat.v4.new_code_cell(tried))
    for cell in book.cells:
        if parameters is not None and "parameters" in cell.metadata.get("tags", []):
            cell.source += f"\n{parameters}"
    client = NotebookClient(
        book,
        timeout=60,
        kernel_name="python3",
        store_widget_state=True,
        resources={"metadata": {"path": str(folder)}},
    )
    # execute() would leave an event loop open in each thread it is called on
    loops.run(client.async_execute())
    return book


def tree(cell: nbformat.NotebookNode) -> ast.Module:
    """The cell as Python, its magics left out."""
    magic, _, rest = cell.source.partition("\n")
    if magic.startswith("%%"):
        return ast.parse(rest if magic.endswith(".py") else "")
    return ast.parse(re.sub(r"(?m)^[!%].*$", "", cell.source))


def test_the_course_is_complete() -> None:
    assert [path.stem for path in NOTEBOOKS] == [
        "00_start",
        "01_claim_rows",
        "02_dry_run",
        "03_poll_and_notices",
        "04_operate",
        "05_real_catalog",
        "06_history",
        "07_rights",
    ]


@pytest.fixture(scope="module")
def secret() -> Iterator[str]:
    """A login for the host that the notebooks talk to."""
    made = secrets.token_hex(16)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("ERMPOLL_TOKEN", made)
        patch.setenv("ERMPOLL_HOST", "localhost")
        yield made


@pytest.fixture(scope="module")
def executed(
    secret: str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[dict[str, Future[Executed]]]:
    """All notebooks, run two at a time: they spend their time waiting."""
    with ThreadPoolExecutor(2) as pool:
        yield {
            path.stem: pool.submit(timed, path, tmp_path_factory.mktemp(path.stem))
            for path in NOTEBOOKS
        }


@each_notebook
@pytest.mark.timeout(180)
def test_notebook_runs_unattended_and_stores_no_login(
    path: Path, executed: dict[str, Future[Executed]], secret: str
) -> None:
    book, folder, took_s = executed[path.stem].result()

    assert took_s < LIMIT_S, f"{path.stem} took {took_s:.0f} s"
    assert secret not in nbformat.writes(book)
    assert not any(
        secret in file.read_text() for file in folder.rglob("*") if file.is_file()
    )
    assert complaints(book) == []


def test_what_lessons_write_stays_beside_their_copies(
    executed: dict[str, Future[Executed]],
) -> None:
    ran = {stem: future.result() for stem, future in executed.items()}

    service = ran["05_real_catalog"][1] / "service"

    assert {"measure.py", "measure.service"} <= {one.name for one in service.iterdir()}
    assert set(NOTEBOOKS[0].parent.iterdir()) == set(NOTEBOOKS)


def timed(path: Path, folder: Path) -> Executed:
    began = time.monotonic()
    book = run(path, folder)
    return book, folder, time.monotonic() - began


def complaints(book: nbformat.NotebookNode) -> list[str]:
    """What the cells wrote to stderr, but for the news that a broker is lost."""
    texts = [
        output.text
        for cell in book.cells
        for output in cell.get("outputs", [])
        if output.get("name") == "stderr"
    ]
    lines = "".join(texts).splitlines()
    return [line for line in lines if not line.startswith("no notices: lost:")]


#: What a student who knows it writes for the dots.
SOLUTIONS = {
    "00_start": {
        "hand_over": 'if row["Modality"] == "brightfield": '
        'return {"Processing_Status": "hold"}',
        "state_of_a_failed_image": '"error"',
    },
    "01_claim_rows": {"my_key": '"RID,RMT"', "won_twice": "0"},
    "02_dry_run": {
        "with_size": "return triage(row) and {"
        '"Processing_Status": "error", "Processing_Error": f"{row[\'Bytes\']} bytes"}',
        "writes_of_a_plan": "0",
    },
    "03_poll_and_notices": {"my_etag": "changed.etag", "at_most_s": "600"},
    "04_operate": {
        "careful": 'if not row["Bytes"]: raise ValueError("empty file")',
        "makes_ready": '"retry"',
    },
    "05_real_catalog": {"my_where": '"Priority=1"', "free_after_s": "600"},
    "06_history": {"as_it_was": "return today(row)", "overwritten": "edited"},
    "07_rights": {
        "writers": '[box.users["bob"], box.users["eve"]]',
        "first_call": '"whoami"',
    },
}


@pytest.mark.long
@pytest.mark.timeout(90)
@each_notebook
def test_the_right_answers_are_told_to_be_right(path: Path, tmp_path: Path) -> None:
    answers = SOLUTIONS[path.stem]
    book = nbformat.read(path, as_version=4)
    for name, answer in answers.items():
        dots = rf"(?m)^({name} = |def {name}\(row\):\s+)\.\.\."
        [cell] = [one for one in book.cells if re.search(dots, one.source)]
        cell.source = re.sub(dots, rf"\g<1>{answer}", cell.source)
    answered = tmp_path / path.name
    nbformat.write(book, answered)

    told = [grade for cell in run(answered, tmp_path).cells for grade in grades(cell)]

    assert told == ["Right"] * len(answers)


@each_notebook
def test_untouched_exercises_say_so(
    path: Path, executed: dict[str, Future[Executed]]
) -> None:
    book, _, _ = executed[path.stem].result()

    told = [grade for cell in book.cells for grade in grades(cell)]

    assert len(told) >= 2
    assert set(told) == {"Not tried yet"}
    assert len(re.findall("<summary>Hint", prose(path))) >= 2


def grades(cell: nbformat.NotebookNode) -> list[str]:
    """What a check in this cell said of the answer."""
    outputs = cell.get("outputs", []) if "teach.check(" in cell.source else []
    texts = [out.get("data", {}).get("text/plain", "") for out in outputs]
    return [text.partition(":")[0] for text in texts if text]


TRIED = """
for act in (
    lambda: measure.agent.run_once(),
    lambda: measure.jobs.claim(1),
    lambda: catalog.post("entity/Imaging:Image", [{}]),
):
    try:
        act()
    except ermpoll.WriteRefused:
        print("refused")
"""


@pytest.mark.timeout(60)
@pytest.mark.parametrize("dry", [True, False])
def test_while_it_is_a_dry_run_nothing_reaches_a_real_catalog(
    dry: bool, tmp_path: Path, box: ermpoll.sandbox.Box
) -> None:
    path = next(path for path in NOTEBOOKS if path.stem == "05_real_catalog")
    before = len(box.log)

    book = run(path, tmp_path, f"CATALOG = {box.url!r}\nDRY_RUN = {dry}", TRIED)

    said = "".join(out.get("text", "") for out in book.cells[-2].outputs)
    assert said.count("refused") == (3 if dry else 1)
    assert (len(box.log) == before) is dry


@pytest.mark.long
def test_failures_reach_the_webhook_that_is_given(tmp_path: Path) -> None:
    posted: list[str] = []

    class Chat(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            length = int(self.headers["Content-Length"])
            posted.append(json.loads(self.rfile.read(length))["text"])
            self.send_response(204)
            self.end_headers()

        def log_message(self, *_: object) -> None: ...

    with ThreadingHTTPServer(("127.0.0.1", 0), Chat) as chat:
        threading.Thread(target=chat.serve_forever).start()
        address = f"http://127.0.0.1:{chat.server_port}/hook"
        operate = next(path for path in NOTEBOOKS if path.stem == "04_operate")
        run(operate, tmp_path, f"WEBHOOK = {address!r}\nBAD = 3")
        chat.shutdown()

    assert len(posted) == 3
    assert all("file is cut off" in text for text in posted)


@pytest.mark.long
@pytest.mark.timeout(300)
def test_the_course_can_be_taken_twice_on_one_sandbox(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with ermpoll.sandbox.start(control=True) as shared:
        line = {"url": shared.url, "amqp": shared.amqp_url, "pid": 0}
        monkeypatch.setenv("ERMPOLL_SANDBOX", json.dumps(line))

        for path in NOTEBOOKS * 2:
            done = run(path, tmp_path)
            assert all(c.execution_count for c in done.cells if c.cell_type == "code")


@each_notebook
def test_notebook_has_one_cell_of_literal_parameters(path: Path) -> None:
    tagged = [c for c in code(path) if "parameters" in c.metadata.get("tags", [])]

    assert len(tagged) == 1
    assert tagged[0] is not None
    for statement in tree(tagged[0]).body:
        assert isinstance(statement, ast.AnnAssign), "a parameter says its type"
        assert statement.value is not None
        ast.literal_eval(statement.value)


@each_notebook
def test_notebook_has_the_parts_of_a_lesson(path: Path) -> None:
    text = prose(path)

    for part in ("**Goal.**", "**Time.**", "**One idea.**"):
        assert part in text
    for heading in ("Break it on purpose", "Check yourself", "Clean up"):
        assert re.search(rf"(?m)^## .*{heading}", text), heading
    assert any("assert " in cell.source for cell in code(path)[-3:])


@each_notebook
def test_notebook_is_short_and_needs_no_helpers(path: Path) -> None:
    book = nbformat.read(path, as_version=4)

    assert len(book.cells) <= 34
    for cell in code(path):
        for node in ast.walk(tree(cell)):
            if isinstance(node, ast.FunctionDef):
                lines = (node.end_lineno or 0) - node.lineno
                assert lines <= 5, f"{node.name} has {lines} lines in its body"


@each_notebook
def test_notebook_uses_public_names_only(path: Path) -> None:
    for cell in code(path):
        for node in ast.walk(tree(cell)):
            if isinstance(node, ast.Attribute):
                private = node.attr.startswith("_") and not node.attr.endswith("__")
                assert not private, f"{node.attr} is private"
            if isinstance(node, ast.ImportFrom) and node.module:
                assert not node.module.startswith("ermpoll."), node.module


@each_notebook
def test_only_the_last_notebook_knows_a_real_catalog(path: Path) -> None:
    uses = any("ERMPOLL_CATALOG" in cell.source for cell in code(path))

    assert uses == (path.stem == "05_real_catalog")
