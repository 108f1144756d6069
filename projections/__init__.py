"""What readers see: snapshots and views, folded from the ledger and committed with their checkpoint.

Everything here can be thrown away and built again. This package knows no folder and no terminal.
"""

from typing import TYPE_CHECKING

from ledger import open_front_door

if TYPE_CHECKING:
    from projections.activity import NO_FIGURES, Activity, Figures, count_activity
    from projections.bisection import Bisection, Verdict
    from projections.board import Board
    from projections.board_diff import BoardDiff, Differing, DiffKind, TaskDiff
    from projections.checking.audit import Audit, Finding, FindingKind
    from projections.checking.comparison import Difference, printable
    from projections.checking.divergence import diverged_after
    from projections.checking.verify import Verification, describe, different_fields, verify
    from projections.damage import damage_of, find_flaws
    from projections.errors import (
        CheckpointAheadError,
        CheckpointMismatchError,
        CheckpointSetBackError,
        LegacyFullError,
        LossNotAcceptedError,
        NewerProjectionError,
        OutdatedProjectionError,
        ProjectionError,
        RebuildAtWorkError,
        RebuildUnfinishedError,
        SnapshotDamagedError,
        UnknownProjectionError,
        ViewsIncompleteError,
    )
    from projections.filter import EVERY_TASK, Page, Sort, TaskFilter, each_of
    from projections.lease import LEASE_MS, Lease, new_holder
    from projections.listing import COUNTED_MAX
    from projections.live_board import LiveBoard
    from projections.loading import Loader
    from projections.look import NOTHING, PREFIX_IDS_MAX, Wanted
    from projections.projector import BATCH_EVENTS_MAX, BatchOutcome, Projector
    from projections.rebuilding.rebuild import Rebuild
    from projections.rebuilding.set_aside import LEGACY_NAMES_MAX, SetAside
    from projections.replay import fold_task, no_garbage_collection, replay
    from projections.snapshots import Snapshot, encode_snapshot, has_position, is_snapshot, snapshot_of
    from projections.stats import DayStats, Durations, fold_stats, read_stats
    from projections.upkeep import Upkeep
    from projections.views.by_alias import is_computed
    from projections.views.catalogue import VIEWS
    from projections.views.view import Counted, Member, Ranked, View

__all__ = [
    "BATCH_EVENTS_MAX",
    "COUNTED_MAX",
    "EVERY_TASK",
    "LEASE_MS",
    "LEGACY_NAMES_MAX",
    "NOTHING",
    "NO_FIGURES",
    "PREFIX_IDS_MAX",
    "VIEWS",
    "Activity",
    "Audit",
    "BatchOutcome",
    "Bisection",
    "Board",
    "BoardDiff",
    "CheckpointAheadError",
    "CheckpointMismatchError",
    "CheckpointSetBackError",
    "Counted",
    "DayStats",
    "DiffKind",
    "Difference",
    "Differing",
    "Durations",
    "Figures",
    "Finding",
    "FindingKind",
    "Lease",
    "LegacyFullError",
    "LiveBoard",
    "Loader",
    "LossNotAcceptedError",
    "Member",
    "NewerProjectionError",
    "OutdatedProjectionError",
    "Page",
    "ProjectionError",
    "Projector",
    "Ranked",
    "Rebuild",
    "RebuildAtWorkError",
    "RebuildUnfinishedError",
    "SetAside",
    "Snapshot",
    "SnapshotDamagedError",
    "Sort",
    "TaskDiff",
    "TaskFilter",
    "UnknownProjectionError",
    "Upkeep",
    "Verdict",
    "Verification",
    "View",
    "ViewsIncompleteError",
    "Wanted",
    "count_activity",
    "damage_of",
    "describe",
    "different_fields",
    "diverged_after",
    "each_of",
    "encode_snapshot",
    "find_flaws",
    "fold_stats",
    "fold_task",
    "has_position",
    "is_computed",
    "is_snapshot",
    "new_holder",
    "no_garbage_collection",
    "printable",
    "read_stats",
    "replay",
    "snapshot_of",
    "verify",
]

open_front_door(
    __name__,
    {
        "activity": "NO_FIGURES Activity Figures count_activity",
        "bisection": "Bisection Verdict",
        "board": "Board",
        "board_diff": "BoardDiff DiffKind Differing TaskDiff",
        "checking.audit": "Audit Finding FindingKind",
        "checking.comparison": "Difference printable",
        "checking.divergence": "diverged_after",
        "checking.verify": "Verification describe different_fields verify",
        "damage": "damage_of find_flaws",
        "errors": "CheckpointAheadError CheckpointMismatchError CheckpointSetBackError LegacyFullError "
        "LossNotAcceptedError NewerProjectionError OutdatedProjectionError ProjectionError RebuildAtWorkError "
        "RebuildUnfinishedError SnapshotDamagedError UnknownProjectionError ViewsIncompleteError",
        "filter": "EVERY_TASK Page Sort TaskFilter each_of",
        "lease": "LEASE_MS Lease new_holder",
        "listing": "COUNTED_MAX",
        "live_board": "LiveBoard",
        "loading": "Loader",
        "look": "NOTHING PREFIX_IDS_MAX Wanted",
        "projector": "BATCH_EVENTS_MAX BatchOutcome Projector",
        "rebuilding.rebuild": "Rebuild",
        "rebuilding.set_aside": "LEGACY_NAMES_MAX SetAside",
        "replay": "fold_task no_garbage_collection replay",
        "snapshots": "Snapshot encode_snapshot has_position is_snapshot snapshot_of",
        "stats": "DayStats Durations fold_stats read_stats",
        "upkeep": "Upkeep",
        "views.by_alias": "is_computed",
        "views.catalogue": "VIEWS",
        "views.view": "Counted Member Ranked View",
    },
)
