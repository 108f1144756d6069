"""Command lines that are read without Typer mean what Typer takes them for, and all others are left to it."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from functools import cache, wraps
from importlib import import_module
from pathlib import Path
from typing import Any, Final

import pytest
import typer
import typer.main
from hypothesis import given, settings
from hypothesis import strategies as st
from typer.exceptions import TyperException

from cli.call_table import CALLS
from cli.calls import Call, call_of
from cli.json_fields import JsonFields
from cli.tree import PLACES, app_for
from ledger import State
from projections import Sort
from tests.support import call_table

ID: Final = "550e8400"
_VALUES: Final = (
    ID,
    "worker-1",
    "a b",
    "line\nbreak",
    "",
    " ",
    "5",
    "0",
    "007",
    "+5",
    "1_0",
    "٣",
    "9999999999",
    "pending",
    "PENDING",
    "updated",
    "id,state",
    "id,",
    "State.PENDING",
    ".",
    "~",
    "a=b",
    "\udc80",
    "@file",
)
_ODD: Final = (
    "-",
    "--",
    "-x",
    "-h",
    "--help",
    "--jso",
    "--json=1",
    "--no-json",
    "--agent=",
    "--tag=a=b",
    "--at",
    "--version",
)


def test_table_is_what_the_commands_say() -> None:
    """The generated file is as `make docs` writes it: no command or option is another than Typer has."""
    assert call_table.FILE.read_text(encoding="utf-8") == call_table.table()


@pytest.mark.parametrize(
    ("words", "function", "expected"),
    [
        (["assign", "ada", "Write it"], "assign", {"agent": "ada", "text": "Write it"}),
        (["assign", "ada", "T", "--tag", "a", "--tag=b"], "assign", {"agent": "ada", "text": "T", "tag": ["a", "b"]}),
        (["tasks"], "tasks", {}),
        (["task", "show", ID, "--json"], "show", {"task": ID, "as_json": JsonFields()}),
        (["task", "list", "--json=id,state"], "list_", {"as_json": JsonFields(("id", "state"))}),
        (["task", "list", "--sort", "updated", "--reverse"], "list_", {"sort": Sort.UPDATED, "is_reversed": True}),
        (["task", "show", "--town", "/tmp/t", ID], "show", {"task": ID, "town": Path("/tmp/t")}),
        (["task", "start", ID, "--expect", "3"], "start", {"task": ID, "expect": 3}),
        (["task", "list", "--state", "running"], "list_", {"state": [State.RUNNING]}),
        (
            ["task", "list", "--state", "running", "--state=failed", "--tag", "a", "--tag", "b", "--not-tag", "c"],
            "list_",
            {"state": [State.RUNNING, State.FAILED], "tag": ["a", "b"], "not_tag": ["c"]},
        ),
        (["task", "history", ID], "history", {"task": ID}),
        (["search", "login", "--ever", "page"], "search", {"words": ["login", "page"], "is_ever": True}),
    ],
)
def test_common_command_lines_need_no_typer(words: list[str], function: str, expected: dict[str, Any]) -> None:
    """What agents type all day is read from the table."""
    call = call_of(words)
    assert call is not None
    assert (call.function, call.given) == (function, expected)


@pytest.mark.parametrize(
    "words",
    [
        [],
        ["task"],
        ["task", "--help"],
        ["task show", ID],
        ["tas"],
        ["work", "ada", "--", "true"],
        ["task", "show"],
        ["search"],
        ["task", "show", ID, "b"],
        ["task", "show", ID, "--at", "2h"],
        ["task", "show", ID, "--json", "--json"],
        ["task", "show", "--", ID],
        ["task", "show", ID, "--town"],
        ["task", "list", "--limit", "0"],
        ["task", "list", "--state", "open"],
        ["task", "list", "--sort", "age"],
        ["task", "list", "--agent", "a", "--agent", "b"],
        ["task", "list", "--limit", "1", "--limit", "2"],
        ["task", "list", "--json=titel"],
        ["task", "list", "--json="],
        ["task", "list", "--json=id", "--json"],
        ["task", "list", "--json", "id"],
        ["task", "note", ID, "-1"],
    ],
)
def test_what_may_mean_more_is_left_to_typer(words: list[str]) -> None:
    """Help, mistakes, odd values and other commands are for Typer to answer."""
    assert call_of(words) is None


def test_completion_is_left_to_typer(monkeypatch: pytest.MonkeyPatch) -> None:
    """A shell that asks for completions is answered by Typer, whatever the words are."""
    monkeypatch.setenv("_TT_COMPLETE", "complete_bash")
    assert call_of(["tasks"]) is None


@st.composite
def command_lines(draw: st.DrawFn) -> list[str]:
    """Words of a command of the table: mostly its own options with values, and now and then anything else."""
    names = draw(st.sampled_from(sorted(CALLS)))
    option = st.sampled_from([*CALLS[names][4], *_ODD])
    value = st.sampled_from(_VALUES)
    part = st.one_of(
        st.tuples(option, value),
        st.tuples(option),
        st.tuples(value),
        st.builds("{}={}".format, option, value).map(lambda word: (word,)),
    )
    arguments = [draw(value) for _ in CALLS[names][2]]
    return [*names, *arguments, *(word for words in draw(st.lists(part, max_size=3)) for word in words)]


@settings(max_examples=300, deadline=None)
@given(line=command_lines())
def test_what_is_read_is_what_typer_reads(line: list[str]) -> None:
    """A command line either falls through, or calls the same function with the same values as Typer does."""
    call = call_of(line)
    if call is not None:
        assert _filled(call) == _typers(line)


def test_every_value_of_an_option_is_read_as_typer_reads_it() -> None:
    """Every option with every value above, plain and odd: read as Typer reads it, or left to Typer."""
    places = {(option, *shape): names for names, (*_, options) in CALLS.items() for option, shape in options.items()}
    for (option, *_), names in places.items():
        for value in (*_VALUES, *_ODD):
            line = [*names, *(ID for _ in CALLS[names][2]), option, value]
            call = call_of(line)
            assert call is None or _filled(call) == _typers(line), line


def test_every_call_is_met_with_all_its_options() -> None:
    """The comparison above is not empty: each command is read with one of each of its options, as Typer reads it."""
    for names, (_, _, arguments, _, options) in CALLS.items():
        values = {"text": ["x"], "texts": ["x"], "number": ["7"], "path": ["."], "flag": [], "fields": []}
        values |= {"states": ["failed"], "link": ["needs"], "sort": ["updated"]}
        words = [word for option, (_, kind, *_) in options.items() for word in (option, *values[kind])]
        line = [*names, *(ID for _ in arguments), *words]
        call = call_of(line)
        assert call is not None
        assert _filled(call) == _typers(line)


def _filled(call: Call) -> tuple[str, Mapping[str, Any]]:
    body = getattr(import_module(call.module), call.function)
    bound = inspect.signature(body).bind(**call.given)
    bound.apply_defaults()
    return call.function, bound.arguments


def _typers(line: list[str]) -> tuple[str, Mapping[str, Any]] | str:
    """The function that Typer calls, and with what; or its complaint."""
    names = next(names for names in (tuple(line[:2]), tuple(line[:1])) if names in PLACES)
    command, seen = _recorded(names)
    try:
        command(line, prog_name="tt", standalone_mode=False)
    except TyperException as error:
        return error.format_message()
    (given,) = seen
    seen.clear()
    return PLACES[names][1], given


@cache
def _recorded(names: tuple[str, ...]) -> tuple[Callable[..., Any], list[Mapping[str, Any]]]:
    """Typer's command, whose function keeps what it is given in place of doing it."""
    module, function = PLACES[names]
    body = getattr(import_module(f"cli.commands.{module}"), function)
    seen: list[Mapping[str, Any]] = []

    @wraps(body)
    def record(**given: Any) -> None:
        seen.append(given)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(f"cli.commands.{module}.{function}", record)
        # Not through the cache of `app_for`, which is for everybody.
        app: typer.Typer = app_for.__globals__["_app_with"].__wrapped__((names,))
        return typer.main.get_command(app), seen
