"""The command tree of `tt` for Typer: the names of the commands, their panels in `--help`, and the function of each.

A command's module is imported only when that command runs, or when all are shown. `cli.calls` parses the common command
lines without Typer; all others are parsed, run and explained here.
"""

from __future__ import annotations

import importlib.metadata
import inspect
import os
import re
import sys
from collections.abc import Callable, Mapping, Sequence
from functools import cache, wraps
from importlib import import_module
from typing import Annotated, Any, Final, get_type_hints

import typer
from typer.exceptions import TyperException

from cli import options
from cli.command_line import Command
from cli.exits import Exit, UsageError
from cli.output import flush, say, say_abort, say_lines, say_usage_error
from cli.shells import SHELLS, script_of, with_shell
from cli.signals import obey_stop_signals

_TOWNS: Final = "Towns"
_TASKS: Final = "Tasks"
_AGENTS: Final = "Agents"
_PLANS: Final = "Plans"
_PAST: Final = "History"
_READ_SIDE: Final = "Snapshots and views"

PANELS: Final[Mapping[str, str]] = {
    "assign": _TASKS,
    "tasks": _TASKS,
    "task": _TASKS,
    "search": _TASKS,
    "backlog": _TASKS,
    "ready": _TASKS,
    "blocked": _TASKS,
    "critical-path": _TASKS,
    "next": _AGENTS,
    "work": _AGENTS,
    "prime": _AGENTS,
    "mcp": _AGENTS,
    "serve": _PAST,
    "ask": _AGENTS,
    "answer": _AGENTS,
    "inbox": _AGENTS,
    "wait": _AGENTS,
    "reclaim": _AGENTS,
    "plan": _PLANS,
    "sync": _PLANS,
    "log": _PAST,
    "events": _PAST,
    "replay": _PAST,
    "undo": _PAST,
    "fork": _PAST,
    "annotate": _PAST,
    "export": _PAST,
    "diff": _PAST,
    "blame": _PAST,
    "why": _PAST,
    "bisect": _PAST,
    "import": _PAST,
    "save": _PAST,
    "restore": _PAST,
    "stats": _PAST,
    "projector": _READ_SIDE,
    "rebuild": _READ_SIDE,
    "recover": _READ_SIDE,
    "verify": _READ_SIDE,
    "doctor": _READ_SIDE,
    "init": _TOWNS,
    "towns": _TOWNS,
    "start": _TOWNS,
    "stop": _TOWNS,
    "status": _TOWNS,
    "trust": _TOWNS,
    "migrate": _TOWNS,
    "move-town": _TOWNS,
    "demo": _TOWNS,
}
"""Every first word and its panel, in the order of `tt --help`."""

GROUPS: Final[Mapping[str, str]] = {
    "task": "Create, look at and change tasks.",
    "backlog": "Pending tasks without an agent: add, list, claim, assign-all, remove.",
    "sync": "Bring a plan into the town, and the town's changes into the plan.",
    "import": "Import a ledger's file, or the tasks of another tracker.",
}
"""The groups of commands, and the help of each."""

PLACES: Final[Mapping[tuple[str, ...], tuple[str, str]]] = {
    ("assign",): ("tasks", "assign"),
    ("tasks",): ("tasks", "tasks"),
    ("task", "create"): ("tasks", "create"),
    ("task", "show"): ("tasks", "show"),
    ("task", "list"): ("tasks", "list_"),
    ("task", "tree"): ("tasks", "tree"),
    ("task", "current"): ("tasks", "current"),
    ("task", "assign"): ("tasks", "assign_existing"),
    ("task", "start"): ("tasks", "start"),
    ("task", "complete"): ("tasks", "complete"),
    ("task", "fail"): ("tasks", "fail"),
    ("task", "cancel"): ("tasks", "cancel"),
    ("task", "requeue"): ("tasks", "requeue"),
    ("task", "reopen"): ("tasks", "reopen"),
    ("task", "edit"): ("tasks", "edit"),
    ("task", "tag"): ("tasks", "tag"),
    ("task", "move"): ("tasks", "move"),
    ("task", "needs"): ("links", "needs"),
    ("task", "link"): ("links", "link"),
    ("task", "unlink"): ("links", "unlink"),
    ("task", "prioritise"): ("times", "prioritise"),
    ("task", "schedule"): ("times", "schedule"),
    ("task", "note"): ("tasks", "note"),
    ("task", "remove"): ("tasks", "remove"),
    ("task", "history"): ("tasks", "history"),
    ("search",): ("search", "search"),
    ("backlog", "add"): ("backlog", "add"),
    ("backlog", "list"): ("backlog", "list_"),
    ("backlog", "claim"): ("backlog", "claim"),
    ("backlog", "assign-all"): ("backlog", "assign_all"),
    ("backlog", "remove"): ("backlog", "remove"),
    ("ready",): ("ready", "ready"),
    ("blocked",): ("ready", "blocked"),
    ("critical-path",): ("ready", "critical_path"),
    ("next",): ("ready", "next_"),
    ("work",): ("work", "work"),
    ("prime",): ("prime", "prime"),
    ("mcp",): ("mcp", "mcp"),
    ("serve",): ("serve", "serve"),
    ("ask",): ("questions", "ask"),
    ("answer",): ("questions", "answer"),
    ("inbox",): ("questions", "inbox"),
    ("wait",): ("work", "wait"),
    ("reclaim",): ("work", "reclaim"),
    ("plan",): ("plan", "plan"),
    ("sync", "push"): ("plan", "push"),
    ("sync", "pull"): ("plan", "pull"),
    ("sync", "status"): ("plan", "status"),
    ("log",): ("log", "log"),
    ("events",): ("events", "events"),
    ("replay",): ("events", "replay"),
    ("export",): ("exports", "export"),
    ("import", "ledger"): ("imports", "ledger"),
    ("undo",): ("undo", "undo"),
    ("fork",): ("fork", "fork"),
    ("annotate",): ("annotate", "annotate"),
    ("diff",): ("audit", "diff"),
    ("blame",): ("audit", "blame"),
    ("why",): ("audit", "why"),
    ("bisect",): ("bisect", "bisect"),
    ("import", "beads"): ("imports", "beads"),
    ("save",): ("exports", "save"),
    ("restore",): ("imports", "restore"),
    ("stats",): ("stats", "stats"),
    ("projector",): ("projections", "projector"),
    ("rebuild",): ("projections", "rebuild"),
    ("recover",): ("recover", "recover"),
    ("verify",): ("projections", "verify"),
    ("doctor",): ("projections", "doctor"),
    ("init",): ("towns", "init"),
    ("towns",): ("towns", "towns"),
    ("start",): ("towns", "start"),
    ("stop",): ("towns", "stop"),
    ("status",): ("towns", "status"),
    ("trust",): ("trust", "trust"),
    ("migrate",): ("migrate", "migrate"),
    ("move-town",): ("moving", "move"),
    ("demo",): ("demo", "demo"),
}
"""The words of every command -> the module of `cli.commands` and the function in it, in the order of the groups' help."""

_TOLD_TO_STOP: Final = frozenset({"projector", "reclaim", "work"})
"""The commands that handle stop signals themselves, including one that came before they started."""
_TAKE_AWAY: Final = frozenset({"remove", "restore"})


def run(words: Sequence[str]) -> int:
    """Run the command that `words` name, and return the exit code. Mistakes in them are printed."""
    try:
        # Not left to Typer, which would print a mistake with its control characters.
        words = with_shell(words, os.environ.get("SHELL"))
        return app_for(words)(words, prog_name="tt", standalone_mode=False) or Exit.DONE
    except TyperException as error:
        say_usage_error(error, _where_it_is(error.format_message()))
        return error.exit_code
    except typer.Abort:
        say_abort()
        return Exit.REFUSED


def _where_it_is(message: str) -> str | None:
    """For a command that is not where it was looked for: where commands of that name are. None is named that takes something away."""
    unknown = re.match(r"No such command '([\w-]+)'", message)
    if unknown is None or unknown[1] in _TAKE_AWAY:
        return None
    found = [f"`tt {' '.join(names)}`" for names in PLACES if names[-1] == unknown[1]]
    return f"{unknown[0]}. There is {' and '.join(found)}." if found else None


def app_for(words: Sequence[str] = ()) -> typer.Typer:
    """`tt` with the one command that `words` name, or with all commands for help and mistakes."""
    found = [names for names in (tuple(words[:1]), tuple(words[:2])) if names in PLACES]
    return _app_with(tuple(found) or tuple(PLACES))


@cache
def _app_with(chosen: tuple[tuple[str, ...], ...]) -> typer.Typer:
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
    app.callback()(_before_every_command)
    for first, panel in PANELS.items():
        below = [names for names in chosen if names[0] == first]
        if not below:
            continue
        if first not in GROUPS:
            app.command(first, cls=_class_of(first), rich_help_panel=panel)(_body(below[0]))
            continue
        group = typer.Typer(no_args_is_help=True, help=GROUPS[first])
        for names in below:
            group.command(names[1], cls=Command)(_body(names))
        app.add_typer(group, name=first, rich_help_panel=panel)
    return app


def _class_of(first: str) -> Any:  # noqa: ANN401 - Typer's class of commands, which it does not name
    if first not in ("work", "bisect"):
        return Command
    from cli.work_command import BisectCommand, WorkCommand  # noqa: PLC0415 - for these two commands

    return WorkCommand if first == "work" else BisectCommand


def _body(names: tuple[str, ...]) -> Callable[..., Any]:
    """A command's function, with type hints that Typer can read."""
    module, name = PLACES[names]
    body: Callable[..., Any] = getattr(import_module(f"cli.commands.{module}"), name)

    @wraps(body)
    def run_body(**given: Any) -> Any:  # noqa: ANN401 - the command's own options
        try:
            return body(**given)
        except UsageError as error:
            raise typer.BadParameter(str(error)) from error

    run_body.__doc__ = _help_of(body)
    run_body.__signature__ = _real_signature(body)  # type: ignore[attr-defined]  # what inspect.signature looks for
    run_body.__annotations__ = {name: each.annotation for name, each in inspect.signature(run_body).parameters.items()}
    return run_body


def _help_of(body: Callable[..., Any]) -> str:
    """A command's docstring, a line per paragraph: Typer keeps line breaks, which would break paragraphs in the wrong places."""
    return "\n\n".join(" ".join(paragraph.split()) for paragraph in (inspect.getdoc(body) or "").split("\n\n"))


def _real_signature(body: Callable[..., Any]) -> inspect.Signature:
    """The signature with resolved type hints: modules that must start fast name the options without importing them."""
    known = {**vars(options), "typer": typer, "Annotated": Annotated, **vars(sys.modules[body.__module__])}
    hints = get_type_hints(inspect.unwrap(body), known, include_extras=True)
    signature = inspect.signature(body)
    return signature.replace(
        parameters=[each.replace(annotation=hints[name]) for name, each in signature.parameters.items()],
        return_annotation=None,
    )


def _show_version(is_asked: bool) -> None:
    if is_asked:
        say(f"tt {importlib.metadata.version('tinytown-ledger')}")
        raise typer.Exit


def _show_completion(shell: str | None) -> None:
    if shell is not None:
        say_lines(_script_of(shell))
        flush()
        raise typer.Exit


def _install_completion(shell: str | None) -> None:
    if shell is None:
        return
    from town import install_script  # noqa: PLC0415 - once on a machine

    installed = install_script(shell, _script_of(shell))
    say(f"The completion of tt for {shell} is in {installed.path}.")
    if installed.startup_file is not None:
        has = "has" if installed.was_named else "now has"
        say(f"{installed.startup_file} {has} a line that reads it.")
    say(f"A new {shell} completes `tt` with Tab.")
    raise typer.Exit


def _script_of(shell: str) -> str:
    if shell not in SHELLS:
        message = f"{shell!r} is not a shell that tt completes its commands in. Choose from {', '.join(SHELLS)}."
        raise typer.BadParameter(message)
    return script_of(shell)


def _before_every_command(
    context: typer.Context,
    *,
    version: Annotated[
        bool, typer.Option("--version", callback=_show_version, is_eager=True, help="Print the version and exit.")
    ] = False,
    install_completion: Annotated[
        str | None,
        typer.Option(
            "--install-completion",
            metavar="SHELL",
            callback=_install_completion,
            is_eager=True,
            help="Let bash, zsh or fish complete commands of tt with Tab. Default: the shell in SHELL.",
        ),
    ] = None,
    show_completion: Annotated[
        str | None,
        typer.Option(
            "--show-completion",
            metavar="SHELL",
            callback=_show_completion,
            is_eager=True,
            help="Print the script that --install-completion installs.",
        ),
    ] = None,
) -> None:
    """Tasks for coding agents, with a history: every change is an event in one Redis Stream per town."""
    del version, install_completion, show_completion  # Their own callbacks have done what they ask for.
    if context.invoked_subcommand not in _TOLD_TO_STOP:
        obey_stop_signals()
