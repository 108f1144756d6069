"""The person's time zone, as the system has it."""

from __future__ import annotations

from datetime import MAXYEAR, MINYEAR, UTC, datetime


def in_local_zone(time: datetime) -> datetime:
    """The time in the person's zone; one without a zone is taken for the person's. ValueError, OverflowError: no such time there.

    Where TZ makes a zone of a day or more, as `UTC+99` does, it is UTC: as the system has it where TZ names no zone.
    """
    try:
        return time.astimezone()
    except (ValueError, OverflowError):
        if time.year in (MINYEAR, MAXYEAR):
            # It may be the calendar's end that was passed, in a sound zone.
            raise
        return time.replace(tzinfo=time.tzinfo or UTC).astimezone(UTC)
