"""Edits a task's description in the user's editor."""

from __future__ import annotations

import os
import shlex
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Final

from cli.answers import say_receipt
from cli.exits import UsageError
from cli.output import say, warn
from cli.session import opened
from cli.text import name_of
from town import Receipt, TextUnreadableError, read_text_file

if TYPE_CHECKING:
    from cli.json_fields import JsonFields
    from ledger import Task
    from town import Town


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
            edited.edit()
            is_kept = True
            text = edited.text()
            # An empty text is refused, and nobody misses it.
            is_same = text == found.description.rstrip("\r\n")
            is_kept = bool(text.strip()) and not is_same
            if is_same:
                _say_unchanged(opened_town, found, as_json=as_json)
                return
            receipt = opened_town.describe(
                found.id, text, reason=reason, expected_version=found.version if expect is None else expect
            )
            is_kept = False
            say_receipt(opened_town, receipt, "has a new description", as_json=as_json)
        except BaseException:
            if is_kept:
                warn(f"Your text is kept in {edited.path}.")
            raise
        finally:
            if not is_kept:
                edited.remove()


def _say_unchanged(town: Town, task: Task, *, as_json: JsonFields | None) -> None:
    if as_json is not None:
        say_receipt(town, Receipt(task, ()), "", as_json=as_json)
        return
    say(f"{name_of(task)} is as it was; nothing was appended.")


class Edited:
    """A text in a file of its own, for the user's editor; the file is gone at the end unless it is kept.

    Its folder is of its own too: some editors write a new file in its place, with rights of their own, and copies beside it.
    """

    def __init__(self, text: str) -> None:
        self.path = Path(tempfile.mkdtemp(prefix="tt-")) / "description.md"
        self.path.touch(mode=0o600, exist_ok=False)
        self.path.write_bytes(f"{text}\n".encode())

    def edit(self) -> None:
        """Run the editor and wait for its end. UsageError if there is no terminal, TextUnreadableError if it fails."""
        if not (os.isatty(0) and os.isatty(1)):
            message = "An editor needs a terminal. Give a TEXT, - to read it from stdin, or --file."
            raise UsageError(message)
        words = _editor()
        editor = f"the editor {shlex.join(words)}"
        try:
            with _keys_are_the_editors():
                code = subprocess.run([*words, str(self.path)], check=False).returncode  # noqa: S603 - the user names the editor
        except OSError as error:
            problem = f"it does not start: {error.strerror}. Set EDITOR to another one"
            raise TextUnreadableError(editor, problem) from error
        if code:
            raise TextUnreadableError(editor, f"it ended with exit code {code}")

    def text(self) -> str:
        """What is in the file now. TextUnreadableError."""
        return read_text_file(self.path)

    def remove(self) -> None:
        shutil.rmtree(self.path.parent, ignore_errors=True)


@contextmanager
def _keys_are_the_editors() -> Iterator[None]:
    """Inside, the keys that end programs end none but the editor: the terminal sends Ctrl-C to both."""
    # A function, because a program that is started inherits what is ignored.
    before = {each: signal.signal(each, lambda *_: None) for each in (signal.SIGINT, signal.SIGQUIT)}
    try:
        yield
    finally:
        for each, handler in before.items():
            signal.signal(each, handler)


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
