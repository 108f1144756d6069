"""A package's front door: its names, each from the module that has it, which is imported when somebody asks for it.

So `from ledger import Keys` costs what `Keys` costs, and not the whole package. PEP 562 would do, but that some modules have
the name of what they hold: importing `ledger.decide` must not put the module in the place of `ledger.decide`.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping
from types import ModuleType


class _FrontDoor(ModuleType):
    """A package whose `_homes` tells which module each of its names is in."""

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
    """Make the package hand out the names in `rooms`: module (without the package) -> its names, between blanks."""
    door = sys.modules[package]
    door.__dict__["_homes"] = {name: f"{package}.{room}" for room, names in rooms.items() for name in names.split()}
    door.__class__ = _FrontDoor
