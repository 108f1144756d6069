"""The checker of histories finds each fault that is planted, and nothing in a history without one."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import pytest
from msgspec.structs import replace

from ledger import (
    TOWN_ID,
    Event,
    EventsLostError,
    Position,
    RecordedEvent,
    TaskAssigned,
    TaskCreated,
    TaskFinishedError,
    TaskNoted,
    TaskStarted,
    TaskTagged,
    TownForked,
    record,
)
from projections import Snapshot, snapshot_of
from tests.support.builders import START_MS, an_event, task_id
from tests.support.history_checker import Kind, Verdict, check
from tests.support.past import Past
from tests.support.records import Call, Fault, Outcome, Reading

ONE, TWO = task_id(1), task_id(2)
FAILOVER = Fault(words="a primary was killed", began=4.5, ended=9.0, towns=frozenset({"town"}))
ELSEWHERE = replace(FAILOVER, towns=frozenset())


class History:
    """Calls one after the other, each a second long and a second after the one before, and the ledger they make."""

    def __init__(self) -> None:
        self.events: list[RecordedEvent] = []
        self.calls: list[Call] = []
        self.readings: list[Reading] = []
        self.faults: list[Fault] = []
        self.recovered_after: int | None = None
        self._now = 0.0
        self._first_ms = START_MS

    def write(self, mark: str, verb: str, task: str, facts: Sequence[Event], **options: Any) -> Call:
        """A call that was acknowledged."""
        positions = self.put(mark, task, facts)
        told = Past(self.events).task(task, len(self.events))
        assert told is not None
        return self.call(mark, verb, task, options=options, positions=positions, snapshot=snapshot_of(told))

    def put(self, mark: str, task: str, facts: Sequence[Event], *, command: str | None = None) -> tuple[str, ...]:
        """Put events into the ledger that no record speaks of yet."""
        positions: list[str] = []
        for data in facts:
            mine = [event for event in self.events if event.task == task]
            seq = len(self.events) + 1
            reason = None if isinstance(data, TaskNoted) else mark
            given = an_event(
                data, task=task, version=len(mine) + 1, command=command or f"command-{mark}", reason=reason
            )
            made = record(given, Position.of(ms=self._first_ms + seq, seq=seq))
            self.events.append(replace(made, prev=mine[-1].at if mine else None))
            positions.append(made.at)
        return tuple(positions)

    def call(self, mark: str, verb: str, task: str, **fields: Any) -> Call:
        given: dict[str, Any] = {"began": self._now, "ended": self._now + 1, "outcome": Outcome.ACKNOWLEDGED}
        made = Call(mark=mark, client="c", town="town", verb=verb, task=task, **(given | fields))
        self.calls.append(made)
        self._now += 2
        return made

    def read(self, task: str, *, at: int, **fields: Any) -> Reading:
        """A reading now of a task as it is at a sequence number."""
        seen = self.shown(task, at)
        given: dict[str, Any] = {"began": self._now, "ended": self._now + 1, "seen": {task: seen}}
        made = Reading(client="r", town="town", **(given | fields))
        self.readings.append(made)
        self._now += 2
        return made

    def shown(self, task: str, at: int) -> Snapshot | None:
        state = Past(self.events).task(task, at)
        return None if state is None else snapshot_of(state)

    def lose(self, count: int) -> None:
        """The last events were never there."""
        del self.events[-count:]
        # What takes their place comes later.
        self._first_ms += 1_000

    def check(self) -> Verdict:
        return check(self.events, self.calls, self.readings, self.faults, recovered_after=self.recovered_after)

    def kinds(self) -> list[Kind]:
        return [finding.kind for finding in self.check().findings]


@pytest.fixture
def history() -> History:
    """Two tasks, made between 0 and 3; one is given away between 4 and 5 and begun between 6 and 7."""
    made = History()
    made.write("a", "create", ONE, [TaskCreated("one")])
    made.write("b", "create", TWO, [TaskCreated("two")])
    made.write("c", "assign", ONE, [TaskAssigned("worker-1")], agent="worker-1")
    made.write("d", "start", ONE, [TaskStarted()], agent=None)
    return made


def test_history_without_a_fault_has_no_findings(history: History) -> None:
    """Acknowledged, refused and unknown calls, and readings of now and of a past board."""
    history.call("e", "claim", ONE, outcome=Outcome.REFUSED, error="TaskHeldError", options={"agent": "worker-2"})
    history.call("f", "note", TWO, outcome=Outcome.REFUSED, error="WrongExpectedVersionError",
                 conflict=(TWO, 3, 1), expected_version=3, options={"text": "f"})  # fmt: skip
    history.write("g", "note", TWO, [TaskNoted("g")], text="g")
    history.read(ONE, at=4)
    board = {ONE: history.shown(ONE, 3), TWO: history.shown(TWO, 3)}
    history.read(ONE, at=3, seen=board, position=history.events[2].at)
    history.faults.append(ELSEWHERE)
    history.call("h", "note", TWO, outcome=Outcome.UNKNOWN, error="StoreUnavailableError", began=5.0, ended=6.0)
    assert history.check() == Verdict((), (), ())


def test_calls_at_the_same_time_may_be_in_any_order(history: History) -> None:
    """Only what ended before another call began has to be before it."""
    history.call("late", "note", ONE, began=0.0, ended=99.0, positions=history.put("late", ONE, [TaskNoted("late")]))
    history.calls[-1] = replace(history.calls[-1], options={"text": "late"}, snapshot=history.shown(ONE, 5))
    assert history.kinds() == []


def test_acknowledged_event_that_is_gone_is_lost(history: History) -> None:
    """Without a failover that is a finding; the loss is listed in any case."""
    history.lose(1)
    verdict = history.check()
    assert [finding.kind for finding in verdict.findings] == [Kind.LOST]
    assert [call.mark for call in verdict.lost] == ["d"]


def test_acknowledged_event_that_a_failover_lost_is_listed_and_no_finding(history: History) -> None:
    """It was acknowledged while the failover went on."""
    history.lose(1)
    history.faults.append(FAILOVER)
    verdict = history.check()
    assert (verdict.findings, [call.mark for call in verdict.lost]) == ((), ["d"])


@pytest.mark.parametrize("end", ["1-4", "1-100"])
@pytest.mark.parametrize(("position", "kinds"), [("5-99", []), (None, [Kind.DAMAGE])])
def test_loss_that_a_client_is_told_of_is_true_or_a_finding(
    history: History, position: str | None, kinds: list[Kind], end: str
) -> None:
    """A command that is refused because an event is gone is right if it is, and wrong if it is there, whether a fault goes on or not."""
    words = f"New agent a.\nError: {EventsLostError(position or history.events[-1].at, end)}"
    history.call(
        "x", "note", ONE, outcome=Outcome.UNKNOWN, error="LedgerDamagedError", words=words, began=5.0, ended=6.0
    )
    assert history.kinds() == kinds


@pytest.mark.parametrize("is_told_in_part", [True, False])
def test_append_before_an_error_may_have_been_acknowledged_earlier(history: History, is_told_in_part: bool) -> None:
    """The failover ended while the call ran: its append may be lost, unless the whole call was acknowledged after it."""
    history.lose(1)
    last = history.calls[-1]
    history.calls[-1] = replace(
        last, is_told_in_part=is_told_in_part, snapshot=None if is_told_in_part else last.snapshot
    )
    history.faults.append(replace(FAILOVER, began=last.began - 1, ended=last.began + 0.5))
    assert history.kinds() == ([] if is_told_in_part else [Kind.LOST])


@pytest.mark.parametrize("fault", [ELSEWHERE, replace(FAILOVER, began=70.0, ended=80.0)])
def test_failover_of_another_town_or_time_explains_no_loss(history: History, fault: Fault) -> None:
    """A loss needs a failover of that town, at that time."""
    history.lose(1)
    history.faults.append(fault)
    assert history.kinds() == [Kind.LOST]


def test_command_of_which_a_part_is_gone_is_torn_even_in_a_failover(history: History) -> None:
    """An append is all or nothing, whoever fails."""
    history.write("e", "create", task_id(3), [TaskCreated("three"), TaskAssigned("worker-1")])
    history.lose(1)
    history.faults.append(replace(FAILOVER, ended=99.0))
    assert history.kinds() == [Kind.TORN]


@pytest.mark.parametrize("outcome", [Outcome.ACKNOWLEDGED, Outcome.UNKNOWN])
@pytest.mark.parametrize("command", ["command-e", "another"], ids=["same command", "decided again"])
def test_event_that_is_there_twice_is_found(history: History, outcome: Outcome, command: str) -> None:
    """Whether the append was sent twice, or the command was decided on anew; also with another event between."""
    history.faults.append(ELSEWHERE)
    positions = history.put("e", TWO, [TaskNoted("e")])
    history.call("e", "note", TWO, options={"text": "e"}, outcome=outcome, positions=positions, began=7.5, ended=8.5)
    history.write("f", "note", ONE, [TaskNoted("f")], text="f")
    history.put("e", TWO, [TaskNoted("e")], command=command)
    assert Kind.DOUBLED in history.kinds()


def test_event_that_is_there_twice_in_a_row_is_found(history: History) -> None:
    """One append that has its event twice: more than was told, or for an unknown one, more than it decided."""
    positions = history.put("e", TWO, [TaskNoted("e"), TaskNoted("e")])
    history.call("e", "note", TWO, options={"text": "e"}, positions=positions[:1])
    assert Kind.DOUBLED in history.kinds()
    history.calls[-1] = replace(history.calls[-1], outcome=Outcome.UNKNOWN, positions=())
    history.faults.append(replace(ELSEWHERE, ended=99.0))
    assert history.kinds() == [Kind.WRONG_DECISION]


def test_event_at_another_position_than_told_is_found(history: History) -> None:
    """The client was told a position at which its event is not."""
    history.calls[3] = replace(history.calls[3], positions=("1-4",))
    assert history.kinds() == [Kind.MISTOLD]


def test_call_told_that_nothing_was_appended_has_no_events(history: History) -> None:
    """A receipt without positions says that all was so already."""
    history.calls[3] = replace(history.calls[3], positions=())
    assert Kind.MISTOLD in history.kinds()


def test_event_that_nobody_wrote_is_found(history: History) -> None:
    """Each event has the mark of a call."""
    history.put("nobody", TWO, [TaskTagged(("x",), ())])
    assert history.kinds() == [Kind.FOREIGN]


def test_command_before_one_that_ended_before_it_began_is_found(history: History) -> None:
    """`f` is second in time and first in the ledger."""
    late, early = history.put("f", TWO, [TaskTagged(("f",), ())]), history.put("e", ONE, [TaskTagged(("e",), ())])
    history.call("e", "tag", ONE, options={"add": ["e"], "remove": []}, positions=early)
    history.call("f", "tag", TWO, options={"add": ["f"], "remove": []}, positions=late)
    assert history.kinds() == [Kind.REORDERED]


def test_command_before_an_event_that_was_read_before_it_began_is_found(history: History) -> None:
    """A reading tells as well as an acknowledgement that an event was there."""
    late = history.put("f", TWO, [TaskTagged(("f",), ())])
    history.put("e", ONE, [TaskTagged(("e",), ())])
    history.faults.append(replace(ELSEWHERE, ended=99.0))
    history.call("e", "tag", ONE, options={"add": ["e"], "remove": []}, outcome=Outcome.UNKNOWN)
    history.read(ONE, at=6)
    history.call("f", "tag", TWO, options={"add": ["f"], "remove": []}, positions=late)
    assert Kind.REORDERED in history.kinds()


def test_events_that_do_not_follow_from_the_state_before_are_found(history: History) -> None:
    """The command would have handed the task to somebody else."""
    history.write("e", "assign", TWO, [TaskAssigned("worker-2")], agent="worker-3")
    assert history.kinds() == [Kind.WRONG_DECISION]


def test_command_that_ignored_its_expected_version_is_found(history: History) -> None:
    """It was to change version 1 only."""
    call = history.write("e", "note", ONE, [TaskNoted("e")], text="e")
    history.calls[-1] = replace(call, expected_version=1)
    assert history.kinds() == [Kind.WRONG_DECISION]


def test_receipt_with_another_task_than_after_the_events_is_found(history: History) -> None:
    """The task in a receipt is the one right after the events."""
    history.calls[3] = replace(history.calls[3], snapshot=history.shown(ONE, 3))
    assert history.kinds() == [Kind.WRONG_DECISION]


def test_refusal_that_no_state_explains_is_found(history: History) -> None:
    """The task was never finished."""
    history.call("e", "cancel", ONE, options={"reason": "e"}, outcome=Outcome.REFUSED, error=TaskFinishedError.__name__)
    assert history.kinds() == [Kind.FALSE_REFUSAL]


def test_refusal_by_a_state_that_was_over_before_is_found(history: History) -> None:
    """`start` was refused for a task that nobody had; but it was given away, and that was acknowledged, before."""
    given = {"options": {"agent": None}, "outcome": Outcome.REFUSED, "error": "TaskUnassignedError"}
    history.calls.pop()
    history.lose(1)
    history.call("e", "start", ONE, began=4.5, ended=4.9, **given)
    assert history.kinds() == []
    history.calls[-1] = replace(history.calls[-1], began=5.5, ended=5.9)
    assert history.kinds() == [Kind.FALSE_REFUSAL]


@pytest.mark.parametrize("conflict", [(TWO, 3, 2), (TWO, 2, 1), (ONE, 3, 3)])
def test_version_conflict_that_no_state_explains_is_found(history: History, conflict: tuple[str, int, int]) -> None:
    """The task was never at that version, or another version was expected, or the versions do not differ."""
    history.call("e", "note", conflict[0], options={"text": "e"}, expected_version=3, outcome=Outcome.REFUSED,
                 error="WrongExpectedVersionError", conflict=conflict)  # fmt: skip
    assert history.kinds() == [Kind.FALSE_REFUSAL]


def test_refused_command_that_is_in_the_ledger_is_found(history: History) -> None:
    """It was told that nothing was written."""
    history.put("e", TWO, [TaskNoted("e")])
    history.call("e", "note", TWO, options={"text": "e"}, outcome=Outcome.REFUSED)
    assert history.kinds() == [Kind.REFUSED_YET_WRITTEN]


def test_nothing_appended_although_there_was_something_to_do_is_found(history: History) -> None:
    """The receipt says that the task was worker-9's already."""
    history.call("e", "assign", TWO, options={"agent": "worker-9"}, snapshot=history.shown(TWO, 4))
    assert history.kinds() == [Kind.FALSE_REFUSAL]


def test_reading_without_what_was_acknowledged_before_is_found(history: History) -> None:
    """The task as it was before it was begun, and it had been acknowledged that it was begun."""
    history.read(ONE, at=3)
    assert history.kinds() == [Kind.STALE_READ]


def test_reading_that_goes_back_behind_another_one_is_found(history: History) -> None:
    """What one reader saw, the next one sees, although the writer was told nothing."""
    history.put("e", ONE, [TaskNoted("e")])
    history.faults.append(replace(ELSEWHERE, ended=99.0))
    history.call("e", "note", ONE, options={"text": "e"}, outcome=Outcome.UNKNOWN, ended=99.0)
    history.read(ONE, at=5)
    history.read(ONE, at=4)
    assert history.kinds() == [Kind.STALE_READ]


def test_old_reading_is_no_finding_during_a_failover_but_only_as_old_as_that(history: History) -> None:
    """Who was deposed may answer until he knows; but he knows everything from before, less what was on its way."""
    history.faults.append(replace(FAILOVER, began=6.9, ended=99.0))
    history.read(ONE, at=3)
    assert history.kinds() == []
    history.read(ONE, at=1, began=8.0, ended=8.5)
    assert history.kinds() == []
    history.faults[0] = replace(FAILOVER, began=7.2, ended=99.0)
    assert history.kinds() == [Kind.STALE_READ]


def test_reading_of_what_was_begun_only_later_is_found(history: History) -> None:
    """It ended before the call began."""
    history.read(ONE, at=4, began=5.2, ended=5.8)
    assert history.kinds() == [Kind.FUTURE_READ]


def test_board_with_what_was_begun_only_later_is_found(history: History) -> None:
    """A board at a position that nobody could know."""
    board = {ONE: history.shown(ONE, 4), TWO: history.shown(TWO, 4)}
    history.read(ONE, at=4, seen=board, position=history.events[3].at, began=5.2, ended=5.8)
    assert history.kinds() == [Kind.FUTURE_READ]


@pytest.mark.parametrize(
    "change",
    [
        lambda seen: {"seen": {ONE: replace(seen, description="another")}},
        lambda seen: {"seen": {ONE: replace(seen, position="1-4")}},
        lambda _: {"seen": {ONE: None}},
    ],
    ids=["another content", "another position", "absent"],
)
def test_reading_that_no_prefix_explains_is_found(history: History, change: Callable[[Any], dict[str, Any]]) -> None:
    """A task as it never was, or absent although it was there before and after."""
    history.read(ONE, at=4, **change(history.shown(ONE, 4)))
    assert history.kinds()[0] in (Kind.FALSE_READ, Kind.STALE_READ)


def test_board_that_is_not_the_fold_of_its_prefix_is_found(history: History) -> None:
    """A task is missing from it; a position has no event."""
    board = {ONE: history.shown(ONE, 4)}
    history.read(ONE, at=4, seen=board, position=history.events[3].at)
    assert history.kinds() == [Kind.FALSE_READ]
    history.readings[0] = replace(history.readings[0], position="1-4")
    assert history.kinds() == [Kind.FALSE_READ]


def test_reading_of_a_lost_event_is_explained_by_the_failover_only(history: History) -> None:
    """Its position is not in the ledger. With content that differs at a position that is, a failover explains nothing."""
    seen = history.shown(ONE, 4)
    assert seen is not None
    history.lose(1)
    history.faults.append(replace(FAILOVER, ended=99.0))
    history.read(ONE, at=3, seen={ONE: seen})
    verdict = history.check()
    assert (verdict.findings, [each.kind for each in verdict.explained]) == ((), [Kind.FALSE_READ])
    before = history.shown(ONE, 3)
    assert before is not None
    history.read(ONE, at=3, seen={ONE: replace(before, description="another")})
    assert history.kinds() == [Kind.FALSE_READ]


def test_refusal_by_a_lost_event_is_explained_by_the_failover_only(history: History) -> None:
    """It was refused because the task had been completed, which is gone."""
    history.faults.append(replace(FAILOVER, ended=99.0))
    given = {"options": {"text": "f"}, "outcome": Outcome.REFUSED, "error": "TaskFinishedError"}
    history.call("f", "describe", ONE, **given | {"options": {"description": "f"}})
    assert history.kinds() == [Kind.FALSE_REFUSAL]
    history.call("e", "complete", ONE, options={"result": None, "agent": None}, positions=("1795398503978-5",))
    verdict = history.check()
    assert (verdict.findings, [each.kind for each in verdict.explained]) == ((), [Kind.FALSE_REFUSAL])


def test_command_that_failed_without_a_fault_of_the_servers_is_found(history: History) -> None:
    """A client that rides out a failover has no reason to fail at other times."""
    history.call("e", "note", TWO, options={"text": "e"}, outcome=Outcome.UNKNOWN, error="StoreUnavailableError")
    assert history.kinds() == [Kind.FAILED]


def test_recovered_event_counts_as_there_and_has_no_place_in_time(history: History) -> None:
    """It was lost, and a recovery put it behind what came after it, and says so in an event of the town."""
    history.lose(1)
    history.faults.append(replace(FAILOVER, ended=7.5))
    history.write("e", "note", TWO, [TaskNoted("e")], text="e")
    history.put("recovery", TOWN_ID, [TownForked("another", history.events[-1].position)])
    history.put("d", ONE, [TaskStarted()])
    assert history.kinds() == [Kind.FOREIGN, Kind.MISTOLD]
    history.recovered_after = 4
    assert history.check() == Verdict((), (), ())
    history.put("d", ONE, [TaskStarted()])
    assert history.kinds() == [Kind.DOUBLED]
    history.lose(2)
    assert [call.mark for call in history.check().lost] == ["d"]


def test_command_of_which_a_recovery_appended_a_part_is_lost(history: History) -> None:
    """One of its tasks had gone on without it. Only a failover at its time explains that."""
    last = history.calls[-1]
    history.calls[-1] = replace(last, positions=(*last.positions, "5-99"), snapshot=None)
    history.lose(1)
    history.put("recovery", TOWN_ID, [TownForked("another", history.events[-1].position)])
    history.put("d", ONE, [TaskStarted()])
    history.recovered_after = 3
    assert history.kinds() == [Kind.TORN]
    history.faults.append(replace(FAILOVER, ended=7.5))
    verdict = history.check()
    assert (verdict.findings, [call.mark for call in verdict.lost]) == ((), ["d"])


@pytest.mark.parametrize("damage", ["gap", "version", "prev", "time"])
def test_ledger_that_is_not_whole_is_found(history: History, damage: str) -> None:
    """A number, a version, the name of the event before, or a time that does not fit."""
    last = history.events[-1]
    changed = {
        "gap": replace(last, at=f"{START_MS + 9}-9"),
        "version": replace(last, version=7),
        "prev": replace(last, prev=None),
        "time": replace(last, at=f"{START_MS}-4"),
    }[damage]
    history.events[-1] = changed
    assert history.kinds() == [Kind.BROKEN]


def test_finding_shows_the_records_and_events_around_it(history: History) -> None:
    """What ran at the same time on the same task, what was done to the servers, and the events before and after."""
    history.read(ONE, at=3)
    history.faults.append(replace(ELSEWHERE, began=8.0))
    shown = str(history.check())
    assert "STALE_READ" in shown
    for words in ("the record: Reading", "then: Fault", "task.assigned", "task.started", "by d"):
        assert words in shown
