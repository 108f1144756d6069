"""The run that this process is about to begin, and the run that a running task is in.

The ledger itself says who works on a task, in the same append that begins the work: no crash can come between the two,
and nobody needs a second list of who does what (docs/decisions/0012, 0022).
"""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from uuid import uuid4

from ledger import HOST_CHARS_MAX, RUN_CHARS, RecordedEvent, RunMark, TaskStarted


def new_mark() -> RunMark:
    """A run of this process, with an id of its own."""
    # It takes long to import, and most commands begin no run.
    import socket  # noqa: PLC0415

    host = re.sub(r"[^A-Za-z0-9._-]+", "-", socket.gethostname())[:HOST_CHARS_MAX] or "unknown"
    return RunMark(uuid4().hex[:RUN_CHARS], host, os.getpid())


def mark_of(events: Sequence[RecordedEvent]) -> RunMark | None:
    """The run of a running task, from its history; None where it was started by hand."""
    return next((each.data.run for each in reversed(events) if isinstance(each.data, TaskStarted)), None)
