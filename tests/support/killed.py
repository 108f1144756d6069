"""A process that kills itself with SIGKILL at the n-th request to the server: `python -m tests.support.killed`.

It imports everything, says that it is ready, and waits for one line of JSON that says what to do; so a process is ready
before its turn comes. `before`: the n-th request is not sent. `after`: it was sent, and its reply is never read.
"""

from __future__ import annotations

import json
import os
import signal
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from random import Random
from select import select
from typing import Any, Final

import redis
from redis.connection import AbstractConnection

from ledger import EventStore, Keys
from projections import Projector, lease
from tests.support import old_towns
from tests.support.histories import Filler
from tests.support.processes import READY
from town import Town, Worker, moving
from town.migration import survey

NEVER: Final = 0
MOVE_SWITCH: Final = -1
_BATCH_EVENTS: Final = 7
_GREETING: Final = b"CLIENT"
_WRITER_POLL_SECONDS: Final = 0.001


def arm(number: int, *, is_after: bool) -> None:
    """Kill this process at its `number`-th request from now on; what a connection says when it is made does not count."""
    send = AbstractConnection.send_packed_command
    count = 0

    def send_or_die(self: Any, command: Any, check_health: bool = True) -> None:
        nonlocal count
        if _GREETING not in b"".join([command] if isinstance(command, bytes) else command)[:40]:
            count += 1
        if count == number and not is_after:
            os.kill(os.getpid(), signal.SIGKILL)
        send(self, command, check_health)  # type: ignore[no-untyped-call]
        if count == number:
            os.kill(os.getpid(), signal.SIGKILL)

    AbstractConnection.send_packed_command = send_or_die  # type: ignore[method-assign]


def catch_up(folder: str, socket: str, number: int, *, is_after: bool, **_: object) -> None:
    """Project what there is, in small batches."""
    with Town.open(folder) as town, redis.Redis(unix_socket_path=socket) as client:
        client.ping()
        arm(number, is_after=is_after)
        Projector(client, town.keys, batch_events_max=_BATCH_EVENTS).catch_up()


def rebuild(folder: str, number: int, *, is_after: bool, **_: object) -> None:
    """Rebuild everything."""
    with Town.open(folder) as town:
        arm(number, is_after=is_after)
        town.upkeep.rebuild()


def work(folder: str, number: int, *, is_after: bool, **_: object) -> None:
    """Follow the town, for ever."""
    arm(number, is_after=is_after)
    Worker(Path(folder), stop=threading.Event(), report=lambda _: None).run()


def migrate(folder: str, number: int, *, is_after: bool, **_: object) -> None:
    """Adopt the town's old tasks, a few at a time."""
    survey.ADOPTED_EVENTS_MAX = _ADOPTED_EVENTS  # type: ignore[misc]  # so that there are several batches
    lease.LEASE_MS = _LEASE_MS  # type: ignore[misc]  # so that whoever comes after the dead waits less
    with Town.open(folder) as town:
        arm(number, is_after=is_after)
        old_towns.migrate(town)


def move(folder: str, url: str, number: int, *, is_after: bool, **_: object) -> None:
    """Move the town; `number` is that of a request, or MOVE_SWITCH for the moment before the settings are written."""
    if number == MOVE_SWITCH:
        moving._Goal.switch = lambda *_, **__: os.kill(os.getpid(), signal.SIGKILL)  # type: ignore[method-assign]
    moving.CLOSED_SECONDS_MAX = 0  # type: ignore[attr-defined]  # so that whoever comes after the dead waits less
    arm(number, is_after=is_after)
    moving.move_town(folder, url)


def write(folder: str, socket: str, seed: int, **_: object) -> None:
    """Append, and nothing else, until a line comes."""
    town = Path(folder).name
    with redis.Redis(unix_socket_path=socket) as client:
        filler = Filler(EventStore(client, Keys(town)), seed=seed, tasks=_TASKS)
        filler.fill(_COMMANDS)
        sys.stdout.write("filled\n")
        sys.stdout.flush()
        chance = Random(seed)
        sys.stdin.readline()
        while not select([sys.stdin], [], [], _WRITER_POLL_SECONDS)[0]:
            filler.fill(chance.randint(1, 4))
        sys.stdin.readline()


_ADOPTED_EVENTS: Final = 7
_LEASE_MS: Final = 300
_TASKS: Final = 30
_COMMANDS: Final = 90
_WORKS: Final[dict[str, Callable[..., None]]] = {
    "catch_up": catch_up,
    "migrate": migrate,
    "move": move,
    "rebuild": rebuild,
    "work": work,
    "write": write,
}

if __name__ == "__main__":
    while True:
        sys.stdout.write(f"{READY}\n")
        sys.stdout.flush()
        line = sys.stdin.readline()
        if not line:
            break
        wish = json.loads(line)
        _WORKS[wish.pop("work")](**wish)
