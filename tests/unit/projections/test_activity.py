"""Activity: what counts for whom and when, what a round is, and that medians and percentiles are exact."""

from __future__ import annotations

from collections.abc import Iterable
from statistics import median_low

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ledger import (
    Event,
    NewEvent,
    Position,
    RecordedEvent,
    State,
    TaskAdopted,
    TaskAssigned,
    TaskCancelled,
    TaskCompleted,
    TaskCreated,
    TaskFailed,
    TaskNoted,
    TaskRemoved,
    TaskReopened,
    TaskRequeued,
    TaskStarted,
    TaskTagged,
    format_ms,
    record,
)
from projections import NO_FIGURES, Activity, Durations, Figures
from projections.activity import durations
from projections.views.throughput import day_of
from tests.support.builders import START_MS, task_id

HOUR = 3_600_000
DAY = 24 * HOUR
FIRST_DAY = "2026-11-23"

Fact = tuple[float, Event]
"""How many hours after START_MS, and what."""


def history(*facts: Fact, task: int = 1, actor: str = "alice", seq: int = 1) -> list[RecordedEvent]:
    """The events of one task, with their times."""
    events = []
    for version, (hours, data) in enumerate(facts, 1):
        event = NewEvent(task=task_id(task), version=version, actor=actor, command="c", data=data)
        events.append(record(event, Position.of(ms=START_MS + int(hours * HOUR), seq=seq + version - 1)))
    return events


def counted(events: Iterable[RecordedEvent], **options: object) -> Activity:
    activity = Activity(**options)  # type: ignore[arg-type]
    activity.take(list(events))
    return activity


def counts(figures: Figures) -> dict[str, int]:
    """The counts that are not 0."""
    return {
        name: number
        for name in figures.__struct_fields__
        if isinstance(number := getattr(figures, name), int) and number
    }


def hours(measured: Durations) -> tuple[int, float | None, float | None]:
    """Count, median and 90th percentile, in hours."""
    median, p90 = (None if ms is None else ms / HOUR for ms in (measured.median_ms, measured.p90_ms))
    return measured.count, median, p90


DONE: tuple[Fact, ...] = ((0, TaskCreated("x")), (1, TaskAssigned("ada")), (3, TaskStarted()), (7, TaskCompleted("ok")))


def test_one_task_from_creation_to_end() -> None:
    """Lead 7 hours, wait 3, work 4: lead is wait and work together if a task is started once."""
    total = counted(history(*DONE)).total()
    assert counts(total) == {"created": 1, "completed": 1}
    assert [hours(each) for each in (total.lead, total.wait, total.work)] == [(1, 7, 7), (1, 3, 3), (1, 4, 4)]


def test_failed_task_is_timed_like_a_completed_one() -> None:
    """An end is an end; a cancelled task is counted and not timed."""
    failed = counted(history(*DONE[:-1], (5, TaskFailed("no")))).total()
    assert (counts(failed), hours(failed.lead), hours(failed.work)) == (
        {"created": 1, "failed": 1},
        (1, 5, 5),
        (1, 2, 2),
    )
    cancelled = counted(history(*DONE[:-1], (5, TaskCancelled(None)))).total()
    assert (counts(cancelled), cancelled.lead.count, cancelled.work.count) == ({"created": 1, "cancelled": 1}, 0, 0)


def test_reopened_task_begins_a_new_round() -> None:
    """Its second end is timed from the reopening: the days in between were no work and no waiting."""
    again: tuple[Fact, ...] = (
        (100, TaskReopened()),
        (101, TaskAssigned("bob")),
        (102, TaskStarted()),
        (104, TaskCompleted("really")),
    )
    total = counted(history(*DONE, *again)).total()
    assert counts(total) == {"created": 1, "completed": 2, "reopened": 1}
    assert [hours(each) for each in (total.lead, total.wait, total.work)] == [(2, 4, 7), (2, 2, 3), (2, 2, 4)]


def test_task_that_is_handed_over_waits_once_and_is_worked_on_by_the_last() -> None:
    """Wait is to the first start, work from the last; the hand-over counts for who had the task."""
    events = history(*DONE[:-1], (4, TaskAssigned("bob")), (5, TaskStarted()), (6, TaskCompleted("ok")))
    activity = counted(events)
    total, by = activity.total(), activity.by(agent=True)
    assert counts(total) == {"created": 1, "completed": 1, "handed_over": 1}
    assert [hours(each) for each in (total.lead, total.wait, total.work)] == [(1, 6, 6), (1, 3, 3), (1, 1, 1)]
    assert counts(by["ada",]) == {"handed_over": 1}
    assert hours(by["ada",].wait) == (1, 3, 3)
    assert (counts(by["bob",]), hours(by["bob",].work), by["bob",].wait.count) == ({"completed": 1}, (1, 1, 1), 0)


def test_task_that_goes_back_to_the_backlog_stays_in_its_round() -> None:
    """Its lead goes on, and it waited once."""
    events = history(
        *DONE[:-1], (4, TaskRequeued()), (8, TaskAssigned("bob")), (9, TaskStarted()), (10, TaskCompleted("ok"))
    )
    total = counted(events).total()
    assert counts(total) == {"created": 1, "completed": 1, "requeued": 1}
    assert [hours(each) for each in (total.lead, total.wait, total.work)] == [(1, 10, 10), (1, 3, 3), (1, 1, 1)]


def test_same_agent_again_is_no_hand_over() -> None:
    """Nor is the first assignment."""
    assert counts(counted(history(*DONE[:2], (2, TaskAssigned("ada")))).total()) == {"created": 1}


def test_removed_task_that_comes_back_begins_anew() -> None:
    """It counts as created twice, and its times are those of its new life."""
    events = history(*DONE, (8, TaskRemoved()), (20, TaskCreated("x")), (21, TaskAssigned("ada")), (22, TaskStarted()))
    total = counted(events).total()
    assert counts(total) == {"created": 2, "completed": 1, "removed": 1}
    assert hours(total.wait) == (2, 2, 3)


def test_adopted_task_is_not_created_and_keeps_its_record_s_times() -> None:
    """Its lead begins where its old record says; it had started before, so it does not wait here."""
    begun = format_ms(START_MS - 10 * HOUR)
    record_of = TaskAdopted(
        records=(),
        description="x",
        state=State.RUNNING,
        created_at=begun,
        updated_at=begun,
        assigned_to="ada",
        started_at=format_ms(START_MS - 4 * HOUR),
    )
    total = counted(history((0, record_of), (2, TaskCompleted("ok")))).total()
    assert counts(total) == {"adopted": 1, "completed": 1}
    assert (hours(total.lead), total.wait.count, hours(total.work)) == ((1, 12, 12), 0, (1, 6, 6))


def test_creation_counts_for_its_actor_and_the_rest_for_the_agent() -> None:
    """Each on the day of its event."""
    late = [(each + 24 * number, data) for number, (each, data) in enumerate(DONE)]
    found = counted(history(*late), day_of=day_of).by(day=True, agent=True)
    assert {key: counts(figures) for key, figures in found.items()} == {
        (FIRST_DAY, "alice"): {"created": 1},
        ("2026-11-25", "ada"): {},
        ("2026-11-26", "ada"): {"completed": 1},
    }


def test_only_what_belongs_to_one_agent_is_kept() -> None:
    """Creations by that name, and ends of tasks that it had."""
    events = [*history(*DONE), *history(*DONE[:1], task=2, actor="ada", seq=5)]
    assert counts(counted(events, agent="ada").total()) == {"created": 1, "completed": 1}
    assert counts(counted(events, agent="alice").total()) == {"created": 1}
    assert counted(events, agent="eve").total() == NO_FIGURES


def test_task_counts_for_each_tag_that_it_has_then_and_once_in_all() -> None:
    """Of no tag where it has none; a tag that comes later counts from then on."""
    events = history((0, TaskCreated("x")), *DONE[1:3], (4, TaskTagged(("a", "b"), ())), (5, TaskCompleted("ok")))
    activity = counted(events, has_tags=True)
    assert {key: counts(figures) for key, figures in activity.by(tag=True).items()} == {
        (None,): {"created": 1},
        ("a",): {"completed": 1},
        ("b",): {"completed": 1},
    }
    assert counts(activity.total()) == {"created": 1, "completed": 1}
    assert activity.total().lead.count == 1


def test_events_before_the_period_count_for_nothing_but_say_how_tasks_were() -> None:
    """The end is timed from a creation that the period does not have."""
    activity = Activity()
    events = history(*DONE)
    activity.take_before(events[:3])
    activity.take(events[3:])
    total = activity.total()
    assert (counts(total), hours(total.lead), total.wait.count) == ({"completed": 1}, (1, 7, 7), 0)
    assert activity.events == 1


def test_events_of_a_damaged_task_count_for_nothing() -> None:
    """From the first on that no command can make; a creation that none can make counts for nothing either."""
    damaged = history(*DONE[:1], (1, TaskCompleted("of nobody")), *DONE[1:])
    assert counts(counted(damaged).total()) == {"created": 1}
    assert counted(history((0, TaskCreated("")), *DONE[1:])).total() == NO_FIGURES


def test_other_events_count_for_nothing() -> None:
    """A note is no work that could be counted."""
    assert counts(counted(history(*DONE[:1], (1, TaskNoted("n")))).total()) == {"created": 1}


def test_clock_that_goes_back_gives_no_negative_time() -> None:
    """As of an adopted record whose times lie in the future."""
    record_of = TaskAdopted((), "x", State.ASSIGNED, format_ms(START_MS + DAY), format_ms(START_MS), assigned_to="ada")
    total = counted(history((0, record_of), (1, TaskStarted()), (2, TaskCompleted("ok")))).total()
    assert (hours(total.lead), hours(total.wait)) == ((1, 0, 0), (1, 0, 0))


@given(st.lists(st.integers(0, 10**12), min_size=1, max_size=40))
def test_quantiles_are_exact(measured: list[int]) -> None:
    """Values that were measured: half of all are no longer than the median, nine tenths no longer than p90."""
    found = durations(list(measured))
    assert found.count == len(measured)
    assert found.median_ms == median_low(measured)
    assert found.p90_ms in measured
    assert sum(each <= found.p90_ms for each in measured) >= 0.9 * len(measured) - 1e-9
    assert sum(each < found.p90_ms for each in measured) < 0.9 * len(measured) + 1e-9


def test_quantiles_of_nothing_are_unknown() -> None:
    """Not 0."""
    assert durations([]) == Durations(0, None, None)


@pytest.mark.parametrize("parts", [{"day": True}, {"agent": True}, {"day": True, "agent": True}], ids=str)
def test_groups_add_up_to_all(parts: dict[str, bool]) -> None:
    """Every event is in one group of a day and of an agent."""
    events = [*history(*DONE), *history(*DONE[:-1], (30, TaskFailed("no")), task=2, actor="bob", seq=5)]
    activity = counted(events, day_of=day_of)
    total = activity.total()
    for name in ("created", "completed", "failed"):
        assert sum(getattr(each, name) for each in activity.by(**parts).values()) == getattr(total, name)
    assert sum(each.lead.count for each in activity.by(**parts).values()) == total.lead.count == 2
