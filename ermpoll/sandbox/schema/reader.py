"""The one reader of model documents: what of them is meant, or why they are refused.

Looks at documents alone. Whether a model can hold what they ask is the affair of
`create` and `alter`.
"""

from __future__ import annotations

import hashlib
from base64 import urlsafe_b64encode
from collections.abc import Mapping, Sequence
from typing import Any

from ermpoll.sandbox.errors import bad_request

#: What a document may say of any element.
_COMMON = ("comment", "annotations", "acls", "acl_bindings")
#: In bytes of UTF-8.
_LONGEST = 63
_ACTIONS = ("NO ACTION", "RESTRICT", "CASCADE", "SET NULL", "SET DEFAULT")


def a_mapping(doc: Any) -> Mapping[str, Any]:
    """Return `doc` if it is a JSON object, or refuse (400)."""
    if not isinstance(doc, dict):
        raise bad_request("The document must be an object.")
    return doc


def a_list(doc: Any) -> list[Any]:
    """Return `doc` if it is a JSON array, None as an empty one, or refuse (400)."""
    if doc is None:
        return []
    if not isinstance(doc, list):
        raise bad_request("The document must be an array.")
    return doc


def text_of(doc: Mapping[str, Any], name: str) -> str:
    """Return a name that a document must have, or refuse (400)."""
    return an_identifier(doc.get(name), name)


def an_identifier(value: Any, what: str) -> str:
    """Return a name if it is one that PostgreSQL takes, or refuse (400)."""
    if not isinstance(value, str) or not value or "\0" in value:
        raise bad_request(f"The document needs a text as {what!r}.")
    try:
        length = len(value.encode())
    except UnicodeEncodeError as error:
        raise bad_request(f"The {what} is not valid Unicode.") from error
    if length > _LONGEST:
        raise bad_request(f"The {what} is longer than {_LONGEST} bytes.")
    return value


def common_of(doc: Mapping[str, Any]) -> dict[str, Any]:
    """Return what a document says of comment, annotations and ACLs, or refuse (400)."""
    said = {name: doc[name] for name in _COMMON if doc.get(name) is not None}
    for name, value in said.items():
        if name == "comment" and not isinstance(value, str):
            raise bad_request("A comment must be a text.")
        if name != "comment":
            a_mapping(value)
    return said


def typename_of(doc: Mapping[str, Any]) -> str:
    """Return the name of a column's type, or refuse (400)."""
    name = a_mapping(doc.get("type")).get("typename")
    if not isinstance(name, str):
        raise bad_request("A type needs a typename.")
    return name


def constraint_name_of(doc: Mapping[str, Any]) -> str | None:
    """Return the name that a document gives a constraint, or None; or refuse (400)."""
    names = a_list(doc.get("names"))
    for pair in names:
        if not isinstance(pair, list) or len(pair) != 2 or not isinstance(pair[1], str):
            raise bad_request("A constraint's name is a schema's and its own.")
    return an_identifier(names[0][1], "constraint name") if names else None


def default_name(parts: Sequence[str]) -> str:
    """Return the name of a constraint that was given none; too long ones are cut.

    As the service does: the longest parts are cut first, each at 15, 12 or 9 bytes,
    and a piece of the whole name's digest is added. Where that is still too long, the
    whole is cut in its middle, else at its end.
    """
    whole = "_".join(parts)
    if len(whole.encode()) <= _LONGEST:
        return whole
    digest = urlsafe_b64encode(hashlib.md5(whole.encode()).digest()).decode()[:5]
    left = list(parts)
    for width in (15, 12, 9):
        order = sorted(
            range(len(left)), key=lambda at: (len(left[at].encode()), at), reverse=True
        )
        for at in order:
            left[at] = _cut(left[at], width)
            name = "_".join([*left, digest])
            if len(name.encode()) < _LONGEST:
                return name
    size = len(whole)
    name = f"{_cut(whole, size // 3)}{whole[-size // 3 :]}_{digest}"
    return name if len(name.encode()) <= _LONGEST else f"{_cut(whole, 55)}{digest}"


def _cut(text: str, width: int) -> str:
    """Return a text in so many bytes, with dots for what is left out.

    One of which no two characters fit stays as it is.
    """
    if len(text.encode()) <= width:
        return text
    for size in range(min(width, len(text) - 1), 1, -1):
        start = text[:size].rstrip()
        if len(start.encode()) <= width - 2:
            return f"{start}.."
    return text


def action_of(doc: Mapping[str, Any], name: str) -> str:
    """Return what a document says to do with rows whose key goes, or refuse (400)."""
    action = str(doc.get(name) or "NO ACTION").upper()
    if action not in _ACTIONS:
        raise bad_request(f"{name} is one of {', '.join(_ACTIONS)}.")
    return action


def column_names_of(names: Any) -> list[str]:
    """Return a constraint's column names, once each, or refuse (400)."""
    found = [name for name in a_list(names) if isinstance(name, str)]
    if not found or len(set(found)) != len(a_list(names)):
        raise bad_request("A constraint needs a list of different columns.")
    return found
