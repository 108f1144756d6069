"""Connection: uvicorn's, with bounds on how long a request may take to come, on its headers, and on how many there are."""

from __future__ import annotations

import asyncio
from http import HTTPStatus
from typing import Any, ClassVar, Final

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from town import is_of_another_user
from web.problems import RETRY_SECONDS, Problem, problem_response

CONNECTIONS_MAX: Final = 1_000
"""More connections are answered with 503, and closed."""
HEADER_BYTES_MAX: Final = 64 << 10
REQUEST_SECONDS_MAX: Final = 20.0
"""A connection that has not sent a whole request by then is closed, however many pieces it came in."""
UNREAD_SECONDS_MAX: Final = 75.0
"""A connection whose client has not read what waits for it by then is closed. A live stream is told earlier that it is slow."""
_STRANGER: Final = Problem(
    403,
    "This is another user's server",
    "Without tokens it answers only the user who started it, and root. Ask that user for --token-file.",
)
_FULL: Final = Problem(
    503,
    "Too many connections",
    f"This server has {CONNECTIONS_MAX:,} connections. Close one, or try again.",
    headers={"Retry-After": str(RETRY_SECONDS)},
)


class Connection(HttpToolsProtocol):
    """One client's connection."""

    is_of_owner_alone: ClassVar[bool] = False

    def __init__(self, *arguments: Any, **options: Any) -> None:  # noqa: ANN401 - as uvicorn has them
        super().__init__(*arguments, **options)
        self._request = _Bound(REQUEST_SECONDS_MAX, self)
        self._unread = _Bound(UNREAD_SECONDS_MAX, self)
        self._head_bytes = 0
        """So many came since the last whole request, until the headers are complete."""
        self._is_in_head = True
        self._is_refused = False

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        if len(self.connections) > CONNECTIONS_MAX:
            # It counts no longer, or others would be refused for it.
            self.connections.discard(self)
            self._end_with(_FULL)
            return
        self._is_refused = self.is_of_owner_alone and _is_of_stranger(transport)
        self._request.begin()

    def connection_lost(self, exc: Exception | None) -> None:
        self._request.end()
        self._unread.end()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        if self._is_refused:
            # What was sent is read first: a connection that is closed with something unread loses its answer.
            self._end_with(_STRANGER)
            return
        self._request.begin()
        if self._is_in_head:
            self._head_bytes += len(data)
        super().data_received(data)
        if self._is_in_head and self._head_bytes > HEADER_BYTES_MAX and not self.transport.is_closing():
            self.send_400_response("The headers are too large.")

    def on_message_begin(self) -> None:
        self._request.begin()
        super().on_message_begin()

    def on_headers_complete(self) -> None:
        self._is_in_head = False
        if len(self.url) + sum(len(name) + len(value) for name, value in self.headers) > HEADER_BYTES_MAX:
            # The parser makes of it that the request is invalid.
            raise ValueError("the headers are too large")
        super().on_headers_complete()

    def on_message_complete(self) -> None:
        self._request.end()
        self._is_in_head, self._head_bytes = True, 0
        super().on_message_complete()

    def send_400_response(self, msg: str) -> None:
        self._end_with(Problem(400, "This is no request", msg))

    def _end_with(self, problem: Problem) -> None:
        """Answer with a problem what no application is asked about, and close."""
        response = problem_response(problem)
        status = HTTPStatus(response.status_code)
        lines = [b"HTTP/1.1 %d %s" % (status, status.phrase.encode()), *map(b": ".join, response.raw_headers)]
        self.transport.write(b"\r\n".join([*lines, b"connection: close", b"", b""]) + bytes(response.body))
        self.transport.close()

    def pause_writing(self) -> None:
        self._unread.begin()
        super().pause_writing()

    def resume_writing(self) -> None:
        self._unread.end()
        super().resume_writing()


class OwnersConnection(Connection):
    """Refuses another user of this machine, as far as the system tells who that is."""

    is_of_owner_alone = True


def _is_of_stranger(transport: asyncio.Transport) -> bool:
    peer, own = transport.get_extra_info("peername"), transport.get_extra_info("sockname")
    # A connection that is gone already has no names.
    return bool(peer and own) and is_of_another_user(peer[:2], own[:2])


class _Bound:
    """A time after whose end a connection is closed, unless it is ended before."""

    def __init__(self, seconds: float, connection: Connection) -> None:
        self._seconds = seconds
        self._connection = connection
        self._timer: asyncio.TimerHandle | None = None

    def begin(self) -> None:
        """Begin, unless it has begun."""
        if self._timer is None:
            self._timer = self._connection.loop.call_later(self._seconds, self._connection.transport.abort)

    def end(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
