"""What can go wrong in snapshots and views. The tree continues that of `ledger`.

CommandRejectedError
  UnknownProjectionError        no view of that name
  RebuildAtWorkError            another rebuild is at work
LedgerDamagedError
  ProjectionError               what readers see cannot be trusted
    SnapshotDamagedError        a snapshot that is not what was projected
    ViewsIncompleteError        views that do not hold every task
    CheckpointMismatchError     projections that do not stand at one position
    CheckpointAheadError        a checkpoint after the ledger's last event
    LossNotAcceptedError        a rebuild over a ledger that has lost events
    RebuildUnfinishedError      a rebuild keeps other projectors out until it is done
    NewerProjectionError        a checkpoint of a newer program
    OutdatedProjectionError     a checkpoint of an older program
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ledger import UPGRADE_ADVICE, CommandRejectedError, LedgerDamagedError

if TYPE_CHECKING:
    from collections.abc import Sequence

WRONG_KEY_TYPE_ADVICE = "Rename that key, then `tt rebuild`."


class UnknownProjectionError(CommandRejectedError):
    """There is no view of that name."""

    def __init__(self, view: str, known: Sequence[str]) -> None:
        self.view = view
        super().__init__(f"There is no view {view!r}. Choose from {', '.join(known)}.")


class RebuildAtWorkError(CommandRejectedError):
    """Another rebuild of the town is at work; one is enough."""

    def __init__(self) -> None:
        super().__init__("Another rebuild of this town is at work. Wait for it to end; `tt verify` shows what it left.")


class ProjectionError(LedgerDamagedError):
    """What readers see cannot be trusted; the ledger itself may be sound."""


class SnapshotDamagedError(ProjectionError):
    """A snapshot is not what was projected."""

    def __init__(self, key: str, problem: str) -> None:
        self.key = key
        self.problem = problem
        super().__init__(
            f"The key {key} {problem}. Something other than the projector wrote it. The ledger still has every event:"
            " `tt verify` shows what differs, `tt rebuild` puts it right."
        )


class ViewsIncompleteError(ProjectionError):
    """The views do not hold every task."""

    def __init__(self, problem: str) -> None:
        self.problem = problem
        super().__init__(
            f"The views do not hold every task: {problem}. Something other than the projector removed keys, or the server"
            " evicts them: `tt doctor` tells which. The ledger still has every event; `tt rebuild` puts the views right."
        )


class CheckpointMismatchError(ProjectionError):
    """The projections do not stand at one position."""

    def __init__(self, projection: str, position: str, expected: str) -> None:
        self.projection = projection
        self.position = position
        self.expected = expected
        super().__init__(
            f"The checkpoint of {projection} is at {position}, and the snapshots' is at {expected}: something other than"
            " the projector moved it. `tt rebuild` puts it right."
        )


class CheckpointAheadError(ProjectionError):
    """A checkpoint lies after the ledger's last event."""

    def __init__(self, position: str, end: str) -> None:
        self.position = position
        self.end = end
        super().__init__(
            f"The checkpoint is at {position}, and the ledger ends at {end}: events were lost, or the checkpoint was moved."
            " `tt verify` tells; `tt rebuild` puts a checkpoint right, a backup of the data folder lost events."
        )


class LossNotAcceptedError(ProjectionError):
    """A rebuild over a ledger that has lost events was not asked for."""

    def __init__(self, damage: LedgerDamagedError) -> None:
        self.damage = damage
        super().__init__(
            f"{damage} Nothing was rebuilt. `tt verify` lists everything; `tt rebuild --accept-loss` builds what is left."
        )


class RebuildUnfinishedError(ProjectionError):
    """A rebuild keeps other projectors out until it is done."""

    def __init__(self, position: str) -> None:
        self.position = position
        super().__init__(
            f"A rebuild at {position} is not finished. The next command finishes it; or call `tt rebuild`."
        )


class NewerProjectionError(ProjectionError):
    """A checkpoint was written by a newer program."""

    def __init__(self, projection: str, *, schema: int, schema_known: int) -> None:
        self.projection = projection
        self.schema = schema
        self.schema_known = schema_known
        super().__init__(
            f"The projection {projection} has schema {schema}, and {schema_known} is the newest known. {UPGRADE_ADVICE}"
        )


class OutdatedProjectionError(ProjectionError):
    """A checkpoint was written by an older program."""

    def __init__(self, projection: str, *, schema: int, schema_known: int) -> None:
        self.projection = projection
        self.schema = schema
        self.schema_known = schema_known
        super().__init__(
            f"The projection {projection} has schema {schema}, and this program writes {schema_known}."
            " Build it anew from the ledger: `tt migrate`."
        )
