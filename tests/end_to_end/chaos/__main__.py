"""``python -m tests.end_to_end.chaos [--claims N] [--seed S] [--seconds T] ...``."""

from __future__ import annotations

import argparse
import random
import sys
import tempfile
from pathlib import Path

from tests.end_to_end.chaos.storm import Report, Setting, Storm


def tell(report: Report, setting: Setting) -> str:
    """Return a report as text."""
    lines = [f"  {name}: {n:,}" for name, n in sorted(report.counts.items())]
    lines += [f"  CRASH {crash}" for crash in report.crashes]
    lines += [f"  VIOLATION {violation}" for violation in report.violations[:20]]
    verdict = "broken" if report.violations or report.crashes else "kept"
    head = (
        f"seed {setting.seed}: promises {verdict}, {len(report.violations)} violations,"
        f" {report.seconds:.0f} s"
    )
    return "\n".join([head, *lines])


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="tests.end_to_end.chaos", description=__doc__)
    parser.add_argument("--claims", type=int, default=2000)
    parser.add_argument(
        "--seed", type=int, default=random.SystemRandom().getrandbits(32)
    )
    parser.add_argument(
        "--seconds", type=float, default=10.0, help="of storm, at least"
    )
    parser.add_argument("--agents", type=int, default=4)
    parser.add_argument(
        "--bare", action="store_true", help="nothing in a row says whose it is"
    )
    parser.add_argument("--planted", action="append", default=[], help="a fault")
    parser.add_argument(
        "--keep", type=Path, help="a folder for the record and the logs"
    )
    asked = parser.parse_args(argv)
    setting = Setting(
        claims=asked.claims,
        seed=asked.seed,
        agents=asked.agents,
        seconds=asked.seconds,
        owner=not asked.bare,
        planted=tuple(asked.planted),
        longest_s=max(asked.claims / 400, 60.0),
    )
    with tempfile.TemporaryDirectory() as temporary:
        folder = asked.keep or Path(temporary)
        folder.mkdir(exist_ok=True)
        report = Storm(setting, folder).run()
    sys.stdout.write(tell(report, setting) + "\n")
    return 1 if report.violations or report.crashes else 0


if __name__ == "__main__":
    sys.exit(main())
