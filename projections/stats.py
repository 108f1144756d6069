"""Stats from the throughput view: how much each agent did per day, and how long it took. Pure except for the reading."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Final, cast

from msgspec import Struct

from ledger import EventStore, Keys, Position, redis_errors
from projections.entries import CountsByKey, Tally
from projections.errors import ViewsIncompleteError
from projections.replay import replay
from projections.views.throughput import Throughput, bucket_upper_ms

if TYPE_CHECKING:
    from redis import Redis

DAYS_PER_READ: Final = 500


class Durations(Struct, frozen=True):
    """How long something took: the number of measurements, the median and the 90th percentile, in ms."""

    count: int
    median_ms: int | None
    p90_ms: int | None


class DayStats(Struct, frozen=True):
    """One agent's day. `waited` is from created to started, `worked` from started to completed or failed."""

    day: str
    agent: str
    created: int
    completed: int
    failed: int
    waited: Durations
    worked: Durations


def read_stats(client: Redis, keys: Keys, days: Sequence[str], *, where: str = "redis") -> list[DayStats]:
    """Each agent's stats on each of `days` that has any, with days and agents in order. ViewsIncompleteError. Source: HGETALL."""
    found: list[DayStats] = []
    for start in range(0, len(days), DAYS_PER_READ):
        part = days[start : start + DAYS_PER_READ]
        with redis_errors(where):
            pipeline = client.pipeline(transaction=False)
            for day in part:
                pipeline.hgetall(keys.view(Throughput.name, day))
            hashes = cast("list[dict[bytes, bytes]]", pipeline.execute())
        for day, counts in zip(part, hashes, strict=True):
            try:
                found += stats_of_day(day, {field.decode(): int(count) for field, count in counts.items()})
            except ValueError:
                key = keys.view(Throughput.name, day)
                raise ViewsIncompleteError(f"the key {key} counts something that is none of its counts") from None
    return found


def fold_stats(store: EventStore, days: Sequence[str], *, upto: Position | None = None) -> list[DayStats]:
    """As `read_stats`, but folded from the ledger, up to a position. LedgerDamagedError."""
    view = Throughput()
    counts: CountsByKey = defaultdict(Counter)
    tally = Tally({fact: [(view.tally, str)] for fact in view.follows_events}, counts)
    replay(store, upto=upto, tally=tally)
    return [each for day in days for each in stats_of_day(day, counts[day])]


def stats_of_day(day: str, counts: Mapping[str, int]) -> list[DayStats]:
    """The stats in the fields of one day's hash, agents in order."""
    numbers: dict[str, Counter[str]] = {}
    durations: dict[str, dict[str, Counter[int]]] = {}
    for field, count in counts.items():
        metric, _, rest = field.partition(":")
        if metric in ("waited", "worked"):
            bucket, _, agent = rest.partition(":")
            durations.setdefault(agent, {}).setdefault(metric, Counter())[int(bucket)] += count
        else:
            numbers.setdefault(rest, Counter())[metric] += count
    return [
        DayStats(
            day=day,
            agent=agent,
            created=numbers.get(agent, Counter())["created"],
            completed=numbers.get(agent, Counter())["completed"],
            failed=numbers.get(agent, Counter())["failed"],
            waited=durations_of(durations.get(agent, {}).get("waited", Counter())),
            worked=durations_of(durations.get(agent, {}).get("worked", Counter())),
        )
        for agent in sorted(numbers.keys() | durations.keys())
    ]


def durations_of(buckets: Mapping[int, int]) -> Durations:
    """Count and quantiles of bucket -> number. A quantile is the upper end of its bucket, so at most an eighth too long."""
    count = sum(buckets.values())
    return Durations(count, _quantile(buckets, count, 50), _quantile(buckets, count, 90))


def _quantile(buckets: Mapping[int, int], count: int, percent: int) -> int | None:
    if count == 0:
        return None
    rank = -(-count * percent // 100)
    for bucket in sorted(buckets):
        rank -= buckets[bucket]
        if rank <= 0:
            return bucket_upper_ms(bucket)
    raise AssertionError("the ranks of all buckets add up to the count")
