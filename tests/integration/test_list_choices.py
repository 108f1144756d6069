"""Several states and tags, tags that no task may have, and other orders: a page is the board's, and reads no more than it needs."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from typing import Any, Final

import pytest
import redis
from msgspec.structs import replace

from ledger import Command, EventStore, Keys, PrioritiseTask, ScheduleTask, State, Task
from projections import (
    Board,
    LiveBoard,
    PackedBoard,
    Page,
    Projector,
    Rebuild,
    Sort,
    TaskFilter,
    ViewsIncompleteError,
    replay,
)
from projections.listing import Listing
from tests.benchmarks.measure import fill
from tests.support.builders import START_MS
from tests.support.histories import Filler

DAY_MS: Final = 24 * 60 * 60 * 1000

STATES: Final = (None, State.PENDING, (State.COMPLETED, State.PENDING), tuple(State), (State.FAILED, State.FAILED))
CONDITIONS: Final[tuple[dict[str, Any], ...]] = (
    {},
    {"state": (State.PENDING, State.COMPLETED)},
    {"state": State.PENDING},
    {"not_tag": "docs"},
)


def shown(page: Page) -> tuple[list[str], int | None, bool]:
    """What a page says, but for what a snapshot does not hold."""
    return [task.id for task in page.tasks], page.total, page.has_more


def filters(store: EventStore, projector: Projector) -> list[TaskFilter]:
    """Several states, tags and tags that no task may have, with an agent or a parent and without, in both orders."""
    Filler(store, seed=12, tasks=40).fill(300)
    projector.catch_up()
    tasks = replay(store).page().tasks
    agent = next(task.assigned_to for task in tasks if task.assigned_to)
    parent = next(task.parent_id for task in tasks if task.parent_id)
    first, second = next(task.tags[:2] for task in tasks if len(task.tags) > 1)
    tagged = [(None, None), (first, second), ((first, second), None), (None, (first, second)), (None, first)]
    return [
        TaskFilter(state=state, agent=agent, parent=parent, tag=tag, not_tag=not_tag, is_newest_first=is_newest_first)
        for state, (tag, not_tag), (agent, parent), is_newest_first in itertools.product(
            STATES, tagged, [(None, None), (agent, None), (None, parent)], [False, True]
        )
    ]


@pytest.mark.parametrize("counted_max", [0, 3, 1_000])
@pytest.mark.parametrize("is_walked", [True, False], ids=["walked", "scanned"])
def test_page_of_repeated_conditions_is_that_of_the_board(
    store: EventStore,
    projector: Projector,
    live: LiveBoard,
    monkeypatch: pytest.MonkeyPatch,
    is_walked: bool,
    counted_max: int,
) -> None:
    """One of several states, all of several tags and none of others: as on the board, but for a total that was not counted."""
    several = filters(store, projector)
    monkeypatch.setattr("projections.listing._is_walk_short", lambda **_: is_walked)
    monkeypatch.setattr("projections.listing.COUNTED_MAX", counted_max)
    for script in ("walk", "scan"):
        monkeypatch.setattr(f"projections.lua.{script}.STRETCH_IDS_MAX", 7)
    board = replay(store)
    met = set()
    for each in several:
        for offset, limit in [(0, 1), (3, 4), (0, 0), (2, None), (500, 10)]:
            page, expected = (of.page(each, offset=offset, limit=limit) for of in (live, board))
            if page.total is None:
                assert limit
                assert page.has_more
                assert expected.known_total > counted_max
                expected = replace(expected, total=None)
            assert shown(page) == shown(expected), each
            if page.tasks:
                met.add((len(each.states) > 1, len(each.tags), len(each.not_tags)))
    assert met >= set(itertools.product([False, True], [0], [0, 1, 2])) | {(True, 2, 0), (False, 1, 1), (True, 1, 1)}


def test_page_of_many_reads_none_but_its_own(
    store: EventStore, projector: Projector, live: LiveBoard, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where many match, no page reads all ids, of whatever conditions, from either end."""
    fill(store, tasks=1_010)
    Filler(store, seed=3, tasks=20).fill(60)
    projector.catch_up()
    board = replay(store)
    for name in ("_intersect", "_scan"):
        monkeypatch.setattr(Listing, name, lambda *_: pytest.fail("all ids were read"))
    for state, tag, not_tag, is_newest_first in itertools.product(
        [None, (State.COMPLETED, State.PENDING)], [None, ("docs",)], [None, "urgent", ("urgent", "x")], [False, True]
    ):
        wanted = TaskFilter(state=state, tag=tag, not_tag=not_tag, is_newest_first=is_newest_first)
        page = live.page(wanted, offset=20, limit=50)
        assert len(page.tasks) == 50
        assert [task.id for task in page.tasks] == [task.id for task in board.page(wanted, offset=20, limit=50).tasks]


@pytest.mark.parametrize("sort", Sort)
@pytest.mark.parametrize("counted_max", [0, 1_000], ids=["by views", "at once"])
def test_sorted_page_is_that_of_the_board(
    store: EventStore,
    projector: Projector,
    live: LiveBoard,
    monkeypatch: pytest.MonkeyPatch,
    sort: Sort,
    counted_max: int,
) -> None:
    """In every order and both directions, whole and from anywhere; also the last pages, of tasks without an agent."""
    Filler(store, seed=7, tasks=40).fill(300)
    projector.catch_up()
    monkeypatch.setattr("projections.sorted_page.COUNTED_MAX", counted_max)
    monkeypatch.setattr("projections.sorted_page.BATCH_SNAPSHOTS_MAX", 7)
    board = replay(store)
    agent = next(task.assigned_to for task in board.page().tasks if task.assigned_to)
    for conditions, is_newest_first in itertools.product([*CONDITIONS, {"agent": agent}], [False, True]):
        wanted = TaskFilter(**conditions, sort=sort, is_newest_first=is_newest_first)
        for offset, limit in [(0, 1), (3, 9), (30, 20), (0, 0), (2, None), (500, 10)]:
            page, expected = (of.page(wanted, offset=offset, limit=limit) for of in (live, board))
            assert shown(page) == shown(expected), (wanted, offset, limit)


class TimedFiller(Filler):
    """Also rates and schedules tasks; some are due together, and some are rated and due no more."""

    def _wish(self, task: str, state: Task | None) -> Command:
        if state is None or self._chance.random() < 0.5:
            return super()._wish(task, state)
        due_ms = self._chance.choice((None, START_MS - DAY_MS, START_MS, START_MS + DAY_MS))
        rated = PrioritiseTask(task_id=task, priority=self._chance.randint(0, 4))
        return self._chance.choice((rated, ScheduleTask(task_id=task, due_ms=due_ms, not_before_ms=None)))


TIMED: Final[tuple[dict[str, Any], ...]] = (
    {},
    {"priority": (0,)},
    {"priority": (1, 2, 4)},
    {"overdue_ms": START_MS},
    {"overdue_ms": START_MS + 1},
    {"overdue_ms": START_MS + 1, "priority": (0, 1, 2), "tag": "b"},
    {"overdue_ms": START_MS + 2 * DAY_MS, "state": State.COMPLETED},
    {"priority": (2, 3), "state": (State.PENDING, State.COMPLETED), "not_tag": "a"},
)


@pytest.fixture
def timed(store: EventStore, projector: Projector) -> Board:
    """A board of tasks of every priority, of which some are overdue."""
    TimedFiller(store, seed=5, tasks=40).fill(600)
    projector.catch_up()
    return replay(store)


def each_timed() -> Iterator[tuple[TaskFilter, int, int | None]]:
    """Each of these conditions in each order, and pages of it."""
    for conditions, sort, is_newest_first in itertools.product(
        TIMED, (Sort.CREATED, Sort.PRIORITY, Sort.DUE, Sort.UPDATED), [False, True]
    ):
        wanted = TaskFilter(**conditions, sort=sort, is_newest_first=is_newest_first)
        yield from ((wanted, *page) for page in [(0, 1), (3, 9), (0, 0), (2, None), (500, 10)])


@pytest.mark.parametrize("counted_max", [0, 1_000], ids=["by snapshots", "at once"])
def test_page_by_priority_and_due_time_is_that_of_the_board(
    client: redis.Redis,
    keys: Keys,
    store: EventStore,
    live: LiveBoard,
    timed: Board,
    monkeypatch: pytest.MonkeyPatch,
    counted_max: int,
) -> None:
    """Live, kept in memory and rebuilt alike: the tasks that a plain look through all of them finds, in their order."""
    monkeypatch.setattr("projections.sorted_page.COUNTED_MAX", counted_max)
    monkeypatch.setattr("projections.sorted_page.BATCH_SNAPSHOTS_MAX", 7)
    packed = PackedBoard()
    for batch in store.read_batches():
        packed.fold(batch)
    pages = {each: timed.page(each[0], offset=each[1], limit=each[2]) for each in each_timed()}
    for board in (live, packed):
        for (wanted, offset, limit), expected in pages.items():
            assert shown(board.page(wanted, offset=offset, limit=limit)) == shown(expected), (wanted, offset, limit)
    Rebuild(client, keys, holder="test").run()
    for (wanted, offset, limit), expected in pages.items():
        assert shown(live.page(wanted, offset=offset, limit=limit)) == shown(expected), (wanted, offset, limit)
    assert {task.priority for task in timed.page().tasks} == set(range(5))


def test_filters_by_priority_and_due_time_say_what_they_are_called(timed: Board) -> None:
    """Of one of the priorities; due before the moment, and open. Both hold at once."""
    tasks = timed.page().tasks
    for conditions in TIMED:
        wanted = TaskFilter(**conditions)
        expected = [
            task.id
            for task in tasks
            if ("priority" not in conditions or task.priority in conditions["priority"])
            and (
                "overdue_ms" not in conditions
                or (
                    task.due_ms is not None
                    and task.due_ms < conditions["overdue_ms"]
                    and task.state in (State.PENDING, State.ASSIGNED, State.RUNNING)
                )
            )
            and (wanted.state is None or task.state in wanted.states)
            and all(tag in task.tags for tag in wanted.tags)
            and not any(tag in task.tags for tag in wanted.not_tags)
        ]
        assert [task.id for task in timed.page(wanted).tasks] == expected
        assert expected or wanted.state is State.COMPLETED, conditions


def test_page_by_priority_has_a_task_whose_snapshot_is_lost(
    client: redis.Redis, keys: Keys, live: LiveBoard, timed: Board
) -> None:
    """It is folded from its history, and is there only if it meets the conditions."""
    for conditions in ({"priority": (0, 1)}, {"overdue_ms": START_MS + 1}):
        wanted = TaskFilter(**conditions, sort=Sort.DUE)
        lost = timed.page(wanted).tasks[0]
        client.delete(keys.task(lost.id))
        assert shown(live.page(wanted, limit=10)) == shown(timed.page(wanted, limit=10))
        other = replace(wanted, priority=(lost.priority + 1,))
        assert shown(live.page(other, limit=10)) == shown(timed.page(other, limit=10))
        assert lost.id in live.lost


def test_overdue_page_reads_no_snapshot_of_what_ended(
    live: LiveBoard, timed: Board, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A town has many tasks that ended, and few that are open."""
    read: list[str] = []
    snapshots = LiveBoard.snapshots

    def noted(self: LiveBoard, ids: Sequence[str]) -> list[bytes | None]:
        read.extend(ids)
        return snapshots(self, ids)

    monkeypatch.setattr(LiveBoard, "snapshots", noted)
    assert live.page(TaskFilter(overdue_ms=START_MS + 1), limit=5).tasks
    open_ids = {task.id for task in timed.page().tasks if not task.state.is_terminal}
    assert set(read) == open_ids


def test_sorts_say_what_they_are_called(store: EventStore) -> None:
    """By the last change, in the order of a task's life, by agent with those without one last; equal tasks oldest first."""
    TimedFiller(store, seed=7, tasks=40).fill(300)
    board = replay(store)
    keys: dict[Sort, Any] = {
        Sort.CREATED: lambda task: task.created_number,
        Sort.UPDATED: lambda task: (task.updated_at, task.created_number),
        Sort.STATE: lambda task: (list(State).index(task.state), task.created_number),
        Sort.AGENT: lambda task: (task.assigned_to is None, task.assigned_to or "", task.created_number),
        Sort.PRIORITY: lambda task: (task.priority, task.created_number),
        Sort.DUE: lambda task: (task.due_ms is None, task.due_ms, task.created_number),
    }
    assert {*keys, Sort.CREATED} == set(Sort)
    for sort, key in keys.items():
        found = board.page(TaskFilter(sort=sort)).tasks
        assert list(found) == sorted(board.tasks.values(), key=key)
        assert board.page(TaskFilter(sort=sort, is_newest_first=True)).tasks == found[::-1]


@pytest.mark.parametrize("sort", [Sort.UPDATED, Sort.AGENT])
def test_sorted_page_has_a_task_whose_snapshot_is_lost(
    client: redis.Redis,
    keys: Keys,
    store: EventStore,
    projector: Projector,
    live: LiveBoard,
    monkeypatch: pytest.MonkeyPatch,
    sort: Sort,
) -> None:
    """It is folded from its history and takes its place; if too many are lost, that is refused, as in other lists."""
    Filler(store, seed=7, tasks=40).fill(300)
    projector.catch_up()
    monkeypatch.setattr("projections.sorted_page.COUNTED_MAX", 0)
    wanted = TaskFilter(sort=sort, is_newest_first=True)
    board = replay(store)
    lost = board.page(wanted).tasks[4]
    client.delete(keys.task(lost.id))
    assert shown(live.page(wanted, limit=10)) == shown(board.page(wanted, limit=10))
    assert live.lost == {lost.id}
    monkeypatch.setattr("projections.live_board.LOST_SNAPSHOTS_FOLDED_MAX", 0)
    with pytest.raises(ViewsIncompleteError):
        live.page(wanted, limit=10)


def test_pages_by_state_and_agent_read_no_other_snapshots(
    store: EventStore, projector: Projector, live: LiveBoard, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where their views have the page, its own tasks are read alone, however many match."""
    fill(store, tasks=1_010)
    Filler(store, seed=3, tasks=20).fill(60)
    projector.catch_up()
    board = replay(store)
    monkeypatch.setattr("projections.sorted_page._from_snapshots", lambda *_: pytest.fail("all snapshots were read"))
    for wanted in (
        TaskFilter(sort=Sort.STATE),
        TaskFilter(sort=Sort.STATE, is_newest_first=True),
        TaskFilter(sort=Sort.AGENT),
        TaskFilter(sort=Sort.AGENT, state=(State.COMPLETED, State.FAILED)),
    ):
        page = live.page(wanted, offset=20, limit=50)
        assert [task.id for task in page.tasks] == [task.id for task in board.page(wanted, offset=20, limit=50).tasks]


def test_agents_are_asked_one_by_one_only_up_to_a_bound(
    store: EventStore, projector: Projector, live: LiveBoard, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Behind more agents than that the page is the same, and is found in the snapshots."""
    Filler(store, seed=7, tasks=40).fill(300)
    projector.catch_up()
    monkeypatch.setattr("projections.sorted_page.COUNTED_MAX", 0)
    monkeypatch.setattr("projections.sorted_page.AGENTS_ASKED_MAX", 1)
    wanted = TaskFilter(sort=Sort.AGENT)
    assert shown(live.page(wanted, offset=9, limit=9)) == shown(replay(store).page(wanted, offset=9, limit=9))
