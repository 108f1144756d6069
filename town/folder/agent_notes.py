"""The section about the town in a folder's `AGENTS.md`, which coding agents read. All around it stays, byte for byte."""

from __future__ import annotations

import errno
import os
from contextlib import suppress
from enum import StrEnum
from pathlib import Path
from typing import Final

from msgspec import Struct

from town.errors import AgentNotesRefusedError, FolderRefusedError
from town.files.regular_file import open_regular
from town.files.whole_file import write_by_rename

AGENTS_FILE: Final = "AGENTS.md"
BYTES_MAX: Final = 1 << 20
_BEGIN: Final = b"<!-- tinytown:begin (`tt init --agents` writes what stands between these two lines) -->"
_BEGIN_MARK: Final = b"<!-- tinytown:begin"
_END: Final = b"<!-- tinytown:end -->"
_SECTION: Final = b"""
## Tasks

The tasks of this folder are in a ledger, which `tt` reads and changes. Do not keep a list of your own.

- Call yourself by one name: set `TT_ACTOR=NAME`, or add `--actor NAME` to each command.
- Begin with `tt prime`: it shows your task, what is ready, open questions, and the commands.
- `tt next NAME --start` takes the next task, which nobody else then gets.
- `tt task note TASK "TEXT"` keeps progress; `tt task create "TITLE"` keeps what you find on the way.
- `tt task complete TASK --result "TEXT"` or `tt task fail TASK --error "TEXT"` ends your work.
- `tt ask TASK "QUESTION"` asks people; the task waits, so take another one.
- Add `--json` to read the answer with a program. `tt COMMAND --help` explains a command.
""".removeprefix(b"\n")


class NotesChange(StrEnum):
    """What was done to the file."""

    MADE = "made"
    ADDED = "added"
    RENEWED = "renewed"
    UNCHANGED = "unchanged"


class AgentNotes(Struct, frozen=True):
    """The file with its section as it should be, not written yet: `target` is where the file really is."""

    path: Path
    target: Path
    before: bytes | None
    after: bytes

    @property
    def change(self) -> NotesChange:
        if self.before is None:
            return NotesChange.MADE
        if self.before == self.after:
            return NotesChange.UNCHANGED
        return NotesChange.RENEWED if _BEGIN_MARK in self.before else NotesChange.ADDED

    def write(self) -> None:
        """Write the file by rename, unless it is right already. AgentNotesRefusedError if it was changed meanwhile."""
        if self.change is NotesChange.UNCHANGED:
            return
        status: os.stat_result | None = None
        try:
            with suppress(FileNotFoundError):
                status = self.target.stat()
            if _read(self.path, self.target) != self.before:
                raise AgentNotesRefusedError(self.path, "was changed meanwhile", "Try again.")
            if status is not None and not os.access(self.target, os.W_OK):
                raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))
            write_by_rename(self.target, self.after, like=status)
        except OSError as error:
            raise FolderRefusedError(self.path, error) from error


def plan_agent_notes(folder: Path) -> AgentNotes:
    """The folder's `AGENTS.md` with its section. AgentNotesRefusedError, FolderRefusedError: nothing was changed."""
    path = folder / AGENTS_FILE
    try:
        target = path.resolve()
    except (OSError, RuntimeError) as error:
        raise AgentNotesRefusedError(path, "is a link that leads nowhere", "Put a file in its place.") from error
    if not target.is_relative_to(folder.resolve()):
        raise AgentNotesRefusedError(path, "is a link that leads out of the folder", "Put a file in its place.")
    before = _read(path, target)
    return AgentNotes(path, target, before, with_section(before or b"", path))


def with_section(content: bytes, path: Path) -> bytes:
    """The file's bytes with the section, at its place or at the end, in the file's own line ends. AgentNotesRefusedError."""
    line_end = b"\r\n" if b"\r\n" in content else b"\n"
    section = b"\n".join([_BEGIN, _SECTION.rstrip(b"\n"), _END]).replace(b"\n", line_end)
    begins, ends = content.count(_BEGIN_MARK), content.count(_END)
    if not begins and not ends:
        if not content:
            return section + line_end
        # An empty line comes between, whether the last line has an end or not.
        blank = line_end if content.endswith((b"\n", b"\r")) else line_end * 2
        return content + blank + section + line_end
    start, end = content.find(_BEGIN_MARK), content.find(_END)
    if begins != 1 or ends != 1 or end < start:
        raise AgentNotesRefusedError(
            path,
            f"does not have one line `{_BEGIN_MARK.decode()} … -->` and behind it one `{_END.decode()}`, but {begins} and {ends}",
            "Take these lines, and what `tt` wrote between them, out of the file; then call `tt init --agents` again.",
        )
    return content[:start] + section + content[end + len(_END) :]


def _read(path: Path, target: Path) -> bytes | None:
    """The file's bytes; None if there is no file."""
    try:
        with open_regular(target) as file:
            content = file.read(BYTES_MAX + 1)
    except FileNotFoundError:
        return None
    except OSError as error:
        raise FolderRefusedError(path, error) from error
    if len(content) > BYTES_MAX:
        raise AgentNotesRefusedError(path, f"has more than {BYTES_MAX:,} bytes", "Is it a text? Make it shorter.")
    return content
