"""Stop signals: kept from the first moment on, then obeyed, or told to commands that go on until they are told to stop."""

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
"""The handlers in whose place signals are kept; empty where none are."""
_kept: Final[list[int]] = []


def keep_stop_signals() -> None:
    """From now on a stop signal waits for `obey_stop_signals` or `stop_signals`; one that is ignored stays so."""
    for each in _STOP_SIGNALS:
        if signal.getsignal(each) is not signal.SIG_IGN:
            _before[each] = signal.signal(each, lambda number, _: _kept.append(number))


def obey_stop_signals() -> None:
    """Let stop signals do what they did before they were kept, and one that came meanwhile do it now."""
    for each, handler in _before.items():
        signal.signal(each, handler)
    _before.clear()
    if _kept:
        number = _kept[0]
        _kept.clear()
        signal.raise_signal(number)


@contextmanager
def stop_signals(tell: Callable[[], None]) -> Iterator[None]:
    """Inside, SIGINT, SIGTERM and SIGHUP call `tell`, each time, also for those that were kept.

    SIGHUP does not where `nohup` has it ignored. `tell` runs in a thread of its own: the interrupted one may hold a lock that
    it takes, such as that of the Event it waits for, and would wait for itself.
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
