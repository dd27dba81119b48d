"""Keep a console open under load, and print what memory it takes.

``python -m tests.end_to_end.browser.soak [--minutes 15]``: an agent of four workers,
new rows all the time, one in twenty of which fails. Each minute a line: what the page's
JavaScript holds after a collection, how many nodes it has, and what the kernel takes.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from pathlib import Path

from tests.end_to_end.browser.lab import Book, chromium, lab, opened
from tests.helpers.conditions import let_pass

CELLS = [
    "import random\nimport ermpoll\n"
    "from tests.helpers.conditions import let_pass\n"
    "box = ermpoll.sandbox.start()\njobs = box.jobs()",
    "def convert(row):\n"
    "    let_pass(random.uniform(0.02, 0.2))\n"
    "    if random.random() < 0.05:\n"
    "        raise ValueError(f'no such series {random.randint(1, 9)}')\n"
    "console = ermpoll.console(jobs, convert, workers=4, notices=box.amqp_url)\n"
    "console",
    "console.start();",
]
FEED = "box.add(random.randint(20, 60))"
KERNEL = """with open('/proc/self/status') as file:
    print(next(line.split()[1] for line in file if line.startswith('VmRSS')))"""


def measured(book: Book) -> str:
    """What the page and the kernel take now."""
    page = book.page.context.new_cdp_session(book.page)
    page.send("HeapProfiler.collectGarbage")
    page.send("Performance.enable")
    told = {
        one["name"]: one["value"]
        for one in page.send("Performance.getMetrics")["metrics"]
    }
    page.detach()
    kernel_mb = int(book.execute(KERNEL)) / 1024
    done = book.execute("print(console.agent.status.completed)").strip()
    return (
        f"{told['JSHeapUsedSize'] / 1e6:6.1f} MB of JavaScript,"
        f" {told['Nodes']:7,.0f} nodes, {kernel_mb:6.1f} MB of the kernel, {done} done"
    )


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--minutes", type=float, default=15)
    asked = parser.parse_args(argv)
    with tempfile.TemporaryDirectory() as home, chromium() as browser:
        books = Path(home, "books")
        books.mkdir()
        with lab(books, Path(home, "settings")) as running:
            running.write("soak.ipynb", CELLS)
            with opened(browser, running, "soak.ipynb", height=1600) as book:
                book.run_all()
                begun = time.monotonic()
                while (passed_s := time.monotonic() - begun) <= asked.minutes * 60:
                    sys.stdout.write(f"{passed_s / 60:5.1f} min: {measured(book)}\n")
                    sys.stdout.flush()
                    for _ in range(12):
                        book.execute(FEED)
                        let_pass(4.5)
    return 0


if __name__ == "__main__":
    sys.exit(main())
