"""A name that the town has not seen is pointed out on stderr, and is never an error."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.tt import Tt
from town.reading.names import close_names


@pytest.fixture
def worker(tt: Tt, town: Path) -> str:
    """An agent that the town knows."""
    assert town.is_dir()
    first = tt("assign", "worker-1", "Build it", "--tag", "backend")
    # The first agent of a town cannot be a mistake for another.
    assert (first.code, first.err) == (0, "")
    return "worker-1"


@pytest.mark.parametrize(
    "words",
    [
        ("assign", "worker1", "Test it"),
        ("task", "create", "Test it", "--agent", "worker1"),
        ("backlog", "assign-all", "worker1"),
        ("work", "worker1", "--once", "--", "true"),
    ],
    ids=lambda words: words[0],
)
def test_new_agent_is_pointed_out_with_the_one_it_may_be(tt: Tt, worker: str, words: tuple[str, ...]) -> None:
    """It made a second agent, silently. The command does its work all the same, and says so once."""
    assert tt("backlog", "add", "Somebody's").code == 0
    ran = tt(*words)
    assert ran.code == 0
    assert f"New agent worker1; {worker} exists." in ran.err
    assert "New agent" not in tt("assign", "worker1", "And this").err


def test_new_agent_that_is_like_no_other_is_named_alone(tt: Tt, worker: str) -> None:
    """worker-2 is no mistake for worker-1. Words in a wrong order show."""
    assert worker == "worker-1"
    assert tt("assign", "worker-2", "Test it").err == "New agent worker-2.\n"
    assert tt("assign", "Test it", worker).err == "New agent Test it.\n"


def test_new_actor_is_pointed_out_only_if_another_is_spelled_alike(tt: Tt, worker: str) -> None:
    """People come and go; an agent that acts under another spelling is a mistake."""
    assert worker == "worker-1"
    assert tt("backlog", "add", "a", "--actor", "Worker_1").err == "New actor Worker_1; worker-1 exists.\n"
    assert tt("backlog", "add", "b", "--actor", "Worker_1").err == ""
    assert tt("backlog", "add", "c", "--actor", "grace").err == ""


@pytest.mark.parametrize(
    ("words", "hint"),
    [
        (("task", "list", "--agent", "worker1"), "No task has the agent worker1; worker-1 exists."),
        (("task", "list", "--agent", "zed"), "No task has the agent zed."),
        (("task", "list", "--agent", "zed", "--at", "1"), "No task had the agent zed."),
        (("task", "list", "--tag", "backnd"), "No task has the tag backnd; backend exists."),
        (("tasks", "--agent", "worker1"), "No task has the agent worker1; worker-1 exists."),
        (("task", "current", "worker1"), "No task has the agent worker1; worker-1 exists."),
        (("events", "--agent", "worker1"), "No task has the agent worker1; worker-1 exists."),
        (("events", "--actor", "worker1"), "None of the last events is by worker1; worker-1 exists."),
        (("log", "--agent", "worker1"), "No task has the agent worker1; worker-1 exists."),
        (("log", "--stat", "--actor", "worker1"), "None of the last events is by worker1; worker-1 exists."),
        (("search", "build", "--tag", "backnd"), "No task has the tag backnd; backend exists."),
        (("stats", "--agent", "worker1"), "No task has the agent worker1; worker-1 exists."),
        (("diff", "1", "--agent", "worker1"), "No task has the agent worker1; worker-1 exists."),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, tuple) else "",
)
@pytest.mark.parametrize("form", [(), ("--json",)], ids=["text", "json"])
def test_unknown_name_in_a_filter_is_pointed_out(
    tt: Tt, worker: str, words: tuple[str, ...], hint: str, form: tuple[str, ...]
) -> None:
    """Nothing was found, and nothing said why. The answer on stdout stays as it is."""
    assert worker == "worker-1"
    ran = tt(*words, *form)
    assert ran.code == 0
    assert hint in ran.err


def test_known_name_that_finds_nothing_is_not_pointed_out(tt: Tt, worker: str) -> None:
    """The agent is there; it has nothing that fits."""
    assert tt("task", "list", "--agent", worker, "--state", "failed").err == ""


def test_hostile_name_is_written_out(tt: Tt, worker: str) -> None:
    """A filter takes any text, and a terminal obeys none."""
    assert worker == "worker-1"
    assert "\x1b" not in tt("events", "--actor", "wor\x1b[31mker-1").err


@pytest.mark.parametrize(
    ("name", "close"),
    [
        ("worker1", ("worker-1",)),
        ("Worker_1", ("worker-1",)),
        ("wroker-1", ("worker-1",)),
        ("worker-2", ()),
        ("worker-01", ("worker-1",)),
        ("ada", ()),
        ("алёна", ("Алёна",)),
    ],
)
def test_names_are_close_if_they_may_be_meant_for_each_other(name: str, close: tuple[str, ...]) -> None:
    """Case and what stands between letters count little, a slip of the hand too; another number is another agent."""
    assert close_names(name, ["worker-1", "reviewer", "Алёна"]) == close
