"""The live stream: every client gets the ledger's events, in order, once, whatever is cut or killed in between."""

from __future__ import annotations

import json
import os
import socket
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from unittest.mock import patch

import anyio
import pytest
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Message, Scope

from ledger import BEGINNING, NewEvent, TaskCreated, TaskNoted
from tests.support.builders import task_id
from tests.support.histories import Filler
from tests.support.serving import Listener, Serving, serving
from tests.support.towns import end_server, kill_server
from tests.support.waiting import wait_until
from town import Town
from web.live import LISTENERS_MAX, SLOW_SECONDS, EventsGiven, Live, _Stream
from web.problems import Problem
from web.tail import Tail, lines_of
from web.towns import ServedTown, Towns

IS_LONG = bool(os.environ.get("TT_STRESS"))
CLIENTS, COMMANDS = (50, 32_000) if IS_LONG else (10, 1_500)
SECONDS_MAX = 300.0 if IS_LONG else 60.0


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[Path]:
    with Town.init(tmp_path / "town", name="streamed", is_registered=False) as town:
        town.create("first")
    yield tmp_path / "town"
    end_server(tmp_path / "town")


@pytest.fixture
def served(folder: Path) -> Iterator[Serving]:
    with serving(folder) as running:
        yield running


def ledger_of(folder: Path) -> list[tuple[str, str, str]]:
    with Town.open(folder) as town:
        return [(each.at, each.type, each.task) for each in town.events.last(count=None)]


def told(listener: Listener) -> list[tuple[str, str, str]]:
    for at, event in listener.events:
        assert at == event["position"]
    return [(at, event["type"], event["task"]) for at, event in listener.events]


def test_clients_get_every_event_once_whatever_is_cut_or_killed(folder: Path) -> None:
    """10 clients and some 2,000 events (50 and 20,000 with TT_STRESS=1), connections cut at random, both servers killed in between."""
    first = Serving(folder)
    listeners = [Listener(first.port, goal=10**9, cut_every=200, seed=seed, after="0") for seed in range(CLIENTS)]
    for listener in listeners:
        listener.start()
    with Town.open(folder) as town:
        filler = Filler(town.backend.store, seed=8, tasks=60)
        filler.fill(COMMANDS // 3)
        kill_server(folder)
    with Town.open(folder) as town:
        # Another filler would not know the tasks.
        filler._store = town.backend.store
        filler.fill(COMMANDS // 3)
        first.kill()
        filler.fill(COMMANDS // 3)
    with serving(folder, port=first.port):
        expected = ledger_of(folder)
        wait_until(lambda: all(len(each.events) >= len(expected) for each in listeners), seconds_max=SECONDS_MAX)
        for listener in listeners:
            listener.end()
            assert told(listener) == expected
            assert listener.connections > 2
    made = [listener.connections for listener in listeners]
    print(f"{len(expected)} events, {CLIENTS} clients, {min(made)} to {max(made)} connections each, {sum(made)} in all")  # noqa: T201 - figures


def test_event_is_sent_within_a_second(folder: Path, served: Serving) -> None:
    """Mostly at once. Without a position, the stream begins at the end."""
    listener = Listener(served.port, goal=3)
    listener.start()
    wait_until(lambda: listener.messages)
    assert listener.messages[0][0] == "begin"
    with Town.open(folder) as town:
        town.create("second")
        written = time.monotonic()
        wait_until(lambda: listener.events)
        assert listener.seen_at[0] - written < 1.0
        [(_, event)] = listener.events
        assert (event["type"], event["title"], event["number"]) == ("task.created", "second", 2)
        town.create("third")
    wait_until(lambda: not listener.is_alive())


def test_titles_of_tasks_that_nobody_asked_about_are_not_folded_each_time(folder: Path) -> None:
    """A program that only appends leaves snapshots behind; the stream brings them up, and reads them from then on."""
    task = task_id(7)
    with Town.open(folder) as town:
        facts = [TaskCreated("seventh"), *(TaskNoted(f"note {number}") for number in range(50))]
        town.backend.store.append(
            [
                NewEvent(task=task, version=version, actor="x", command="c", data=fact)
                for version, fact in enumerate(facts, 1)
            ],
            {task: 0},
        )
        last = town.events.last(count=3)
        with patch.object(town, "titles", side_effect=AssertionError("its history is folded")):
            for _ in range(2):
                lines = lines_of(town, last)
    assert [json.loads(line.content.split(b"data: ")[1])["title"] for line in lines] == ["seventh"] * 3


def test_filters_pass_only_what_they_name(folder: Path, served: Serving) -> None:
    """Of one task, one actor, one type."""
    with Town.open(folder, actor="ada") as town:
        task = town.create("second", alias="two").task.id
        town.note(task, "noted")
    with Town.open(folder, actor="bob") as town:
        town.note(task, "noted, too")
        town.create("last", alias="end")
    for query, expected in (
        ({"task": "two", "type": "task.noted"}, ["noted", "noted, too"]),
        ({"task": "two", "actor": "bob"}, ["noted, too"]),
    ):
        listener = Listener(served.port, goal=10**9, after="0", **query)  # type: ignore[arg-type]  # they are texts
        listener.start()
        wait_until(lambda listener=listener, expected=expected: len(listener.events) >= len(expected))  # type: ignore[misc]
        listener.end()
        assert [event["data"]["text"] for _, event in listener.events] == expected


def test_stopping_says_so_and_ends(served: Serving) -> None:
    """A client reads why, and up to where it knows everything; the server ends with code 0."""
    listener = Listener(served.port, goal=10**9, after="0")
    listener.start()
    wait_until(lambda: listener.events)
    assert served.stop() == 0
    wait_until(lambda: len(listener.messages) > 1)
    kind, message = listener.messages[1]
    assert (kind, message["reason"], message["position"]) == ("end", "stopping", listener.events[-1][0])
    listener.end()


@pytest.mark.parametrize("query", ["after=x", "after=99999", "task=nobody", "other=1"])
def test_wrong_question_is_a_problem(served: Serving, query: str) -> None:
    """It is answered at once, and no stream begins."""
    status, problem = served.request("GET", f"/api/v1/events?{query}")
    assert status in (400, 404)
    assert problem["detail"]


def test_more_clients_than_the_limit_are_asked_to_come_later(served: Serving) -> None:
    """The others go on."""
    listeners = [Listener(served.port, goal=10**9) for _ in range(LISTENERS_MAX)]
    for listener in listeners:
        listener.start()
    wait_until(lambda: all(listener.messages for listener in listeners))
    status, problem = served.request("GET", "/api/v1/events")
    assert (status, "live streams" in problem["detail"]) == (429, True)
    for listener in listeners:
        listener.end()


def test_streams_that_begin_at_once_are_counted_one_by_one(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """One is counted when it is let in, before anything is sent, and no longer once it is over, also if it never began."""

    async def listen() -> tuple[list[int], int]:
        with closing(Towns({"streamed": ServedTown(folder, "streamed", actor=None)})) as towns:
            live, statuses = Live(towns), []
            responses: list[Response] = []
            for _ in range(3):
                try:
                    responses.append(await live.respond(towns.own, Request(_scope("GET"))))
                    statuses.append(200)
                except Problem as problem:
                    statuses.append(problem.status)
            for response in responses:
                # Who asked for the headers alone gets no stream.
                await response(_scope("HEAD"), _nothing_more, _thrown_away)
            return statuses, live.listeners["streamed"]

    monkeypatch.setattr("web.live.LISTENERS_MAX", 2)
    assert anyio.run(listen) == ([200, 200, 429], 0)


def _scope(method: str) -> Scope:
    return {"type": "http", "method": method, "path": "/events", "query_string": b"", "headers": []}


async def _nothing_more() -> Message:
    return {"type": "http.disconnect"}


async def _thrown_away(_: Message) -> None:
    return None


def test_reader_that_does_not_read_takes_no_memory_and_resumes(folder: Path, served: Serving) -> None:
    """Its part waits in the sockets' buffers, and the rest in the ledger; the other clients are told meanwhile."""
    with Town.open(folder) as town:
        task = town.create("large").task.id
        with socket.create_connection(("127.0.0.1", served.port)) as slow:
            slow.sendall(f"GET /api/v1/events?after=0 HTTP/1.1\r\nHost: 127.0.0.1:{served.port}\r\n\r\n".encode())
            quick = Listener(served.port, goal=10**9, after="0")
            quick.start()
            sizes: list[int] = []
            for number in range(900):
                town.note(task, f"{number} " + "x" * 60_000)
                if number in (299, 899):
                    end = town.end().seq
                    wait_until(lambda end=end: len(quick.events) == end)  # type: ignore[misc]
                    sizes.append(memory_of(served.process.pid))
            # Between the two are 36 MB of events.
            assert sizes[1] - sizes[0] < 10 << 20
        quick.end()


def memory_of(pid: int) -> int:
    """The memory of a process, bytes."""
    fields = dict(line.split(":", 1) for line in Path(f"/proc/{pid}/status").read_text("ascii").splitlines())
    return int(fields["VmRSS"].split()[0]) << 10


def test_reader_that_is_too_slow_is_told_so_and_where_it_was(folder: Path) -> None:
    """The stream ends with the reason once the piece has gone, and goes on at the position that is named."""

    async def read_slowly() -> list[bytes]:
        with closing(Towns({"streamed": ServedTown(folder, "streamed", actor=None)})) as towns:
            live = Live(towns)
            tail = Tail(towns.own)
            tail.listen(BEGINNING)
            stream = _Stream(live, towns.own, tail, EventsGiven(), None, anyio.Event())
            pieces: list[bytes] = []
            async for piece in stream.run(BEGINNING):
                pieces.append(piece)
                # The clock goes on while the reader takes its time.
                now[0] += SLOW_SECONDS + 1
            tail.leave()
            assert live.cut_off == 1
            return pieces

    now = [0.0]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("web.live.time.monotonic", lambda: now[0])
        begin, events, end = anyio.run(read_slowly)
    [(position, _, _)] = ledger_of(folder)
    assert b"event: begin" in begin
    assert position.encode() in events
    assert json.loads(end.split(b"data: ")[1]) == {"reason": "slow reader", "position": position}


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
@pytest.mark.parametrize("error", [KeyError, RuntimeError])
def test_stream_ends_if_the_server_fails_to_read_on(
    folder: Path, monkeypatch: pytest.MonkeyPatch, error: type[Exception]
) -> None:
    """A fault of ours keeps nobody waiting: who listens is told, and may begin anew."""

    async def listen() -> list[bytes]:
        with closing(Towns({"streamed": ServedTown(folder, "streamed", actor=None)})) as towns:
            tail = Tail(towns.own)
            tail.listen(BEGINNING)
            with anyio.fail_after(30):
                stream = _Stream(Live(towns), towns.own, tail, EventsGiven(), None, anyio.Event())
                return [piece async for piece in stream.run(BEGINNING)]

    def fail(*_: object) -> None:
        raise error

    monkeypatch.setattr("web.tail.lines_of", fail)
    *_, end = anyio.run(listen)
    assert b"event: end" in end
    assert b"unexpected" in end


def test_stream_ends_with_the_reason_if_the_town_cannot_be_opened_again(folder: Path, served: Serving) -> None:
    """Its settings were spoilt and its server is gone: who listens is told, and does not wait for ever."""
    listener = Listener(served.port, goal=10**9, after="0")
    listener.start()
    wait_until(lambda: listener.events)
    settings = folder / "tinytown.toml"
    sound = settings.read_text(encoding="utf-8")
    settings.write_text("[[", encoding="utf-8")
    kill_server(folder)
    wait_until(lambda: any(kind == "end" for kind, _ in listener.messages))
    [reason] = {message["reason"] for kind, message in listener.messages if kind == "end"}
    assert "tinytown.toml" in reason
    settings.write_text(sound, encoding="utf-8")
    with Town.open(folder) as town:
        town.create("second")
    wait_until(lambda: len(listener.events) == 2)
    listener.end()
