"""The exit codes, and which error leads to which."""

from __future__ import annotations

from enum import IntEnum
from typing import Final

from ledger import (
    BasisDisturbedError,
    CommandRejectedError,
    LedgerDamagedError,
    LedgerError,
    NotReplicatedError,
    StoreUnavailableError,
    WrongExpectedEndError,
    WrongExpectedVersionError,
)


class UsageError(Exception):
    """Options that do not go together. Raised before anything is done; Typer prints it with the command's usage."""


class Exit(IntEnum):
    """The documented exit codes. 2 is Typer's, 70 a bug of ours (EX_SOFTWARE), 74 an output that cannot be written (EX_IOERR), 130 Ctrl-C."""

    DONE = 0
    REFUSED = 1
    USAGE = 2
    CONFLICT = 3
    UNAVAILABLE = 4
    DAMAGED = 5
    NOT_REPLICATED = 6
    UNEXPECTED = 70
    OUTPUT_LOST = 74
    INTERRUPTED = 130


_CODES: Final[tuple[tuple[type[LedgerError], Exit], ...]] = (
    (CommandRejectedError, Exit.REFUSED),
    (WrongExpectedVersionError, Exit.CONFLICT),
    (BasisDisturbedError, Exit.CONFLICT),
    (WrongExpectedEndError, Exit.CONFLICT),
    (StoreUnavailableError, Exit.UNAVAILABLE),
    (LedgerDamagedError, Exit.DAMAGED),
    (NotReplicatedError, Exit.NOT_REPLICATED),
)


def exit_code(error: LedgerError) -> Exit:
    return next((code for kind, code in _CODES if isinstance(error, kind)), Exit.REFUSED)
