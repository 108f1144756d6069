"""What reaches a terminal: never a control character of a task's text, colour only where it is wanted."""

from __future__ import annotations

import os
import pty
import re
import select
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.tt import Tt

EVIL = "red \x1b[31m title \x1b]0;pwned\x07 bell \x07 back \x08 csi \x9b31m del \x7f bidi \u202e tab \t cr \r end"
RAW = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]")
COMMANDS = [
    ["tasks"],
    ["task", "list"],
    ["task", "show", "evil"],
    ["task", "history", "evil"],
    ["task", "current", "ada"],
    ["events"],
    ["replay", "--at", "now"],
    ["backlog", "list"],
    ["status", "--tasks"],
]


@pytest.fixture
def evil(tt: Tt, town: Path) -> None:
    """A town whose every text tries to command the terminal."""
    assert town.is_dir()
    tt("task", "create", EVIL, "--alias", "evil", "--agent", "ada", "--reason", EVIL)
    tt("task", "note", "evil", EVIL)
    tt("task", "complete", "evil", "--result", EVIL)
    tt("backlog", "add", EVIL)


@pytest.mark.usefixtures("evil")
@pytest.mark.parametrize("arguments", COMMANDS, ids=" ".join)
def test_control_characters_never_reach_the_terminal_raw(arguments: list[str], tt: Tt) -> None:
    """Tables, lines, details and JSON write them out."""
    for options in ([], ["--json"]):
        ran = tt(*arguments, *options)
        assert ran.code == 0
        assert not RAW.search(ran.out.replace("\n", "")), RAW.search(ran.out.replace("\n", ""))
    assert "\\x1b[31m" in tt("task", "show", "evil").out


@pytest.mark.usefixtures("evil")
def test_error_about_a_control_character_writes_it_out(tt: Tt) -> None:
    """What somebody typed wrong comes back in the error, harmless."""
    assert not RAW.search(tt("task", "show", "\x1b[31m\x9b").err.replace("\n", ""))


@pytest.mark.usefixtures("evil")
@pytest.mark.parametrize("arguments", COMMANDS, ids=" ".join)
def test_terminal_gets_colour_and_no_foreign_sequence(arguments: list[str], town: Path) -> None:
    """On a terminal only our own colours are escape sequences; with NO_COLOR there are none."""
    coloured = on_terminal(arguments, town, {"TERM": "xterm-256color"})
    # The one answer here that has no heading, and so no style.
    assert ("\x1b[" in coloured) == (arguments != ["task", "current", "ada"])
    assert not RAW.search(re.sub(r"\x1b\[[0-9;]*m", "", coloured).replace("\r\n", ""))
    assert "\x1b[" not in on_terminal(arguments, town, {"TERM": "xterm-256color", "NO_COLOR": "1"})


def on_terminal(arguments: list[str], folder: Path, environment: dict[str, str]) -> str:
    """What `tt` writes to a terminal of 100 columns."""
    ours, theirs = pty.openpty()
    process = subprocess.Popen(
        [sys.executable, "-m", "cli.main", *arguments],
        cwd=folder,
        env={**os.environ, "COLUMNS": "100", **environment},
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
    )
    os.close(theirs)
    written = b""
    try:
        while select.select([ours], [], [], 60)[0]:
            try:
                part = os.read(ours, 65_536)
            except OSError:
                break
            if not part:
                break
            written += part
    finally:
        os.close(ours)
        process.wait(timeout=60)
    assert process.returncode == 0, written
    return written.decode()
