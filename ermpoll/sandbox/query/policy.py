"""Row policies: what ACL bindings let a client see and change, as SQL.

A binding projects a column from a row, by way of foreign keys and filters. The row is
granted where such a value is there and, for an ACL, holds a role of the client.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from ermpoll.sandbox.errors import bad_request, conflict
from ermpoll.sandbox.model.access import binding_grants, bindings_of
from ermpoll.sandbox.model.acls import Rights
from ermpoll.sandbox.model.model import ColumnDef, ForeignKey, TableDef
from ermpoll.sandbox.query import filters, syntax
from ermpoll.sandbox.query.scope import Instance, Path, equalities, fkey_pairs

_OPERATORS = {
    "=": "=",
    "lt": "<",
    "leq": "<=",
    "gt": ">",
    "geq": ">=",
    "regexp": "regexp",
    "ciregexp": "ciregexp",
}


def visible_rows(path: Path, instance: Instance) -> str:
    """Return the SQL of an instance's rows, without what the client may not read."""
    rights, table = path.rights, instance.table
    masked = [
        column
        for column in table.columns.values()
        if is_restricted(rights, table, column, "select")
    ]
    by_row = rights.table(table, "select") is None
    if not path.guarded or not (by_row or masked):
        return path.rows_of(instance)
    inner = Instance(table=table, label=f"{instance.label}r")
    slots = ", ".join(
        f"{_masked(path, inner, column)} AS {column.slot}"
        if column in masked
        else column.slot
        for column in table.columns.values()
    )
    where = f" WHERE {granted(path, inner, 'select')}" if by_row else ""
    return f"(SELECT {slots} FROM {path.rows_of(inner)}{where}) AS {instance.label}"


def _masked(path: Path, inner: Instance, column: ColumnDef) -> str:
    condition = cell_granted(path, inner, column, "select")
    return f"CASE WHEN {condition} THEN {inner.sql(column)} END"


def is_restricted(
    rights: Rights, table: TableDef, column: ColumnDef, right: str
) -> bool:
    """Return whether a column's own policy gives less than that of its table."""
    if rights.column(table, column, right) is not None:
        return False
    if rights.table(table, right):
        return True
    return any(name in column.acl_bindings for name in table.acl_bindings)


def granted(path: Path, base: Instance, right: str) -> str:
    """Return the SQL that is true for the rows to which the client has a right."""
    decision = path.rights.table(base.table, right)
    if decision is not None:
        return str(int(decision))
    return _any_of(path, base, right, base.table.acl_bindings.values())


def cell_granted(path: Path, base: Instance, column: ColumnDef, right: str) -> str:
    """Return the SQL that is true where the client has a right to one column."""
    decision = path.rights.column(base.table, column, right)
    if decision is not None:
        return str(int(decision))
    return _any_of(path, base, right, bindings_of(base.table, column).values())


def link_granted(path: Path, base: Instance, fkey: ForeignKey, right: str) -> str:
    """Return the SQL that is true for the rows that a foreign key may refer to."""
    return _any_of(path, base, right, fkey.acl_bindings.values())


def _any_of(path: Path, base: Instance, right: str, bindings: Iterable[Any]) -> str:
    parts = [
        _projected(path, base, binding)
        for binding in bindings
        if binding_grants(binding, right, path.rights.roles)
    ]
    return f"COALESCE({' OR '.join(parts)}, 0)" if parts else "0"


def _projected(outer: Path, base: Instance, binding: Mapping[str, Any]) -> str:
    """Return the SQL that is true where a binding's projection finds the client."""
    path, tables, column = _resolved(outer, base, binding)
    sql = path.current.sql(column)
    if binding["projection_type"] == "acl":
        roles = ", ".join(path.bind(role) for role in sorted(path.rights.roles))
        if column.type.array:
            sql = f"EXISTS (SELECT 1 FROM json_each({sql}) WHERE value IN ({roles}))"
        else:
            sql = f"{sql} IN ({roles})"
    else:
        sql = f"{sql} IS NOT NULL"
    where = " AND ".join([*path.conditions, sql])
    if not tables:
        return f"({where})"
    return f"EXISTS (SELECT 1 FROM {', '.join(tables)} WHERE {where})"


def _resolved(
    outer: Path, base: Instance, binding: Mapping[str, Any]
) -> tuple[Path, list[str], ColumnDef]:
    """Return a projection's path, its tables but the base, and its last column."""
    path = Path(
        rights=outer.rights,
        trusted=True,
        at=outer.at,
        prefix=f"{base.label}p",
        parameters=outer.parameters,
    )
    path.instances.append(base)
    path.aliases["base"] = path.current = base
    tables: list[str] = []
    steps = binding["projection"]
    steps = [steps] if isinstance(steps, str) else steps
    if not isinstance(steps, list) or not steps or not isinstance(steps[-1], str):
        raise bad_request("A projection ends with the name of a column.")
    for step in steps[:-1]:
        if not isinstance(step, dict):
            raise bad_request("A projection's step must be an object.")
        if "inbound" in step or "outbound" in step:
            tables.append(_joined(path, step))
        else:
            path.conditions.append(filters.compiled(path, _filter(step)))
    return path, tables, path.current.table.column(steps[-1])


def _joined(path: Path, step: Mapping[str, Any]) -> str:
    """Follow a foreign key by its name and return the SQL of the table it leads to."""
    context, alias = step.get("context"), step.get("alias")
    for name in (context, alias):
        if not isinstance(name, str | None):
            raise bad_request("An alias must be a text.")
    if context is not None:
        if context not in path.aliases:
            raise conflict(f"The alias {context[:80]!r} is not bound.")
        path.current = path.aliases[context]
    inbound = step.get("inbound") is not None
    pair = step.get("inbound" if inbound else "outbound")
    if not (isinstance(pair, list) and [type(item) for item in pair] == [str, str]):
        raise bad_request("A foreign key is named by its schema and its own name.")
    here = path.current
    origin, fkey = _fkey_named(path, here.table, (pair[0], pair[1]), inbound)
    target = origin if inbound else path.model.table(*fkey.ref_table)
    there = path.add(target, alias)
    pairs = fkey_pairs(fkey.columns, fkey.ref_columns, inbound=inbound)
    path.conditions.append(equalities(here, there, pairs))
    return path.rows_of(there)


def _fkey_named(
    path: Path, table: TableDef, name: tuple[str, str], inbound: bool
) -> tuple[TableDef, ForeignKey]:
    if inbound:
        choices = path.model.references_to(table)
    else:
        choices = [(table, fkey) for fkey in table.fkeys]
    for origin, fkey in choices:
        if (origin.schema, fkey.name) == name:
            return origin, fkey
    raise conflict(f"No foreign key {name[1][:80]!r} is connected to {table.title}.")


def _filter(doc: Any) -> syntax.Filter:
    """Return the filter that a projection's document means, or refuse (400)."""
    if not isinstance(doc, dict):
        raise bad_request("A filter must be an object.")
    for word, joint in (("and", "AND"), ("or", "OR")):
        if word in doc:
            if not isinstance(doc[word], list) or not doc[word]:
                raise bad_request(f"{word!r} needs a list of filters.")
            operands = tuple(_filter(item) for item in doc[word])
            return _negated(doc, syntax.Junction(word=joint, operands=operands))  # type: ignore[arg-type]
    if "filter" not in doc:
        raise bad_request("A filter must be 'and', 'or' or 'filter'.")
    column, operator = _filter_column(doc["filter"]), doc.get("operator", "=")
    if operator == "null":
        return _negated(doc, syntax.IsNull(column=column))
    if not isinstance(operator, str) or operator not in _OPERATORS:
        raise bad_request(f"There is no operator {str(operator)[:80]!r}.")
    compare = syntax.Compare(
        column=column,
        operator=_OPERATORS[operator],
        values=(_operand(doc.get("operand", "")),),
    )
    return _negated(doc, compare)


def _operand(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(value)


def _negated(doc: Mapping[str, Any], item: syntax.Filter) -> syntax.Filter:
    return syntax.Not(operand=item) if doc.get("negate") else item


def _filter_column(name: Any) -> syntax.Name:
    parts = [name] if isinstance(name, str) else name
    if isinstance(parts, list) and parts and parts[0] is None:
        parts = parts[1:]
    if (
        not isinstance(parts, list)
        or len(parts) not in (1, 2)
        or not all(isinstance(part, str) for part in parts)
    ):
        raise bad_request("A filter names a column, or an alias and a column.")
    return tuple(parts)


def completed(
    rights: Rights, table: TableDef, types: Iterable[str], doc: Any
) -> dict[str, Any]:
    """Return a binding's document with all its members, or refuse (400, 409).

    Parameters
    ----------
    table
        The table whose rows the projection begins with.
    types
        The kinds of access that can be bound to the element.
    """
    if not isinstance(doc, dict):
        raise bad_request("A binding must be an object, or false.")
    _check_members(doc, tuple(types))
    path = Path(rights=rights, trusted=True)
    _, _, column = _resolved(path, Instance(table=table, label="i0"), doc)
    kind = doc.get("projection_type")
    if kind == "acl" and column.type.scalar != "text":
        raise conflict(f"The column {column.name} holds no ACL.")
    if kind is None:
        kind = "acl" if column.type.scalar == "text" else "nonnull"
    return {"scope_acl": ["*"], **doc, "projection_type": kind}


def _check_members(doc: Mapping[str, Any], types: tuple[str, ...]) -> None:
    def texts(value: Any) -> bool:
        return (
            isinstance(value, list)
            and bool(value)
            and all(isinstance(item, str) for item in value)
        )

    checks = {
        "types": lambda value: texts(value) and set(value) <= set(types),
        "projection": lambda value: True,
        "projection_type": lambda value: value in ("acl", "nonnull"),
        "comment": lambda value: isinstance(value, str),
        "scope_acl": texts,
    }
    for name, value in doc.items():
        if name not in checks or not checks[name](value):
            raise bad_request(f"The member {name[:80]!r} of a binding is not right.")
    for name in ("types", "projection"):
        if name not in doc:
            raise bad_request(f"A binding needs {name!r}.")
