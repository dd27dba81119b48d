"""From the text of a data URL to SQL that reads.

Knows ERMrest's path language (``grammar.lark``), its records (`syntax`) and what
they mean in a model: instances, joins, filters, outputs, order and pages.

Not here: writing (``write``), representations and headers (``http``).

Open `select` first; the records it reads are in `syntax`. A filter operator
is parsed in `parser` and compiled in `filters`.
"""
