"""Texts from stdin, files and editors: a title and a body go in as they are, and what cannot be read writes nothing."""

from __future__ import annotations

import io
import os
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.support.terminal import on_terminal
from tests.support.tt import Ran, Tt, run_process

BODY = "Fix the login\n\nIt fails with é, and\n  keeps its indent."


Typed = Callable[..., Ran]


@pytest.fixture
def typed(tt: Tt, monkeypatch: pytest.MonkeyPatch) -> Typed:
    """Runs a command whose stdin is a pipe with these bytes."""

    def run(stdin: str | bytes, *words: str) -> Ran:
        content = stdin if isinstance(stdin, bytes) else stdin.encode()
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(content)))
        return tt(*words)

    return run


def written(tt: Tt, alias: str) -> str:
    text: str = tt("task", "show", alias, "--json").json["task"]["description"]
    return text


COMMANDS = {
    "task create": ["task", "create"],
    "assign": ["assign", "ada"],
    "backlog add": ["backlog", "add"],
}


@pytest.mark.parametrize("words", COMMANDS.values(), ids=COMMANDS)
def test_text_comes_from_stdin_or_a_file(tt: Tt, typed: Typed, town: Path, words: list[str]) -> None:
    """Whole, without the line breaks at its end; lists show its title, `show` all of it."""
    (town / "text.md").write_text(f"\n{BODY}\n\n", encoding="utf-8")
    assert typed(f"{BODY}\n\n", *words, "-", "--alias", "one").code == 0
    assert tt(*words, "--file", "text.md", "--alias", "two").code == 0
    assert written(tt, "one") == BODY
    assert written(tt, "two") == f"\n{BODY}"
    assert [line.split("  ")[-1] for line in tt("task", "list").out.splitlines()[1:]] == ["Fix the login"] * 2
    assert "keeps its indent" in tt("task", "show", "one").out


@pytest.mark.usefixtures("town")
def test_other_texts_come_from_stdin_too(tt: Tt, typed: Typed) -> None:
    """Of an edit, a note, a question, its answer and an annotation."""
    tt("task", "create", "Old", "--alias", "one")
    for words in (
        ["task", "edit", "one"],
        ["task", "note", "one"],
        ["ask", "one"],
        ["answer", "one"],
        ["annotate", "1"],
    ):
        ran = typed(f"{BODY}\n", *words, "-")
        assert ran.code == 0, ran.err
    task = tt("task", "show", "one", "--json").json["task"]
    assert (task["description"], task["question"], task["answer"]) == (BODY,) * 3
    assert tt("log", "--task", "one", "--json").code == 0


@pytest.mark.parametrize(
    ("stdin", "problem"),
    [
        (b"\xff", "byte 0 is not UTF-8"),
        (b"a" * 65_537, "it has more than 65,536 bytes"),
        (b"a" * 65_536 + b"\n\nb", "it has more than 65,536 bytes"),
        (b"\n \n", "The description is empty"),
        (b"a\0b", "holds a NUL character"),
    ],
    ids=["not UTF-8", "too long", "too long after empty lines", "empty", "NUL"],
)
def test_bad_text_is_refused_and_nothing_is_written(
    tt: Tt, typed: Typed, town: Path, stdin: bytes, problem: str
) -> None:
    """From stdin and from a file alike; exit code 1."""
    (town / "bad").write_bytes(stdin)
    for ran in (typed(stdin, "task", "create", "-"), tt("task", "create", "--file", "bad")):
        assert (ran.code, ran.out) == (1, "")
        assert problem in ran.err
    assert tt("events", "--json").json["events"] == []


def test_longest_text_is_taken_whole(tt: Tt, typed: Typed, town: Path) -> None:
    """With a line break at its end; the mark before UTF-8 is no part of a text."""
    assert typed("a" * 65_536 + "\r\n", "task", "create", "-", "--alias", "one").code == 0
    assert written(tt, "one") == "a" * 65_536
    (town / "marked").write_bytes(b"\xef\xbb\xbfMarked\n")
    assert tt("task", "create", "--file", "marked", "--alias", "two").code == 0
    assert written(tt, "two") == "Marked"


@pytest.mark.usefixtures("town")
def test_closed_stdin_is_refused(tt: Tt, monkeypatch: pytest.MonkeyPatch) -> None:
    """A job that has no stdin is told what to give instead."""
    monkeypatch.setattr(sys, "stdin", None)
    ran = tt("task", "create", "-")
    assert ran.code == 2
    assert "Stdin is closed" in ran.err


def test_bad_file_is_refused(tt: Tt, town: Path) -> None:
    """A folder, a pipe and what is not there: at once, with its name."""
    os.mkfifo(town / "pipe")
    for name, problem in (("pipe", "not a regular file"), (".", "Is a directory"), ("none", "No such file")):
        ran = tt("task", "create", "--file", name)
        assert ran.code == 1
        assert f"No text can be read from {name}: " in ran.err
        assert problem in ran.err
    for words in (["task", "create"], ["task", "create", "a", "--file", "none"]):
        assert tt(*words).code == 2


def edit(town: Path, editor: str, *, code: int = 0) -> str:
    """What `tt task edit one` shows on a terminal; it ends with `code`."""
    environment = {"VISUAL": "", "EDITOR": editor, "NO_COLOR": "1"}
    return " ".join(on_terminal(["task", "edit", "one"], town, environment, code=code).split())


def test_edit_opens_the_editor(tt: Tt, town: Path) -> None:
    """With the whole text; what is saved replaces it, what is the same or from a failed editor does not."""
    tt("task", "create", BODY, "--alias", "one")
    assert "nothing was appended" in edit(town, "true")
    assert "it ended with exit code 1" in edit(town, "false", code=1)
    assert "does not start" in edit(town, "./no-such-editor", code=1)
    assert "is no command line" in edit(town, "vi '", code=2)
    assert "has a new description: Mend the login" in edit(town, "sed -i s/Fix/Mend/")
    assert written(tt, "one") == BODY.replace("Fix", "Mend")
    assert [event["type"] for event in tt("events", "--json").json["events"]] == ["task.created", "task.described"]


def test_edited_text_of_a_task_that_changed_meanwhile_is_kept(tt: Tt, town: Path) -> None:
    """Nothing is written over what the other did; the text lies in a file that is named."""
    tt("task", "create", "Old", "--alias", "one")
    script = town / "editor"
    theirs = f"{sys.executable} -m cli.main task edit one Theirs --actor bob"
    script.write_text(f'#!/bin/sh\n{theirs} >/dev/null\necho Mine > "$1"\n', encoding="utf-8")
    script.chmod(0o700)
    shown = edit(town, "./editor", code=3)
    assert written(tt, "one") == "Theirs"
    kept = Path(shown.partition("Your text is kept in ")[2].split()[0].rstrip("."))
    assert kept.read_text(encoding="utf-8") == "Mine\n"
    kept.unlink()
    kept.parent.rmdir()


@pytest.mark.parametrize("content", ["\\377", "%065537d"], ids=["not UTF-8", "too long"])
def test_edited_text_that_cannot_be_taken_is_kept(tt: Tt, town: Path, content: str) -> None:
    """What somebody wrote for an hour is not lost because the end of it is wrong."""
    tt("task", "create", "Old", "--alias", "one")
    script = town / "editor"
    script.write_text(f'#!/bin/sh\nprintf "{content}" > "$1"\n', encoding="utf-8")
    script.chmod(0o700)
    shown = edit(town, "./editor", code=1)
    kept = Path(shown.partition("Your text is kept in ")[2].split()[0].rstrip("."))
    assert kept.stat().st_size
    kept.unlink()
    kept.parent.rmdir()
    assert written(tt, "one") == "Old"


def test_file_of_the_editor_is_private_and_goes(tt: Tt, town: Path) -> None:
    """Also what the editor leaves beside it, and also if the text is empty, which is refused."""
    tt("task", "create", "Old", "--alias", "one")
    script = town / "editor"
    script.write_text(
        f'#!/bin/sh\nstat -c "%a %n" "$1" "$(dirname "$1")" > "{town}/seen"\ntouch "$1~"\n: > "$1"\n', encoding="utf-8"
    )
    script.chmod(0o700)
    shown = edit(town, "./editor", code=1)
    assert "The description is empty" in shown
    assert "is kept" not in shown
    (file_mode, file), (folder_mode, folder) = (line.split() for line in (town / "seen").read_text().splitlines())
    assert (file_mode, folder_mode) == ("600", "700")
    assert not Path(file).exists()
    assert not Path(folder).exists()


def test_keys_in_the_editor_do_not_end_the_command(tt: Tt, town: Path) -> None:
    """Ctrl-C reaches every program on the terminal; an editor that goes on with it saves what was written."""
    tt("task", "create", "Old", "--alias", "one")
    script = town / "editor"
    script.write_text('#!/bin/sh\nkill -INT $PPID\nkill -QUIT $PPID\necho New > "$1"\n', encoding="utf-8")
    script.chmod(0o700)
    assert "has a new description: New" in edit(town, "./editor")
    assert written(tt, "one") == "New"


def test_edit_needs_a_terminal(tt: Tt, town: Path) -> None:
    """Elsewhere it says how to give the text; nothing waits."""
    tt("task", "create", "Old", "--alias", "one")
    ran = run_process("task", "edit", "one", folder=town)
    assert ran.code == 2
    assert "needs a terminal" in " ".join(ran.err.split())
