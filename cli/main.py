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

COMPLETE: Final = "--complete"
"""How a shell's script asks what completes a command line: `cli.completion`."""
_OUTPUT_REFUSALS: Final = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO})
"""The errors of a write to stdout or stderr on a full disk, at a limit or to a closed terminal. Errors of our own files carry a name."""


def main(arguments: Sequence[str] | None = None) -> None:
    """Run `tt`; ends with SystemExit. `arguments` are those after the program's name; None means the process's own."""
    close_gate()
    given = sys.argv[1:] if arguments is None else arguments
    if given[:1] == [COMPLETE]:
        from cli.completion import complete  # noqa: PLC0415 - only a shell asks for it

        complete(given[1:])
        sys.exit(Exit.DONE)
    words = in_our_words(given)
    hint = hint_for(words)
    if hint is not None:
        _leave(hint, Exit.USAGE)
    try:
        code = _run(words)
    except LedgerError as error:
        from town import words_of  # noqa: PLC0415 - only an error pays for it

        _leave("\n".join([words_of(error), *getattr(error, "__notes__", ())]), exit_code(error))
    except Exception as error:
        if isinstance(error, OSError) and error.filename is None and error.errno in _OUTPUT_REFUSALS:
            _leave(
                f"The output cannot be written: {error.strerror}. The command may have done its work:"
                " check before you repeat it, and write the output elsewhere.",
                Exit.OUTPUT_LOST,
            )
        if os.environ.get("TT_TRACEBACK"):
            raise
        _leave(
            f"Something unexpected happened: {type(error).__name__}: {error}."
            " Check with `tt events` what was done before you repeat it. Set TT_TRACEBACK=1 to see where it happened.",
            Exit.UNEXPECTED,
        )
    sys.exit(code)


def _run(words: Sequence[str]) -> int:
    """Run the command that `words` name. Most are parsed without Typer, which takes longer to import than the command takes."""
    call = call_of(words)
    if call is not None:
        try:
            obey_stop_signals()
            call.run()
        except UsageError:
            # Nothing was done yet. Typer finds the same mistake and prints it with the command's usage.
            pass
        except KeyboardInterrupt:
            # Like Typer: the exit code of a program that SIGINT ended.
            return Exit.INTERRUPTED
        else:
            return Exit.DONE
    from cli.tree import run  # noqa: PLC0415 - slow to import

    return run(words)


def _leave(message: str, code: Exit) -> NoReturn:
    with ignoring_lost_output():
        flush()
    with ignoring_lost_output(is_error=True):
        say_error(message)
    sys.exit(code)


if __name__ == "__main__":
    main()
