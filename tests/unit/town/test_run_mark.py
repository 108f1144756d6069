"""The mark of a run: a field of `task.started`, which nobody can type."""

from __future__ import annotations

import msgspec
import pytest

from ledger import (
    InvalidValueError,
    Position,
    RunMark,
    StartTask,
    TaskAssigned,
    TaskNoted,
    TaskStarted,
    decode_event,
    read_event,
    record,
)
from tests.support.builders import TASK, an_event, recorded
from town.runs.run_mark import mark_of, new_mark

MARK = RunMark("3f2a9c1e44d0", "build-3", 4711)


def stored(schema: int, data: object, reason: str | None = None) -> list[bytes]:
    fields = {"prev": None, "type": "task.started", "schema": schema, "task": TASK, "version": 3, "actor": "ada"}
    event = fields | {"command": TASK, "data": data} | ({} if reason is None else {"reason": reason})
    return [b"event", msgspec.json.encode(event)]


def test_mark_reads_back_from_its_words() -> None:
    """What a runner wrote into the reason of an old event is what is read from it."""
    mark = new_mark()
    assert RunMark.parse(str(mark)) == mark


@pytest.mark.parametrize(
    "reason", [None, "", "because", "runner on x, process 1", "runner on a b, process 1, run 0123456789ab"]
)
def test_other_reasons_are_no_mark(reason: str | None) -> None:
    """A task that somebody started by hand has no runner, whatever reason was given."""
    assert RunMark.parse(reason) is None


@pytest.mark.parametrize("host", ["build 3", "", "ünïcode", "x" * 300, "a,b\nc"])
def test_any_host_name_fits(monkeypatch: pytest.MonkeyPatch, host: str) -> None:
    """A host's name is made to fit, so that a command takes the mark."""
    monkeypatch.setattr("socket.gethostname", lambda: host)
    mark = new_mark()
    assert StartTask(task_id=TASK, run=mark).run == mark


def test_mark_is_that_of_the_last_start() -> None:
    """A task that a runner lost and a person took over by hand is the person's."""
    started = an_event(TaskStarted(MARK), version=2)
    history = [*recorded([TaskAssigned("ada")]), record(started, Position.of(ms=2, seq=2))]
    assert mark_of(history) == MARK
    assert mark_of([*history, *recorded([TaskNoted("half way")], first_version=3)]) == MARK
    assert mark_of([*history, *recorded([TaskStarted()], task=TASK, first_version=3)]) is None


def test_reason_is_a_run_in_old_events_alone() -> None:
    """Words typed by hand make no run any more; a runner's words in an event of schema 1 still do."""
    assert decode_event(b"1-1", stored(1, {}, str(MARK))).data == TaskStarted(MARK)
    assert decode_event(b"1-1", stored(2, {"run": None}, str(MARK))).data == TaskStarted()
    assert decode_event(b"1-1", stored(1, {"run": msgspec.to_builtins(MARK)})).data == TaskStarted()


@pytest.mark.parametrize(
    "change", [{"id": "x"}, {"id": "3f2a9c1e44d0\n"}, {"host": "a b"}, {"host": ""}, {"process": 0}]
)
def test_run_that_no_command_makes_is_damage(change: dict[str, object]) -> None:
    """A run as no runner makes it is refused in a command, and in an event that is read it is damage."""
    fields = msgspec.to_builtins(MARK) | change
    with pytest.raises(InvalidValueError, match="run"):
        StartTask(task_id=TASK, run=RunMark(**fields))
    assert read_event(b"1-1", stored(2, {"run": fields})).type == "task.started"
    assert not isinstance(read_event(b"1-1", stored(2, {"run": fields})).data, TaskStarted)
