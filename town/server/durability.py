"""Whether the server keeps what it acknowledged: checks its persistence and eviction settings against promise P1."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, cast

from msgspec import Struct

from ledger import ResponseError, kinds_of, redis_errors

if TYPE_CHECKING:
    from town.server.connection import Connection

_WANTED: Final = {
    "appendonly": ("yes", "events live in memory only, and are gone when the server stops"),
    "appendfsync": ("always", "the last events may be lost when the machine or the server is killed"),
    "maxmemory-policy": ("noeviction", "keys may be thrown away when memory runs out"),
}


class Durability(Struct, frozen=True):
    """The server's settings, and what is wrong with them. `is_known` is False if the server does not show them.

    `replicas` is how many copy from it now, None if it does not say; a command waits for `acks` of them.
    """

    settings: dict[str, str]
    problems: tuple[str, ...]
    is_known: bool = True
    replicas: int | None = None
    acks: int = 0

    def survives(self) -> dict[str, str]:
        """What an acknowledged event survives: a kill of the server, a power cut, the loss of its machine; in words for each."""
        kept, synced = self.settings.get("appendonly") == "yes", self.settings.get("appendfsync") == "always"
        if not self.is_known:
            kill = power = "unknown"
        elif not kept:
            kill = power = "no"
        else:
            kill = power = "yes" if synced else "but for the last seconds"
        return {"kill": kill, "power_cut": power, "lost_machine": self._lost_machine()}

    def _lost_machine(self) -> str:
        if self.lacks_replicas:
            replicas = "1 replica" if self.acks == 1 else f"{self.acks} replicas"
            return f"not for sure: a command waits for {replicas}, and {self.copying} from the server"
        if self.acks:
            return "yes, 1 replica has it" if self.acks == 1 else f"yes, {self.acks} replicas have it"
        if self.replicas:
            copied = "1 replica copies" if self.replicas == 1 else f"{self.replicas} replicas copy"
            return f"perhaps: {copied} it afterwards"
        return "no" if self.replicas == 0 else "unknown"

    @property
    def lacks_replicas(self) -> bool:
        """Whether a command waits for more replicas than there are, as far as the server says."""
        return self.replicas is not None and self.replicas < self.acks

    @property
    def copying(self) -> str:
        """How many copy, in words."""
        return "1 copies" if self.replicas == 1 else f"{self.replicas} copy"

    @property
    def is_durable(self) -> bool:
        return self.is_known and not self.problems


def read_durability(connection: Connection, *, acks: int = 0) -> Durability:
    """What the server's settings mean for acknowledged events, of a town that waits for `acks` replicas.

    StoreUnavailableError. Source: CONFIG GET, INFO.
    """
    replicas = count_replicas(connection)
    with redis_errors(connection.where):
        try:
            settings = cast("dict[str, str]", connection.client.config_get(*_WANTED))  # type: ignore[arg-type]
        except kinds_of(ResponseError):
            # Hosted servers forbid CONFIG.
            return Durability({}, (), is_known=False, replicas=replicas, acks=acks)
    settings = {_text(name): _text(value) for name, value in settings.items()}
    problems = tuple(
        f"{name} is {settings[name]}, not {wanted}: {consequence}"
        for name, (wanted, consequence) in _WANTED.items()
        if name in settings and settings[name] != wanted
    )
    # Some hosted servers reply with an empty table.
    return Durability(settings, problems, settings.keys() >= _WANTED.keys(), replicas, acks)


def count_replicas(connection: Connection) -> int | None:
    """How many replicas copy from the server; None if it does not say. StoreUnavailableError. Source: INFO."""
    if connection.server is not None:
        return 0
    with redis_errors(connection.where):
        try:
            told = connection.client.info("replication")
        except kinds_of(ResponseError):
            return None
    return int(cast("dict[str, int]", told).get("connected_slaves", 0))


def _text(value: str | bytes) -> str:
    return value.decode() if isinstance(value, bytes) else value
