"""Output without Rich, where nobody looks, is what Rich prints there."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from cli.output import Cell, say, say_error, say_fields, say_table, warn
from cli.styled import Styled

TABLE: list[list[Cell]] = [
    ["550e8400", Styled.of("📌 assigned", "cyan"), "Implement it\nin two lines"],
    ["漢字", Styled.of("⚠️ odd", "red"), "\x1b[31mred\x1b[0m and [bold]no markup[/bold] :smile:"],
    ["", "—", "trailing blanks   "],
]


def _table() -> None:
    say_table(["TASK", "STATE", "DESCRIPTION"], TABLE, flexible="DESCRIPTION")


def _lines() -> None:
    say()
    say("two", Styled.of("parts", "bold"))
    say("\x07 bell, \t tab and https://example.org/?a=1 'quoted' 123")
    say("x" * 300)


def _fields() -> None:
    say_fields([("Task", "1"), ("Result", Styled.of("a\nb", "red")), ("State", "a\nb")], multiline={"Result"})


def _on_stderr() -> None:
    warn("First line\nand \x1b second")
    say_error("What happened")


@pytest.mark.parametrize("print_it", [_table, _lines, _fields, _on_stderr])
def test_output_in_a_pipe_is_the_same_with_and_without_rich(
    print_it: Callable[[], None], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Every character and blank is as Rich prints it to something that is no terminal."""
    for word in ("FORCE_COLOR", "TTY_COMPATIBLE"):
        monkeypatch.delenv(word, raising=False)
    print_it()
    plain = capsys.readouterr()
    # Rich is used, and finds no terminal.
    monkeypatch.setenv("TTY_COMPATIBLE", "0")
    print_it()
    rich = capsys.readouterr()
    assert plain == rich
    assert plain.out or plain.err


def test_colours_that_are_asked_for_are_given_in_a_pipe_too(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """FORCE_COLOR makes a pipe a terminal, as it does for other programs."""
    monkeypatch.delenv("NO_COLOR", raising=False)
    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.setenv("TERM", "xterm")
    _table()
    assert "\x1b[36m📌 assigned" in capsys.readouterr().out
