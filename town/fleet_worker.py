"""The worker of a fleet: projects all towns on a server or in a cluster, as many as they are, and rests while they do.

It looks at the ends of all towns every few seconds, and of those that had events a moment ago ten times a second. Nothing waits for
it: commands project what they write. So a town is taken by lease for as long as there is something to project, and no longer; of
several workers one gets it, and if that one dies, the next look of another finds it (`docs/decisions/0050`).
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable
from contextlib import suppress
from typing import TYPE_CHECKING, Final

from ledger import (
    BEGINNING,
    EventStore,
    Keys,
    LedgerClosedError,
    LedgerDamagedError,
    LedgerError,
    Position,
    StoreUnavailableError,
    TownList,
    exchange,
    redis_errors,
)
from projections import BatchOutcome, RebuildUnfinishedError, Upkeep
from town.fleet import ask_list, by_node, read_list
from town.server.ends import End, Ends, Refused
from town.server.nodes import Nodes, nodes_of
from town.trust.url_rules import Address
from town.worker import REPORT_SECONDS, WorkerMetrics, WorkerReport

if TYPE_CHECKING:
    from redis import Redis

IDLE_SECONDS: Final = 2.0
"""How often the ends of all towns are looked at."""
ACTIVE_SECONDS: Final = 5.0
"""How long a town that had events is looked at more often."""
BUSY_SECONDS: Final = 0.1
LIST_SECONDS: Final = 5.0
"""How often the number of listed towns is asked for."""
LIST_ALL_SECONDS: Final = 60.0
"""How often the list is read whether or not their number has changed."""
AGAIN_SECONDS: Final = 0.5
"""When a town is tried again that could not be projected: another worker has it, or its server is away."""
BATCHES_IN_TURN_MAX: Final = 20
"""After so many batches of one town it is the others' turn."""
_CHECKPOINTS_PER_EXCHANGE: Final = 1_000


class _Stopped(Exception):  # noqa: N818 - no error
    """A stop arrived in the middle of something long."""


class _Member:
    """A town of the fleet: how many events are known to be projected, and when it is to be tried next."""

    def __init__(self, keys: Keys) -> None:
        self.keys = keys
        self.end = 0
        self.projected = -1
        self.due_at = 0.0
        self.active_until = 0.0
        self.problem: str | None = None

    @property
    def is_due(self) -> bool:
        return self.projected != self.end


class _Node:
    """One server, the towns on it, and those of them that had events lately."""

    def __init__(self, client: Redis, towns: list[Keys], *, stop: threading.Event, where: str) -> None:
        self.client = client
        self.towns = towns
        self.all = Ends(client, towns, stop=stop, where=where)
        self._active: Ends | None = None
        self._active_towns: list[Keys] = []
        self._stop = stop
        self._where = where

    def active(self, towns: list[Keys]) -> Ends:
        if self._active is None or towns != self._active_towns:
            if self._active is not None:
                self._active.close()
            self._active = Ends(self.client, towns, stop=self._stop, where=self._where)
            self._active_towns = towns
        return self._active

    def close(self) -> None:
        self.all.close()
        if self._active is not None:
            self._active.close()
        self.client.close()


class FleetWorker:
    """Projects the towns that are listed at `url`. `report` gets a report now and then; `stop` ends the worker after the current batch."""

    def __init__(
        self,
        url: str,
        *,
        stop: threading.Event,
        report: Callable[[WorkerReport], None],
        metrics: WorkerMetrics | None = None,
    ) -> None:
        self._nodes: Nodes = nodes_of(url)
        self._stop = stop
        self._report = report
        self._metrics = WorkerMetrics() if metrics is None else metrics
        self._members: dict[Keys, _Member] = {}
        self._servers: dict[Address, _Node] = {}
        self._is_stale = True
        self._listed = -1
        self._list_at = self._list_all_at = 0.0
        self._sweep_at = 0.0
        self._events = 0
        self._reported_at = time.monotonic()
        self._problem: str | None = None
        self.damage: LedgerDamagedError | None = None
        """Of the first town that it could not project because of damage."""

    def run(self, *, once: bool = False) -> None:
        """Project until `stop` is set; with `once`, until all events are projected. Damage of one town does not keep it from the others."""
        try:
            while not self._stop.is_set():
                try:
                    self._turn()
                except StoreUnavailableError as error:
                    if once:
                        raise
                    self._say_away(error)
                    self._is_stale = True
                    self._stop.wait(AGAIN_SECONDS)
                    continue
                if once and not any(member.is_due for member in self._members.values()):
                    return
                self._stop.wait(self._rest_seconds())
        except _Stopped:
            return
        finally:
            self._close()

    # --- a turn ------------------------------------------------------------------------------------------------------

    def _turn(self) -> None:
        now = time.monotonic()
        if self._is_stale:
            self._nodes.look()
            self._read_list(now)
            self._distribute()
        elif now >= self._list_at:
            self._look_at_list(now)
        if now >= self._sweep_at:
            self._sweep_at = now + IDLE_SECONDS
            self._note(change for node in self._servers.values() for change in node.all.changed())
            self._note_projected([member for member in self._members.values() if member.is_due])
        else:
            self._look_at_active(now)
        for member in self._due(now):
            self._project(member)
            if self._stop.is_set() or self._is_stale:
                # A server that hangs costs seconds for each of its towns: look first who has them now.
                return
        self._problem = None

    def _rest_seconds(self) -> float:
        """How long there is nothing to do."""
        now = time.monotonic()
        if any(member.is_due and member.due_at <= now for member in self._members.values()):
            return 0.0
        is_busy = any(member.is_due or member.active_until > now for member in self._members.values())
        return max(min(self._sweep_at - now, BUSY_SECONDS if is_busy else IDLE_SECONDS), 0.0)

    def _due(self, now: float) -> list[_Member]:
        return [member for member in self._members.values() if member.is_due and member.due_at <= now]

    def _look_at_active(self, now: float) -> None:
        active = [member.keys for member in self._members.values() if member.active_until > now]
        for address, towns in by_node(self._nodes, active).items():
            self._note(self._servers[address].active(towns).changed())

    def _note(self, changes: Iterable[tuple[Keys, End]]) -> None:
        """Take in what was seen of some towns' ends."""
        now = time.monotonic()
        for keys, end in changes:
            member = self._members.get(keys)
            if member is None:
                continue
            if isinstance(end, Refused):
                # Its projection finds out where it is, or what is wrong with it; the latter once.
                member.projected = -1 if end.is_elsewhere or member.problem is None else member.end
                continue
            if end != member.end:
                member.active_until = now + ACTIVE_SECONDS if member.projected >= 0 else 0.0
                member.end = end

    def _note_projected(self, members: list[_Member]) -> None:
        """Look which of these are projected already: mostly their writers have done it."""
        found = {member.keys: member for member in members}
        for address, towns in by_node(self._nodes, list(found)).items():
            client = self._servers[address].client
            for first in range(0, len(towns), _CHECKPOINTS_PER_EXCHANGE):
                some = towns[first : first + _CHECKPOINTS_PER_EXCHANGE]
                with redis_errors(self._nodes.where):
                    replies = exchange(client, [("HGET", keys.checkpoint("task"), "position") for keys in some])
                for keys, reply in zip(some, replies, strict=True):
                    member = found[keys]
                    if isinstance(reply, bytes) and reply.rpartition(b"-")[2] == b"%d" % member.end:
                        member.projected = member.end
                    elif member.end == 0 and reply is None:
                        member.projected = 0

    # --- which towns there are, and where --------------------------------------------------------------------------------

    def _look_at_list(self, now: float) -> None:
        self._list_at = now + LIST_SECONDS
        if now >= self._list_all_at or ask_list(self._nodes, TownList.count) != self._listed:
            self._read_list(now)
            self._distribute()

    def _read_list(self, now: float) -> None:
        towns = read_list(self._nodes)
        self._listed = ask_list(self._nodes, TownList.count)
        self._list_at, self._list_all_at = now + LIST_SECONDS, now + LIST_ALL_SECONDS
        self._members = {keys: self._members.get(keys) or _Member(keys) for keys in towns}

    def _distribute(self) -> None:
        """Let each server's towns be looked at together; what is as it was stays."""
        wanted = by_node(self._nodes, list(self._members))
        for address in [*self._servers]:
            if wanted.get(address) != self._servers[address].towns or self._is_stale:
                self._servers.pop(address).close()
        for address, towns in wanted.items():
            if address not in self._servers:
                client = self._nodes.client(address, is_over=self._stop.is_set)
                self._servers[address] = _Node(client, towns, stop=self._stop, where=self._nodes.where)
                self._sweep_at = 0.0
        self._is_stale = False

    # --- one town --------------------------------------------------------------------------------------------------------

    def _project(self, member: _Member) -> None:
        keys = member.keys
        client = self._servers[self._nodes.owner(keys.ledger)].client
        upkeep = Upkeep(client, keys, store=EventStore(client, keys, where=self._nodes.where), where=self._nodes.where)
        upkeep.between_batches = self._end_if_stopped
        member.due_at = time.monotonic() + AGAIN_SECONDS
        try:
            if not upkeep.lease.take():
                self._note_projected([member])
                return
            try:
                self._project_batches(member, upkeep)
            finally:
                with suppress(LedgerError):
                    upkeep.lease.give_up()
        except LedgerClosedError:
            # It has moved, and is in the list of another place.
            member.projected = member.end
        except StoreUnavailableError:
            # Its slot moves, or its server is away.
            self._is_stale = True
        except LedgerError as error:
            self._give_up(member, error)

    def _project_batches(self, member: _Member, upkeep: Upkeep) -> None:
        for _ in range(BATCHES_IN_TURN_MAX):
            self._end_if_stopped()
            started = time.monotonic()
            try:
                batch = upkeep.projector.project_batch()
            except RebuildUnfinishedError:
                if not upkeep.is_rebuilding():
                    upkeep.catch_up()
                return
            self._events += batch.events
            self._metrics.batch(
                member.keys.town, batch.outcome, events=batch.events, seconds=time.monotonic() - started
            )
            if batch.checkpoints[0].rebuild is not None and not upkeep.is_rebuilding():
                upkeep.catch_up()
            if batch.outcome is BatchOutcome.NOTHING_TO_DO:
                member.projected, member.problem = member.end, None
                self._metrics.stopped(member.keys.town, is_stopped=False)
                self._say(member, batch.position)
                return
            upkeep.lease.take()
        member.due_at = 0.0

    def _give_up(self, member: _Member, error: LedgerError) -> None:
        """Leave a town alone until it has other events, and say why."""
        member.projected = member.end
        if isinstance(error, LedgerDamagedError):
            self.damage = self.damage or error
            self._metrics.stopped(member.keys.town, is_stopped=True)
        if str(error) != member.problem:
            member.problem = str(error)
            self._report_of(member.keys.town, BEGINNING, error)

    def _end_if_stopped(self) -> None:
        if self._stop.is_set():
            raise _Stopped

    # --- reports ---------------------------------------------------------------------------------------------------------

    def _say(self, member: _Member, position: Position) -> None:
        """Report now and then what was projected."""
        self._metrics.lag(member.keys.town, events=0, seconds=0.0)
        if self._events and time.monotonic() - self._reported_at > REPORT_SECONDS:
            self._report_of(member.keys.town, position)

    def _say_away(self, error: StoreUnavailableError) -> None:
        if str(error) != self._problem:
            self._problem = str(error)
            self._report_of(self._nodes.where, BEGINNING, error)

    def _report_of(self, town: str, position: Position, problem: LedgerError | None = None) -> None:
        elapsed = max(time.monotonic() - self._reported_at, 0.001)
        self._report(
            WorkerReport(
                town=town,
                position=position,
                lag_events=0,
                lag_seconds=0.0,
                events=self._events,
                events_per_second=self._events / elapsed,
                problem=problem,
            )
        )
        self._events, self._reported_at = 0, time.monotonic()

    def _close(self) -> None:
        for node in self._servers.values():
            node.close()
        self._servers.clear()
