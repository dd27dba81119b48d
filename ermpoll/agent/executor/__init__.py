"""What does an agent's work: own threads, and whether an executor can be relied on.

Open `daemon_pool` first: threads that never hold the interpreter. `breaker` says when
an executor that failed is tried again.
"""
