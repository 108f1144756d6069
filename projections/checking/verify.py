"""Verify: the whole ledger, the heads, the checkpoints, the snapshots and the views, proved or refuted. Writes nothing."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING

import msgspec
from msgspec import Struct

from ledger import BEGINNING, UPGRADE_ADVICE, EventStore, Keys, Position
from projections.checking.audit import Audit, Finding, FindingKind, Remedy
from projections.checking.comparison import Comparison, Difference, DifferenceKind, printable
from projections.checkpoint import REBUILD_FENCED, Checkpoint, Checkpoints
from projections.replay import no_garbage_collection
from projections.views.catalogue import VIEWS
from projections.views.view import View

if TYPE_CHECKING:
    from redis import Redis

_KINDS = {
    DifferenceKind.SNAPSHOT: FindingKind.SNAPSHOT,
    DifferenceKind.ENTRY: FindingKind.VIEW,
    DifferenceKind.COUNT: FindingKind.VIEW,
    DifferenceKind.TYPE: FindingKind.KEY,
    DifferenceKind.UNKNOWN_KEY: FindingKind.KEY,
    DifferenceKind.CHECKPOINT: FindingKind.CHECKPOINT,
}


class Verification(Struct, frozen=True):
    """What was read, and everything that is not as promised; nothing found means that all of it is."""

    events: int
    tasks: int
    position: Position
    findings: tuple[Finding, ...]


@no_garbage_collection()
def verify(
    client: Redis,
    keys: Keys,
    *,
    views: Sequence[View] = VIEWS,
    where: str = "redis",
    progress: Callable[[Position], None] | None = None,
) -> Verification:
    """Read everything and compare it. Others may append and project meanwhile. StoreUnavailableError."""
    store = EventStore(client, keys, where=where)
    checkpoints = Checkpoints(client, keys, views, where=where)
    comparison = Comparison(client, keys, views=views, where=where)
    audit = Audit(store, tally=comparison.tally)
    comparison.board = audit.board
    findings: list[Finding] = []
    different: list[Difference] = []
    # Only as far as the checkpoint: snapshots and views are compared there, before the rest is read.
    stored = checkpoints.read()
    reached = BEGINNING if stored[0] is None else stored[0].position
    if reached > store.end():
        problem = f"it is at {reached}, after the ledger's last event, {store.end()}"
        findings.append(Finding(kind=FindingKind.CHECKPOINT, where=checkpoints.keys[0], problem=problem))
    else:
        audit.read(upto=reached, progress=progress)
        if reached == store.end():
            # Also where the last events are gone: that is found on its own.
            audit.board.position = reached
        findings += _check_checkpoints(checkpoints, stored, audit.board.position)
        if audit.is_readable and audit.board.position == reached:
            newer = [keys.view(name) for name in checkpoints.unknown_views(stored[0])]
            newer += [keys.checkpoint(name) for name in checkpoints.unknown_views(stored[0])]
            different += [
                difference
                for ask in comparison.questions()
                for difference in ask()
                if not any(difference.key == key or difference.key.startswith(f"{key}:") for key in newer)
            ]
    compared_at = audit.board.position
    audit.read(progress=progress)
    audit.check_end(reached)
    audit.check_heads()
    if any(_is_ahead(each, compared_at, keys, audit) for each in different):
        problem = f"it is at {compared_at}, and snapshots of later events are there: it was set back"
        findings.append(Finding(kind=FindingKind.CHECKPOINT, where=checkpoints.keys[0], problem=problem))
    findings += [
        Finding(
            kind=FindingKind.OLD_TASK if each.is_old_record or each.is_written_over else _KINDS[each.kind],
            where=printable(each.key),
            problem=printable(describe(each)),
            remedy=_remedy_of(each),
        )
        for each in different
    ]
    return Verification(audit.events, len(audit.board.tasks), audit.board.position, (*audit.findings, *findings))


def describe(difference: Difference) -> str:
    """A difference in words, without its key."""
    expected, actual = difference.expected, difference.actual
    if difference.kind is DifferenceKind.UNKNOWN_KEY or difference.is_written_over:
        return _describe_unknown_key(difference)
    if difference.kind is DifferenceKind.SNAPSHOT and None not in (expected, actual):
        return "; ".join(
            f"{name} is {found}, and should be {wanted}" for name, wanted, found in different_fields(difference)
        )
    what = {
        DifferenceKind.SNAPSHOT: "the snapshot",
        DifferenceKind.ENTRY: f"task {difference.task_id}",
        DifferenceKind.COUNT: f"{difference.field}",
        DifferenceKind.TYPE: "the key",
    }[difference.kind]
    if difference.kind is DifferenceKind.TYPE:
        return f"{what} is {actual}"
    if actual is None:
        return f"{what} is missing"
    if expected is None:
        return f"{what} does not belong here"
    return f"{what} is {actual}, and should be {expected}"


def _describe_unknown_key(difference: Difference) -> str:
    if difference.is_written_over:
        return "an old record was written over the snapshot"
    if difference.is_old_record:
        return "it is a task from before the ledger"
    return "the ledger knows nothing of the key"


def _remedy_of(difference: Difference) -> Remedy | None:
    if difference.is_written_over:
        return Remedy.RESTORE_SNAPSHOT
    return Remedy.ADOPT if difference.is_old_record else None


def different_fields(difference: Difference) -> list[tuple[str, object, object]]:
    """(field, expected, actual) of what differs: of a snapshot's fields where both are JSON, else of the whole."""
    if difference.kind is DifferenceKind.SNAPSHOT:
        expected, actual = _fields(difference.expected), _fields(difference.actual)
        if expected is not None and actual is not None:
            names = dict.fromkeys([*expected, *actual])
            found = [(name, expected.get(name), actual.get(name)) for name in names]
            # The same fields may be written in other bytes.
            return [each for each in found if each[1] != each[2]] or [("bytes", difference.expected, difference.actual)]
    return [(difference.field or str(difference.kind), difference.expected, difference.actual)]


def _fields(snapshot: str | int | None) -> dict[str, object] | None:
    try:
        fields = msgspec.json.decode(str(snapshot))
    except (msgspec.MsgspecError, RecursionError):
        return None
    return fields if isinstance(fields, dict) else None


def _check_checkpoints(
    checkpoints: Checkpoints, stored: Sequence[Checkpoint | None], position: Position
) -> Iterator[Finding]:
    """That each is of this program and at one position, which is the position of an event."""
    if not any(stored):
        return
    first = stored[0]
    for name in checkpoints.unknown_views(first):
        unknown = f"it names the view {name}, which this program does not know. {UPGRADE_ADVICE}"
        yield Finding(kind=FindingKind.CHECKPOINT, where=checkpoints.keys[0], problem=unknown)
    for key, (_, schema_version), checkpoint in zip(checkpoints.keys, checkpoints.projections, stored, strict=True):
        problem = None
        is_newer = checkpoint is not None and checkpoint.schema_version > schema_version
        is_older = checkpoint is None or checkpoint.schema_version < schema_version
        if checkpoint is None:
            problem = "it is missing: an older program projected the town."
        elif is_newer or is_older:
            advice = f" {UPGRADE_ADVICE}" if is_newer else ""
            problem = (
                f"it is of schema version {checkpoint.schema_version}, and this program's is {schema_version}.{advice}"
            )
        elif first is not None and checkpoint.position != first.position:
            problem = f"it is at {checkpoint.position}, and the snapshots' at {first.position}"
        elif checkpoint.rebuild == REBUILD_FENCED:
            problem = "a rebuild was begun and is not finished; the next command finishes it"
        if problem is not None:
            yield Finding(
                kind=FindingKind.CHECKPOINT, where=key, problem=problem, remedy=Remedy.BUILD_ANEW if is_older else None
            )
    if first is not None and first.position != position:
        yield Finding(
            kind=FindingKind.CHECKPOINT, where=checkpoints.keys[0], problem="it is not the position of an event"
        )


def _is_ahead(difference: Difference, compared_at: Position, keys: Keys, audit: Audit) -> bool:
    """Whether a snapshot knows of events after the checkpoint it was compared at."""
    if difference.kind is DifferenceKind.UNKNOWN_KEY:
        prefix = keys.task("")
        last = audit.last(difference.key.removeprefix(prefix)) if difference.key.startswith(prefix) else None
        return last is not None and last.position > compared_at
    if difference.kind is not DifferenceKind.SNAPSHOT or difference.actual is None:
        return False
    try:
        return Position.parse(msgspec.json.decode(str(difference.actual))["position"]) > compared_at
    except (msgspec.MsgspecError, RecursionError, KeyError, TypeError, ValueError):
        return False
