"""ReclaimWatch: finds lost tasks soon after their heartbeats end, and takes them back, until a stop.

Nothing is polled. While runs go on, it sleeps until the first of their heartbeats can end: a run that goes on renews its
heartbeat, so that is seldom less than several seconds. While nothing runs, it waits for events.

A server that was down, or a machine that was suspended, lets every heartbeat end, and runners that live on renew them. So a
run counts as lost here once it has had no heartbeat for SURE_SECONDS of watching.
"""

from __future__ import annotations

import time
from pathlib import Path
from typing import Final

from msgspec import Struct

from ledger import LedgerError, Position, StoreUnavailableError, Task, check_name
from town.agents.run import SERVER_WAIT_SECONDS
from town.agents.runner import IDLE_BLOCK_MS, Stop
from town.backend import Backend
from town.opening import opened
from town.reading.lost_tasks import LostTask
from town.runs.heartbeat import BEAT_SECONDS
from town.runs.reclaim import Reclaimer

LOOK_SECONDS_MIN: Final = 1.0
"""How long it waits between two looks at least, however many events come."""
SURE_SECONDS: Final = 2.5 * BEAT_SECONDS
"""For how long a run has to be seen without a heartbeat."""
_EXPIRY_SECONDS: Final = 0.05
"""A heartbeat that can end in 2 ms is looked at this much later, when it has ended."""


class MovedTask(Struct, frozen=True):
    """A lost task that was found, and what it is `now`: None if it changed meanwhile and was left alone.

    Without `is_moving` it was only found.
    """

    town: str
    lost: LostTask
    now: Task | None
    is_moving: bool


class ReclaimListener:
    """Receives what a watch does. A subclass shows it."""

    def report(self, moved: MovedTask) -> None:
        """A lost task was found or moved."""

    def warn(self, problem: LedgerError) -> None:
        """The server does not answer, or what was done is not on as many replicas as it should be; the watch goes on."""


class ReclaimWatch:
    """Watches the town at `path` for lost tasks, all or those that `from_agent` has and that were started long enough ago.

    With `is_moving` it puts them back into the backlog, or gives them to `agent`; else it reports each once.
    """

    def __init__(
        self,
        path: Path | str | None,
        *,
        is_moving: bool = False,
        agent: str | None = None,
        from_agent: str | None = None,
        older_than_seconds: float = 0.0,
        actor: str | None = None,
        stop: Stop | None = None,
        listener: ReclaimListener | None = None,
    ) -> None:
        self._path = path
        self._is_moving = is_moving
        self._agent = None if agent is None else check_name(agent, "agent name")
        self._from_agent = None if from_agent is None else check_name(from_agent, "agent name")
        self._older_than_seconds = older_than_seconds
        self._actor = actor
        self._stop = Stop() if stop is None else stop
        self._listener = ReclaimListener() if listener is None else listener
        self._seen_at: dict[str, float] = {}
        """Since when each run was seen without a heartbeat, by this process's clock."""
        self._reported: set[str] = set()
        """The runs that were reported as lost, as long as they are."""

    def run(self) -> None:
        """Watch until `stop` is set. If the server goes away, wait until somebody starts it: `tt stop` means stop.

        TownNotFoundError and other refusals to open the town at first; LedgerDamagedError.
        """
        with opened(self._path, actor=self._actor) as town:
            folder = town.backend.folder
        problem: str | None = None
        while not self._stop.is_asked.is_set():
            try:
                with opened(folder, actor=self._actor, is_starting=False) as town:
                    problem = None
                    if town.backend.replicas:
                        town.backend.acks.on_missed = self._listener.warn
                    self._watch(town.backend)
            except StoreUnavailableError as error:
                if problem != str(error):
                    problem = str(error)
                    self._listener.warn(error)
                self._stop.is_asked.wait(SERVER_WAIT_SECONDS)

    def _watch(self, town: Backend) -> None:
        reclaimer = Reclaimer(town)
        self._seen_at.clear()
        while not self._stop.is_asked.is_set():
            position = town.upkeep.catch_up()
            lost = reclaimer.look(from_agent=self._from_agent)
            now = time.monotonic()
            self._seen_at = {each.mark.id: self._seen_at.get(each.mark.id, now) for each in lost.tasks}
            waits = {each.mark.id: self._seconds_until_due(each, now) for each in lost.tasks}
            self._take(town.name, reclaimer, [each for each in lost.tasks if waits[each.mark.id] <= 0])
            if lost.ends_in_ms is not None:
                waits[""] = lost.ends_in_ms / 1_000 + _EXPIRY_SECONDS
            if self._stop.is_asked.wait(LOOK_SECONDS_MIN):
                return
            wait_until = min((now + seconds for seconds in waits.values() if seconds > 0), default=None)
            self._sleep(town, position, wait_until)

    def _seconds_until_due(self, lost: LostTask, now: float) -> float:
        """In how long the task is to be taken; 0 or less for at once."""
        return max(self._seen_at[lost.mark.id] + SURE_SECONDS - now, self._older_than_seconds - lost.age_ms / 1_000)

    def _take(self, town: str, reclaimer: Reclaimer, due: list[LostTask]) -> None:
        if self._is_moving:
            for found, now in reclaimer.move(due, agent=self._agent):
                self._listener.report(MovedTask(town, found, now, is_moving=True))
            return
        self._reported &= self._seen_at.keys()
        for found in due:
            if found.mark.id not in self._reported:
                self._reported.add(found.mark.id)
                self._listener.report(MovedTask(town, found, found.task, is_moving=False))

    def _sleep(self, town: Backend, position: Position, until: float | None) -> None:
        """Return at that time; without one, after an event behind `position`; or at a stop. Source: XREAD BLOCK."""
        if until is not None:
            self._stop.is_asked.wait(max(until - time.monotonic(), 0.0))
            return
        while not self._stop.is_asked.is_set() and not town.store.wait(position, block_ms=IDLE_BLOCK_MS):
            pass
