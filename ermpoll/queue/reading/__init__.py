"""How a queue's rows are asked for: which addresses, how far, with which rights.

It knows a queue's definition and the catalog's paths. It decides nothing of what
becomes of a row, and writes nothing. Open `queries` first; `reach` is what of a
filter lasts, `conditions` what a person asks of columns, `rights` which rows this
login may write, `tenses` the door to the past, `course` what was counted over time.
"""
