"""Plain HTTP as people's tools send it, and a person who edits rows under work."""

from __future__ import annotations

import http.client
import json
import random
import threading
from contextlib import closing, suppress
from typing import Any
from urllib.parse import urlsplit

from tests.end_to_end.chaos.table import QUEUE, TABLE

PERSON, FEEDER = "person", "feeder"


class Caller:
    """Sends requests under a name; an answer that is none is None."""

    def __init__(self, url: str, name: str, timeout_s: float = 10) -> None:
        place = urlsplit(url)
        self._host, self._base = place.netloc, place.path
        self._timeout_s = timeout_s
        self._headers = {
            "Authorization": f"Bearer {name}",
            "Content-Type": "application/json",
            "Accept": "application/json",
        }

    def ask(self, method: str, path: str, rows: Any = None) -> Any:
        """Return the rows of a good answer, or None."""
        text = self.send(method, f"{self._base}/{path}", rows)
        return json.loads(text) if text else None

    def send(self, method: str, path: str, body: Any = None) -> bytes | None:
        """Return the body of a good answer, or None."""
        connection = http.client.HTTPConnection(self._host, timeout=self._timeout_s)
        text = None if body is None else json.dumps(body)
        with closing(connection), suppress(OSError, http.client.HTTPException):
            connection.request(method, path, text, self._headers)
            answer = connection.getresponse()
            content = answer.read()
            if answer.status == 200:
                return content
        return None


class Person:
    """Edits rows of people, claimed ones most of all; holds some, and lets go."""

    def __init__(self, url: str, rng: random.Random, *, owner: bool = True) -> None:
        self._caller = Caller(url, PERSON, timeout_s=3)
        self._rng, self._owner = rng, owner
        self._edits = 0
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="chaos-person")

    def start(self) -> None:
        """Edit in the background until `stop`."""
        self._thread.start()

    def stop(self) -> None:
        """Stop, and let go of everything that is on hold."""
        self._stop.set()
        self._thread.join()
        while self.let_go() is None:
            self._stop.wait(0.1)

    def take_over(self) -> None:
        """Put rows on hold that agents work on."""
        claimed = self._rows(QUEUE["claimed"]) or []
        self._change_states(claimed[:20], QUEUE["claimed"], "hold")

    def let_go(self) -> Any:
        """Make held rows ready again."""
        return self._change_states(self._rows("hold"), "hold", QUEUE["ready"])

    def _run(self) -> None:
        while not self._stop.wait(0.05):
            claimed = self._rows(QUEUE["claimed"]) or []
            self._note(claimed[:3])
            if self._rng.random() < 0.2:
                self._change_states(claimed[-1:], QUEUE["claimed"], "hold")
                ready = self._rows(QUEUE["ready"]) or []
                self._change_states(ready[:1], QUEUE["ready"], "hold")
            if self._rng.random() < 0.1:
                self.let_go()

    def _rows(self, state: str) -> Any:
        rows = self._caller.ask(
            "GET", f"entity/{TABLE}/state={state}/human=true?limit=40"
        )
        if rows:
            self._rng.shuffle(rows)
        return rows

    def _note(self, rows: list[dict[str, Any]]) -> None:
        self._edits += 1
        notes = [{"RID": r["RID"], "note": f"seen by eye, {self._edits}"} for r in rows]
        if notes:
            self._caller.ask("PUT", f"attributegroup/{TABLE}/RID;note", notes)

    def _change_states(self, rows: Any, before: str, after: str) -> Any:
        rows = rows or []
        if self._owner and before == QUEUE["claimed"]:
            # one without a token is a daemon's that writes whatever the state is
            rows = [row for row in rows if row["owner"]]
        changes = [{"RID": r["RID"], "was": before, "state": after} for r in rows]
        targets = "state"
        if before == "hold" and self._owner:
            # as with a retry by hand, or a row may be ready with no attempt left
            changes = [{**change, "attempts": 0} for change in changes]
            targets = "state,attempts"
        if not changes:
            return rows
        return self._caller.ask(
            "PUT", f"attributegroup/{TABLE}/RID,was:=state;{targets}", changes
        )
