"""The one reader of model documents: what of them is meant, or why they are refused.

Looks at documents alone. Whether a model can hold what they ask is the affair of
`create` and `alter`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ermpoll.sandbox.errors import bad_request

#: What a document may say of any element.
_COMMON = ("comment", "annotations", "acls", "acl_bindings")
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
    value = doc.get(name)
    if not isinstance(value, str) or not value or "\0" in value:
        raise bad_request(f"The document needs a text as {name!r}.")
    try:
        length = len(value.encode())
    except UnicodeEncodeError as error:
        raise bad_request(f"The {name} is not valid Unicode.") from error
    if length > 63:
        raise bad_request(f"The {name} is longer than 63 bytes.")
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
    """Return the name that a document gives a constraint, or None."""
    names = a_list(doc.get("names"))
    pair = a_list(names[0]) if names else []
    return pair[1] if len(pair) == 2 and isinstance(pair[1], str) else None


def action_of(doc: Mapping[str, Any], name: str) -> str:
    """Return what a document says to do with rows whose key goes, or refuse (400)."""
    action = doc.get(name) or "NO ACTION"
    if action not in _ACTIONS:
        raise bad_request(f"{name} is one of {', '.join(_ACTIONS)}.")
    return str(action)


def column_names_of(names: Any) -> list[str]:
    """Return a constraint's column names, once each, or refuse (400)."""
    found = [name for name in a_list(names) if isinstance(name, str)]
    if not found or len(set(found)) != len(a_list(names)):
        raise bad_request("A constraint needs a list of different columns.")
    return found
