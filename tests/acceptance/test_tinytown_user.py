"""A Tinytown user comes over: from the layout of each version, with the keys that the real programs left, and back."""

from __future__ import annotations

import io
import subprocess
from pathlib import Path
from typing import NamedTuple

import pytest
import redis

from ledger import Keys, State
from tests.support.adopted import AGENT_ID, LOST_AGENT_ID, Standing, write_agent, write_record
from tests.support.builders import task_id
from tests.support.markdown import DOCS, blocks, section
from tests.support.old_towns import contents, dump
from tests.support.ports import take_port
from tests.support.tinytown import (
    PASSWORD,
    REAL_KEYS,
    load_keys,
    make_hashes,
    tinytowns_server,
    write_programs,
    write_town,
)
from tests.support.towns import client_of, trust
from tests.support.traps import Listener
from tests.support.tt import Tt

GUIDE = (DOCS / "howto" / "upgrade-from-tinytown.md").read_text(encoding="utf-8")


def fill(client: redis.Redis) -> None:
    """Two tasks as `sync push` of Tinytown leaves them, one that an agent has, and one in the backlog."""
    write_agent(client, "demo")
    done = Standing(State.COMPLETED, None, is_started=False, has_ended=True, result="Completed via sync")
    failed = Standing(State.FAILED, None, is_started=False, has_ended=True, result="Failed via sync")
    write_record(client, done.record(1, tags=["plan:login"]))
    write_record(client, failed.record(2, tags=["plan:logo"]))
    write_record(client, Standing(State.ASSIGNED, AGENT_ID, is_started=False, has_ended=False, result=None).record(3))
    write_record(client, Standing(State.PENDING, None, is_started=False, has_ended=False, result=None).record(4))
    client.rpush("tt:backlog", task_id(4))


class Layout(NamedTuple):
    """A town of Tinytown: where its server listens and saves, the heading of the guide, and which of its blocks applies."""

    socket: str | None
    heading: str
    block: int
    is_up: bool


LAYOUTS = {
    "central": Layout(None, "### The central server", 0, is_up=True),
    "central, down": Layout(None, "### The central server", 1, is_up=False),
    "socket in .tt": Layout(".tt/redis.sock", "### The socket in .tt", 0, is_up=True),
    "socket in .tt, down": Layout(".tt/redis.sock", "### The socket in .tt", 1, is_up=False),
    "socket of 0.5": Layout("redis.sock", "### The socket beside tinytown.toml", 0, is_up=True),
    "socket of 0.5, down": Layout("redis.sock", "### The socket beside tinytown.toml", 1, is_up=False),
}


def lines_of(heading: str) -> list[str]:
    """The guide's shell blocks below a heading."""
    return [block.text for block in blocks(section(GUIDE, heading)) if block.language == "sh"]


def follow(lines: str, folder: Path) -> None:
    subprocess.run(["sh", "-e", "-c", lines], check=True, cwd=folder, capture_output=True, text=True)


@pytest.mark.parametrize("name", LAYOUTS)
def test_guide_leads_from_every_layout_and_back(
    name: str, folder: Path, own_home: Path, tmp_path: Path, tt: Tt, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its lines as they stand there, in a town of each version: all tasks come over, a push changes nothing, and back is back."""
    layout = LAYOUTS[name]
    port = take_port() if layout.socket is None else 0
    write_town(folder, own_home, socket_path=layout.socket or ".tt/redis.sock", port=port or None)
    data = folder if layout.socket else own_home / ".tt"
    path = folder / layout.socket if layout.socket else None
    monkeypatch.setenv("PATH", write_programs(tmp_path / "bin"))
    with tinytowns_server(data, path=path, port=port) as client:
        fill(client)
        before = dump(client)
        client.save()
        if layout.is_up:
            follow(lines_of(layout.heading)[layout.block], folder)
    if not layout.is_up:
        # The guide says it first.
        assert tt("trust", "--yes").code == 0
        follow(lines_of(layout.heading)[layout.block], folder)
    tasks = tt("task", "list", "--json").json["tasks"]
    assert [task["description"] for task in tasks] == ["Task 1", "Task 2", "Task 3", "Task 4"]
    assert tt("sync", "pull").code == 0
    assert "nothing was appended" in tt("sync", "push").out
    assert tt("verify").code == 0

    follow(lines_of("### Go back to Tinytown's server")[0], folder)
    with tinytowns_server(data, path=path, port=port) as client:
        assert dump(client) == before


# --- what migrate says where it cannot look ------------------------------------------------------------------------


def test_server_that_the_settings_name_is_not_connected_to_before_it_is_allowed(
    tt: Tt, folder: Path, own_home: Path
) -> None:
    """A cloned file can name any server. It is named in words with its line, and *nothing* is not said."""
    listener = Listener.on_port()
    write_town(folder, own_home, port=listener.port)
    for arguments in (("migrate", "--dry-run"), ("migrate", "--force"), ("migrate", "--dry-run", "--json"), ("tasks",)):
        ran = tt(*arguments)
        assert "Nothing to migrate" not in ran.out
        assert ran.code == int(arguments != ("tasks",))
    assert listener.count() == 0
    listener.close()
    ran = tt("migrate")
    assert f"redis://127.0.0.1:{listener_port(ran.err)}, which is not allowed yet" in ran.err
    assert "tinytown.toml, line 10 says" in ran.err
    assert PASSWORD not in ran.out + ran.err
    place = tt("migrate", "--dry-run", "--json").json["places"][0]
    assert (place["state"], place["files"]) == ("not allowed", [])
    assert "`tt migrate --dry-run` says where" in tt("tasks").err


def listener_port(words: str) -> str:
    return words.partition("redis://127.0.0.1:")[2].partition(",")[0]


def test_server_that_is_down_is_told_with_what_it_saved(tt: Tt, folder: Path, own_home: Path) -> None:
    """The file is named, and the line that starts a server on it."""
    port = take_port()
    write_town(folder, own_home, port=port)
    trust(folder)
    ran = tt("migrate", "--force")
    assert (ran.code, "Nothing to migrate" in ran.out) == (1, False)
    assert f"redis://127.0.0.1:{port}. That server did not answer" in ran.err
    (own_home / ".tt" / "dump.rdb").write_bytes(b"REDIS")
    ran = tt("migrate", "--force")
    assert f"It saved its data in {own_home}/.tt/dump.rdb. Start it there" in ran.err
    assert f"redis-server --dir {own_home}/.tt --unixsocket {folder}/.tt/redis.sock" in ran.err


def test_person_at_a_terminal_is_asked_once_and_the_yes_is_kept(
    tt: Tt, folder: Path, own_home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The question names the server and the line; after a yes the tasks are found, with the password of the file."""
    port = take_port()
    write_town(folder, own_home, port=port)
    with tinytowns_server(tmp_path / "data", port=port) as client:
        fill(client)
        monkeypatch.setattr("sys.stdin", Terminal("y\nn\n"))
        ran = tt("migrate")
        assert f"Look for Tinytown's tasks at redis://127.0.0.1:{port}" in ran.out
        assert "4 old tasks in Tinytown's server at" in ran.out
        assert (ran.code, "Nothing was changed." in ran.out) == (1, True)
        assert "4 tasks adopted" in tt("migrate", "--force").out
        again = tt("migrate", "--force")
        assert (again.code, "Nothing to migrate" in again.out) == (0, True)
        assert tt("trust").out.endswith("there is nothing to allow.\n")


class Terminal(io.StringIO):
    """A person at a terminal, who types this."""

    def isatty(self) -> bool:
        return True


def test_url_of_tinytowns_server_needs_no_password_on_the_command_line(
    tt: Tt, folder: Path, own_home: Path, tmp_path: Path
) -> None:
    """`--from-url` allows the server; the password that the town's file has for it is used."""
    port = take_port()
    write_town(folder, own_home, port=port)
    with tinytowns_server(tmp_path / "data", port=port) as client:
        fill(client)
        assert "4 tasks adopted" in tt("migrate", "--from-url", f"redis://127.0.0.1:{port}", "--force").out
        assert "there is nothing to allow" in tt("trust").out


def test_server_of_0_5_in_our_place_gets_advice_that_leads_to_the_tasks(tt: Tt, folder: Path, own_home: Path) -> None:
    """Once it said to stop that server, which holds the tasks, and to set another URL."""
    write_town(folder, own_home, socket_path="redis.sock")
    with tinytowns_server(folder, path=folder / "redis.sock"):
        ran = tt("migrate")
    assert ran.code == 4
    assert "SHUTDOWN SAVE" in ran.err
    assert f"redis-server --dir {folder} --unixsocket {folder}/.tt/redis.sock" in ran.err


# --- what comes over ----------------------------------------------------------------------------------------------


def test_name_that_does_not_fit_is_mapped_once(
    tt: Tt, folder: Path, own_home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Tinytown's name stays in the file and in its keys; the ledger's is asked once, and every command goes on."""
    write_town(folder, own_home, name="My Project-main")
    ran = tt("tasks")
    assert (ran.code, f"`tt init --town {folder} --name My-Project-main`" in ran.err) == (1, True)
    settings = (folder / "tinytown.toml").read_text(encoding="utf-8")
    with tinytowns_server(folder, path=folder / ".tt" / "redis.sock") as client:
        fill(client)
        client.rename(f"tt:task:{task_id(1)}", f"tt:My Project-main:task:{task_id(1)}")
        with monkeypatch.context() as patched:
            patched.setattr("sys.stdin", Terminal("bad name\n\n"))
            assert "Name of the ledger? [My-Project-main]" in tt("tasks").out
        assert (folder / "tinytown.toml").read_text(encoding="utf-8") == (
            f'{settings}\n[town]\nledger_name = "My-Project-main"\n'
        )
        assert "4 tasks adopted" in tt("migrate", "--force").out
    assert tt("status", "--json").json["town"] == "My-Project-main"
    with client_of(folder) as ours:
        assert ours.exists(Keys("My-Project-main").task(task_id(1)))


def test_agents_without_a_name_are_told(tt: Tt, town: Path) -> None:
    """A UUID that no agent's key explains stays, and is said with how many tasks it had."""
    with client_of(town) as client:
        fill(client)
        write_record(
            client, Standing(State.RUNNING, LOST_AGENT_ID, is_started=True, has_ended=False, result=None).record(5)
        )
    ran = tt("migrate", "--dry-run")
    assert f"No key has the name of agent {LOST_AGENT_ID}, which 1 task had: the UUID stays." in ran.err
    assert tt("migrate", "--force", "--json").json["unnamed_agents"] == {LOST_AGENT_ID: 1}


def test_target_that_keeps_nothing_is_said_first(tt: Tt, folder: Path, tmp_path: Path) -> None:
    """Tasks that come from a server without persistence to another such one: that is said before the question."""
    path = tmp_path / "s"
    with tinytowns_server(tmp_path / "data", path=path) as client:
        fill(client)
        assert tt("init", "--name", "demo", "--town", str(folder), "--url", f"unix://{path}").code == 0
        ran = tt("migrate", "--dry-run")
        assert "would not keep what is migrated: appendonly is no, not yes" in ran.err
        assert "appendonly" in tt("migrate", "--dry-run", "--json").json["durability_problems"][0]


def test_hashes_that_tinytowns_migrate_made_of_snapshots_are_set_aside(tt: Tt, town: Path) -> None:
    """Its `tt migrate --hash --force` rewrites the ledger's snapshots: no task is lost from sight, and ours puts them back."""
    with client_of(town) as client:
        fill(client)
        tt("migrate", "--force")
        before = {key: client.get(key) for key in client.scan_iter(match="tt:demo:task:*")}
        board = tt("tasks").out
        assert make_hashes(client, "tt:demo:task:*") == 4
        # Until then readers fold the tasks from the ledger, and say so.
        ran = tt("tasks")
        assert (ran.code, ran.out) == (0, board)
        assert "read from the ledger" in ran.err
        listed = tt("task", "list", "--json")
        assert [task["description"] for task in listed.json["tasks"]] == ["Task 1", "Task 2", "Task 3", "Task 4"]
        assert "4 snapshots missing or damaged" in listed.err
        ran = tt("migrate", "--force")
        assert (ran.code, "4 keys where something was written over a snapshot" in ran.out) == (0, True)
        assert {key: client.get(key) for key in client.scan_iter(match="tt:demo:task:*")} == before
    assert tt("verify").code == 0


def test_hashes_of_tinytown_are_adopted_like_json(tt: Tt, town: Path) -> None:
    """What its migrate made of its own records, before they came over."""
    with client_of(town) as client:
        fill(client)
        for key in list(client.scan_iter(match="tt:task:*")):
            client.rename(key, f"tt:demo:task:{key.decode().rpartition(':')[2]}")
        assert make_hashes(client, "tt:demo:task:*") == 4
    ran = tt("migrate", "--force")
    assert "Hash of the town: 4 records" in ran.out
    assert "nothing was appended" in (tt("sync", "pull"), tt("sync", "push"))[1].out
    assert tt("verify").code == 0


# --- the keys of a real town --------------------------------------------------------------------------------------


def test_real_towns_keys_come_over_and_go_back(
    tt: Tt, town: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Loaded as they are, migrated, verified, planned, pushed, pulled, worked, and undone as the guide says."""
    if not REAL_KEYS.exists():
        pytest.skip("shared/data/tinytown-0.6-keys.json is not beside this checkout")
    with client_of(town) as client:
        load_keys(client, REAL_KEYS)
        before = contents(client, Keys("demo"))
        strangers = {key: before[key] for key in before if not key.startswith(("tt:task:", "tt:backlog"))}
        assert "22 tasks adopted" in tt("migrate", "--force").out
        assert tt("verify").code == 0
        assert contents(client, Keys("demo")).items() >= strangers.items()
        for arguments in (("tasks",), ("task", "list"), ("stats",), ("reclaim",), ("doctor",), ("backlog", "list")):
            assert tt(*arguments).code == 0, arguments
        (town / "tasks.toml").write_text('[[tasks]]\nid = "docs"\ndescription = "Write the docs"\n', encoding="utf-8")
        assert tt("plan").code == 0
        assert tt("sync", "push").code == 0
        assert tt("sync", "pull").code == 0
        assert tt("plan").code == 0
        assert "nothing was appended" in tt("sync", "push", "--force").out
        assert tt("work", "alice", "--once", "--", "true").code == 0
        assert tt("verify").code == 0

        monkeypatch.setenv("PATH", write_programs(tmp_path / "bin"))
        follow(lines_of("## Go back")[0].replace("my-town", "demo"), town)
        after = contents(client, Keys("demo"))
        assert {key: after.get(key) for key in before} == before
