"""How models are described, made and changed.

Knows model documents in both directions, the addresses of model elements, and what
creating, altering and dropping do to a model and to the tables behind it; catalogs
as a whole, too.

Not here: the records of a model (``model``), and requests (``http``).

Open `create` first: `reader` reads what comes in, `documents`
writes what goes out.
"""
