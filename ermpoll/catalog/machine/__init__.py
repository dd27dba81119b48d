"""What the processes of one user on one machine have in common: files that they lock.

Open `lock_file` first: a file that comes and goes, and that one at a time has. `seats`
says who prefers which share of a table's rows.
"""
