"""Snapshots and views: projector, rebuild, verify, doctor."""

from __future__ import annotations

import threading
from functools import partial
from pathlib import Path
from typing import Annotated

import typer
from msgspec.structs import replace

from cli.commands.repair import repair
from cli.exits import Exit
from cli.following import follow
from cli.options import ActorOption, JsonOption, TownOption
from cli.output import progress_lines, say, say_error, say_json, say_table, warn
from cli.render import NOTHING
from cli.session import opened
from cli.signals import stop_signals
from cli.text import counted, visible
from projections import FindingKind, diverged_after
from shapes.read_side import (
    checks_shape,
    difference_shape,
    differences_shape,
    rebuild_shape,
    verification_shape,
    worker_shape,
)
from town import (
    CheckState,
    FleetWorker,
    MetricsPortError,
    Town,
    TownState,
    Worker,
    WorkerMetrics,
    WorkerReport,
    examine,
    find_folder,
    find_towns,
    local_time,
    problem_of,
    start_of_search,
    words_of,
)

FINDINGS_SHOWN_MAX = 50
VALUE_CHARS_MAX = 120
_OF_LOST_EVENTS = frozenset({FindingKind.SEQUENCE, FindingKind.VERSION, FindingKind.PREV, FindingKind.EVENT})
# Terminals differ in how wide a warning sign is; the others have a space more as well, so that a table does not change with it.
_STATE_SIGNS = {CheckState.GOOD: "✅ ", CheckState.WARNING: "⚠️ ", CheckState.BAD: "❌ "}


def projector(
    *,
    town: Annotated[
        list[Path] | None, typer.Option("--town", metavar="PATH", help="A town to follow; may be given several times.")
    ] = None,
    follows_all: Annotated[bool, typer.Option("--all", help="Follow every town that `tt towns` lists.")] = False,
    server: Annotated[
        str | None,
        typer.Option(
            "--server", metavar="URL", help="Follow every town on this server or cluster, without their folders."
        ),
    ] = None,
    of_cluster: Annotated[
        bool,
        typer.Option("--cluster", help="With --all: every town on the server or cluster of this folder's town."),
    ] = False,
    once: Annotated[bool, typer.Option("--once", help="Project what there is, then exit.")] = False,
    metrics_port: Annotated[
        int | None,
        typer.Option(
            "--metrics",
            metavar="PORT",
            min=0,
            max=65535,
            help="Serve Prometheus metrics on 127.0.0.1:PORT; 0 picks a free port.",
        ),
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Project the events of one, several or all towns as they arrive, so that commands do not have to.

    Any number of projectors may run at once. A stop signal ends one after its current batch.
    """
    if sum([follows_all, bool(town), server is not None]) > 1:
        message = "Give one of --town, --all and --server."
        raise typer.BadParameter(message)
    if of_cluster and not follows_all:
        message = "--cluster goes with --all."
        raise typer.BadParameter(message)
    if of_cluster:
        server = _url_of_this_town()
    stop = threading.Event()
    with stop_signals(stop.set):
        metrics = None if metrics_port is None else _serve_metrics(metrics_port)
        report = partial(_say_report, as_json=as_json)
        workers: list[Worker | FleetWorker]
        if server is not None:
            workers = [FleetWorker(server, stop=stop, report=report, metrics=metrics)]
        else:
            folders = (
                _registered_folders() if follows_all else [find_folder(each) for each in town or [start_of_search()]]
            )
            workers = [Worker(each, stop=stop, report=report, metrics=metrics) for each in dict.fromkeys(folders)]
        code = follow(workers, stop=stop, once=once)
    if code is not Exit.DONE:
        raise typer.Exit(code)


def _url_of_this_town() -> str:
    """The URL of the server of this folder's town. UsageError if it is the town's own."""
    with Town.open() as opened_town:
        if opened_town.server_url is None:
            message = (
                f"--cluster is for a server at a URL, and {visible(opened_town.name)} has its own. Give --all alone."
            )
            raise typer.BadParameter(message)
        return opened_town.server_url


def rebuild(
    *,
    view: Annotated[str | None, typer.Option("--view", metavar="NAME", help="Only this view.")] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only show what would change.")] = False,
    accept_loss: Annotated[
        bool, typer.Option("--accept-loss", help="Rebuild from what is left of a ledger that has lost events.")
    ] = False,
    town: TownOption = None,
    actor: ActorOption = None,
    as_json: JsonOption = False,
) -> None:
    """Rebuild snapshots and views from the ledger, while others keep reading and writing."""
    with opened(town, actor) as opened_town:
        if dry_run:
            with progress_lines() as progress:
                preview = opened_town.upkeep.preview_rebuild(view=view, accepts_loss=accept_loss, progress=progress)
                found = list(preview)
            shapes = [difference_shape(each, diverged_after(opened_town.backend.store, each)) for each in found]
            if as_json:
                say_json(differences_shape(opened_town, shapes))
                return
            for shape in shapes[:FINDINGS_SHOWN_MAX]:
                since = f"right until {shape['parted_after']}" if shape["parted_after"] else "never right"
                say(visible(f"{shape['key']}  ({since})"))
                for field, expected, actual in shape["fields"]:
                    say(visible(f"    {field}: {_in_short(actual)} → {_in_short(expected)}"))
            if len(shapes) > FINDINGS_SHOWN_MAX:
                warn(f"… and {len(shapes) - FINDINGS_SHOWN_MAX:,} more; --json lists them all.")
            say(
                f"A rebuild would put {counted(len(shapes), 'difference')} right."
                if shapes
                else "A rebuild would change nothing."
                if opened_town.upkeep.find_outdated() is None
                else "A rebuild would reset the checkpoints, and change nothing else."
            )
            return
        with progress_lines() as progress:
            report = opened_town.upkeep.rebuild(view=view, accepts_loss=accept_loss, progress=progress)
        # Who doubts what was computed from the ledger gets nothing of it again.
        opened_town.backend.cache.forget()
        if as_json:
            say_json(rebuild_shape(opened_town, report))
            return
        say(
            f"Rebuilt {f'view {view}' if view else 'snapshots and views'} of {counted(report.tasks, 'task')} from {counted(report.events, 'event')}:"
            f" {counted(report.differences, 'difference')} put right,"
            f" {report.fold_seconds:.1f} s folding, {report.write_seconds:.1f} s comparing and writing."
        )
        if report.has_reset_checkpoints:
            say(f"The checkpoints could not be trusted, and were set to {report.position}.")
        if report.set_aside:
            say(
                f"{counted(report.set_aside, 'key')} that held no snapshot, set aside under {opened_town.keys.legacy('')}."
            )
        if report.has_lost_events:
            warn("Events are still lost: `tt verify` lists what is missing.")


def verify(*, town: TownOption = None, actor: ActorOption = None, as_json: JsonOption = False) -> None:
    """Read the whole ledger and prove that nothing is missing and that every snapshot and view is right.

    Changes nothing. Exit code 5 if something is wrong.
    """
    with opened(town, actor) as opened_town:
        end = opened_town.end()
        with progress_lines() as progress:
            found = opened_town.upkeep.verify(progress=lambda position: progress("Reading", position.seq, end.seq))
        gone = opened_town.recovery.findings()
        found = replace(found, findings=(*found.findings, *gone))
        if gone:
            # Each of them is a finding.
            opened_town.backend.receipts.missed = None
    if as_json:
        say_json(verification_shape(opened_town, found))
    elif not found.findings:
        say(f"{counted(found.events, 'event')}, {counted(found.tasks, 'task')}: all as promised.")
    else:
        for finding in found.findings[:FINDINGS_SHOWN_MAX]:
            say(f"{finding.kind:<10}  {visible(finding.where)}  {visible(problem_of(finding))}")
        if len(found.findings) > FINDINGS_SHOWN_MAX:
            warn(f"… and {len(found.findings) - FINDINGS_SHOWN_MAX:,} more; --json lists them all.")
        say_error(f"{counted(len(found.findings), 'finding')}. {_advice({finding.kind for finding in found.findings})}")
    if found.findings:
        raise typer.Exit(Exit.DAMAGED)


def doctor(
    *,
    is_repairing: Annotated[
        bool,
        typer.Option(
            "--repair", help="Repair the damaged files of a stopped server. Says what is kept and lost, and asks first."
        ),
    ] = False,
    is_agreed: Annotated[bool, typer.Option("--yes", help="Repair without asking.")] = False,
    town: TownOption = None,
    actor: ActorOption = None,
    as_json: JsonOption = False,
) -> None:
    """Check the town's server and projections. Exit code 1 if a check fails.

    With --repair, it reads the files of a server that does not start, and repairs a copy. The damaged files are kept.
    """
    if is_repairing:
        repair(town=town, is_agreed=is_agreed, as_json=as_json)
        return
    if is_agreed:
        message = "--yes goes with --repair."
        raise typer.BadParameter(message)
    with opened(town, actor) as opened_town:
        opened_town.list_on_server()
        checks = examine(opened_town.backend, opened_town.connection)
        # One of the checks says it.
        opened_town.backend.receipts.missed = None
    if as_json:
        say_json(checks_shape(opened_town, checks))
    else:
        say_table(
            ["", "CHECK", "FOUND"],
            [
                [_STATE_SIGNS[check.state], check.name, visible(words_of(check.error or check.words))]
                for check in checks
            ],
        )
    if any(check.state is CheckState.BAD for check in checks):
        raise typer.Exit(Exit.REFUSED)


def _in_short(value: object) -> str:
    """A value of a difference, shortened to fit in a line; --json has all of it."""
    text = NOTHING if value is None else str(value)
    return text if len(text) <= VALUE_CHARS_MAX else f"{text[:VALUE_CHARS_MAX]}…"


def _advice(kinds: set[FindingKind]) -> str:
    """What to do about findings of these kinds."""
    advice: list[str] = []
    if kinds & _OF_LOST_EVENTS:
        advice.append(
            "Lost or altered events can only be restored from a backup of the data folder."
            " Until then, snapshots may be the last trace of them, and `tt rebuild --accept-loss` removes that trace."
        )
    elif kinds & {FindingKind.CHECKPOINT, FindingKind.SNAPSHOT, FindingKind.VIEW, FindingKind.KEY}:
        advice.append("`tt rebuild` puts checkpoints, snapshots and views right.")
    if FindingKind.HEAD in kinds and not kinds & _OF_LOST_EVENTS:
        advice.append("Heads can only be restored from a backup of the data folder; a rebuild does not change them.")
    if FindingKind.RECEIPT in kinds and not kinds & _OF_LOST_EVENTS:
        advice.append(
            "`tt recover --dry-run` says which of the acknowledged events can be made good, and changes nothing."
        )
    if FindingKind.OLD_TASK in kinds:
        advice.append(
            "`tt migrate` adopts tasks from before the ledger, and sets aside what was written over snapshots."
        )
    return " ".join(advice)


def _registered_folders() -> list[Path]:
    """The folders of the registered towns, without those that are gone, of which it warns."""
    towns = find_towns()
    for gone in (each for each in towns if each.state is TownState.GONE):
        warn(f"{gone.name}: the folder {gone.path} is gone; it is left out.")
    folders = [Path(each.path) for each in towns if each.state is not TownState.GONE]
    if not folders:
        warn("No towns to follow. `tt init` makes one.")
    return folders


def _serve_metrics(port: int) -> WorkerMetrics:
    from cli.metrics import PrometheusMetrics  # noqa: PLC0415 - slow to import, and only needed here

    try:
        metrics = PrometheusMetrics(port)
    except OSError as error:
        raise MetricsPortError(port, error) from error
    warn(f"Metrics at http://127.0.0.1:{metrics.port}/metrics")
    return metrics


def _say_report(report: WorkerReport, *, as_json: bool) -> None:
    if as_json:
        say_json(worker_shape(report))
    elif report.problem is not None:
        warn(f"{report.town}  {words_of(report.problem)}")
    else:
        say(
            f"{local_time(report.position.time)}  {visible(report.town)}  event {report.position.seq:,}"
            f"  lag {counted(report.lag_events, 'event')}, {report.lag_seconds:.1f} s  {report.events_per_second:,.0f} events/s"
        )
