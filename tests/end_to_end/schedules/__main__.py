"""``python -m tests.end_to_end.schedules --seed N [--seeds K] [--page FILE]``.

Plays K seeds. The page shows the last broken one, or the only one.
"""

from __future__ import annotations

import argparse
import logging
import sys
import time
from collections import Counter
from pathlib import Path

from tests.end_to_end.schedules.play import Played, play


def tell(played: Played) -> str:
    """Say what a seed broke, and how to see it again."""
    again = f"python -m tests.end_to_end.schedules --seed {played.seed}"
    lines = [f"seed {played.seed} is broken; again by: {again}"]
    lines.append(f"  and as a page by: {again} --page seed.html")
    return "\n".join([*lines, *(f"  {line}" for line in played.broken[:10])])


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="tests.end_to_end.schedules")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--seeds", type=int, default=1)
    parser.add_argument("--page", type=Path, help="write the seed as HTML to FILE")
    asked = parser.parse_args(argv)
    # one seed is looked at closely
    level = logging.INFO if asked.seeds == 1 else logging.CRITICAL
    logging.basicConfig(level=level, stream=sys.stdout, format="%(message)s")
    begun, broken, counts = time.monotonic(), 0, Counter[str]()
    for seed in range(asked.seed, asked.seed + asked.seeds):
        played = play(seed, shown=asked.page is not None)
        if asked.page is not None and (played.broken or asked.seeds == 1):
            asked.page.write_text(played.page, encoding="utf-8")
        counts.update(played.counts)
        if played.broken:
            broken += 1
            sys.stdout.write(f"{tell(played)}\n")
    took_s = time.monotonic() - begun
    lines = [f"  {name}: {n:,}" for name, n in sorted(counts.items())]
    lines.append(f"{asked.seeds} seeds, {broken} broken, {took_s:.1f} s")
    sys.stdout.write("\n".join([*lines, ""]))
    return 1 if broken else 0


if __name__ == "__main__":
    sys.exit(main())
