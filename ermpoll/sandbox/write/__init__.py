"""What POST, PUT and DELETE do to rows.

Knows the columns of bodies, keys and foreign keys with their actions, system columns,
and the four kinds of writes, each prepared once for an address and then run.

Not here: how a body is read or an answer is written (``http``), and reading rows
(``query``).

Open `rows` first: it alone changes rows. `insert` and `update` say
which.
"""
