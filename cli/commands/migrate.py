"""`tt migrate`: a town's tasks from before the ledger enter it."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import Annotated, Any

import typer

from cli.exits import Exit
from cli.options import ActorOption, JsonOption, TownOption
from cli.output import progress_lines, say, say_error, say_json, warn
from cli.session import opened
from cli.text import counted, visible
from projections import Verification
from town import Irregular, LegacyKeys, Migration, MigrationProgress, MigrationReport, Outlook, Skipped, Town

KEYS_SHOWN_MAX = 20


def migrate(
    *,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only show what would be done.")] = False,
    force: Annotated[bool, typer.Option("--force", help="Do not ask.")] = False,
    from_url: Annotated[
        str | None,
        typer.Option(
            "--from-url", metavar="URL", help="Read the old tasks from this server; nothing there is changed."
        ),
    ] = None,
    drop_legacy: Annotated[
        bool, typer.Option("--drop-legacy", help="Delete the old keys that migrations set aside, after a verification.")
    ] = False,
    town: TownOption = None,
    actor: ActorOption = None,
    as_json: JsonOption = False,
) -> None:
    """Take the tasks that Tinytown kept before the ledger into it, and build what an older program projected anew.

    It says what it found and asks. It may be run again at any time: it goes on where it was, and adopts nothing twice.
    Old keys are kept under tt:<town>:legacy: until --drop-legacy. Exit code 5 where the verification at its end finds
    something.
    """
    if drop_legacy and from_url is not None:
        message = "Give either --drop-legacy or --from-url: nothing is deleted on another server."
        raise typer.BadParameter(message)
    if as_json and not (force or dry_run):
        message = "--json asks nobody: give --force too, or --dry-run."
        raise typer.BadParameter(message)
    with opened(town, actor) as opened_town:
        if drop_legacy:
            _drop_legacy(opened_town, dry_run=dry_run, force=force, as_json=as_json)
            return
        _migrate(opened_town, from_url, dry_run=dry_run, force=force, as_json=as_json)


def _migrate(town: Town, from_url: str | None, *, dry_run: bool, force: bool, as_json: bool) -> None:
    with town.migration(from_url) as migration:
        with progress_lines() as progress:
            outlook = migration.look(progress=progress)
        if dry_run or not outlook.has_work:
            if as_json:
                say_json(_shape(town, outlook, None, None))
            else:
                _say_outlook(town, outlook, from_url)
                _say_details(outlook.skipped, outlook.irregular)
            return
        if not as_json:
            _say_outlook(town, outlook, from_url)
        if not force:
            _say_details(outlook.skipped, outlook.irregular)
            _ask("Migrate?")
        with progress_lines() as progress:
            report = _run(migration, progress)
            end = town.end()
            found = town.verify(progress=lambda position: progress("Verifying", position.seq, end.seq))
    if as_json:
        say_json(_shape(town, outlook, report, found))
    else:
        _say_report(report, found, has_said_details=not force)
    if found.findings:
        raise typer.Exit(Exit.DAMAGED)


def _run(migration: Migration, progress: MigrationProgress) -> MigrationReport:
    """Migrate; whoever interrupts it is told that it goes on."""
    try:
        return migration.run(
            progress=progress,
            on_wait=lambda: warn("Another migration of this town is at work; this one goes on after it."),
        )
    except KeyboardInterrupt:
        warn("Interrupted. Run `tt migrate` again: it goes on where it was, and adopts nothing twice.")
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
        say_json(
            {
                "town": town.name,
                "dropped": is_dropping,
                "keys": legacy.keys,
                "bytes": legacy.bytes,
                "unadopted": legacy.unadopted,
            }
        )
    elif is_dropping:
        say(f"The town is as promised; {counted(legacy.keys, 'old key')} deleted.")


def _ask(question: str) -> None:
    """Return where the person agrees; else the command ends, and nothing was changed."""
    if not sys.stdin.isatty():
        message = "Nobody is there to be asked. Look with --dry-run, then give --force."
        raise typer.BadParameter(message)
    if not typer.confirm(question):
        say("Nothing was changed.")
        raise typer.Exit(Exit.REFUSED)


def _say_outlook(town: Town, outlook: Outlook, from_url: str | None) -> None:
    """What was found, and what would be done about it."""
    place = "the server" if from_url is None else "the server of --from-url"
    name = visible(town.name)
    if not outlook.has_work:
        say(f"Nothing to migrate: {place} has no task from before the ledger that {name} could adopt.")
    if outlook.tasks:
        say(f"{counted(outlook.tasks, 'old task')} in {place}, to be adopted into the town {name}:")
        _say_tasks(outlook)
    _say_bare_keys(outlook, name)
    if outlook.agents and outlook.tasks:
        say(f"{counted(outlook.agents, 'agent')} known by name.")
    if outlook.backlog and outlook.tasks:
        say(f"{counted(outlook.backlog, 'task')} in the backlog; their order is kept.")
    _say_what_is_in_the_way(outlook)
    if outlook.is_projected_anew:
        say("Snapshots and views are those of an older program; they are built anew from the ledger.")
    if outlook.has_old_keys and from_url is None:
        say(f"Old keys are kept under {town.keys.legacy('')} until `tt migrate --drop-legacy`.")
    for key in outlook.unadopted[:KEYS_SHOWN_MAX]:
        warn(f"Set aside, and never adopted: {visible(key)}")
    _say_more(len(outlook.unadopted))


def _say_tasks(outlook: Outlook) -> None:
    """In which formats the tasks are."""
    for form, count in outlook.forms.items():
        say(f"  {form}: {counted(count, 'record')}")


def _say_bare_keys(outlook: Outlook, name: str) -> None:
    """What becomes of keys that name no town."""
    nobody = "Keys without a town do not say whose they are"
    if outlook.bare_records:
        say(f"{nobody}: their tasks become tasks of {name}.")
    elif outlook.has_bare_backlog:
        say(f"{nobody}: tt:backlog counts as a list of {name}.")


def _say_what_is_in_the_way(outlook: Outlook) -> None:
    """The keys of which nothing is adopted, and which are set aside all the same."""
    if outlook.finished:
        say(f"{counted(outlook.finished, 'old key')} of tasks that are adopted already, to be set aside.")
    if outlook.backlog_keys and not outlook.tasks:
        lists = " and ".join(outlook.backlog_keys)
        say(f"The backlog's list {lists}, which names no task that is left to adopt, to be set aside.")
    if outlook.set_aside:
        say(f"{counted(outlook.set_aside, 'key')} that cannot be read, where the town's tasks lie, to be set aside.")
    if outlook.overwritten:
        say(
            f"{counted(outlook.overwritten, 'key')} where something was written over a snapshot, to be set aside;"
            " the snapshots are put back."
        )


def _say_report(report: MigrationReport, found: Verification, *, has_said_details: bool) -> None:
    if not has_said_details:
        _say_details(report.skipped, report.irregular)
    if report.is_rebuilt:
        say("Snapshots and views were built anew from the ledger.")
    copied = f", {counted(report.copied, 'old key')} copied" if report.copied else ""
    parts = [
        f"{counted(report.adopted, 'task')} adopted",
        f"{counted(report.set_aside, 'old key')} set aside{copied}",
        f"{counted(len(report.skipped), 'key')} skipped",
        f"{counted(len({each.task for each in report.irregular}), 'irregular task')}",
        f"{report.seconds:.1f} s",
    ]
    say(f"{', '.join(parts)}.")
    if not found.findings:
        say(f"Verified: {counted(found.events, 'event')}, {counted(found.tasks, 'task')}, all as promised.")
        return
    for finding in found.findings[:KEYS_SHOWN_MAX]:
        say(f"{finding.kind:<10}  {visible(finding.where)}  {visible(finding.problem)}")
    _say_more(len(found.findings))
    say_error(
        f"{counted(len(found.findings), 'finding')}. What was adopted stays; `tt verify` lists everything,"
        " docs/howto/rebuild-and-verify.md says what to do."
    )


def _say_details(skipped: Sequence[Skipped], irregular: Sequence[Irregular]) -> None:
    """Each key that is skipped and each task that is not as it should be, as many as are read; --json has all."""
    for each in skipped[:KEYS_SHOWN_MAX]:
        warn(f"Skipped {visible(each.key)}: {visible(each.why)}")
    _say_more(len(skipped))
    for odd in irregular[:KEYS_SHOWN_MAX]:
        warn(f"Irregular {odd.task}: {visible(odd.what)}")
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
        warn(f"Never adopted, and nowhere else: {visible(key)}")
    _say_more(len(legacy.unadopted))


def _shape(town: Town, outlook: Outlook, report: MigrationReport | None, found: Verification | None) -> dict[str, Any]:
    """What a migration found and did; what it did is null where nothing was done."""
    last = outlook if report is None else report
    return {
        "town": town.name,
        "done": report is not None,
        "tasks": outlook.tasks,
        "records": outlook.forms,
        "agents": outlook.agents,
        "backlog": outlook.backlog,
        "adopted": None if report is None else report.adopted,
        "set_aside": None if report is None else report.set_aside,
        "copied": None if report is None else report.copied,
        "skipped": [{"key": each.key, "why": each.why} for each in last.skipped],
        "irregular": [{"task": each.task, "what": each.what} for each in last.irregular],
        "unadopted": outlook.unadopted,
        "positions": None if report is None else report.positions,
        "seconds": None if report is None else round(report.seconds, 3),
        "findings": None
        if found is None
        else [{"kind": each.kind, "where": each.where, "problem": each.problem} for each in found.findings],
    }
