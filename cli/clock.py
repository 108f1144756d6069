"""The clock of this machine, for what is told from now: due times. Everything that lasts has the server's time."""

from __future__ import annotations

import time


def now_ms() -> int:
    """Milliseconds since 1970 UTC."""
    return time.time_ns() // 1_000_000
