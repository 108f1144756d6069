"""The open towns of a server: kept where they help, and given up where they are of no use any more."""

from __future__ import annotations

import os
from contextlib import closing
from pathlib import Path

import pytest
from starlette.testclient import TestClient

from ledger import StoreUnavailableError
from tests.support.towns import end_server, kill_server
from tests.web.conftest import HOST
from town import Town
from web.app import make_app
from web.towns import ACTORS_MAX, ServedTown, Towns


def test_open_towns_of_the_first_actors_are_kept(town: Town, monkeypatch: pytest.MonkeyPatch) -> None:
    """However many others come: who asks again finds the town open."""
    opened: list[str | None] = []
    open_town = Town.open

    def count(_: object, *, actor: str | None) -> Town:
        opened.append(actor)
        return open_town(town.folder, actor=actor)

    monkeypatch.setattr(Town, "open", count)
    served = ServedTown(town.folder, "shown", actor=None)
    actors = [f"actor-{number}" for number in range(ACTORS_MAX + 3)]
    for actor in actors * 3:
        with served.opened(actor) as found:
            assert found.actor == actor
    served.close()
    assert opened == actors + 2 * actors[ACTORS_MAX:]


def test_one_request_at_most_finds_out_that_the_server_is_another_one(town: Town) -> None:
    """The connections that were open to the old one are not tried one by one."""
    served = ServedTown(town.folder, "shown", actor=None)
    with served.opened() as first, served.opened() as second, served.opened() as third:
        assert len({id(each) for each in (first, second, third)}) == 3
    kill_server(town.folder)
    problems = 0
    for _ in range(3):
        try:
            with served.opened() as found:
                found.end()
        except StoreUnavailableError:
            problems += 1
    served.close()
    assert problems <= 1


def test_town_whose_folder_is_away_may_be_asked_again(town: Town, client: TestClient) -> None:
    """503 and not the words of a refused command, until it is back; nothing is made where it was."""
    away = town.folder.with_name("away")
    kill_server(town.folder)
    town.folder.rename(away)
    answer = client.post("/api/v1/tasks", json={"description": "new"})
    assert (answer.status_code, answer.headers["retry-after"]) == (503, "2")
    assert answer.json()["title"] == "The town cannot be opened"
    assert not town.folder.exists()
    away.rename(town.folder)
    assert client.get("/api/v1/tasks").status_code == 200


def test_folder_whose_name_is_no_text_is_named_in_a_problem(tmp_path: Path) -> None:
    """In a way that JSON can have; it is no fault of the program."""
    folder = tmp_path / os.fsdecode(b"od\xffd")
    with Town.init(folder, name="odd", is_registered=False):
        pass
    end_server(folder)
    folder.rename(tmp_path / "away")
    with closing(Towns({"odd": ServedTown(folder, "odd", actor=None)})) as towns:
        client = TestClient(make_app(towns, hosts=[HOST]), base_url=f"http://{HOST}", raise_server_exceptions=False)
        for path in ("/api/v1/tasks", "/api/v1/events"):
            answer = client.get(path)
            assert (answer.status_code, "dcffd" in answer.json()["detail"]) == (503, True), answer.text
