"""What can go wrong in snapshots and views. The tree continues that of `ledger`.

CommandRejectedError
  UnknownProjectionError        there is no view of that name
  RebuildAtWorkError            another rebuild is running
LedgerDamagedError
  ProjectionError               what readers see cannot be trusted
    SnapshotDamagedError        a snapshot is not what was projected
    ViewsIncompleteError        the views do not hold every task
    CheckpointMismatchError     the checkpoints differ in their position
    CheckpointSetBackError      a checkpoint went back during a comparison
    CheckpointAheadError        a checkpoint is after the ledger's last event
    LossNotAcceptedError        the ledger has lost events, and the rebuild was not told to accept that
    RebuildUnfinishedError      a rebuild is unfinished and keeps other projectors out
    NewerProjectionError        a newer program wrote a checkpoint
    OutdatedProjectionError     an older program wrote a checkpoint
StoreUnavailableError
  LegacyFullError               no more old records of that name can be kept

As in `ledger`, `cli` adds the commands that help.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ledger import UPGRADE_ADVICE, CommandRejectedError, LedgerDamagedError, StoreUnavailableError

if TYPE_CHECKING:
    from collections.abc import Sequence


class UnknownProjectionError(CommandRejectedError):
    """There is no view of that name."""

    def __init__(self, view: str, known: Sequence[str]) -> None:
        self.view = view
        super().__init__(f"There is no view {view!r}. Choose from {', '.join(known)}.")


class RebuildAtWorkError(CommandRejectedError):
    """Another rebuild of the town is running; one is enough."""

    def __init__(self) -> None:
        super().__init__("Another rebuild of this town is at work. Wait for it to end.")


class ProjectionError(LedgerDamagedError):
    """What readers see cannot be trusted; the ledger itself may be sound."""


class SnapshotDamagedError(ProjectionError):
    """A snapshot is not what was projected."""

    def __init__(self, key: str, problem: str) -> None:
        self.key = key
        self.problem = problem
        super().__init__(
            f"The key {key} {problem}. Something other than the projector wrote it. The ledger still has every event."
        )


class ViewsIncompleteError(ProjectionError):
    """The views do not hold every task."""

    def __init__(self, problem: str) -> None:
        self.problem = problem
        super().__init__(
            f"The views do not hold every task: {problem}. Something other than the projector removed keys, or the server"
            " evicts them. The ledger still has every event."
        )


class CheckpointMismatchError(ProjectionError):
    """The checkpoints of the projections differ in their position."""

    def __init__(self, projection: str, position: str, expected: str) -> None:
        self.projection = projection
        self.position = position
        self.expected = expected
        super().__init__(
            f"The checkpoint of {projection} is at {position}, and the snapshots' is at {expected}: something other than"
            " the projector moved it."
        )


class CheckpointSetBackError(ProjectionError):
    """A checkpoint went back while snapshots and views were compared with the ledger."""

    def __init__(self, position: str, before: str) -> None:
        self.position = position
        self.before = before
        super().__init__(
            f"The checkpoint went back from {before} to {position} while it was compared: something other than the projector"
            " moved it."
        )


class CheckpointAheadError(ProjectionError):
    """A checkpoint is after the ledger's last event."""

    def __init__(self, position: str, end: str) -> None:
        self.position = position
        self.end = end
        super().__init__(
            f"The checkpoint is at {position}, and the ledger ends at {end}: events were lost, or the checkpoint was moved."
        )


class LossNotAcceptedError(ProjectionError):
    """The ledger has lost events, and the rebuild was not told to accept that."""

    def __init__(self, damage: LedgerDamagedError) -> None:
        self.damage = damage
        super().__init__(f"{damage} Nothing was rebuilt.")


class RebuildUnfinishedError(ProjectionError):
    """A rebuild keeps other projectors out until it is done."""

    def __init__(self, position: str) -> None:
        self.position = position
        super().__init__(f"A rebuild at {position} is not finished. The next command finishes it.")


class NewerProjectionError(ProjectionError):
    """A newer program wrote a checkpoint."""

    def __init__(self, projection: str, *, schema: int, schema_known: int) -> None:
        self.projection = projection
        self.schema = schema
        self.schema_known = schema_known
        super().__init__(
            f"The projection {projection} has schema {schema}, and {schema_known} is the newest known. {UPGRADE_ADVICE}"
        )


class OutdatedProjectionError(ProjectionError):
    """An older program wrote a checkpoint."""

    def __init__(self, projection: str, *, schema: int, schema_known: int) -> None:
        self.projection = projection
        self.schema = schema
        self.schema_known = schema_known
        super().__init__(
            f"The projection {projection} has schema {schema}, and this program writes {schema_known}."
            " Build it anew from the ledger."
        )


class LegacyFullError(StoreUnavailableError):
    """The limit of old records set aside under one name is reached; this one stays where it is."""

    def __init__(self, where: str, name: str, place: str, *, records_max: int) -> None:
        super().__init__(where, f"keeps {records_max:,} records of {name} under {place} already", "Delete them.")
