"""No answer is cut silently: a page says that it is one, in JSON and on stderr, and how to get the rest."""

from __future__ import annotations

import inspect
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest

from cli.tree import PLACES
from tests.support.tt import Tt

BOUNDS = frozenset({"limit", "count"})
"""The parameters by which a command shows a part of its answer."""
PAGES: dict[str, list[str]] = {
    "tasks": ["--limit", "1"],
    "task list": ["--limit", "1"],
    "backlog list": ["--limit", "1"],
    "ready": ["--limit", "1"],
    "blocked": ["--limit", "1"],
    "events": ["--count", "1"],
    "log": ["--limit", "1"],
    "search task": ["--limit", "1"],
}
"""The commands whose JSON is a page, with options for a page of one."""
WHOLE: dict[str, tuple[list[str], str]] = {
    "task tree": (["--limit", "1"], "tasks"),
    "replay": (["--at", "now", "--limit", "1"], "tasks"),
    "diff": (["1", "--limit", "1"], "tasks"),
    "log --stat": (["--by", "task", "--limit", "1"], "groups"),
    "task history": (["first"], "events"),
    "why": (["first"], "causes"),
}
"""The commands whose JSON is always whole, with options for people, and the list that `total` counts."""


@pytest.fixture(autouse=True)
def _tasks(tt: Tt, town: Path) -> None:
    assert town.is_dir()
    tt("task", "create", "a", "--alias", "first", "--agent", "ada")
    for text in "bcd":
        tt("task", "create", f"{text}, a task")
        tt("task", "create", f"{text}, a task that waits", "--needs", "first")


def test_every_command_that_shows_a_part_is_held_here() -> None:
    """A new one is added to `PAGES` or `WHOLE`, and then held by the other tests; the inbox has a page of each kind."""
    bounded = {
        " ".join(names)
        for names, (module, function) in PLACES.items()
        if BOUNDS & set(inspect.signature(getattr(import_module(f"cli.commands.{module}"), function)).parameters)
    }
    assert bounded - {"work"} <= {*PAGES, *WHOLE, "search", "inbox"}


@pytest.mark.parametrize("command", PAGES)
def test_page_leads_to_the_next_one(tt: Tt, command: str) -> None:
    """`next` holds options by their names; following them shows everything once. stderr says the same to both readers."""
    shown: list[Any] = []
    options: list[str] = []
    for _ in range(20):
        ran = tt(*command.split(), *PAGES[command], *options, "--json")
        people = tt(*command.split(), *PAGES[command], *options)
        answer = ran.json
        shown += [each for name in ("tasks", "events", "agents", "hits") for each in answer.get(name, ())]
        assert answer["has_more"] is (answer["next"] is not None)
        assert ("More: --" in ran.err or "All: --all" in ran.err) is answer["has_more"]
        assert ("--" in people.err or "more:" in people.out) is answer["has_more"]
        if not answer["has_more"]:
            break
        assert len(answer["next"]) == 1
        if answer["next"] == {"all": True}:
            whole = tt(*command.split(), "--all", "--json").json
            assert (whole["has_more"], whole["next"]) == (False, None)
            assert sum(len(each["tasks"]) for each in whole["agents"]) == whole["total"]
            return
        [(name, value)] = answer["next"].items()
        options = [f"--{name}", str(value)]
    else:
        pytest.fail("the pages do not end")
    everything = tt(*command.split(), "--json").json
    names = [each.get("id", each.get("position")) for each in shown]
    all_names = [
        each.get("id", each.get("position"))
        for name in ("tasks", "events", "hits")
        for each in everything.get(name, ())
    ]
    assert sorted(names) == sorted(all_names)
    assert len(set(names)) == len(names) > 2


def test_inbox_has_a_page_of_each_kind(tt: Tt) -> None:
    """Each says how many there are and how to see all; people read the same."""
    for task in tt("task", "list", "--json").json["tasks"]:
        tt("task", "tag", task["id"], "--add", "review")
        tt("ask", task["id"], "Which?")
    found = tt("inbox", "--limit", "1", "--json").json
    for kind in ("questions", "reviews"):
        assert (found[kind]["total"], len(found[kind]["tasks"]), found[kind]["has_more"]) == (7, 1, True)
        assert found[kind]["next"] == {"limit": 7}
    assert "--limit" in tt("inbox", "--limit", "1").out + tt("inbox", "--limit", "1").err
    whole = tt("inbox", "--limit", "7", "--json").json
    assert [(whole[kind]["has_more"], len(whole[kind]["tasks"])) for kind in ("questions", "reviews")] == [
        (False, 7)
    ] * 2


@pytest.mark.parametrize("command", WHOLE)
def test_whole_answer_says_how_many_it_has(tt: Tt, command: str) -> None:
    """A limit is for people; a program gets all, and can tell."""
    options, name = WHOLE[command]
    answer = tt(*command.split(), *options, "--json").json
    assert answer["total"] == len(answer[name]) > 1
    assert "has_more" not in answer
