"""A plan in a file: shown, checked, pushed, worked through, pulled and pushed again, through the command line."""

from __future__ import annotations

import os
import re
import signal
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import redis

from tests.support.tt import Ran, Tt, start_process
from tests.support.waiting import wait_until
from town.plans.file import PLAN_BYTES_MAX, STARTER

# The plans of Tinytown's documentation in one file.
PLAN = """\
# The plan of this sprint.
[meta]
description = "Sprint 1 tasks"
default_agent = "backend"  # Optional default

[[tasks]]
id = "auth-api"
description = "Build user authentication API"
agent = "backend"
status = "pending"
tags = ["auth", "api"]

[[tasks]]
id = "auth-tests"
description = "Write auth API tests"
agent = "tester"
status = "pending"
parent = "auth-api"  # Optional parent task

[[tasks]]
id = "user-system"
description = "User Management System"
agent = "tester"
status = "pending"

[[tasks]]
id = "signup"
description = "User signup flow"
parent = "user-system"
agent = "backend"
status = "pending"

[[tasks]]
id = "login"
description = "User login flow"
parent = "user-system"
agent = "backend"
status = "pending"

# Nobody is named: the default agent gets it.
[[tasks]]
id = "fix-xss"
description = "Fix XSS vulnerability"
status = "pending"
tags = ["security", "bug", "P0"]
"""


@pytest.fixture
def plan(town: Path) -> Path:
    """The plan in the town's folder."""
    path = town / "tasks.toml"
    path.write_text(PLAN)
    return path


@pytest.fixture
def content(town: Path) -> Iterator[Callable[[], dict[bytes, object]]]:
    """Everything the town's server holds."""
    client = redis.Redis(unix_socket_path=str(town / "redis.sock"))
    yield lambda: {key: client.dump(key) for key in client.scan_iter("*", count=1_000)}
    client.close()


def assert_refused(ran: Ran, *words: str, code: int = 1) -> None:
    assert ran.code == code, ran
    assert "Traceback" not in ran.err
    said = " ".join((ran.out + ran.err).replace("│", " ").split())
    for word in words:
        assert word in said, said


def states_of(tt: Tt) -> dict[str, str]:
    """Alias, else description -> state."""
    tasks = tt("task", "list", "--json").json["tasks"]
    return {task["alias"] or task["description"]: task["state"] for task in tasks}


def test_plans_of_the_documentation_are_worked_through_and_the_second_push_appends_nothing(
    tt: Tt, town: Path, plan: Path
) -> None:
    """Pushed, worked through by two agents that run a script, pulled, and pushed again."""
    assert tt("sync", "push").code == 0
    script = town / "work.sh"
    script.write_text('read -r what\necho "did: $what"\n')
    agents = [start_process("work", name, "--", "sh", "work.sh", folder=town) for name in ("backend", "tester")]
    try:
        wait_until(lambda: set(states_of(tt).values()) == {"completed"})
    finally:
        for agent in agents:
            agent.send_signal(signal.SIGTERM)
        ended = [agent.communicate(timeout=30) for agent in agents]
    assert all(agent.returncode == 0 for agent in agents), ended
    assert tt("sync", "pull").code == 0
    pulled = plan.read_text()
    assert pulled.count('status = "completed"') == 6
    assert 'result = "did: Fix XSS vulnerability"' in pulled
    assert [line for line in pulled.splitlines() if "#" in line] == [line for line in PLAN.splitlines() if "#" in line]
    again = tt("sync", "push", "--json").json
    assert (again["events"], again["position"], again["kept"]) == (0, None, [])
    assert tt("sync", "status").code == 0


def test_push_makes_the_tasks_of_the_plan(tt: Tt, plan: Path) -> None:
    """Agents, tags and parents as in the file; whoever has an agent is assigned; nobody named means the default agent."""
    assert plan.exists()
    assert "6 created" in tt("sync", "push").out
    tasks = {task["alias"]: task for task in tt("task", "list", "--json").json["tasks"]}
    assert list(tasks) == ["auth-api", "auth-tests", "user-system", "signup", "login", "fix-xss"]
    assert tasks["auth-tests"]["parent_id"] == tasks["auth-api"]["id"]
    assert {tasks[name]["parent_id"] for name in ("signup", "login")} == {tasks["user-system"]["id"]}
    assert tasks["fix-xss"]["tags"] == ["P0", "bug", "security"]
    assert {name: task["assigned_to"] for name, task in tasks.items()} == {
        "auth-api": "backend",
        "auth-tests": "tester",
        "user-system": "tester",
        "signup": "backend",
        "login": "backend",
        "fix-xss": "backend",
    }
    assert {task["state"] for task in tasks.values()} == {"assigned"}


def test_plan_shows_a_tree_and_what_a_push_would_change(tt: Tt, plan: Path) -> None:
    """Icons, agents, children below their parents, and for each task the events to come."""
    assert plan.exists()
    lines = tt("plan").out.splitlines()
    assert lines[0] == "Sprint 1 tasks"
    rows = [line.split("  ")[0] for line in lines[2:-1]]
    assert rows == ["auth-api", "└─ auth-tests", "user-system", "├─ signup", "└─ login", "fix-xss"]
    assert all("⏳ pending" in line and line.endswith("created, assigned") for line in lines[2:-1])
    assert "6 created" in lines[-1]
    tt("sync", "push")
    tt("task", "complete", "fix-xss")
    ran = tt("plan")
    assert next(line for line in ran.out.splitlines() if "fix-xss" in line).endswith("stays completed")
    assert "nothing would be appended" in ran.out


def test_plan_is_shown_where_the_server_is_away(tt: Tt, plan: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The tree is there, the comparison is not, and the exit code says so."""
    assert plan.exists()
    monkeypatch.setenv("REDIS_URL", "redis://127.0.0.1:1/")
    ran = tt("plan")
    assert ran.code == 4
    assert "└─ auth-tests" in ran.out
    assert "did not answer" in ran.err


def test_init_writes_a_plan_that_is_one_and_never_over_another(tt: Tt, town: Path) -> None:
    """The starter file is sound and pushes; a file that is there stays, byte for byte."""
    path = town / "tasks.toml"
    assert tt("plan", "--init").code == 0
    assert path.read_text() == STARTER
    assert tt("plan", "--check").code == 0
    assert tt("sync", "push").code == 0
    path.write_text("# mine\n")
    assert_refused(tt("plan", "--init"), "is there already", "tt plan")
    assert path.read_text() == "# mine\n"
    assert tt("plan", "--init", "--file", "other.toml", "--json").json == {"file": "other.toml"}
    assert_refused(tt("plan", "--init", "--check"), "--init or --check", code=2)


FAULTY = """\
[meta]
default_agent = "a\\u001b"

[[tasks]]
description = "No id"

[[tasks]]
id = "a"
description = "A"
status = "done"
tags = ["good", "b\\nad"]

[[tasks]]
id = "a"
description = "A again"
parent = "nobody"

[[tasks]]
id = "b"
description = "B"
agent = 5
parent = "c"

[[tasks]]
id = "c"
description = "C
parent = "b"
"""


def test_check_names_every_fault_at_once_with_line_and_column(tt: Tt, town: Path) -> None:
    """Bad TOML, missing and double ids, unknown status and parent, a circle, a bad tag, a bad agent: all in one go, exit 1."""
    (town / "tasks.toml").write_text(FAULTY)
    ran = tt("plan", "--check")
    assert ran.code == 1
    assert ran.out.splitlines() == [
        "tasks.toml:2:17: the agent name holds the unprintable character U+001B",
        "tasks.toml:4:1: the task has no id",
        "tasks.toml:10:10: the status 'done' is not one of pending, assigned, running, completed, failed, cancelled",
        "tasks.toml:11:17: the tag holds the unprintable character U+000A",
        "tasks.toml:14:6: the id 'a' is taken in line 8",
        "tasks.toml:16:10: its parent 'nobody' is not a task of the file or of the town",
        "tasks.toml:21:9: agent is not a text",
        "tasks.toml:22:10: its parent lies below it, in a circle: b → c → b",
        "tasks.toml:26:17: not TOML: illegal character '\\n'",
        "tasks.toml: 9 faults.",
    ]
    found = tt("plan", "--check", "--json")
    assert found.code == 1
    assert found.json["faults"][1] == {"line": 4, "column": 1, "problem": "the task has no id"}
    assert len(found.json["faults"]) == 9


def test_check_asks_no_town_where_the_file_says_it_all(tt: Tt, folder: Path) -> None:
    """In CI there is the file and no town: it is checked all the same."""
    (folder / "tasks.toml").write_text(PLAN)
    ran = tt("plan", "--check", "--file", "tasks.toml")
    assert (ran.code, ran.out) == (0, "tasks.toml: 6 tasks, no faults.\n")
    assert not (folder / ".tt").exists()


def test_unknown_keys_are_kept_and_reported_once(tt: Tt, plan: Path) -> None:
    """Keys that are not a plan's stay where they are, and each is named once, however often it stands there."""
    text = PLAN.replace('status = "pending"\n', 'status = "pending"\nestimate = 3\n').replace(
        "[meta]\n", "[meta]\nowner = 1\n"
    )
    plan.write_text(text)
    for arguments in (["plan"], ["plan", "--check"], ["sync", "push"], ["sync", "pull"]):
        ran = tt(*arguments)
        assert ran.code == 0
        assert ran.err.count("Not understood, and left as it is: meta.owner, tasks.estimate") == 1
        assert ran.err.count("estimate") == 1
    assert plan.read_text().count("estimate = 3") == 6


def test_many_unknown_keys_are_named_in_short(tt: Tt, plan: Path) -> None:
    """The first ten, and how many more there are; programs get them all."""
    plan.write_text(PLAN + "".join(f"key{number} = 1\n" for number in range(300)))
    ran = tt("plan", "--check")
    assert "Not understood, and left as it is: tasks.key0, tasks.key1," in ran.err
    assert "tasks.key9 … and 290 more; --json lists them all." in ran.err
    assert len(ran.err) < 300
    assert len(tt("plan", "--check", "--json").json["not_understood"]) == 300


def test_plan_shows_the_towns_state_where_the_file_has_none(tt: Tt, town: Path) -> None:
    """A task that is long done, and whoever did it, once stood there as pending."""
    (town / "tasks.toml").write_text(
        '[meta]\ndefault_agent = "bob"\n'
        '[[tasks]]\nid = "a"\ndescription = "A"\n[[tasks]]\nid = "b"\ndescription = "B"\nstatus = "pending"\n'
    )
    tt("task", "create", "A", "--alias", "a", "--agent", "ada")
    tt("task", "complete", "a")
    rows = {line.split()[0]: line.split() for line in tt("plan").out.splitlines()}
    assert rows["a"] == ["a", "✅", "completed", "ada", "A"]
    assert rows["b"][:4] == ["b", "⏳", "pending", "bob"]


def test_plan_shows_priorities_times_and_needs_as_the_file_says_them(tt: Tt, town: Path) -> None:
    """A day as a day, a time as a time; a column only where a task has something there."""
    build = '[[tasks]]\nid = "build"\ndescription = "Build it"\n'
    tell = '[[tasks]]\nid = "tell"\ndescription = "Tell it"\nneeds = ["build"]\npriority = 1\n'
    times = "due = 2126-12-24\nnot_before = 2126-12-02T10:00:00Z\n"
    (town / "tasks.toml").write_text(f"{build}not_before = 2126-12-01\n{tell}{times}")
    head, *rows = (re.split(" {2,}", line.rstrip()) for line in tt("plan").out.splitlines()[:3])
    assert head == ["TASK", "STATE", "PRIO", "AGENT", "DUE", "NOT BEFORE", "TITLE", "NEEDS", "PUSH"]
    first, second = (dict(zip(head, row, strict=True)) for row in rows)
    assert (first["NOT BEFORE"], first["DUE"], first["NEEDS"]) == ("2126-12-01", "—", "—")
    assert (second["PRIO"], second["DUE"], second["NEEDS"]) == ("1", "2126-12-24", "build")
    assert second["NOT BEFORE"].startswith("2126-12-02 10:00:00")
    (town / "tasks.toml").write_text(build)
    assert tt("plan").out.splitlines()[0].split() == ["TASK", "STATE", "AGENT", "TITLE", "PUSH"]


def test_push_never_moves_a_task_backwards_and_says_so(tt: Tt, plan: Path) -> None:
    """What runs or is done stays so; --force takes it back, with requeue and reopen events."""
    assert plan.exists()
    tt("sync", "push")
    tt("task", "start", "login")
    tt("task", "complete", "fix-xss", "--result", "Escaped")
    text = PLAN.replace('default_agent = "backend"', 'default_agent = ""').replace(
        'agent = "backend"\nstatus', "status"
    )
    plan.write_text(text)
    ran = tt("sync", "push")
    assert ran.code == 0
    assert "login stays running; the file says pending." in ran.err
    assert "fix-xss stays completed; the file says pending." in ran.err
    assert (states_of(tt)["login"], states_of(tt)["fix-xss"]) == ("running", "completed")
    changes = {change["id"]: change["events"] for change in tt("sync", "push", "--force", "--json").json["changes"]}
    assert changes["login"] == ["task.requeued"]
    assert changes["fix-xss"] == ["task.reopened"]
    assert (states_of(tt)["login"], states_of(tt)["fix-xss"]) == ("pending", "pending")


def test_dry_run_tells_and_appends_nothing(tt: Tt, plan: Path, content: Callable[[], dict[bytes, object]]) -> None:
    """The same counts as the push that follows, and not a key changed."""
    assert plan.exists()
    tt("status")
    before = content()
    ran = tt("sync", "push", "--dry-run")
    assert "a push would append: 6 created, 0 changed, 0 removed, by 12 events." in ran.out
    assert content() == before
    assert "6 created, 0 changed, 0 removed, by 12 events" in tt("sync", "push").out


def test_prune_removes_what_the_file_no_longer_has(tt: Tt, plan: Path) -> None:
    """Tasks with an alias go, also a parent with its child; those without one stay, and so does whatever lies above them."""
    tt("sync", "push")
    tt("assign", "ada", "By hand", "--parent", "user-system")
    plan.write_text(PLAN[: PLAN.index('[[tasks]]\nid = "user-system"')])
    assert states_of(tt).keys() >= {"fix-xss", "signup"}
    ran = tt("sync", "push", "--prune")
    assert "0 created, 0 changed, 3 removed" in ran.out
    assert "user-system stays, it has 1 below it." in ran.err
    assert states_of(tt).keys() == {"auth-api", "auth-tests", "user-system", "By hand"}
    plan.write_text("")
    assert_refused(tt("sync", "push", "--prune"), "would remove every task")


def test_prune_leaves_a_task_that_somebody_works_on(tt: Tt, plan: Path) -> None:
    """Nobody's work goes without a word: it is said, and --force removes it."""
    tt("sync", "push")
    assert tt("task", "start", "fix-xss").code == 0
    plan.write_text(PLAN.replace('id = "fix-xss"', 'id = "other"'))
    ran = tt("sync", "push", "--prune")
    assert "1 created, 0 changed, 0 removed" in ran.out
    assert "fix-xss stays, it is running." in ran.err
    assert "1 removed" in tt("sync", "push", "--prune", "--force").out


def test_task_removed_in_the_town_stays_so_and_a_pull_takes_it_out(tt: Tt, plan: Path) -> None:
    """A push does not bring it back but with --force, a pull drops its table, and nothing is left to append."""
    tt("sync", "push")
    tt("task", "remove", "fix-xss")
    ran = tt("sync", "push")
    assert "nothing was appended" in ran.out
    assert "fix-xss stays removed." in ran.err
    assert "taken out: it was removed from the town" in tt("sync", "status").out
    assert "1 taken out" in tt("sync", "pull").out
    assert plan.read_text().endswith('status = "assigned"\n')
    assert "fix-xss" not in plan.read_text()
    assert tt("sync", "status").code == 0
    plan.write_text(PLAN)
    assert "1 created" in tt("sync", "push", "--force").out
    assert states_of(tt)["fix-xss"] == "assigned"


def test_pull_writes_a_file_where_there_is_none(tt: Tt, town: Path) -> None:
    """Aliases are ids, other tasks have their own; the new file is a plan, and pushing it appends nothing."""
    tt("task", "create", "Named", "--alias", "named", "--tag", "b", "--tag", "a")
    id_ = tt("assign", "ada", 'Two\n"lines"', "--parent", "named", "--json").json["task"]["id"]
    assert tt("sync", "pull").out.startswith("tasks.toml is written: 0 changed, 2 added")
    assert (town / "tasks.toml").read_text() == (
        '[meta]\ndescription = "Tasks of demo"\n\n'
        '[[tasks]]\nid = "named"\ndescription = "Named"\nstatus = "pending"\ntags = ["a", "b"]\n\n'
        f'[[tasks]]\nid = "{id_}"\ndescription = """\nTwo\n\\"lines\\""""\nagent = "ada"\nstatus = "assigned"\nparent = "named"\n'
    )
    assert tt("sync", "push", "--json").json["events"] == 0
    assert tt("plan", "--check").code == 0


def test_pulling_twice_gives_the_same_bytes(tt: Tt, plan: Path) -> None:
    """A file that shows the town is not written again."""
    tt("sync", "push")
    tt("task", "start", "auth-tests")
    assert tt("sync", "pull", "--json").json["written"] is True
    pulled, changed = plan.read_bytes(), plan.stat().st_mtime_ns
    ran = tt("sync", "pull", "--json")
    assert (ran.json["written"], ran.json["changed"], ran.json["added"], ran.json["removed"]) == (False, [], [], [])
    assert (plan.read_bytes(), plan.stat().st_mtime_ns) == (pulled, changed)


def test_status_tells_what_differs_on_either_side(tt: Tt, plan: Path) -> None:
    """Exit 1 where a push would append or a pull would write, each with its tasks; 0 where both say the same."""
    ran = tt("sync", "status")
    assert ran.code == 1
    assert "A push would append 12 events:" in ran.out
    tt("sync", "push")
    ran = tt("sync", "status", "--json")
    assert ran.code == 1
    assert (ran.json["is_equal"], ran.json["push"]["events"]) == (False, 0)
    assert {each["values"]["status"] for each in ran.json["pull"]["changed"]} == {"assigned"}
    tt("sync", "pull")
    ran = tt("sync", "status")
    assert (ran.code, ran.out) == (0, "tasks.toml and demo say the same of 6 tasks.\n")
    assert plan.read_text() != PLAN


def test_names_of_the_town_serve_as_parents_and_ids(tt: Tt, plan: Path) -> None:
    """A parent may be an alias or an id of the town, and a task without an alias is called by its id."""
    top = tt("task", "create", "Top", "--alias", "top", "--json").json["task"]["id"]
    other = tt("assign", "ada", "By hand", "--json").json["task"]["id"]
    plan.write_text(
        '[[tasks]]\nid = "a"\ndescription = "A"\nparent = "top"\n'
        f'[[tasks]]\nid = "b"\ndescription = "B"\nparent = "{top.upper()}"\n'
        f'[[tasks]]\nid = "{other}"\ndescription = "By hand, in other words"\nparent = "a"\n'
    )
    assert tt("plan", "--check").code == 0
    assert "2 created, 1 changed" in tt("sync", "push").out
    tasks = {task["description"]: task for task in tt("task", "list", "--json").json["tasks"]}
    assert [tasks[name]["parent_id"] for name in ("A", "B", "By hand, in other words")] == [top, top, tasks["A"]["id"]]
    plan.write_text(plan.read_text() + f'[[tasks]]\nid = "{tasks["A"]["id"]}"\ndescription = "A again"\n')
    assert_refused(tt("plan", "--check"), "tasks.toml:14:6:", "names the same task as line 2")


BAD_FILES: list[tuple[str, bytes, list[str]]] = [
    ("half-written", PLAN[: PLAN.index("Management")].encode(), ["line 22, column 21: not TOML: unterminated string"]),
    ("half a key", PLAN[: PLAN.index("cription = ")].encode(), ["line 3, column 4: not TOML"]),
    ("not UTF-8", PLAN.encode().replace(b"login", b"l\xf6gin"), ["line 34, column 8: the byte 0xf6 is not UTF-8"]),
    ("50 MB", b"#" * (50 * 1024 * 1024), [f"has {50 * 1024 * 1024:,} bytes, and a plan at most {PLAN_BYTES_MAX:,}"]),
    ("zeros", bytes(100), ["not TOML", "line 1, column 1"]),
]


@pytest.mark.parametrize(("kind", "data", "words"), BAD_FILES, ids=[each[0] for each in BAD_FILES])
def test_bad_file_is_refused_and_neither_file_nor_town_changes(
    kind: str, data: bytes, words: list[str], tt: Tt, plan: Path, content: Callable[[], dict[bytes, object]]
) -> None:
    """Half-written, cut, not UTF-8, far too large: a clear error from every command, and all is as it was."""
    assert kind
    tt("sync", "push")
    plan.write_bytes(data)
    before = content()
    for arguments in (
        ["sync", "push"],
        ["sync", "push", "--force", "--prune"],
        ["sync", "pull"],
        ["sync", "status"],
        ["plan"],
    ):
        ran = tt(*arguments)
        assert_refused(ran, *words)
        assert ran.out == ""
    assert tt("plan", "--check").code == 1
    assert plan.read_bytes() == data
    assert content() == before


def test_locked_file_is_refused_and_neither_file_nor_town_changes(
    tt: Tt, plan: Path, content: Callable[[], dict[bytes, object]]
) -> None:
    """A file that cannot be read, and a folder in its place, are named; a file that may only be read is not replaced."""
    tt("sync", "push")
    before = content()
    if os.geteuid():
        plan.chmod(0o400)
        assert_refused(tt("sync", "pull"), "tasks.toml cannot be used: Permission denied")
        plan.chmod(0o000)
        for arguments in (["sync", "push"], ["sync", "pull"], ["plan"], ["plan", "--check"]):
            assert_refused(tt(*arguments), "tasks.toml cannot be used: Permission denied")
        plan.chmod(0o600)
    assert plan.read_text() == PLAN
    # Root may read and write anything: a folder where the file should be refuses root too.
    plan.rename(plan.with_name("kept.toml"))
    plan.mkdir()
    for arguments in (["sync", "push"], ["sync", "pull"], ["sync", "status"], ["plan"], ["plan", "--check"]):
        assert_refused(tt(*arguments), "tasks.toml cannot be used: Is a directory")
    assert content() == before


def test_missing_file_is_refused_with_what_to_do(tt: Tt, town: Path) -> None:
    """Every command but a pull and --init needs the file, and says how to get one."""
    assert town.is_dir()
    for arguments in (["sync", "push"], ["sync", "status"], ["plan"], ["plan", "--check"]):
        assert_refused(tt(*arguments), "There is no plan at", "tt plan --init")
