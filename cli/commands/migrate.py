"""`tt migrate`: brings a town's tasks from before the ledger into it."""

from __future__ import annotations

import shlex
import sys
import time
from collections.abc import Sequence
from contextlib import ExitStack
from enum import StrEnum
from typing import Annotated, NamedTuple

import typer

from cli.exits import Exit
from cli.options import ActorOption, JsonOption, TownOption
from cli.output import progress_lines, say, say_error, say_json, warn
from cli.session import opened
from cli.text import counted, visible
from ledger import BEGINNING, StoreUnavailableError
from projections import Verification
from shapes.migration import legacy_shape, migration_shape, place_shape
from town import (
    Irregular,
    LegacyKeys,
    Migration,
    MigrationPreview,
    MigrationProgress,
    MigrationReport,
    MigrationSourceError,
    OldPlace,
    Skipped,
    Town,
    problem_of,
    read_durability,
)

KEYS_SHOWN_MAX = 20
START_SECONDS_MAX = 1.0
_START_POLL_SECONDS = 0.05


class _State(StrEnum):
    """The result of looking at a place; json.md documents the words."""

    NOT_ALLOWED = "not allowed"
    SILENT = "silent"
    OWN = "own"
    EMPTY = "empty"
    READ = "read"
    LEFT = "left"


def migrate(
    *,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only show what would be done.")] = False,
    force: Annotated[bool, typer.Option("--force", help="Migrate without asking.")] = False,
    from_url: Annotated[
        str | None,
        typer.Option(
            "--from-url", metavar="URL", help="Read the old tasks from this server; nothing there is changed."
        ),
    ] = None,
    drop_legacy: Annotated[
        bool, typer.Option("--drop-legacy", help="Verify the town, then delete the old keys that migrations set aside.")
    ] = False,
    town: TownOption = None,
    actor: ActorOption = None,
    as_json: JsonOption = False,
) -> None:
    """Bring the tasks that Tinytown kept before the ledger into it, and rebuild what an older program projected.

    It looks in the town's server, then where Tinytown's settings and files say that its tasks are. It says what it found
    and asks. It can be run again at any time: it continues where it stopped, and adopts nothing twice. Tinytown's own
    migrate is another command, whose --force and --hash rewrite keys in place: do not run it on a town of this program.
    Old keys are kept under tt:<town>:legacy: until --drop-legacy. Exit code 5 if the verification at the end finds
    something.
    """
    if drop_legacy and from_url is not None:
        message = "Give either --drop-legacy or --from-url: nothing is deleted on another server."
        raise typer.BadParameter(message)
    if as_json and not (force or dry_run):
        message = "--json does not ask: give --force too, or --dry-run."
        raise typer.BadParameter(message)
    with opened(town, actor) as opened_town:
        if drop_legacy:
            _drop_legacy(opened_town, dry_run=dry_run, force=force, as_json=as_json)
            return
        if not dry_run:
            opened_town.list_on_server()
        _migrate(opened_town, from_url, dry_run=dry_run, force=force, as_json=as_json)


def _migrate(town: Town, from_url: str | None, *, dry_run: bool, force: bool, as_json: bool) -> None:
    with ExitStack() as stack:
        found = _find(town, from_url, stack, is_asking=not (force or as_json))
        preview = found.preview
        if dry_run or not preview.has_work:
            if as_json:
                _say_json(town, found)
            else:
                _say_preview(town, found)
                _say_details(preview.skipped, preview.irregular)
            if found.has_unseen_tasks and town.end() == BEGINNING:
                raise typer.Exit(Exit.REFUSED)
            return
        if not as_json:
            _say_preview(town, found)
        if not force:
            _say_details(preview.skipped, preview.irregular)
            _ask("Migrate?")
        with progress_lines() as progress:
            report = _run(found.migration, progress)
            end = town.end()
            verified = town.upkeep.verify(progress=lambda position: progress("Verifying", position.seq, end.seq))
    if from_url is not None:
        _remember(town, from_url)
    if as_json:
        _say_json(town, found, report, verified)
    else:
        _say_report(report, verified, has_said_details=not force)
    if verified.findings:
        raise typer.Exit(Exit.DAMAGED)


class _Seen(NamedTuple):
    """A place that Tinytown's settings or files name, and the result of looking there."""

    place: OldPlace
    state: _State
    problem: str = ""


class _Found(NamedTuple):
    """What there is to migrate, from where (None is the town's own server), and the other places that were looked at."""

    migration: Migration
    preview: MigrationPreview
    source: str | None
    seen: list[_Seen]

    @property
    def has_unseen_tasks(self) -> bool:
        """Whether a place that could not be looked at may have tasks."""
        return any(each.state in (_State.NOT_ALLOWED, _State.SILENT) for each in self.seen)


def _find(town: Town, from_url: str | None, stack: ExitStack, *, is_asking: bool) -> _Found:
    """Look in the server that is named, else in the town's own; if that has nothing, look where Tinytown kept its tasks."""
    found = _look(town, from_url, stack)
    source = None if from_url is None else "the server of --from-url"
    if from_url is not None or found[1].has_old_keys:
        return _Found(*found, source, [])
    seen: list[_Seen] = []
    for place in town.old_places():
        if not place.is_allowed and not (is_asking and _is_allowed_now(place)):
            seen.append(_Seen(place, _State.NOT_ALLOWED))
            continue
        try:
            other = _look_patiently(town, place, stack)
        except StoreUnavailableError as error:
            seen.append(_Seen(place, _State.SILENT, error.problem))
        except MigrationSourceError:
            seen.append(_Seen(place, _State.OWN))
        else:
            if other[1].tasks and source is None:
                found, source = other, f"Tinytown's server at {visible(place.where)}"
                seen.append(_Seen(place, _State.READ))
            else:
                seen.append(_Seen(place, _State.LEFT if other[1].tasks else _State.EMPTY))
    return _Found(*found, source, seen)


def _look(town: Town, url: str | None, stack: ExitStack) -> tuple[Migration, MigrationPreview]:
    migration = stack.enter_context(town.migration(url))
    with progress_lines() as progress:
        return migration, migration.look(progress=progress)


def _look_patiently(town: Town, place: OldPlace, stack: ExitStack) -> tuple[Migration, MigrationPreview]:
    """Like `_look`, but wait a moment for a server that was just started on saved data."""
    deadline = time.monotonic() + (START_SECONDS_MAX if place.files else 0)
    while True:
        try:
            return _look(town, place.url_to_open(), stack)
        except StoreUnavailableError as error:
            if error.has_refused or time.monotonic() > deadline:
                raise
        time.sleep(_START_POLL_SECONDS)


def _is_allowed_now(place: OldPlace) -> bool:
    """Ask at a terminal whether Tinytown's server may be read; a yes is kept, as that of `tt trust`."""
    if not sys.stdin.isatty():
        return False
    if not typer.confirm(
        f"Look for Tinytown's tasks at {visible(place.where)}, which {visible(place.named_by)} names?"
    ):
        return False
    place.allow()
    return True


def _remember(town: Town, from_url: str) -> None:
    """Naming a server allows it: nobody is asked about it again if Tinytown's settings name it too."""
    for place in town.old_places():
        if place.is_named_by(from_url) and not place.is_allowed:
            place.allow()


def _run(migration: Migration, progress: MigrationProgress) -> MigrationReport:
    """Migrate. An interruption is answered with how to continue."""
    try:
        return migration.run(
            progress=progress,
            on_wait=lambda: warn("Another migration of this town is running; this one continues after it."),
        )
    except KeyboardInterrupt:
        warn("Interrupted. Run `tt migrate` again: it continues where it stopped, and adopts nothing twice.")
        raise


def _drop_legacy(town: Town, *, dry_run: bool, force: bool, as_json: bool) -> None:
    legacy = town.legacy.look()
    is_dropping = bool(legacy.keys) and not dry_run
    if not as_json:
        _say_legacy(town, legacy)
    if is_dropping:
        if not force:
            _ask("Delete them?")
        legacy = town.legacy.drop()
    if as_json:
        say_json(legacy_shape(town, legacy, is_dropping=is_dropping))
    elif is_dropping:
        say(f"The town is verified; {counted(legacy.keys, 'old key')} deleted.")


def _ask(question: str) -> None:
    """Return if the person agrees; otherwise the command ends, and nothing was changed."""
    if not sys.stdin.isatty():
        message = "There is no terminal to ask at. Look with --dry-run, then give --force."
        raise typer.BadParameter(message)
    if not typer.confirm(question):
        say("Nothing was changed.")
        raise typer.Exit(Exit.REFUSED)


def _say_preview(town: Town, found: _Found) -> None:
    """Say what was found, and what would be done about it."""
    preview = found.preview
    place = found.source or "the server"
    name = visible(town.name)
    if not preview.has_work:
        is_elsewhere = found.has_unseen_tasks and town.end() == BEGINNING
        nothing = "No old task here" if is_elsewhere else "Nothing to migrate"
        say(f"{nothing}: {place} has no task from before the ledger that {name} could adopt.")
    _say_places(town, found)
    if preview.tasks:
        say(f"{counted(preview.tasks, 'old task')} in {place}, to be adopted into the town {name}:")
        _say_tasks(preview)
    _say_bare_keys(preview, name)
    if preview.agents and preview.tasks:
        say(f"{counted(preview.agents, 'agent')} known by name.")
    _say_unnamed_agents(preview)
    if preview.backlog and preview.tasks:
        say(f"{counted(preview.backlog, 'task')} in the backlog; their order is kept.")
    _say_what_is_in_the_way(preview)
    if preview.is_projected_anew:
        say("Snapshots and views are from an older program; they are rebuilt from the ledger.")
    if preview.has_old_keys and found.source is None:
        say(f"Old keys are kept under {town.keys.legacy('')} until `tt migrate --drop-legacy`.")
    for key in preview.unadopted[:KEYS_SHOWN_MAX]:
        warn(f"Set aside, but never adopted: {visible(key)}")
    _say_more(len(preview.unadopted))


def _say_places(town: Town, found: _Found) -> None:
    """Say what is on the other servers that Tinytown's settings or files name, or how to get to it."""
    again = f"tt migrate --town {shlex.quote(str(town.folder))}"
    seen = [
        each for each in found.seen if found.source is None or each.state not in (_State.NOT_ALLOWED, _State.SILENT)
    ]
    for place, state, problem in seen:
        where, named_by = visible(place.where), visible(place.named_by)
        match state:
            case _State.NOT_ALLOWED:
                warn(
                    f"{named_by} says that Tinytown keeps its tasks at {where}, which is not allowed yet."
                    f" If that server is yours: `tt trust --town {shlex.quote(str(town.folder))}`, then `{again}`."
                )
            case _State.SILENT:
                warn(f"{named_by} says that Tinytown keeps its tasks at {where}. That server {problem}.")
                _say_how_to_start(place, again)
            case _State.EMPTY:
                say(f"{where}, which {named_by} names, has no task left to adopt either.")
            case _State.LEFT:
                warn(f"{where} has old tasks too. Run `{again}` once more after this.")
    durability = read_durability(town.connection) if found.preview.tasks else None
    for problem in () if durability is None else durability.problems:
        warn(f"The town's server would not keep what is migrated: {visible(problem)}.")


def _say_how_to_start(place: OldPlace, again: str) -> None:
    if place.files:
        files = " and ".join(visible(str(path)) for path in place.files)
        warn(f"It saved its data in {files}. Start it there, then `{again}`: {visible(place.start_words())}")
    else:
        warn(f"Start it as Tinytown does, with Tinytown's own `tt status` in the town's folder, then `{again}`.")


def _say_unnamed_agents(preview: MigrationPreview) -> None:
    for agent, count in list(preview.unnamed_agents.items())[:KEYS_SHOWN_MAX]:
        warn(f"No key has the name of agent {agent}, which {counted(count, 'task')} had: the UUID stays.")
    _say_more(len(preview.unnamed_agents))


def _say_tasks(preview: MigrationPreview) -> None:
    """Say in which formats the tasks are."""
    for form, count in preview.forms.items():
        say(f"  {form}: {counted(count, 'record')}")


def _say_bare_keys(preview: MigrationPreview, name: str) -> None:
    """Say what happens to keys that name no town."""
    nobody = "Keys without a town do not say whose they are"
    if preview.bare_records:
        say(f"{nobody}: their tasks become tasks of {name}.")
    elif preview.has_bare_backlog:
        say(f"{nobody}: tt:backlog counts as a list of {name}.")


def _say_what_is_in_the_way(preview: MigrationPreview) -> None:
    """Say which keys are set aside although nothing of them is adopted."""
    if preview.finished:
        say(f"{counted(preview.finished, 'old key')} of tasks that are adopted already, to be set aside.")
    if preview.backlog_keys and not preview.tasks:
        lists = " and ".join(preview.backlog_keys)
        say(f"The backlog's list {lists}, which names no task that is left to adopt, to be set aside.")
    if preview.set_aside:
        say(f"{counted(preview.set_aside, 'key')} that cannot be read, where the town's tasks lie, to be set aside.")
    if preview.overwritten:
        say(
            f"{counted(preview.overwritten, 'key')} where something was written over a snapshot, to be set aside;"
            " the snapshots are put back."
        )


def _say_report(report: MigrationReport, found: Verification, *, has_said_details: bool) -> None:
    if not has_said_details:
        _say_details(report.skipped, report.irregular)
    if report.is_rebuilt:
        say("Snapshots and views were rebuilt from the ledger.")
    copied = f", {counted(report.copied, 'old key')} copied" if report.copied else ""
    parts = [
        f"{counted(report.adopted, 'task')} adopted",
        f"{counted(report.set_aside, 'old key')} set aside{copied}",
        f"{counted(len(report.skipped), 'key')} skipped",
        f"{counted(len({each.task_id for each in report.irregular}), 'irregular task')}",
        f"{report.seconds:.1f} s",
    ]
    say(f"{', '.join(parts)}.")
    if not found.findings:
        say(f"Verified: {counted(found.events, 'event')}, {counted(found.tasks, 'task')}, all as promised.")
        return
    for finding in found.findings[:KEYS_SHOWN_MAX]:
        say(f"{finding.kind:<10}  {visible(finding.where)}  {visible(problem_of(finding))}")
    _say_more(len(found.findings))
    say_error(
        f"{counted(len(found.findings), 'finding')}. What was adopted stays. `tt verify` lists everything;"
        " docs/howto/rebuild-and-verify.md says what to do."
    )


def _say_details(skipped: Sequence[Skipped], irregular: Sequence[Irregular]) -> None:
    """Say which keys are skipped and which tasks are irregular, the first ones; --json has all."""
    for each in skipped[:KEYS_SHOWN_MAX]:
        warn(f"Skipped {visible(each.key)}: {visible(each.why)}")
    _say_more(len(skipped))
    for each_task in irregular[:KEYS_SHOWN_MAX]:
        warn(f"Irregular {each_task.task_id}: {visible(each_task.what)}")
    _say_more(len(irregular))


def _say_more(count: int) -> None:
    if count > KEYS_SHOWN_MAX:
        warn(f"… and {count - KEYS_SHOWN_MAX:,} more; --json lists them all.")


def _say_legacy(town: Town, legacy: LegacyKeys) -> None:
    if not legacy.keys:
        say(f"Nothing to delete: there is no key under {town.keys.legacy('')}.")
        return
    say(f"{counted(legacy.keys, 'old key')} under {town.keys.legacy('')}, {counted(legacy.bytes, 'byte')} of memory.")
    for key in legacy.unadopted[:KEYS_SHOWN_MAX]:
        warn(f"Never adopted, and kept nowhere else: {visible(key)}")
    _say_more(len(legacy.unadopted))


def _say_json(
    town: Town, found: _Found, report: MigrationReport | None = None, verified: Verification | None = None
) -> None:
    """What was found and, where there is a report, what was done."""
    durability = read_durability(town.connection) if found.preview.tasks else None
    say_json(
        migration_shape(
            town,
            found.preview,
            places=[place_shape(each.place, each.state) for each in found.seen],
            durability_problems=() if durability is None else durability.problems,
            report=report,
            verified=verified,
        )
    )
