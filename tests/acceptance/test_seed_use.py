"""The seed use, word for word, and a person's day with every command."""

from __future__ import annotations

import json
import re
from pathlib import Path

import redis

from tests.support.tt import Tt

TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z")


def test_seed_use_word_for_word(tt: Tt, town: Path) -> None:
    """`tt assign`, `tt tasks`, and the snapshot through ./redis.sock with a plain client is the JSON of DESIGN 5."""
    assert town.is_dir()
    assigned = tt("assign", "worker-1", "Implement user authentication")
    assert (assigned.code, assigned.err) == (0, "")
    assert "assigned to worker-1: Implement user authentication" in assigned.out

    listed = tt("tasks")
    assert listed.out.splitlines()[0] == "worker-1: 1 task"
    assert "📌 assigned  Implement user authentication" in listed.out

    client = redis.Redis(unix_socket_path="./redis.sock", decode_responses=True)
    keys = list(client.scan_iter("tt:demo:task:*"))
    snapshot = json.loads(str(client.get(keys[0])))
    client.close()
    assert keys == [f"tt:demo:task:{snapshot['id']}"]
    assert list(snapshot) == [
        "id",
        "description",
        "state",
        "assigned_to",
        "created_at",
        "updated_at",
        "started_at",
        "completed_at",
        "result",
        "parent_id",
        "tags",
        "alias",
        "version",
        "position",
        "created_number",
    ]
    assert TIME.fullmatch(snapshot.pop("created_at"))
    assert TIME.fullmatch(snapshot.pop("updated_at"))
    assert re.fullmatch(r"\d{13}-2", snapshot.pop("position"))
    assert len(snapshot.pop("id")) == 36
    assert snapshot == {
        "description": "Implement user authentication",
        "state": "assigned",
        "assigned_to": "worker-1",
        "started_at": None,
        "completed_at": None,
        "result": None,
        "parent_id": None,
        "tags": [],
        "alias": None,
        "version": 2,
    }


def test_task_walks_through_its_life(tt: Tt, town: Path) -> None:
    """Every verb of `tt task` does what its name says, and the history tells it all."""
    assert town.is_dir()
    steps: list[tuple[list[str], str]] = [
        (["create", "Build the login API", "--alias", "api", "--tag", "backend"], "pending"),
        (["assign", "api", "ada", "--reason", "She knows OAuth"], "assigned"),
        (["start", "api"], "running"),
        (["note", "api", "Tokens work"], "running"),
        (["assign", "api", "ben"], "assigned"),
        (["requeue", "api"], "pending"),
        (["start", "api", "--agent", "ada"], "running"),
        (["fail", "api", "--error", "No tokens"], "failed"),
        (["reopen", "api"], "pending"),
        (["edit", "api", "Build the login API, again"], "pending"),
        (["tag", "api", "--add", "security", "--remove", "backend"], "pending"),
        (["cancel", "api", "--reason", "Not now"], "cancelled"),
        (["reopen", "api"], "pending"),
        (["complete", "api", "--agent", "ada", "--result", "Merged"], "completed"),
    ]
    for arguments, state in steps:
        ran = tt("task", *arguments, "--json")
        assert ran.code == 0, ran.err
        assert ran.json["task"]["state"] == state, arguments
        assert ran.json["positions"], arguments
    again = tt("task", "complete", "api", "--result", "Merged")
    assert "nothing was appended" in again.out

    history = tt("task", "history", "api", "--json").json["events"]
    verbs = (
        "created assigned started noted assigned requeued assigned started failed reopened described tagged cancelled"
    )
    assert [event["type"].removeprefix("task.") for event in history] == [
        *verbs.split(),
        *["reopened", "assigned", "started", "completed"],
    ]
    assert [event["version"] for event in history] == list(range(1, 18))
    assert history[1]["reason"] == "She knows OAuth"
    assert {event["actor"] for event in history} == {"tester"}
    assert history[-1]["changes"] == [
        {"field": "state", "before": "running", "after": "completed"},
        {"field": "result", "before": None, "after": "Merged"},
    ]
    shown = tt("task", "history", "api").out
    assert "She knows OAuth" in shown
    assert "state: running → completed" in shown


def test_removed_task_keeps_its_history_and_comes_back(tt: Tt, town: Path) -> None:
    """A removed task is on no list; its history stays readable, and the same alias brings it back with versions that go on."""
    assert town.is_dir()
    id_ = tt("backlog", "add", "Paint the shed", "--alias", "shed", "--json").json["task"]["id"]
    assert tt("backlog", "remove", "shed").code == 0
    assert tt("task", "list", "--json").json["total"] == 0
    assert tt("task", "show", "shed").code == 1
    for name in ("shed", id_, id_[:10]):
        assert [each["type"] for each in tt("task", "history", name, "--json").json["events"]] == [
            "task.created",
            "task.removed",
        ]
    assert tt("backlog", "add", "Paint the shed green", "--alias", "shed", "--json").json["task"]["version"] == 3
    assert tt("task", "show", id_, "--at", "1", "--json").json["task"]["description"] == "Paint the shed"


def test_list_combines_filters_and_pages(tt: Tt, town: Path) -> None:
    """State, agent, tag and parent narrow the list together, oldest first, page by page."""
    assert town.is_dir()
    tt("task", "create", "Parent", "--alias", "top")
    for number in range(6):
        agent = ("ada", "ben")[number % 2]
        tt("assign", agent, f"Task {number}", "--tag", f"t{number % 3}", *(["--parent", "top"] if number < 4 else []))
    found = tt("task", "list", "--agent", "ada", "--tag", "t0", "--parent", "top", "--state", "assigned", "--json").json
    assert [task["description"] for task in found["tasks"]] == ["Task 0"]
    page = tt("task", "list", "--state", "assigned", "--limit", "2", "--offset", "3", "--json").json
    assert ([task["description"] for task in page["tasks"]], page["total"]) == (["Task 3", "Task 4"], 6)
    first = tt("task", "list", "--limit", "5")
    assert len(first.out.splitlines()) == 6
    assert "5 of 7 tasks shown. More: --offset 5" in first.err


def test_current_prefers_running_then_oldest_assigned(tt: Tt, town: Path) -> None:
    """`current` is the running task, else the oldest assigned one, else nothing; the actor is the default agent."""
    assert town.is_dir()
    assert tt("task", "current", "ada", "--json").json["task"] is None
    tt("assign", "ada", "First")
    second = tt("assign", "ada", "Second", "--json").json["task"]["id"]
    assert tt("task", "current", "ada", "--json").json["task"]["description"] == "First"
    tt("task", "start", second)
    assert tt("task", "current", "--actor", "ada", "--json").json["task"]["description"] == "Second"


def test_backlog_is_claimed_and_assigned(tt: Tt, town: Path) -> None:
    """The backlog lists what nobody has, oldest first; a claim takes one, assign-all the rest."""
    assert town.is_dir()
    ids = [tt("backlog", "add", f"Task {number}", "--json").json["task"]["id"] for number in range(3)]
    assert [task["id"] for task in tt("backlog", "list", "--json").json["tasks"]] == ids
    assert tt("backlog", "claim", ids[1], "ada", "--json").json["task"]["assigned_to"] == "ada"
    assert tt("backlog", "claim", ids[1], "ben").code == 1
    assert [task["id"] for task in tt("backlog", "assign-all", "ben", "--json").json["tasks"]] == [ids[0], ids[2]]
    assert tt("backlog", "list", "--json").json["total"] == 0
    assert tt("backlog", "list").out == "The backlog is empty.\n"


def test_events_are_filtered_and_followed_from_where_they_were(tt: Tt, town: Path) -> None:
    """Conditions on task, agent, actor, type and time combine; --count takes the last ones, oldest first."""
    assert town.is_dir()
    tt("assign", "ada", "One", "--actor", "boss")
    tt("task", "create", "Two", "--alias", "two", "--actor", "boss")
    tt("task", "assign", "two", "ben", "--actor", "ada")
    tt("task", "requeue", "two", "--actor", "ben")

    def numbers(*arguments: str) -> list[int]:
        return [event["number"] for event in tt("events", *arguments, "--json").json["events"]]

    assert numbers() == [1, 2, 3, 4, 5]
    assert numbers("--count", "2") == [4, 5]
    assert numbers("--task", "two") == [3, 4, 5]
    assert numbers("--agent", "ben") == [4, 5]
    assert numbers("--actor", "boss", "--type", "created") == [1, 3]
    assert numbers("--type", "task.assigned", "--since", "3") == [4]
    assert numbers("--since", "2", "--until", "4") == [2, 3, 4]
    assert numbers("--since", "1h", "--until", "now") == [1, 2, 3, 4, 5]


def test_towns_start_stop_and_status_tell_the_state(tt: Tt, town: Path) -> None:
    """A town is up, down or gone; `status` shows server, durability, events and tasks."""
    assert [each["state"] for each in tt("towns", "--json").json["towns"]] == ["up"]
    assert tt("stop", "--json").json["stopped"] is True
    assert tt("stop", "--json").json["stopped"] is False
    assert [each["state"] for each in tt("towns", "--json").json["towns"]] == ["down"]
    assert tt("start", "--json").json["started"] is True
    tt("assign", "ada", "One")
    status = tt("status", "--tasks", "--json").json
    assert status["durability"]["is_durable"] is True
    assert (status["events"], status["states"]["assigned"], status["agents"]["ada"]["assigned"]) == (2, 1, 1)
    assert "yes, an acknowledged event is on disk" in tt("status").out
    tt("stop")
    (town / "tinytown.toml").unlink()
    assert [each["state"] for each in tt("towns", "--json").json["towns"]] == ["gone"]


def test_demo_leaves_nothing_behind(tt: Tt, folder: Path, own_home: Path) -> None:
    """The demo shows every state, and afterwards there is no town, no server and no file."""
    ran = tt("demo")
    assert (ran.code, ran.err) == (0, "")
    for word in ("pending", "assigned", "running", "completed", "failed", "cancelled", "tt replay", '"version":'):
        assert word in ran.out
    place = Path(ran.out.split("A town in ")[1].split(",")[0])
    assert not place.exists()
    assert not (own_home / ".tt").exists()
    assert not list(folder.iterdir())
    assert tt("demo", "--json").json["town"] == "demo"
