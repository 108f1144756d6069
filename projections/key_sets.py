"""KeySets: which tasks a listing wants, as the keys of the sets that have them. Pure."""

from __future__ import annotations

from collections.abc import Mapping

from msgspec import Struct


class KeySets(Struct, frozen=True):
    """The tasks in all of the sets `each`, in one of `either` if there are any, and in none of `without`.

    No task is in two sets of `either`.
    """

    each: tuple[str, ...] = ()
    either: tuple[str, ...] = ()
    without: tuple[str, ...] = ()

    @property
    def keys(self) -> tuple[str, ...]:
        return (*self.each, *self.either, *self.without)

    @property
    def is_plain(self) -> bool:
        """Whether the server intersects and counts them itself."""
        return not self.either and not self.without

    def smallest_first(self, sizes: Mapping[str, int]) -> KeySets:
        """The same, so that the first set of `each` has the fewest tasks."""
        return KeySets(tuple(sorted(self.each, key=sizes.__getitem__)), self.either, self.without)

    def group_sizes(self, sizes: Mapping[str, int]) -> list[int]:
        """How many tasks each condition lets through: those of `either` together, and then each set."""
        either = [sum(sizes[key] for key in self.either)] if self.either else []
        return [*either, *(sizes[key] for key in self.each)]

    def smallest(self, sizes: Mapping[str, int]) -> range:
        """The places in `keys` of the sets that have the fewest tasks but all that are wanted; empty if no set has them."""
        each = [sizes[key] for key in self.each]
        if self.either and sum(sizes[key] for key in self.either) <= min(each, default=sum(sizes.values())):
            return range(len(each), len(each) + len(self.either))
        place = each.index(min(each)) if each else 0
        return range(place, place + 1) if each else range(0)
