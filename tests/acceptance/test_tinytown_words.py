"""Tinytown's words on the command line: what they do here, and what they are answered with."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.tt import Tt
from town import Town
from town.runs.run_mark import new_mark


def test_town_and_verbosity_may_stand_before_the_command(tt: Tt, town: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As in Tinytown, from any folder; behind the command it works as ever."""
    monkeypatch.chdir("/")
    assert "📌" in tt("--verbose", "--town", str(town), "assign", "ada", "Write the docs").out
    assert tt("-v", f"--town={town}", "task", "list", "--json").json["total"] == 1
    assert tt("-t", str(town), "tasks").out == tt("tasks", "--town", str(town)).out


def test_words_about_tasks_do_what_they_did(tt: Tt, town: Path) -> None:
    """Tags with commas, a push without the word, the last events, the agents, and the plan to begin with."""
    assert tt("init", "-n", "demo").code == 0
    assert tt("backlog", "add", "Write the docs", "--tags", "a, b,,a", "--tag", "c").code == 0
    assert tt("task", "list", "--json").json["tasks"][0]["tags"] == ["a", "b", "c"]
    assert tt("plan", "-i").code == 0
    assert "a push would append: 1 created" in tt("sync", "--dry-run").out
    assert tt("sync").code == 0
    assert tt("sync").out == tt("sync", "push").out
    tt("assign", "ada", "Measure it")
    assert tt("history", "-n", "1").out == tt("events", "-c", "1").out != ""
    assert tt("list").out == tt("status", "--tasks").out
    deep = tt("status", "--deep").out
    assert deep.startswith(tt("list").out)
    assert "Measure it" in deep
    assert len(tt("status", "--deep", "--json").json["last_events"]) == len(tt("events", "--json").json["events"][-10:])
    # Tinytown's looks for lost agents; ours says where that is done.
    assert "`tt reclaim`" in tt("recover").out
    assert "Usage: tt task show" in tt("help", "task", "show").out
    assert town.is_dir()


def test_wait_for_an_agent_is_for_what_it_has_open(tt: Tt, town: Path) -> None:
    """It ends with 0 where the agent has nothing open; a name that is neither a task's nor an agent's is not found."""
    with Town.open(town) as opened:
        first = opened.create("First", agent="ada").task.id
        opened.create("Second", agent="bob")
        opened.create("Nobody's")
    ran = tt("wait", "ada", "--timeout", "0", "--json")
    assert (ran.code, [each["id"] for each in ran.json["tasks"]]) == (1, [first])
    tt("task", "complete", first)
    ran = tt("wait", "ada", "--timeout", "0")
    assert (ran.code, ran.out) == (0, "No open task to wait for.\n")
    assert tt("wait", "eve", "--timeout", "0").code == 1


def test_reclaim_from_an_agent_leaves_the_others_alone(tt: Tt, town: Path) -> None:
    """Two runners were lost; what one agent had goes back, and the other's stays."""
    with Town.open(town) as opened:
        for agent in ("ada", "bob"):
            task = opened.create(f"Of {agent}", agent=agent).task.id
            opened.start(task, agent=agent, run=new_mark())
    assert len(tt("reclaim", "--json").json["tasks"]) == 2
    moved = tt("reclaim", "--from", "ada", "--to-backlog", "--json").json["tasks"]
    assert [each["agent"] for each in moved] == ["ada"]
    assert [each["agent"] for each in tt("reclaim", "--json").json["tasks"]] == ["bob"]


@pytest.mark.parametrize("words", [("spawn", "ada"), ("prune",), ("-v", "mission", "start"), ("migrate", "--hash")])
def test_other_words_are_answered_with_one_line(words: tuple[str, ...], tt: Tt, folder: Path) -> None:
    """On stderr, with exit code 2; nothing is done."""
    ran = tt(*words)
    assert (ran.code, ran.out, ran.err.count("\n")) == (2, "", 1)
    assert "Tinytown's" in ran.err
    assert not list(folder.iterdir())
