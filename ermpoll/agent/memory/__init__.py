"""What an agent remembers of its life, in bounded memory, and asks no catalog for.

It decides nothing and writes nothing. Open `metrics` first: how much, how fast, for how
long. `durations` is a
histogram, `attempts` what failed, with tracebacks.
"""
