"""What a page of ours may hold, and stand-in records to draw."""

from __future__ import annotations

from html.parser import HTMLParser
from types import SimpleNamespace

from ermpoll.records import Change

_TAGS = """a b br caption code del details div ins li line p polyline pre rect span
style summary svg table tbody td text th thead time title tr ul"""
_ATTRIBUTES = """aria-hidden aria-label class colspan datetime dominant-baseline fill
font-size height href open points preserveaspectratio rel role rx scope stroke
stroke-dasharray stroke-width tabindex target text-anchor viewbox width x x1 x2 xmlns
y y1 y2"""
TAGS, ATTRIBUTES = set(_TAGS.split()), set(_ATTRIBUTES.split())


class Reader(HTMLParser):
    """Collects what is on a page, and refuses what must not be."""

    def __init__(self) -> None:
        super().__init__()
        self.texts: list[str] = []
        self.in_style = False

    def handle_starttag(self, tag, attrs):
        assert tag in TAGS, f"<{tag}> on the page"
        self.in_style = tag == "style"
        for name, value in attrs:
            assert name in ATTRIBUTES, f"{name}= on the page"
            if name == "href":
                assert value.startswith(("http://", "https://")), value
            if name == "class":
                assert all(part.startswith("ermpoll") for part in value.split()), value

    def handle_startendtag(self, tag, attrs):
        self.handle_starttag(tag, attrs)
        self.in_style = False

    def handle_endtag(self, tag):
        assert tag in TAGS, f"</{tag}> on the page"
        self.in_style = False

    def handle_comment(self, data):
        raise AssertionError(f"a comment on the page: {data}")

    def handle_decl(self, decl):
        raise AssertionError(f"a declaration on the page: {decl}")

    def handle_pi(self, data):
        raise AssertionError(f"an instruction on the page: {data}")

    def handle_data(self, data):
        if not self.in_style:
            self.texts.append(data)


def text_of(html: str) -> str:
    """The text of a page, after checking that it holds nothing foreign."""
    reader = Reader()
    reader.feed(html)
    reader.close()
    return " ".join(" ".join(reader.texts).split())


def jobs(**changed):
    """A queue to draw rows of."""
    made = {
        "title": "Imaging:Image",
        "columns": ("RID", "Filename", "Priority", "RMT"),
        "types": {
            "Filename": "string",
            "Priority": "Int64",
            "RMT": "datetime64[us, UTC]",
        },
        "link": lambda rid: f"https://data.example/chaise/record/#1/S:T/RID={rid}",
    }
    return SimpleNamespace(**made | changed)


def outcome(**changed):
    """An outcome to draw."""
    made = {
        "jobs": jobs(),
        "action": "apply",
        "won": ("1-A",),
        "lost": (),
        "unknown": (),
        "reasons": {},
        "meanwhile": {},
        "by": {},
        "edited": (),
        "kept": {},
    }
    return SimpleNamespace(**made | changed)


def plan(changes, **changed):
    """A plan to draw."""
    names = dict.fromkeys(name for change in changes for name in change.after)
    made = {
        "jobs": jobs(),
        "changes": tuple(changes),
        "columns": tuple(names),
        "puts": (),
        "applied": None,
    }
    return SimpleNamespace(**made | changed)


def candidates(rows, **changed):
    made = {
        "jobs": jobs(),
        "kind": "candidates",
        "rows": rows,
        "more": False,
        "outside": {},
        "refused": {},
    }
    made["columns"] = made["jobs"].columns
    return SimpleNamespace(**made | changed)


def change(rid, kind="changed", **changed):
    after = {"state": "done"} if kind == "changed" else {}
    made = {"rid": rid, "rmt": "t", "before": {"state": "new"}, "after": after}
    return Change(**made | {"kind": kind} | changed)
