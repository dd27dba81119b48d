"""Comments, annotations and ACLs of any model element: stored, shown, not enforced."""

from __future__ import annotations

from typing import Any

from ermpoll.sandbox.errors import (
    HttpError,
    bad_request,
    conflict,
    forbidden,
    not_found,
)
from ermpoll.sandbox.http.messages import (
    Answer,
    Request,
    empty_answer,
    json_answer,
    text_answer,
)
from ermpoll.sandbox.model import acls
from ermpoll.sandbox.model.clients import ANONYMOUS
from ermpoll.sandbox.model.model import Key, Model
from ermpoll.sandbox.schema.address import Place
from ermpoll.sandbox.schema.reader import a_mapping

_ATTRIBUTES = {
    "annotation": "annotations",
    "acl": "acls",
    "acl_binding": "acl_bindings",
}


def _holder(place: Place) -> tuple[Any, str]:
    if place.kind.endswith("s") or len(place.elements) != 1:
        raise not_found("One model element is needed.")
    (element,) = place.elements
    name = _ATTRIBUTES.get(str(place.prop), "comment")
    lacks = (isinstance(element, Key) and name.startswith("acl")) or (
        isinstance(element, Model) and name in ("comment", "acl_bindings")
    )
    if lacks:
        raise not_found("This element has no such property.")
    return element, name


def shown(place: Place, owner: bool, request: Request) -> Answer:
    """Answer a GET of a property, or of one key in it."""
    element, name = _holder(place)
    if name == "comment":
        if element.comment is None:
            raise not_found("There is no comment.")
        return text_answer(200, f"{element.comment}\n")
    if name != "annotations" and not owner:
        raise forbidden("ACLs are the owner's.", anonymous=request.client == ANONYMOUS)
    values = getattr(element, name)
    if place.key is None:
        return json_answer(200, values)
    if place.key not in values:
        raise not_found(f"There is no {place.prop} {place.key[:80]!r}.")
    return json_answer(200, values[place.key])


def change(request: Request, place: Place, doc: Any) -> Answer:
    """Answer a PUT or DELETE of a property, or of one key in it."""
    if request.method not in ("PUT", "DELETE"):
        raise HttpError(405)
    element, name = _holder(place)
    gone = request.method == "DELETE"
    if name == "comment":
        if gone and element.comment is None:
            raise not_found("There is no comment.")
        element.comment = None if gone else doc or ""
        return empty_answer()
    if place.key is None:
        return _change_all(element, name, {} if gone else a_mapping(doc), gone)
    return _change_one(element, name, place, doc, gone)


def _change_all(element: Any, name: str, doc: Any, gone: bool) -> Answer:
    for key, value in doc.items():
        _check(element, name, key, value)
    empty: dict[str, Any] = {acl: [] for acl in acls.CATALOG_ACLS}
    is_catalog = isinstance(element, Model) and name == "acls"
    if is_catalog and not doc.get("owner"):
        raise forbidden("A catalog needs an owner.")
    setattr(element, name, {**empty, **doc} if is_catalog else dict(doc))
    if gone or name == "annotations":
        return empty_answer()
    return json_answer(200, getattr(element, name))


def _change_one(element: Any, name: str, place: Place, doc: Any, gone: bool) -> Answer:
    values, key = getattr(element, name), str(place.key)
    if gone:
        if key not in values:
            raise not_found(f"There is no {place.prop} {key[:80]!r}.")
        del values[key]
        return empty_answer()
    _check(element, name, key, doc)
    fresh = key not in values
    values[key] = doc
    if name == "annotations":
        return text_answer(201, "") if fresh else empty_answer()
    return json_answer(200, doc)


def _check(element: Any, name: str, key: str, value: Any) -> None:
    if name != "acls":
        return
    if key not in acls.CATALOG_ACLS:
        raise conflict(f"There is no ACL {key[:80]!r}.")
    if not isinstance(value, list) or not all(isinstance(item, str) for item in value):
        raise bad_request("An ACL is a list of texts.")
    # Foreign keys may be used by everybody, and nothing else may be written so.
    if (
        "*" in value
        and key not in acls.OPEN_TO_ALL
        and not hasattr(element, "on_delete")
    ):
        raise bad_request(f"The ACL {key} can't hold *.")
