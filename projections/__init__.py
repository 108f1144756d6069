"""What readers see: snapshots and views, folded from the ledger and committed with their checkpoint.

Everything here can be thrown away and built again. This package knows no folder and no terminal.
"""

from projections.board import Board
from projections.catalogue import VIEWS
from projections.checkpoint import Checkpoint
from projections.filter import EVERY_TASK, Page, TaskFilter
from projections.live_board import LiveBoard
from projections.projection import Counted, Entry, Member, Ranked, View
from projections.projector import BATCH_EVENTS_MAX, Progress, Projector
from projections.replay import replay
from projections.snapshots import Snapshot, decode_snapshot, encode_snapshot, snapshot_of

__all__ = [
    "BATCH_EVENTS_MAX",
    "EVERY_TASK",
    "VIEWS",
    "Board",
    "Checkpoint",
    "Counted",
    "Entry",
    "LiveBoard",
    "Member",
    "Page",
    "Progress",
    "Projector",
    "Ranked",
    "Snapshot",
    "TaskFilter",
    "View",
    "decode_snapshot",
    "encode_snapshot",
    "replay",
    "snapshot_of",
]
