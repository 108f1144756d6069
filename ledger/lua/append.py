"""`append.lua`, typed."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any, NamedTuple, cast

from ledger.lua.source import script_source

if TYPE_CHECKING:
    from redis import Redis


class Appended(NamedTuple):
    """The events are in the ledger, at `ms`, numbered from `first_seq`."""

    ms: int
    first_seq: int


class Conflict(NamedTuple):
    """A guard failed; nothing was written."""

    task: str
    expected: int
    actual: int


class Backdated(NamedTuple):
    """The time to record lies before the last event; nothing was written."""

    last_position: str


class Damaged(NamedTuple):
    """The stream is not what this script left; nothing was written."""

    last_position: str
    entries: int


class AppendScript:
    """Appends events, all or none."""

    def __init__(self, client: Redis) -> None:
        self._script = client.register_script(script_source(__file__))

    def __call__(
        self,
        *,
        ledger_key: str,
        heads_key: str,
        guards: Mapping[str, int],
        events: Iterable[tuple[str, bytes]],
        backdate_ms: int | None = None,
    ) -> Appended | Conflict | Backdated | Damaged:
        """`guards` is task -> expected version, `events` are pairs of task and JSON; each event's task has a guard."""
        arguments: list[str | int | bytes] = ["" if backdate_ms is None else backdate_ms, len(guards)]
        for guard in guards.items():
            arguments.extend(guard)
        for event in events:
            arguments.extend(event)
        reply = cast("list[Any]", self._script(keys=[ledger_key, heads_key], args=arguments))
        match reply[0]:
            case b"appended":
                return Appended(int(reply[1]), int(reply[2]))
            case b"conflict":
                return Conflict(reply[1].decode(), int(reply[2]), int(reply[3]))
            case b"backdated":
                return Backdated(reply[1].decode())
            case _:
                return Damaged(reply[1].decode(), int(reply[2]))
