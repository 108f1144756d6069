"""What readers see: snapshots and views, folded from the ledger and committed with their checkpoint.

Everything here can be thrown away and built again. This package knows no folder and no terminal.
"""

from typing import TYPE_CHECKING

from ledger import open_front_door

if TYPE_CHECKING:
    from projections.activity import NO_FIGURES, Activity, Figures, count_activity
    from projections.bisection import Bisection, Verdict
    from projections.blocking import (
        Block,
        BlockedTask,
        BlockKind,
        CriticalPath,
        and_above,
        blocked_among,
        critical_path,
    )
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
    from projections.inbox import InboxPage, InboxPages, gather_inbox, read_inbox
    from projections.kept_board import (
        KeptBoard,
        Witness,
        damaged_parts,
        decode_kept,
        encode_kept,
        keep,
        open_kept,
        witness_of,
    )
    from projections.lease import LEASE_MS, Lease, new_holder
    from projections.links import Linked, links_on, read_links
    from projections.listing import COUNTED_MAX
    from projections.live_board import LiveBoard
    from projections.loading import Loader
    from projections.look import ACTOR_EVENTS_MAX, NOTHING, PREFIX_IDS_MAX, Wanted
    from projections.lost_runs import LostRun, RunsLook, look_at_runs
    from projections.neighbours import RedisNeighbours
    from projections.packed_board import PackedBoard
    from projections.projector import BATCH_EVENTS_MAX, BatchOutcome, Projector
    from projections.readiness import Asked
    from projections.ready_page import ReadyFilter, ReadyPage, ready_on
    from projections.rebuilding.rebuild import Rebuild
    from projections.rebuilding.set_aside import LEGACY_NAMES_MAX, SetAside
    from projections.relatives import Relatives
    from projections.replay import fold_task, no_garbage_collection, replay
    from projections.search.query import Hit, Query, hit_of, score
    from projections.search.ranking import Met, Ranking, best_first, rank
    from projections.search.scan import Found, Progress, read_texts, scan
    from projections.search.segment import (
        NUMBER_MAX,
        BlockHead,
        IndexDamagedError,
        Postings,
        Segment,
        SegmentHead,
        block_of_task,
        blocks_of_word,
        conditions_of,
        digest_of,
        make_segment,
        read_ids,
        read_numbers,
        read_postings,
        task_in,
    )
    from projections.search.texts import Place, TaskTexts, Text, texts_of
    from projections.search.words import spans
    from projections.snapshots import Snapshot, encode_snapshot, has_position, is_snapshot, snapshot_of
    from projections.stats import DayStats, Durations, fold_stats, read_stats
    from projections.upkeep import Upkeep
    from projections.views.by_alias import is_computed
    from projections.views.catalogue import VIEWS
    from projections.views.view import Counted, Member, Ranked, View
    from projections.waiting import (
        Waiting,
        WaitingBriefly,
        read_dependents,
        read_parents,
        read_waiting,
        read_waiting_briefly,
        waiting_on,
    )

__all__ = [
    "ACTOR_EVENTS_MAX",
    "BATCH_EVENTS_MAX",
    "COUNTED_MAX",
    "EVERY_TASK",
    "LEASE_MS",
    "LEGACY_NAMES_MAX",
    "NOTHING",
    "NO_FIGURES",
    "NUMBER_MAX",
    "PREFIX_IDS_MAX",
    "VIEWS",
    "Activity",
    "Asked",
    "Audit",
    "BatchOutcome",
    "Bisection",
    "Block",
    "BlockHead",
    "BlockKind",
    "BlockedTask",
    "Board",
    "BoardDiff",
    "CheckpointAheadError",
    "CheckpointMismatchError",
    "CheckpointSetBackError",
    "Counted",
    "CriticalPath",
    "DayStats",
    "DiffKind",
    "Difference",
    "Differing",
    "Durations",
    "Figures",
    "Finding",
    "FindingKind",
    "Found",
    "Hit",
    "InboxPage",
    "InboxPages",
    "IndexDamagedError",
    "KeptBoard",
    "Lease",
    "LegacyFullError",
    "Linked",
    "LiveBoard",
    "Loader",
    "LossNotAcceptedError",
    "LostRun",
    "Member",
    "Met",
    "NewerProjectionError",
    "OutdatedProjectionError",
    "PackedBoard",
    "Page",
    "Place",
    "Postings",
    "Progress",
    "ProjectionError",
    "Projector",
    "Query",
    "Ranked",
    "Ranking",
    "ReadyFilter",
    "ReadyPage",
    "Rebuild",
    "RebuildAtWorkError",
    "RebuildUnfinishedError",
    "RedisNeighbours",
    "Relatives",
    "RunsLook",
    "Segment",
    "SegmentHead",
    "SetAside",
    "Snapshot",
    "SnapshotDamagedError",
    "Sort",
    "TaskDiff",
    "TaskFilter",
    "TaskTexts",
    "Text",
    "UnknownProjectionError",
    "Upkeep",
    "Verdict",
    "Verification",
    "View",
    "ViewsIncompleteError",
    "Waiting",
    "WaitingBriefly",
    "Wanted",
    "Witness",
    "and_above",
    "best_first",
    "block_of_task",
    "blocked_among",
    "blocks_of_word",
    "conditions_of",
    "count_activity",
    "critical_path",
    "damage_of",
    "damaged_parts",
    "decode_kept",
    "describe",
    "different_fields",
    "digest_of",
    "diverged_after",
    "each_of",
    "encode_kept",
    "encode_snapshot",
    "find_flaws",
    "fold_stats",
    "fold_task",
    "gather_inbox",
    "has_position",
    "hit_of",
    "is_computed",
    "is_snapshot",
    "keep",
    "links_on",
    "look_at_runs",
    "make_segment",
    "new_holder",
    "no_garbage_collection",
    "open_kept",
    "printable",
    "rank",
    "read_dependents",
    "read_ids",
    "read_inbox",
    "read_links",
    "read_numbers",
    "read_parents",
    "read_postings",
    "read_stats",
    "read_texts",
    "read_waiting",
    "read_waiting_briefly",
    "ready_on",
    "replay",
    "scan",
    "score",
    "snapshot_of",
    "spans",
    "task_in",
    "texts_of",
    "verify",
    "waiting_on",
    "witness_of",
]

open_front_door(
    __name__,
    {
        "activity": "NO_FIGURES Activity Figures count_activity",
        "bisection": "Bisection Verdict",
        "blocking": "Block BlockKind BlockedTask CriticalPath and_above blocked_among critical_path",
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
        "inbox": "InboxPage InboxPages gather_inbox read_inbox",
        "kept_board": "KeptBoard Witness damaged_parts decode_kept encode_kept keep open_kept witness_of",
        "lease": "LEASE_MS Lease new_holder",
        "links": "Linked links_on read_links",
        "listing": "COUNTED_MAX",
        "live_board": "LiveBoard",
        "loading": "Loader",
        "look": "ACTOR_EVENTS_MAX NOTHING PREFIX_IDS_MAX Wanted",
        "lost_runs": "LostRun RunsLook look_at_runs",
        "neighbours": "RedisNeighbours",
        "packed_board": "PackedBoard",
        "projector": "BATCH_EVENTS_MAX BatchOutcome Projector",
        "readiness": "Asked",
        "ready_page": "ReadyFilter ReadyPage ready_on",
        "rebuilding.rebuild": "Rebuild",
        "rebuilding.set_aside": "LEGACY_NAMES_MAX SetAside",
        "relatives": "Relatives",
        "replay": "fold_task no_garbage_collection replay",
        "search.query": "Hit Query hit_of score",
        "search.ranking": "Met Ranking best_first rank",
        "search.scan": "Found Progress read_texts scan",
        "search.segment": "NUMBER_MAX BlockHead IndexDamagedError Postings Segment SegmentHead block_of_task blocks_of_word "
        "conditions_of digest_of make_segment read_ids read_numbers read_postings task_in",
        "search.texts": "Place TaskTexts Text texts_of",
        "search.words": "spans",
        "snapshots": "Snapshot encode_snapshot has_position is_snapshot snapshot_of",
        "stats": "DayStats Durations fold_stats read_stats",
        "upkeep": "Upkeep",
        "views.by_alias": "is_computed",
        "views.catalogue": "VIEWS",
        "views.view": "Counted Member Ranked View",
        "waiting": "Waiting WaitingBriefly read_dependents read_parents read_waiting read_waiting_briefly waiting_on",
    },
)
