"""Tail: the newest events of one town, encoded once for all who listen.

A thread reads the ledger while somebody listens. Nobody has a queue: each listener knows its own position, takes what is behind
that from the newest events, and asks the ledger for what is no longer among them. So a slow listener takes no memory.
"""

from __future__ import annotations

import asyncio
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final

from msgspec import Struct

from ledger import (
    TOWN_ID,
    LedgerError,
    Position,
    RecordedEvent,
    StoreUnavailableError,
    TaskCreated,
    TaskDescribed,
    title_of,
)
from shapes import listed_event_shape
from town import Annotation, Title, Town, words_of
from web.answers import encode
from web.problems import as_text

if TYPE_CHECKING:
    from web.towns import ServedTown

NEWEST_EVENTS_MAX: Final = 2_000
NEWEST_BYTES_MAX: Final = 4 << 20
RETRY_SECONDS: Final = 0.5
"""How long to wait before a server that did not answer is asked again."""

_FAULT: Final = "Something unexpected happened. The fault is in this program."


class Line(Struct, frozen=True):
    """An event as it is sent: its number, what filters ask for, and its bytes."""

    position: str
    number: int
    task: str
    actor: str
    type: str
    content: bytes


class _Beside(Struct, frozen=True):
    """What is shown beside events: the titles of their tasks."""

    titles: Mapping[str, Title]
    flaws: Mapping[str, str] = {}
    notes: Mapping[str, Sequence[Annotation]] = {}


def lines_of(town: Town, events: Sequence[RecordedEvent]) -> list[Line]:
    """The events as they are sent, each with the title that its task has now, as far as that is projected."""
    beside = _Beside(_titles(town, events))
    return [
        Line(
            each.at,
            each.position.seq,
            each.task,
            each.actor,
            each.type,
            b"id: %s\ndata: %s\n\n" % (each.at.encode(), encode(listed_event_shape(each, beside))),
        )
        for each in events
    ]


def _titles(town: Town, events: Sequence[RecordedEvent]) -> dict[str, Title]:
    """Task id -> title. An event is mostly newer than its task's snapshot, and to fold the history each time takes too long."""
    ids = [task_id for task_id in dict.fromkeys(each.task for each in events) if task_id != TOWN_ID]
    tasks = town.backend.live.get_sound(ids)
    found = {task.id: Title(task.alias, task.title) for task in tasks if task is not None}
    versions = {task.id: task.version for task in tasks if task is not None}
    for recorded in events:
        if recorded.version <= versions.get(recorded.task, 0):
            continue
        if isinstance(recorded.data, TaskCreated):
            found[recorded.task] = Title(recorded.data.alias, title_of(recorded.data.description))
        elif isinstance(recorded.data, TaskDescribed) and recorded.task in found:
            found[recorded.task] = Title(found[recorded.task].alias, title_of(recorded.data.description))
    missing = [task_id for task_id in ids if task_id not in found]
    if missing:
        # Nobody has asked since they were made. Once they are projected, no piece of a stream folds their histories again.
        town.upkeep.catch_up()
        found |= {
            task.id: Title(task.alias, task.title) for task in town.backend.live.get_sound(missing) if task is not None
        }
    # Of tasks that are removed.
    missing = [task_id for task_id in missing if task_id not in found]
    return found | (town.titles(missing) if missing else {})


class Tail:
    """Follows one town for its listeners, in the event loop that made it."""

    def __init__(self, served: ServedTown) -> None:
        self._served = served
        self._newest: deque[Line] = deque()
        self._bytes = 0
        self._advanced = asyncio.Event()
        self._loop = asyncio.get_running_loop()
        self._thread: threading.Thread | None = None
        self._is_wanted = threading.Event()
        self.listeners = 0
        self.end = 0
        """The number of the last event that is known."""
        self.problem: str | None = None
        """Why nothing more comes; None as long as something may."""

    def listen(self, end: Position) -> None:
        """One more listener, who knows that the ledger ends at `end` at least."""
        self.listeners += 1
        if self._thread is None or not self._thread.is_alive() or not self._is_wanted.is_set():
            self._is_wanted = threading.Event()
            self._is_wanted.set()
            self._newest.clear()
            self._bytes, self.end, self.problem = 0, end.seq, None
            self._thread = threading.Thread(target=self._follow, args=(end, self._is_wanted), daemon=True)
            self._thread.start()

    def leave(self) -> None:
        """One listener less; without any, nobody reads."""
        self.listeners -= 1
        if not self.listeners:
            self._is_wanted.clear()

    async def wait(self, number: int) -> None:
        """Return once there is an event after the one with this number, or nothing more will come."""
        while self.end <= number and self.problem is None:
            await self._advanced.wait()

    def after(self, number: int) -> list[Line] | None:
        """The events after the one with this number; None if the first of them is no longer among the newest."""
        if not self._newest or number < self._newest[0].number - 1:
            return None if number < self.end else []
        return list(self._newest)[number + 1 - self._newest[0].number :]

    # --- the thread -----------------------------------------------------------------------------------------------------

    def _follow(self, position: Position, is_wanted: threading.Event) -> None:
        try:
            self._read_on(position, is_wanted)
        except LedgerError as error:
            self._tell(self._stop, as_text(words_of(error)), is_wanted)
        except Exception:
            # A fault of ours: nobody waits for what does not come any more.
            self._tell(self._stop, _FAULT, is_wanted)
            raise

    def _read_on(self, position: Position, is_wanted: threading.Event) -> None:
        while is_wanted.is_set():
            try:
                with self._served.opened() as town:
                    for batch in town.events.follow_batches(after=position):
                        if batch:
                            lines = lines_of(town, batch)
                            position = batch[-1].position
                            self._tell(self._take, lines, is_wanted)
                        if not is_wanted.is_set():
                            return
            except StoreUnavailableError:
                # It may be restarted; whoever listens is told nothing, and misses nothing.
                time.sleep(RETRY_SECONDS)

    def _tell(self, call: Callable[[Any, threading.Event], None], given: object, is_wanted: threading.Event) -> None:
        """Have the event loop call it. If that has ended, all listeners have."""
        try:
            self._loop.call_soon_threadsafe(call, given, is_wanted)
        except RuntimeError:
            is_wanted.clear()

    def _take(self, lines: Iterable[Line], is_wanted: threading.Event) -> None:
        if is_wanted is not self._is_wanted:
            return
        for line in lines:
            self._newest.append(line)
            self._bytes += len(line.content)
            self.end = line.number
        while len(self._newest) > NEWEST_EVENTS_MAX or self._bytes > NEWEST_BYTES_MAX:
            self._bytes -= len(self._newest.popleft().content)
        self._wake()

    def _stop(self, problem: str, is_wanted: threading.Event) -> None:
        if is_wanted is self._is_wanted:
            self.problem = problem
            is_wanted.clear()
            self._wake()

    def _wake(self) -> None:
        self._advanced.set()
        self._advanced = asyncio.Event()
