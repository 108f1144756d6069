"""The live stream: a town's events as server-sent events, each once and in order, from any position on."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Sequence
from typing import Annotated, Any, Final

import anyio
from msgspec import Meta
from sse_starlette import EventSourceResponse
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from ledger import BEGINNING, LedgerError, Position
from town import Town, words_of
from web.answers import encode
from web.board import position_of
from web.endpoints import Asked, Given
from web.problems import RETRY_SECONDS, Problem, as_text
from web.requests import query_of
from web.tail import Line, Tail, lines_of
from web.towns import ServedTown, Towns

LISTENERS_MAX: Final = 64
"""Of one town."""
HEARTBEAT_SECONDS: Final = 15
SLOW_SECONDS: Final = 30.0
"""A reader that takes longer for one piece is cut off."""
PIECE_EVENTS_MAX: Final = 250
PIECE_BYTES: Final = 256 << 10
"""So much is sent at once, about: as many events as fit, by the size of the last ones."""
_GRACE_SECONDS: Final = 1.0


class EventsGiven(Given, frozen=True):
    """Which events are sent, and from where on."""

    after: (
        Annotated[str, Meta(description="From behind this moment; 0 is the beginning. Default: from now on.")] | None
    ) = None
    task: Annotated[str, Meta(description="Id, its beginning, or alias.")] | None = None
    actor: str | None = None
    type: str | None = None


class Live:
    """The live streams of some towns."""

    def __init__(self, towns: Towns) -> None:
        self._towns = towns
        self._tails: dict[str, Tail] = {}
        self.sent = 0
        """How many events were sent so far."""
        self.cut_off = 0
        """How many readers were cut off because they were slow."""

    @property
    def listeners(self) -> dict[str, int]:
        """How many streams each town has that ever had one."""
        return {name: tail.listeners for name, tail in self._tails.items()}

    async def respond(self, served: ServedTown, request: Request) -> Response:
        """The stream that a request asks for. Problem, LedgerError."""
        given: EventsGiven = query_of(request.query_params.multi_items(), EventsGiven)
        after = request.headers.get("last-event-id") or given.after

        def find(town: Town) -> tuple[Position, Position, str | None]:
            end = town.end()
            asked = Asked(town, served)
            start = end if after is None else position_of(asked, after, name="after")
            return start, max(start, end), None if given.task is None else town.events.id_of(given.task)

        start, end, task_id = await self._towns.ask(served, find)
        tail = self._tails.setdefault(served.name, Tail(served))
        # Nothing may wait between the two, or others would be let in meanwhile.
        _check_room(tail)
        tail.listen(end)
        stopping = anyio.Event()
        stream = _Stream(self, served, tail, given, task_id, stopping)
        return _Counted(
            tail,
            stream.run(start),
            ping=HEARTBEAT_SECONDS,
            sep="\n",
            send_timeout=2 * SLOW_SECONDS,
            shutdown_event=stopping,
            shutdown_grace_period=_GRACE_SECONDS,
        )

    async def read(self, served: ServedTown, after: Position, *, limit: int) -> list[Line]:
        """The next events behind a position, from the ledger."""

        def ask(town: Town) -> list[Line]:
            return lines_of(town, town.backend.store.read(after, limit=limit))

        return await self._towns.ask(served, ask)


def _check_room(tail: Tail) -> None:
    """Problem if no more may listen."""
    if tail.listeners >= LISTENERS_MAX:
        raise Problem(
            429,
            "Too many listen",
            f"This town has {LISTENERS_MAX} live streams. Close one, or try again.",
            headers={"Retry-After": str(RETRY_SECONDS)},
        )


class _Counted(EventSourceResponse):
    """The response of somebody who listens until it is over, also where the stream never began."""

    def __init__(self, tail: Tail, content: AsyncIterator[bytes], **options: Any) -> None:  # noqa: ANN401 - as the library has them
        super().__init__(content, **options)
        self._tail = tail

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            await super().__call__(scope, receive, send)
        finally:
            self._tail.leave()


class _Stream:
    """One reader's stream."""

    def __init__(
        self,
        live: Live,
        served: ServedTown,
        tail: Tail,
        given: EventsGiven,
        task_id: str | None,
        stopping: anyio.Event,
    ) -> None:
        self._live = live
        self._served = served
        self._tail = tail
        self._given = given
        self._task_id = task_id
        self._stopping = stopping
        self._position = BEGINNING
        self._limit = 1
        """How many events the next piece has at most."""

    async def run(self, start: Position) -> AsyncIterator[bytes]:
        """The bytes of the stream: where it begins, the events, and at last why it ends."""
        self._position = start
        try:
            yield _message("begin", position=start)
            reason = "stopping"
            while not self._stopping.is_set():
                lines = await self._next()
                piece = b"".join(line.content for line in lines if self._is_wanted(line))
                if piece:
                    began = time.monotonic()
                    yield piece
                    self._live.sent += len(lines)
                    if time.monotonic() - began > SLOW_SECONDS:
                        self._live.cut_off += 1
                        reason = "slow reader"
                        break
                if not lines and self._tail.problem is not None:
                    reason = self._tail.problem
                    break
            yield _message("end", reason=reason, position=self._position)
        except LedgerError as error:
            yield _message("end", reason=as_text(words_of(error)), position=self._position)

    async def _next(self) -> list[Line]:
        """The next events; none if the stream is to end. Waits for them."""
        number = self._position.seq
        if self._tail.end <= number:
            await _first_of(self._tail.wait(number), self._stopping.wait())
        if self._stopping.is_set() or self._tail.end <= number:
            return []
        newest = self._tail.after(number)
        lines = (
            await self._live.read(self._served, self._position, limit=self._limit)
            if newest is None
            else newest[: self._limit]
        )
        if lines:
            self._position = Position(lines[-1].position)
            self._limit = _fitting(lines)
        return lines

    def _is_wanted(self, line: Line) -> bool:
        given = self._given
        return (
            self._task_id in (None, line.task)
            and given.actor in (None, line.actor)
            and (given.type in (None, line.type))
        )


def _fitting(lines: Sequence[Line]) -> int:
    """How many events fit in a piece, if they are as large as these; at most four times as many as these are."""
    size = sum(len(line.content) for line in lines) // len(lines)
    return max(1, min(PIECE_BYTES // size, 4 * len(lines), PIECE_EVENTS_MAX))


def _message(kind: str, **fields: object) -> bytes:
    return b"event: %s\ndata: %s\n\n" % (kind.encode(), encode(fields))


async def _first_of(*waits: object) -> None:
    """Return once one of them is over; the others are given up."""
    tasks = [asyncio.ensure_future(wait) for wait in waits]  # type: ignore[call-overload]
    try:
        await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for task in tasks:
            task.cancel()
