"""Stop signals: held back while the program starts, then obeyed, or passed to commands that run until they are stopped."""

from __future__ import annotations

import signal
from _thread import start_new_thread
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Final

_Handler = Callable[[int, FrameType | None], object] | int | None

_STOP_SIGNALS: Final = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
_before: Final[dict[signal.Signals, _Handler]] = {}
"""The handlers that were replaced to hold signals back; empty if none were."""
_kept: Final[list[int]] = []


def keep_stop_signals() -> None:
    """Hold back stop signals until `obey_stop_signals` or `stop_signals`. An ignored signal stays ignored."""
    for each in _STOP_SIGNALS:
        if signal.getsignal(each) is not signal.SIG_IGN:
            _before[each] = signal.signal(each, lambda number, _: _kept.append(number))


def obey_stop_signals() -> None:
    """Restore the handlers, and deliver a signal that came in the meantime."""
    for each, handler in _before.items():
        signal.signal(each, handler)
    _before.clear()
    if _kept:
        number = _kept[0]
        _kept.clear()
        signal.raise_signal(number)


@contextmanager
def stop_signals(tell: Callable[[], None]) -> Iterator[None]:
    """Inside, each SIGINT, SIGTERM and SIGHUP calls `tell`, including those that were held back.

    SIGHUP does not if `nohup` has it ignored. `tell` runs in a thread of its own: the interrupted thread may hold a lock
    that `tell` takes, such as the lock of the Event it waits for, and would deadlock.
    """
    signals = [signal.SIGINT, signal.SIGTERM]
    if signal.getsignal(signal.SIGHUP) is not signal.SIG_IGN:
        signals.append(signal.SIGHUP)
    before = {each: signal.signal(each, lambda *_: start_new_thread(tell, ())) for each in signals} | _before
    _before.clear()
    for _ in _kept:
        tell()
    _kept.clear()
    try:
        yield
    finally:
        for each, handler in before.items():
            signal.signal(each, handler)
