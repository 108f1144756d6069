"""What is given twice: refused by every command if it takes one value, else taken as help says. No value silently wins."""

from __future__ import annotations

from itertools import product
from pathlib import Path
from typing import Any

import pytest
from typer.exceptions import TyperException

from cli.call_table import CALLS
from cli.calls import call_of
from tests.support.cli_reference import commands
from tests.support.tt import Tt

COMMANDS = {" ".join(names): (names, command) for names, command in commands()}


def options_of(command: Any) -> list[Any]:
    return [each for each in command.params if each.param_type_name == "option"]


@pytest.mark.parametrize("name", COMMANDS)
def test_option_that_takes_one_value_is_refused_twice(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    """Every option of every command, by each two of its names, in both spellings: a mistake that names the option."""
    names, command = COMMANDS[name]
    arguments = ["x" for each in command.params if each.param_type_name == "argument" for _ in range(each.required)]
    tried = 0
    for option in options_of(command):
        if option.multiple or option.is_flag:
            continue
        for (first, second), joined in product(product(option.opts, repeat=2), (False, True)):
            words = [f"{first}=1", f"{second}=2"] if joined and first.startswith("--") else [first, "1", second, "2"]
            if option.name == "as_json":
                words = [f"{first}=id", f"{second}=state"] if joined else [first, second]
            with pytest.raises(TyperException) as refused:
                command.main([*words, *arguments], prog_name="tt", standalone_mode=False)
            assert f"Option '{' / '.join(option.opts)}' is given 2 times" in refused.value.format_message()
            assert refused.value.exit_code == 2
            tried += 1
            if names in CALLS:
                assert call_of([*names, *arguments, *words]) is None
    assert tried or not any(not option.is_flag for option in options_of(command))
    assert capsys.readouterr().out == ""


@pytest.mark.parametrize("name", COMMANDS)
def test_option_that_may_be_repeated_says_so(name: str) -> None:
    """In its help."""
    _, command = COMMANDS[name]
    for option in options_of(command):
        if option.multiple:
            assert "repeated" in option.help or "several times" in option.help, option.opts


@pytest.mark.parametrize("words", [("--wait", "--no-wait"), ("--no-wait", "--wait")])
def test_flag_that_is_turned_on_and_off_is_refused(tt: Tt, town: Path, words: tuple[str, str]) -> None:
    """The later one would win."""
    assert town.is_dir()
    ran = tt("stop", *words)
    assert ran.code == 2
    assert "Option '--wait / --no-wait' is given 2 times" in " ".join(ran.err.split())


def test_town_named_twice_before_the_command_is_refused(tt: Tt, town: Path) -> None:
    """Also once before the command and once behind it, as Tinytown's users may; nothing is done."""
    for words in (
        ("--town", "a", "-t", str(town), "tasks"),
        ("--town=a", "tasks", "--town", str(town)),
        ("-t", "a", "task", "create", "x", "--town", str(town)),
    ):
        ran = tt(*words)
        assert ran.code == 2
        assert "Option '--town' is given 2 times" in ran.err
    assert tt("task", "list", "--json").json["total"] == 0


def test_help_is_shown_whatever_is_repeated(tt: Tt) -> None:
    """Somebody who asks for help is not told of mistakes."""
    ran = tt("task", "list", "--agent", "a", "--agent", "b", "--help")
    assert ran.code == 0
    assert "--agent" in ran.out


def test_value_that_looks_like_an_option_is_a_value(tt: Tt, town: Path) -> None:
    """`--json` behind an option that takes a value is that value, as it ever was."""
    assert town.is_dir()
    assert tt("task", "create", "One", "--reason", "--json").out.startswith("⏳")
    assert tt("task", "create", "--json", "--", "--json").json["task"]["description"] == "--json"
