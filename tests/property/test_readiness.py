"""Readiness of random towns against the plain model: however events came in, what can be begun is what the words say."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Mapping
from copy import copy
from random import Random

import redis
from hypothesis import given
from hypothesis import strategies as st

from ledger import (
    Event,
    EventStore,
    Keys,
    LinkKind,
    NewEvent,
    Position,
    RecordedEvent,
    State,
    Task,
    TaskAnswered,
    TaskAsked,
    TaskAssigned,
    TaskCancelled,
    TaskCompleted,
    TaskCreated,
    TaskFailed,
    TaskLinked,
    TaskMoved,
    TaskNoted,
    TaskPrioritised,
    TaskRemoved,
    TaskReopened,
    TaskRequeued,
    TaskScheduled,
    TaskStarted,
    TaskUnlinked,
    Ties,
    find_circle,
    format_ms,
    record,
)
from projections import (
    Board,
    LiveBoard,
    Projector,
    ReadyFilter,
    Rebuild,
    and_above,
    blocked_among,
    critical_path,
    ready_on,
    verify,
)
from projections.neighbours import BoardNeighbours
from projections.views.ready import by_rank
from tests.property.examples import examples
from tests.property.test_rebuild_equals_live import fill, keys_of_its_own, project
from tests.support import readiness_model as model
from tests.support.builders import START_MS, task_id
from tests.support.expected_keys import assert_projected, dump_keys, expected_ready

__all__ = ["keys_of_its_own"]

TASKS = [task_id(number) for number in range(1, 9)]
LATER_MS = START_MS + 1_000_000


def lived(seed: int, length: int) -> list[RecordedEvent]:
    """So many events of a few tasks that need each other, each one that its task takes then; no circle is closed."""
    chance, board, versions = Random(seed), Board(), Counter[str]()
    events: list[RecordedEvent] = []
    while len(events) < length:
        task = chance.choice(TASKS)
        fact = a_fact(chance, task, board.tasks)
        if fact is None:
            continue
        versions[task] += 1
        event = NewEvent(task=task, version=versions[task], actor="eve", command="c", data=fact)
        events.append(record(event, Position.of(ms=START_MS + len(events), seq=len(events) + 1)))
        board.fold(events[-1:])
    return events


def a_fact(chance: Random, task: str, tasks: Mapping[str, Task]) -> Event | None:
    """What may happen to a task next; None to try again."""
    now = tasks.get(task)
    other = chance.choice(TASKS)
    if now is None:
        is_fit = other in tasks and not closes(tasks, task, Ties(other))
        return TaskCreated("x", ("a",) if chance.random() < 0.5 else (), other if is_fit else None)
    time = chance.choice([None, format_ms(START_MS), format_ms(LATER_MS)])
    facts: list[Event] = [TaskPrioritised(chance.randrange(5)), TaskScheduled(time, time), TaskNoted("n")]
    if other in tasks and other != task and other not in now.needs:
        needs = (*now.needs, other)
        facts += [] if closes(tasks, task, Ties(now.parent_id, needs)) else [TaskLinked(LinkKind.NEEDS, other)] * 5
    facts += [TaskUnlinked(LinkKind.NEEDS, each) for each in now.needs]
    if not any(each.parent_id == task for each in tasks.values()):
        facts.append(TaskRemoved())
    if now.state.is_terminal:
        return chance.choice([*facts, *[TaskReopened()] * 5])
    parent = chance.choice([None, other])
    if parent is None or (parent in tasks and not closes(tasks, task, Ties(parent, now.needs))):
        facts.append(TaskMoved(parent))
    facts += [TaskAnswered("y")] * 5 if now.has_open_question else [TaskAsked("q")]
    facts += {
        State.PENDING: [TaskAssigned("ada"), TaskCancelled()],
        State.ASSIGNED: [TaskStarted(), TaskStarted(), TaskRequeued()],
        State.RUNNING: [*[TaskCompleted()] * 6, TaskFailed(), TaskRequeued()],
    }[now.state]
    return chance.choice(facts)


def closes(tasks: Mapping[str, Task], task: str, ties: Ties) -> bool:
    """Whether a task with these ties would be in a circle."""

    def look_up(ids: Collection[str]) -> dict[str, tuple[Task | None, Collection[str]]]:
        return {each: (tasks.get(each), [it.id for it in tasks.values() if it.parent_id == each]) for each in ids}

    return bool(find_circle({task: ties}, look_up))


lives = st.builds(lived, st.integers(0, 2**32), st.integers(1, 60))
batch_sizes = st.lists(st.integers(1, 9), max_size=6)


@examples(60)
@given(events=lives, data=st.data())
def test_entries_that_follow_events_are_those_of_the_model(events: list[RecordedEvent], data: st.DataObject) -> None:
    """In whatever batches a board in memory follows them: the same as made anew, and as the words say."""
    board = Board()
    neighbours = BoardNeighbours(board.tasks)
    remaining = events
    while remaining:
        size = data.draw(st.integers(1, 9))
        batch, remaining = remaining[:size], remaining[size:]
        before = {recorded.task: copy(board.get(recorded.task)) for recorded in batch}
        held = {each: neighbours.entries(each) for each in TASKS}
        board.fold(batch)
        settled = neighbours.follow(before)
        for task in TASKS:
            now = board.get(task)
            expected = [] if now is None else list(expected_ready(board.tasks, now))
            assert sorted(map(str, neighbours.entries(task))) == sorted(map(str, expected))
            assert sorted(map(str, BoardNeighbours(board.tasks).entries(task))) == sorted(map(str, expected))
            told = settled[task].before if task in settled else neighbours.entries(task)
            assert sorted(map(str, told)) == sorted(map(str, held[task]))


@examples(12)
@given(events=lives, sizes=batch_sizes)
def test_live_is_rebuilt_is_the_model(
    client: redis.Redis, keys_of_its_own: Callable[[], Keys], events: list[RecordedEvent], sizes: list[int]
) -> None:
    """On a real server, in any batches: every key is as the model says, `verify` finds nothing, a rebuild changes nothing."""
    keys = keys_of_its_own()
    fill(client, keys, events)
    project(client, keys, sizes)
    board = Board()
    board.fold(events)
    assert_projected(client, keys, board)
    assert verify(client, keys).findings == ()
    before = dump_keys(client, keys)
    assert Rebuild(client, keys, holder="test").run().differences == 0
    assert dump_keys(client, keys) == before


@examples(12)
@given(events=lives, now_ms=st.sampled_from([START_MS, LATER_MS]))
def test_ready_tasks_are_those_of_the_model(
    client: redis.Redis, keys_of_its_own: Callable[[], Keys], events: list[RecordedEvent], now_ms: int
) -> None:
    """The server, a board in memory and the model list the same tasks in the same order; so of an agent, of a tag, and a page."""
    keys = keys_of_its_own()
    fill(client, keys, events)
    Projector(client, keys).catch_up()
    board, live = Board(), LiveBoard(client, keys)
    board.fold(events)
    expected = [task.id for task in model.ready(board.tasks, now_ms=now_ms)]
    own = [
        task.id
        for task in sorted(board.tasks.values(), key=lambda task: model.order(board.tasks, task))
        if task.assigned_to == "ada"
        and task.state is State.ASSIGNED
        and model.may_begin(board.tasks, task)
        and model.from_ms(board.tasks, task) <= now_ms
    ]
    tagged = [each for each in expected if "a" in board.tasks[each].tags]
    for wanted, ids in (
        (ReadyFilter(), expected),
        (ReadyFilter(agent="ada"), [*own, *expected]),
        (ReadyFilter(agent="ada", roles=("a", "b")), [*own, *tagged]),
        (ReadyFilter(tags=("a",)), tagged),
    ):
        for limit in (None, 2):
            there = live.ready(wanted, limit=limit, now_ms=now_ms)
            past = ready_on(board.tasks, wanted, limit=limit, now_ms=now_ms, position=board.position)
            assert [task.id for task in there.tasks] == [task.id for task in past.tasks] == ids[:limit]
            assert there.has_more == past.has_more == (limit is not None and len(ids) > limit)
            assert there.position == past.position == events[-1].position
    blocked = {task.id for task in board.tasks.values() if model.is_open(task) and model.is_blocked(board.tasks, task)}
    assert {each.task.id for each in live.blocked()} == blocked
    assert [each.chain for each in live.blocked()] == [each.chain for each in blocked_among(TASKS, board.tasks)]
    ends = and_above([each.task.id for each in live.blocked()], board.tasks)
    assert live.critical_path() == critical_path(ends, board.tasks)
    assert [live.critical_path(each) for each in TASKS] == [critical_path([each], board.tasks) for each in TASKS]
    assert [task.id for task in live.backlog().tasks] == [task.id for task in by_rank(board.tasks.values())]
    assert EventStore(client, keys).end() == events[-1].position


@examples(60)
@given(events=lives, seed=st.integers(0, 2**32))
def test_circle_is_found_where_no_order_of_work_is_left(events: list[RecordedEvent], seed: int) -> None:
    """A task with any parent and needs: a circle is named just where not all tasks could be done, and it goes through the task."""
    board, chance = Board(), Random(seed)
    board.fold(events)
    assert model.can_all_be_done(board.tasks)
    if not board.tasks:
        return
    task = copy(chance.choice(list(board.tasks.values())))
    task.parent_id = chance.choice([None, *board.tasks])
    task.needs = tuple(chance.sample([*board.tasks], chance.randrange(min(3, len(board.tasks)) + 1)))
    changed = {**board.tasks, task.id: task}
    has_circle = closes(board.tasks, task.id, Ties(task.parent_id, task.needs))
    assert has_circle == (not model.can_all_be_done(changed))
