"""Where rows and models are kept: one SQLite database and its transactions.

Knows the file, the versions of catalogs and models, the SQLite tables behind a
model's tables, what a write changed, and the functions that SQLite lacks.

Not here: what a request asks (``query``, ``write``), and any text of a client:
tables and columns go by slots, so none ever becomes SQL.

Open `store` first; `tables` has the statements that make tables.
"""
