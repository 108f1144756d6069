"""Edits a task's description in the user's editor."""

from __future__ import annotations

import os
import shlex
import subprocess
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Final

from cli.answers import say_receipt
from cli.exits import UsageError
from cli.output import say, warn
from cli.session import opened
from cli.text import name_of
from ledger import LedgerError
from town import TextUnreadableError, read_text_file

if TYPE_CHECKING:
    from cli.json_fields import JsonFields


_EDITORS: Final = ("VISUAL", "EDITOR")
_EDITOR: Final = "vi"


def edit_in_editor(
    task: str,
    *,
    reason: str | None,
    expect: int | None,
    town: Path | None,
    actor: str | None,
    as_json: JsonFields | None,
) -> None:
    """Let the user edit the description, and replace it if it changed.

    If somebody else changed the task meanwhile, or the text is refused, the user's text is kept, and its file is named.
    """
    with opened(town, actor) as opened_town:
        found = opened_town.task(task)
        edited = Edited(found.description)
        is_kept = False
        try:
            text = edited.edit()
            if text == found.description.rstrip("\r\n"):
                say(f"{name_of(found)} is as it was; nothing was appended.")
                return
            is_kept = True
            receipt = opened_town.describe(
                found.id, text, reason=reason, expected_version=found.version if expect is None else expect
            )
            is_kept = False
            say_receipt(opened_town, receipt, "has a new description", as_json=as_json)
        except LedgerError:
            if is_kept:
                warn(f"Your text is kept in {edited.path}.")
            raise
        finally:
            if not is_kept:
                edited.remove()


class Edited:
    """A text in a file of its own, for the user's editor; the file is gone at the end unless it is kept."""

    def __init__(self, text: str) -> None:
        descriptor, name = tempfile.mkstemp(prefix="tt-", suffix=".md")
        self.path = Path(name)
        with open(descriptor, "w", encoding="utf-8") as file:  # noqa: PTH123 - a descriptor has no path
            file.write(f"{text}\n")

    def edit(self) -> str:
        """Run the editor and wait for its end; the text then. UsageError if there is no terminal, TextUnreadableError."""
        if not (os.isatty(0) and os.isatty(1)):
            message = "An editor needs a terminal. Give a TEXT, - to read it from stdin, or --file."
            raise UsageError(message)
        words = _editor()
        editor = f"the editor {shlex.join(words)}"
        try:
            code = subprocess.run([*words, str(self.path)], check=False).returncode  # noqa: S603 - the user names the editor
        except OSError as error:
            problem = f"it does not start: {error.strerror}. Set EDITOR to another one"
            raise TextUnreadableError(editor, problem) from error
        if code:
            raise TextUnreadableError(editor, f"it ended with exit code {code}")
        return read_text_file(self.path)

    def remove(self) -> None:
        self.path.unlink(missing_ok=True)


def _editor() -> Sequence[str]:
    for name in _EDITORS:
        words = os.environ.get(name, "").strip()
        if words:
            try:
                return shlex.split(words)
            except ValueError as error:
                message = f"{name} is no command line: {error}."
                raise UsageError(message) from error
    return (_EDITOR,)
