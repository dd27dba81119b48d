from __future__ import annotations

import pytest

from ermpoll.queue.reading.reach import columns_of_path, lasting


@pytest.mark.parametrize(
    ("where", "left"),
    [
        ("", ""),
        ("site=A", "site=A"),
        ("site=A&hold=false", "site=A/hold=false"),
        ("owner::null::/site=A", "site=A"),
        ("site=A&owner::null::", "site=A"),
        ("(site=A&owner::null::)/hold=false", "site=A/hold=false"),
        ("(site=A;owner::null::)", ""),
        ("owner::null::;site=A", ""),
        ("hold=false/owner::null::&site=A;site=B", "hold=false"),
        ("!(owner=x)&site=A", "site=A"),
        ("!owner=x", ""),
        ("M:owner=x/site=A", "site=A"),
        ("(a=1;b=2)&(c=3;d=4)", "a=1;b=2/c=3;d=4"),
        ("own%65r=x/site=owner", "site=owner"),
        ("site=any(owner,state)", "site=any(owner,state)"),
    ],
)
def test_of_a_filter_only_what_claiming_writes_is_left_out(where, left):
    assert lasting(where, {"owner", "state"}) == left


@pytest.mark.parametrize(
    ("path", "columns"),
    [
        ("S:T", set()),
        ("S:T/state=new", {"state"}),
        ("M:=S:T/site=A&M:state=new", {"site", "state"}),
        ("M:=S:T/(RID)=(S:Check:job)/state=ok/$M", set()),
        ("M:=S:T/(RID)=(S:Check:job)/state=ok/M:state=new/$M", {"state"}),
        ("M:=S:T/C:=left(RID)=(S:Check:job)/C:state::null::/$M", set()),
        ("M:=S:T/(S:Check:job)/state=ok/$M/hold=false", {"hold"}),
        ("P:=S:T/state=done/M:=(RID)=(S:T:parent)", set()),
        ("P:=S:T/state=done/M:=(RID)=(S:T:parent)/(site=A;site=B)", {"site"}),
        ("S:Check/ok=true/S:T/!st%61te=new", {"state"}),
    ],
)
def test_a_path_tells_which_columns_of_its_last_table_it_filters_by(path, columns):
    assert columns_of_path(path) == columns
