"""Workplace: what a runner works with of a town that it opened."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from town.opening import OpenTown, opened
from town.reading.present import Present
from town.reading.reader import Reader
from town.verbs import Verbs


class Workplace:
    """One town as its runner sees it: what there is to do, and the verbs that say what came of it."""

    def __init__(self, town: OpenTown) -> None:
        self.backend = town.backend
        self.folder = town.backend.folder
        self.reader = Reader(town.backend)
        self.present = Present(town.backend)
        self.verbs = Verbs(town.backend)


@contextmanager
def opened_workplace(path: Path | str | None, *, actor: str, is_starting: bool = True) -> Iterator[Workplace]:
    """The town at `path`, as for `open_town`; closed afterwards."""
    with opened(path, actor=actor, is_starting=is_starting) as town:
        yield Workplace(town)
