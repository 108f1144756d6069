"""A server's clock that stands behind the last event: now is the present board all the same, and `tt doctor` names the clock."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from ledger import TaskCreated
from tests.support.builders import TASK, an_event
from tests.support.tt import Tt
from town import Town

DAY_MS = 86_400_000


@pytest.fixture
def ahead(town: Path) -> Path:
    """A town whose only event is of tomorrow, as where the machine's clock was set back."""
    with Town.open(town) as opened:
        tomorrow_ms = time.time_ns() // 1_000_000 + DAY_MS
        opened.backend.store.append([an_event(TaskCreated("Of tomorrow"))], {TASK: 0}, backdate_ms=tomorrow_ms)
    return town


@pytest.mark.parametrize(
    "command",
    [("tasks",), ("task", "list"), ("task", "tree"), ("task", "show", TASK), ("backlog", "list"), ("replay",)],
)
def test_now_shows_the_present_board(tt: Tt, ahead: Path, command: tuple[str, ...]) -> None:
    """It showed an empty one: by the clock the event is still to come."""
    assert ahead.is_dir()
    ran = tt(*command, "--at", "now")
    assert (ran.code, ran.err) == (0, "")
    assert "Of tomorrow" in ran.out


def test_doctor_names_the_clock_and_what_follows(tt: Tt, ahead: Path) -> None:
    """A warning, by how much it is behind, and what to set right; the next event gets no earlier time than the last."""
    assert ahead.is_dir()
    (clock,) = (check for check in tt("doctor", "--json").json["checks"] if check["name"] == "clock")
    assert clock["state"] == "warning"
    assert "the server's clock is 23:59:5" in clock["words"] or "the server's clock is 1 day" in clock["words"]
    assert "Set the clock of the server's machine" in clock["words"]
    tt("task", "note", TASK, "next")
    first, second = tt("events", "--json").json["events"]
    assert first["time"] == second["time"]


def test_doctor_finds_a_sound_clock_good(tt: Tt, town: Path) -> None:
    """Before the first event, and after it."""
    assert town.is_dir()
    for words in (("task", "create", "One"), ("task", "create", "Two")):
        (clock,) = (check for check in tt("doctor", "--json").json["checks"] if check["name"] == "clock")
        assert clock["state"] == "good"
        assert tt(*words).code == 0
