"""A package's front door: hands out its public names, and imports the module of a name when the name is first used.

So `from ledger import Keys` imports only what `Keys` needs, and not the whole package. PEP 562 alone is not enough, because
some modules have the name of what they hold: importing the module `ledger.decide` must not replace the function.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping
from types import ModuleType


class _FrontDoor(ModuleType):
    """A package; `_homes` says which module each of its names is in."""

    _homes: dict[str, str]

    def __getattr__(self, name: str) -> object:
        home = self._homes.get(name)
        if home is None:
            raise AttributeError(f"module {self.__name__!r} has no attribute {name!r}")
        __import__(home)
        value: object = getattr(sys.modules[home], name)
        setattr(self, name, value)
        return value

    def __setattr__(self, name: str, value: object) -> None:
        if not (isinstance(value, ModuleType) and name in self._homes):
            super().__setattr__(name, value)

    def __dir__(self) -> list[str]:
        return sorted({*super().__dir__(), *self._homes})


def open_front_door(package: str, rooms: Mapping[str, str]) -> None:
    """Make the package hand out the names in `rooms`: module (without the package) -> its names, separated by blanks."""
    door = sys.modules[package]
    door.__dict__["_homes"] = {name: f"{package}.{room}" for room, names in rooms.items() for name in names.split()}
    door.__class__ = _FrontDoor
