"""How a search tells that it reads the ledger."""

from __future__ import annotations

from contextlib import ExitStack
from typing import TYPE_CHECKING, Final

from cli.output import is_progress_shown, progress_lines, tell
from cli.session import PROGRESS_EVENTS_MIN

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Self

_TOLD_MIN: Final = 100_000
"""Reading fewer events takes no longer than a second or two, so nobody is told without a terminal."""


class SearchProgress:
    """Tells that the ledger is read, if that takes long: with a bar on a terminal, else in one line."""

    def __init__(self) -> None:
        self._stack = ExitStack()
        self._show: Callable[[str, int, int], None] | None = None
        self._is_told = False

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    def show(self, done: int, total: int) -> None:
        if is_progress_shown():
            if self._show is None and total >= PROGRESS_EVENTS_MIN:
                self._show = self._stack.enter_context(progress_lines())
            if self._show is not None:
                self._show("Reading", done, total)
        elif total >= _TOLD_MIN and not self._is_told:
            self._is_told = True
            tell("Reading the ledger, which takes a while.")
