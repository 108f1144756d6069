"""Stopping: ends the server that holds a town's lock, once, and no server that others start after it."""

from __future__ import annotations

import os
import re
import signal
import time
from contextlib import suppress
from enum import Enum
from typing import TYPE_CHECKING, Final

from town.errors import ServerStartError
from town.folder.data_folder import DataFolder
from town.server.end import words_of_stop
from town.server.log import LOG_FILE, note

if TYPE_CHECKING:
    from _socket import socket

    from town.server.own_server import EmbeddedServer

ORPHAN_SECONDS_MIN: Final = 0.2
"""How long a starting server may take to make its socket before a signal ends it."""
_POLL_SECONDS: Final = 0.005
_REFUSED_POLL_SECONDS: Final = 0.1
_ANSWER_BYTES_MAX: Final = 16_384
_PROCESS: Final = rb"process_id:(\d+)\r"
_ASK: Final = b"INFO server\r\n"
_TELL: Final = b"SHUTDOWN NOSAVE\r\n"


class _Answer(Enum):
    """The result of telling a server to stop."""

    ENDED = "ended"
    TOLD = "told"
    REFUSED = "refused"
    NOBODY = "nobody listens"


class Stopping:
    """One `tt stop` by `actor`; it gives up after `seconds_max`."""

    def __init__(self, server: EmbeddedServer, data: DataFolder, *, actor: str | None, seconds_max: float) -> None:
        self._server = server
        self._data = data
        self._actor = actor
        self._seconds_max = seconds_max
        self._started = time.monotonic()
        self._told: set[int] = set()
        self._refusal = ""

    def run(self, *, is_waiting: bool) -> bool:
        """Stop the server; returns whether there was one. ServerStartError if it keeps running."""
        while self._server.is_running():
            match self._tell(is_waiting=is_waiting):
                case _Answer.ENDED:
                    self._wait_for_lock()
                    return True
                case _Answer.TOLD:
                    return True
                case _Answer.REFUSED:
                    time.sleep(_REFUSED_POLL_SECONDS)
                case _Answer.NOBODY if self._signal_orphan():
                    self._wait_for_lock()
                    return True
            self._check_time()
            # A starting server does not listen yet.
            time.sleep(_POLL_SECONDS)
        return bool(self._told)

    def _tell(self, *, is_waiting: bool) -> _Answer:
        try:
            with self._server.connected() as client:
                return self._tell_over(client, is_waiting=is_waiting)
        except OSError:
            return _Answer.NOBODY

    def _tell_over(self, client: socket, *, is_waiting: bool) -> _Answer:
        """Use one connection, so that the process id and the stop concern the same server."""
        try:
            process = _ask_process(client)
            if self._told and process not in self._told:
                # The server that refused has ended since, and this is another one.
                return _Answer.ENDED
            self._note(process)
            client.sendall(_TELL)
            return self._wait_for_end(client) if is_waiting else _Answer.TOLD
        except ConnectionError:
            # Somebody else told it to stop as well.
            return _Answer.ENDED

    def _wait_for_end(self, client: socket) -> _Answer:
        """A server closes its connections at its end, after it stopped listening."""
        while True:
            client.settimeout(max(self._started + self._seconds_max - time.monotonic(), _POLL_SECONDS))
            try:
                answer = client.recv(_ANSWER_BYTES_MAX)
            except TimeoutError:
                self._check_time()
                continue
            if not answer:
                return _Answer.ENDED
            # The rest of an earlier reply is not a refusal.
            if answer.startswith(b"-"):
                self._refusal = answer.decode(errors="replace").strip()
                return _Answer.REFUSED

    def _wait_for_lock(self) -> None:
        """Return when the lock is free, or when another server answers instead."""
        while self._server.is_running() and not self._server.answers():
            self._check_time()
            time.sleep(_POLL_SECONDS)

    def _signal_orphan(self) -> bool:
        """Send a signal to a server without a socket, which nothing else can reach. Returns whether it did."""
        if time.monotonic() < self._started + ORPHAN_SECONDS_MIN:
            return False
        orphan = self._server.orphan()
        if orphan is None:
            return False
        self._note(orphan.process)
        with suppress(ProcessLookupError):
            os.kill(orphan.process, signal.SIGTERM)
        return True

    def _note(self, process: int | None) -> None:
        """Write into the log, before the server ends, who stops it. Its clients read that."""
        if process is not None and process not in self._told:
            self._told.add(process)
            note(self._data, process, words_of_stop(self._actor))

    def _check_time(self) -> None:
        if time.monotonic() > self._started + self._seconds_max:
            said = f", and said {self._refusal!r}" if self._refusal else ""
            problem = f"did not stop within {self._seconds_max} s{said}"
            raise ServerStartError(self._server.where, problem, f"Look at {self._data.path / LOG_FILE}.")


def _ask_process(client: socket) -> int | None:
    """The server's process id by its own account; None if it does not answer in time. ConnectionError."""
    client.sendall(_ASK)
    answer = b""
    with suppress(TimeoutError):
        while len(answer) < _ANSWER_BYTES_MAX and not answer.startswith(b"-"):
            received = client.recv(_ANSWER_BYTES_MAX)
            if not received:
                raise ConnectionResetError
            answer += received
            found = re.search(_PROCESS, answer)
            if found is not None:
                return int(found[1])
    return None
