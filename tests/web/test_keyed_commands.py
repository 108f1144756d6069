"""A command with an `Idempotency-Key` is carried out once, however often it is sent."""

from __future__ import annotations

from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Final
from uuid import uuid4

import pytest
from starlette.testclient import TestClient

from ledger import NotReplicatedError, Position, RecordedEvent, TaskNotFoundError
from town import Receipt, Town

AT_ONCE: Final = 8
VERBS: Final[Mapping[str, Mapping[str, Any]]] = {
    "assign": {"agent": "worker-2"},
    "claim": {"agent": "worker-1"},
    "start": {"agent": "worker-1"},
    "complete": {"agent": "worker-1", "result": "done"},
    "fail": {"agent": "worker-1", "error": "no"},
    "cancel": {},
    "note": {"text": "a word"},
    "edit": {"description": "another"},
    "tag": {"add": ["x"]},
    "move": {"parent": "above"},
    "prioritise": {"priority": 0},
    "schedule": {"due": "2099-01-01T00:00:00Z"},
    "link": {"to": ["above"]},
    "ask": {"question": "really?"},
    "remove": {},
}
"""Each on a new task."""


def post(client: TestClient, path: str, body: Mapping[str, Any], key: str, **headers: str) -> Any:
    return client.post(f"/api/v1{path}", json=dict(body), headers={"Idempotency-Key": key, **headers})


def events_of(town: Town, key: str) -> list[RecordedEvent]:
    return [event for batch in town.backend.store.read_batches() for event in batch if event.command == key]


@pytest.mark.parametrize("verb", VERBS)
def test_repeated_command_appends_once_and_gets_the_same_answer(client: TestClient, town: Town, verb: str) -> None:
    """Also when others went on with the task since, and when the version it asked for is past."""
    town.create("above", alias="above")
    task = town.create("a task").task
    key = str(uuid4())
    headers = {"If-Match": f'"{task.version}"'}
    first = post(client, f"/tasks/{task.id}/{verb}", VERBS[verb], key, **headers)
    assert first.status_code == 200, first.text
    if verb != "remove":
        town.note(task.id, "meanwhile")
        town.tag(task.id, add=["later"])
    again = post(client, f"/tasks/{task.id}/{verb}", VERBS[verb], key.upper(), **headers)
    assert (again.status_code, again.json()) == (200, first.json())
    assert [str(event.position) for event in events_of(town, key)] == first.json()["positions"]


@pytest.mark.parametrize("alias", [None, "named"])
def test_repeated_creation_makes_one_task(client: TestClient, town: Town, alias: str | None) -> None:
    """With an alias and without; after its removal, too."""
    body, key = {"description": "new", "alias": alias}, str(uuid4())
    first = post(client, "/tasks", body, key)
    assert first.status_code == 201
    town.note(first.json()["task"]["id"], "meanwhile")
    assert post(client, "/tasks", body, key).json() == first.json()
    town.remove(first.json()["task"]["id"])
    assert post(client, "/tasks", body, key).json() == first.json()
    assert len(events_of(town, key)) == 1


@pytest.mark.parametrize("is_by_task", [True, False])
def test_repeated_undo_takes_back_once(client: TestClient, town: Town, is_by_task: bool) -> None:
    """A repeat does not take back the undo, even where the task is named and the undo is its last command."""
    task = town.create("a task").task
    receipt = town.tag(task.id, add=["x"])
    body, key = {"event": task.id if is_by_task else str(receipt.positions[-1])}, str(uuid4())
    first, again = (post(client, "/undo", body, key) for _ in range(2))
    assert (first.status_code, again.status_code) == (200, 200), again.text
    assert again.json()["positions"] == first.json()["positions"]
    assert town.task(task.id).tags == ()
    assert len(events_of(town, key)) == 1


@pytest.mark.parametrize("path", ["/tasks", "/tasks/aimed/note", "/tasks/aimed/complete", "/undo"])
def test_key_repeated_8_times_at_once_appends_once(client: TestClient, town: Town, path: str) -> None:
    """All get the receipt of the one that did it."""
    task = town.create("a task", alias="aimed", agent="worker-1").task
    bodies = {"/tasks": {"description": "new"}, "/tasks/aimed/note": {"text": "hello"}, "/undo": {"event": task.id}}
    if path == "/undo":
        town.tag("aimed", add=["x"])
    key = str(uuid4())
    with ThreadPoolExecutor(AT_ONCE) as pool:
        answers = list(pool.map(lambda _: post(client, path, bodies.get(path, {}), key), range(AT_ONCE)))
    assert {answer.status_code for answer in answers} <= {200, 201}, [answer.text for answer in answers]
    [positions] = {tuple(answer.json()["positions"]) for answer in answers}
    assert [str(event.position) for event in events_of(town, key)] == list(positions)


def test_refused_command_may_be_sent_again_with_its_key(client: TestClient, town: Town) -> None:
    """Nothing was written, so the key is not used up."""
    task = town.create("a task").task
    key = str(uuid4())
    assert post(client, f"/tasks/{task.id}/complete", {}, key).status_code == 422
    assert post(client, f"/tasks/{task.id}/complete", {"agent": "worker-1"}, key).status_code == 200


@pytest.mark.parametrize("key", ["", "7", "x" * 200, "zz0e8400-e29b-41d4-a716-446655440000"])
def test_key_that_is_no_uuid_is_refused(client: TestClient, town: Town, key: str) -> None:
    """It says what a key is; nothing is written."""
    end = town.end()
    answer = post(client, "/tasks", {"description": "new"}, key)
    assert (answer.status_code, "UUID" in answer.json()["detail"]) == (400, True)
    assert town.end() == end


def test_conflict_shows_the_task_as_it_is(client: TestClient, town: Town) -> None:
    """The version that was asked for, the one it has, and the task, so that both can be shown."""
    task = town.create("a task").task
    town.tag(task.id, add=["since"])
    answer = client.post(f"/api/v1/tasks/{task.id}/note", json={"text": "x"}, headers={"If-Match": '"1"'})
    body = answer.json()
    assert (answer.status_code, body["expected"], body["actual"]) == (409, 1, 2)
    assert body["task"]["tags"] == ["since"]


def test_key_of_two_commands_does_not_make_them_one(client: TestClient, town: Town) -> None:
    """On two tasks, each gets its own receipt, also when it is sent again, and is taken back alone."""
    first, second = (town.create(name).task.id for name in ("one", "two"))
    key = str(uuid4())
    told = [post(client, f"/tasks/{task}/tag", {"add": ["x"]}, key).json() for task in (first, second)]
    again = [post(client, f"/tasks/{task}/tag", {"add": ["x"]}, key).json() for task in (first, second)]
    assert again == told
    assert [len(each["positions"]) for each in told] == [1, 1]
    assert client.post("/api/v1/undo", json={"event": first}).status_code == 200
    assert (town.task(first).tags, town.task(second).tags) == ((), ("x",))


def test_command_that_lost_to_another_with_its_key_gets_the_receipt_of_that(
    town: Town, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Neither the receipt nor the view shows what was not appended, even where both were decided at once."""
    task, key = town.create("a task").task.id, str(uuid4())
    append = town.backend.store.append
    told: list[Receipt] = []

    def append_after_another(*given: Any, **options: Any) -> Any:
        if not told:
            with Town.open(town.folder, actor="another") as other:
                told.append(other.once(key, lambda: other.tag(task, add=["theirs"]), about=(task,)))
        return append(*given, **options)

    monkeypatch.setattr(town.backend.store, "append", append_after_another)
    receipt = town.once(key, lambda: town.tag(task, add=["ours"]), about=(task,))
    assert (receipt.positions, receipt.task.tags) == (told[0].positions, ("theirs",))
    assert town.task(task).tags == ("theirs",)
    assert len(events_of(town, key)) == 1


class NoReplica:
    """Waits for replicas that never come."""

    def confirm(self, position: Position | None) -> None:
        raise NotReplicatedError("here", position, wanted=1, got=0)


def test_command_that_no_replica_has_is_not_reported_as_done(town: Town, monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither at first nor when it is sent again, though its event is there; once a replica has it, it is."""
    task, key = town.create("a task").task.id, str(uuid4())
    with monkeypatch.context() as patched:
        patched.setattr(town.backend, "replicas", 1)
        patched.setattr(town.backend, "acks", NoReplica(), raising=False)
        for _ in range(2):
            with pytest.raises(NotReplicatedError):
                town.once(key, lambda: town.complete(task, agent="worker-1"), about=(task,))
        # Refused, because it is done already: that is told no sooner.
        with pytest.raises(NotReplicatedError):
            town.once(key, lambda: refused(task), about=(task,))
    receipt = town.once(key, lambda: town.complete(task, agent="worker-1"), about=(task,))
    assert [event.position for event in events_of(town, key)] == list(receipt.positions)


def refused(task: str) -> Receipt:
    """A refusal that comes before the command looks whether it was carried out."""
    raise TaskNotFoundError(task)
