"""Claims rows of Ops:Job one by one until none is left; prints their RIDs."""

from __future__ import annotations

import json
import sys

import ermpoll


def main(url: str, name: str) -> None:
    catalog = ermpoll.connect(url, {})
    won: list[object] = []
    while True:
        _, batch = ermpoll.state_change_once(
            catalog,
            "entity/Ops:Job/state=new@sort(RID)?limit=2",
            "attributegroup/Ops:Job/RID;state,owner",
            lambda row: {"RID": row["RID"], "state": "claimed", "owner": name},
        )
        if not batch:
            break
        won += [row["RID"] for row, _ in batch]
    sys.stdout.write(json.dumps(won))


if __name__ == "__main__":
    main(*sys.argv[1:])
