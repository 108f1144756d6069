"""The user's time zone, as the system has it: times in it, and its name, which is shown with every day and time.

All times for people are in this one zone. It is named by its offset, which every machine knows and which can be typed
again as part of WHEN: `UTC+1`. JSON keeps times in UTC, with a Z.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import MAXYEAR, MINYEAR, UTC, date, datetime, timedelta, timezone, tzinfo


def in_local_zone(time: datetime) -> datetime:
    """The time in the user's zone. A time without a zone counts as the user's.

    ValueError, OverflowError: no such time there. If TZ makes an offset of a day or more, as `UTC+99` does, the zone is
    UTC, as the system takes it for an unknown TZ.
    """
    try:
        return time.astimezone()
    except (ValueError, OverflowError):
        if time.year in (MINYEAR, MAXYEAR):
            # The zone may be valid, and the time beyond the calendar's end.
            raise
        return time.replace(tzinfo=time.tzinfo or UTC).astimezone(UTC)


def local_time(time: datetime) -> str:
    """`2026-11-23 17:33:02 UTC+1`: a time in the user's zone, with the zone."""
    return _named(_local(time))


def local_times(times: Iterable[datetime]) -> tuple[str, list[str]]:
    """The zone's name for the head of a column, and the times for its cells.

    `UTC+1`, and each time without a zone. If the clock was changed between them, `UTC+1/+2`, and each time has its offset.
    """
    local = [_local(time) for time in times]
    name = _name_of_all(local)
    if "/" not in name:
        return name, [_clock(time) for time in local]
    return name, [f"{_clock(time)} {_offset(time) or '+0'}" for time in local]


def zone_name(times: Iterable[datetime]) -> str:
    """The name of the user's zone at these times: `UTC+1`, or `UTC+1/+2` if the clock was changed between them."""
    return _name_of_all([_local(time) for time in times])


def local_day(time: datetime) -> date:
    """The day of a time in the user's zone."""
    return _local(time).date()


def placed(clock: datetime, zone: tzinfo | None = None) -> tuple[datetime, str | None]:
    """The moment when the clocks of `zone` (None: the user's) show `clock`, and in words the choice, if there was one.

    If a time came twice because clocks were set back, it is the first. A time that was skipped counts on from before the gap.
    ValueError, OverflowError: no calendar has it.
    """
    # Releases of Python disagree about which of the two is first in a gap.
    early, late = sorted(_in_utc(clock.replace(fold=fold), zone) for fold in (0, 1))
    first, second = (in_local_zone(time) if zone is None else _in_zone(time, zone) for time in (early, late))
    if early == late:
        return first, None
    if first.replace(tzinfo=None, fold=0) != clock:
        return second, f"{_clock(clock)} was skipped when the clock was set forward; {_named(second)} is taken."
    return first, f"{_clock(clock)} came twice; {_named(first)} is taken. The other one is {_named(second)}."


def _in_utc(clock: datetime, zone: tzinfo | None) -> datetime:
    return (in_local_zone(clock) if zone is None else clock.replace(tzinfo=zone)).astimezone(UTC)


def _in_zone(time: datetime, zone: tzinfo) -> datetime:
    """The time with its offset alone. With its zone, a time that came twice would not equal the same time in another zone."""
    there = time.astimezone(zone)
    return there.replace(tzinfo=timezone(there.utcoffset() or timedelta()), fold=0)


def _local(time: datetime) -> datetime:
    try:
        return in_local_zone(time)
    except (OverflowError, ValueError):
        # At the ends of the calendar another zone may have no such time.
        return time.replace(tzinfo=time.tzinfo or UTC)


def _clock(time: datetime) -> str:
    # `%Y` writes the first thousand years without zeros on some systems.
    return time.replace(tzinfo=None).isoformat(" ", "seconds")


def _named(time: datetime) -> str:
    return f"{_clock(time)} {_offset_name(time)}"


def _offset_name(time: datetime) -> str:
    return f"UTC{_offset(time)}"


def _name_of_all(times: Iterable[datetime]) -> str:
    by_offset = {time.utcoffset() or timedelta(): _offset(time) for time in times}
    names = [by_offset[offset] for offset in sorted(by_offset)]
    if not names:
        return _offset_name(_local(datetime.now(UTC)))
    return f"UTC{names[0]}" if len(names) == 1 else f"UTC{'/'.join(name or '+0' for name in names)}"


def _offset(time: datetime) -> str:
    """`+1`, `-3:30`; empty for UTC itself."""
    offset = time.utcoffset()
    if not offset:
        return ""
    minutes, seconds = divmod(abs(int(offset.total_seconds())), 60)
    rest = f":{minutes % 60:02}" if minutes % 60 or seconds else ""
    return f"{'-' if offset.days < 0 else '+'}{minutes // 60}{rest}{f':{seconds:02}' if seconds else ''}"
