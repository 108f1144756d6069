"""Workplace: the parts of an open town that a runner works with."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from ledger import LedgerError
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
def opened_workplace(
    path: Path | str | None, *, actor: str, warn: Callable[[LedgerError], None], is_starting: bool = True
) -> Iterator[Workplace]:
    """Open the town at `path`, as `open_town` does, and close it afterwards.

    An outcome that is written, and not known to be on as many replicas as the town asks for, is given to `warn`.
    """
    with opened(path, actor=actor, is_starting=is_starting) as town:
        if town.backend.replicas:
            town.backend.acks.on_missed = warn
        yield Workplace(town)
