"""Tinytown's words become ours, or lead to a line that says what does that."""

from __future__ import annotations

import re

import pytest

from cli.tinytown_words import HINTS, SAME, hint_for, in_our_words
from tests.support.cli_reference import command_names
from tests.support.markdown import DOCS

TABLE: list[tuple[str, str]] = [
    ("", ""),
    ("--version", "--version"),
    ("-V", "--version"),
    ("-v tasks", "tasks"),
    ("--verbose --town x tasks --json", "tasks --town x --json"),
    ("--town=x task show 1", "task show --town x 1"),
    ("-t x assign ada text", "assign --town x ada text"),
    ("-t x task", "task --town x"),
    ("-t x init -n demo", "init --town x -n demo"),
    ("-t x towns", "towns"),
    ("-t x work ada -- prog --town y", "work --town x ada -- prog --town y"),
    ("--town", "--town"),
    ("sync", "sync push"),
    ("-t x sync", "sync push --town x"),
    ("sync push", "sync push"),
    ("sync pull --json", "sync pull --json"),
    ("sync --force", "sync push --force"),
    ("sync --help", "sync --help"),
    ("history -n 5 --agent ada", "events -n 5 --agent ada"),
    ("list", "status --tasks"),
    ("-v recover", "recover"),
    ("-v list", "status --tasks"),
    ("help task", "task --help"),
    ("work list -- spawn", "work list -- spawn"),
]


@pytest.mark.parametrize(("typed", "ours"), TABLE)
def test_words_become_ours(typed: str, ours: str) -> None:
    """What stands before the command goes behind it, and a word of Tinytown's becomes the command that does it."""
    assert in_our_words(typed.split()) == ours.split()


def test_no_word_of_ours_is_taken_for_tinytowns() -> None:
    """A command of this program is carried out, whatever Tinytown means by its name."""
    ours = {names[0] for names in command_names() if names}
    assert not ours & (HINTS.keys() | SAME.keys())


@pytest.mark.parametrize("word", sorted(HINTS))
def test_other_words_are_answered_in_one_line(word: str) -> None:
    """The line names the word, and says what does that here, or that Tinytown's own program does."""
    hint = hint_for([word, "--anything"])
    assert hint is not None
    assert hint.startswith(f"`tt {word}` is a command of Tinytown's. ")
    assert "\n" not in hint
    assert re.search(r"`tt \w|Tinytown's own program|docs/", hint.partition(". ")[2])


def test_options_of_tinytowns_are_answered_too() -> None:
    """But not those of a program that `tt work` runs."""
    assert "leave out --hash" in str(hint_for(["migrate", "--hash", "--force"]))
    assert hint_for(["migrate", "--force"]) is None
    assert hint_for(["events", "--", "--mission"]) is None


def test_upgrade_guide_has_every_word() -> None:
    """Whoever looks up a word of Tinytown's finds it in the table."""
    page = (DOCS / "howto" / "upgrade-from-tinytown.md").read_text(encoding="utf-8")
    words = set(re.findall(r"^\| `tt ([a-z-]+)", page, re.MULTILINE))
    hidden = {"agent-loop"}
    assert (HINTS.keys() | SAME.keys()) - hidden <= words
    assert words >= TINYTOWNS


TINYTOWNS = frozenset(
    [
        "bootstrap",
        "init",
        "spawn",
        "list",
        "assign",
        "status",
        "start",
        "stop",
        "reset",
        "kill",
        "interrupt",
        "wait",
        "resume",
        "close",
        "prune",
        "task",
        "tasks",
        "inbox",
        "send",
        "conductor",
        "plan",
        "sync",
        "save",
        "restore",
        "config",
        "history",
        "recover",
        "towns",
        "backlog",
        "reclaim",
        "restart",
        "auth",
        "migrate",
        "mission",
        "events",
        "help",
    ]
)
"""The commands of Tinytown 0.6 and 0.10."""
