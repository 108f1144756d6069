"""Warm-up: who asks for the timeline finds boards of the past already kept."""

from __future__ import annotations

import threading
from contextlib import closing
from unittest.mock import patch

import pytest
from starlette.testclient import TestClient

from tests.support.kept import kept_numbers
from tests.support.waiting import wait_until
from town import Town
from town.reading import folding
from web.towns import ServedTown


@pytest.fixture(autouse=True)
def _large(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every town counts as a large one."""
    monkeypatch.setattr(folding, "FOLDED_EVENTS_MAX", 10)
    monkeypatch.setattr(folding, "KEPT_EVENTS_MIN", 5)


def test_boards_are_kept_once_the_timeline_is_asked_for(town: Town, client: TestClient) -> None:
    """Nobody has asked for a moment yet. Other questions keep none."""
    client.get("/api/v1/board")
    assert kept_numbers(town.folder) == []
    client.get("/api/v1/timeline")
    wait_until(lambda: town.end().seq in kept_numbers(town.folder))


def test_it_begins_once(town: Town) -> None:
    """However often it is asked for."""
    with (
        closing(ServedTown(town.folder, "shown", actor=None)) as served,
        patch.object(threading, "Thread", wraps=threading.Thread) as made,
    ):
        for _ in range(3):
            served.warm_up.begin()
        assert made.call_count == 1
        wait_until(lambda: town.end().seq in kept_numbers(town.folder))


def test_town_that_cannot_be_opened_is_no_matter(town: Town, monkeypatch: pytest.MonkeyPatch) -> None:
    """The thread ends without a word; who asks for a moment is told what is wrong."""
    problems: list[object] = []
    monkeypatch.setattr(threading, "excepthook", problems.append)
    (town.folder / "tinytown.toml").write_text("[[", encoding="utf-8")
    served = ServedTown(town.folder, "shown", actor=None)
    served.warm_up.begin()
    wait_until(lambda: not any(thread.name == "warm-up" for thread in threading.enumerate()))
    assert problems == []
    assert kept_numbers(town.folder) == []
