"""Workplace: the parts of an open town that a runner works with."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from town.opening import OpenTown, opened
from town.reading.present import Present
from town.reading.reader import Reader
from town.verbs import Verbs


class Workplace:
    """One town as its runner sees it: the tasks to do, and the verbs that record outcomes."""

    def __init__(self, town: OpenTown) -> None:
        self.backend = town.backend
        self.folder = town.backend.folder
        self.reader = Reader(town.backend)
        self.present = Present(town.backend)
        self.verbs = Verbs(town.backend)


@contextmanager
def opened_workplace(path: Path | str | None, *, actor: str, is_starting: bool = True) -> Iterator[Workplace]:
    """Open the town at `path`, as `open_town` does, and close it afterwards."""
    with opened(path, actor=actor, is_starting=is_starting) as town:
        yield Workplace(town)
