"""What a catalog is, apart from its rows: elements, types, identifiers, who asks.

Knows the records of schemas, tables, columns, keys and foreign keys; each column
type's way in and out; RIDs, snapshot ids and the clock; clients and their roles; and
what the ACLs let them do. All pure: no SQL, no HTTP, no files.

Not here: how documents describe a model (``schema``), how rows are kept (``store``).

Open `model` first; a new column type is one line of the table in `types`.
"""
