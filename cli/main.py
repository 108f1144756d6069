"""Makes `tt` of its commands, and turns errors into words and exit codes."""

from __future__ import annotations

import errno
import importlib.metadata
import os
import sys
from collections.abc import Sequence
from typing import Annotated, Final, NoReturn

import typer
from typer.exceptions import TyperException

from cli.commands.backlog import backlog_app
from cli.commands.demo import demo
from cli.commands.events import events, replay
from cli.commands.imports import import_app
from cli.commands.migrate import migrate
from cli.commands.plan import plan, sync_app
from cli.commands.projections import doctor, projector, rebuild, stats, verify
from cli.commands.tasks import assign, task_app, tasks
from cli.commands.towns import init, start, status, stop, towns
from cli.commands.trust import trust
from cli.commands.work import reclaim, wait, work
from cli.exits import Exit, exit_code
from cli.gate import close_gate
from cli.output import flush, going_on_unheard, say, say_abort, say_error, say_usage_error
from cli.signals import obey_stop_signals
from cli.tinytown_words import hint_for, in_our_words
from cli.work_command import WorkCommand
from ledger import LedgerError

_TOWNS = "Towns"
_TASKS = "Tasks"
_AGENTS = "Agents"
_PLANS = "Plans"
_PAST = "The past"
_READ_SIDE = "The read side"

_OUTPUT_REFUSALS: Final = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO})
"""What a full disk, a limit or a closed terminal makes of a write to stdout or stderr; files of ours have names in their errors."""

_TOLD_TO_STOP: Final = frozenset({"projector", "work"})
"""The commands that take stop signals themselves, also one that came before them."""

app = typer.Typer(
    name="tt",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode="rich",
    pretty_exceptions_enable=False,
    help="Tasks for coding agents, with a history: every change is an event in one Redis Stream per town.",
    epilog="Exit codes: 0 done, 1 refused or not found, 2 usage, 3 version conflict, 4 server unavailable, 5 ledger damaged.",
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _show_version(is_asked: bool) -> None:
    if is_asked:
        say(f"tt {importlib.metadata.version('tinytown-ledger')}")
        raise typer.Exit


@app.callback()
def callback(
    context: typer.Context,
    *,
    version: Annotated[
        bool, typer.Option("--version", callback=_show_version, is_eager=True, help="Print the version and exit.")
    ] = False,
) -> None:
    """Tasks for coding agents, with a history: every change is an event in one Redis Stream per town."""
    del version  # Its own callback has shown it.
    if context.invoked_subcommand not in _TOLD_TO_STOP:
        obey_stop_signals()


app.command(rich_help_panel=_TASKS)(assign)
app.command(rich_help_panel=_TASKS)(tasks)
app.add_typer(task_app, name="task", rich_help_panel=_TASKS)
app.add_typer(backlog_app, name="backlog", rich_help_panel=_TASKS)
app.command(cls=WorkCommand, rich_help_panel=_AGENTS)(work)
app.command(rich_help_panel=_AGENTS)(wait)
app.command(rich_help_panel=_AGENTS)(reclaim)
app.command(rich_help_panel=_PLANS)(plan)
app.add_typer(sync_app, name="sync", rich_help_panel=_PLANS)
app.command(rich_help_panel=_PAST)(events)
app.command(rich_help_panel=_PAST)(replay)
app.add_typer(import_app, name="import", rich_help_panel=_PAST)
app.command(rich_help_panel=_PAST)(stats)
app.command(rich_help_panel=_READ_SIDE)(projector)
app.command(rich_help_panel=_READ_SIDE)(rebuild)
app.command(rich_help_panel=_READ_SIDE)(verify)
app.command(rich_help_panel=_READ_SIDE)(doctor)
app.command(rich_help_panel=_TOWNS)(init)
app.command(rich_help_panel=_TOWNS)(towns)
app.command(rich_help_panel=_TOWNS)(start)
app.command(rich_help_panel=_TOWNS)(stop)
app.command(rich_help_panel=_TOWNS)(status)
app.command(rich_help_panel=_TOWNS)(trust)
app.command(rich_help_panel=_TOWNS)(migrate)
app.command(rich_help_panel=_TOWNS)(demo)


def main(arguments: Sequence[str] | None = None) -> None:
    """The program `tt`; ends with SystemExit. `arguments` are those after the program's name, None takes the process's."""
    close_gate()
    words = in_our_words(sys.argv[1:] if arguments is None else arguments)
    hint = hint_for(words)
    if hint is not None:
        _leave(hint, Exit.USAGE)
    try:
        # Not left to Typer, which would say a mistake in the words it was made in.
        code = app(words, prog_name="tt", standalone_mode=False)
    except TyperException as error:
        say_usage_error(error)
        sys.exit(error.exit_code)
    except typer.Abort:
        say_abort()
        sys.exit(Exit.REFUSED)
    except LedgerError as error:
        _leave("\n".join([str(error), *getattr(error, "__notes__", ())]), exit_code(error))
    except Exception as error:
        if isinstance(error, OSError) and error.filename is None and error.errno in _OUTPUT_REFUSALS:
            _leave(
                f"The output cannot be written: {error.strerror}. What the command was to do may be done:"
                " look before you repeat it, and write to another place.",
                Exit.UNHEARD,
            )
        if os.environ.get("TT_TRACEBACK"):
            raise
        _leave(
            f"Something unexpected happened: {type(error).__name__}: {error}."
            " Look with `tt events` whether it was done before you repeat it. Set TT_TRACEBACK=1 to see where it happened.",
            Exit.UNEXPECTED,
        )
    sys.exit(code or Exit.DONE)


def _leave(message: str, code: Exit) -> NoReturn:
    with going_on_unheard():
        flush()
    with going_on_unheard(is_error=True):
        say_error(message)
    sys.exit(code)


if __name__ == "__main__":
    main()
