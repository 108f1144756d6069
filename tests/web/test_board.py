"""The board in columns and its steps: at any moment they are what a replay of the ledger shows."""

from __future__ import annotations

from datetime import UTC, datetime
from random import Random
from typing import Any

import msgspec
import pytest
from starlette.testclient import TestClient

from ledger import BEGINNING, State, TaskCreated, TownForked, new_task_id
from projections import replay
from shapes.board import card_shape
from tests.support.builders import an_event
from town import Town, read_steps_after, read_steps_upto
from web.board import By

Board = dict[str, dict[str, Any]]
"""Task id -> card."""


def replayed(town: Town, number: int) -> Board:
    """All cards right after an event, folded from the ledger by the replay."""
    store = town.backend.store
    at = BEGINNING if number == 0 else store.position_of(number)
    assert at is not None
    cards = {task_id: card_shape(task) for task_id, task in replay(store, upto=at).tasks.items()}
    board: Board = msgspec.json.decode(msgspec.json.encode(cards))
    return board


def shown(answer: Any) -> Board:
    """The cards of a board in columns."""
    assert answer.status_code == 200, answer.text
    return {card["id"]: card for column in answer.json()["columns"] for card in column["tasks"]}


def led_on(board: Board, steps: list[dict[str, Any]]) -> Board:
    found = dict(board)
    for step in steps:
        _put(found, step["task"], step["before"], step["after"])
    return found


def led_back(board: Board, steps: list[dict[str, Any]]) -> Board:
    found = dict(board)
    for step in reversed(steps):
        _put(found, step["task"], step["after"], step["before"])
    return found


def _put(board: Board, task_id: str, old: dict[str, Any] | None, new: dict[str, Any] | None) -> None:
    if task_id == "town":
        assert (old, new) == (None, None)
        return
    assert board.get(task_id) == old
    board.pop(task_id, None)
    if new is not None:
        board[task_id] = new


def test_board_of_a_moment_is_the_replay_of_that_moment(town: Town, client: TestClient) -> None:
    """Card by card, at every tenth event and at the end; a column's total is that of its cards."""
    end = town.end().seq
    for number in [*range(1, end, 10), end]:
        answer = client.get("/api/v1/board", params={"at": number})
        assert shown(answer) == replayed(town, number)
        assert answer.json()["number"] == number
        for column in answer.json()["columns"]:
            assert {card["state"] for card in column["tasks"]} <= {column["key"]}
            assert (column["total"], column["has_more"]) == (len(column["tasks"]), False)
    assert shown(client.get("/api/v1/board")) == replayed(town, end)


def test_steps_lead_from_any_moment_to_any_other(town: Town, client: TestClient) -> None:
    """A board with the steps after it is the later board, and without them the earlier one."""
    chance, end = Random(3), town.end().seq
    for _ in range(30):
        first, last = sorted(chance.sample(range(end + 1), 2))
        steps = client.get("/api/v1/steps", params={"after": first, "limit": last - first}).json()["steps"]
        assert [step["number"] for step in steps] == list(range(first + 1, last + 1))
        early, late = replayed(town, first), replayed(town, last)
        assert led_on(early, steps) == late
        assert led_back(late, steps) == early
        back = client.get("/api/v1/steps", params={"before": last, "limit": last - first}).json()
        assert back["steps"] == steps
        assert back["has_more"] == (first > 0)


def test_steps_say_whether_there_are_more(town: Town, client: TestClient) -> None:
    """And where they end, so that the next ones follow without a gap."""
    end = town.end()
    first = client.get("/api/v1/steps", params={"after": 0, "limit": 10}).json()
    assert (first["after"], len(first["steps"]), first["has_more"]) == ("0-0", 10, True)
    rest = client.get("/api/v1/steps", params={"after": first["position"], "limit": 2_000}).json()
    assert rest["steps"][0]["number"] == 11
    assert (rest["position"], rest["has_more"]) == (end, False)
    none = client.get("/api/v1/steps", params={"after": end}).json()
    assert (none["steps"], none["position"], none["has_more"]) == ([], end, False)
    assert client.get("/api/v1/steps", params={"before": 0}).json()["steps"] == []


def test_fact_of_the_town_changes_no_card(town: Town) -> None:
    """It is a step all the same: numbers have no gaps."""
    fact = TownForked(source="other", position="5-1")
    town.backend.store.append([an_event(fact, task="town")], {"town": 0})
    [step] = read_steps_upto(town.backend.store, town.end(), limit=1)
    assert (step.event.data, step.before, step.after) == (fact, None, None)


def test_task_that_is_removed_and_comes_back_has_steps(town: Town) -> None:
    """Between the two there is no card."""
    start = town.end()
    task = town.create("here and gone").task.id
    town.remove(task)
    town.undoing.undo(task)
    steps = read_steps_after(town.backend.store, start, limit=10)
    assert [(step.before is None, step.after is None) for step in steps][:3] == [
        (True, False),
        (False, True),
        (True, False),
    ]


@pytest.mark.parametrize("by", [By.AGENT, By.PARENT, By.PRIORITY])
def test_columns_by_something_else_have_the_open_tasks(town: Town, client: TestClient, by: By) -> None:
    """Each open task is in one column, which has its key."""
    town.create("child", parent=town.create("parent", priority=0).task.id, agent="ada")
    answer = client.get("/api/v1/board", params={"by": by})
    cards = replayed(town, town.end().seq)
    still_open = {task_id for task_id, card in cards.items() if not State(card["state"]).is_terminal}
    assert set(shown(answer)) == still_open
    columns = {column["key"]: column for column in answer.json()["columns"]}
    if by is By.PRIORITY:
        assert {key: {card.get("priority", 2) for card in column["tasks"]} for key, column in columns.items()} == {
            key: {key} for key in columns
        }
    if by is By.PARENT:
        assert {column["title"] for key, column in columns.items() if key is not None} >= {"parent"}


def test_filters_narrow_a_board(town: Town, client: TestClient) -> None:
    """They are those of a list of tasks."""
    task = town.create("mine", agent="zoe", tags=["red"]).task.id
    assert set(shown(client.get("/api/v1/board", params={"agent": "zoe"}))) == {task}
    assert task in shown(client.get("/api/v1/board", params={"tag": "red"}))
    assert task not in shown(client.get("/api/v1/board", params={"not_tag": "red"}))
    assert set(shown(client.get("/api/v1/board", params={"q": "mine", "by": "agent"}))) == {task}
    assert set(shown(client.get("/api/v1/board", params={"q": "mine", "state": "assigned"}))) == {task}
    assert shown(client.get("/api/v1/board", params={"q": "mine", "state": "running"})) == {}
    town.prioritise(task, 0)
    town.schedule(task, due=datetime(2020, 1, 1, tzinfo=UTC))
    assert set(shown(client.get("/api/v1/board", params={"priority": 0, "overdue": "true"}))) == {task}
    [card] = client.get("/api/v1/tasks", params={"q": "mine", "fields": "card"}).json()["tasks"]
    assert card == shown(client.get("/api/v1/board"))[task]


def test_long_column_says_how_many_more_there_are(town: Town, client: TestClient) -> None:
    """The newest are shown."""
    for number in range(5):
        town.create(f"more {number}")
    pending = client.get("/api/v1/board", params={"limit": 2}).json()["columns"][0]
    assert [card["title"] for card in pending["tasks"]] == ["more 4", "more 3"]
    assert (pending["has_more"], pending["total"] >= 5) == (True, True)


@pytest.mark.parametrize("by", list(By))
def test_columns_are_paged_to_their_ends(town: Town, client: TestClient, by: By) -> None:
    """Each column, also the one of tasks without a parent: pages behind one another are the whole column, once."""
    for number in range(7):
        town.create(f"more {number}", parent=town.create(f"above {number}").task.id if number % 2 else None)
    whole = client.get("/api/v1/board", params={"by": by, "limit": 1_000}).json()["columns"]
    longest = max(column["total"] for column in whole)
    pages = [
        client.get("/api/v1/board", params={"by": by, "limit": 3, "offset": offset}).json()["columns"]
        for offset in range(0, longest, 3)
    ]
    for place, column in enumerate(whole):
        paged = [page[place] for page in pages]
        assert [card for each in paged for card in each["tasks"]] == column["tasks"]
        assert {(each["key"], each["total"]) for each in paged} == {(column["key"], column["total"])}
        assert [each["has_more"] for each in paged] == [
            3 * (number + 1) < column["total"] for number in range(len(paged))
        ]


@pytest.mark.parametrize(
    "query", ["after=1&before=2", "", "after=x", "after=99999", "limit=0&after=1", "limit=2001&after=1", "after=1&x=2"]
)
def test_wrong_steps_are_refused(client: TestClient, query: str) -> None:
    """As a problem, with what to give."""
    answer = client.get(f"/api/v1/steps?{query}")
    assert answer.status_code in (400, 404)
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.json()["detail"]


def test_damaged_task_has_a_card(town: Town, client: TestClient) -> None:
    """From the event on that no command can make."""
    task = new_task_id()
    facts = [an_event(TaskCreated("x"), task=task), an_event(TaskCreated("again"), task=task, version=2)]
    town.backend.store.append(facts, {task: 0})
    steps = client.get("/api/v1/steps", params={"before": town.end().seq, "limit": 1}).json()["steps"]
    assert steps[0]["after"]["damaged_at"] == town.end()
