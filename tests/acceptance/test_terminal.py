"""What reaches a terminal: never a control character of a task's text, colour only where it is wanted."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from rich.cells import cell_len

from tests.benchmarks.push import write_plan
from tests.support.terminal import each_on_terminal, on_terminal
from tests.support.tt import Tt
from town import PLAN_FILE

EVIL = "red \x1b[31m title \x1b]0;pwned\x07 bell \x07 back \x08 csi \x9b31m del \x7f bidi \u202e tab \t cr \r end"
RAW = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]")
COMMANDS = [
    ["tasks"],
    ["task", "list"],
    ["task", "show", "evil"],
    ["task", "history", "evil"],
    ["task", "current", "ada"],
    ["events"],
    ["log", "--no-pager"],
    ["log", "--stat", "--by", "task", "--no-pager"],
    ["replay", "--at", "now"],
    ["diff", "1"],
    ["blame", "evil"],
    ["why", "evil"],
    ["backlog", "list"],
    ["stats"],
    ["status", "--tasks"],
    ["search", "red", "--ever"],
    ["inbox"],
]


@pytest.fixture
def evil(tt: Tt, town: Path) -> None:
    """A town whose every text tries to command the terminal."""
    assert town.is_dir()
    tt("task", "create", EVIL, "--alias", "evil", "--agent", "ada", "--reason", EVIL)
    tt("task", "note", "evil", EVIL)
    tt("task", "complete", "evil", "--result", EVIL)
    tt("backlog", "add", EVIL)
    tt("task", "create", EVIL, "--alias", "asked", "--tag", "review")
    tt("ask", "asked", EVIL)


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
def test_terminal_gets_colour_and_no_foreign_sequence(town: Path) -> None:
    """On a terminal only our own colours are escape sequences; with NO_COLOR there are none."""
    for arguments, coloured in zip(COMMANDS, each_on_terminal(COMMANDS, town, {"TERM": "xterm-256color"}), strict=True):
        # The one answer here that has no heading, and so no style.
        assert ("\x1b[" in coloured) == (arguments != ["task", "current", "ada"]), arguments
        assert not RAW.search(re.sub(r"\x1b\[[0-9;]*m", "", coloured).replace("\r\n", "")), arguments
    for plain in each_on_terminal(COMMANDS, town, {"TERM": "xterm-256color", "NO_COLOR": "1"}):
        assert plain
        assert "\x1b[" not in plain


@pytest.mark.parametrize("columns", [80, 40])
def test_lists_fit_the_terminal(tt: Tt, town: Path, columns: int) -> None:
    """Tables, logs and trees are cut or go on below; they once ran over the edge in `events`, `history` and `tree`."""
    words = "漢字 and — long words ⏳ " * 9
    tt(
        "task",
        "create",
        words,
        "--alias",
        "an-alias-of-some-length",
        "--agent",
        "an agent of some length",
        "--tag",
        "t" * 30,
    )
    for depth in range(9):
        tt(
            "task",
            "create",
            words,
            "--alias",
            f"level-{depth}",
            "--parent",
            "an-alias-of-some-length" if not depth else f"level-{depth - 1}",
        )
    tt("task", "note", "level-0", words)
    tt("task", "cancel", "level-0", "--reason", words)
    commands = [
        ["tasks"],
        ["task", "list"],
        ["task", "tree"],
        ["task", "history", "level-0"],
        ["backlog", "list"],
        ["events"],
        ["log", "--no-pager"],
        ["log", "--by", "task", "--no-pager"],
        ["log", "--stat", "--by", "task", "--no-pager"],
    ]
    screen = {"TERM": "xterm", "NO_COLOR": "1", "COLUMNS": str(columns)}
    for command, shown in zip(commands, each_on_terminal(commands, town, screen), strict=True):
        lines = shown.replace("\r", "").splitlines()
        assert len(lines) > 3, command
        assert [line for line in lines if cell_len(line) > columns] == [], command


def test_bar_of_a_large_push_counts_all_of_its_events(town: Path) -> None:
    """From none to all of them, and gone before the command says what it did. It once left out the first batch."""
    write_plan(town / PLAN_FILE, 3_000)
    shown = on_terminal(["sync", "push"], town, {"TERM": "xterm-256color", "NO_COLOR": "1"})
    counts = [(int(done), int(total)) for done, total in re.findall(r"(\d+)/(\d+)", shown)]
    assert counts[0] == (0, 6_000)
    assert {total for _, total in counts} == {6_000}
    assert counts == sorted(counts)
    assert len(set(counts)) > 2
    assert "3,000 created" in shown[shown.rindex("/6000") :]
