"""From a parsed path and a model to the FROM and WHERE of one SQL statement."""

from __future__ import annotations

from collections.abc import Sequence

from ermpoll.sandbox.errors import bad_request, conflict
from ermpoll.sandbox.model.model import ForeignKey, Model, TableDef
from ermpoll.sandbox.query import filters, syntax
from ermpoll.sandbox.query.scope import Pairs, Path


def resolve(
    path: Sequence[syntax.Element], model: Model, *, at: int | None = None
) -> Path:
    """Return what `path` means in `model`.

    Raises
    ------
    HttpError
        409 for names that are unknown or ambiguous, 400 for aliases misused.
    """
    resolved = Path(model=model, at=at)
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
    table = path.model.find_table(element.name)
    if not path.instances:
        path.source = path.rows_of(path.add(table, element.alias))
        return
    here = path.current
    links = _links(here.table, table)
    if table is here.table or not links:
        raise conflict(
            f"No foreign key links {here.table.title} and {table.title} unambiguously."
        )
    path.join(table, element.alias, here, links)


def _pairs(fkey: ForeignKey, *, inbound: bool = False) -> Pairs:
    pairs = zip(fkey.columns, fkey.ref_columns, strict=True)
    return [(there, here) if inbound else (here, there) for here, there in pairs]


def _links(here: TableDef, there: TableDef) -> list[Pairs]:
    """Return each way in which a foreign key links the two tables."""
    target = (there.schema, there.name)
    outbound = [_pairs(fkey) for fkey in here.fkeys if fkey.ref_table == target]
    origin = (here.schema, here.name)
    inbound = [
        _pairs(fkey, inbound=True) for fkey in there.fkeys if fkey.ref_table == origin
    ]
    return outbound + inbound


def _take_link(path: Path, link: syntax.LinkStep) -> None:
    if link.right is None:
        _link_by_columns(path, link)
        return
    left = [path.column(name) for name in link.left]
    if len({instance.label for instance, _ in left}) != 1:
        raise conflict("The left columns of a link must be of one instance.")
    table = path.model.find_table(link.right[0][:-1] or _no_table())
    if any(name[:-1] not in ((), link.right[0][:-1]) for name in link.right):
        raise conflict("The right columns of a link must be of one table.")
    if len(link.left) != len(link.right):
        raise bad_request("A link needs as many columns on its left as on its right.")
    pairs = [
        (column.name, table.column(name[-1]).name)
        for (_, column), name in zip(left, link.right, strict=True)
    ]
    path.join(table, link.alias, left[0][0], [pairs], link.kind)


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
        found = _into(path, path.model.find_table(first[:-1]), names)
    else:
        here = path.instance(first)
        found = _out_of(path, here.table, names)
    if len(found) != 1:
        word = "several foreign keys" if found else "no foreign key"
        raise conflict(f"The columns of a link take part in {word}.")
    table, pairs = found[0]
    path.join(table, link.alias, here, [pairs])


def _out_of(
    path: Path, here: TableDef, names: set[str]
) -> list[tuple[TableDef, Pairs]]:
    """Return the links of which `names` are the columns on our side."""
    for name in names:
        here.column(name)
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
        there.column(name)
    return [
        (there, pairs)
        for pairs in _links(path.current.table, there)
        if {far for _, far in pairs} == names
    ]
