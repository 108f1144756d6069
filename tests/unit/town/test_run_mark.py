"""The mark of a run: words in the ledger that can be read back."""

from __future__ import annotations

import pytest

from ledger import Position, TaskAssigned, TaskNoted, TaskStarted, check_text, record
from tests.support.builders import TASK, an_event, recorded
from town.runs.run_mark import RunMark, mark_of


def test_mark_reads_back_from_its_words() -> None:
    """What a runner writes into an event is what `tt reclaim` reads from it."""
    mark = RunMark.new()
    assert RunMark.parse(check_text(str(mark), "reason")) == mark


@pytest.mark.parametrize(
    "reason", [None, "", "because", "runner on x, process 1", "runner on a b, process 1, run 0123456789ab"]
)
def test_other_reasons_are_no_mark(reason: str | None) -> None:
    """A task that somebody started by hand has no runner, whatever reason was given."""
    assert RunMark.parse(reason) is None


@pytest.mark.parametrize("host", ["build 3", "", "ünïcode", "x" * 300, "a,b\nc"])
def test_any_host_name_fits(monkeypatch: pytest.MonkeyPatch, host: str) -> None:
    """A host's name is made to fit, so that the words stay readable."""
    monkeypatch.setattr("socket.gethostname", lambda: host)
    mark = RunMark.new()
    assert RunMark.parse(str(mark)) == mark


def test_mark_is_that_of_the_last_start() -> None:
    """A task that a runner lost and a person took over by hand is the person's."""
    mark = RunMark.new()
    started = an_event(TaskStarted(), version=2, reason=str(mark))
    history = [*recorded([TaskAssigned("ada")]), record(started, Position.of(ms=2, seq=2))]
    assert mark_of(history) == mark
    assert mark_of([*history, *recorded([TaskNoted("half way")], first_version=3)]) == mark
    assert mark_of([*history, *recorded([TaskStarted()], task=TASK, first_version=3)]) is None
