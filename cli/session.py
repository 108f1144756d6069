"""A town for the length of one command."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Final, Self

from cli.exits import Exit
from cli.output import progress_bar, say, say_abort, warn
from cli.text import counted, short_id, visible
from ledger import InvalidValueError, LedgerError, Position
from projections import OutdatedProjectionError
from town import Town, UnfitNameError, name_ledger

if TYPE_CHECKING:
    from pathlib import Path

    from rich.progress import Progress, TaskID

DAMAGED_TOLD_MAX: Final = 3
"""How many damaged tasks are named beside what a command shows; `tt verify` names all."""
PROGRESS_EVENTS_MIN: Final = 5_000
"""Catching up on fewer events is over before a bar could be read."""


@contextmanager
def opened(path: Path | None, actor: str | None, *, is_following: bool = False) -> Iterator[Town]:
    """The town at `path`; while much is projected, a bar shows how far it is.

    Where an older program projected it, that is said once: at the end, or first where the command goes on for ever.
    """
    with named_once(lambda: Town.open(path, actor=actor)) as town, _ProjectionBar() as bar:
        if town.server_warning is not None:
            warn(town.server_warning)
        town.upkeep.progress = bar.show
        with _outdated_told(town, is_first=is_following), _damage_told(town), _loss_told(town):
            yield town


def named_once(open_town: Callable[[], Town]) -> Town:
    """The town; where Tinytown's name of it does not fit, a person at a terminal is asked once what the ledger is called.

    UnfitNameError where nobody is there to be asked.
    """
    try:
        return open_town()
    except UnfitNameError as error:
        if not sys.stdin.isatty():
            raise
        say(f"The town is called {visible(error.name)}, which cannot be part of the ledger's keys. Both names stay.")
        while True:
            try:
                name_ledger(error.folder, _asked_name(error.suggested))
                break
            except InvalidValueError as problem:
                say(str(problem))
        return open_town()


def _asked_name(suggested: str) -> str:
    import typer  # noqa: PLC0415 - a town is named once

    try:
        return str(typer.prompt("What is the ledger to be called?", default=suggested))
    except typer.Abort:
        say_abort()
        sys.exit(Exit.REFUSED)


@contextmanager
def _outdated_told(town: Town, *, is_first: bool) -> Iterator[None]:
    """Warn of outdated projections, unless the command puts them right or ends with just that error."""
    was_outdated = town.upkeep.find_outdated() is not None
    if was_outdated and is_first:
        warn_outdated(town)
    is_told = is_first
    try:
        yield
    except OutdatedProjectionError:
        is_told = True
        raise
    finally:
        if was_outdated and not is_told:
            # The command's own error, where there is one, is not to be hidden by another.
            with suppress(LedgerError):
                warn_outdated(town)


@contextmanager
def _damage_told(town: Town) -> Iterator[None]:
    """Warn of the damaged tasks among what was shown, once each."""
    try:
        yield
    finally:
        # The command's own error, where there is one, is not to be hidden by another.
        with suppress(LedgerError):
            found = list(town.noted.damaged.values())
            for task in found[:DAMAGED_TOLD_MAX]:
                warn(str(town.damage_of(task)))
            if len(found) > DAMAGED_TOLD_MAX:
                warn(f"… and {len(found) - DAMAGED_TOLD_MAX:,} more damaged tasks: `tt verify` names all of them.")


@contextmanager
def _loss_told(town: Town) -> Iterator[None]:
    """Warn of what was folded from the ledger because snapshots or views are lost, and of notes that could not be read."""
    try:
        yield
    finally:
        if town.noted.incomplete is not None:
            warn(f"{town.noted.incomplete} What you see was folded from the ledger, which is slower and as true.")
        if town.noted.lost_annotations is not None:
            warn(f"Older notes on what you see could not be read. {town.noted.lost_annotations}")
        lost = sorted(town.lost_snapshots)
        if lost:
            named = ", ".join(short_id(task) for task in lost[:DAMAGED_TOLD_MAX])
            more = f" and {len(lost) - DAMAGED_TOLD_MAX:,} more" if len(lost) > DAMAGED_TOLD_MAX else ""
            warn(
                f"{counted(len(lost), 'snapshot')} missing or damaged: of {named}{more}. What you see of them was folded from"
                " the ledger, and is as true. `tt doctor` counts them, `tt rebuild` writes them again."
            )


def warn_outdated(town: Town) -> None:
    """Say that an older program projected the town, where that is so."""
    outdated = town.upkeep.find_outdated()
    if outdated is not None:
        folded = " What you see was folded from the ledger, which is slower and as true." if town.noted.outdated else ""
        warn(f"{outdated}{folded}")


class _ProjectionBar:
    """A bar that appears only when there is much to project."""

    def __init__(self) -> None:
        self._bar: Progress | None = None
        self._line: TaskID | None = None
        self._first = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self._bar is not None:
            self._bar.stop()

    def show(self, reached: Position, goal: Position) -> None:
        if self._bar is None:
            if goal.seq - reached.seq < PROGRESS_EVENTS_MIN:
                return
            self._bar = progress_bar("Projecting")
            self._first = reached.seq
            self._line = self._bar.add_task("", total=goal.seq - self._first)
            self._bar.start()
        assert self._line is not None
        self._bar.update(self._line, total=goal.seq - self._first, completed=reached.seq - self._first)
        if reached >= goal:
            # Gone before the command says anything, so that its line does not stand among the output.
            self._bar.stop()
            self._bar = None
