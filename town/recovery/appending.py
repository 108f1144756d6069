"""The entries that a recovery appends: `town.recovered`, then the lost events, with their old times. Pure."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any, NamedTuple

import msgspec

from ledger import (
    TOWN_ID,
    NewEvent,
    Position,
    StreamEntry,
    TownRecovered,
    encode_event,
    format_ms,
    ms_of,
    new_command_id,
)
from town.receipts.reading import KeptEvent
from town.recovery.gap import GoneEvent

Heads = Mapping[str, tuple[int, str]]
"""Task id -> version and position of its last event; none for a task without events."""


class Entries(NamedTuple):
    """What to append, with its positions. The first one is `town.recovered`; `moved` has the new place of each other one."""

    entries: list[StreamEntry]
    moved: dict[str, Position]


def entries_of(
    lost: Sequence[GoneEvent],
    chosen: Sequence[KeptEvent],
    *,
    after: Position,
    ms: int,
    heads: Heads,
    actor: str,
    moved: Mapping[str, Position] = {},
    nowhere: Collection[str] = (),
) -> Entries:
    """The entries for a ledger that ends at `after`, all of the time `ms`.

    `lost` is all that is lost, `chosen` what of it is appended again. `moved` has the place of what is there again already:
    notes and causes go on naming the same event. `nowhere` is what can be named no more.
    """
    made = _Made(after, ms, dict(heads))
    at = made.next()
    fact = TownRecovered(first=lost[0].position, last=lost[-1].position, lost=len(lost), appended=len(chosen))
    version = made.version(TOWN_ID) + 1
    new = NewEvent(task=TOWN_ID, version=version, actor=actor, command=new_command_id(), data=fact)
    made.add(TOWN_ID, encode_event(new))
    places = dict(moved)
    gone = {*nowhere, *(each.position for each in lost)}
    for event in chosen:
        raw: dict[str, Any] = msgspec.json.decode(event.payload)
        task_id = raw["task"]
        if task_id == TOWN_ID:
            raw["version"] = made.version(TOWN_ID) + 1
        if raw["type"] == "event.annotated":
            raw["data"]["position"] = str(places.get(raw["data"]["position"], raw["data"]["position"]))
        cause, occurred_at = raw.pop("cause", None), raw.pop("occurred_at", None)
        cause = places.get(cause, cause)
        raw["cause"] = str(at if cause is None or cause in gone else cause)
        raw["occurred_at"] = occurred_at or format_ms(ms_of(event.at))
        places[event.at] = made.add(task_id, msgspec.json.encode(raw))
    return Entries(made.entries, {each.at: places[each.at] for each in chosen})


class _Made:
    """The entries so far."""

    def __init__(self, after: Position, ms: int, heads: dict[str, tuple[int, str]]) -> None:
        self.entries: list[StreamEntry] = []
        self._seq = after.seq
        self._ms = ms
        self._heads = heads

    def next(self) -> Position:
        return Position.of(ms=self._ms, seq=self._seq + 1)

    def version(self, task_id: str) -> int:
        return self._heads.get(task_id, (0, ""))[0]

    def add(self, task_id: str, payload: bytes) -> Position:
        at, head = self.next(), self._heads.get(task_id)
        prev = b"null" if head is None else b'"%s"' % head[1].encode()
        self.entries.append((at.encode(), [b"event", b'{"prev":%s,%s' % (prev, payload[1:])]))
        self._heads[task_id] = self.version(task_id) + 1, at
        self._seq += 1
        return at
