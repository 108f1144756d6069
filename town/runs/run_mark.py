"""The run that this process is about to begin, and the run of a running task.

The ledger itself records who works on a task, in the same append that starts the task. So no crash can come between the
two, and no second list of runs is needed (docs/decisions/0012, 0022).
"""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from uuid import uuid4

from ledger import HOST_CHARS_MAX, RUN_CHARS, RecordedEvent, RunMark, TaskStarted


def new_mark() -> RunMark:
    """A run of this process, with a new id."""
    # Its import is slow, and most commands begin no run.
    import socket  # noqa: PLC0415

    host = re.sub(r"[^A-Za-z0-9._-]+", "-", socket.gethostname())[:HOST_CHARS_MAX] or "unknown"
    return RunMark(uuid4().hex[:RUN_CHARS], host, os.getpid())


def mark_of(events: Sequence[RecordedEvent]) -> RunMark | None:
    """The run of a running task, from its history; None if it was started by hand."""
    return next((each.data.run for each in reversed(events) if isinstance(each.data, TaskStarted)), None)
