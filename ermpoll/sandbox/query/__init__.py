"""From the text of a data URL to SQL that reads.

Knows ERMrest's path language (``grammar.lark``), its records (``syntax.py``) and what
they mean in a model: instances, joins, filters, outputs, order and pages.

Not here: writing (``write``), representations and headers (``http``).

Open ``grammar.lark`` and ``syntax.py`` first, then ``select.py``. A filter operator
is parsed in ``parser.py`` and compiled in ``filters.py``.
"""
