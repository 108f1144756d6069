"""The user's time zone, as the system has it."""

from __future__ import annotations

from datetime import MAXYEAR, MINYEAR, UTC, datetime


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
