"""The command ``ermpoll``: reads arguments and hands over; knows no rules.

Exit codes: 0 done or stopped, 1 a row failed or history was not right, 2 the call can't
be right, 3 what it needs (catalog, login, executor, history) is not there.
"""

from __future__ import annotations

import argparse
import importlib
import logging
import os
import signal
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, TypeVar

import ermpoll
from ermpoll.command_options import parser
from ermpoll.errors import CatalogError, ErmpollError, ExecutorError, UsageError
from ermpoll.redact import printable

if TYPE_CHECKING:
    from ermpoll.history import ReadingProgress

_STOP_SIGNALS = tuple(
    getattr(signal, name)
    for name in ("SIGTERM", "SIGHUP", "SIGINT")
    if hasattr(signal, name)
)
#: What people call them in their modules.
_NAMED = {"Agent": "agent", "Queue": "jobs"}
#: Seconds behind the stop time-out for whoever waits by it to end by itself.
_MARGIN_S = 1.5


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command and return its exit code.

    Parameters
    ----------
    argv
        The arguments after the command's name; None takes those of the process.
    """
    words = list(sys.argv[1:] if argv is None else argv)
    words, rest = _split(words)
    options, unknown = parser().parse_known_args(words)
    if unknown:
        # by the command, whose usage it shows
        options.parser.error(f"unrecognized arguments: {' '.join(unknown)}")
    if rest and options.command != "lab":
        parser().error(f"only `ermpoll lab` takes options after --: {' '.join(rest)}")
    try:
        return int(_COMMANDS[options.command](options, rest))
    except ErmpollError as error:
        print(f"ermpoll {options.command}: {printable(str(error))}", file=sys.stderr)
        return 3 if isinstance(error, (CatalogError, ExecutorError)) else 2


def _split(words: list[str]) -> tuple[list[str], list[str]]:
    """Our own arguments, and those behind ``--``."""
    if "--" not in words:
        return words, []
    place = words.index("--")
    return words[:place], words[place + 1 :]


def _lab(options: argparse.Namespace, rest: list[str]) -> int:
    from ermpoll import lab

    if options.catalog:
        os.environ["ERMPOLL_CATALOG"] = options.catalog
    _raise_on(signal.SIGTERM, getattr(signal, "SIGHUP", signal.SIGTERM))
    try:
        return lab.run(rest, browser=not options.no_browser, say=_say)
    except KeyboardInterrupt:
        return 0


def _raise_on(*signals: signal.Signals) -> None:
    """Let these signals do what Ctrl-C does."""
    for number in signals:
        signal.signal(number, signal.default_int_handler)


def _sandbox(options: argparse.Namespace, rest: list[str]) -> int:
    try:
        from ermpoll.sandbox.process import serve
    except ModuleNotFoundError as error:
        if error.name and error.name.startswith("ermpoll"):
            raise
        raise UsageError(
            f"the sandbox needs {error.name}, which is not installed."
            ' Install it with: pip install "ermpoll[lab]"'
        ) from error
    return serve(
        port=options.port,
        amqp_port=options.amqp_port,
        data=options.data,
        token=options.token,
        token_file=options.token_file,
        users=options.user,
        price=options.price,
        control=options.control,
    )


def _run(options: argparse.Namespace, rest: list[str]) -> int:
    logging.basicConfig(
        level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s: %(message)s"
    )
    # each connection is ten lines of it, and what is wrong our own status says
    logging.getLogger("pika").setLevel(logging.WARNING)
    # at each end it takes the answer to its own cancel for an error
    logging.getLogger("pika.channel").setLevel(logging.CRITICAL)
    agent = find(options.agent, ermpoll.Agent)
    timeout_s = options.stop_timeout
    with _interrupted_by_signals(lambda: _end_in(timeout_s + _MARGIN_S)) as signals:
        try:
            if options.once:
                agent.run_once(stop_timeout_s=timeout_s)
            else:
                agent.run(until_idle=options.until_idle, stop_timeout_s=timeout_s)
        except KeyboardInterrupt:
            # the second one: the agent has given back what still runs
            signals.append(signal.SIGINT)
        summary = agent.summary
        _say(str(summary))
        if signals and summary.running:
            # Python would wait for it for ever
            logging.shutdown()
            sys.stdout.flush()
            os._exit(0)
    return 0 if signals else summary.exit_code


def _end_in(seconds: float) -> None:
    """End the process by then, whatever holds it: work, an executor, a listener."""

    def end() -> None:
        os._exit(0)

    timer = threading.Timer(seconds, end)
    timer.daemon = True
    timer.start()


def _adopt(options: argparse.Namespace, rest: list[str]) -> int:
    from ermpoll import adopt

    catalog = ermpoll.connect(options.url, read_only=True)
    _say(adopt.report(catalog, options.table))
    return 0


def _prove(options: argparse.Namespace, rest: list[str]) -> int:
    jobs = find(options.queue, ermpoll.Queue)
    shown = sys.stderr.isatty()

    def progress(at: ReadingProgress) -> None:
        of = f" of {at.of:,}" if at.of else ""
        if shown:
            print(f"\r{at.text}: {at.done:,}{of}\033[K", end="", file=sys.stderr)

    proof = jobs.prove(
        options.since,
        options.until,
        windows=options.windows,
        rate=options.rate,
        progress=progress,
    )
    if shown:
        print("\r\033[K", end="", file=sys.stderr)
    for told in (*str(proof).splitlines(), *proof.told):
        _say(printable(told))
    return 0 if proof else 1


T = TypeVar("T")


def find(text: str, kind: type[T]) -> T:
    """Import the agent or queue that ``MODULE:NAME`` names.

    The directory where the command runs counts as a place to import from.

    Raises
    ------
    UsageError
        The text is not of that form, or there is no such module or object.
    """
    module_name, colon, name = text.partition(":")
    word = kind.__name__
    if not (module_name and colon and name):
        raise UsageError(
            f"expected MODULE:{word.upper()}, such as tiles:{_NAMED[word]}; found "
            f"{text!r}"
        )
    if os.getcwd() not in sys.path:
        sys.path.insert(0, os.getcwd())
    try:
        module = importlib.import_module(module_name)
    except ModuleNotFoundError as error:
        if error.name != module_name.partition(".")[0] and error.name != module_name:
            raise
        raise UsageError(
            f"expected a module {module_name!r} here or installed, found none."
            f" Run the command in the directory of {module_name}.py"
        ) from error
    found = getattr(module, name, None)
    if not isinstance(found, kind):
        what = "nothing" if found is None else f"a {type(found).__name__}"
        raise UsageError(
            f"expected an ermpoll.{word} as {name!r} in {module_name}, found {what}."
            " Assign one to that name"
        )
    return found


@contextmanager
def _interrupted_by_signals(
    first: Callable[[], object] = lambda: None,
) -> Iterator[list[int]]:
    """Let the signals that stop a service do what Ctrl-C does; yields those that came.

    One that was ignored when the command began (``nohup``) stays ignored, and a child
    of work's own ends by them as without us. ``first`` is called at the first one.
    """
    came: list[int] = []
    here = os.getpid()

    def interrupt(number: int, frame: object) -> None:
        if os.getpid() != here:
            signal.signal(number, before[number])
            os.kill(os.getpid(), number)
            return
        if not came:
            first()
        came.append(number)
        raise KeyboardInterrupt

    heard = {number: signal.getsignal(number) for number in _STOP_SIGNALS}
    ignored = (signal.SIG_IGN, None)
    before = {number: old for number, old in heard.items() if old not in ignored}
    for number in before:
        signal.signal(number, interrupt)
    try:
        yield came
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _say(text: str) -> None:
    print(text, flush=True)


_COMMANDS = {
    "lab": _lab,
    "sandbox": _sandbox,
    "run": _run,
    "prove": _prove,
    "adopt": _adopt,
}
