"""Makes every key name of a town. No other module writes `tt:` (DESIGN: keys).

`hash_tag` renders `tt:{town}:…`, which keeps a town in one slot of a cluster.
"""

from __future__ import annotations

from typing import Final

from msgspec import Struct

from ledger.errors import InvalidValueError

TOWN_NAME_CHARS_MAX: Final = 64
TOWN_NAMES_RESERVED: Final = frozenset(
    {
        "activity",
        "agent",
        "backlog",
        "broadcast",
        "docket",
        "events",
        "inbox",
        "mission",
        "stop",
        "task",
        "urgent",
    }
)
"""Tinytown's bare key types: `tt:<type>:<id>` from before towns were isolated would read as a town of that name."""

TOWNS_KEY: Final = "tt:towns"
"""Hash: each town on a server, as it stands in its keys, `name` or `{name}`. The one key that belongs to no town (`docs/decisions/0050`)."""

_SIGNS: Final = str.maketrans("", "", "._-")
"""What a town's name may hold after its first character, besides letters and digits."""


def check_town_name(name: str) -> str:
    """`name`, if it fits a town; else InvalidValueError."""
    if name in TOWN_NAMES_RESERVED:
        raise InvalidValueError("town name", f"{name!r} is one of Tinytown's key types", f"Try {name}-town.")
    letters = name[:1] + name[1:].translate(_SIGNS) if name[:1].isalnum() else ""
    if not (letters.isascii() and letters.isalnum() and len(name) <= TOWN_NAME_CHARS_MAX):
        raise InvalidValueError(
            "town name",
            f"{name!r} does not fit",
            f"Use 1 to {TOWN_NAME_CHARS_MAX} letters, digits, dots, dashes and underscores; begin with a letter or digit.",
        )
    return name


class Keys(Struct, frozen=True):
    """The keys of one town."""

    town: str
    hash_tag: bool = False

    @property
    def prefix(self) -> str:
        return f"tt:{{{self.town}}}" if self.hash_tag else f"tt:{self.town}"

    @property
    def ledger(self) -> str:
        """Stream: the truth, one entry per event."""
        return f"{self.prefix}:ledger"

    @property
    def heads(self) -> str:
        """Hash: task id -> `<version>:<position>` of its last event."""
        return f"{self.prefix}:heads"

    @property
    def fork_ledger(self) -> str:
        """Stream: the ledger of a town that is being made from another one."""
        return f"{self.prefix}:fork:ledger"

    @property
    def fork_heads(self) -> str:
        """Hash: its heads."""
        return f"{self.prefix}:fork:heads"

    @property
    def fork_begun(self) -> str:
        """String: set before the first event of a fork is written, deleted when the town is whole."""
        return f"{self.prefix}:fork:begun"

    @property
    def move(self) -> str:
        """String, JSON: where the town moves, or has moved; none if it is here to stay."""
        return f"{self.prefix}:move"

    def task(self, task_id: str) -> str:
        """String: the canonical snapshot of a task, JSON."""
        return f"{self.prefix}:task:{task_id}"

    def view(self, view: str, part: str | None = None) -> str:
        """A read model's key; `part` is the state, agent, tag or parent it is for."""
        return f"{self.prefix}:view:{view}" if part is None else f"{self.prefix}:view:{view}:{part}"

    def lease(self, name: str) -> str:
        """String with a time-out: which process does a job that several could do at once."""
        return f"{self.prefix}:lease:{name}"

    @property
    def acks(self) -> str:
        """String with a time-out: written before a wait for replicas, which counts from a connection's last write."""
        return f"{self.prefix}:acks"

    def heartbeat(self, run: str) -> str:
        """String with a time-out: says that a runner is still working on its run."""
        return f"{self.prefix}:heartbeat:{run}"

    def legacy(self, old_key: str, number: int = 1) -> str:
        """Any type: a record from before the ledger, kept as it was found at `old_key`; `number` tells several apart."""
        return f"{self.prefix}:legacy:{old_key}" if number == 1 else f"{self.prefix}:legacy:{old_key}:{number}"

    def checkpoint(self, projection: str) -> str:
        """Hash: how far a projection has come."""
        return f"{self.prefix}:checkpoint:{projection}"
