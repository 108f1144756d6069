"""Figures for Prometheus, and whether the servers answer."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from prometheus_client.parser import text_string_to_metric_families
from starlette.testclient import TestClient

from ledger import StoreUnavailableError
from tests.support.serving import Listener, Serving, serving
from tests.support.towns import end_server, kill_server
from tests.support.waiting import wait_until
from tests.web.conftest import HOST
from town import Town
from web.access import Tokens
from web.app import make_app
from web.towns import ServedTown, Towns

TOKEN = "t" * 20


@pytest.fixture
def served(tmp_path: Path) -> Iterator[Serving]:
    with Town.init(tmp_path / "town", name="counted", is_registered=False) as town:
        town.create("first")
    with serving(tmp_path / "town") as running:
        yield running
    end_server(tmp_path / "town")


def figures_of(text: str) -> dict[str, float]:
    return {
        sample.name + "".join(f" {value}" for value in sample.labels.values()): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


def test_answers_are_counted(client: TestClient) -> None:
    """By method and status, refusals too; methods that nobody has are one."""
    client.get("/api/v1")
    client.get("/api/v1/tasks/nobody")
    client.post("/api/v1/tasks", json={"description": "x"}, headers={"Origin": "http://other.example"})
    for method in ("BREW", "WHEN"):
        client.request(method, "/api/v1")
    answer = client.get("/metrics")
    assert answer.headers["content-type"].startswith("text/plain")
    figures = figures_of(answer.text)
    answered = {name: figure for name, figure in figures.items() if name.startswith("tt_serve_answers_total")}
    assert answered == {
        "tt_serve_answers_total GET 200": 1,
        "tt_serve_answers_total GET 404": 1,
        "tt_serve_answers_total POST 403": 1,
        "tt_serve_answers_total other 405": 2,
    }
    assert figures["tt_serve_answer_seconds_count GET"] == 2


def test_streams_and_their_events_are_counted(served: Serving) -> None:
    """As long as they are open."""
    listener = Listener(served.port, goal=10**9, after="0")
    listener.start()
    wait_until(lambda: listener.events)
    figures = figures_of(served.request("GET", "/metrics")[1])
    assert figures["tt_serve_streams counted"] == 1
    assert figures["tt_serve_events_sent_total"] == 1
    assert figures["tt_serve_streams_cut_off_total"] == 0
    listener.end()


def test_figures_need_a_token_where_others_do(town: Town, tmp_path: Path) -> None:
    """Health needs none, and so says nothing about the town."""
    file = tmp_path / "tokens"
    file.write_text(f"ada read {TOKEN}\n", encoding="utf-8")
    file.chmod(0o600)
    with closing(Towns({"shown": ServedTown(town.folder, "shown", actor=None)})) as towns:
        guarded = TestClient(make_app(towns, hosts=None, tokens=Tokens.read(file)), base_url=f"http://{HOST}")
        assert guarded.get("/metrics").status_code == 401
        assert guarded.get("/metrics", headers={"Authorization": f"Bearer {TOKEN}"}).status_code == 200
        assert (guarded.get("/healthz").status_code, guarded.get("/healthz").text) == (200, "ok\n")


def test_health_tells_of_a_server_that_does_not_answer(
    client: TestClient, town: Town, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With 503, and when to ask again; and no word of the town."""

    def refuse(_: Town) -> None:
        raise StoreUnavailableError("a secret place", "is down.", "Wait.")

    with monkeypatch.context() as patch:
        patch.setattr(Town, "end", refuse)
        answer = client.get("/healthz")
    assert (answer.status_code, "retry-after" in answer.headers) == (503, True)
    assert "1 of 1" in answer.json()["detail"]
    assert town.name not in answer.text
    assert "secret" not in answer.text
    assert client.get("/healthz").status_code == 200


def test_health_starts_the_own_server_as_every_question_does(served: Serving, tmp_path: Path) -> None:
    """It is found down, started, and answers."""
    kill_server(tmp_path / "town")
    wait_until(lambda: served.request("GET", "/healthz")[0] == 200)
