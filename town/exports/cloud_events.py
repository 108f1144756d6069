"""Events as CloudEvents 1.0: JSON lines, one event per line in the format of that standard, with the stored event as its data."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, BinaryIO, Final

import msgspec

from ledger import RecordedEvent, StreamEntry, Unfit, format_ms

TYPE_PREFIX: Final = "tinytown."
_SEQUENCE_DIGITS: Final = 20


class CloudEventsWriter:
    """Writes a town's events into a file."""

    def __init__(self, file: BinaryIO, *, town: str) -> None:
        self._file = file
        self._source = source_of(town)
        self._encode = msgspec.json.Encoder().encode

    def write(self, entries: Sequence[StreamEntry], events: Sequence[RecordedEvent]) -> None:
        """Write stored entries; `events` are the same, decoded."""
        encode, source = self._encode, self._source
        self._file.write(
            b"".join(
                [
                    encode(cloud_event(recorded, payload, source=source)) + b"\n"
                    for (_, (_, payload)), recorded in zip(entries, events, strict=True)
                ]
            )
        )


def source_of(town: str) -> str:
    """The source of the events, as a URI reference: town and position together name one event. A town's name needs no escape."""
    return f"/tinytown/towns/{town}"


def cloud_event(recorded: RecordedEvent, payload: bytes, *, source: str) -> dict[str, Any]:
    """One event; `payload` is the stored JSON, which becomes `data` as it is.

    `sequence` is the extension of that name, with leading zeros, so that its texts sort as the events do.
    """
    position = recorded.position
    event: dict[str, Any] = {
        "specversion": "1.0",
        "id": str(position),
        "source": source,
        "type": f"{TYPE_PREFIX}{recorded.type}",
        "subject": recorded.task,
        "time": format_ms(position.ms),
        "datacontenttype": "application/json",
        "sequence": f"{position.seq:0{_SEQUENCE_DIGITS}d}",
        "actor": recorded.actor,
        "data": msgspec.Raw(payload),
    }
    if isinstance(recorded.data, Unfit):
        # The standard may not allow its actor; the data has it.
        del event["actor"]
    return event
