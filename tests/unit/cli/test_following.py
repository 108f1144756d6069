"""Workers side by side: who fails is told, the others go on, and a mistake of ours is never hidden."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import cast

import pytest

from cli.exits import Exit
from cli.following import follow
from ledger import LedgerDamagedError, StoreUnavailableError
from town import Worker

WAIT_SECONDS_MAX = 5.0
AWAY = StoreUnavailableError("redis", "does not answer", "Start it.")


class FakeWorker:
    """Does `work` in place of following a town."""

    def __init__(self, work: Callable[[], object], *, damage: LedgerDamagedError | None = None) -> None:
        self._work = work
        self.damage = damage

    def run(self, *, once: bool) -> None:
        del once
        self._work()


def failing(error: Exception) -> FakeWorker:
    def fail() -> None:
        raise error

    return FakeWorker(fail)


def follow_all(*workers: FakeWorker, stop: threading.Event | None = None) -> Exit:
    return follow([cast("Worker", worker) for worker in workers], stop=stop or threading.Event(), once=True)


def test_workers_that_end_well_lead_to_done() -> None:
    """All have ended: 0."""
    assert follow_all(FakeWorker(lambda: None), FakeWorker(lambda: None)) is Exit.DONE


def test_damage_of_one_leads_to_damaged() -> None:
    """The worker has told of it; the exit code says so at the end."""
    damaged = FakeWorker(lambda: None, damage=LedgerDamagedError("gone"))
    assert follow_all(FakeWorker(lambda: None), damaged) is Exit.DAMAGED


def test_failure_of_one_is_told_and_the_others_go_on(capsys: pytest.CaptureFixture[str]) -> None:
    """What is in the way stands on stderr before the others have ended."""
    is_told = threading.Event()

    def go_on() -> None:
        while "does not answer" not in capsys.readouterr().err and not stop.wait(0.01):
            pass
        is_told.set()

    stop = threading.Event()
    assert follow_all(failing(AWAY), FakeWorker(go_on), stop=stop) is Exit.UNAVAILABLE
    assert is_told.is_set()


def test_mistake_of_ours_is_raised_beside_other_failures_and_stops_the_rest() -> None:
    """It is no matter of one town, whatever else went wrong.

    The bug looked like this: the exit code of the first failure hid it.
    """
    stop = threading.Event()
    with pytest.raises(ValueError, match="a mistake"):
        follow_all(
            failing(AWAY), failing(ValueError("a mistake")), FakeWorker(lambda: stop.wait(WAIT_SECONDS_MAX)), stop=stop
        )
    assert stop.is_set()


def test_mistake_of_ours_is_raised_beside_a_server_that_hangs() -> None:
    """The one that does not end is left, and the mistake told all the same."""
    released = threading.Event()
    try:
        with pytest.raises(ValueError, match="a mistake"):
            follow_all(failing(ValueError("a mistake")), FakeWorker(lambda: released.wait(WAIT_SECONDS_MAX)))
    finally:
        released.set()
