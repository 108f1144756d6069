"""SIGKILL of the server while processes append: what was acknowledged is there, and nothing is there twice."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest

from ledger import EventStore, RecordedEvent, TaskCreated, TaskNoted
from projections import replay
from tests.support.expected_keys import assert_projected
from tests.support.processes import WorkerProcess, workers_at_the_line
from tests.support.projectors import background_projectors
from tests.support.towns import client_of, kill_server
from tests.support.waiting import wait_until
from town import EmbeddedServer, Town

WRITERS = 3
KILLS = 5
APPENDS_BETWEEN_KILLS = 25


@pytest.mark.parametrize("projectors", [0, 2])
def test_kill_9_during_appends_loses_no_acknowledged_event(folder: Path, tmp_path: Path, projectors: int) -> None:
    """Three writers, five kills: each acknowledged position still holds its event, and no event is there twice.

    Without projector workers, and with two in the background, which outlive every kill.
    """
    Town.init(folder, name="killed").close()
    stop = tmp_path / "stop"
    logs = [tmp_path / f"acknowledged-{number}" for number in range(WRITERS)]
    arguments = [(folder, f"writer-{number}", log, stop) for number, log in enumerate(logs)]
    with (
        background_projectors(projectors, folder=folder, logs=tmp_path),
        workers_at_the_line("write_until_stopped", arguments) as workers,
    ):
        for worker in workers:
            worker.go()
        for _ in range(KILLS):
            wait_for_appends(logs, workers)
            wait_until(EmbeddedServer(folder).answers)
            kill_server(folder)
        wait_for_appends(logs, workers)
        stop.touch()
        for worker in workers:
            worker.finish()
    acknowledged = dict(line.split("\t") for log in logs for line in log.read_text(encoding="utf-8").splitlines())
    with Town.open(folder) as town, client_of(folder) as client:
        town.upkeep.catch_up()
        store = EventStore(client, town.keys)
        assert_projected(client, town.keys, replay(store))
        recorded = [event for batch in store.read_batches() for event in batch]
    texts = {str(event.position): text_of(event) for event in recorded}
    assert {position: texts.get(position) for position in acknowledged} == acknowledged
    assert Counter(texts.values()).most_common(1)[0][1] == 1
    assert [event.position.seq for event in recorded] == list(range(1, len(recorded) + 1))
    log = (folder / ".tt" / "server.log").read_text(encoding="utf-8", errors="replace")
    assert log.count("is starting") == KILLS + 1


def wait_for_appends(logs: list[Path], workers: list[WorkerProcess]) -> None:
    """Return once every writer has had some more appends acknowledged."""
    sizes = [count_lines(log) for log in logs]
    wait_until(
        lambda: (
            any(worker.check() for worker in workers)
            or all(count_lines(log) >= size + APPENDS_BETWEEN_KILLS for log, size in zip(logs, sizes, strict=True))
        )
    )


def count_lines(path: Path) -> int:
    return path.read_bytes().count(b"\n") if path.exists() else 0


def text_of(event: RecordedEvent) -> str:
    match event.data:
        case TaskCreated(description):
            return description
        case TaskNoted(text):
            return text
        case other:
            raise AssertionError(f"nobody wrote {other}")
