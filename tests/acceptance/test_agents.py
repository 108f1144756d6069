"""Agents and hierarchy through the command line: work, reclaim, wait, tree, and completing a parent."""

from __future__ import annotations

import json
import os
import signal
import sys
import threading
from pathlib import Path

import pytest

from ledger import TaskCreated
from tests.support.builders import an_event, task_id
from tests.support.runners import running_runner
from tests.support.towns import client_of
from tests.support.tt import Tt, start_process
from tests.support.waiting import wait_until
from town import Town


def made(tt: Tt, *arguments: str) -> str:
    """The id of a task that was made by `tt ARGUMENTS`."""
    ran = tt(*arguments, "--json")
    assert ran.code == 0, ran.err
    id_: str = ran.json["task"]["id"]
    return id_


def state(tt: Tt, task: str) -> str:
    found: str = tt("task", "show", task, "--json").json["task"]["state"]
    return found


# --- work --------------------------------------------------------------------------------------------------------


def test_work_once_says_what_it_did(tt: Tt, town: Path) -> None:
    """A line as it begins and a line as it ends; exit code 0 where the task was completed."""
    task = made(tt, "assign", "ada", "Paint the gate")
    ran = tt("work", "ada", "--once", "--", "sh", "-c", "echo painted")
    assert ran.code == 0
    first, last = ran.out.splitlines()
    assert first.startswith(f"🔄 {task[:8]} started: Paint the gate  .tt/logs/{task}-")
    assert last.startswith(f"✅ {task[:8]} completed (")
    assert last.endswith(": painted")
    assert (town / first.rpartition("  ")[2]).read_text() == "painted\n"


@pytest.mark.parametrize(("script", "code"), [("exit 0", 0), ("exit 3", 1)])
def test_work_once_ends_with_how_the_task_ended(tt: Tt, town: Path, script: str, code: int) -> None:
    """0 where it was completed, 1 where it failed."""
    assert town.is_dir()
    made(tt, "assign", "ada", "Try it")
    assert tt("work", "ada", "--once", "--", "sh", "-c", script).code == code


def test_work_once_without_a_task_says_so(tt: Tt, town: Path) -> None:
    """Nothing to do is exit code 1, and no error."""
    assert town.is_dir()
    ran = tt("work", "ada", "--once", "--", "true")
    assert (ran.code, ran.out, ran.err) == (1, "", "Nothing to do for ada.\n")
    assert tt("work", "ada", "--once", "--json", "--", "true") == (1, "", "")


@pytest.mark.parametrize(
    ("arguments", "option", "has_hint"),
    [
        (["--once", "sh", "-c", "x"], "-c", True),
        (["--grace", "1s", "make", "--jobs=4", "all"], "--jobs", True),
        (["--onec", "--", "sh", "-c", "x"], "--onec", False),
    ],
)
def test_option_of_the_program_before_the_dashes_says_where_it_goes(
    tt: Tt, town: Path, arguments: list[str], option: str, has_hint: bool
) -> None:
    """Without `--` the program's options look like ours; with it only ours are in question."""
    assert town.is_dir()
    ran = tt("work", "ada", *arguments)
    assert ran.code == 2
    words = " ".join(ran.err.replace("│", " ").split())
    assert f"No such option: {option}" in words
    assert ("put -- before the program" in words) == has_hint


def test_own_options_need_no_dashes_before_a_program_without_any(tt: Tt, town: Path) -> None:
    """Values that begin with a dash are values; the help is help."""
    assert town.is_dir()
    made(tt, "assign", "ada", "Paint")
    assert tt("work", "ada", "echo", "--role", "-x", "--actor=-y", "--once").code == 0
    assert tt("work", "-h").code == 0


def test_description_handed_over_as_an_argument_is_no_code(tt: Tt, town: Path) -> None:
    """As the help says: with "$1" a shell does not read it."""
    assert town.is_dir()
    task = made(tt, "assign", "ada", 'x"; touch harm; echo $(touch harm)')
    assert tt("work", "ada", "--once", "--", "sh", "-c", 'echo "$1"', "sh", "{description}").code == 0
    assert tt("task", "show", task, "--json").json["task"]["result"] == 'x"; touch harm; echo $(touch harm)'
    assert not (town / "harm").exists()
    assert "would run as code" in " ".join(tt("work", "--help").out.split())


def test_work_as_json_is_a_line_for_each_turn(tt: Tt, town: Path) -> None:
    """Both lines have the same fields; the task is as it is then."""
    assert town.is_dir()
    task = made(tt, "backlog", "add", "Paint", "--tag", "ui")
    ran = tt("work", "ada", "--once", "--json", "--role", "ui", "--", "echo", "{description}")
    begun, ended = map(json.loads, ran.out.splitlines())
    assert begun.keys() == ended.keys() == {"town", "agent", "run", "outcome", "task", "words", "log", "seconds"}
    assert (begun["outcome"], begun["task"]["state"]) == ("started", "running")
    assert (ended["outcome"], ended["words"], ended["task"]["state"]) == ("completed", "Paint", "completed")
    assert ended["task"]["id"] == task
    assert ended["log"] == f".tt/logs/{task}-{ended['run']}.log"


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (("ada", "--once", "--", "nonesuch"), 1, "is not a program"),
        (("ada", "--once"), 2, "COMMAND"),
        (("ada", "--grace", "soon", "--", "true"), 2, "is not a length of time"),
        (("a\tb", "--once", "--", "true"), 1, "agent name"),
        (("ada", "--role", "a\nb", "--once", "--", "true"), 1, "tag"),
    ],
)
def test_work_refuses_what_it_cannot_use(tt: Tt, town: Path, arguments: tuple[str, ...], code: int, words: str) -> None:
    """Before any task is touched."""
    assert town.is_dir()
    task = made(tt, "assign", "ada", "Never touched")
    ran = tt("work", *arguments)
    assert ran.code == code
    assert words in ran.err
    assert state(tt, task) == "assigned"


def test_tt_inside_a_program_finds_the_town_and_acts_as_the_agent(tt: Tt, town: Path) -> None:
    """TT_TOWN and TT_ACTOR lead there from any folder."""
    assert town.is_dir()
    task = made(tt, "assign", "ada", "Look around")
    script = 'cd / && "$1" -m cli.main task note "$TT_TASK" "I am here"'
    assert tt("work", "ada", "--once", "--", "sh", "-c", script, "sh", sys.executable).code == 0
    [noted] = [each for each in tt("task", "history", task, "--json").json["events"] if each["type"] == "task.noted"]
    assert noted["actor"] == "ada"


# --- reclaim -----------------------------------------------------------------------------------------------------


def lose(town: Path, logs: Path) -> None:
    """A runner of ada's begins to work and is killed, and its heartbeat ends."""
    with running_runner(
        "ada", "--", "sh", "-c", "while [ ! -e end ]; do sleep 0.05; done", folder=town, logs=logs
    ) as runner:
        wait_until(lambda: "started" in runner.out)
        runner.send(signal.SIGKILL)
        runner.wait()
    with client_of(town) as client:
        for key in list(client.scan_iter(match="tt:demo:heartbeat:*")):
            client.delete(key)
    # A runner that is killed right after it started its program may leave it running.
    (town / "end").touch()


def test_reclaim_lists_and_moves_what_a_lost_runner_had(tt: Tt, town: Path, tmp_path: Path) -> None:
    """Without an option nothing is written; --to gives it to another agent, and a second time there is nothing left."""
    task = made(tt, "assign", "ada", "Important")
    lose(town, tmp_path)
    listed = tt("reclaim")
    assert listed.code == 0
    assert listed.out.startswith("1 task lost. To take them back: tt reclaim --to-backlog, or --to AGENT.\n")
    assert task[:8] in listed.out
    assert state(tt, task) == "running"
    assert tt("reclaim", "--older-than", "1h").out == "No task that was started longer ago than that is lost.\n"
    moved = tt("reclaim", "--to", "bob", "--json").json["tasks"]
    assert [(each["task"]["id"], each["task"]["assigned_to"], each["is_moved"]) for each in moved] == [
        (task, "bob", True)
    ]
    assert tt("reclaim", "--to-backlog", "--json").json == {"town": "demo", "tasks": []}
    events = tt("task", "history", task, "--json").json["events"]
    assert [each["type"] for each in events[-2:]] == ["task.requeued", "task.assigned"]
    assert events[-2]["reason"].startswith("lost: runner on ")
    assert f"process {moved[0]['runner']['process']}" in events[-2]["reason"]


def test_reclaim_to_the_backlog_makes_the_task_anybodys(tt: Tt, town: Path, tmp_path: Path) -> None:
    """It is pending, and who reclaims is the actor."""
    task = made(tt, "assign", "ada", "Important")
    lose(town, tmp_path)
    assert tt("reclaim", "--to-backlog", "--actor", "carl").code == 0
    assert state(tt, task) == "pending"
    assert tt("task", "history", task, "--json").json["events"][-1]["actor"] == "carl"


def test_reclaim_refuses_two_goals(tt: Tt, town: Path) -> None:
    """To an agent or to the backlog, not both."""
    assert town.is_dir()
    ran = tt("reclaim", "--to", "bob", "--to-backlog")
    assert (ran.code, "Give either" in ran.err) == (2, True)


def test_tasks_and_status_tell_of_a_lost_runner(tt: Tt, town: Path, tmp_path: Path) -> None:
    """With what to do next; also in CSV on stderr, in JSON as a list, and never of an earlier moment."""
    task = made(tt, "assign", "ada", "Important")
    made(tt, "assign", "bob", "Another")
    assert tt("tasks", "--json").json["lost"] == tt("status", "--json").json["lost"] == {"tasks": [], "has_more": False}
    lose(town, tmp_path)
    words = f"1 running task without a runner: {task[:8]} of ada, started "
    for ran in (tt("tasks"), tt("tasks", "--agent", "ada"), tt("tasks", "--csv")):
        assert words in ran.err
        assert "To take back: tt reclaim --to-backlog" in ran.err
    assert f"Lost {words}" in " ".join(tt("status").out.split())
    assert words not in tt("tasks", "--agent", "bob").err
    for answer in (tt("tasks", "--json").json, tt("status", "--json").json):
        (lost,) = answer["lost"]["tasks"]
        assert (lost["task"]["id"], lost["agent"], answer["lost"]["has_more"]) == (task, "ada", False)
        assert set(lost["runner"]) == {"host", "process", "run"}
    for past in (tt("tasks", "--at", "1s"), tt("status", "--at", "1s")):
        assert words not in past.out + past.err
    assert tt("status", "--at", "5", "--json").json["lost"] is None
    assert tt("tasks", "--at", "5", "--json").json["lost"] is None
    assert tt("tasks", "--json=id,state").json["lost"]["tasks"][0]["task"] == {"id": task, "state": "running"}


@pytest.mark.parametrize(("number", "options"), [(signal.SIGINT, ()), (signal.SIGTERM, ("--json",))])
def test_reclaim_watch_prints_a_line_for_each_and_ends_with_a_signal(
    tt: Tt,
    town: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    number: signal.Signals,
    options: tuple[str, ...],
) -> None:
    """It runs until it is told to stop, and that is no failure."""
    monkeypatch.setattr("town.agents.reclaim_watch.SURE_SECONDS", 0.1)
    task = made(tt, "assign", "ada", "Important")
    lose(town, tmp_path)

    def stop_it_when_done() -> None:
        with Town.open(town) as opened:
            wait_until(lambda: opened.task(task).state == "pending")
        os.kill(os.getpid(), number)

    thread = threading.Thread(target=stop_it_when_done)
    thread.start()
    ran = tt("reclaim", "--watch", "--to-backlog", *options)
    thread.join()
    assert ran.code == 0
    (line,) = ran.out.splitlines()
    if not options:
        assert line.startswith(f"⏳ {task[:8]} of ada is back in the backlog (")
        assert line.endswith("): Important")
        return
    moved = json.loads(line)
    assert (moved["town"], moved["agent"], moved["is_moved"]) == ("demo", "ada", True)
    assert (moved["task"]["id"], moved["task"]["state"]) == (task, "pending")


# --- wait --------------------------------------------------------------------------------------------------------


def test_wait_ends_well_only_where_all_are_completed(tt: Tt, town: Path) -> None:
    """Also by alias; a failed, cancelled or removed task is exit code 1."""
    assert town.is_dir()
    done = made(tt, "task", "create", "Done", "--alias", "bd-1", "--agent", "ada")
    tt("task", "complete", done, "--result", "All good")
    ran = tt("wait", "bd-1")
    assert ran.code == 0
    assert ran.out.splitlines()[1].split() == ["bd-1", "✅", "completed", "ada", "All", "good"]
    failed, removed = made(tt, "assign", "ada", "Failed"), made(tt, "assign", "ada", "Removed")
    tt("task", "fail", failed)
    tt("task", "remove", removed)
    assert tt("wait", "bd-1", failed).code == 1
    ran = tt("wait", "bd-1", removed, "--json")
    assert ran.code == 1
    assert [each["task"] and each["task"]["state"] for each in ran.json["tasks"]] == ["completed", None]


def test_wait_returns_once_the_last_task_is_finished(tt: Tt, town: Path) -> None:
    """It is told by the event, whoever appends it."""
    tasks = [made(tt, "assign", "ada", f"task {number}") for number in range(2)]
    with start_process("wait", *tasks, "--json", folder=town) as process:
        for task in tasks:
            assert tt("task", "complete", task).code == 0
        out, err = process.communicate(timeout=30)
    assert process.returncode == 0, err
    assert [each["task"]["state"] for each in json.loads(out)["tasks"]] == ["completed", "completed"]


def test_wait_that_takes_too_long_says_what_is_open(tt: Tt, town: Path) -> None:
    """Exit code 1, and the table shows how far each is."""
    assert town.is_dir()
    task = made(tt, "assign", "ada", "Never ends")
    ran = tt("wait", task, "--timeout", "0.05")
    assert ran.code == 1
    assert "assigned" in ran.out
    assert "1 task of 1 not finished in time" in ran.err
    assert tt("wait", task, "--timeout", "0", "--json").json["timed_out"] is True


@pytest.mark.parametrize("arguments", [("nonesuch",), ("--timeout", "soon", "x"), ()])
def test_wait_refuses_what_it_does_not_know(tt: Tt, town: Path, arguments: tuple[str, ...]) -> None:
    """An unknown task is told at once, not waited for."""
    assert town.is_dir()
    assert tt("wait", *arguments).code == (1 if arguments == ("nonesuch",) else 2)


# --- hierarchy ---------------------------------------------------------------------------------------------------


def family(tt: Tt) -> dict[str, str]:
    """A release with three parts, one of which has two of its own."""
    ids = {"release": made(tt, "task", "create", "Release", "--alias", "release")}
    for name, parent in (("code", "release"), ("docs", "release"), ("logo", "release"), ("a", "code"), ("b", "code")):
        ids[name] = made(tt, "task", "create", name.title(), "--alias", name, "--parent", parent)
    return ids


def test_tree_shows_children_and_their_progress(tt: Tt, town: Path) -> None:
    """A parent's line shows how many of its children are done, and how many ended otherwise."""
    assert town.is_dir()
    family(tt)
    tt("task", "complete", "a", "--agent", "ada")
    tt("task", "complete", "docs", "--agent", "ada")
    tt("task", "cancel", "logo")
    tt("backlog", "add", "Alone", "--alias", "alone")
    assert tt("task", "tree").out.splitlines() == [
        "⏳ release  Release  1/3 done, 1 cancelled",
        "├─ ⏳ code  Code  1/2 done",
        "│  ├─ ✅ a  A  (ada)",
        "│  └─ ⏳ b  B",
        "├─ ✅ docs  Docs  (ada)",
        "└─ 🚫 logo  Logo",
        "⏳ alone  Alone",
    ]
    assert tt("task", "tree", "code").out.splitlines() == ["⏳ code  Code  1/2 done", "├─ ✅ a  A  (ada)", "└─ ⏳ b  B"]
    assert tt("task", "tree", "--depth", "0").out.splitlines() == [
        "⏳ release  Release  1/3 done, 1 cancelled",
        "… 5 below",
        "⏳ alone  Alone",
    ]
    shown = tt("task", "tree", "--limit", "2")
    assert len(shown.out.splitlines()) == 2
    assert "2 of 7 lines shown" in shown.err
    shapes = tt("task", "tree", "code", "--json").json["tasks"]
    assert [(each["depth"], each["children"], each["done"], each["task"]["alias"]) for each in shapes] == [
        (0, 2, 1, "code"),
        (1, 0, 0, "a"),
        (1, 0, 0, "b"),
    ]


def test_tree_of_an_empty_town_says_so(tt: Tt, town: Path) -> None:
    """And of a task that is not there."""
    assert town.is_dir()
    assert tt("task", "tree").out == "No tasks yet.\n"
    assert tt("task", "tree", "nonesuch").code == 1


def test_complete_of_a_parent_with_open_children_is_refused(tt: Tt, town: Path) -> None:
    """Nothing is written, and the refusal says what can be done."""
    assert town.is_dir()
    ids = family(tt)
    ran = tt("task", "complete", "code", "--agent", "ada")
    assert ran.code == 1
    assert "has 2 open tasks right below it" in ran.err
    assert "--with-children" in ran.err
    assert "--force" in ran.err
    assert state(tt, ids["code"]) == "pending"
    for name in ("a", "b"):
        assert tt("task", "complete", name, "--agent", "ada").code == 0
    assert tt("task", "complete", "code", "--agent", "ada").code == 0


def test_complete_by_force_leaves_the_children_open(tt: Tt, town: Path) -> None:
    """The parent alone is completed."""
    assert town.is_dir()
    ids = family(tt)
    assert tt("task", "complete", "code", "--agent", "ada", "--force").code == 0
    assert [state(tt, ids[name]) for name in ("code", "a", "b")] == ["completed", "pending", "pending"]


def test_complete_with_children_completes_all_below_in_one_append(tt: Tt, town: Path) -> None:
    """At any depth, children before parents; each for who has it, the others for the one that is named; finished ones stay."""
    assert town.is_dir()
    ids = family(tt)
    tt("task", "assign", "a", "bob")
    tt("task", "cancel", "logo")
    ran = tt("task", "complete", "release", "--with-children", "--agent", "ada", "--result", "Out", "--json")
    assert ran.code == 0, ran.err
    tasks = {name: tt("task", "show", name, "--json").json["task"] for name in ids}
    assert {name: task["state"] for name, task in tasks.items()} == dict.fromkeys(ids, "completed") | {
        "logo": "cancelled"
    }
    assert {name: task["assigned_to"] for name, task in tasks.items()} == dict.fromkeys(ids, "ada") | {
        "a": "bob",
        "logo": None,
    }
    assert (tasks["release"]["result"], tasks["a"]["result"]) == ("Out", None)
    events = tt("events", "--type", "completed", "--json").json["events"]
    assert len({each["command"] for each in events}) == 1
    order = [each["task"] for each in events]
    assert order.index(ids["a"]) < order.index(ids["code"]) < order.index(ids["release"])
    again = tt("task", "complete", "release", "--with-children", "--result", "Out", "--json")
    assert again.json["positions"] == []


def test_complete_with_children_that_nobody_has_needs_an_agent(tt: Tt, town: Path) -> None:
    """All or none: nothing is completed where one of them cannot be."""
    assert town.is_dir()
    ids = family(tt)
    ran = tt("task", "complete", "code", "--with-children")
    assert ran.code == 1
    assert "--agent NAME" in ran.err
    assert {state(tt, ids[name]) for name in ("code", "a", "b")} == {"pending"}
    assert tt("task", "complete", "code", "--with-children", "--force").code == 2


@pytest.mark.parametrize(
    ("before", "options", "words"),
    [
        (["task", "cancel", "code"], [], "is cancelled already"),
        (["task", "fail", "code", "--agent", "ada"], [], "is failed already"),
        (["task", "complete", "code", "--agent", "ada", "--force"], ["--result", "Other"], "is completed already"),
        (["task", "assign", "code", "ada"], ["--agent", "bob"], "is with ada, not bob"),
        (["task", "note", "code", "pending still"], [], "Nobody has task"),
    ],
    ids=["cancelled", "failed", "completed", "held", "pending"],
)
def test_refusal_to_complete_with_children_is_about_the_task_itself(
    before: list[str], options: list[str], words: str, tt: Tt, town: Path
) -> None:
    """It named a child that nobody has, and asked for an agent, where the task was cancelled."""
    assert town.is_dir()
    ids = family(tt)
    assert tt(*before).code == 0
    ran = tt("task", "complete", "code", "--with-children", *options)
    assert ran.code == 1
    assert words in ran.err
    assert ids["code"] in ran.err
    assert {state(tt, ids[name]) for name in ("a", "b")} == {"pending"}


def test_deep_tree_is_shown(tt: Tt, town: Path) -> None:
    """Hundreds of levels are walked; what lies too deep to be shown is counted."""
    assert town.is_dir()
    tasks = [task_id(number) for number in range(300)]
    levels = [
        an_event(TaskCreated(f"level {number}", parent_id=parent), task=task)
        for number, (task, parent) in enumerate(zip(tasks, [None, *tasks[:-1]], strict=True))
    ]
    with Town.open(actor="ada") as opened:
        opened.backend.store.append(levels, dict.fromkeys(tasks, 0))
    lines = tt("task", "tree").out.splitlines()
    assert len(lines) == 22
    assert lines[-1].strip() == "… 279 below"
    assert len(tt("task", "tree", "--json").json["tasks"]) == 300
