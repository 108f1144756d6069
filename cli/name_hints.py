"""Hints at names that a town has not seen: a typing mistake in the name of an agent makes a new agent, or finds nothing.

A hint is no error. It is a line on stderr, and costs nothing where every name is known.
"""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING

from cli.output import warn
from cli.text import visible
from ledger import LedgerError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from town import NewName, Reader, Town


def say_newcomers(town: Town) -> None:
    """Point out the names in this command that are new to the town."""
    from town import Names  # noqa: PLC0415 - only a new name pays for it

    # The command has done its work.
    with suppress(LedgerError):
        for new in Names(town.backend, town).newcomers():
            say_newcomer(new)


def say_newcomer(new: NewName) -> None:
    """`New agent worker1; worker-1 exists.` Nothing is said of the very first agent of a town."""
    if new.has_others:
        warn(f"New {new.kind} {visible(new.name)}{_others(new)}.")


def say_unknown(
    town: Town, reader: Reader, *, agent: str | None = None, actor: str | None = None, tags: Sequence[str] | None = None
) -> None:
    """Point out the names in filters that the town does not know. Ask only if nothing was found: else they are known."""
    if agent is None and actor is None and not tags:
        return
    from town import Names  # noqa: PLC0415 - as above

    has = "has" if reader.then is None else "had"
    with suppress(LedgerError):
        for new in Names(town.backend, reader).unknown(agent=agent, actor=actor, tags=tags or ()):
            if new.kind == "actor":
                warn(f"None of the last events is by {visible(new.name)}{_others(new)}.")
            else:
                warn(f"No task {has} the {new.kind} {visible(new.name)}{_others(new)}.")


def _others(new: NewName) -> str:
    """`; worker-1 and worker_1 exist`; empty if no name is spelled alike."""
    if not new.close:
        return ""
    *first, last = map(visible, new.close)
    return f"; {', '.join(first)} and {last} exist" if first else f"; {last} exists"
