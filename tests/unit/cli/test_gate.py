"""The gate: what passes, whoever writes, and what is written out."""

from __future__ import annotations

import io
import json
import sys
import traceback
import unicodedata

import pytest
import typer
from rich.console import Console

from cli.gate import close_gate, styled
from cli.output import json_line, say, say_error, say_table
from cli.text import json_visible, visible

JOINERS = "\u200c\u200d"


class Passed:
    """Closes the gate, and keeps what passes it."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self._streams = io.BytesIO(), io.BytesIO()
        for name, inner in zip(("stdout", "stderr"), self._streams, strict=True):
            monkeypatch.setattr(sys, name, io.TextIOWrapper(inner, encoding="utf-8", write_through=True))
        close_gate()

    @property
    def out(self) -> str:
        return self._streams[0].getvalue().decode()

    @property
    def err(self) -> str:
        return self._streams[1].getvalue().decode()


def test_visible_writes_out_all_that_unicode_calls_control_or_format() -> None:
    """The list is written down for speed; it has all of this Python's Unicode, and nothing that can be seen."""
    hidden = {
        char
        for char in map(chr, range(sys.maxunicode + 1))
        if unicodedata.category(char) in {"Cc", "Cf", "Cs", "Zl", "Zp"}
    }
    changed = {char for char in map(chr, range(sys.maxunicode + 1)) if visible(char, is_multiline=True) != char}
    assert hidden - changed == {"\n", *JOINERS}
    assert {unicodedata.category(char) for char in changed - hidden} <= {"Cn"}


def test_json_writes_the_same_characters_out_and_keeps_the_value() -> None:
    """A program reads what was stored, beyond the first plane too."""
    value = "a\x1b\x7f\x9b\xad\u202e\U000e0041\nb"
    line = json_line({"text": value})
    assert line.isprintable()
    assert json.loads(line) == {"text": value}
    assert json_visible("\u200d") == "\u200d"


def test_nothing_goes_round_the_gate(monkeypatch: pytest.MonkeyPatch) -> None:
    """Libraries, Python itself, and whoever forgot to make a text visible write to the same streams."""
    passed = Passed(monkeypatch)
    hostile = "\x1b]0;x\x07\x1b[31m\x9b1m\u202e\r"
    print(hostile)  # noqa: T201 - as a library may
    typer.echo(hostile)
    sys.stderr.writelines([hostile])
    traceback.print_exception(ValueError(hostile))
    say(hostile)
    say_error(hostile)
    say_table([hostile, "B"], [[hostile, "b"]])
    for shown in (passed.out, passed.err):
        assert shown.replace("\n", "").isprintable(), shown
        assert "\\x1b]0;x\\x07" in shown


def test_rich_passes_its_styles_and_movements_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    """Colours and a bar are drawn; a title, a link or a cleared screen is not."""
    passed = Passed(monkeypatch)
    Console(force_terminal=True, color_system="standard").print("word", style="red")
    styled(sys.stdout).write("\x1b[2K\x1b[1A\r\x1b]8;;evil\x1b\\x\x1b[2J\x1b[6n")
    assert passed.out == ("\x1b[31mword\x1b[0m\n\x1b[2K\x1b[1A\r\\x1b]8;;evil\\x1b\\x\\x1b[2J\\x1b[6n")


def test_bytes_do_not_pass(monkeypatch: pytest.MonkeyPatch) -> None:
    """A library that looks for the stream below finds none."""
    passed = Passed(monkeypatch)
    assert not hasattr(sys.stdout, "buffer")
    assert not hasattr(sys.stdout, "detach")
    with pytest.raises(TypeError):
        sys.stdout.write(b"x")  # type: ignore[arg-type]
    assert not passed.out


def test_closing_the_gate_twice_is_closing_it_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """What passes once passes as it is."""
    passed = Passed(monkeypatch)
    close_gate()
    say("grün \u200d\tx")
    assert passed.out == "grün \u200d\\x09x\n"
