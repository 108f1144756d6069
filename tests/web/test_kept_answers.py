"""Kept answers: one is made once while nothing is appended, and is never older than the ledger."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from unittest.mock import patch

import pytest
from starlette.testclient import TestClient

from ledger import Position
from town import Town
from web.answers import Answer
from web.kept_answers import KEPT_ANSWERS_BYTES_MAX, KEPT_ANSWERS_MAX, KEPT_SECONDS_MAX, KeptAnswers


class Maker:
    """Makes answers, and counts them."""

    def __init__(self, position: Position | None, size: int = 0) -> None:
        self.made = 0
        self._position = position
        self._size = size

    def __call__(self) -> Answer:
        self.made += 1
        return Answer({"made": self.made, "text": "x" * self._size}, self._position)


@contextmanager
def clock() -> Iterator[list[float]]:
    now = [0.0]
    with patch("web.kept_answers.time.monotonic", lambda: now[0]):
        yield now


def test_answer_is_made_once_until_something_is_appended(town: Town) -> None:
    """Each question has its own; with another end, all are made anew."""
    kept, first, second = KeptAnswers(), Maker(town.end()), Maker(town.end())
    with clock():
        answers = [kept.ask(town, "a", first) for _ in range(3)]
        kept.ask(town, "b", second)
        assert (first.made, second.made) == (1, 1)
        assert {answer.shape for answer in answers} == {b'{"made":1,"text":""}'}
        town.create("new")
        later = Maker(town.end())
        kept.ask(town, "a", later)
        assert later.made == 1


def test_those_who_ask_at_once_get_one_answer(town: Town) -> None:
    """The first makes it, and the others wait for it; nothing of that is left."""
    kept, maker = KeptAnswers(), Maker(town.end())
    asked = threading.Barrier(6)

    def ask(_: int) -> object:
        with Town.open(town.folder) as mine:
            asked.wait(timeout=30)
            return kept.ask(mine, "a", maker).shape

    with clock(), ThreadPoolExecutor(6) as pool:
        assert {*pool.map(ask, range(6))} == {b'{"made":1,"text":""}'}
    assert kept._making == {}


def test_answer_of_another_moment_or_of_the_time_is_not_kept(town: Town) -> None:
    """What was asked while others appended has an earlier position; what depends on the time has none."""
    before = town.end()
    town.create("new")
    for position in (before, None):
        kept, maker = KeptAnswers(), Maker(position)
        for _ in range(2):
            kept.ask(town, "a", maker)
        assert maker.made == 2


def test_answer_is_made_again_after_its_time(town: Town) -> None:
    """So a repair of the views, which appends nothing, shows."""
    kept, maker = KeptAnswers(), Maker(town.end())
    with clock() as now:
        kept.ask(town, "a", maker)
        now[0] += KEPT_SECONDS_MAX
        kept.ask(town, "a", maker)
    assert maker.made == 2


@pytest.mark.parametrize(
    ("questions", "size"),
    [(3 * KEPT_ANSWERS_MAX, 0), (40, KEPT_ANSWERS_BYTES_MAX // 10), (3, KEPT_ANSWERS_BYTES_MAX + 1)],
)
def test_memory_is_bounded(town: Town, questions: int, size: int) -> None:
    """By their number, and by their bytes; what is larger than that is given and not kept."""
    kept = KeptAnswers()
    with clock():
        for number in range(questions):
            kept.ask(town, str(number), Maker(town.end(), size))
    contents = [answer.shape for answer, _ in kept._answers.values()]
    assert len(contents) <= KEPT_ANSWERS_MAX
    assert sum(map(len, contents)) <= KEPT_ANSWERS_BYTES_MAX


def test_writer_reads_what_it_wrote(town: Town, client: TestClient) -> None:
    """Each write shows at once, whatever was asked before it."""
    path = "/api/v1/tasks?state=pending&limit=1000"
    for number in range(20):
        before = client.get(path).json()
        assert client.get(path).json() == before
        (client.post("/api/v1/tasks", json={"description": f"task {number}"}) if number % 2 else town.create("by hand"))
        assert client.get(path).json()["total"] == before["total"] + 1


def test_what_is_overdue_now_has_no_tag(town: Town, client: TestClient) -> None:
    """It changes with the time, and nothing is appended: a client that knows the tag would keep an old answer."""
    for path in ("/api/v1/tasks", "/api/v1/board"):
        assert "etag" in client.get(path).headers
        assert "etag" not in client.get(path, params={"overdue": "true"}).headers
        assert "etag" in client.get(path, params={"overdue": "true", "at": town.end().seq}).headers
