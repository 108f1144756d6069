"""Audit: reads a whole ledger and proves that nothing in it is missing or altered, or says where it is.

It folds while it reads, and goes on after damage: it steps over missing versions, and leaves out events of a task whose
creation is lost. The result is the best that can be recovered (`tt rebuild --accept-loss`).
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Sequence
from copy import copy
from enum import StrEnum
from typing import Final, NamedTuple

from msgspec import Struct

from ledger import (
    BEGINNING,
    CREATIONS,
    STATES,
    EventDecodingError,
    EventStore,
    LedgerDamagedError,
    Position,
    RecordedEvent,
    SequenceGapError,
    StreamEntry,
    Task,
    TaskAdopted,
    TaskCreated,
    TaskMoved,
    WrongKeyTypeError,
    evolve,
    evolve_known,
    flaw_in,
    flaw_of,
    parse_head,
    read_event,
    seq_of,
)
from projections.board import Board
from projections.entries import Tally


class FindingKind(StrEnum):
    """What a finding is about."""

    SEQUENCE = "sequence"
    VERSION = "version"
    PREV = "prev"
    EVENT = "event"
    HEAD = "head"
    CHECKPOINT = "checkpoint"
    SNAPSHOT = "snapshot"
    VIEW = "view"
    KEY = "key"
    OLD_TASK = "old task"
    RECEIPT = "receipt"


class Remedy(StrEnum):
    """What to do about a finding, if its kind alone does not say. `cli` names the command."""

    RENAME_KEY = "rename key"
    BUILD_ANEW = "build anew"
    ADOPT = "adopt"
    RESTORE_SNAPSHOT = "restore snapshot"


class Finding(Struct, frozen=True, kw_only=True):
    """One thing that is wrong: where (a position or a key), and what, in words."""

    kind: FindingKind
    where: str
    problem: str
    remedy: Remedy | None = None


class Last(NamedTuple):
    """A task's last event so far."""

    version: int
    position: Position


_PLACING: Final = frozenset({TaskCreated, TaskMoved})
"""The facts that put a task below another."""
_CREATION_TYPES: Final = frozenset({TaskCreated.type, TaskAdopted.type})
_NONE: Final = Last(0, BEGINNING)


def lost_after_end(store: EventStore, checkpoint: Position) -> SequenceGapError | None:
    """The error for lost events after the ledger's present end; None if there is no sign of any.

    A stream that was deleted or written anew does not show what it lost. But then both the snapshots' `checkpoint` and a head
    are after its end; if only one of them is, somebody moved it. Source: HSCAN, only if the checkpoint is after the end.
    """
    if checkpoint <= store.end():
        return None
    try:
        highest = max((position for _, _, position in store.all_heads()), default=BEGINNING)
    except LedgerDamagedError:
        return None
    # Read after the heads, because others append meanwhile.
    end = store.end()
    if highest <= end:
        return None
    return SequenceGapError("last sequence number", end, expected=highest.seq, found=end.seq)


class Audit:
    """Folds a ledger's events onto `board`, and collects what is wrong in `findings`."""

    def __init__(self, store: EventStore, *, tally: Tally | None = None) -> None:
        """`tally` counts the sound events."""
        self._store = store
        self._tally = Tally({}, defaultdict(Counter)) if tally is None else tally
        self._orphans: dict[str, Last] = {}
        self._meant: dict[str, Task | None] = {}
        """Damaged tasks as they would be if all of their events had taken effect. Their later events are checked against this."""
        self._unsure: set[str] = set()
        """The damaged tasks whose last event does not show what was meant. The next sound event shows it."""
        self._unmade: set[str] = set()
        """Tasks whose creation no command can make."""
        self._parents: set[str] = set()
        """Tasks that are or were the parent of another task."""
        self.board = Board()
        self.findings: list[Finding] = []
        self.events = 0
        self.is_readable = True
        """Whether this program could read every entry as an event. If not, the state after the unreadable ones is unknown."""

    def read(self, *, upto: Position | None = None, progress: Callable[[Position], None] | None = None) -> None:
        """Read on from where the last call ended, up to `upto` (None: the present end). StoreUnavailableError."""
        for entries in self._store.read_entries(self.board.position, upto=upto):
            self.take(entries)
            if progress is not None:
                progress(self.board.position)

    def take(self, entries: Sequence[StreamEntry]) -> None:
        """Read the entries that come next, from wherever they are."""
        if not self._read_whole(entries):
            self._read_one_by_one(entries)
        self.events += len(entries)

    def last(self, task_id: str) -> Last | None:
        """The last event of a task; None if it never existed."""
        state = self.board.get(task_id)
        if state is not None:
            return Last(state.version, state.position)
        removed = self.board.removed.get(task_id)
        return Last(*removed) if removed is not None else self._orphans.get(task_id)

    def check_end(self, checkpoint: Position) -> None:
        """Check that the last event of all is still there; the snapshots' `checkpoint` is evidence."""
        lost = self._store.lost_at_end() or lost_after_end(self._store, checkpoint)
        if lost is not None and lost.expected < lost.found:
            problem = f"the stream says that it ends at number {lost.expected}, and has events after that"
            self._find(FindingKind.SEQUENCE, lost.position, problem)
        elif lost is not None:
            self._find_missing_at_end(lost.position, lost.found + 1, lost.expected)

    def check_heads(self) -> None:
        """Compare every head with the last event of its task. Heads of events that were not read yet are not checked."""
        seen: set[str] = set()
        try:
            for task_id, head in self._store.scan_heads():
                seen.add(task_id)
                state = self.board.tasks.get(task_id)
                if state is not None and head == b"%d:%s" % (state.version, state.at.encode()):
                    continue
                version, position = parse_head(head)
                last = self.last(task_id)
                is_later = self.board.position < position <= self._store.end() and self._store.has(position)
                if is_later or last == (version, position):
                    continue
                known = "no event" if last is None else f"version {last.version} at {last.position}"
                problem = f"the head of task {task_id} says version {version}, and the ledger {known}"
                self._find(FindingKind.HEAD, position, problem)
        except WrongKeyTypeError as damage:
            self._find(FindingKind.HEAD, "the heads", str(damage), Remedy.RENAME_KEY)
            return
        except LedgerDamagedError as damage:
            self._find(FindingKind.HEAD, "the heads", str(damage))
            return
        for task_id in (self.board.tasks.keys() | self.board.removed.keys() | self._orphans.keys()) - seen:
            self._find(FindingKind.HEAD, self.board.position, f"task {task_id} has events and no head")

    def _find_missing_at_end(self, position: str, first: int, last: int) -> None:
        missing = f"number {first} is" if first == last else f"numbers {first} to {last} are"
        self._find(FindingKind.SEQUENCE, position, f"sequence {missing} missing at the end")

    def _read_whole(self, entries: Sequence[StreamEntry]) -> bool:
        """Fold a batch in which every entry is an event and no number is missing, as in a sound ledger; False for another one."""
        try:
            events = self._store.decode(entries)
        except EventDecodingError:
            return False
        first = self.board.position.seq + 1
        if [seq_of(recorded.at) for recorded in events] != list(range(first, first + len(events))):
            return False
        taken = self._take_sound(events)
        while taken < len(events):
            self._take(events[taken])
            taken += 1 + self._take_sound(events[taken + 1 :])
        # The board does not move for the event of a task whose creation is lost.
        self.board.position = events[-1].position
        return True

    def _read_one_by_one(self, entries: Sequence[StreamEntry]) -> None:
        for position, fields in entries:
            place = Position(position, "ascii")
            self._check_sequence(place)
            try:
                self._take(read_event(position, fields))
            except EventDecodingError as error:
                self._find(FindingKind.EVENT, place, str(error))
                self.is_readable = False
            self.board.position = place

    def _check_sequence(self, place: Position) -> None:
        before = self.board.position
        expected = before.seq + 1
        if place.seq == expected:
            return
        if place.seq > expected:
            missing = f"{expected}" if place.seq == expected + 1 else f"{expected} to {place.seq - 1}"
            self._find(FindingKind.SEQUENCE, place, f"sequence number {missing} is missing after {before}")
        else:
            self._find(FindingKind.SEQUENCE, place, f"the sequence goes back from {before.seq} to {place.seq}")

    def _take_sound(self, events: Sequence[RecordedEvent]) -> int:
        """Fold the events up to the first that does not follow the one before it; returns how many.

        The fold already judges: `evolve` marks an event that no command can make, and only such an event is examined further.
        """
        board, tally = self.board, self._tally
        tasks, removed, orphans, meant = board.tasks, board.removed, self._orphans, self._meant
        for taken, recorded in enumerate(events):
            task_id = recorded.task
            before = tasks.get(task_id)
            if before is None:
                is_first = recorded.version == 1 and recorded.prev is None
                if not is_first or task_id in removed or task_id in orphans:
                    return taken
            elif recorded.version != before.version + 1 or recorded.prev != before.at:
                return taken
            found = tally.look(before, recorded)
            after = evolve_known(None, recorded) if before is None else evolve(before, recorded)
            if after is None:
                tasks.pop(task_id, None)
                removed[task_id] = (recorded.version, recorded.position)
            elif before is None:
                tasks[task_id] = after
            is_sound = before is not None if after is None else after.damaged_at is None
            if found and is_sound:
                tally.count(found)
            if not is_sound or task_id in meant:
                self._judge(before, recorded)
            elif type(recorded.data) in _PLACING:
                self._find_flaw(recorded, self._circle_of(recorded))
        return len(events)

    def _take(self, recorded: RecordedEvent) -> None:
        """Fold an event that may not follow the one before it."""
        last = self.last(recorded.task) or _NONE
        if recorded.version != last.version + 1:
            problem = f"task {recorded.task} goes from version {last.version} to {recorded.version}"
            self._find(FindingKind.VERSION, recorded.position, problem)
        elif recorded.prev != (None if last is _NONE else last.position):
            problem = f"the event names {recorded.prev} as the one before it, and {last.position} is"
            self._find(FindingKind.PREV, recorded.position, problem)
        state = self.board.get(recorded.task)
        is_after_loss = recorded.version != last.version + 1 or recorded.task in self._orphans
        if is_after_loss:
            # The task right before this event is unknown.
            self._find_flaw(recorded, flaw_in(recorded))
        else:
            self._judge(state, recorded)
        found = self._tally.look(state, recorded)
        if found and flaw_of(state, recorded) is None:
            self._tally.count(found)
        try:
            self.board.fold([recorded])
            self._orphans.pop(recorded.task, None)
        except SequenceGapError:
            # A finding says so already: from above, or from when the task's creation was found to be lost.
            self._step_over(recorded, state)

    def _step_over(self, recorded: RecordedEvent, state: Task | None) -> None:
        """Fold an event that does not follow the one before it, as well as possible."""
        task = recorded.task
        if state is None and type(recorded.data) not in CREATIONS:
            # From here on all that is known about the task is that it had this event.
            self.board.removed.pop(task, None)
            self._orphans[task] = Last(recorded.version, recorded.position)
            return
        if state is None or type(recorded.data) in CREATIONS:
            self.board.tasks.pop(task, None)
            self._orphans.pop(task, None)
            self.board.removed[task] = (recorded.version - 1, BEGINNING)
        else:
            state.version = recorded.version - 1
            _let_take(state, recorded)
        self._meant.pop(task, None)
        self.board.fold([recorded])

    def _judge(self, before: Task | None, recorded: RecordedEvent) -> None:
        """Add a finding for an event that no command can make; `before` is the task as the board has it.

        The event may be folded already, because a flawed event changes nothing that is read here.
        """
        task = recorded.task
        if task in self._meant:
            before = self._meant[task]
        elif task in self._unmade and type(recorded.data) not in CREATIONS:
            # After a flawed creation, later events are checked only by themselves.
            self._find_flaw(recorded, flaw_in(recorded))
            return
        flaw = flaw_in(recorded) if task in self._unsure else flaw_of(before, recorded)
        self._find_flaw(recorded, flaw or self._circle_of(recorded))
        if flaw is None and task not in self._meant:
            self._unmade.discard(task)
        elif before is None and flaw is not None:
            if recorded.type in _CREATION_TYPES:
                self._unmade.add(task)
        else:
            says_what_was_meant = flaw_in(recorded) is None and type(recorded.data) not in CREATIONS
            (self._unsure.discard if says_what_was_meant else self._unsure.add)(task)
            self._meant[task] = _as_meant(before, recorded)

    def _circle_of(self, recorded: RecordedEvent) -> str | None:
        """What is wrong if an event puts its task below itself, which shows only to a reader that has all tasks; else None."""
        data = recorded.data
        parent = getattr(data, "parent_id", None) if isinstance(data, TaskCreated | TaskMoved) else None
        if parent is None:
            return None
        self._parents.add(parent)
        if recorded.task not in self._parents:
            return None
        seen = {parent}
        while parent != recorded.task:
            above = self.board.get(parent)
            parent = None if above is None else above.parent_id
            if parent is None or parent in seen:
                return None
            seen.add(parent)
        return "it puts the task below itself"

    def _find_flaw(self, recorded: RecordedEvent, flaw: str | None) -> None:
        if flaw is not None:
            problem = f"no command can make this event of task {recorded.task}: {flaw}"
            self._find(FindingKind.EVENT, recorded.position, problem)

    def _find(self, kind: FindingKind, where: str, problem: str, remedy: Remedy | None = None) -> None:
        self.findings.append(Finding(kind=kind, where=where, problem=problem, remedy=remedy))


def _as_meant(task: Task | None, recorded: RecordedEvent) -> Task | None:
    """The task as if the event had taken effect in any state; unchanged if the event does not show what was meant."""
    meant = copy(task)
    if meant is not None:
        meant.damaged_at = None
        meant.version = recorded.version - 1
        _let_take(meant, recorded)
    meant = evolve_known(meant, recorded)
    if meant is not None:
        meant.damaged_at = None
    return meant


def _let_take(task: Task, recorded: RecordedEvent) -> None:
    """If only the task's state does not fit the event, put the task into one that does."""
    states = STATES[type(recorded.data)]
    if states and task.state not in states and flaw_in(recorded) is None:
        task.state = min(states)
