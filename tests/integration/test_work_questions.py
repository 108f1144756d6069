"""Agents that ask people: the run ends and the task waits, and a later run gets the answer."""

from __future__ import annotations

import os
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
import redis

from ledger import State, StoreUnavailableError
from tests.support.waiting import wait_until
from town import Runner, RunOutcome, RunReport, Town

ASKS = 'tt ask "$TT_TASK" "Which colour?" --choices red,blue'
TELLS = 'printf "[%s|%s]" "$TT_QUESTION" "$TT_ANSWER" > told; cat > given'


class Place:
    """A town on the session's server, with `tt` for the programs of its runners."""

    def __init__(self, folder: Path, town: Town) -> None:
        self.folder = folder
        self.town = town

    def once(self, *command: str, agent: str = "ada") -> RunReport | None:
        return Runner(self.folder, agent, command).run(once=True)

    def types(self, task_id: str) -> list[str]:
        return [step.event.type.partition(".")[2] for step in self.town.history(task_id)]

    def told(self) -> tuple[str, str]:
        """What the last program found in its environment and on its input."""
        return (self.folder / "told").read_text(), (self.folder / "given").read_text()


@pytest.fixture
def place(client: redis.Redis, server_socket: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Place]:
    assert client.dbsize() == 0
    folder = tmp_path / "place"
    programs = tmp_path / "programs"
    programs.mkdir()
    (programs / "tt").write_text(f'#!/bin/sh\nexec {sys.executable} -m cli.main "$@"\n', encoding="utf-8")
    (programs / "tt").chmod(0o755)
    monkeypatch.setenv("PATH", f"{programs}{os.pathsep}{os.environ['PATH']}")
    with Town.init(folder, name="place", url=f"unix://{server_socket}", actor="alice", is_registered=False) as town:
        monkeypatch.chdir(folder)
        yield Place(folder, town)
        assert not town.upkeep.verify().findings


def test_program_that_asks_ends_its_run_and_the_task_waits(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither completed nor failed, whatever its exit status is; and it has time to tidy up."""
    monkeypatch.setattr("town.runs.heartbeat.BEAT_SECONDS", 0.05)
    task = place.town.create("Paint the gate", agent="ada").task
    report = place.once("sh", "-c", f"{ASKS} && sleep 0.6 && echo kept > tidied; exit 3")
    assert report is not None
    assert (report.outcome, report.words) == (RunOutcome.ASKED, "Which colour?")
    assert report.task.has_open_question
    assert (place.folder / "tidied").read_text() == "kept\n"
    assert place.types(task.id) == ["created", "assigned", "started", "asked", "requeued"]
    assert [step.event.actor for step in place.town.history(task.id)][2:] == ["ada"] * 3
    assert place.once("true") is None, "it waits"


def test_answer_reaches_the_next_run(place: Place) -> None:
    """In the environment and on standard input, below the description; also where {description} stands."""
    task = place.town.create("Paint the gate", agent="ada").task
    assert (
        place.once("sh", "-c", f'printf "[%s|%s]" "$TT_QUESTION" "$TT_ANSWER" > told; cat > given; {ASKS}') is not None
    )
    assert place.told() == ("[|]", "Paint the gate")
    place.town.answer(task.id, "2")
    report = place.once("sh", "-c", f'{TELLS}; echo "$1"; echo done', "sh", "<{description}>")
    assert report is not None
    assert report.outcome is RunOutcome.COMPLETED
    text = "Paint the gate\n\nQuestion: Which colour?\nAnswer: blue"
    assert place.told() == ("[Which colour?|blue]", text)
    assert (place.folder / report.log).read_text() == f"<{text}>\ndone\n"


def test_every_answer_reaches_the_next_run(place: Place) -> None:
    """A program that asked twice knows both; the environment has the last one."""
    task = place.town.create("Paint the gate").task
    for question, answer in (
        ("Which colour?", "blue"),
        ("Never answered?", None),
        ("How many coats?", "two\nor three"),
    ):
        place.town.ask(task.id, question)
        if answer is not None:
            place.town.answer(task.id, answer)
    assert place.once("sh", "-c", TELLS) is not None
    assert place.told() == (
        "[How many coats?|two\nor three]",
        "Paint the gate\n\nQuestion: Which colour?\nAnswer: blue\n\nQuestion: How many coats?\nAnswer: two\nor three",
    )


def test_last_answer_reaches_the_run_where_the_history_cannot_be_read(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The task itself has it."""
    task = place.town.create("Paint the gate").task
    place.town.ask(task.id, "Which colour?")
    place.town.answer(task.id, "blue")

    def unread(*_: object) -> None:
        raise StoreUnavailableError("redis", "is away", "Wait.")

    monkeypatch.setattr("town.agents.run.answered_in", unread)
    assert place.once("sh", "-c", TELLS) is not None
    assert place.told() == ("[Which colour?|blue]", "Paint the gate\n\nQuestion: Which colour?\nAnswer: blue")


def test_answer_wakes_an_idle_runner(place: Place) -> None:
    """The task waited; nothing else happens."""
    from town import Stop  # noqa: PLC0415 - for this test

    task = place.town.create("Paint the gate", agent="ada").task
    place.town.ask(task.id, "Which colour?")
    stop = Stop()
    thread = threading.Thread(target=Runner(place.folder, "ada", ["sh", "-c", TELLS], stop=stop).run)
    thread.start()
    try:
        place.town.answer(task.id, "blue")
        assert place.town.wait([task.id], timeout_seconds=20).are_all_completed
    finally:
        stop.ask()
        thread.join()
    assert place.told()[0] == "[Which colour?|blue]"


def test_question_of_somebody_else_ends_the_program(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    """A person took the task from it."""
    monkeypatch.setattr("town.runs.heartbeat.BEAT_SECONDS", 0.05)
    task = place.town.create("Paint the gate", agent="ada").task
    reports: list[RunReport | None] = []
    thread = threading.Thread(target=lambda: reports.append(place.once("sh", "-c", "echo $$ > pid; sleep 60")))
    thread.start()
    wait_until((place.folder / "pid").exists)
    place.town.ask(task.id, "Is this the right gate?")
    thread.join(20)
    [report] = reports
    assert report is not None
    assert (report.outcome, report.words) == (RunOutcome.LOST, "asked by alice meanwhile")


def test_program_that_asked_ends_when_another_takes_the_task_on(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    """It may tidy up, but not work beside the run that has the answer."""
    monkeypatch.setattr("town.runs.heartbeat.BEAT_SECONDS", 0.05)
    task = place.town.create("Paint the gate", agent="ada").task
    reports: list[RunReport | None] = []
    thread = threading.Thread(target=lambda: reports.append(place.once("sh", "-c", f"{ASKS}; sleep 60")))
    thread.start()
    wait_until(lambda: place.town.task(task.id).has_open_question)
    place.town.answer(task.id, "blue")
    assert thread.is_alive(), "an answer alone does not end it"
    place.town.start(task.id, agent="bob")
    thread.join(20)
    [report] = reports
    assert report is not None
    assert report.outcome is RunOutcome.ASKED
    assert (place.town.task(task.id).state, place.town.task(task.id).assigned_to) == (State.RUNNING, "bob")
