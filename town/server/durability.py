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
    """The server's settings, and what is wrong with them. `is_known` is False if the server does not show them."""

    settings: dict[str, str]
    problems: tuple[str, ...]
    is_known: bool = True

    @property
    def is_durable(self) -> bool:
        return self.is_known and not self.problems


def read_durability(connection: Connection) -> Durability:
    """What the server's settings mean for acknowledged events. StoreUnavailableError. Source: CONFIG GET."""
    with redis_errors(connection.where):
        try:
            settings = cast("dict[str, str]", connection.client.config_get(*_WANTED))  # type: ignore[arg-type]
        except kinds_of(ResponseError):
            # Hosted servers forbid CONFIG.
            return Durability({}, (), is_known=False)
    settings = {_text(name): _text(value) for name, value in settings.items()}
    problems = tuple(
        f"{name} is {settings[name]}, not {wanted}: {consequence}"
        for name, (wanted, consequence) in _WANTED.items()
        if name in settings and settings[name] != wanted
    )
    # Some hosted servers reply with an empty table.
    return Durability(settings, problems, is_known=settings.keys() >= _WANTED.keys())


def _text(value: str | bytes) -> str:
    return value.decode() if isinstance(value, bytes) else value
