"""Charts: counts and times are those of the events."""

from __future__ import annotations

from collections import Counter
from typing import Any

from starlette.testclient import TestClient

from ledger import State
from town import Town
from web.charts import figures


def test_days_add_up_to_the_board(town: Town, client: TestClient) -> None:
    """What is in each state at the end of the last day is what the board has; finished tasks are those of the events."""
    answer: dict[str, Any] = client.get("/api/v1/charts").json()
    states = {state.value: count for state, count in town.count_states().items()}
    assert answer["days"][-1]["open"] == states
    types = Counter(each.type for each in town.events.last(count=None))
    for name in ("completed", "failed", "cancelled", "reopened"):
        assert sum(day[name] for day in answer["days"]) == types[f"task.{name}"]
    assert len(answer["finished"]) == types["task.completed"] + types["task.failed"]
    assert answer["lead"]["count"] == len(answer["finished"])


def test_moment_of_the_past_has_its_own_charts(town: Town, client: TestClient) -> None:
    """Nothing later counts."""
    answer = client.get("/api/v1/charts", params={"at": 40}).json()
    open_then = sum(answer["days"][-1]["open"][state.value] for state in State)
    assert open_then == len(town.at(40).page().tasks)


def test_period_leaves_out_what_came_before(town: Town, client: TestClient) -> None:
    """Finished tasks are those of later events."""
    whole = client.get("/api/v1/charts").json()["finished"]
    shown = client.get("/api/v1/charts", params={"since": 60}).json()
    assert shown["finished"] == [each for each in whole if each["number"] > 60]
    assert client.get("/api/v1/charts", params={"since": "7d"}).json()["finished"] == whole
    assert town.end().seq > 60


def test_percentiles_are_by_nearest_rank() -> None:
    """Of none there are none."""
    assert figures([5, 1, 3, 2, 4]) == {"count": 5, "p50": 3, "p85": 5, "p95": 5}
    assert figures([]) == {"count": 0, "p50": None, "p85": None, "p95": None}
