"""Eight processes on twenty shared tasks: every receipt, refusal and conflict is held against the ledger afterwards."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import redis

import ledger
from ledger import (
    EventStore,
    Keys,
    RecordedEvent,
    State,
    Task,
    TaskCycleError,
    TaskHasChildrenError,
    WrongExpectedVersionError,
)
from projections import encode_snapshot, replay, snapshot_of
from tests.support.expected_keys import assert_projected
from tests.support.outcomes import Outcome, read_outcomes
from tests.support.past import Past
from tests.support.processes import run_at_once
from tests.support.projectors import background_projectors
from tests.support.towns import client_of
from town import OvertakenError, Town
from town.writer import DECIDE_ATTEMPTS_MAX, Writer

WRITERS = 8
COMMANDS_EACH = 400 if os.environ.get("TT_STRESS") else 80
TASKS = 20


def moments(outcome: Outcome) -> range:
    """The sequence numbers at which the ledger ended while the call ran."""
    return range(outcome.seq_before, outcome.seq_after + 1)


class Run:
    """What eight writers did and what is in the ledger afterwards."""

    def __init__(self, events: list[RecordedEvent], outcomes: list[Outcome]) -> None:
        self.events = events
        self.outcomes = outcomes
        self.past = Past(events)

    @property
    def receipts(self) -> list[Outcome]:
        return [outcome for outcome in self.outcomes if outcome.error is None]


@pytest.mark.parametrize("workers", [0, 2])
def test_shared_tasks_of_eight_processes_hold_every_promise(folder: Path, tmp_path: Path, workers: int) -> None:
    """8 processes, 80 commands each (400 with TT_STRESS=1), 20 tasks: nothing is lost, doubled, out of order, or refused without cause.

    Without projector workers, and with two in the background.
    """
    with Town.init(folder, name="shared") as town:
        tasks = [town.create(f"task {number}").task.id for number in range(TASKS)]
    files = [tmp_path / f"outcomes-{number}" for number in range(WRITERS)]
    with background_projectors(workers, folder=folder, logs=tmp_path):
        run_at_once(
            "command_shared_tasks",
            [(folder, f"writer-{seed}", seed, COMMANDS_EACH, ",".join(tasks), file) for seed, file in enumerate(files)],
        )
    with client_of(folder) as client:
        keys = Keys("shared")
        store = EventStore(client, keys)
        assert_projected(client, keys, replay(store))
        events = [event for batch in store.read_batches() for event in batch]
        histories = {task: store.history(task) for task in tasks}
    run = Run(events, [outcome for file in files for outcome in read_outcomes(file)])
    assert len(run.outcomes) == WRITERS * COMMANDS_EACH
    assert {outcome.verb for outcome in run.receipts} == {outcome.verb for outcome in run.outcomes}
    assert_order_has_no_gaps(run, histories)
    assert_receipts_are_in_the_ledger_once(run)
    assert_receipts_follow_from_the_state_they_met(run)
    assert_refusals_were_justified(run)
    assert_conflicts_were_justified(run)


def assert_order_has_no_gaps(run: Run, histories: dict[str, list[RecordedEvent]]) -> None:
    """Sequence numbers, each task's versions, and `prev`."""
    assert [event.position.seq for event in run.events] == list(range(1, len(run.events) + 1))
    assert sorted(run.events, key=lambda event: event.position) == run.events
    for task, history in histories.items():
        assert history == [event for event in run.events if event.task == task]
        assert [event.version for event in history] == list(range(1, len(history) + 1))
        assert [event.prev for event in history] == [None, *(event.position for event in history[:-1])]


def assert_receipts_are_in_the_ledger_once(run: Run) -> None:
    """The receipts' positions are all the events there are, each named by one receipt, and a command id is of one receipt."""
    acknowledged = [position for outcome in run.receipts for position in outcome.positions]
    assert Counter(acknowledged) == Counter(str(event.position) for event in run.events[TASKS:])
    by_position = {str(event.position): event for event in run.events}
    commands: Counter[str] = Counter()
    for outcome in run.receipts:
        events = [by_position[position] for position in outcome.positions]
        assert {(event.task, event.actor) for event in events} <= {(outcome.task, outcome.writer)}
        commands.update({event.command for event in events})
        seqs = [event.position.seq for event in events]
        assert not seqs or seqs == list(range(seqs[0], seqs[0] + len(seqs)))
    assert set(commands.values()) == {1}


def assert_receipts_follow_from_the_state_they_met(run: Run) -> None:
    """The events are what `decide` says of the state right before them, and the receipt's task is the state after them."""
    facts = {str(event.position): event.data for event in run.events}
    for outcome in run.receipts:
        if outcome.positions:
            first, last = (int(outcome.positions[index].partition("-")[2]) for index in (0, -1))
            assert first - 1 in moments(outcome), outcome
            assert run.past.decide(outcome, first - 1) == [facts[position] for position in outcome.positions], outcome
            assert shown(run.past.task(outcome.task, last)) == outcome.snapshot
            assert outcome.expected_version in (None, run.past.version(outcome.task, first - 1))
        else:
            seen = [seq for seq in moments(outcome) if shown(run.past.task(outcome.task, seq)) == outcome.snapshot]
            assert any(run.past.decide(outcome, seq) == [] for seq in seen), outcome


def shown(task: Task | None) -> object:
    return None if task is None else snapshot_of(task)


def assert_refusals_were_justified(run: Run) -> None:
    """At some moment of the call the same wish leads to the same refusal."""
    refused = [outcome for outcome in run.outcomes if outcome.error is not None and outcome.conflict is None]
    assert len({outcome.error for outcome in refused}) >= 4
    for outcome in refused:
        refusal = getattr(ledger, str(outcome.error))
        assert any(run.past.decide(outcome, seq) is refusal for seq in moments(outcome)), outcome


def assert_conflicts_were_justified(run: Run) -> None:
    """Only who expected a version gets a conflict; the versions it names were the task's at some moment of the call."""
    conflicts = [outcome for outcome in run.outcomes if outcome.conflict is not None]
    assert conflicts
    for outcome in conflicts:
        assert outcome.expected_version is not None, outcome
        task, expected, actual = outcome.conflict or ("", 0, 0)
        versions = {run.past.version(task, seq) for seq in moments(outcome)}
        assert actual in versions - {expected}, outcome
        assert (task, expected) == (outcome.task, outcome.expected_version), outcome


# --- races, one at a time ----------------------------------------------------------------------------------------


@pytest.fixture
def two(client: redis.Redis, server_socket: Path, tmp_path: Path) -> Iterator[tuple[Town, Town]]:
    """One town, opened twice, as two processes would."""
    assert client.dbsize() == 0
    with (
        Town.init(tmp_path / "town", name="races", url=f"unix://{server_socket}") as us,
        Town.open(tmp_path / "town", actor="the-other") as other,
    ):
        yield us, other


def test_move_is_not_refused_for_a_circle_that_never_was(
    two: tuple[Town, Town], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The way up from the new parent is read step by step, and others move tasks meanwhile.

    Below: b is read below c; then b leaves c, and c goes below a. Put together that would be a > c > b, a circle for
    "a below b", and yet at no moment was there one.
    """
    us, other = two
    a, b, c = (us.create(text).task.id for text in "abc")
    us.move(b, c)
    load = us._writer.loader.load
    read: list[str] = []

    def load_and_be_overtaken(task: str) -> tuple[Task | None, int]:
        loaded = load(task)
        read.append(task)
        if read == [b]:
            other.move(b, None)
            other.move(c, a)
        return loaded

    monkeypatch.setattr(us._writer.loader, "load", load_and_be_overtaken)
    assert us.move(a, b).task.parent_id == b


def test_two_moves_at_once_close_no_circle(two: tuple[Town, Town], monkeypatch: pytest.MonkeyPatch) -> None:
    """We move a below b, whose parent is c; another writer moves c below a between our decision and our append."""
    us, other = two
    a, b, c = (us.create(text).task.id for text in "abc")
    us.move(b, c)
    append = us._writer._append
    overtaken: list[str] = []

    def append_and_be_overtaken(*arguments: Any, **options: Any) -> object:
        if not overtaken:
            overtaken.append(c)
            other.move(c, a)
        return append(*arguments, **options)

    monkeypatch.setattr(us._writer, "_append", append_and_be_overtaken)
    with pytest.raises(TaskCycleError):
        us.move(a, b)
    assert [us.task(task).parent_id for task in (a, b, c)] == [None, c, a]


def overtake_appends(town: Town, monkeypatch: pytest.MonkeyPatch, change: Callable[[], object], *, times: int) -> None:
    """Another writer does `change` between the decision and the append of each of the next commands in `town`."""
    append = town._writer._append
    remaining = [change] * times

    def append_and_be_overtaken(*arguments: Any, **options: Any) -> object:
        if remaining:
            remaining.pop()()
        return append(*arguments, **options)

    monkeypatch.setattr(town._writer, "_append", append_and_be_overtaken)


@pytest.mark.parametrize(
    ("act", "name"),
    [
        (lambda town, task: town.remove(task), "_append"),
        (lambda town, _: town.take_next("ada"), "_append_first"),
        (lambda town, _: town.undoing.undo(), "_append"),
        (lambda town, task: town.link(task, "last"), "_append"),
        (lambda town, task: town.move(task, "last"), "_append"),
    ],
    ids=["remove", "next", "undo", "link", "move"],
)
def test_children_of_others_disturb_nobody(
    act: Callable[[Town, str], object], name: str, two: tuple[Town, Town], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where many tasks are created below others, a command is decided once; it once came to nothing after 20 attempts."""
    us, other = two
    parent = other.create("parent", agent="bob").task.id
    us.create("last", alias="last", agent="bob")
    task = us.create("one").task.id
    attempts: list[str] = []
    append = getattr(Writer, name)

    def append_and_be_overtaken(writer: Writer, *arguments: Any, **options: Any) -> object:
        if writer._actor != "the-other":
            attempts.append(other.create("child", parent=parent, agent="bob").task.id)
        return append(writer, *arguments, **options)

    monkeypatch.setattr(Writer, name, append_and_be_overtaken)
    act(us, task)
    assert len(attempts) == 1


def test_expected_version_is_of_the_named_task_and_of_no_other(
    two: tuple[Town, Town], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A parent or a child that changes meanwhile is read again; it was a conflict over a version that nobody had named."""
    us, other = two
    parent, child = (us.create(text, agent="ada").task.id for text in ("parent", "child"))
    overtake_appends(us, monkeypatch, lambda: other.note(parent, "meanwhile"), times=2)
    assert us.move(child, parent, expected_version=2).task.parent_id == parent

    overtake_appends(us, monkeypatch, lambda: other.note(child, "meanwhile"), times=2)
    completed = us.complete(parent, with_children=True, expected_version=4)
    assert (completed.task.state, us.task(child).state) == (State.COMPLETED, State.COMPLETED)


def test_named_task_that_changes_meanwhile_is_a_conflict_over_the_named_version(
    two: tuple[Town, Town], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also where a parent changes in the same moment, and has that very version."""
    us, other = two
    parent, task = (us.create(text).task.id for text in ("parent", "task"))

    def change_both() -> None:
        other.note(parent, "meanwhile")
        other.note(task, "meanwhile")

    overtake_appends(us, monkeypatch, change_both, times=1)
    with pytest.raises(WrongExpectedVersionError) as caught:
        us.move(task, parent, expected_version=1)
    assert (caught.value.task_id, caught.value.expected, caught.value.actual) == (task, 1, 2)
    assert us.task(task).parent_id is None


@pytest.mark.parametrize("expected_version", [None, 1])
def test_command_that_is_overtaken_every_time_ends_and_names_no_version(
    expected_version: int | None, two: tuple[Town, Town], monkeypatch: pytest.MonkeyPatch
) -> None:
    """After a bound it says who is in the way, in place of a version that nobody named."""
    us, other = two
    parent, task = (us.create(text).task.id for text in ("parent", "task"))
    overtake_appends(us, monkeypatch, lambda: other.note(parent, "again"), times=DECIDE_ATTEMPTS_MAX)
    with pytest.raises(OvertakenError, match=f"Others changed task {parent} at each of 20 attempts") as caught:
        us.move(task, parent, expected_version=expected_version)
    assert "version" not in str(caught.value)
    assert us.task(task).parent_id is None


def test_remove_of_a_task_that_gets_a_child_meanwhile_is_refused(
    two: tuple[Town, Town], monkeypatch: pytest.MonkeyPatch
) -> None:
    """It looks again (guarantees, "Parents across commands"): the child stays below its parent, and moves on."""
    us, other = two
    parent = us.create("parent").task.id
    count_children = us.backend.loader.count_children

    def count_and_be_overtaken(task: str) -> int:
        count = count_children(task)
        if count == 0:
            other.create("child", parent=parent)
        return count

    monkeypatch.setattr(us.backend.loader, "count_children", count_and_be_overtaken)
    with pytest.raises(TaskHasChildrenError):
        us.remove(parent)
    _, child = us.page().tasks
    assert (child.description, child.parent_id) == ("child", parent)
    assert us.move(child.id, None).task.parent_id is None


def test_task_that_is_removed_and_made_again_meanwhile_is_no_damage(
    two: tuple[Town, Town], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Between the look at the snapshot and the look at the ledger a removed task came back: it is read again."""
    us, other = two
    us.create("first", alias="tt-1")
    get = us.backend.live.get
    looks: list[str] = []

    def get_and_be_overtaken(task: str) -> Task | None:
        if not looks:
            looks.append(task)
            other.remove(task)
            gone = get(task)
            other.create("second", alias="tt-1")
            return gone
        return get(task)

    task = us._references.resolve("tt-1")
    monkeypatch.setattr(us.upkeep, "look", lambda _: None)
    monkeypatch.setattr(us.backend.live, "get", get_and_be_overtaken)
    receipt = us.note(task, "still here")
    assert (receipt.task.description, receipt.task.version) == ("second", 4)


def test_command_of_several_writers_is_decided_again_until_it_is_first(
    two: tuple[Town, Town], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without an expected version, being overtaken is not the caller's worry."""
    us, other = two
    task = us.create("a").task.id
    load = us._writer.loader.load
    overtaken: list[str] = []

    def load_and_be_overtaken(wanted: str) -> tuple[Task | None, int]:
        loaded = load(wanted)
        if len(overtaken) < 3:
            overtaken.append(wanted)
            other.note(wanted, f"note {len(overtaken)}")
        return loaded

    monkeypatch.setattr(us._writer.loader, "load", load_and_be_overtaken)
    receipt = us.assign(task, "worker-1")
    assert receipt.task.version == 5
    assert encode_snapshot(us.task(task)) == encode_snapshot(receipt.task)
