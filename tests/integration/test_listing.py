"""A page of a filtered list is the same however it is found: walked to, intersected, or of a board in memory."""

from __future__ import annotations

import itertools
from typing import Final

import pytest
import redis
from msgspec.structs import replace

from ledger import EventStore, Keys, State
from projections import LiveBoard, Page, Projector, TaskFilter, ViewsIncompleteError, replay
from projections.listing import Listing
from tests.benchmarks.measure import fill
from tests.support.histories import Filler

PAGES: Final = [(0, 1), (0, 5), (3, 4), (0, 0), (2, None), (500, 10), (0, 1_000)]


def shown(page: Page) -> tuple[list[str], int | None, bool]:
    """What a page says, but for what a snapshot does not hold."""
    return [task.id for task in page.tasks], page.total, page.has_more


@pytest.fixture
def wanted(store: EventStore, projector: Projector) -> list[TaskFilter]:
    """Every condition that some task of a town fulfils, alone and two together, in both orders."""
    Filler(store, seed=12, tasks=40).fill(300)
    projector.catch_up()
    tasks = replay(store).page().tasks
    agents = sorted({task.assigned_to for task in tasks if task.assigned_to})
    tags = sorted({tag for task in tasks for tag in task.tags})
    parents = sorted({task.parent_id for task in tasks if task.parent_id})
    states = [None, *State]
    return [
        TaskFilter(state=state, agent=agent, tag=tag, parent=parent, is_newest_first=is_newest_first)
        for state, (agent, tag, parent), is_newest_first in itertools.product(
            states,
            [
                (None, None, None),
                *((agent, None, None) for agent in agents),
                *((None, tag, None) for tag in tags),
                *((None, None, parent) for parent in parents[:2]),
                (agents[0], tags[0], None),
            ],
            [False, True],
        )
    ]


@pytest.mark.parametrize("is_walked", [True, False], ids=["walked", "intersected"])
def test_page_is_that_of_the_board(
    store: EventStore,
    live: LiveBoard,
    wanted: list[TaskFilter],
    monkeypatch: pytest.MonkeyPatch,
    is_walked: bool,
) -> None:
    """The same tasks in the same order, and the same total, whichever way they are found."""
    monkeypatch.setattr("projections.listing._is_walk_short", lambda **_: is_walked)
    monkeypatch.setattr("projections.lua.walk.STRETCH_IDS_MAX", 7)
    board = replay(store)
    for each in wanted:
        for offset, limit in PAGES:
            assert shown(live.page(each, offset=offset, limit=limit)) == shown(
                board.page(each, offset=offset, limit=limit)
            )


@pytest.mark.parametrize("is_walked", [True, False], ids=["walked", "intersected"])
def test_total_is_left_out_only_where_more_than_are_counted_follow_the_page(
    store: EventStore,
    live: LiveBoard,
    wanted: list[TaskFilter],
    monkeypatch: pytest.MonkeyPatch,
    is_walked: bool,
) -> None:
    """The tasks are the board's all the same, and so is whether more follow; who asks for none or for all is told how many."""
    monkeypatch.setattr("projections.listing._is_walk_short", lambda **_: is_walked)
    monkeypatch.setattr("projections.listing.COUNTED_MAX", 3)
    board = replay(store)
    uncounted = 0
    for each in wanted:
        for offset, limit in PAGES:
            page, expected = (of.page(each, offset=offset, limit=limit) for of in (live, board))
            if page.total is None:
                uncounted += 1
                assert limit
                assert expected.known_total > 3
                assert page.has_more
                expected = replace(expected, total=None)
            assert shown(page) == shown(expected)
    assert uncounted if is_walked else not uncounted


def test_total_is_kept_where_few_tasks_are_in_other_states(
    client: redis.Redis,
    keys: Keys,
    store: EventStore,
    projector: Projector,
    live: LiveBoard,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """In an old town nearly all tasks are completed: the few others are counted, and their keys are checked, too."""
    fill(store, tasks=120)
    Filler(store, seed=5, tasks=20).fill(60)
    projector.catch_up()
    wanted = TaskFilter(state=State.COMPLETED, tag="docs")
    expected = replay(store).page(wanted, limit=1)
    monkeypatch.setattr("projections.listing.COUNTED_MAX", 10)
    assert live.page(wanted, limit=1).total is None
    monkeypatch.setattr("projections.listing.COUNTED_MAX", 30)
    assert expected.known_total > 30
    assert shown(live.page(wanted, limit=1)) == shown(expected)
    assert client.delete(keys.view("state", State.PENDING))
    with pytest.raises(ViewsIncompleteError, match="state:pending"):
        live.page(wanted, limit=1)


@pytest.mark.parametrize("is_newest_first", [False, True])
def test_tasks_that_nobody_has_are_those_of_the_board(
    store: EventStore, projector: Projector, live: LiveBoard, is_newest_first: bool
) -> None:
    """No set has them, so they are what the agents' sets leave of a state's."""
    Filler(store, seed=3, tasks=40).fill(200)
    projector.catch_up()
    board = replay(store)
    for state in (None, *State):
        wanted = TaskFilter(state=state, has_no_agent=True, is_newest_first=is_newest_first)
        assert shown(live.page(wanted, offset=1, limit=5)) == shown(board.page(wanted, offset=1, limit=5))


def test_lost_counts_of_agents_are_told_by_the_tasks_that_nobody_has(
    client: redis.Redis, keys: Keys, store: EventStore, projector: Projector, live: LiveBoard
) -> None:
    """Without the counts, tasks that an agent has would be shown nowhere, and nobody would know."""
    fill(store, tasks=10)
    projector.catch_up()
    client.delete(keys.view("counts", "agent"))
    with pytest.raises(ViewsIncompleteError, match="counts:agent does not count every task that an agent has"):
        live.page(TaskFilter(state=State.COMPLETED, has_no_agent=True))


def test_page_of_many_reads_none_but_its_own(
    store: EventStore, projector: Projector, live: LiveBoard, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where many match, nothing is intersected: neither by one condition nor by two, from either end."""
    fill(store, tasks=1_010)
    projector.catch_up()
    monkeypatch.setattr(Listing, "_intersect", lambda *_: pytest.fail("all ids were read"))
    for is_newest_first in (False, True):
        by_state = TaskFilter(state=State.COMPLETED, is_newest_first=is_newest_first)
        page = live.page(by_state, offset=20, limit=50)
        assert len(page.tasks) == 50
        assert shown(page) == shown(replay(store).page(by_state, offset=20, limit=50))


def test_what_lies_far_behind_others_is_found_without_a_long_walk(
    store: EventStore, projector: Projector, live: LiveBoard, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A walk that passes more tasks than the set has is given up, and the sets are intersected."""
    monkeypatch.setattr("projections.lua.walk.STRETCH_IDS_MAX", 4)
    fill(store, tasks=40)
    Filler(store, seed=1, tasks=20).fill(60)
    projector.catch_up()
    wanted = TaskFilter(state=State.PENDING)
    assert shown(live.page(wanted, limit=1)) == shown(replay(store).page(wanted, limit=1))
