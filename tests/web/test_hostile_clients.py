"""Hostile clients: what comes slowly, never ends, or comes in masses is ended, takes little memory, and harms nobody else."""

from __future__ import annotations

import json
import os
import resource
import select
import socket
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from http.client import HTTPResponse
from pathlib import Path
from typing import Final, NamedTuple

import pytest

from tests.support.serving import Serving, serving
from tests.support.towns import end_server
from tests.support.tt import start_process
from tests.support.waiting import wait_until
from town import Town
from web import connection as connection_module
from web.connection import CONNECTIONS_MAX, HEADER_BYTES_MAX

IS_LONG: Final = bool(os.environ.get("TT_STRESS"))
CLIENTS: Final = 10_000 if IS_LONG else 2_000
MEMORY_MAX: Final = 150 << 20
"""More than a quiet server has; 10,000 connections with a page each would take more."""
REQUEST_SECONDS: Final = connection_module.REQUEST_SECONDS_MAX if IS_LONG else 3.0
"""How long a request may take to come: as it is, or less, so that the short form need not wait."""
_LATER_SECONDS: Final = 15.0
_STEP_SECONDS: Final = 0.5


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[Path]:
    with Town.init(tmp_path / "town", name="attacked", is_registered=False) as town:
        for number in range(50):
            town.create(f"task {number}")
    yield tmp_path / "town"
    end_server(tmp_path / "town")


@pytest.fixture
def served(folder: Path) -> Iterator[Serving]:
    first = f"import web.connection; web.connection.REQUEST_SECONDS_MAX = {REQUEST_SECONDS}"
    with serving(folder, first=first) as running:
        yield running


@pytest.fixture
def other(tmp_path: Path) -> Iterator[Path]:
    """Another town, of somebody who is not attacked."""
    with Town.init(tmp_path / "other", name="other", is_registered=False):
        pass
    yield tmp_path / "other"
    end_server(tmp_path / "other")


@contextmanager
def connections(port: int, count: int) -> Iterator[list[socket.socket]]:
    with ExitStack() as stack:
        opened = []
        for _ in range(count):
            with suppress(OSError):
                opened.append(stack.enter_context(socket.create_connection(("127.0.0.1", port), timeout=10)))
        yield opened


def is_closed(connection: socket.socket) -> bool:
    """Whether the server ended a connection, with an answer before it or without."""
    connection.setblocking(False)
    try:
        while connection.recv(1 << 16):
            pass
    except BlockingIOError:
        return False
    except OSError:
        return True
    return True


def memory_of(served: Serving) -> int:
    """The most memory that the server ever had, bytes."""
    fields = dict(
        line.split(":", 1) for line in Path(f"/proc/{served.process.pid}/status").read_text("ascii").splitlines()
    )
    return int(fields["VmHWM"].split()[0]) << 10


def assert_answers_as_before(served: Serving, folder: Path) -> None:
    status, answer = served.request("GET", "/api/v1/tasks")
    assert (status, answer["total"]) == (200, 50)
    with Town.open(folder) as town:
        assert town.end().seq == 50
    assert served.process.poll() is None


def work_in(other: Path) -> float:
    """A command and the library in another town; how long the slower one took."""
    began = time.monotonic()
    process = start_process("task", "create", "by a command", folder=other)
    _, problem = process.communicate(timeout=60)
    assert process.returncode == 0, problem
    by_command = time.monotonic() - began
    began = time.monotonic()
    with Town.open(other) as town:
        town.create("by the library")
    return max(by_command, time.monotonic() - began)


def _head(port: int, more: str = "") -> bytes:
    return f"POST /api/v1/tasks HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nContent-Type: application/json\r\n{more}".encode()


class Slow(NamedTuple):
    """What a client sends at first, and again and again; `{port}` is the server's."""

    first: str
    more: str


_HEAD: Final = "POST /api/v1/tasks HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nContent-Type: application/json\r\n"
SLOW: Final = (
    Slow("", ""),
    Slow("", "\r\n"),
    Slow(_HEAD, "a"),
    Slow(_HEAD + "Content-Length: 1000\r\n\r\n", "a"),
    Slow(_HEAD + "Transfer-Encoding: chunked\r\n\r\n", "1\r\na\r\n"),
)


def test_request_that_comes_slowly_is_ended(folder: Path, served: Serving, other: Path) -> None:
    """Each kind is closed after its time, though it sends a byte again and again; others are answered meanwhile."""
    with connections(served.port, 20 * len(SLOW)) as opened:
        left = dict(zip(opened, SLOW * 20, strict=True))
        for connection, kind in left.items():
            connection.sendall(kind.first.format(port=served.port).encode())
        began, next_step = time.monotonic(), [0.0]

        def all_are_closed() -> bool:
            for connection in [each for each in left if is_closed(each)]:
                del left[connection]
            if time.monotonic() > next_step[0]:
                next_step[0] = time.monotonic() + _STEP_SECONDS
                for connection, kind in left.items():
                    with suppress(OSError):
                        connection.sendall(kind.more.encode())
                assert served.request("GET", "/api/v1/tasks?limit=1")[0] == 200
            return not left

        assert work_in(other) < _LATER_SECONDS
        wait_until(all_are_closed, seconds_max=REQUEST_SECONDS + _LATER_SECONDS)
        assert time.monotonic() - began > REQUEST_SECONDS / 2
    assert_answers_as_before(served, folder)


def test_second_request_that_comes_slowly_is_ended_too(folder: Path, served: Serving) -> None:
    """A connection that was answered once has no more time for its next request."""
    with connections(served.port, 1) as [connection]:
        connection.sendall(f"GET /healthz HTTP/1.1\r\nHost: 127.0.0.1:{served.port}\r\n\r\n".encode())
        assert connection.recv(1 << 16).startswith(b"HTTP/1.1 200")
        connection.sendall(b"\r\n")

        def is_over() -> bool:
            with suppress(OSError):
                connection.sendall(b"\r\n")
            return is_closed(connection)

        wait_until(is_over, seconds_max=REQUEST_SECONDS + _LATER_SECONDS)
    assert_answers_as_before(served, folder)


def test_live_stream_outlives_the_time_of_a_request(served: Serving, folder: Path) -> None:
    """The bound is on what the client sends: a stream that was asked for in time goes on."""
    with connections(served.port, 1) as [connection]:
        connection.sendall(f"GET /api/v1/events HTTP/1.1\r\nHost: 127.0.0.1:{served.port}\r\n\r\n".encode())
        until = time.monotonic() + REQUEST_SECONDS + 2
        while (left := until - time.monotonic()) > 0:
            if select.select([connection], [], [], left)[0]:
                assert connection.recv(1 << 16), "the stream goes on"
    assert_answers_as_before(served, folder)


@pytest.mark.parametrize(
    "piece",
    [b"X: " + b"x" * 1_000 + b"\r\n", b"x" * 1_000, b"a: b\r\n"],
    ids=["many headers", "one header without end", "small headers"],
)
def test_headers_without_end_are_refused(folder: Path, served: Serving, piece: bytes) -> None:
    """What comes quickly is ended after so many bytes as headers may have."""
    with connections(served.port, 1) as [connection]:
        sent = 0
        with suppress(OSError):
            connection.sendall(_HEAD.format(port=served.port).encode())
            if not piece.endswith(b"\n"):
                connection.sendall(b"X: ")
            while sent < 64 << 20:
                connection.sendall(piece)
                sent += len(piece)
        # The sockets' buffers take some of it.
        assert HEADER_BYTES_MAX // 2 < sent < 32 << 20
        wait_until(lambda: is_closed(connection))
    assert memory_of(served) < MEMORY_MAX
    assert_answers_as_before(served, folder)


def test_too_large_headers_that_come_at_once_are_refused(folder: Path, served: Serving) -> None:
    """Also where all of them are in one piece."""
    for more, status in ((HEADER_BYTES_MAX + 1, b"HTTP/1.1 400"), (HEADER_BYTES_MAX - 1_000, b"HTTP/1.1 200")):
        with connections(served.port, 1) as [connection]:
            head = f"GET /api/v1/tasks HTTP/1.1\r\nHost: 127.0.0.1:{served.port}\r\nX: ".encode()
            connection.sendall(head + b"x" * more + b"\r\n\r\n")
            assert connection.recv(1 << 16).startswith(status)
    assert_answers_as_before(served, folder)


def test_what_is_no_request_is_a_problem_and_is_not_logged(served: Serving, folder: Path) -> None:
    """In the form of all others; and a client cannot fill the server's log."""
    for sent in ("GET evil HTTP/1.1\r\n\r\n", "FOO / HTTP/1.1\r\n\r\n", "\x16\x03\x01 hello\r\n\r\n"):
        with connections(served.port, 1) as [connection]:
            connection.sendall(sent.encode())
            answer = HTTPResponse(connection)
            answer.begin()
            assert (answer.status, answer.headers["Content-Type"]) == (400, "application/problem+json")
            assert json.loads(answer.read())["detail"]
    upgrade = {"Upgrade": "websocket", "Connection": "Upgrade", "Sec-WebSocket-Version": "13", "Sec-WebSocket-Key": "x"}
    assert served.request("GET", "/healthz", headers=upgrade)[0] == 200
    assert_answers_as_before(served, folder)
    served.process.kill()
    assert served.process.communicate() == ("", "")


def test_masses_of_connections_harm_nobody_else(folder: Path, served: Serving, other: Path) -> None:
    """2,000 connections (10,000 with TT_STRESS=1) that ask: the rest gets 503, and memory is bounded."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = CLIENTS + 500
    if hard != resource.RLIM_INFINITY and hard < wanted:
        pytest.skip(f"this machine allows {hard} open files")
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, wanted), hard))
    try:
        alone = work_in(other)
        with connections(served.port, CLIENTS) as opened:
            assert len(opened) > CLIENTS * 0.9
            for connection in opened:
                with suppress(OSError):
                    connection.sendall(f"GET /api/v1/tasks HTTP/1.1\r\nHost: 127.0.0.1:{served.port}\r\n\r\n".encode())
            assert work_in(other) < 4 * alone + _LATER_SECONDS
            wait_until(lambda: sum(map(is_closed, opened)) >= len(opened) - CONNECTIONS_MAX, seconds_max=60)
        wait_until(lambda: served.request("GET", "/api/v1/tasks?limit=1")[0] == 200, seconds_max=60)
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    assert memory_of(served) < MEMORY_MAX
    assert_answers_as_before(served, folder)
