"""Holds what the clients of one town were told against its ledger, as it is in the end. Pure.

It finds: events that nobody wrote, that are there twice or in part, or at other places than told; an order that contradicts
time; refusals and decisions that no state explains; readings that equal no fold of a prefix, or that of a prefix without
something that was acknowledged, or read, before they began. What was acknowledged and is gone is listed apart.

A failover explains the loss of what was acknowledged shortly before or during it, and an old or lost state that was read then.
Such things are listed as explained. Whatever survives has to be right nevertheless.
"""

from __future__ import annotations

import re
from bisect import bisect_left, bisect_right
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from enum import StrEnum
from itertools import accumulate
from typing import Any, Final, cast

from msgspec import Struct
from msgspec.structs import asdict

import ledger
from ledger import TOWN_ID, RecordedEvent, Task
from projections import Snapshot, snapshot_of
from tests.support.past import VERBS, Past
from tests.support.records import Call, Fault, Outcome, Reading, mark_of

REPLICATION_SECONDS_MAX: Final = 2.0
"""How long before a failover an event may have been acknowledged that no replica got."""
_OTHER_REFUSALS: Final = ("OvertakenError", "StoreUnavailableError")
"""Nothing was written, but not because of the state of a task."""
_GONE: Final = re.compile(
    r"acknowledged here (?:is|are) gone, (?:at|from [0-9]+-[0-9]+ to) ([0-9]+-[0-9]+)"
    r"|The event at ([0-9]+-[0-9]+), which was acknowledged here, is gone",
    re.ASCII,
)
"""The last position that a client was told is gone."""
_AROUND_EVENTS: Final = 4
_AROUND_CALLS_MAX: Final = 12


class Kind(StrEnum):
    """What can be wrong."""

    BROKEN = "the ledger has gaps, or an event is out of its order"
    FOREIGN = "an event that nobody wrote"
    LOST = "acknowledged, and gone without a failover"
    TORN = "a part of a command's events is gone"
    DOUBLED = "a command was carried out twice"
    MISTOLD = "an event is not where its writer was told"
    REORDERED = "a command is before another one that ended before it began"
    WRONG_DECISION = "a command's events, or its task, do not follow from the state before"
    FALSE_REFUSAL = "refused, and no state at that time explains it"
    REFUSED_YET_WRITTEN = "refused, and yet in the ledger"
    FALSE_READ = "a task was read as it never was"
    STALE_READ = "a reading without what was acknowledged or read before it began"
    FUTURE_READ = "a reading with what was begun only after it ended"
    DAMAGE = "a client was told of damage"
    FAILED = "a command failed although nothing was done to the servers"


class Finding(Struct, frozen=True):
    """One thing that is wrong, in words, and the records and events around it."""

    kind: Kind
    words: str
    around: tuple[str, ...] = ()

    def __str__(self) -> str:
        return "\n    ".join([f"{self.kind.name}: {self.kind}: {self.words}", *self.around])


class Verdict(Struct, frozen=True):
    """`findings` are faults of the client or server. `lost` was acknowledged and is gone; `explained` came of a failover."""

    findings: tuple[Finding, ...]
    lost: tuple[Call, ...]
    explained: tuple[Finding, ...]

    def __str__(self) -> str:
        return "\n".join(map(str, self.findings)) or "nothing"


def check(
    events: Sequence[RecordedEvent],
    calls: Sequence[Call],
    readings: Sequence[Reading] = (),
    faults: Sequence[Fault] = (),
    *,
    recovered_after: int | None = None,
) -> Verdict:
    """What is wrong with one town. `events` are its whole ledger, all else are records of that town alone.

    Events after the number `recovered_after` may have been put there again by a recovery, after they were lost; it also writes
    events of the town.
    """
    return _Check(events, calls, readings, faults, recovered_after).verdict()


class _Check:
    def __init__(
        self,
        events: Sequence[RecordedEvent],
        calls: Sequence[Call],
        readings: Sequence[Reading],
        faults: Sequence[Fault],
        recovered_after: int | None,
    ) -> None:
        self._events = events
        self._calls = sorted(calls, key=lambda call: call.began)
        self._readings = readings
        self._faults = faults
        self._recovered_after = len(events) if recovered_after is None else recovered_after
        self._findings: list[Finding] = []
        self._explained: list[Finding] = []
        self._lost: list[Call] = []
        self._misplaced: set[str] = set()
        self._seqs = {event.at: event.position.seq for event in events}
        self._written: dict[str, list[RecordedEvent]] = defaultdict(list)
        for event in events:
            self._written[mark_of(event)].append(event)

    def verdict(self) -> Verdict:
        self._check_ledger()
        if not self._findings:
            # Without a whole ledger there is no past to hold anything against.
            self._check_events()
            self._past = Past(self._events)
            self._known = _Known(self._known_seqs())
            begun = ((call.began, self._first(call)) for call in self._calls if self._own(call))
            self._later = _Later(begun, end=len(self._events))
            for call in self._calls:
                # What is not where it belongs would be found again and again.
                if call.mark not in self._misplaced:
                    self._check_call(call)
            for reading in self._readings:
                self._check_reading(reading)
        return Verdict(tuple(self._findings), tuple(self._lost), tuple(self._explained))

    # --- the ledger ---------------------------------------------------------------------------------------------------

    def _check_ledger(self) -> None:
        last: dict[str, RecordedEvent] = {}
        for number, event in enumerate(self._events, 1):
            before = last.get(event.task)
            version, prev = (0, None) if before is None else (before.version, before.at)
            if (event.position.seq, event.version, event.prev) != (number, version + 1, prev):
                self._find(Kind.BROKEN, f"event {number} is {_line(event)}, after {prev}", at=number)
                return
            if number > 1 and event.position.ms < self._events[number - 2].position.ms:
                self._find(Kind.BROKEN, f"event {number} is older than the one before it", at=number)
                return
            last[event.task] = event

    def _check_events(self) -> None:
        """What became of each call, by its mark."""
        marks = {call.mark for call in self._calls}
        for mark, events in self._written.items():
            is_of_recovery = events[0].task == TOWN_ID and events[0].position.seq > self._recovered_after
            if mark not in marks and not is_of_recovery:
                self._find(Kind.FOREIGN, _line(events[0]), at=events[0].position.seq)
        for call in self._calls:
            found = len(self._findings)
            self._check_presence(call)
            if len(self._findings) > found:
                self._misplaced.add(call.mark)

    def _check_presence(self, call: Call) -> None:
        written = self._own(call)
        if self._is_again(call):
            if not call.is_told_in_part:
                self._check_again(call, len(written), len(call.positions))
            return
        seqs = [event.position.seq for event in written]
        if len({event.command for event in written}) > 1 or (seqs and seqs[-1] - seqs[0] >= len(seqs)):
            self._find(Kind.DOUBLED, f"by {call.mark}", call, at=seqs[-1])
            return
        match call.outcome:
            case Outcome.REFUSED if written:
                self._find(Kind.REFUSED_YET_WRITTEN, f"by {call.mark}", call, at=seqs[0])
            case Outcome.ACKNOWLEDGED:
                self._check_acknowledged(call, {event.at for event in written})

    def _check_again(self, call: Call, written: int, told: int) -> None:
        """A recovery appends each event whose task has not gone on without it. What it leaves is lost."""
        if written > told:
            self._find(Kind.DOUBLED, f"again, {call.mark}", call)
        elif written < told and self._may_lose(call.ended, call.ended):
            self._lost.append(call)
        elif written < told:
            self._find(Kind.TORN, f"again, {call.mark}", call)

    def _check_acknowledged(self, call: Call, written: set[str]) -> None:
        told = set(call.positions)
        if told == written or (call.is_told_in_part and told <= written):
            return
        if not written:
            self._lost.append(call)
            # An error after the append says only that it was acknowledged before the call ended.
            acknowledged_after = call.began if call.is_told_in_part else call.ended
            if not self._may_lose(acknowledged_after, call.ended):
                self._find(Kind.LOST, f"by {call.mark}", call)
        elif written < told:
            self._find(Kind.TORN, f"by {call.mark}: {', '.join(sorted(told - written))} of {len(told)}", call)
        elif told < written and told:
            self._find(Kind.DOUBLED, f"by {call.mark}: told {sorted(told)}", call, at=self._first(call))
        else:
            self._find(Kind.MISTOLD, f"by {call.mark}: told {sorted(told)}", call, at=self._first(call))

    # --- calls --------------------------------------------------------------------------------------------------------

    def _check_call(self, call: Call) -> None:
        written = self._own(call)
        if self._is_again(call):
            return
        if written:
            known = self._known.before(call.began)
            if self._first(call) <= known:
                self._find(Kind.REORDERED, f"{call.mark} is before event {known}", call, at=known)
            self._check_decision(call, written)
        elif call.outcome is Outcome.ACKNOWLEDGED and not call.positions and not call.is_told_in_part:
            self._check_unneeded(call)
        elif call.outcome is Outcome.REFUSED and call.error not in (None, *_OTHER_REFUSALS):
            self._check_refusal(call)
        if call.error == "LedgerDamagedError":
            if not self._is_true_loss(call):
                self._find_unless_lost(Kind.DAMAGE, f"{call.mark}: {call.words}", call, is_gone=True)
            return
        has_failed = call.outcome is Outcome.UNKNOWN or call.error == "StoreUnavailableError"
        if has_failed and not any(_overlap(fault, call.began, call.ended) for fault in self._faults):
            self._find(Kind.FAILED, f"{call.mark}: {call.error} {call.words}", call)

    def _is_true_loss(self, call: Call) -> bool:
        """Whether the client was told that an event is gone, and the event is: no other one was put there."""
        gone = _GONE.search(call.words)
        return gone is not None and (gone[1] or gone[2]) not in self._seqs

    def _check_decision(self, call: Call, written: Sequence[RecordedEvent]) -> None:
        first, last = written[0].position.seq, written[-1].position.seq
        if call.verb in VERBS:
            decided = self._past.decide(call, first - 1)
            version = self._past.version(call.task, first - 1)
            if decided != [event.data for event in written] or call.expected_version not in (None, version):
                self._find(Kind.WRONG_DECISION, f"{call.mark} would have led to {decided}", call, at=first)
                return
        is_told = call.outcome is Outcome.ACKNOWLEDGED and call.snapshot is not None
        if is_told and _shown(self._past.task(call.task, last)) != call.snapshot:
            self._find(Kind.WRONG_DECISION, f"{call.mark} was told another task", call, at=last)

    def _check_unneeded(self, call: Call) -> None:
        """The call appended nothing, because all was so already."""
        if call.verb not in VERBS:
            return
        moments = self._moments(call.began, call.ended)
        if not any(
            _shown(self._past.task(call.task, seq)) == call.snapshot and self._past.decide(call, seq) == []
            for seq in moments
        ):
            self._find_unless_lost(
                Kind.FALSE_REFUSAL, f"{call.mark} appended nothing at {_span(moments)}", call, is_gone=self._is_gone
            )

    def _check_refusal(self, call: Call) -> None:
        moments = self._moments(call.began, call.ended)
        if call.conflict is not None:
            task, expected, actual = call.conflict
            if call.expected_version is None:
                # Others were first at each attempt. How often is not for a checker of histories.
                return
            is_justified = expected == call.expected_version != actual and any(
                self._past.version(task, seq) == actual for seq in moments
            )
        elif call.verb in VERBS:
            refusal = getattr(ledger, str(call.error))
            is_justified = any(self._past.decide(call, seq) is refusal for seq in moments)
        else:
            return
        if not is_justified:
            words = f"{call.mark}: {call.error} {call.conflict or ''} at {_span(moments)}"
            self._find_unless_lost(Kind.FALSE_REFUSAL, words, call, is_gone=self._is_gone)

    # --- readings -----------------------------------------------------------------------------------------------------

    def _check_reading(self, reading: Reading) -> None:
        moments = self._moments(reading.began, reading.ended)
        if reading.position is not None:
            self._check_board(reading, reading.position)
            return
        for task, seen in reading.seen.items():
            spans = [span for span, state in self._past.spans(task) if _shown(state) == seen]
            if any(span.start < moments.stop and moments.start < span.stop for span in spans):
                continue
            where = f"{reading.client} read {task} as {_brief(seen)} at {_span(moments)}"
            if not spans:
                is_gone = self._is_gone if seen is None else _place(seen) not in self._seqs
                self._find_unless_lost(Kind.FALSE_READ, where, reading, is_gone=is_gone)
            elif spans[0].start >= moments.stop:
                self._find(Kind.FUTURE_READ, f"{where}, which came with {spans[0].start}", reading, at=spans[0].start)
            else:
                self._find(Kind.STALE_READ, f"{where}, which ended with {spans[-1].stop}", reading, at=spans[-1].stop)

    def _check_board(self, reading: Reading, position: str) -> None:
        """A whole board at one position. It may be a past one."""
        seq = 0 if position == "0-0" else self._seqs.get(position)
        where = f"{reading.client} read the board at {position}"
        if seq is None:
            self._find_unless_lost(Kind.FALSE_READ, f"{where}, where no event is", reading, is_gone=True)
            return
        board = {task: _shown(state) for task, state in self._past.tasks(seq).items()}
        if board != reading.seen:
            wrong = [task for task in {*board, *reading.seen} if board.get(task) != reading.seen.get(task)]
            self._find(Kind.FALSE_READ, f"{where}, and tasks differ: {sorted(wrong)[:3]}", reading, at=seq)
        elif seq >= self._later.after(reading.ended):
            self._find(Kind.FUTURE_READ, where, reading, at=seq)

    # --- time ---------------------------------------------------------------------------------------------------------

    def _known_seqs(self) -> Iterator[tuple[float, int]]:
        """The events that somebody knew of, and since when. One that is lost says nothing about the ledger."""
        for call in self._calls:
            written = self._own(call)
            is_told = call.outcome is Outcome.ACKNOWLEDGED and call.mark not in self._misplaced
            if is_told and written and not self._is_again(call):
                yield call.ended, written[-1].position.seq
        began = {event.at: call.began for call in self._calls for event in self._own(call)}
        for reading in self._readings:
            places = [_place(seen) for seen in reading.seen.values() if seen is not None]
            for place in [*places, *([] if reading.position is None else [reading.position])]:
                # What was read before it was begun is a finding of its own.
                if began.get(place, reading.ended) < reading.ended:
                    yield reading.ended, self._seqs[place]

    def _moments(self, began: float, ended: float) -> range:
        """The sequence numbers at which the ledger may have ended while a call ran; during a failover also older ones."""
        since = [fault.began - REPLICATION_SECONDS_MAX for fault in self._faults if _loses(fault, began, ended)]
        first = self._known.before(min([began, *since]))
        return range(first, max(self._later.after(ended), first + 1))

    @property
    def _is_gone(self) -> bool:
        """Whether an event was there, or may have been, that is not in the ledger, or was not until a recovery put it there again."""
        was_recovered = self._recovered_after < len(self._events)
        return (
            was_recovered
            or bool(self._lost)
            or any(call.outcome is Outcome.UNKNOWN and not self._own(call) for call in self._calls)
        )

    def _may_lose(self, began: float, ended: float) -> bool:
        return any(_loses(fault, began, ended) for fault in self._faults)

    # --- findings -----------------------------------------------------------------------------------------------------

    def _own(self, call: Call) -> list[RecordedEvent]:
        return self._written.get(call.mark, [])

    def _is_again(self, call: Call) -> bool:
        """Whether a recovery put the call's events where they are."""
        written = self._own(call)
        is_told = bool(written) and written[0].at in call.positions
        return (
            call.outcome is Outcome.ACKNOWLEDGED
            and bool(written)
            and not is_told
            and self._first(call) > self._recovered_after
        )

    def _first(self, call: Call) -> int:
        return self._own(call)[0].position.seq

    def _find_unless_lost(self, kind: Kind, words: str, record: Call | Reading, *, is_gone: bool) -> None:
        """A finding, unless a failover explains it, and what was read or decided on is gone."""
        if is_gone and self._may_lose(record.began, record.ended):
            self._explained.append(Finding(kind, words))
        else:
            self._find(kind, words, record)

    def _find(self, kind: Kind, words: str, record: Call | Reading | None = None, *, at: int | None = None) -> None:
        self._findings.append(Finding(kind, words, tuple(self._around(record, at))))

    def _around(self, record: Call | Reading | None, at: int | None) -> Iterator[str]:
        """The record, those that ran at the same time on the same tasks, the events around a sequence number, the faults."""
        if record is not None:
            yield f"the record: {record}"
            tasks = {record.task} if isinstance(record, Call) else {*record.seen}
            beside = [
                other
                for other in self._calls
                if other is not record
                and other.task in tasks
                and other.began <= record.ended
                and record.began <= other.ended
            ]
            yield from (f"beside it: {other}" for other in beside[:_AROUND_CALLS_MAX])
            yield from (f"then: {fault}" for fault in self._faults if _overlap(fault, record.began, record.ended))
        if at is not None:
            around = self._events[max(at - 1 - _AROUND_EVENTS, 0) : at + _AROUND_EVENTS]
            yield from (f"event: {_line(event)}" for event in around)


class _Known:
    """The last event that was known before a moment."""

    def __init__(self, known: Iterable[tuple[float, int]]) -> None:
        ordered = sorted(known)
        self._times = [time for time, _ in ordered]
        self._seqs = [0, *accumulate((seq for _, seq in ordered), max)]

    def before(self, moment: float) -> int:
        return self._seqs[bisect_left(self._times, moment)]


class _Later:
    """The first event of the calls that began after a moment; the number after the last event if there is none."""

    def __init__(self, begun: Iterable[tuple[float, int]], *, end: int) -> None:
        ordered = sorted(begun)
        self._times = [time for time, _ in ordered]
        self._seqs = [*reversed([*accumulate((seq for _, seq in reversed(ordered)), min)]), end + 1]

    def after(self, moment: float) -> int:
        return self._seqs[bisect_right(self._times, moment)]


def _overlap(fault: Fault, began: float, ended: float) -> bool:
    return began <= fault.ended and fault.began <= ended


def _loses(fault: Fault, began: float, ended: float) -> bool:
    return bool(fault.towns) and began <= fault.ended and fault.began - REPLICATION_SECONDS_MAX <= ended


def _shown(task: Task | None) -> Snapshot | None:
    return None if task is None else snapshot_of(task)


def _brief(seen: Snapshot | None) -> str:
    if seen is None:
        return "absent"
    fields = asdict(seen)
    return f"version {fields['version']}, {fields['state']}, {fields['position']}"


def _place(seen: Snapshot) -> str:
    """The position of the task's last event."""
    return str(cast("Any", seen).position)


def _span(moments: range) -> str:
    return f"{moments.start} to {moments.stop - 1}"


def _line(event: RecordedEvent) -> str:
    return f"{event.at} {event.type} {event.task} v{event.version} by {mark_of(event)} command {event.command}"
