"""The town of `make board`: a past that is worth playing back."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from cli.commands.serve import DEFAULT_PORT
from ledger import State
from tests.support.board_town import AGENTS, DAYS, make_board_town
from tests.support.serving import STOP_SECONDS_MAX
from tests.support.towns import end_server
from town import Town


def test_town_of_the_board_has_a_past_of_all_kinds(tmp_path: Path) -> None:
    """Days of work by all agents, failures, reopenings, questions and links, in order, up to now; and it is sound."""
    try:
        make_board_town(tmp_path / "board")
        with Town.open(tmp_path / "board") as town:
            events = [event for batch in town.backend.store.read_batches() for event in batch]
            kinds = {event.type for event in events}
            assert {"task.failed", "task.reopened", "task.asked", "task.answered", "task.linked", "task.noted"} <= kinds
            assert set(AGENTS) <= {event.actor for event in events}
            assert (events[-1].position.time - events[0].position.time).days >= DAYS - 3
            assert town.count_states()[State.COMPLETED] > 20
            assert town.upkeep.verify().findings == ()
    finally:
        end_server(tmp_path / "board")


def test_board_is_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """At a free port, so that it can be looked at beside a `tt serve`; Ctrl-C ends it, and its town is gone."""
    monkeypatch.setenv("BROWSER", "true %s")
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    command = [sys.executable, "-m", "tests.support.board_town"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, start_new_session=True) as process:
        assert process.stdout is not None
        process.stdout.readline()
        address = process.stdout.readline().strip()
        os.killpg(process.pid, signal.SIGINT)
        process.communicate(timeout=STOP_SECONDS_MAX)
    assert address.startswith("http://127.0.0.1:")
    assert urlsplit(address).port != DEFAULT_PORT
    assert list(tmp_path.iterdir()) == []
