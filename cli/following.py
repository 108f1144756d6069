"""Runs workers side by side, each in a thread, until all have ended or are asked to stop."""

from __future__ import annotations

import threading
import time
from collections.abc import Sequence
from typing import Final

from cli.exits import Exit, exit_code
from cli.output import ignoring_lost_output, say_error, warn
from ledger import LedgerError
from town import FleetWorker, Worker, words_of

STOP_SECONDS_MAX: Final = 0.5
"""How long a worker may take to finish its batch when it is asked to stop. With Python's own exit, that makes about a second."""
_POLL_SECONDS: Final = 0.05


def follow(workers: Sequence[Worker | FleetWorker], *, stop: threading.Event, once: bool) -> Exit:
    """Run all `workers`; return the exit code of the first that failed.

    If a town cannot be followed, that is said at once, and the others go on. Once `stop` is set, a server that does not
    answer is left behind: its last batch is committed whole or not at all. A bug in a worker stops all of them and is raised.
    """
    failures: list[Exception] = []
    threads = [
        threading.Thread(target=_run, args=(worker, failures), kwargs={"stop": stop, "once": once}, daemon=True)
        for worker in workers
    ]
    for thread in threads:
        thread.start()
    while any(thread.is_alive() for thread in threads) and not stop.wait(_POLL_SECONDS):
        pass
    deadline = time.monotonic() + STOP_SECONDS_MAX
    for thread in threads:
        thread.join(timeout=max(deadline - time.monotonic(), 0.0))
    for error in failures:
        if not isinstance(error, LedgerError):
            raise error
    if any(thread.is_alive() for thread in threads):
        warn("A server does not answer. Its last batch is committed or not, and the next projector goes on from there.")
        return Exit.UNAVAILABLE
    return _exit_of(failures, workers)


def _run(worker: Worker | FleetWorker, failures: list[Exception], *, stop: threading.Event, once: bool) -> None:
    try:
        worker.run(once=once)
    except LedgerError as error:
        failures.append(error)
        with ignoring_lost_output(is_error=True):
            say_error(words_of(error))
    except Exception as error:  # noqa: BLE001 - raised again in the main thread
        failures.append(error)
        stop.set()


def _exit_of(failures: Sequence[Exception], workers: Sequence[Worker | FleetWorker]) -> Exit:
    for error in failures:
        if isinstance(error, LedgerError):
            return exit_code(error)
    return Exit.DAMAGED if any(worker.damage is not None for worker in workers) else Exit.DONE
