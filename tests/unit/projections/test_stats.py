"""Stats: the fields of a day's hash, made figures for people."""

from __future__ import annotations

from collections import Counter

from fakeredis import FakeRedis
from hypothesis import given
from hypothesis import strategies as st

from ledger import Keys
from projections import DayStats, Durations, read_stats
from projections.stats import DAYS_PER_READ, durations_of, stats_of_day
from projections.views.throughput import bucket_of

DAY = "2026-11-23"
NONE = Durations(0, None, None)


def test_day_without_fields_has_no_stats() -> None:
    """Nothing is made up."""
    assert stats_of_day(DAY, {}) == []


def test_fields_become_each_agents_figures() -> None:
    """Agents in order; what is absent is 0 or unknown."""
    fields = {"created:bob": 2, "completed:ada": 3, "failed:ada": 1, "waited:5:ada": 4, "worked:7:ada": 1}
    assert stats_of_day(DAY, fields) == [
        DayStats(DAY, "ada", 0, 3, 1, Durations(4, 5, 5), Durations(1, 7, 7)),
        DayStats(DAY, "bob", 2, 0, 0, NONE, NONE),
    ]


def test_agents_with_colons_and_digits_keep_their_names() -> None:
    """A bucket is the first part only, and only of durations."""
    fields = {"created:7:x": 1, "waited:3:7:x": 1, "completed:waited:3": 1}
    assert [(each.agent, each.created, each.completed, each.waited.count) for each in stats_of_day(DAY, fields)] == [
        ("7:x", 1, 0, 1),
        ("waited:3", 0, 1, 0),
    ]


def test_quantiles_of_no_durations_are_unknown() -> None:
    """Not 0."""
    assert durations_of({}) == NONE


def test_quantiles_are_by_nearest_rank() -> None:
    """Half of ten is the fifth, nine tenths the ninth; of one, of two and of three the first, the first, the second."""
    assert durations_of(Counter(range(1, 11))) == Durations(10, 5, 9)
    assert durations_of({4: 1}) == Durations(1, 4, 4)
    assert durations_of({4: 1, 5: 1}) == Durations(2, 4, 5)
    assert durations_of({4: 1, 5: 1, 6: 1}) == Durations(3, 5, 6)
    assert durations_of({4: 9, 15: 1}) == Durations(10, 4, 4)
    assert durations_of({4: 89, 15: 11}) == Durations(100, 4, 15)


@given(st.lists(st.integers(0, 10**10), min_size=1, max_size=60))
def test_quantiles_are_never_too_short_and_at_most_an_eighth_too_long(measured: list[int]) -> None:
    """Against the sorted durations themselves."""
    found = durations_of(Counter(map(bucket_of, measured)))
    in_order = sorted(measured)
    for percent, quantile in ((50, found.median_ms), (90, found.p90_ms)):
        exact = in_order[-(-len(in_order) * percent // 100) - 1]
        assert quantile is not None
        assert exact <= quantile <= exact + exact / 8


def test_days_are_read_in_order_and_in_parts() -> None:
    """More days than one read takes; days without a hash are left out."""
    client, keys = FakeRedis(), Keys("demo")
    days = [f"day-{number:04}" for number in range(DAYS_PER_READ + 2)]
    for day in (days[0], days[DAYS_PER_READ], days[-1]):
        client.hset(keys.view("throughput", day), "created:ada", "1")
    found = read_stats(client, keys, days)
    assert [each.day for each in found] == [days[0], days[DAYS_PER_READ], days[-1]]
