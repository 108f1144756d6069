"""Lets the processes that tests start get signals, wherever the tests themselves are started."""

from __future__ import annotations

import signal
from typing import Final

_IGNORED_AT_TIMES: Final = (signal.SIGHUP, signal.SIGINT)
"""By `nohup`, and by a shell that starts a job in the background."""


def heed_signals() -> None:
    """Let children meet signals as those of a terminal do.

    An ignored signal is ignored by children too. One that has a handler is not, so here it gets one that does nothing.
    """
    for number in _IGNORED_AT_TIMES:
        if signal.getsignal(number) is signal.SIG_IGN:
            signal.signal(number, lambda *_: None)
