"""The face for agents, through the SDK's own client in memory: tools, errors, pages, resources and subscriptions."""

from __future__ import annotations

import json
import warnings
from collections.abc import Awaitable, Callable, Iterator
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import anyio
import pytest

pytest.importorskip("mcp.server.subscriptions", reason="needs the extra mcp")

import mcp_types as types
from mcp import Client, MCPError
from mcp.server.lowlevel.server import Server
from mcp.shared.exceptions import MCPDeprecationWarning

from agent_tools.resources import blocked_behind
from agent_tools.rows import LIST_ITEMS
from agent_tools.server import TownServer
from agent_tools.watching import SUBSCRIPTIONS_MAX, Watch
from tests.support.losses import fall_back, look_back
from tests.support.towns import end_server
from town import Town

LIST_BYTES_MAX = 8 * 1024
MODES = ["legacy", "auto"]
"""The older protocol, with a handshake, and the one of 2026."""

Work = Callable[[Client], Awaitable[Any]]


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A folder whose server serves all towns of this module, one after the other."""
    folder = tmp_path_factory.mktemp("agents")
    yield folder
    end_server(folder)


@pytest.fixture
def town(place: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Town]:
    """An empty town."""
    monkeypatch.setenv("TT_TRUST", "1")
    with Town.init(place, name="agents", actor="person", is_registered=False) as made:
        made.connection.client.flushall()
    with Town.open(place, actor="person") as opened:
        yield opened


def served(town: Town, *, actor: str | None = None) -> Server[Any]:
    return TownServer(town.folder, actor).make()


def talk(town: Town, work: Work, *, mode: str = "auto", actor: str | None = None, name: str = "claude-code") -> Any:
    """What `work` finds with a client that calls itself `name`."""

    async def run() -> Any:
        client = Client(served(town, actor=actor), mode=mode, client_info=types.Implementation(name=name, version="1"))
        with anyio.fail_after(30):
            async with client:
                return await work(client)

    return anyio.run(run)


def call(town: Town, tool: str, **arguments: Any) -> Any:
    """The JSON of a tool's answer."""
    return json.loads(said(town, tool, is_error=False, **arguments))


def said(town: Town, tool: str, *, is_error: bool = True, **arguments: Any) -> str:
    """The words of a tool's answer."""

    async def ask(client: Client) -> Any:
        return await client.call_tool(tool, arguments)

    result = talk(town, ask)
    assert bool(result.is_error) is is_error, result.content[0].text
    text: str = result.content[0].text
    return text


@pytest.mark.parametrize("mode", MODES)
def test_list_of_tools_is_small(town: Town, mode: str) -> None:
    """All a client reads of the tools before it does anything is at most 8 KB, and no tool has a schema for its answer."""

    async def ask(client: Client) -> Any:
        return await client.list_tools()

    listed = talk(town, ask, mode=mode)
    size = len(listed.model_dump_json(by_alias=True, exclude_none=True).encode())
    assert size <= LIST_BYTES_MAX, f"{size} bytes"
    assert 8 <= len(listed.tools) <= 10
    assert all(tool.output_schema is None and "_" in tool.name for tool in listed.tools)


@pytest.mark.parametrize("mode", MODES)
def test_actor_is_the_client(town: Town, mode: str) -> None:
    """Events are caused by the client under its own name, in either protocol, unless `--actor` names another."""

    async def create(client: Client) -> Any:
        return await client.call_tool("task_create", {"text": "Fix the login"})

    talk(town, create, mode=mode, name="some-editor")
    talk(town, create, mode=mode, name="some-editor", actor="worker-1")
    talk(town, create, mode=mode, name="bad\x1b[31m")
    assert [event.actor for event in town.events.last()] == ["some-editor", "worker-1", "tester"]


def test_agent_works_through_its_tasks(town: Town) -> None:
    """Take, note, ask, and after a person's answer take again and complete: each step is in the ledger."""
    call(town, "task_create", text="Build it\n\nWith care.", priority=1, alias="build", tags=["code"])
    call(town, "task_create", text="Ship it", needs=["build"], alias="ship")
    assert [row["task"] for row in call(town, "task_ready")["tasks"]] == ["build"]
    taken = call(town, "task_next")
    assert (taken["alias"], taken["state"], taken["assigned_to"]) == ("build", "running", "claude-code")
    assert taken["description"] == "Build it\n\nWith care."
    call(town, "task_update", task="build", note="Half done", add_tags=["slow"])
    call(town, "task_ask", task="build", question="Which colour?", choices=["red", "blue"])
    assert call(town, "task_next") == {"task": None, "pending": 2, "blocked": 2, "asked": 1}
    town.answer("build", "blue")
    again = call(town, "task_next")
    assert (again["answer"], again["notes"]) == ("blue", [{"by": "claude-code", "text": "Half done"}])
    done = call(town, "task_finish", task="build", outcome="completed", text="Built")
    assert done["state"] == "completed"
    assert call(town, "task_next")["alias"] == "ship"
    assert call(town, "task_finish", task="ship", outcome="failed", text="No ship")["state"] == "failed"
    events = [row["event"] for row in call(town, "task_log", task="build")["events"]]
    assert events[0] == "task.completed"
    assert events[-2:] == ["task.prioritised", "task.created"]
    assert town.task("build").result == "Built"


def test_rows_are_small(town: Town) -> None:
    """A row has no empty field, no state where it is pending, and the beginning of the id where there is no alias."""
    task = town.create("Fix the login").task
    assert call(town, "board_at")["tasks"] == [{"task": task.id[:8], "title": "Fix the login"}]


def test_event_of_the_highest_priority_has_it(town: Town) -> None:
    """0 is a number, and not nothing: the event had no facts."""
    town.create("Fix the login", alias="fix")
    call(town, "task_update", task="fix", priority=0)
    assert call(town, "task_log", task="fix", limit=1)["events"][0]["facts"] == {"priority": 0}


def test_oldest_subscription_makes_room(town: Town) -> None:
    """Only where there are more than the limit: half of them were dropped before."""
    watch = Watch(lambda _: Town.open(town.folder))
    sessions = [SimpleNamespace(client_params=object()) for _ in range(SUBSCRIPTIONS_MAX + 1)]

    async def subscribe() -> None:
        for session in sessions[:-1]:
            await watch.add(session, "tt://board")
        assert len(watch._sessions) == SUBSCRIPTIONS_MAX
        await watch.add(sessions[-1], "tt://board")

    anyio.run(subscribe)
    assert [session for session, _ in watch._sessions] == sessions[1:]


def test_task_shows_what_blocks_it(town: Town) -> None:
    """Blockers are named with their state, links by their alias."""
    town.create("Build", alias="build")
    town.create("Ship", alias="ship", needs=["build"])
    shown = call(town, "task_show", task="ship")
    assert (shown["needs"], shown["blocked_by"]) == (
        ["build"],
        [{"kind": "needs", "task": "build", "state": "pending"}],
    )


def test_long_text_is_cut_and_whole_in_the_resource(town: Town) -> None:
    """An answer says how much of a text it leaves out; the resource of the task has all of it."""
    text = "Long\n" + "x" * 10_000
    town.create(text, alias="long")

    async def read(client: Client) -> Any:
        return await client.read_resource("tt://task/long")

    assert "more characters" in call(town, "task_show", task="long")["description"]
    assert json.loads(talk(town, read).contents[0].text)["description"] == text


def test_long_list_is_cut_and_whole_in_the_resource(town: Town) -> None:
    """Of many needs the first are shown, and that there are more, also of what blocks it: 1,000 needs were 56 KB."""
    needed = [town.create(f"Step {number}").task.id for number in range(LIST_ITEMS + 1)]
    town.create("Top", alias="top", needs=needed)
    row = call(town, "task_show", task="top")
    assert (len(row["needs"]), row["more_needs"]) == (LIST_ITEMS, True)
    assert (len(row["blocked_by"]), row["more_blocked_by"]) == (LIST_ITEMS, True)

    async def read(client: Client) -> Any:
        content: Any = (await client.read_resource("tt://task/top")).contents[0]
        return json.loads(content.text)

    whole = talk(town, read)
    assert len(whole["needs"]) == len(whole["blocked_by"]) == len(needed)


def test_lost_events_are_said_and_nothing_is_written(town: Town) -> None:
    """An agent hears that the server lost what was acknowledged, and what a person can do."""
    client = town.connection.client
    kept = look_back(client)
    town.create("lost", alias="lost")
    fall_back(client, kept)
    words = said(town, "task_create", text="more")
    assert "that were acknowledged here are gone" in words or "that was acknowledged here is gone" in words
    assert "`tt recover --dry-run`" in words
    assert client.dbsize() == len(kept)


def test_hidden_characters_are_written_out(town: Town) -> None:
    """An escape or a direction mark in a text reaches no screen; a program reads the same value."""
    town.create("Fix\x1b[31m the\u202e login 👩\u200d🔬", alias="odd")
    text = said(town, "task_show", is_error=False, task="odd")
    assert text.isprintable() or "\u200d" in text
    assert "\u202e" not in text
    assert json.loads(text)["description"] == "Fix\x1b[31m the\u202e login 👩\u200d🔬"


def test_update_says_what_was_done_before_a_refusal(town: Town) -> None:
    """Several changes in one call stop at the first refusal, and the error names those that were made."""
    town.create("Fix", alias="fix")
    words = said(town, "task_update", task="fix", note="Begun", needs=["nothing-there"])
    assert words.startswith("No task is called 'nothing-there'")
    assert words.endswith("Done before that: note.")


def test_update_changes_every_field(town: Town) -> None:
    """Each field of the input is a change, and what was so already is said."""
    for alias in ("above", "fix", "first"):
        town.create(alias, alias=alias)
    call(town, "task_update", task="fix", step="claim", text="New", priority=0, due="2030-01-01", parent="above")
    call(town, "task_update", task="fix", not_before="2029-01-01", needs=["first"], add_tags=["a"], reason="Why")
    task = town.task("fix")
    assert (task.holder, task.title, task.priority, task.tags) == ("claude-code", "New", 0, ("a",))
    assert task.due_ms is not None
    assert task.not_before_ms is not None
    assert (len(task.needs), task.parent_id) == (1, town.task("above").id)
    call(town, "task_update", task="fix", due="none", not_before="none", needs_no_more=["first"], parent="none")
    task = town.task("fix")
    assert (task.due_ms, task.not_before_ms, task.needs, task.parent_id) == (None, None, (), None)
    assert call(town, "task_update", task="fix", priority=0)["unchanged"]
    call(town, "task_update", task="fix", agent="worker-2")
    call(town, "task_update", task="fix", step="start")
    assert town.task("fix").holder == "worker-2"
    call(town, "task_update", task="fix", step="requeue")
    call(town, "task_update", task="fix", step="cancel", reason="No")
    call(town, "task_update", task="fix", step="reopen")
    assert town.task("fix").state == "pending"


def test_version_guards_all_changes_of_a_call(town: Town) -> None:
    """With `expect` a call changes nothing of a task that moved on, and its own changes do not stand in its way."""
    version = town.create("Fix", alias="fix").task.version
    call(town, "task_update", task="fix", note="One", add_tags=["a"], expect=version)
    words = said(town, "task_update", task="fix", note="Two", expect=version)
    assert "tt task history" in words
    assert said(town, "task_finish", task="fix", outcome="completed", expect=version) == words


def test_circle_is_told_in_names_and_titles(town: Town) -> None:
    """As `tt` tells it, with hidden characters written out. It had whole ids, the last of them without a name."""
    town.create("Fix\u202e it", alias="fix")
    town.create("Test", alias="test", needs=["fix"])
    words = said(town, "task_update", task="fix", needs=["test"])
    assert r": fix (Fix\u202e it) -> test (Test) -> fix (Fix\u202e it). Take a link away first" in words
    assert "\u202e" not in words


def test_refusal_does_not_repeat_a_long_name(town: Town) -> None:
    """What an agent gave for a task or a tool may be of any length; its answer is not."""
    words = said(town, "task_show", task="x" * 5_000)
    assert words.startswith("No task is called 'xxx")
    assert len(words) < 300
    assert len(said(town, "y" * 5_000)) < 300


@pytest.mark.parametrize(
    ("tool", "arguments", "words"),
    [
        ("task_show", {"task": "nothing"}, "`tt task list` shows the tasks of this town."),
        ("task_show", {"task": "fix", "at": "99"}, "The events of this town"),
        ("task_show", {"task": "fix", "at": "somewhen"}, "is not a moment"),
        ("task_show", {}, "missing required field `task`. It takes task, at."),
        ("task_show", {"task": "fix", "colour": "red"}, "unknown field `colour`. It takes task, at."),
        ("task_ready", {"limit": 101}, "<= 100"),
        ("task_ready", {"cursor": "x"}, "Give the cursor of the last answer."),
        ("task_create", {"text": " "}, "The description"),
        ("task_create", {"text": "x", "due": "never"}, "is not a time"),
        ("task_create", {"text": "x", "priority": 9}, "<= 4"),
        (
            "task_update",
            {"task": "fix"},
            "Nothing to change was given. Give a step, a note, or what is to become different.",
        ),
        ("task_update", {"task": "fix", "needs": ["fix"]}, "itself"),
        ("task_update", {"task": "done", "step": "start"}, "`tt task reopen"),
        ("task_ask", {"task": "done", "question": "Why?"}, "`tt task reopen"),
        ("task_search", {"words": ""}, "Give at least one word."),
        ("board_at", {"parent": "nothing"}, "`tt task list`"),
        ("nothing", {}, "There are task_ready, task_next"),
    ],
)
def test_errors_are_those_of_the_command_line(town: Town, tool: str, arguments: dict[str, Any], words: str) -> None:
    """A refusal has the words of `tt` with its advice, marks the answer as an error, and writes nothing."""
    town.create("Fix", alias="fix")
    town.create("Done", alias="done")
    town.cancel("done")
    end = town.end()
    assert words in said(town, tool, **arguments)
    assert town.end() == end


def test_pages_are_of_one_board(town: Town) -> None:
    """A cursor goes on with the board that the first page showed, whatever happened meanwhile; none comes twice or is left out."""
    for number in range(5):
        town.create(f"Task {number}", alias=f"task-{number}")
    for tool, arguments in (("board_at", {}), ("task_ready", {}), ("task_search", {"words": "task"})):
        expected = sorted(row["task"] for row in call(town, tool, limit=100, **arguments)["tasks"])
        first = call(town, tool, limit=2, **arguments)
        town.remove(first["tasks"][0]["task"])
        rows, cursor = first["tasks"], first["cursor"]
        while cursor is not None:
            page = call(town, tool, limit=2, cursor=cursor, **arguments)
            rows, cursor = rows + page["tasks"], page.get("cursor")
        assert sorted(row["task"] for row in rows) == expected, tool


def test_log_goes_on_at_its_cursor(town: Town) -> None:
    """Pages of events, newest first, each event once."""
    for number in range(5):
        town.create(f"Task {number}")
    numbers, cursor = [], None
    while True:
        page = call(town, "task_log", limit=2, **({} if cursor is None else {"cursor": cursor}))
        numbers += [row["n"] for row in page["events"]]
        cursor = page.get("cursor")
        if cursor is None:
            break
    assert numbers == sorted(numbers, reverse=True)
    assert len(set(numbers)) == 5


def test_board_of_a_moment(town: Town) -> None:
    """The board at an event does not know what came later."""
    first = town.create("Fix", alias="fix").positions[-1]
    town.complete("fix", agent="a")
    assert call(town, "board_at", at=str(first.seq))["counts"] == {"pending": 1}
    assert call(town, "board_at")["counts"] == {"completed": 1}
    assert "state" not in call(town, "task_show", task="fix", at=str(first.seq)) or (
        call(town, "task_show", task="fix", at=str(first.seq))["state"] == "pending"
    )


def test_agents_at_once_get_different_tasks(town: Town) -> None:
    """Ten calls at once through one server take ten tasks: none waits in the event loop, none is given twice."""
    for number in range(10):
        town.create(f"Task {number}")

    async def take(client: Client) -> Any:
        taken: list[str] = []

        async def one(number: int) -> None:
            result: Any = await client.call_tool("task_next", {"agent": f"worker-{number}"})
            taken.append(json.loads(result.content[0].text)["id"])

        async with anyio.create_task_group() as group:
            for number in range(10):
                group.start_soon(one, number)
        return taken

    assert len(set(talk(town, take))) == 10


def test_resources(town: Town) -> None:
    """The board, boards of moments, tasks and histories can be read, and are listed; other addresses are refused in words."""
    town.create("Fix", alias="a b")

    async def read(client: Client) -> Any:
        listed = await client.list_resources()
        templates = await client.list_resource_templates()
        texts = [
            json.loads((await client.read_resource(address)).contents[0].text)  # type: ignore[union-attr]
            for address in ("tt://board", "tt://board/1", "tt://task/a%20b", "tt://history/a%20b")
        ]
        with pytest.raises(MCPError) as refused:
            await client.read_resource("tt://nothing/x")
        return listed, templates, texts, str(refused.value)

    listed, templates, (board, then, task, history), words = talk(town, read)
    assert [str(each.uri) for each in listed.resources] == ["tt://board"]
    assert len(templates.resource_templates) == 3
    assert board["tasks"] == then["tasks"] == [{"task": "a b", "title": "Fix"}]
    assert (task["alias"], [row["event"] for row in history["events"]]) == ("a b", ["task.created"])
    assert "There are tt://board" in words


def test_listener_hears_of_new_events(town: Town) -> None:
    """A subscription of the protocol of 2026 fires on the events of its task, by alias too, and not on those of others."""
    town.create("Fix", alias="fix")
    town.create("Other", alias="other")

    async def listen(client: Client) -> Any:
        async with client.listen(resource_subscriptions=["tt://task/fix", "tt://board"]) as events:
            await anyio.to_thread.run_sync(town.note, "other", "Not this one")
            first = await anext(events)
            await anyio.to_thread.run_sync(town.note, "fix", "This one")
            return [first.uri, (await anext(events)).uri, (await anext(events)).uri]  # type: ignore[union-attr]

    assert sorted(talk(town, listen)) == ["tt://board", "tt://board", "tt://task/fix"]


def test_listener_hears_of_what_blocks_its_task(town: Town) -> None:
    """A task's resource shows what blocks it, so it is told when that changes, also if a task above it is blocked. A note on a
    blocker changes nothing of it.
    """
    town.create("Base", alias="base")
    town.create("Top", alias="top", needs=["base"])
    town.create("Below", alias="below", parent="top")

    async def is_blocked(client: Client) -> bool:
        content: Any = (await client.read_resource("tt://task/below")).contents[0]
        return "blocked_by" in content.text

    async def listen(client: Client) -> Any:
        async with client.listen(resource_subscriptions=["tt://task/below", "tt://history/below"]) as heard:
            events: Any = heard
            assert await is_blocked(client)
            await anyio.to_thread.run_sync(town.note, "base", "Half of it")
            await anyio.to_thread.run_sync(partial(town.complete, "base", agent="ada"))
            told = [(await anext(events)).uri]
            assert not await is_blocked(client)
            await anyio.to_thread.run_sync(town.ask, "top", "Which?")
            told.append((await anext(events)).uri)
            assert await is_blocked(client)
            await anyio.to_thread.run_sync(town.note, "base", "After the end")
            await anyio.to_thread.run_sync(town.note, "below", "Its own")
            return [*told, *sorted([(await anext(events)).uri, (await anext(events)).uri])]

    address = "tt://task/below"
    assert talk(town, listen) == [address, address, "tt://history/below", address]


def test_of_very_many_blocked_tasks_some_are_told(town: Town, monkeypatch: pytest.MonkeyPatch) -> None:
    """A task that thousands wait for does not hold up the others that are to be told."""
    base = town.create("Base", alias="base").task.id
    waiting = {town.create(f"Top {number}", needs=["base"]).task.id for number in range(5)}
    assert blocked_behind(town, {base}) == waiting
    monkeypatch.setattr("agent_tools.resources.TOLD_MAX", 3)
    assert len(blocked_behind(town, {base})) in (2, 3)


def test_older_client_hears_of_new_events(town: Town) -> None:
    """So does one of the protocol before, until it unsubscribes."""
    task = town.create("Fix", alias="fix").task
    address = f"tt://history/{task.id}"

    async def run() -> list[str]:
        heard: list[str] = []
        arrived = anyio.Event()

        async def take(message: Any) -> None:
            if isinstance(message, types.ResourceUpdatedNotification):
                heard.append(str(message.params.uri))
                arrived.set()

        async with Client(served(town), mode="legacy", message_handler=take) as client:
            with warnings.catch_warnings(action="ignore", category=MCPDeprecationWarning):
                await client.subscribe_resource(address)
                await client.subscribe_resource("tt://board")
                await client.unsubscribe_resource("tt://board")
            await client.call_tool("task_update", {"task": "fix", "note": "Heard"})
            with anyio.fail_after(20):
                await arrived.wait()
        return heard

    assert anyio.run(run) == [address]


@pytest.mark.parametrize("spelled", ["web:1", "web%3A1"])
def test_listener_may_quote_signs_of_an_alias_or_not(town: Town, spelled: str) -> None:
    """Both are read, and both are told of; with a colon as it is, nothing was ever told."""
    town.create("Fix", alias="web:1")
    address = f"tt://task/{spelled}"

    async def listen(client: Client) -> Any:
        assert (await client.read_resource(address)).contents
        async with client.listen(resource_subscriptions=[address]) as events:
            await anyio.to_thread.run_sync(town.note, "web:1", "Heard")
            event: Any = await anext(events)
            return event.uri

    assert talk(town, listen) == address


@pytest.mark.parametrize("mode", ["auto", "legacy"])
@pytest.mark.parametrize("address", ["tt://task/", "tt://tasks/fix", "http://x/y"])
def test_subscription_to_no_resource_is_refused(town: Town, mode: str, address: str) -> None:
    """With the addresses that there are, as when it is read. It was taken, and never told of anything."""

    async def listen(client: Client) -> None:
        async with client.listen(resource_subscriptions=["tt://board", address]):
            pass

    async def subscribe(client: Client) -> None:
        with (
            pytest.raises(MCPError) as refused,
            warnings.catch_warnings(action="ignore", category=MCPDeprecationWarning),
        ):
            await (client.subscribe_resource(address) if mode == "legacy" else listen(client))
        assert "names no resource of this town. There are tt://board" in str(refused.value)

    talk(town, subscribe, mode=mode)
