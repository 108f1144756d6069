"""Opens a town for one command, and warns about its condition at the end."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Final, Self

from cli.exits import Exit
from cli.output import progress_bar, say, say_abort, warn
from cli.text import counted, short_id, visible
from ledger import CircularNeedsError, EventsLostError, InvalidValueError, LedgerError, Position
from projections import OutdatedProjectionError
from town import Town, UnfitNameError, name_ledger

if TYPE_CHECKING:
    from pathlib import Path

    from rich.progress import Progress, TaskID

DAMAGED_TOLD_MAX: Final = 3
"""How many damaged tasks a command names; `tt verify` names all."""
PROGRESS_EVENTS_MIN: Final = 5_000
"""Reading or projecting fewer events ends before a bar could be read."""


@contextmanager
def opened(path: Path | None, actor: str | None, *, is_following: bool = False) -> Iterator[Town]:
    """The town at `path`. A bar shows the progress if many events have to be projected.

    If an older program projected the town, one warning says so: at the end, or first if the command never ends.
    """
    with named_once(lambda: Town.open(path, actor=actor)) as town, _ProjectionBar() as bar:
        if town.server_warning is not None:
            warn(town.server_warning)
        town.upkeep.progress = bar.show
        with (
            _outdated_told(town, is_first=is_following),
            _damage_told(town),
            _loss_told(town),
            _names_told(town),
            _gap_told(town),
        ):
            yield town


def named_once(open_town: Callable[[], Town]) -> Town:
    """The town. If its Tinytown name does not fit, a person at a terminal is asked once for a name of the ledger.

    UnfitNameError if there is no terminal.
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
        return str(typer.prompt("Name of the ledger?", default=suggested))
    except typer.Abort:
        say_abort()
        sys.exit(Exit.REFUSED)


@contextmanager
def _outdated_told(town: Town, *, is_first: bool) -> Iterator[None]:
    """Warn of outdated projections, unless the command fixed them or fails with that very error."""
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
            # An error here must not hide the command's own.
            with suppress(LedgerError):
                warn_outdated(town)


@contextmanager
def _names_told(town: Town) -> Iterator[None]:
    """Let an error about a task that was named by its alias say both, and point out names that are new to the town."""
    try:
        yield
    except LedgerError as error:
        if isinstance(error, CircularNeedsError):
            from cli.beside import names_with_titles  # noqa: PLC0415 - only a circle needs it

            error.name_circle(names_with_titles(town, error.circle))
        else:
            error.name_tasks(town.backend.called)
        raise
    finally:
        if town.backend.loader.new_agents or town.backend.loader.is_actor_new:
            from cli.name_hints import say_newcomers  # noqa: PLC0415 - only a new name pays for it

            say_newcomers(town)


@contextmanager
def _damage_told(town: Town) -> Iterator[None]:
    """Warn of each damaged task that was shown."""
    try:
        yield
    finally:
        # An error here must not hide the command's own.
        with suppress(LedgerError):
            found = list(town.noted.damaged.values())
            for task in found[:DAMAGED_TOLD_MAX]:
                warn(str(town.damage_of(task)))
            if len(found) > DAMAGED_TOLD_MAX:
                warn(f"… and {len(found) - DAMAGED_TOLD_MAX:,} more damaged tasks: `tt verify` names all of them.")


@contextmanager
def _loss_told(town: Town) -> Iterator[None]:
    """Warn of what was read from the ledger because snapshots or views are lost, and of notes that could not be read."""
    try:
        yield
    finally:
        if town.noted.incomplete is not None:
            from town import words_of  # noqa: PLC0415 - only a warning pays for it

            warn(
                f"{words_of(town.noted.incomplete)} What you see was read from the ledger, which is slower but equally correct."
            )
        if town.noted.lost_annotations is not None:
            warn(f"Older notes on what you see could not be read. {town.noted.lost_annotations}")
        lost = sorted(town.lost_snapshots)
        if lost:
            named = ", ".join(short_id(task) for task in lost[:DAMAGED_TOLD_MAX])
            more = f" and {len(lost) - DAMAGED_TOLD_MAX:,} more" if len(lost) > DAMAGED_TOLD_MAX else ""
            warn(
                f"{counted(len(lost), 'snapshot')} missing or damaged: of {named}{more}. What you see of them was read from"
                " the ledger, and is correct. `tt doctor` counts them, `tt rebuild` writes them again."
            )


@contextmanager
def _gap_told(town: Town) -> Iterator[None]:
    """Warn of acknowledged events that the server has lost, unless the command's own error says so."""
    is_told = False
    try:
        yield
    except EventsLostError:
        is_told = True
        raise
    finally:
        loss = None if is_told else town.backend.receipts.found_loss()
        if loss is not None:
            from town import words_of  # noqa: PLC0415 - only a warning pays for it

            warn(words_of(loss))


def warn_outdated(town: Town) -> None:
    """Warn if an older program projected the town."""
    outdated = town.upkeep.find_outdated()
    if outdated is not None:
        from town import words_of  # noqa: PLC0415 - as above

        folded = (
            " What you see was read from the ledger, which is slower but equally correct."
            if town.noted.outdated
            else ""
        )
        warn(f"{words_of(outdated)}{folded}")


class _ProjectionBar:
    """A bar that appears only if many events have to be projected."""

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
            # It goes before the command prints, so that its line is not among the output.
            self._bar.stop()
            self._bar = None
