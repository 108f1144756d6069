"""Several states and tags, tags that no task may have, and other orders: a page is the board's, and reads no more than it needs."""

from __future__ import annotations

import itertools
from typing import Any, Final

import pytest
import redis
from msgspec.structs import replace

from ledger import EventStore, Keys, State
from projections import LiveBoard, Page, Projector, Sort, TaskFilter, ViewsIncompleteError, replay
from projections.listing import Listing
from tests.benchmarks.measure import fill
from tests.support.histories import Filler

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


def test_sorts_say_what_they_are_called(store: EventStore) -> None:
    """By the last change, in the order of a task's life, by agent with those without one last; equal tasks oldest first."""
    Filler(store, seed=7, tasks=40).fill(300)
    board = replay(store)
    keys: dict[Sort, Any] = {
        Sort.CREATED: lambda task: task.created_number,
        Sort.UPDATED: lambda task: (task.updated_at, task.created_number),
        Sort.STATE: lambda task: (list(State).index(task.state), task.created_number),
        Sort.AGENT: lambda task: (task.assigned_to is None, task.assigned_to or "", task.created_number),
    }
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
