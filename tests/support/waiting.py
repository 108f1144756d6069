"""Waits on conditions with a bound, in place of sleeps."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Final

WAIT_SECONDS_MAX: Final = 30.0
_POLL_SECONDS: Final = 0.005
_REST: Final = 3
"""How many times as long as a look takes is waited before the next, so that looking leaves the machine to what is looked for."""


def wait_until(condition: Callable[[], object], *, seconds_max: float = WAIT_SECONDS_MAX) -> None:
    """Return once `condition()` is true; fail the test after `seconds_max`."""
    deadline = time.monotonic() + seconds_max
    began = time.monotonic()
    while not condition():
        now = time.monotonic()
        assert now < deadline, f"not true within {seconds_max} s: {condition}"
        time.sleep(max(_POLL_SECONDS, _REST * (now - began)))
        began = time.monotonic()
