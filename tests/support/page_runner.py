"""Runs the examples of a page of documentation, in order, in an empty folder, and compares what they print.

- A ```console block holds commands, each behind `$ `, with further lines of it behind `> `, and what each prints below.
- A ```python block is executed. All blocks of a page share their names, and run in the folder the shell is in. A
  ```text block right after it is what it prints.

Other blocks are not run. `python -m tests.support.page_runner PAGE …` writes what was printed into the page.
"""

from __future__ import annotations

import contextlib
import io
import os
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Final, NamedTuple

from tests.support.bindings import ANYTHING, Bindings
from tests.support.markdown import Block, blocks, page_name
from tests.support.shell_session import Outcome, ShellSession
from tests.support.towns import end_server

FOLDER_NAME: Final = "my-town"
READERS_HOME: Final = "/home/you"
"""Stands in pages for the folder above the one that examples run in."""

_LOOKS_MAX: Final = 5
_UNREACHABLE: Final = "that nobody can reach"
"""What `tt doctor` says of a server whose socket is not there yet, or not any more, and of one that somebody left so."""
_NONE_LEFT: Final = "✅   orphans      no server runs whose folder or socket is gone"
_PROMPT: Final = "$ "
_CONTINUED: Final = "> "


class Example(NamedTuple):
    """A command and the lines it prints, with the number of the first of them within its block."""

    command: str
    expected: tuple[str, ...]
    first_line: int


class Printed(NamedTuple):
    """What stands in a page from line `start` up to `stop` and what was printed in its place; `problem` says what differs."""

    start: int
    stop: int
    lines: list[str]
    problem: str | None


def run_page(page: Path, above: Path) -> list[Printed]:
    """Run all examples of a page in the new folder `my-town` in `above`; no server is left behind.

    AssertionError where a command fails although the page shows no error.
    """
    folder = above / FOLDER_NAME
    folder.mkdir()
    scratch = above / "scratch"
    scratch.mkdir()
    try:
        with ShellSession(folder, home=Path(os.environ["HOME"]), scratch=scratch) as shell:
            return list(_PageRun(shell, above, folder).run(blocks(page.read_text(encoding="utf-8"))))
    finally:
        for settings in above.rglob("tinytown.toml"):
            end_server(settings.parent)


def examples(block: Block) -> list[Example]:
    """The commands of a console block with what they print."""
    found: list[Example] = []
    command: list[str] = []
    expected: list[str] = []
    first_line = 0
    for number, line in enumerate((*block.lines, _PROMPT)):
        if line.startswith(_PROMPT):
            if command:
                found.append(Example("\n".join(command), tuple(expected), first_line))
            command, expected, first_line = [line.removeprefix(_PROMPT)], [], number + 1
        elif line.startswith(_CONTINUED) and not expected:
            command.append(line.removeprefix(_CONTINUED))
            first_line = number + 1
        else:
            expected.append(line)
    return found


class _PageRun:
    def __init__(self, shell: ShellSession, above: Path, folder: Path) -> None:
        self._shell = shell
        self._above = above
        self._folder = folder
        self._bindings = Bindings()
        self._names: dict[str, Any] = {"__name__": "page"}

    def run(self, found: list[Block]) -> Iterator[Printed]:
        for index, block in enumerate(found):
            if block.language == "console":
                yield from self._run_console(block)
            elif block.language == "python":
                printed = self._run_python(block)
                following = found[index + 1] if index + 1 < len(found) else None
                is_shown = following is not None and following.language == "text" and _follows(following, block)
                if following is not None and is_shown:
                    yield self._compare(following.lines, printed, following.first_line)
                elif printed:
                    yield Printed(0, 0, printed, f"a python block prints {printed[0]!r}, and the page shows no output")

    def _run_console(self, block: Block) -> Iterator[Printed]:
        for example in examples(block):
            outcome = self._outcome(self._bindings.fill(example.command))
            self._folder = outcome.folder
            is_shown_to_fail = any("Error" in line or line.strip() == ANYTHING for line in example.expected)
            printed = "\n".join(outcome.lines)
            assert outcome.code == 0 or is_shown_to_fail, f"{example.command} ended with {outcome.code}: {printed}"
            yield self._compare(example.expected, outcome.lines, block.first_line + example.first_line)

    def _outcome(self, command: str) -> Outcome:
        """What the command led to. A look at all servers of the machine is repeated while one of another test comes or goes."""
        for _ in range(_LOOKS_MAX):
            outcome = self._shell.run(command)
            if not (command.startswith("tt doctor") and any(map(self._is_of_others, outcome.lines))):
                return outcome
        return outcome._replace(lines=_without_orphans(outcome.lines, self._is_of_others))

    def _is_of_others(self, line: str) -> bool:
        """Whether it tells of a server that nobody can reach, and that is none of the page's."""
        return _UNREACHABLE in line and str(self._above) not in line

    def _run_python(self, block: Block) -> list[str]:
        printed = io.StringIO()
        program = compile(self._bindings.fill(block.text), f"<python block at line {block.first_line}>", "exec")
        with contextlib.chdir(self._folder), contextlib.redirect_stdout(printed):
            exec(program, self._names)
        return printed.getvalue().splitlines()

    def _compare(self, expected: tuple[str, ...], actual: list[str], first_line: int) -> Printed:
        lines = [line.replace(str(self._above), READERS_HOME).rstrip() for line in actual]
        problem = self._bindings.compare(expected, lines)
        if problem is not None:
            # Bind what can be bound, so that one wrong line does not spoil all that follow, nor a page being written.
            for shown, found in zip(expected, lines, strict=False):
                self._bindings.bind(shown, found)
        shown_lines = [self._bindings.as_on_page(line) for line in lines]
        return Printed(first_line, first_line + len(expected), shown_lines, problem)


def _without_orphans(lines: list[str], is_of_others: Callable[[str], bool]) -> list[str]:
    """The table of `tt doctor` as it is on a machine where nobody has left a server behind."""
    first = next(number for number, line in enumerate(lines) if is_of_others(line))
    return [
        _NONE_LEFT if number == first else line
        for number, line in enumerate(lines)
        if number == first or not is_of_others(line)
    ]


def _follows(block: Block, before: Block) -> bool:
    """Whether nothing but an empty line stands between the two blocks."""
    return block.first_line - (before.first_line + len(before.lines)) <= 3


def _write_outputs(page: Path) -> None:
    with tempfile.TemporaryDirectory() as above:
        os.environ["HOME"] = above
        found = run_page(page, Path(above))
    lines = page.read_text(encoding="utf-8").splitlines()
    for printed in reversed(found):
        if printed.problem is not None:
            lines[printed.start : printed.stop] = printed.lines
    page.write_text("\n".join(lines) + "\n", encoding="utf-8")
    changed = sum(printed.problem is not None for printed in found)
    sys.stdout.write(f"{page_name(page)}: {len(found)} examples, {changed} written anew\n")


if __name__ == "__main__":
    for name in sys.argv[1:]:
        _write_outputs(Path(name).resolve())
