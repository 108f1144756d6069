"""Runs the command that `tt` is given, and turns errors into words and exit codes."""

from __future__ import annotations

import errno
import os
import sys
from collections.abc import Sequence
from typing import Final, NoReturn

from cli.calls import call_of
from cli.exits import Exit, UsageError, exit_code
from cli.gate import close_gate
from cli.output import flush, ignoring_lost_output, say_error
from cli.signals import obey_stop_signals
from cli.tinytown_words import hint_for, in_our_words
from ledger import LedgerError

_OUTPUT_REFUSALS: Final = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO})
"""What a full disk, a limit or a closed terminal makes of a write to stdout or stderr; files of ours have names in their errors."""


def main(arguments: Sequence[str] | None = None) -> None:
    """The program `tt`; ends with SystemExit. `arguments` are those after the program's name, None takes the process's."""
    close_gate()
    words = in_our_words(sys.argv[1:] if arguments is None else arguments)
    hint = hint_for(words)
    if hint is not None:
        _leave(hint, Exit.USAGE)
    try:
        code = _run(words)
    except LedgerError as error:
        from cli.advice import words_of  # noqa: PLC0415 - only an error pays for it

        _leave("\n".join([words_of(error), *getattr(error, "__notes__", ())]), exit_code(error))
    except Exception as error:
        if isinstance(error, OSError) and error.filename is None and error.errno in _OUTPUT_REFUSALS:
            _leave(
                f"The output cannot be written: {error.strerror}. What the command was to do may be done:"
                " look before you repeat it, and write to another place.",
                Exit.OUTPUT_LOST,
            )
        if os.environ.get("TT_TRACEBACK"):
            raise
        _leave(
            f"Something unexpected happened: {type(error).__name__}: {error}."
            " Look with `tt events` whether it was done before you repeat it. Set TT_TRACEBACK=1 to see where it happened.",
            Exit.UNEXPECTED,
        )
    sys.exit(code)


def _run(words: Sequence[str]) -> int:
    """Run what the words say; most are known without Typer, which takes longer than the command itself."""
    call = call_of(words)
    if call is not None:
        try:
            obey_stop_signals()
            call.run()
        except UsageError:
            # Nothing was done. Typer meets the same mistake, and says it with the command's usage.
            pass
        except KeyboardInterrupt:
            # As Typer has it: the exit code of a program that SIGINT ended.
            return Exit.INTERRUPTED
        else:
            return Exit.DONE
    from cli.tree import run  # noqa: PLC0415 - what takes long

    return run(words)


def _leave(message: str, code: Exit) -> NoReturn:
    with ignoring_lost_output():
        flush()
    with ignoring_lost_output(is_error=True):
        say_error(message)
    sys.exit(code)


if __name__ == "__main__":
    main()
