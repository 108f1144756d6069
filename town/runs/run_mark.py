"""RunMark: which runner began a run, as words in the reason of `task.started`. Pure.

The ledger itself says who works on a task, in the same append that begins the work: no crash can come between the two,
and nobody needs a second list of who does what (docs/decisions/0012).
"""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from typing import Final, Self
from uuid import uuid4

from msgspec import Struct

from ledger import RecordedEvent, TaskStarted

RUN_CHARS: Final = 12
HOST_CHARS_MAX: Final = 64
_WORDS = re.compile(rf"runner on (?P<host>\S+), process (?P<process>[0-9]+), run (?P<run>[0-9a-f]{{{RUN_CHARS}}})")


class RunMark(Struct, frozen=True):
    """One run: the host and process of its runner, and an id of its own."""

    host: str
    process: int
    run: str

    @classmethod
    def new(cls) -> Self:
        """The mark of a run that this process is about to begin."""
        # It takes long to import, and most commands begin no run.
        import socket  # noqa: PLC0415

        host = re.sub(r"[^A-Za-z0-9._-]+", "-", socket.gethostname())[:HOST_CHARS_MAX] or "unknown"
        return cls(host, os.getpid(), uuid4().hex[:RUN_CHARS])

    @classmethod
    def parse(cls, reason: str | None) -> Self | None:
        """The mark in an event's reason; None where it is none."""
        found = _WORDS.fullmatch(reason or "")
        return None if found is None else cls(found["host"], int(found["process"]), found["run"])

    def __str__(self) -> str:
        return f"runner on {self.host}, process {self.process}, run {self.run}"


def mark_of(events: Sequence[RecordedEvent]) -> RunMark | None:
    """The mark of a running task's run, from its history; None where it was started by hand."""
    started = next((each for each in reversed(events) if isinstance(each.data, TaskStarted)), None)
    return None if started is None else RunMark.parse(started.reason)
