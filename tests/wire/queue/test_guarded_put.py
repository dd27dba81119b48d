from __future__ import annotations

import threading
import time
from urllib.parse import urlsplit

import pytest

import ermpoll
from ermpoll.catalog.write_lock import LONGEST_WAIT_S
from ermpoll.errors import Denied, Unavailable
from ermpoll.queue.guarded_put import Fate, GuardedPut, PutResult, Trace
from ermpoll.queue.writer import by_then
from ermpoll.records import PlannedPut
from tests.helpers.conditions import wait_until
from tests.helpers.gate import Gate
from tests.helpers.peers import Reply, serving
from tests.helpers.rabbitmq import write_certificates
from tests.helpers.tables import add, edit, make_table, queue, read


@pytest.fixture
def catalog(box: ermpoll.sandbox.Box) -> ermpoll.Catalog:
    catalog = ermpoll.connect(box.new_catalog(), timeout_s=2)
    make_table(catalog)
    return catalog


class Reader:
    """Reads rows back; those whose name is the mark were written by us."""

    def __init__(self, catalog: ermpoll.Catalog, mark: str = "ours") -> None:
        self.catalog = catalog
        self.mark = mark

    def __call__(self, rids):
        rows = {rid: read(self.catalog, rid) for rid in rids}
        return {
            rid: Trace(rmt=row["RMT"], is_ours=row["name"] == self.mark)
            for rid, row in rows.items()
        }


def put(catalog: ermpoll.Catalog, rids: list[str], **values: object) -> PlannedPut:
    values = values or {"name": "ours"}
    rows = [{"RID": rid, "RMT": read(catalog, rid)["RMT"], **values} for rid in rids]
    return PlannedPut(
        path=f"attributegroup/Ops:Job/RID,RMT;{','.join(values)}", rows=tuple(rows)
    )


def won(done: PutResult) -> dict[str, str]:
    """The versions of the rows that were written."""
    rows = done.rows.items()
    return {rid: row.rmt for rid, row in rows if row.fate is Fate.WON}


def send(catalog: ermpoll.Catalog, planned: PlannedPut, seconds: float = 10):
    return GuardedPut(catalog).send(planned, Reader(catalog), until=by_then(seconds))


def test_won_rows_come_with_their_new_version(catalog):
    [rid] = add(catalog, {})

    written = send(catalog, put(catalog, [rid]))

    assert written.sent == 1
    again = PlannedPut(
        path="attributegroup/Ops:Job/RID,RMT;name",
        rows=({"RID": rid, "RMT": won(written)[rid], "name": "again"},),
    )
    assert won(send(catalog, again)).keys() == {rid}


def test_rows_that_moved_on_are_missed(catalog):
    a, b = add(catalog, {}, {})
    planned = put(catalog, [a, b])
    send(catalog, put(catalog, [a], name="other"))

    written = send(catalog, planned)

    assert {rid: row.fate for rid, row in written.rows.items()} == {
        a: Fate.MISSED,
        b: Fate.WON,
    }


@pytest.mark.parametrize(
    "fault",
    [
        {"drop_reply": True, "times": 1},
        {"drop_reply": True, "times": 3},
        {"drop_reply": True, "status_after": 500, "times": 1},
        {"drop_reply": True, "status_after": 502, "times": 2},
        {"drop_reply": True, "status_after": 503, "times": 1},
        {"drop_reply": True, "status_after": 504, "times": 1},
        {"status": 500, "times": 2},
        {"status": 504, "times": 1},
    ],
)
def test_a_doubtful_write_is_sent_again_until_it_is_certain(box, catalog, fault):
    rids = add(catalog, {}, {})
    planned = put(catalog, rids)

    box.faults(methods=("PUT",), **fault)
    written = send(catalog, planned)

    assert sorted(won(written)) == sorted(rids)
    assert written.sent == fault["times"] + 1


def test_rows_of_a_first_copy_are_ours_when_tls_breaks_after_it(catalog, tmp_path):
    add(catalog, *[{"state": "actionable"}] * 3)
    write_certificates(tmp_path)
    lost = Reply(raw=b"no TLS")

    with serving(lost, tls=tmp_path, behind=catalog.url) as front:
        url = catalog.url.replace(urlsplit(catalog.url).netloc, front.netloc)
        url = url.replace("http://", "https://")
        door = ermpoll.connect(url, {}, ca=tmp_path / "ca.pem")
        claim = queue(door).claim(3)
        door.close()

    assert len(claim) == 3
    assert claim.outcome.lost == ()
    assert {row["owner"] for row in claim} == {claim.token}


def test_an_aborted_write_is_waited_out_and_counted(box, catalog):
    [rid] = add(catalog, {})
    planned = put(catalog, [rid])

    box.faults(abort=0.7, seed=1)
    written = send(catalog, planned)

    assert won(written).keys() == {rid}
    assert written.wasted == written.sent - 1


def test_giving_up_on_a_doubtful_write_leaves_it_unknown(box, catalog):
    [rid] = add(catalog, {})
    planned = put(catalog, [rid])

    box.faults(drop_reply=True, methods=("PUT",))
    written = send(catalog, planned, seconds=0.5)

    assert written.fates == {Fate.UNKNOWN}


def test_giving_up_on_a_busy_catalog_is_certain(box, catalog):
    [rid] = add(catalog, {})
    planned = put(catalog, [rid])

    box.faults(abort=1.0)
    written = send(catalog, planned, seconds=0.5)

    assert written.fates == {Fate.UNSENT}
    assert "503" in str(written.error)


def test_a_server_that_is_not_there_is_certain(catalog):
    nowhere = ermpoll.connect("http://localhost:9/ermrest/catalog/1", timeout_s=1)
    planned = PlannedPut(path="attributegroup/S:T/RID,RMT;n", rows=({"RID": "1"},))

    written = send(nowhere, planned, seconds=0.5)

    assert written.fates == {Fate.UNSENT}
    assert isinstance(written.error, Unavailable)


def test_a_put_that_is_refused_is_refused_as_a_whole(catalog):
    rids = add(catalog, *[{}] * 3)
    planned = put(catalog, rids)
    rows = ({**planned.rows[0], "name": "bad\0"}, *planned.rows[1:])

    written = send(catalog, PlannedPut(path=planned.path, rows=rows))

    assert written.fates == {Fate.REFUSED}
    assert {row.reason for row in written.rows.values()} != {""}
    assert (len(written.rows), written.sent) == (3, 1)


def test_a_refusal_after_a_lost_answer_does_not_hide_that_it_was_written(box, catalog):
    rids = add(catalog, {}, {})
    planned = put(catalog, rids)
    box.faults(drop_reply=1, methods=("PUT",))

    with Gate.before(catalog.url) as gate:
        gate.left = 1
        through = ermpoll.connect(gate.url)
        written = GuardedPut(through, row_policy=True).send(
            planned, Reader(catalog), until=by_then(10)
        )

    assert written.fates == {Fate.WON}


def test_a_write_that_is_barred_after_a_lost_answer_is_unknown(box, catalog):
    [rid] = add(catalog, {})
    planned = put(catalog, [rid])
    box.faults(drop_reply=1, methods=("PUT",))

    with Gate.before(catalog.url) as gate:
        gate.left = 1
        through = ermpoll.connect(gate.url)
        written = GuardedPut(through).send(planned, Reader(catalog), until=by_then(10))

    assert written.fates == {Fate.UNKNOWN}


def test_a_login_that_may_not_write_is_an_error_and_not_halved(box):
    with ermpoll.sandbox.start(token="owner") as guarded:
        stranger = ermpoll.connect(guarded.url, {})
        planned = PlannedPut(
            path="attributegroup/Imaging:Image/RID;File_Name",
            rows=({"RID": "2", "File_Name": "a"}, {"RID": "4", "File_Name": "b"}),
        )
        written = GuardedPut(stranger).send(planned, Reader(stranger), until=by_then(5))
        assert isinstance(written.error, Denied)
        assert written.fates == {Fate.UNSENT}
        assert stranger.writes == 1


def test_a_stop_ends_the_waiting(box, catalog):
    [rid] = add(catalog, {})
    planned = put(catalog, [rid])
    box.faults(abort=1.0)
    stop = threading.Event()
    threading.Timer(0.3, stop.set).start()

    written = GuardedPut(catalog, stop=stop).send(
        planned, Reader(catalog), until=by_then(60)
    )

    assert written.fates == {Fate.UNSENT}


def test_writers_of_one_process_take_turns(catalog):
    rids = add(catalog, *[{}] * 16)
    puts = [put(catalog, [rid]) for rid in rids]
    results = []
    threads = [
        threading.Thread(target=lambda p=p: results.append(send(catalog, p)))
        for p in puts
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert sum(len(won(w)) for w in results) == 16
    assert sum(w.wasted for w in results) == 0


def test_a_put_that_hangs_costs_the_other_writers_one_wait(box, catalog):
    patient = ermpoll.connect(catalog.url, timeout_s=30)
    rids = add(catalog, *[{}] * 13)
    hangs, *others = [put(catalog, [rid]) for rid in rids]
    box.faults(delay_s=8, times=1, methods=["PUT"])
    hanging = threading.Thread(target=lambda: send(patient, hangs, 20))
    hanging.start()
    wait_until(lambda: patient.writes == 1)

    begun = time.monotonic()
    written = [send(catalog, one) for one in others]
    took_s = time.monotonic() - begun
    hanging.join()
    patient.close()

    assert all(one.fates == {Fate.WON} for one in written)
    assert took_s < LONGEST_WAIT_S + 2


PAGE = Reply(body="<html>Please log in</html>")


def test_a_write_whose_answers_are_all_foreign_pages_is_read_back_at_once(catalog):
    one, other = add(catalog, {"state": "new"}, {"state": "new"})
    planned = put(catalog, [one, other])
    edit(catalog, other, priority=1)
    with serving(*[PAGE] * 100, behind=catalog.url) as peer:
        address = f"http://{peer.netloc}{urlsplit(catalog.url).path}"
        done = GuardedPut(door := ermpoll.connect(address)).send(
            planned, Reader(catalog), until=by_then(60)
        )
        door.close()

    fates = {rid: row.fate for rid, row in done.rows.items()}
    assert fates == {one: Fate.WON, other: Fate.MISSED}
    assert (done.sent, done.error) == (1, None)


def test_a_foreign_page_before_anything_was_written_proves_nothing(catalog):
    [rid] = add(catalog, {"state": "new"})
    planned = put(catalog, [rid])
    with serving(PAGE) as peer:
        door = ermpoll.connect(peer.url)
        done = GuardedPut(door).send(planned, Reader(catalog), until=by_then(0.3))
        door.close()

    assert done.rows[rid].fate is Fate.UNKNOWN
    assert done.sent > 1
