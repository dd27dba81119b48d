"""Which options the commands take, and how they are told of. Does nothing with them."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

import ermpoll


def parser() -> argparse.ArgumentParser:
    """Return the parser of the command ``ermpoll``; each command has its own in it."""
    made = argparse.ArgumentParser(
        prog="ermpoll", description=(ermpoll.__doc__ or "").partition("\n")[0]
    )
    made.add_argument(
        "--version", action="version", version=f"ermpoll {ermpoll.__version__}"
    )
    commands = made.add_subparsers(dest="command", required=True, metavar="COMMAND")
    _add_lab(commands)
    _add_sandbox(commands)
    _add_run(commands)
    _add_prove(commands)
    _add_adopt(commands)
    return made


if TYPE_CHECKING:
    _Commands = argparse._SubParsersAction[argparse.ArgumentParser]


def _add_lab(commands: _Commands) -> None:
    lab = commands.add_parser(
        "lab",
        help="start a sandbox and JupyterLab on the notebooks",
        usage="ermpoll lab [--catalog URL] [--no-browser] [-- JUPYTER OPTIONS]",
    )
    lab.set_defaults(parser=lab)
    lab.add_argument("--catalog", metavar="URL", help="the catalog for 05_real_catalog")
    lab.add_argument("--no-browser", action="store_true", help="only print the address")


def _add_sandbox(commands: _Commands) -> None:
    box = commands.add_parser(
        "sandbox",
        help="serve a small ERMrest until stopped",
        description="Serve a small ERMrest on this machine until stopped. The first"
        " line printed is JSON: url, amqp, pid.",
    )
    box.set_defaults(parser=box)
    for name in ("--port", "--amqp-port"):
        box.add_argument(
            name, type=int, default=0, metavar="P", help="0: any free one (default)"
        )
    box.add_argument("--data", metavar="FILE", help="keep the rows here")
    box.add_argument(
        "--token",
        metavar="T",
        help="the owner's; others are anonymous (default: $ERMPOLL_SANDBOX_TOKEN)",
    )
    box.add_argument(
        "--token-file", metavar="FILE", help="holds the token, which ps then can't show"
    )
    box.add_argument(
        "--user",
        action="append",
        default=[],
        metavar="NAME[:TOKEN][:GROUP,...]",
        help="another login, again for each; its token is its name by default",
    )
    box.add_argument(
        "--price",
        action="store_true",
        help="take as long for each request as a real service does; writers that "
        "overlap abort as there",
    )
    box.add_argument(
        "--control", action="store_true", help="let clients cause faults over HTTP"
    )


def _add_run(commands: _Commands) -> None:
    run = commands.add_parser(
        "run",
        help="run an agent without a notebook",
        description="Run an agent until it is told to stop (SIGTERM, Ctrl-C): it then"
        " finishes or releases what it holds. Exit code 0: fine; 1: a row failed; 2:"
        " the call can't be right; 3: the catalog, the login or the executor is not"
        " there.",
    )
    run.set_defaults(parser=run)
    run.add_argument("agent", metavar="MODULE:AGENT", help="e.g. tiles:agent")
    until = run.add_mutually_exclusive_group()
    until.add_argument(
        "--until-idle", action="store_true", help="end when no row is left to take"
    )
    until.add_argument("--once", action="store_true", help="one pass, then end")
    run.add_argument(
        "--stop-timeout",
        type=float,
        default=30,
        metavar="SECONDS",
        help="how long running work may go on after a stop (default 30)",
    )


def _add_prove(commands: _Commands) -> None:
    prove = commands.add_parser(
        "prove",
        help="hold a queue's history against what it was declared to be",
        description="Read the catalog's history, write nothing, and name each row that"
        " was held by two, finished without its token, left without a right,"
        " overwritten, orphaned or miscounted. Exit code 0: none; 1: some; 2: the call"
        " can't be right; 3: the catalog, its history or the login is not there.",
    )
    prove.set_defaults(parser=prove)
    prove.add_argument("queue", metavar="MODULE:QUEUE", help="e.g. tiles:jobs")
    prove.add_argument(
        "--since", required=True, metavar="WHEN", help="'24 h' ago, or a time with zone"
    )
    prove.add_argument("--until", metavar="WHEN", help="now by default")
    prove.add_argument(
        "--windows",
        type=int,
        metavar="N",
        help="read so many parts, and what they show to be missing; else all versions",
    )
    prove.add_argument(
        "--rate",
        type=float,
        default=5.0,
        metavar="N",
        help="requests a second at most (default 5)",
    )


def _add_adopt(commands: _Commands) -> None:
    adopt = commands.add_parser(
        "adopt",
        help="say which columns a table lacks to be a queue",
        description="Say which columns of a table claiming can use, what each buys, and"
        " how to add those that are missing. Only reads.",
    )
    adopt.set_defaults(parser=adopt)
    adopt.add_argument("url", metavar="URL", help="of the catalog")
    adopt.add_argument("table", metavar="TABLE", help="Schema:Table")
