"""Plans: `tt plan`, and `tt sync` with push, pull and status."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer

from cli.exits import Exit
from cli.options import ActorOption, DryRunOption, JsonOption, PruneOption, TownOption
from cli.output import Cell, say, say_json, say_table, warn
from cli.plan_rows import change_rows, kept_line, plan_rows, pull_line, pull_rows, push_line
from cli.session import opened
from cli.text import counted, visible
from ledger import StoreUnavailableError
from shapes.plans import compared_shape, faults_shape, new_plan_shape, plan_shape, pulled_shape, pushed_shape
from town import (
    PLAN_FILE,
    NotOursError,
    NotTrustedError,
    PlacedFault,
    Plan,
    PlanFault,
    PlanKept,
    PlanRefusedError,
    ProgramRefusedError,
    PullReceipt,
    PushReceipt,
    find_folder,
    make_plan_file,
    read_plan_file,
    start_of_search,
)

KEPT_SHOWN_MAX = 10
UNKNOWN_SHOWN_MAX = 10
UNKNOWN_CHARS_SHOWN = 64
PLAN_CHANGES_SHOWN_MAX = 50

FileOption = Annotated[
    Path | None,
    typer.Option("--file", metavar="FILE", help=f"The plan's file. Default: {PLAN_FILE} in the town's folder."),
]
ForceOption = Annotated[
    bool, typer.Option("--force", help="Also undo what happened in the town: requeue, reopen, restore removed tasks.")
]


def plan(
    *,
    init: Annotated[
        bool, typer.Option("--init", "-i", help="Write a file to start with; an existing file is never overwritten.")
    ] = False,
    check: Annotated[bool, typer.Option("--check", help="Only look for faults; exit 1 if there are any.")] = False,
    file: FileOption = None,
    town: TownOption = None,
    actor: ActorOption = None,
    as_json: JsonOption = False,
) -> None:
    """Show the plan in tasks.toml as a tree, and what a push would change.

    With --check, every fault is shown with its line and column. The town is needed only if the plan names tasks of it.
    """
    if init and check:
        message = "Give either --init or --check."
        raise typer.BadParameter(message)
    path = _path(file, town)
    if init:
        _init(path, as_json=as_json)
    elif check:
        _check(path, town, actor, as_json=as_json)
    else:
        _show(path, town, actor, as_json=as_json)


def push(
    *,
    dry_run: DryRunOption = False,
    prune: PruneOption = False,
    force: ForceOption = False,
    file: FileOption = None,
    town: TownOption = None,
    actor: ActorOption = None,
    as_json: JsonOption = False,
) -> None:
    """Change the town's tasks to match the plan, all or nothing. Pushing it again appends nothing.

    A file is a plan, not the truth: what happened in the town stays, unless --force is given.
    """
    with opened(town, actor) as opened_town:
        receipt = opened_town.plans.push(file, prune=prune, force=force, dry_run=dry_run)
        if as_json:
            say_json(pushed_shape(opened_town, opened_town.plans.path(file), receipt, dry_run=dry_run))
            return
    if dry_run and receipt.changes:
        _say_rows(*change_rows(receipt.changes))
    say(push_line(receipt, is_preview=dry_run))
    _warn_of_kept(receipt.kept)
    _warn_of_unknown(receipt.not_understood)


def pull(
    *, file: FileOption = None, town: TownOption = None, actor: ActorOption = None, as_json: JsonOption = False
) -> None:
    """Write the town's tasks into the plan: states, agents, results, tags. Order, comments and other keys stay.

    New tasks are added at the end of the file; tasks that were removed from the town are removed from it.
    """
    with opened(town, actor) as opened_town:
        receipt = opened_town.plans.pull(file)
        path = opened_town.plans.path(file)
        if as_json:
            say_json(pulled_shape(opened_town, path, receipt))
            return
    say(pull_line(receipt, _shown(path)))
    _warn_of_unknown(receipt.not_understood)


def status(
    *, file: FileOption = None, town: TownOption = None, actor: ActorOption = None, as_json: JsonOption = False
) -> None:
    """Show what differs between plan and town: what a push and what a pull would do. Exit 1 if anything differs."""
    with opened(town, actor) as opened_town:
        found = opened_town.plans.compare(file)
        path = opened_town.plans.path(file)
        if as_json:
            say_json(compared_shape(opened_town, path, is_equal=found.is_equal, push=found.push, pull=found.pull))
        else:
            _say_push_status(found.push)
            _say_pull_status(found.pull)
            if found.is_equal:
                say(f"{_shown(path)} and {opened_town.name} say the same of {counted(found.push.tasks, 'task')}.")
            _warn_of_kept(found.push.kept)
            _warn_of_unknown(found.not_understood)
    if not found.is_equal:
        raise typer.Exit(Exit.REFUSED)


def _path(file: Path | None, town: Path | None) -> Path:
    """The plan's file. If it is named, no town is needed to find it."""
    return file if file is not None else find_folder(start_of_search(town)) / PLAN_FILE


def _init(path: Path, *, as_json: bool) -> None:
    make_plan_file(path)
    if as_json:
        say_json(new_plan_shape(path))
        return
    say(f"{_shown(path)} is written. Put your tasks into it, then look at them with `tt plan`.")


def _check(path: Path, town: Path | None, actor: str | None, *, as_json: bool) -> None:
    def look(plan: Plan) -> list[PlanFault]:
        with opened(town, actor) as opened_town:
            return opened_town.plans.find_faults(plan)

    faults: Sequence[PlacedFault] = ()
    plan = Plan()
    try:
        plan = read_plan_file(path, look=look).plan
    except PlanRefusedError as error:
        faults = error.faults
    if as_json:
        say_json(faults_shape(path, plan, faults))
    else:
        for fault in faults:
            say(visible(f"{_shown(path)}:{fault.line}:{fault.column}: {fault.problem}"))
        what = counted(len(faults), "fault") if faults else f"{counted(len(plan.tasks), 'task')}, no faults"
        say(f"{_shown(path)}: {what}.")
        _warn_of_unknown(plan.not_understood)
    if faults:
        raise typer.Exit(Exit.REFUSED)


def _show(path: Path, town: Path | None, actor: str | None, *, as_json: bool) -> None:
    plan = read_plan_file(path).plan
    try:
        with opened(town, actor) as opened_town:
            push = opened_town.plans.push(path, dry_run=True)
            if as_json:
                say_json(plan_shape(path, plan, town=opened_town, push=push))
                return
    except (NotOursError, NotTrustedError, ProgramRefusedError) as error:
        # A plan is text: reading it needs no trust.
        if as_json:
            say_json(plan_shape(path, plan))
        else:
            _say_plan(plan, None)
        warn(f"The plan is not compared with its town. {error}")
        return
    except StoreUnavailableError:
        # A plan can be read without its town.
        if not as_json:
            _say_plan(plan, None)
        raise
    _say_plan(plan, push)
    say(push_line(push, is_preview=True))
    _warn_of_kept(push.kept)
    _warn_of_unknown(plan.not_understood)


def _say_plan(plan: Plan, push: PushReceipt | None) -> None:
    if plan.description is not None:
        say(visible(plan.description))
    if plan.tasks:
        columns, rows = plan_rows(plan, push)
        say_table(columns, rows, flexible="TITLE", optional=["NOT BEFORE"])


def _say_push_status(push: PushReceipt) -> None:
    if push.changes:
        say(f"A push would append {counted(push.events, 'event')}:")
        _say_rows(*change_rows(push.changes))


def _say_pull_status(pull: PullReceipt) -> None:
    columns, rows = pull_rows(pull)
    if rows:
        say(f"A pull would write {counted(len(rows), 'task')}:")
        _say_rows(columns, rows)


def _say_rows(columns: Sequence[str], rows: Sequence[Sequence[Cell]]) -> None:
    say_table(columns, rows[:PLAN_CHANGES_SHOWN_MAX])
    if len(rows) > PLAN_CHANGES_SHOWN_MAX:
        warn(f"… and {counted(len(rows) - PLAN_CHANGES_SHOWN_MAX, 'more task')}; --json lists them all.")


def _warn_of_kept(kept: Sequence[PlanKept]) -> None:
    for each in kept[:KEPT_SHOWN_MAX]:
        warn(kept_line(each))
    if len(kept) > KEPT_SHOWN_MAX:
        warn(f"… and {len(kept) - KEPT_SHOWN_MAX:,} more like these; --json lists them all.")
    if kept:
        warn("`tt sync pull` brings the town's side into the file; `tt sync push --force` takes it back in the town.")


def _warn_of_unknown(names: Sequence[str]) -> None:
    if names:
        more = len(names) - UNKNOWN_SHOWN_MAX
        rest = f" … and {more:,} more; --json lists them all." if more > 0 else ""
        warn(
            f"Not understood, and left as it is: {', '.join(name[:UNKNOWN_CHARS_SHOWN] for name in names[:UNKNOWN_SHOWN_MAX])}{rest}"
        )


def _shown(path: Path) -> str:
    """The path as one would type it here."""
    here = Path.cwd()
    return visible(str(path.relative_to(here) if path.is_relative_to(here) else path))
