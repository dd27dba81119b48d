"""From a parsed path and a model to the FROM and WHERE of one SQL statement."""

from __future__ import annotations

from collections.abc import Sequence

from ermpoll.sandbox.errors import bad_request, conflict
from ermpoll.sandbox.model.acls import Rights
from ermpoll.sandbox.model.model import ForeignKey, TableDef
from ermpoll.sandbox.query import filters, syntax
from ermpoll.sandbox.query.policy import visible_rows
from ermpoll.sandbox.query.scope import (
    Instance,
    Pairs,
    Path,
    equalities,
    fkey_pairs,
)


def resolve(
    path: Sequence[syntax.Element],
    rights: Rights,
    *,
    at: int | None = None,
    guarded: bool = True,
) -> Path:
    """Return what `path` means to a client.

    Parameters
    ----------
    at
        Microseconds since 1970 to show the rows of, or None: as they are.
    guarded
        False: the client writes, so rows it may not read are found as well.

    Raises
    ------
    HttpError
        409 for names that are unknown or ambiguous, 400 for aliases misused, 401 and
        403 for tables that may not be read.
    """
    resolved = Path(rights=rights, at=at, guarded=guarded)
    for element in path:
        _take(resolved, element)
    return resolved


def _take(path: Path, element: syntax.Element) -> None:
    if isinstance(element, syntax.TableRef):
        _take_table(path, element)
    elif isinstance(element, syntax.LinkStep):
        _take_link(path, element)
    elif isinstance(element, syntax.Context):
        if element.alias not in path.aliases:
            raise bad_request(f"The alias {element.alias[:80]!r} is not bound.")
        path.current = path.aliases[element.alias]
    else:
        path.conditions.append(filters.compiled(path, element))


def _take_table(path: Path, element: syntax.TableRef) -> None:
    table = path.rights.find_table(element.name)
    if not path.instances:
        if path.guarded:
            path.rights.demand_element(table, None, "select")
        path.source = visible_rows(path, path.add(table, element.alias))
        return
    here = path.current
    links = _links(path.rights, here.table, table)
    if table is here.table or not links:
        raise conflict(
            f"No foreign key links {here.table.title} and {table.title} unambiguously."
        )
    _join(path, table, element.alias, here, links)


def _join(
    path: Path,
    table: TableDef,
    alias: str | None,
    left: Instance,
    alternatives: Sequence[Pairs],
    kind: str = "inner",
) -> None:
    """Join `table` where any of the alternatives makes its columns equal."""
    path.rights.demand_element(table, None, "select")
    right = path.add(table, alias)
    equal = [f"({equalities(left, right, pairs)})" for pairs in alternatives]
    rows = visible_rows(path, right)
    path.source += f" {kind.upper()} JOIN {rows} ON {' OR '.join(equal)}"


def _pairs(fkey: ForeignKey, *, inbound: bool = False) -> Pairs:
    return fkey_pairs(fkey.columns, fkey.ref_columns, inbound=inbound)


def _links(rights: Rights | None, here: TableDef, there: TableDef) -> list[Pairs]:
    """Return each way in which a foreign key links the two tables.

    With `rights`: only by those that the client sees.
    """
    target = (there.schema, there.name)
    outbound = [
        _pairs(fkey)
        for fkey in here.fkeys
        if fkey.ref_table == target and _is_seen(rights, here, fkey)
    ]
    origin = (here.schema, here.name)
    inbound = [
        _pairs(fkey, inbound=True)
        for fkey in there.fkeys
        if fkey.ref_table == origin and _is_seen(rights, there, fkey)
    ]
    return outbound + inbound


def _is_seen(rights: Rights | None, table: TableDef, fkey: ForeignKey) -> bool:
    return rights is None or bool(rights.fkey(table, fkey, "enumerate"))


def _take_link(path: Path, link: syntax.LinkStep) -> None:
    if link.right is None:
        _link_by_columns(path, link)
        return
    left = [path.column(name) for name in link.left]
    if len({instance.label for instance, _ in left}) != 1:
        raise conflict("The left columns of a link must be of one instance.")
    table = path.rights.find_table(link.right[0][:-1] or _no_table())
    if any(name[:-1] not in ((), link.right[0][:-1]) for name in link.right):
        raise conflict("The right columns of a link must be of one table.")
    if len(link.left) != len(link.right):
        raise bad_request("A link needs as many columns on its left as on its right.")
    pairs = [
        (column.name, path.rights.seen_column(table, name[-1]).name)
        for (_, column), name in zip(left, link.right, strict=True)
    ]
    _join(path, table, link.alias, left[0][0], [pairs], link.kind)


def _no_table() -> tuple[str, ...]:
    raise bad_request("The right columns of a link need the name of their table.")


def _link_by_columns(path: Path, link: syntax.LinkStep) -> None:
    """Follow the one foreign key that the columns, of either end, take part in."""
    first = max(link.left, key=len)
    if any(name[:-1] not in ((), first[:-1]) for name in link.left):
        raise conflict("The columns of a link must be of one table.")
    names = {name[-1] for name in link.left}
    if len(first) == 3 or (len(first) == 2 and first[0] not in path.aliases):
        here = path.current
        found = _into(path, path.rights.find_table(first[:-1]), names)
    else:
        here = path.instance(first)
        found = _out_of(path, here.table, names)
    if len(found) != 1:
        word = "several foreign keys" if found else "no foreign key"
        raise conflict(f"The columns of a link take part in {word}.")
    table, pairs = found[0]
    _join(path, table, link.alias, here, [pairs])


def _out_of(
    path: Path, here: TableDef, names: set[str]
) -> list[tuple[TableDef, Pairs]]:
    """Return the links of which `names` are the columns on our side."""
    for name in names:
        path.rights.seen_column(here, name)
    outbound = [
        (path.model.table(*fkey.ref_table), _pairs(fkey))
        for fkey in here.fkeys
        if set(fkey.columns) == names
    ]
    inbound = [
        (other, _pairs(fkey, inbound=True))
        for other, fkey in path.model.references_to(here)
        if set(fkey.ref_columns) == names
    ]
    return outbound + inbound


def _into(path: Path, there: TableDef, names: set[str]) -> list[tuple[TableDef, Pairs]]:
    """Return the links from the current table of which `names` are the far columns."""
    for name in names:
        path.rights.seen_column(there, name)
    return [
        (there, pairs)
        for pairs in _links(None, path.current.table, there)
        if {far for _, far in pairs} == names
    ]
