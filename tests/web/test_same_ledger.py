"""The same commands, over REST and by the library, lead to the same ledger, but for ids and times."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing, contextmanager
from datetime import UTC, datetime
from pathlib import Path
from random import Random
from typing import Any, Final

import msgspec
import pytest
from starlette.testclient import TestClient

from ledger import LedgerError, LinkKind
from tests.support.towns import end_server
from tests.web.conftest import HOST
from town import Town
from web.app import make_app
from web.towns import ServedTown, Towns

SEEDS: Final = range(100 if os.environ.get("TT_STRESS") else 6)
COMMANDS: Final = 80
AGENTS: Final = ("worker-1", "worker-2")
DUE: Final = "2031-05-01T12:00:00Z"
Body = dict[str, Any]


class Command(msgspec.Struct, frozen=True):
    """A verb on a task, by the number of its creation; None creates one."""

    verb: str
    task: int | None
    body: Body
    version: int | None = None


def commands(seed: int) -> Iterator[Command]:
    """Random wishes; many of them are refused."""
    chance, made = Random(seed), 0

    def other() -> str:
        return f"#{chance.randrange(made)}"

    bodies: Mapping[str, Callable[[], Body]] = {
        "assign": lambda: {"agent": chance.choice(AGENTS)},
        "claim": lambda: {"agent": chance.choice(AGENTS)},
        "start": lambda: {"agent": chance.choice((None, *AGENTS))},
        "complete": lambda: {"result": chance.choice((None, "done")), "agent": chance.choice((None, *AGENTS))},
        "fail": lambda: {"error": chance.choice((None, "no")), "agent": chance.choice((None, *AGENTS))},
        "cancel": dict,
        "requeue": dict,
        "reopen": dict,
        "remove": dict,
        "note": lambda: {"text": chance.choice(("a note", " ", "<b>bold</b>"))},
        "edit": lambda: {"description": f"another {chance.randrange(9)}"},
        "tag": lambda: {"add": chance.sample(("a", "b", "c"), 1), "remove": chance.sample(("a", "b", "c"), 1)},
        "move": lambda: {"parent": chance.choice((None, other()))},
        "prioritise": lambda: {"priority": chance.randrange(5)},
        "schedule": lambda: chance.choice(({"due": DUE}, {"due": None}, {"not_before": DUE})),
        "link": lambda: {"to": [other()], "kind": chance.choice(list(LinkKind)).value},
        "unlink": lambda: {"to": [other()], "kind": chance.choice(list(LinkKind)).value},
        "ask": lambda: {"question": "which?", "choices": ["one", "two"]},
        "answer": lambda: {"text": chance.choice(("one", "three")), "is_other": chance.random() < 0.3},
    }
    for number in range(COMMANDS):
        if made < 3 or chance.random() < 0.15:
            body: Body = {"description": f"task {number}", "tags": chance.sample(("a", "b"), 1), "agent": None}
            if made:
                body |= {"parent": chance.choice((None, other())), "needs": [other()] if chance.random() < 0.2 else []}
            yield Command("create", None, body)
            made += 1
        else:
            verb = chance.choice(list(bodies))
            reason = {} if verb == "note" else {"reason": chance.choice((None, "why not"))}
            version = chance.randrange(1, 6) if chance.random() < 0.2 else None
            yield Command(verb, chance.randrange(made), bodies[verb]() | reason, version)


def named(value: Any, ids: list[str]) -> Any:
    """A body with the ids of the tasks that it names by number."""
    if isinstance(value, str) and value.startswith("#"):
        return ids[int(value[1:])]
    if isinstance(value, list):
        return [named(each, ids) for each in value]
    return value


def by_library(town: Town, command: Command, ids: list[str]) -> str | None:
    """The error's name; None if it was carried out."""
    body = {name: named(value, ids) for name, value in command.body.items()}
    for name in ("due", "not_before"):
        if body.get(name) is not None:
            body[name] = datetime.fromisoformat(DUE).astimezone(UTC)
    if "kind" in body:
        body["kind"] = LinkKind(body["kind"])
    verb = {"edit": "describe"}.get(command.verb, command.verb)
    try:
        if command.task is None:
            ids.append(town.create(**body).task.id)
        else:
            getattr(town, verb)(ids[command.task], **body, expected_version=command.version)
    except LedgerError as error:
        return type(error).__name__
    return None


def by_rest(client: TestClient, command: Command, ids: list[str]) -> str | None:
    """As `by_library`."""
    body = {name: named(value, ids) for name, value in command.body.items()}
    path = "/api/v1/tasks" if command.task is None else f"/api/v1/tasks/{ids[command.task]}/{command.verb}"
    headers = {} if command.version is None else {"If-Match": f'"{command.version}"'}
    answer = client.post(path, json=body, headers=headers)
    if answer.status_code >= 400:
        assert answer.status_code < 500, answer.text
        return str(answer.json()["error"])
    if command.task is None:
        ids.append(answer.json()["task"]["id"])
    return None


def told(town: Town, ids: list[str]) -> list[Any]:
    """The events, with tasks by their numbers, and without times, positions and ids of commands."""
    number = {task_id: f"#{place}" for place, task_id in enumerate(ids)}

    def plain(value: Any) -> Any:
        if isinstance(value, dict):
            return {name: plain(each) for name, each in value.items()}
        if isinstance(value, list):
            return [plain(each) for each in value]
        return number.get(value, value) if isinstance(value, str) else value

    found = []
    commands_seen: dict[str, int] = {}
    for batch in town.backend.store.read_batches():
        for event in batch:
            command = commands_seen.setdefault(event.command, len(commands_seen))
            data = plain(msgspec.to_builtins(event.data))
            found.append((number[event.task], event.version, event.type, event.actor, event.reason, command, data))
    return found


@contextmanager
def new_town(folder: Path) -> Iterator[Town]:
    try:
        with Town.init(folder, name="same", actor="ada", is_registered=False) as town:
            yield town
    finally:
        end_server(folder)


@pytest.fixture(scope="module")
def towns(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Town, Town, TestClient]]:
    folder = tmp_path_factory.mktemp("same")
    with (
        new_town(folder / "library") as town,
        new_town(folder / "rest") as served,
        closing(Towns({"same": ServedTown(served.folder, "same", actor="ada")})) as all_served,
    ):
        client = TestClient(make_app(all_served, hosts=[HOST]), base_url=f"http://{HOST}")
        yield town, served, client


def test_rest_and_library_give_the_same_ledger(towns: tuple[Town, Town, TestClient]) -> None:
    """Random commands, carried out or refused for the same reason; the refused ones write nothing in either."""
    town, served, client = towns
    own, ids = list[str](), list[str]()
    refusals = 0
    for seed in SEEDS:
        here, there = list[str](), list[str]()
        for command in commands(seed):
            refused = by_library(town, command, here)
            assert by_rest(client, command, there) == refused, command
            if refused and command.task is None:
                # Each creation has its number.
                here.append(here[-1])
                there.append(there[-1])
            refusals += refused is not None
        own += here
        ids += there
    assert told(town, own) == told(served, ids)
    assert COMMANDS * len(SEEDS) * 0.1 < refusals < COMMANDS * len(SEEDS) * 0.9
