from __future__ import annotations

import pytest

import ermpoll
from ermpoll.errors import UsageError
from tests.helpers.tables import add, make_table, queue

NEW = {"state": "actionable"}


@pytest.mark.parametrize(
    ("table", "message"),
    [
        ("Ops:Jb", "table of schema 'Ops', found 'Jb'; did you mean 'Job'"),
        ("Opps:Job", "schema of the catalog, found 'Opps'; did you mean 'Ops'"),
        ("Jobb", "did you mean 'Ops:Job'"),
    ],
)
def test_an_unknown_table_is_named_with_the_closest(catalog, table, message):
    with pytest.raises(UsageError, match=message):
        ermpoll.Queue(catalog, table)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"state": "stat"}, "did you mean 'state'"),
        ({"owner": "nosuch"}, "owner: expected a column"),
        ({"state": "priority"}, "state: expected a column of type text"),
        ({"owner": "tags"}, "owner: expected a column of type text"),
        ({"attempts": "name"}, "attempts: expected a column of type an integer"),
        ({"columns": ["nosuch"]}, "columns: expected a column"),
        ({"order": "nosuch"}, "order: expected a column"),
        ({"order": "priority,,name"}, "expected an order"),
        ({"claimed": "actionable"}, "not a ready one"),
        ({"done": "claimed"}, "different words"),
        ({"ready": []}, "at least one ready word"),
        ({"ready": ["actionable", "complete"]}, "not a ready one"),
        ({"failed": "c{error}"}, "which also means 'claimed'"),
        ({"owner": "state"}, "different columns"),
        ({"lease_s": 0.1}, "lease_s"),
        ({"lease_s": float("inf")}, "lease_s"),
        ({"lease_s": float("nan")}, "lease_s"),
        ({"max_attempts": 0}, "max_attempts"),
        ({"max_attempts": 2**31}, "max_attempts: expected 1 to 2147483647"),
        ({"where": "priority::gt::3?limit=1"}, "without '@'"),
        ({"where": "nosuch=1"}, "it says: .*nosuch"),
        ({"where": "priority==1"}, "a filter the catalog understands"),
        ({"where": "hold=true", "path": "Ops:Job"}, "where or path, found both"),
        ({"path": "Ops:Nosuch"}, "a filter the catalog understands"),
    ],
)
def test_what_cant_be_is_refused_when_the_queue_is_made(catalog, options, message):
    before = catalog.writes

    with pytest.raises(UsageError, match=message):
        queue(catalog, **options)

    assert catalog.writes == before


@pytest.mark.parametrize(
    ("act", "message"),
    [
        (lambda c, r: ermpoll.Queue("http://x", "Ops:Job"), "ermpoll.connect"),
        (lambda c, r: ermpoll.Queue(c, ("Ops", "Job")), "did you mean 'Ops:Job'"),
        (lambda c, r: queue(c, order=("a", "RCT")), "did you mean 'a,RCT'"),
        (lambda c, r: queue(c, where="name == 'K1'"), "column=value"),
        (lambda c, r: queue(c, where="nam=K1"), "did you mean 'name'"),
        (lambda c, r: queue(c, columns="name"), r"did you mean \['name'\]"),
        (lambda c, r: queue(c).candidates("5"), "a number of rows, found '5'"),
        (lambda c, r: queue(c).claim(True), "a number of rows, found True"),
        (lambda c, r: queue(c).complete([r]), "what claim.. returned, found list"),
        (lambda c, r: queue(c).fail(r, {r: "e"}), "what claim.. returned, found str"),
        (lambda c, r: queue(c).release([r]), "what claim.. returned"),
        (lambda c, r: queue(c).fail(queue(c).claim(), "e"), "RID: error}, found str"),
        (lambda c, r: queue(c).complete(queue(c).claim(), [1]), "RID: changes}, fou"),
        (lambda c, r: ermpoll.Agent(c, print), "expected an ermpoll.Queue, found Cata"),
        (lambda c, r: ermpoll.console(c, print), "expected an ermpoll.Queue, found"),
        (lambda c, r: ermpoll.Agent(queue(c), print, workers="3"), "number, found '3'"),
        (lambda c, r: ermpoll.dry_run(queue(c), limit="all"), "of rows, found 'all'"),
        (lambda c, r: ermpoll.Agent(queue(c), print).dry_run("all"), "found 'all'"),
        (lambda c, r: queue(c).renew([r]), "what claim.. returned"),
        (lambda c, r: queue(c).retry([r.lower()]), "did you mean"),
        (lambda c, r: queue(c).claim(rows=f" {r} "), "did you mean"),
        (lambda c, r: queue(c).why(f"https://x/#1/Ops:Job/RID={r}"), "did you mean"),
        (
            lambda c, r: queue(c).plan(lambda row: {}, rows=["ZZZZ"]),
            "rows of Ops:Job, found ZZZZ",
        ),
        (
            lambda c, r: queue(c).retry(queue(c).candidates().frame.iloc[:, [0, 0]]),
            "one RID column",
        ),
    ],
)
def test_what_cant_be_meant_is_said_with_what_was(catalog, act, message):
    # a RID that has a letter in it
    rids = add(catalog, *[NEW] * 9)

    with pytest.raises(UsageError, match=message):
        act(catalog, next(rid for rid in rids if rid.lower() != rid))


def test_rows_that_are_no_candidates_are_named_by_a_claim(catalog):
    [rid] = add(catalog, {"state": "complete"})

    outcome = queue(catalog).claim(rows=[rid, "ZZZZ"]).outcome

    assert outcome.reasons == {
        rid: "is no candidate: state is 'complete'", "ZZZZ": "is not there",
    }  # fmt: skip


def test_a_state_column_that_nobody_named_is_asked_for(box):
    with pytest.raises(
        UsageError, match=r"state: .* type text are 'Processing_Status'"
    ):
        ermpoll.Queue(box.catalog(), "Imaging:Image")


def test_a_column_that_a_transform_misspells_is_named(catalog):
    add(catalog, NEW)

    [problem] = queue(catalog).plan(lambda row: {"name": row["Priority"]}).problems

    assert "did you mean the column 'priority'" in problem.reason


def test_a_failed_word_with_a_reason_is_refused_where_words_are_a_vocabulary(catalog):
    make_table(catalog, {"word": "text"}, name="Word", keys=[["word"]])
    reference = {
        "foreign_key_columns": [
            {"schema_name": "Ops", "table_name": "Led", "column_name": "state"}
        ],
        "referenced_columns": [
            {"schema_name": "Ops", "table_name": "Word", "column_name": "word"}
        ],
    }
    make_table(catalog, {"state": "text"}, name="Led", references=[reference])
    words = ("actionable", "claimed", "complete", "failed")
    add(catalog, *({"word": word} for word in words), table="Word")
    ermpoll.Queue(catalog, "Ops:Led")

    with pytest.raises(UsageError, match="is in no vocabulary"):
        ermpoll.Queue(catalog, "Ops:Led", failed="error: {error}")


def test_a_misspelt_state_word_is_a_problem_of_its_row(catalog):
    add(catalog, NEW, NEW, NEW, {"state": "completed"})
    words = iter(["faild", "completed", "review"])

    plan = queue(catalog).plan(lambda row: {"state": next(words)})

    [problem] = plan.problems
    assert "'faild' is in no row of the table; did you mean 'failed'?" in problem.reason
    meant = queue(catalog, words=["faild"]).plan(lambda row: {"state": "faild"})
    assert meant.problems == ()


def test_a_misspelt_ready_word_is_said_when_the_queue_is_made(catalog):
    add(catalog, {"state": "new"})

    with pytest.warns(UserWarning, match="'New' is in no row of Ops:Job, but 'new' is"):
        queue(catalog, ready="New")


def test_a_ready_word_that_is_meant_is_not_said(catalog, recwarn):
    add(catalog, {"state": "new"})
    queue(catalog, ready="New", words=["new"])
    queue(catalog, ready="new")
    queue(catalog, ready="other")

    assert [str(one.message) for one in recwarn] == []
