"""Undo: takes back what was made so far, so that an operation that fails leaves nothing behind.

Each step is registered before its thing is made, so it may find all of the thing, a part, or nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from ledger import LedgerError


class Undo:
    """What was made so far. An error gets `note` once all is taken back, such as "No town was made"; None for no note."""

    def __init__(self) -> None:
        self.note: str | None = None
        self._steps: list[tuple[Path, Callable[[], object]]] = []

    def add(self, path: Path, step: Callable[[], object]) -> None:
        """Register `step`, which takes back what is about to be made at `path`.

        It may raise OSError or an error of ours.
        """
        self._steps.append((path, step))

    def make_folder(self, path: Path, *, mode: int = 0o777) -> None:
        """Make a folder if there is none. Undo removes it again if it is empty. OSError."""
        if not path.is_dir():
            self.add(path, path.rmdir)
            path.mkdir(mode=mode, exist_ok=True)

    def forget(self) -> None:
        """Keep what was made so far, whatever comes."""
        self._steps.clear()

    def take_back(self) -> list[Path]:
        """Take back everything, last first. Returns what could not be taken back."""
        left = []
        while self._steps:
            path, step = self._steps.pop()
            try:
                step()
            except (FileNotFoundError, NotADirectoryError):
                continue
            except (LedgerError, OSError):
                left.append(path)
        return left


@contextmanager
def all_or_nothing() -> Iterator[Undo]:
    """Yield an Undo to register what is made. An error takes all of it back, and gets a note that says so."""
    undo = Undo()
    try:
        yield undo
    except BaseException as error:
        left = undo.take_back()
        if undo.note is not None:
            rest = (
                f"but this could not be taken back: {', '.join(map(str, left))}"
                if left
                else "and nothing is left of it"
            )
            error.add_note(f"{undo.note}, {rest}.")
        raise
