"""`tt serve` as a process, and clients of its live stream."""

from __future__ import annotations

import http.client
import json
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from random import Random
from typing import Any, Final
from urllib.parse import urlencode, urlsplit

from tests.support.tt import start_process

STOP_SECONDS_MAX: Final = 20.0
_LINE_SECONDS_MAX: Final = 30.0
_AGAIN_SECONDS: Final = 0.05


class Serving:
    """A running `tt serve`."""

    def __init__(self, folder: Path, *options: str, port: int = 0, first: str = "") -> None:
        self.process: subprocess.Popen[str] = start_process(
            "serve", "--port", str(port), *options, folder=folder, first=first
        )
        assert self.process.stdout is not None
        self.url = self.process.stdout.readline().strip().rstrip("/")
        if not self.url:
            self.process.kill()
            raise AssertionError(self.process.communicate()[1])
        self.port = urlsplit(self.url).port or 0

    def request(
        self, method: str, path: str, body: object = None, headers: dict[str, str] | None = None
    ) -> tuple[int, Any]:
        """Status and JSON (or text) of an answer."""
        with closing(http.client.HTTPConnection("127.0.0.1", self.port, timeout=_LINE_SECONDS_MAX)) as connection:
            given = {"Content-Type": "application/json"} if body is not None else {}
            connection.request(method, path, None if body is None else json.dumps(body), given | (headers or {}))
            answer = connection.getresponse()
            content = answer.read()
            try:
                return answer.status, json.loads(content)
            except ValueError:
                return answer.status, content.decode()

    def kill(self) -> None:
        self.process.kill()
        self.process.communicate()

    def stop(self) -> int:
        """Ask it to end, as Ctrl-C does; its exit code."""
        self.process.terminate()
        self.process.communicate(timeout=STOP_SECONDS_MAX)
        return self.process.returncode


@contextmanager
def serving(folder: Path, *options: str, port: int = 0, first: str = "") -> Iterator[Serving]:
    """A running `tt serve`; `first` is as for `start_process`."""
    running = Serving(folder, *options, port=port, first=first)
    try:
        yield running
    finally:
        if running.process.poll() is None:
            running.kill()


class Listener(threading.Thread):
    """A client of the live stream that keeps what it is sent, and comes back after every end, from its last position."""

    def __init__(self, port: int, *, goal: int, cut_every: int = 0, seed: int = 0, **query: str) -> None:
        """It ends once it has an event with the number `goal`. After about `cut_every` events it cuts its connection."""
        super().__init__(daemon=True)
        self.events: list[tuple[str, dict[str, Any]]] = []
        self.messages: list[tuple[str, dict[str, Any]]] = []
        self.seen_at: list[float] = []
        self.connections = 0
        self._port = port
        self._goal = goal
        self._cut_every = cut_every
        self._chance = Random(seed)
        self._query = query
        self._is_ended = False

    def end(self) -> None:
        self._is_ended = True

    def run(self) -> None:
        while not self._is_over:
            with suppress(OSError, http.client.HTTPException):
                self._listen()
            if not self._is_over:
                time.sleep(_AGAIN_SECONDS)

    @property
    def _is_over(self) -> bool:
        return self._is_ended or (bool(self.events) and int(self.events[-1][0].partition("-")[2]) >= self._goal)

    def _listen(self) -> None:
        with closing(http.client.HTTPConnection("127.0.0.1", self._port, timeout=_LINE_SECONDS_MAX)) as connection:
            headers = {"Last-Event-ID": self.events[-1][0]} if self.events else {}
            connection.request("GET", f"/api/v1/events?{urlencode(self._query)}", headers=headers)
            answer = connection.getresponse()
            if answer.status != 200:
                return
            self.connections += 1
            left = self._chance.randrange(1, 2 * self._cut_every) if self._cut_every else -1
            fields: dict[str, str] = {}
            while left != 0 and not self._is_over and (line := answer.readline()):
                text = line.decode().rstrip("\n")
                if text:
                    name, _, value = text.partition(": ")
                    fields[name] = value
                elif "data" in fields:
                    left -= self._take(fields)
                    fields = {}

    def _take(self, fields: dict[str, str]) -> int:
        data = json.loads(fields["data"])
        if "id" not in fields:
            self.messages.append((fields["event"], data))
            return 0
        self.events.append((fields["id"], data))
        self.seen_at.append(time.monotonic())
        return 1
