"""A page of tasks in another order than they were created in, from the snapshots and views in Redis.

Up to COUNTED_MAX tasks are read and sorted. Of more, states and agents have a view each, so a page is put together from the
pages of those that come first. No view has the time of the last change, a priority or a due time, and none the tasks without an
agent: for these the snapshots of all tasks that match are read, in batches, and only the page is kept. So are they for a list of
some priorities, or of what is overdue.
"""

from __future__ import annotations

import heapq
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Any, Final

import msgspec
from msgspec import Struct
from msgspec.structs import replace

from ledger import PRIORITY_DEFAULT, State, format_ms
from projections.filter import SORT_KEYS, Page, Sort, TaskFilter, page_of
from projections.listing import COUNTED_MAX
from projections.views.ready import OPEN_STATES

if TYPE_CHECKING:
    from projections.live_board import LiveBoard

AGENTS_ASKED_MAX: Final = 200
"""A page that begins behind so many agents is found as if there were no view of them."""
BATCH_SNAPSHOTS_MAX: Final = 1_000


def sorted_page(board: LiveBoard, wanted: TaskFilter, *, offset: int, limit: int | None) -> Page:
    """As `LiveBoard.page`."""
    if wanted.is_read:
        return _filtered(board, wanted, offset=offset, limit=limit)
    created = wanted.as_created()
    _, total = board.find_matching(created, offset=offset, limit=limit or 0)
    if limit is None or (total is not None and total <= COUNTED_MAX):
        return page_of(wanted.in_order(board.page(created).tasks), offset=offset, limit=limit)
    if not limit or (total is not None and total <= offset):
        return Page((), total, has_more=total is None or offset < total)
    ids = None if wanted.sort not in (Sort.STATE, Sort.AGENT) else _from_views(board, wanted, offset, limit)
    if ids is None or not _is_whole(ids, total, offset, limit):
        ids = _from_snapshots(board, wanted, offset, limit)
    tasks = tuple(task for task in board.get_listed(ids) if wanted.matches(task))
    return Page(tasks, total, has_more=total is None or offset + len(ids) < total)


def _filtered(board: LiveBoard, wanted: TaskFilter, *, offset: int, limit: int | None) -> Page:
    """A page by conditions that no view has. Memory: the ids of the tasks that meet the others, and a batch."""
    others = replace(wanted.as_created(), priority=None, overdue_ms=None)
    if wanted.overdue_ms is not None and wanted.state is None:
        others = replace(others, state=OPEN_STATES)
    ids, _ = board.find_matching(others, offset=0, limit=None)
    found = sorted(_sortable(board, wanted, ids), reverse=wanted.is_newest_first)
    last = len(found) if limit is None else offset + limit
    page = [ids[place] for _, place in found[offset:last]]
    tasks = tuple(task for task in board.get_listed(page) if wanted.matches(task))
    return Page(tasks, len(found), has_more=last < len(found))


def _is_whole(ids: Sequence[str], total: int | None, offset: int, limit: int) -> bool:
    """Whether these are as many as the page has to have."""
    return len(ids) == (limit if total is None else min(limit, total - offset))


def _from_views(board: LiveBoard, wanted: TaskFilter, offset: int, limit: int) -> list[str] | None:
    """The ids of the page, of tasks with an agent alone; None if too many agents would have to be asked."""
    skipped, ids = offset, list[str]()
    for number, group in enumerate(_groups(board, wanted)):
        if number == AGENTS_ASKED_MAX:
            return None
        found, total = board.find_matching(group, offset=skipped, limit=limit - len(ids))
        ids += found
        if len(ids) == limit:
            break
        assert total is not None, "a page that is not full has the last tasks"
        skipped = max(skipped - total, 0)
    return ids


def _groups(board: LiveBoard, wanted: TaskFilter) -> Iterator[TaskFilter]:
    """The same conditions for each state or agent, in their order; within one, tasks are in the order they were created."""
    if wanted.sort is Sort.STATE:
        states = wanted.states or tuple(State)
        for state in reversed(states) if wanted.is_newest_first else states:
            yield replace(wanted, sort=Sort.CREATED, state=state)
        return
    counts = board.count_agents()
    if wanted.is_newest_first:
        # Those without an agent come first.
        return
    for agent, of in counts.items():
        if any(of[state] for state in wanted.states or State):
            yield replace(wanted, sort=Sort.CREATED, agent=agent)


class _Sorted(Struct):
    """Of a snapshot, what tasks are sorted by. RFC 3339 as snapshots have it sorts as text."""

    state: State
    updated_at: str
    assigned_to: str | None
    priority: int = PRIORITY_DEFAULT
    due: str | None = None


_decoder: Final = msgspec.json.Decoder(_Sorted)
_KEYS: Final = {
    Sort.CREATED: lambda _: 0,
    Sort.UPDATED: lambda task: task.updated_at,
    Sort.STATE: SORT_KEYS[Sort.STATE],
    Sort.AGENT: SORT_KEYS[Sort.AGENT],
    Sort.PRIORITY: SORT_KEYS[Sort.PRIORITY],
    Sort.DUE: lambda task: (task.due is None, task.due or ""),
}


def _from_snapshots(board: LiveBoard, wanted: TaskFilter, offset: int, limit: int) -> list[str]:
    """The ids of the page, from the snapshots of all tasks that match. Memory: their ids, a batch and the page."""
    ids, _ = board.find_matching(wanted.as_created(), offset=0, limit=None)
    choose = heapq.nlargest if wanted.is_newest_first else heapq.nsmallest
    first = choose(offset + limit, _sortable(board, wanted, ids))
    return [ids[place] for _, place in first[offset:]]


def _sortable(board: LiveBoard, wanted: TaskFilter, ids: Sequence[str]) -> Iterator[tuple[Any, int]]:
    """Each task as what it is sorted by, and its place in `ids`, which are oldest first; without those removed since.

    Those of another priority, or that are not overdue, are left out if the filter asks for it.
    """
    key: Any = _KEYS[wanted.sort]
    is_meant = _meant(wanted)
    lost: dict[str, int] = {}
    for start in range(0, len(ids), BATCH_SNAPSHOTS_MAX):
        batch = ids[start : start + BATCH_SNAPSHOTS_MAX]
        for place, snapshot in enumerate(board.snapshots(batch), start):
            try:
                found = _decoder.decode(snapshot or b"")
            except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
                lost[ids[place]] = place
            else:
                if is_meant(found):
                    yield key(found), place
    for task in board.get_listed(list(lost)):
        due = None if task.due_ms is None else format_ms(task.due_ms)
        found = _Sorted(task.state, format_ms(task.updated_at_ms), task.assigned_to, task.priority, due)
        if is_meant(found):
            yield key(found), lost[task.id]


def _meant(wanted: TaskFilter) -> Callable[[_Sorted], bool]:
    """Whether a task meets the conditions that no view has."""
    priorities = wanted.priority
    overdue = None if wanted.overdue_ms is None else format_ms(wanted.overdue_ms)

    def is_meant(found: _Sorted) -> bool:
        return (priorities is None or found.priority in priorities) and (
            overdue is None or (found.due is not None and found.due < overdue and not found.state.is_terminal)
        )

    return is_meant
