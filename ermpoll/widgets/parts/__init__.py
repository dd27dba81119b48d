"""What several panels are made of: tables whose rows can be picked, tasks, files.

They know no panel. Open `row_table` first.
"""
