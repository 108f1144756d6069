"""What clients of a town write down: each call and each reading, when it began and ended, and what the client was told.

Times are those of `time.monotonic`, which all processes of a machine share. A call has a `mark` of its own, which is in each of
its events: as the reason, as the text of a note, or as the actor. So it is known again whatever became of it.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from enum import StrEnum
from pathlib import Path
from typing import Any, Final

import msgspec
from msgspec import Struct

from ledger import RecordedEvent, TaskCancelled, TaskNoted
from projections import Snapshot

_MARK: Final = re.compile(r"\w+-\d+-\d+")
"""A client's name and a number."""


class Outcome(StrEnum):
    """How a call ended, as far as its client knows."""

    ACKNOWLEDGED = "acknowledged"
    REFUSED = "refused"
    """Nothing was written, it was told."""
    UNKNOWN = "unknown"


class Call(Struct, frozen=True, kw_only=True, omit_defaults=True, tag="call"):
    """A call that may write, of one client; `verb`, `task` and `options` are those of `Town`.

    `positions` are those told, and `snapshot` is the task told. `error` is the class of the error and `words` its message.
    `conflict` is of a version conflict: the task, the expected version and the actual one. An outcome is `told_later` if the
    error said that the events are in the ledger.
    """

    mark: str
    client: str
    town: str
    verb: str
    task: str = ""
    options: dict[str, Any] = {}
    expected_version: int | None = None
    began: float
    ended: float
    outcome: Outcome
    positions: tuple[str, ...] = ()
    snapshot: Snapshot | None = None
    error: str | None = None
    conflict: tuple[str, int, int] | None = None
    words: str = ""
    is_told_in_part: bool = False
    """The client was told that its events are in the ledger, but not all of their positions."""


class Reading(Struct, frozen=True, kw_only=True, omit_defaults=True, tag="reading"):
    """Tasks that a client saw, None for one that was not there. Each was there at some moment of the reading.

    With a `position` they are the whole board right after the event there.
    """

    client: str
    town: str
    began: float
    ended: float
    seen: dict[str, Snapshot | None]
    position: str | None = None


class Fault(Struct, frozen=True, kw_only=True, omit_defaults=True, tag="fault"):
    """What was done to the servers, from right before until all of them agree again.

    It `may_lose` what was acknowledged, and have old answers given, in these towns; elsewhere commands may only fail.
    """

    words: str
    began: float
    ended: float
    towns: frozenset[str] = frozenset()


Record = Call | Reading | Fault

_encoder = msgspec.json.Encoder()
_decoder = msgspec.json.Decoder(Record)


def encode_record(record: Record) -> bytes:
    return _encoder.encode(record) + b"\n"


def read_records(path: Path) -> Iterator[Record]:
    """The records in a client's file, in the order in which they ended. A last line that was cut is left out."""
    return (_decoder.decode(line) for line in path.read_bytes().splitlines(keepends=True) if line.endswith(b"\n"))


def mark_of(event: RecordedEvent) -> str:
    """The mark of the call that made the event. If the actor is one, other marks in it are of what it does again."""
    if _MARK.fullmatch(event.actor):
        return event.actor
    match event.data:
        case TaskNoted(text):
            return text
        case TaskCancelled(str(reason)):
            return reason
    return event.reason or event.actor
