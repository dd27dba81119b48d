"""Comments, annotations, ACLs and ACL bindings of any model element."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeAlias

from ermpoll.sandbox.errors import HttpError, bad_request, not_found
from ermpoll.sandbox.http.messages import (
    Answer,
    empty_answer,
    json_answer,
    text_answer,
)
from ermpoll.sandbox.model.access import SUPPORTED
from ermpoll.sandbox.model.acls import Rights
from ermpoll.sandbox.model.model import Model
from ermpoll.sandbox.schema.address import Place
from ermpoll.sandbox.schema.checks import check_acls
from ermpoll.sandbox.schema.create import Builder
from ermpoll.sandbox.schema.reader import a_mapping


def element_of(place: Place) -> Any:
    """Return the one element whose property is meant, or refuse (404, 409)."""
    if place.elements:
        return place.elements[0]
    if place.kind in ("column", "key"):
        raise not_found(f"There is no {place.kind} {place.name[:80]!r}.")
    raise HttpError(409, f"There is no {place.kind} {place.name[:80]!r}.")


def show(rights: Rights, place: Place) -> Answer:
    """Answer a GET of a property, or of one key in it."""
    return _SHOWN[str(place.prop)](rights, place, element_of(place))


def _show_comment(rights: Rights, place: Place, element: Any) -> Answer:
    if element.comment is None:
        raise not_found("There is no comment.")
    return text_answer(200, f"{element.comment}\n")


def _show_annotation(rights: Rights, place: Place, element: Any) -> Answer:
    return _shown(place, element.annotations)


def _show_acl(rights: Rights, place: Place, element: Any) -> Answer:
    rights.demand_element(element, place.table, "owner")
    if place.key is None:
        return json_answer(200, element.acls)
    if place.key not in SUPPORTED[type(element)]:
        raise not_found(f"There is no ACL {place.key[:80]!r} here.")
    return json_answer(200, element.acls.get(place.key))


def _show_binding(rights: Rights, place: Place, element: Any) -> Answer:
    rights.demand_element(element, place.table, "owner")
    return _shown(place, element.acl_bindings)


def _shown(place: Place, values: Any) -> Answer:
    if place.key is None:
        return json_answer(200, values)
    if place.key not in values:
        raise not_found(f"There is no {place.prop} {place.key[:80]!r}.")
    return json_answer(200, values[place.key])


_SHOWN: dict[str, Callable[[Rights, Place, Any], Answer]] = {
    "comment": _show_comment,
    "annotation": _show_annotation,
    "acl": _show_acl,
    "acl_binding": _show_binding,
}


# ---- changing


@dataclass(frozen=True, slots=True)
class PropertyChange:
    """A change that is asked for: of which element, as part of what."""

    builder: Builder
    place: Place
    element: Any

    def demand_owner(self) -> None:
        """Refuse who does not own the element, or would no longer."""
        rights = self.builder.rights
        rights.demand_element(self.element, self.place.table, "owner")


_Step: TypeAlias = Callable[[PropertyChange, Any], Answer]


def change(builder: Builder, method: str, place: Place, doc: Any) -> Answer:
    """Answer a PUT or DELETE of a property, or of one key in it."""
    step = _CHANGES.get((str(place.prop), method, place.key is not None))
    if step is None:
        raise HttpError(405)
    return step(PropertyChange(builder, place, element_of(place)), doc)


def _put_comment(on: PropertyChange, doc: Any) -> Answer:
    on.demand_owner()
    on.element.comment = doc or ""
    return empty_answer()


def _delete_comment(on: PropertyChange, doc: Any) -> Answer:
    on.demand_owner()
    on.element.comment = None
    return empty_answer()


def _put_annotations(on: PropertyChange, doc: Any) -> Answer:
    on.demand_owner()
    on.element.annotations = dict(a_mapping(doc))
    return empty_answer()


def _put_annotation(on: PropertyChange, doc: Any) -> Answer:
    on.demand_owner()
    values, key = on.element.annotations, str(on.place.key)
    fresh = values.get(key) is None
    values[key] = doc
    return text_answer(201, "") if fresh else empty_answer()


def _delete_annotation(on: PropertyChange, doc: Any) -> Answer:
    key = str(on.place.key)
    if key not in on.element.annotations:
        raise not_found(f"There is no annotation {key[:80]!r}.")
    on.demand_owner()
    del on.element.annotations[key]
    return empty_answer()


def _set_acl(on: PropertyChange, name: str, members: Any) -> None:
    """Set one ACL; None unsets it, of a catalog it empties it."""
    if members is None and isinstance(on.element, Model):
        members = []
    if members is None:
        on.element.acls.pop(name, None)
    else:
        check_acls(on.element, {name: members})
        on.element.acls[name] = members
    # Nobody can disown an element: its owner must be one afterwards.
    on.demand_owner()


def _an_acl(members: Any) -> list[str]:
    if not isinstance(members, list) or not all(isinstance(m, str) for m in members):
        raise bad_request("An ACL is a list of texts.")
    return members


def _put_acls(on: PropertyChange, doc: Any) -> Answer:
    on.demand_owner()
    doc = {} if doc is None else a_mapping(doc)
    for name in [name for name in on.element.acls if name not in doc]:
        _set_acl(on, name, None)
    for name, members in doc.items():
        _set_acl(on, name, _an_acl(members))
    return json_answer(200, on.element.acls)


def _delete_acls(on: PropertyChange, doc: Any) -> Answer:
    _put_acls(on, None)
    return empty_answer()


def _put_acl(on: PropertyChange, doc: Any) -> Answer:
    on.demand_owner()
    _set_acl(on, str(on.place.key), None if doc is None else _an_acl(doc))
    return json_answer(200, doc)


def _delete_acl(on: PropertyChange, doc: Any) -> Answer:
    on.demand_owner()
    if on.place.key not in SUPPORTED[type(on.element)]:
        raise not_found(f"There is no ACL {str(on.place.key)[:80]!r} here.")
    _set_acl(on, str(on.place.key), None)
    return empty_answer()


def _set_binding(on: PropertyChange, name: str, doc: Any) -> Any:
    if doc is None:
        on.element.acl_bindings.pop(name, None)
        return None
    doc = on.builder.binding(on.place.table or on.element, on.element, doc)
    on.element.acl_bindings[name] = doc
    return doc


def _put_bindings(on: PropertyChange, doc: Any) -> Answer:
    on.demand_owner()
    doc = {} if doc is None else a_mapping(doc)
    on.element.acl_bindings = {}
    for name, binding in doc.items():
        if binding is None:
            raise bad_request("A binding must be an object, or false.")
        _set_binding(on, name, binding)
    return json_answer(200, on.element.acl_bindings)


def _put_binding(on: PropertyChange, doc: Any) -> Answer:
    on.demand_owner()
    return json_answer(200, _set_binding(on, str(on.place.key), doc))


def _delete_bindings(on: PropertyChange, doc: Any) -> Answer:
    _put_bindings(on, None)
    return empty_answer()


def _delete_binding(on: PropertyChange, doc: Any) -> Answer:
    on.demand_owner()
    _set_binding(on, str(on.place.key), None)
    return empty_answer()


#: Property, method, and whether one key in it is named.
_CHANGES: dict[tuple[str, str, bool], _Step] = {
    ("comment", "PUT", False): _put_comment,
    ("comment", "DELETE", False): _delete_comment,
    ("annotation", "PUT", False): _put_annotations,
    ("annotation", "PUT", True): _put_annotation,
    ("annotation", "DELETE", True): _delete_annotation,
    ("acl", "PUT", False): _put_acls,
    ("acl", "DELETE", False): _delete_acls,
    ("acl", "PUT", True): _put_acl,
    ("acl", "DELETE", True): _delete_acl,
    ("acl_binding", "PUT", False): _put_bindings,
    ("acl_binding", "DELETE", False): _delete_bindings,
    ("acl_binding", "PUT", True): _put_binding,
    ("acl_binding", "DELETE", True): _delete_binding,
}
