"""ETags, and the conditions that requests put on them."""

from __future__ import annotations

import pytest

from tests.helpers.sandbox_client import Client


@pytest.mark.parametrize(
    ("headers", "read", "write"),
    [
        ({"If-Match": "*"}, 200, 200),
        ({"If-Match": '"x"'}, 304, 412),
        ({"If-None-Match": "*"}, 304, 412),
        ({"If-None-Match": '"x"'}, 200, 200),
        ({"If-Match": "CURRENT"}, 200, 200),
        ({"If-Match": 'W/"x", CURRENT'}, 200, 200),
        ({"If-None-Match": "CURRENT"}, 304, 412),
        ({"If-Match": "CURRENT", "If-None-Match": '"x"'}, 200, 200),
        ({"If-Match": "CURRENT", "If-None-Match": "*"}, 304, 412),
    ],
)
def test_preconditions(
    jobs: Client, headers: dict[str, str], read: int, write: int
) -> None:
    etag = jobs.get("/entity/Job").etag
    sent = {name: text.replace("CURRENT", etag) for name, text in headers.items()}

    assert jobs.send("GET", "/attribute/Job/id", headers=sent).status == read
    answer = jobs.send("PUT", "/attributegroup/Job/id;no", [], sent)
    assert answer.status == write
    assert answer.headers["vary"] == "accept"


def test_a_gzip_suffix_and_weak_etags_are_accepted(jobs: Client) -> None:
    etag = jobs.get("/entity/Job").etag

    answer = jobs.get("/entity/Job", If_None_Match=f'W/{etag[:-1]}-gzip"')

    assert answer.status == 304


def test_names_come_before_preconditions_and_those_before_the_body(
    jobs: Client,
) -> None:
    stale = {"If-Match": '"x"'}

    unknown = jobs.send("PUT", "/attributegroup/Job/id;nosuch", "junk", stale)
    body = jobs.send("PUT", "/attributegroup/Job/id;no", "junk", stale)
    delete = jobs.send("DELETE", "/entity/Job/id=99", None, stale)

    assert (unknown.status, body.status, delete.status) == (409, 412, 412)


def test_the_etag_depends_on_accept_and_not_on_the_address(jobs: Client) -> None:
    first = jobs.get("/entity/Job").etag

    assert jobs.get("/aggregate/Job/no:=cnt(*)").etag == first
    assert jobs.get("/entity/Job?accept=csv").etag == first
    assert jobs.get("/entity/Job", Accept="application/json").etag != first


def test_every_write_moves_the_etag_also_one_of_nothing(jobs: Client) -> None:
    etags = [jobs.get("/entity/Job").etag]

    etags.append(jobs.put("/attributegroup/Job/id;no", []).etag)
    etags.append(jobs.get("/entity/Job").etag)
    etags.append(jobs.put("/attributegroup/Job/id;no", [{"id": 99}]).etag)

    assert etags[1] == etags[2]
    assert len(set(etags)) == 3
    model = jobs.get("/schema").etag
    jobs.put("/attributegroup/Job/id;no", [])
    assert jobs.get("/schema").etag == model


def test_a_refused_write_moves_nothing(jobs: Client) -> None:
    before = jobs.get("/entity/Job").etag

    jobs.put("/attributegroup/Job/id;no", [{"id": 1}, {"id": 1}])

    assert jobs.get("/entity/Job").etag == before
