"""The receipt of a command, and the id that its caller chose for it."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from msgspec import Struct

from ledger import Position, Task


class Receipt(Struct, frozen=True):
    """The result of a command: the task after it (before it, if removed), and the positions of its events.

    No positions: the state was reached already, and nothing was appended.
    """

    task: Task
    positions: tuple[Position, ...]


class Keyed(NamedTuple):
    """The id that the caller chose for the present command, and what finds the receipt of it if it was carried out before."""

    command_id: str
    find: Callable[[], Receipt | None]


class RepeatedError(Exception):
    """The command was carried out before; `receipt` is that of then."""

    def __init__(self, receipt: Receipt) -> None:
        self.receipt = receipt
        super().__init__("carried out before")
