"""Which rows an agent prefers and when it writes, where others do the same.

Open `spread` first: whose rows come first. `slot_keeper` finds out whether writers of
other machines are about, and which slot of the catalog's time is the own one then.
"""
