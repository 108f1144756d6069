"""The projector worker: follows one town in batches until a stop.

A lease keeps several workers from doing the same work twice; the others stand by and take over when its holder ends. If
the server goes away, the worker waits and does not start it: `tt stop` means stop.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Final

from msgspec import Struct

from ledger import BEGINNING, LedgerDamagedError, LedgerError, Position, StoreUnavailableError
from projections import BatchOutcome, RebuildUnfinishedError
from town.backend import Backend
from town.opening import opened

BLOCK_MS: Final = 300
"""How long a worker waits for events before it checks for a stop."""
STANDBY_SECONDS: Final = 0.3
RECONNECT_SECONDS: Final = 0.5
REPORT_SECONDS: Final = 10.0


class WorkerReport(Struct, frozen=True):
    """A worker's progress: its position, its lag in events and seconds, and its rate since the last report."""

    town: str
    position: Position
    lag_events: int
    lag_seconds: float
    events: int
    events_per_second: float
    problem: LedgerError | None = None


class WorkerMetrics:
    """Receives what a worker counts. A subclass publishes it."""

    def batch(self, town: str, outcome: BatchOutcome, *, events: int, seconds: float) -> None:
        """A batch was tried."""

    def lag(self, town: str, *, events: int, seconds: float) -> None:
        """How far behind the worker is."""

    def stopped(self, town: str, *, is_stopped: bool) -> None:
        """Whether damage has stopped the worker."""


class _StoppedError(Exception):
    """A stop arrived in the middle of something long."""


class Worker:
    """Follows the town at `path`. `report` gets a report now and then; `stop` ends the worker after the current batch."""

    def __init__(
        self,
        path: Path,
        *,
        stop: threading.Event,
        report: Callable[[WorkerReport], None],
        metrics: WorkerMetrics | None = None,
    ) -> None:
        self._path = path
        self._stop = stop
        self._report = report
        self._metrics = WorkerMetrics() if metrics is None else metrics
        self._events = 0
        self._reported_at = time.monotonic()
        self._name = path.name
        self._is_silent = True
        self._problem: str | None = None
        self._missed: Position | None = None
        """Where the ledger ended when it was last seen to lack what was acknowledged on this machine."""
        self.damage: LedgerDamagedError | None = None
        """What stopped it, if it was damage."""

    def run(self, *, once: bool = False) -> None:
        """Project until `stop` is set; with `once`, until all events are projected.

        Returns at damage too, and keeps it in `damage`.
        """
        is_first = True
        while not self._stop.is_set():
            try:
                with opened(self._path, is_starting=is_first) as open_town:
                    if is_first:
                        open_town.list_on_server()
                    is_first = False
                    town = open_town.backend
                    self._name = town.name
                    self._metrics.stopped(town.name, is_stopped=False)
                    self._follow_until_damage(town, once=once)
                    return
            except _StoppedError:
                return
            except StoreUnavailableError as error:
                if once:
                    raise
                is_first = False
                self._say(BEGINNING, problem=error)
                self._stop.wait(RECONNECT_SECONDS)
            except LedgerDamagedError as damage:
                self.damage = damage
                self._say(BEGINNING, problem=damage)
                return

    def _follow_until_damage(self, town: Backend, *, once: bool) -> None:
        """As `_follow`; at damage it measures the remaining lag before it raises."""
        town.upkeep.between_batches = self._end_if_stopped
        try:
            self._follow(town, once=once)
        except LedgerDamagedError:
            self._metrics.stopped(town.name, is_stopped=True)
            self._measure(town, town.upkeep.projector.checkpoints.position())
            raise

    def _end_if_stopped(self) -> None:
        if self._stop.is_set():
            raise _StoppedError

    def _follow(self, town: Backend, *, once: bool) -> None:
        try:
            while not self._stop.is_set():
                if not once and not town.upkeep.lease.take():
                    self._stop.wait(STANDBY_SECONDS)
                    continue
                started = time.monotonic()
                try:
                    batch = town.upkeep.projector.project_batch()
                except RebuildUnfinishedError:
                    self._finish_or_wait(town, once=once)
                    continue
                seconds = time.monotonic() - started
                self._events += batch.events
                self._metrics.batch(town.name, batch.outcome, events=batch.events, seconds=seconds)
                if batch.checkpoints[0].rebuild is not None:
                    # Another process rebuilds, or died while it did; in that case finish the rebuild.
                    self._finish_or_wait(town, once=once)
                if batch.outcome is BatchOutcome.NOTHING_TO_DO:
                    self._look(town, batch.position, is_last=once)
                    if once:
                        return
                    town.store.wait(batch.position, block_ms=BLOCK_MS)
                elif time.monotonic() - self._reported_at > REPORT_SECONDS:
                    self._look(town, batch.position)
        finally:
            town.upkeep.lease.give_up()

    def _finish_or_wait(self, town: Backend, *, once: bool) -> None:
        """Finish an abandoned rebuild. A long rebuild of another process is not damage, so wait for it."""
        try:
            town.upkeep.catch_up()
        except RebuildUnfinishedError:
            if once:
                raise
            self._stop.wait(STANDBY_SECONDS)

    def _look(self, town: Backend, position: Position, *, is_last: bool = False) -> None:
        """Measure the lag, and report it the first time, the last time, and now and then in between."""
        lag_events, lag_seconds = self._measure(town, position)
        missed = town.receipts.missed
        if missed is not None and missed != self._missed:
            # Projecting goes on: what is there is right.
            self._say(position, problem=town.receipts.loss(missed))
        self._missed = missed
        is_due = self._is_silent or time.monotonic() - self._reported_at > REPORT_SECONDS
        if self._events and (is_due or is_last):
            self._say(position, lag_events=lag_events, lag_seconds=lag_seconds)

    def _measure(self, town: Backend, position: Position) -> tuple[int, float]:
        """How many events follow `position`, and by how many seconds the last one is later."""
        end = town.store.end()
        events = max(end.seq - position.seq, 0)
        seconds = max(end.ms - position.ms, 0) / 1_000 if events else 0.0
        self._metrics.lag(town.name, events=events, seconds=seconds)
        return events, seconds

    def _say(
        self, position: Position, *, lag_events: int = 0, lag_seconds: float = 0.0, problem: LedgerError | None = None
    ) -> None:
        words = None if problem is None else str(problem)
        if words is not None and words == self._problem:
            return
        self._problem = words
        self._is_silent = False
        elapsed = max(time.monotonic() - self._reported_at, 0.001)
        self._report(
            WorkerReport(
                town=self._name,
                position=position,
                lag_events=lag_events,
                lag_seconds=lag_seconds,
                events=self._events,
                events_per_second=self._events / elapsed,
                problem=problem,
            )
        )
        self._events = 0
        self._reported_at = time.monotonic()
