"""Agents at work: each task is worked once and ends in one clear event, whoever is killed, stopped, or in the way."""

from __future__ import annotations

import json
import os
import signal
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import redis

from ledger import (
    EventStore,
    LedgerError,
    NewEvent,
    Position,
    RecordedEvent,
    State,
    StoreUnavailableError,
    Task,
    TaskAdopted,
    TaskCompleted,
    TaskRequeued,
    TaskStarted,
)
from projections import LiveBoard
from tests.support.builders import append, task_id
from tests.support.processes import run_at_once, workers_at_the_line
from tests.support.runners import TT_OF_QUICK_BEATS, program_that_writes_ids, running_runner
from tests.support.towns import is_alive, kill_server
from tests.support.waiting import wait_until
from town import (
    EmbeddedServer,
    ProgramNotFoundError,
    ProgramNotStartedError,
    RunListener,
    Runner,
    RunOutcome,
    RunReport,
    RunUnfinishedError,
    Stop,
    Town,
)
from town.agents.claim import Claimer
from town.agents.output_tail import STDERR_BYTES_MAX
from town.agents.run_log import LOG_BYTES_MAX, LOG_END_BYTES_MAX
from town.agents.workplace import Workplace, opened_workplace
from town.runs.heartbeat import BEAT_SECONDS, HEARTBEAT_MS
from town.runs.run_mark import mark_of
from town.verbs import Verbs

AGENTS = 20
stress = [pytest.mark.stress, pytest.mark.skipif(not os.environ.get("TT_STRESS"), reason="long; TT_STRESS=1 runs it")]

WAITS = "echo $$ > pid; echo begun; while [ -e pid ]; do sleep 0.05; done"
"""A program that says which process it is, and goes on until it is ended, or its test is."""


class Place:
    """A town on the session's server."""

    def __init__(self, client: redis.Redis, folder: Path, town: Town) -> None:
        self.client: Any = client
        self.folder = folder
        self.town = town

    def once(self, *command: str, agent: str = "ada", roles: tuple[str, ...] = ()) -> RunReport | None:
        """Work on one task in this process."""
        return Runner(self.folder, agent, command, roles=roles).run(once=True)

    def events(self, task: Task) -> list[RecordedEvent]:
        return self.town.backend.store.history(task.id)

    def types(self, task: Task) -> list[str]:
        return [event.type.partition(".")[2] for event in self.events(task)]

    def heartbeats(self) -> list[bytes]:
        return list(self.client.scan_iter(match=f"{self.town.keys.heartbeat('')}*"))

    def lose_heartbeats(self) -> None:
        """What HEARTBEAT_MS without a beat do."""
        for key in self.heartbeats():
            self.client.delete(key)

    def is_running(self, task: Task) -> bool:
        return self.town.task(task.id).state is State.RUNNING

    def pid(self, name: str = "pid") -> int:
        path = self.folder / name
        wait_until(lambda: path.is_file() and path.read_text().strip())
        return int(path.read_text())


@pytest.fixture
def place(client: redis.Redis, server_socket: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Place]:
    folder = tmp_path / "place"
    with Town.init(folder, name="place", url=f"unix://{server_socket}", actor="alice") as town:
        monkeypatch.chdir(folder)
        yield Place(client, folder, town)
        (folder / "pid").unlink(missing_ok=True)
        assert not town.upkeep.verify().findings


# --- one task, whatever its program does -------------------------------------------------------------------------


def test_task_is_started_and_completed_with_the_last_line(place: Place) -> None:
    """The agent's own task first; its program has the description and the rest, and its output is in the log."""
    place.town.create("From the backlog")
    task = place.town.create("Say {this}", agent="ada", tags=["b", "a b"], alias="bd-1").task
    script = (
        'read line; echo "$line|$1|$TT_TASK|$TT_ALIAS|$TT_TAGS|$TT_TOWN_NAME|$TT_AGENT|$TT_ACTOR|$TT_TOWN" | tr "\\n" ,'
    )
    report = place.once("sh", "-c", script, "sh", "<{description}>")
    assert report is not None
    expected = f"Say {{this}}|<Say {{this}}>|{task.id}|bd-1|a b,b|place|ada|ada|{place.folder},"
    assert place.town.task(task.id).result == report.words == expected
    assert place.types(task) == ["created", "assigned", "started", "completed"]
    assert [event.actor for event in place.events(task)] == ["alice", "alice", "ada", "ada"]
    assert (place.folder / report.log).read_text() == expected
    assert place.heartbeats() == []


def test_backlog_is_claimed_and_started_in_one_append(place: Place) -> None:
    """Nobody sees the task assigned and not started, so no crash can leave it so. The oldest comes first."""
    first = place.town.create("first").task
    place.town.create("second")
    assert place.once("true") is not None
    claimed, started = place.events(first)[1:3]
    assert claimed.command == started.command
    assert place.types(first) == ["created", "assigned", "started", "completed"]


def test_role_takes_only_tasks_with_a_tag_of_it(place: Place) -> None:
    """Of several roles one is enough; without a match there is nothing to do."""
    other = place.town.create("other", tags=["docs"]).task
    second = place.town.create("second", tags=["ui"]).task
    place.town.create("third", tags=["bug", "ui"])
    report = place.once("true", roles=("bug", "ui"))
    assert report is not None
    assert report.task.id == second.id
    assert place.once("true", roles=("nonesuch",)) is None
    assert place.types(other) == ["created"]


def test_parent_with_open_children_is_left_alone_until_they_are_finished(place: Place) -> None:
    """A task below comes before the task above, which could not be completed."""
    parent = place.town.create("parent").task
    child = place.town.create("child", parent=parent.id).task
    done = [place.once("true") for _ in range(3)]
    assert [report.task.id if report else None for report in done] == [child.id, parent.id, None]


def test_program_that_makes_children_puts_its_task_back(place: Place) -> None:
    """A task is not completed over open children; it waits for them in the backlog."""
    task = place.town.create("split me", agent="ada").task
    tt = f"{sys.executable} -m cli.main"
    report = place.once("sh", "-c", f'cd /; {tt} task create "a part" --parent "$TT_TASK"')
    assert report is not None
    assert report.outcome is RunOutcome.REQUEUED
    assert place.types(task)[-1] == "requeued"
    assert "1 open task right below it" in str(place.events(task)[-1].reason)


def test_program_that_fails_leaves_status_and_end_of_stderr(place: Place) -> None:
    """The error begins with how it ended."""
    task = place.town.create("fail", agent="ada").task
    assert place.once("sh", "-c", "echo out; echo oops >&2; exit 3") is not None
    found = place.town.task(task.id)
    assert (found.state, found.result) == (State.FAILED, "exit status 3\noops")


def test_program_that_is_not_there_touches_no_task(place: Place) -> None:
    """Otherwise every task of the backlog would fail for it, one after another."""
    task = place.town.create("never", agent="ada").task
    with pytest.raises(ProgramNotFoundError, match="nonesuch"):
        place.once("nonesuch")
    assert place.types(task) == ["created", "assigned"]


def test_program_that_cannot_be_started_fails_one_task_and_ends_the_runner(place: Place) -> None:
    """The event says why, and the other tasks are left for a better command."""
    program = place.folder / "program"
    program.write_text("not a program")
    program.chmod(0o755)
    first, second = (place.town.create(f"task {number}", agent="ada").task for number in range(2))
    with pytest.raises(ProgramNotStartedError, match="The runner has ended"):
        Runner(place.folder, "ada", [str(program)]).run()
    found = place.town.task(first.id)
    assert found.state is State.FAILED
    assert found.result is not None
    assert "could not be started: Exec format error" in found.result
    assert place.types(second) == ["created", "assigned"]
    assert place.heartbeats() == []


def test_program_that_prints_100_mb_does_not_fill_the_memory(place: Place, tmp_path: Path) -> None:
    """Neither the runner's memory nor its log grows with the output: peak memory is that of a run that prints a line."""
    peaks: list[int] = []
    tasks: list[Task] = []
    for size in (1, 100_000_000):
        tasks.append(place.town.create("print", agent="ada").task)
        script = f"head -c {size} /dev/zero | tr '\\0' x; head -c {size} /dev/zero >&2; echo; echo done"
        with running_runner("ada", "--once", "--", "sh", "-c", script, folder=place.folder, logs=tmp_path) as runner:
            assert runner.wait() == 0, runner.err
            peaks.append(runner.peak_rss_bytes)
    assert place.town.task(tasks[1].id).result == "done"
    assert peaks[1] - peaks[0] < 16 * 1_048_576, peaks
    logs = (place.folder / ".tt" / "logs").iterdir()
    assert max(path.stat().st_size for path in logs) <= LOG_BYTES_MAX + LOG_END_BYTES_MAX + 100


def test_complaint_with_nul_and_invalid_utf8_fits_the_ledger(place: Place) -> None:
    """Whatever stderr holds, the task ends in an event that can be read."""
    task = place.town.create("garbage", agent="ada").task
    assert place.once("sh", "-c", "head -c 100000 /dev/urandom >&2; exit 1") is not None
    found = place.town.task(task.id)
    assert found.state is State.FAILED
    assert found.result is not None
    assert found.result.startswith("exit status 1\n")
    assert len(found.result.encode()) < STDERR_BYTES_MAX + 100


# --- stopping ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_stop_signal_ends_the_program_and_requeues_its_task(
    place: Place, tmp_path: Path, number: signal.Signals
) -> None:
    """The program is asked first, the task is free for others, and the runner ends well."""
    task = place.town.create("long", agent="ada").task
    script = f"trap 'echo tidied; exit 0' TERM; {WAITS}"
    with running_runner("ada", "--", "sh", "-c", script, folder=place.folder, logs=tmp_path) as runner:
        pid = place.pid()
        runner.send(number)
        assert runner.wait() == 0, runner.err
    assert not is_alive(pid)
    assert place.types(task) == ["created", "assigned", "started", "requeued"]
    assert "told to stop" in str(place.events(task)[-1].reason)
    assert place.town.task(task.id).assigned_to is None
    assert "tidied" in next((place.folder / ".tt" / "logs").iterdir()).read_text()
    assert place.heartbeats() == []


def test_program_that_ignores_the_stop_signal_is_killed_and_its_task_requeued(place: Place, tmp_path: Path) -> None:
    """After the grace, and the event says so."""
    task = place.town.create("stubborn", agent="ada").task
    arguments = ("ada", "--grace", "0.2", "--", "sh", "-c", f"trap '' TERM INT; {WAITS}")
    with running_runner(*arguments, folder=place.folder, logs=tmp_path) as runner:
        pid = place.pid()
        runner.send(signal.SIGTERM)
        assert runner.wait() == 0, runner.err
    assert not is_alive(pid)
    assert place.types(task)[-1] == "requeued"
    assert "its program was killed" in str(place.events(task)[-1].reason)


def test_idle_runner_takes_what_comes_and_stops_within_a_second(place: Place) -> None:
    """It waits for events; a stop does not wait for one."""
    stop = Stop()
    runner = Runner(place.folder, "ada", ["true"], stop=stop)
    thread = threading.Thread(target=runner.run)
    thread.start()
    for number in range(3):
        task = place.town.create(f"task {number}").task
        wait_until(lambda task=task: place.town.task(task.id).state is State.COMPLETED)  # type: ignore[misc]
    stop.ask()
    thread.join(1.0)
    assert not thread.is_alive()


# --- losing a runner ---------------------------------------------------------------------------------------------


def test_idle_runner_begins_a_task_when_its_time_comes(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    """By the server's clock: with a clock ahead of it, a runner asked without a pause until the time had come."""
    takes, take = list[float](), Claimer.take

    def take_and_count(*arguments: Any) -> Any:
        takes.append(time.monotonic())
        return take(*arguments)

    monkeypatch.setattr(Claimer, "take", take_and_count)
    monkeypatch.setattr("town.agents.runner.time.time_ns", lambda: 1 << 62)
    task = place.town.create("x", not_before=datetime.now(UTC) + timedelta(seconds=1)).task
    with runner_in_a_thread(place):
        wait_until(lambda: place.town.task(task.id).state is State.COMPLETED)
    assert len(takes) <= 8


def test_task_whose_time_comes_right_after_a_runner_looked_is_begun(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It was no longer to come when the runner asked what comes next, and no event told of it."""
    begins = datetime.now(UTC) + timedelta(seconds=0.5)
    task = place.town.create("x", not_before=begins).task
    looks, take = list[Any](), Claimer.take

    def take_late(*arguments: Any) -> Any:
        looks.append(take(*arguments))
        if len(looks) == 1:
            wait_until(lambda: place.town.ready().tasks != ())
        return looks[-1]

    monkeypatch.setattr(Claimer, "take", take_late)
    with runner_in_a_thread(place):
        wait_until(lambda: place.town.task(task.id).state is State.COMPLETED)
    assert looks[0] is None


def test_task_whose_time_came_unseen_is_begun(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    """A runner's clock stands still while its machine sleeps, and a server's clock may be set: it looks from time to time."""
    monkeypatch.setattr("town.agents.runner.IDLE_LOOK_SECONDS", 0.5)
    monkeypatch.setattr(LiveBoard, "next_begin_in_ms", lambda *_, **__: 3_600_000)
    task = place.town.create("x", not_before=datetime.now(UTC) + timedelta(seconds=1)).task
    with runner_in_a_thread(place):
        wait_until(lambda: place.town.task(task.id).state is State.COMPLETED)
    assert place.town.task(task.id).assigned_to == "ada"


def test_idle_runner_takes_a_task_that_is_adopted(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    """An old task that a migration brings wakes it, as a new one does."""
    looks, take = list[Any](), Claimer.take

    def take_and_tell(*arguments: Any) -> Any:
        looks.append(take(*arguments))
        return looks[-1]

    monkeypatch.setattr(Claimer, "take", take_and_tell)
    time_then = "2026-01-01T00:00:00.000Z"
    record = TaskAdopted((), "Old", State.PENDING, time_then, time_then)
    with runner_in_a_thread(place):
        wait_until(lambda: looks == [None])
        append(place.town.backend.store, [record], task=task_id(1))
        wait_until(lambda: place.town.task(task_id(1)).state is State.COMPLETED)
    assert place.town.task(task_id(1)).assigned_to == "ada"


@contextmanager
def runner_in_a_thread(place: Place) -> Iterator[None]:
    stop = Stop()
    thread = threading.Thread(target=Runner(place.folder, "ada", ["true"], stop=stop).run)
    thread.start()
    try:
        yield
    finally:
        stop.ask()
        thread.join()


def test_killed_runner_loses_its_task_once_and_another_does_it(place: Place, tmp_path: Path) -> None:
    """`kill -9` in the middle: its program ends with it, two reclaims at once move the task once, and it is done once."""
    task = place.town.create("important", agent="ada").task
    with running_runner("ada", "--", "sh", "-c", WAITS, folder=place.folder, logs=tmp_path) as runner:
        pid = place.pid()
        # Before it reads what its program prints, the runner has told its lifeline of it.
        wait_until(lambda: any("begun" in log.read_text() for log in (place.folder / ".tt").glob("logs/*.log")))
        assert place.town.runs.lost_tasks() == []
        runner.send(signal.SIGKILL)
        runner.wait()
        wait_until(lambda: not is_alive(pid))
        (key,) = place.heartbeats()
        assert 0 < place.client.pttl(key) <= HEARTBEAT_MS
        assert place.town.runs.lost_tasks() == []
        place.lose_heartbeats()
    mark = mark_of(place.events(task))
    assert mark is not None
    assert mark.process == runner.process.pid
    assert [lost.mark for lost in place.town.runs.lost_tasks()] == [mark]
    run_at_once("reclaim_one", [[place.folder, f"person-{number}"] for number in range(4)])
    [requeued] = [event for event in place.events(task) if isinstance(event.data, TaskRequeued)]
    assert requeued.reason == f"lost: {mark}, of ada, has no heartbeat"
    assert place.town.task(task.id).state is State.PENDING
    assert place.once("echo", "done", agent="bob") is not None
    done = place.town.task(task.id)
    assert (done.state, done.assigned_to, done.result) == (State.COMPLETED, "bob", "done")
    assert Counter(place.types(task))["completed"] == 1


def test_run_forged_in_a_reason_is_no_run(place: Place) -> None:
    """Whoever writes the words of a runner as a reason is still somebody at work by hand: nothing takes the task from them."""
    forged = "runner on me, process 1, run 0123456789ab"
    task = place.town.create("by hand").task
    place.town.start(task.id, agent="ada", reason=forged)
    assert place.events(task)[-1].reason == forged
    assert mark_of(place.events(task)) is None
    assert place.town.runs.lost_tasks() == []
    assert place.town.runs.reclaim() == []
    assert place.town.task(task.id).state is State.RUNNING


def test_heartbeat_of_a_killed_runner_ends_by_itself(place: Place, tmp_path: Path) -> None:
    """Nobody deletes or renews the key: its own time-out makes the task lost, and not before.

    More than a beat passes in real time; the rest is taken off.
    """
    task = place.town.create("important", agent="ada").task
    with running_runner("ada", "--", "sh", "-c", WAITS, folder=place.folder, logs=tmp_path) as runner:
        place.pid()
        runner.send(signal.SIGKILL)
        runner.wait()
    (key,) = place.heartbeats()
    assert 0 < place.client.pttl(key) <= HEARTBEAT_MS
    wait_until(lambda: place.client.pttl(key) < HEARTBEAT_MS - BEAT_SECONDS * 1_250)
    assert place.town.runs.lost_tasks() == []
    place.client.pexpire(key, 50, lt=True)
    wait_until(place.town.runs.lost_tasks)
    assert place.heartbeats() == []
    [(lost, moved)] = place.town.runs.reclaim()
    assert (lost.task.id, moved and moved.state) == (task.id, State.PENDING)


def test_runner_that_stood_still_does_not_overwrite_who_took_over(place: Place, tmp_path: Path) -> None:
    """Stopped for longer than its heartbeat, it finds its task with another agent: it ends its program and writes nothing."""
    task = place.town.create("contested", agent="ada").task
    arguments = ("ada", "--once", "--json", "--", "sh", "-c", WAITS)
    with running_runner(*arguments, folder=place.folder, logs=tmp_path) as runner:
        pid = place.pid()
        runner.send(signal.SIGSTOP)
        place.lose_heartbeats()
        [(_, taken)] = place.town.runs.reclaim(agent="bob")
        assert taken is not None
        assert place.once("echo", "mine", agent="bob") is not None
        runner.send(signal.SIGCONT)
        assert runner.wait() == 1, runner.err
    assert not is_alive(pid)
    last = json.loads(runner.out.splitlines()[-1])
    assert (last["outcome"], last["words"]) == ("lost", "requeued by alice meanwhile")
    found = place.town.task(task.id)
    assert (found.assigned_to, found.result) == ("bob", "mine")
    assert Counter(place.types(task))["completed"] == 1


@pytest.mark.parametrize("verb", ["cancel", "complete", "fail", "requeue", "remove"])
def test_task_that_somebody_else_changed_meanwhile_is_not_overwritten(place: Place, tmp_path: Path, verb: str) -> None:
    """The runner notices at its next beat, ends its program, and says what happened."""
    task = place.town.create("contested", agent="ada").task
    arguments = ("ada", "--once", "--", "sh", "-c", WAITS)
    with running_runner(*arguments, folder=place.folder, logs=tmp_path, tt=TT_OF_QUICK_BEATS) as runner:
        pid = place.pid()
        getattr(place.town, verb)(task.id)
        types = place.types(task)
        assert runner.wait(seconds_max=BEAT_SECONDS + 10) == 1, runner.err
    assert not is_alive(pid)
    assert "by alice meanwhile" in runner.out
    assert place.types(task) == types


@pytest.mark.parametrize("verb", ["cancel", "requeue"])
def test_change_in_the_agents_own_name_ends_its_program_too(place: Place, tmp_path: Path, verb: str) -> None:
    """A person may act under the agent's name; the program goes on only where that says what came of the task."""
    task = place.town.create("contested", agent="ada").task
    arguments = ("ada", "--once", "--", "sh", "-c", WAITS)
    with running_runner(*arguments, folder=place.folder, logs=tmp_path, tt=TT_OF_QUICK_BEATS) as runner:
        pid = place.pid()
        with Town.open(place.folder, actor="ada") as town:
            getattr(town, verb)(task.id)
        assert runner.wait(seconds_max=BEAT_SECONDS + 10) == 1, runner.err
    assert not is_alive(pid)
    assert "by ada meanwhile" in runner.out


def test_runner_whose_terminal_closes_puts_its_task_back(place: Place, tmp_path: Path) -> None:
    """SIGHUP is a stop signal too."""
    task = place.town.create("long", agent="ada").task
    with running_runner("ada", "--", "sh", "-c", WAITS, folder=place.folder, logs=tmp_path) as runner:
        place.pid()
        runner.send(signal.SIGHUP)
        assert runner.wait() == 0, runner.err
    assert place.types(task)[-1] == "requeued"


def test_description_too_long_for_an_argument_fails_its_task_alone(place: Place) -> None:
    """The next task may have a shorter one, so the runner goes on."""
    task = place.town.create("x" * 60_000, agent="ada").task
    report = place.once("echo", "{description}{description}{description}")
    assert report is not None
    assert (report.outcome, place.types(task)[-1]) == (RunOutcome.FAILED, "failed")
    assert "Argument list too long" in (report.words or "")


def test_program_may_complete_its_own_task(place: Place) -> None:
    """An agent that says itself what came of it is not overruled, and notes on the way are no obstacle."""
    task = place.town.create("own words", agent="ada").task
    tt = f"{sys.executable} -m cli.main"
    script = (
        f'{tt} task note "$TT_TASK" "half way" && {tt} task complete "$TT_TASK" --result "In my words" && echo other'
    )
    report = place.once("sh", "-c", script)
    assert report is not None
    assert (report.outcome, report.words) == (RunOutcome.COMPLETED, "In my words")
    assert place.types(task)[3:] == ["noted", "completed"]
    assert {event.actor for event in place.events(task)[2:]} == {"ada"}


def test_task_that_was_started_by_hand_is_never_lost(place: Place) -> None:
    """Nobody can tell from here whether its person is at work."""
    place.town.start(place.town.create("by hand", agent="ada").task.id)
    assert place.town.runs.lost_tasks() == []


def test_heartbeat_is_renewed_while_the_program_runs(place: Place, tmp_path: Path) -> None:
    """A key that was nearly at its end has its whole time again."""
    place.town.create("long", agent="ada")
    with running_runner("ada", "--", "sh", "-c", WAITS, folder=place.folder, logs=tmp_path):
        place.pid()
        (key,) = place.heartbeats()
        place.client.pexpire(key, int(BEAT_SECONDS * 2_000))
        wait_until(lambda: place.client.pttl(key) > BEAT_SECONDS * 2_000)
        assert place.heartbeats() == [key]


# --- many at once ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("tasks", [100, pytest.param(500, marks=stress)])
def test_20_agents_work_each_task_exactly_once(place: Place, tmp_path: Path, tasks: int) -> None:
    """Nothing is lost and nothing is done twice; two of the agents are `tt work`, the others threads of two processes."""
    ids = [place.town.create(f"task {number}").task.id for number in range(tasks)]
    stop, done = tmp_path / "stop", tmp_path / "done"
    names = [f"agent-{number}" for number in range(AGENTS)]
    threads = [[place.folder, ",".join(names[start::2]), stop, done] for start in (2, 3)]
    command = ("--", *program_that_writes_ids(done))
    with (
        running_runner(names[0], *command, folder=place.folder, logs=tmp_path, name="first") as first,
        running_runner(names[1], *command, folder=place.folder, logs=tmp_path, name="second") as second,
        workers_at_the_line("work_in_threads", threads) as processes,
    ):
        for process in processes:
            process.go()
        waited = place.town.wait(ids, timeout_seconds=300)
        assert waited.are_all_completed
        stop.touch()
        for process in processes:
            process.finish()
        for runner in (first, second):
            runner.send(signal.SIGTERM)
            assert runner.wait() == 0, runner.err
    assert Counter(done.read_text().split()) == dict.fromkeys(ids, 1)
    facts = Counter(
        type(event.data)
        for batch in place.town.backend.store.read_batches()
        for event in batch
        if event.task in set(ids)
    )
    assert (facts[TaskStarted], facts[TaskCompleted]) == (tasks, tasks)
    assert place.heartbeats() == []


def test_claim_that_meets_others_passes_over_nothing(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where others take a whole page of choices meanwhile, those that moved up are looked at too."""
    monkeypatch.setattr("town.verbs.CHOICES_PER_TAKE", 2)
    tasks = [place.town.create(f"task {number}").task for number in range(4)]
    append_first = EventStore.append_first

    def meanwhile(store: EventStore, *choices: Any) -> Any:
        for taken in tasks[:2]:
            if place.town.task(taken.id).state is State.PENDING:
                place.town.claim(taken.id, "bob")
        return append_first(store, *choices)

    monkeypatch.setattr(EventStore, "append_first", meanwhile)
    report = place.once("true")
    assert report is not None
    assert report.task.id == tasks[2].id


def test_two_runners_of_one_agent_share_its_tasks(place: Place, tmp_path: Path) -> None:
    """The same agent twice at once: each of its tasks is worked once."""
    ids = [place.town.create(f"task {number}", agent="ada").task.id for number in range(20)]
    done = tmp_path / "done"
    stop = Stop()
    runners = [Runner(place.folder, "ada", program_that_writes_ids(done), stop=stop) for _ in range(2)]
    threads = [threading.Thread(target=runner.run) for runner in runners]
    for thread in threads:
        thread.start()
    assert place.town.wait(ids, timeout_seconds=60).are_all_completed
    stop.ask()
    for thread in threads:
        thread.join()
    assert Counter(done.read_text().split()) == dict.fromkeys(ids, 1)


# --- a server that goes away -------------------------------------------------------------------------------------


def test_result_survives_a_server_that_is_killed_meanwhile(folder: Path, tmp_path: Path) -> None:
    """The runner starts the town's own server again to write down what came of its run."""
    with Town.init(folder, name="place", actor="alice", is_registered=False) as town:
        task = town.create("survive", agent="ada").task
    script = "echo $$ > pid; while [ ! -e go ]; do sleep 0.05; done; echo kept"
    with running_runner("ada", "--once", "--", "sh", "-c", script, folder=folder, logs=tmp_path) as runner:
        wait_until((folder / "pid").exists)
        kill_server(folder)
        (folder / "go").touch()
        assert runner.wait() == 0, runner.err
    with Town.open(folder) as town:
        assert town.task(task.id).result == "kept"


def test_idle_runner_waits_for_a_stopped_server_and_does_not_start_it(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`tt stop` means stop; once somebody starts it, the runner goes on."""
    Town.init(folder, name="place", actor="alice", is_registered=False).close()
    attempts: list[bool] = []

    def counted(
        path: Path, *, actor: str, warn: Callable[[LedgerError], None], is_starting: bool = True
    ) -> AbstractContextManager[Workplace]:
        attempts.append(is_starting)
        return opened_workplace(path, actor=actor, warn=warn, is_starting=is_starting)

    monkeypatch.setattr("town.agents.runner.opened_workplace", counted)
    stop = Stop()
    thread = threading.Thread(target=Runner(folder, "ada", ["echo", "done"], stop=stop).run)
    thread.start()
    try:
        for number in range(2):
            with Town.open(folder, actor="alice") as town:
                task = town.create(f"task {number}", agent="ada").task
                assert town.wait([task.id], timeout_seconds=30).are_all_completed
            assert EmbeddedServer(folder).stop()
            seen = len(attempts)
            wait_until(lambda seen=seen: len(attempts) >= seen + 2)  # type: ignore[misc]
            assert not EmbeddedServer(folder).is_running()
    finally:
        stop.ask()
        thread.join()
    assert attempts[0]
    assert not any(attempts[1:])


def test_server_that_is_stopped_right_after_a_result_was_appended_stays_stopped(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The runner once started it again, to write down what was in the ledger already."""
    append = EventStore.append

    def append_and_stop(self: EventStore, events: Sequence[NewEvent], *args: Any, **named: Any) -> list[Position]:
        positions = append(self, events, *args, **named)
        if isinstance(events[-1].data, TaskCompleted):
            assert EmbeddedServer(folder).stop()
        return positions

    with Town.init(folder, name="place", actor="alice", is_registered=False) as town:
        task_id = town.create("work", agent="ada").task.id
    monkeypatch.setattr(EventStore, "append", append_and_stop)
    warnings: list[str] = []

    class Listener(RunListener):
        def warn(self, problem: LedgerError | str) -> None:
            warnings.append(str(problem))

    report = Runner(folder, "ada", ["echo", "done"], listener=Listener()).run(once=True)
    assert report is not None
    assert (report.outcome, report.words) == (RunOutcome.COMPLETED, "done")
    assert len(warnings) == 1
    assert "do not repeat it" in warnings[0]
    assert not EmbeddedServer(folder).is_running()
    with Town.open(folder, actor="alice") as town:
        assert town.task(task_id).version == 4
        assert town.task(task_id).result == "done"


def test_result_that_cannot_be_written_down_names_its_log(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    """After a bound the runner gives up and says where the output is."""
    monkeypatch.setattr("town.agents.run.FINISH_SECONDS_MAX", 0.0)
    task = place.town.create("lost words", agent="ada").task

    def refuse(*_: object, **__: object) -> None:
        raise StoreUnavailableError("redis", "did not answer", "Is it running?")

    monkeypatch.setattr(Verbs, "complete", refuse)
    with pytest.raises(RunUnfinishedError, match="its output is in") as refused:
        place.once("echo", "precious")
    assert refused.value.task_id == task.id
    assert refused.value.log.read_text() == "precious\n"
    assert [lost.task.id for lost in place.town.runs.lost_tasks()] == [task.id]


def test_second_stop_ends_a_runner_that_cannot_write_down_its_result(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It says once what is in the way, and where the output is. It once went on for a minute, with a line each half second."""
    task = place.town.create("lost words", agent="ada").task
    stop = Stop()
    attempts: list[object] = []
    warnings: list[LedgerError | str] = []

    def refuse(*_: object, **__: object) -> None:
        attempts.append(None)
        if len(attempts) > 2:
            stop.ask()
        raise StoreUnavailableError("redis", "did not answer", "Is it running?")

    class Listener(RunListener):
        def warn(self, problem: LedgerError | str) -> None:
            warnings.append(problem)

    monkeypatch.setattr("town.agents.run.SERVER_WAIT_SECONDS", 0.0)
    monkeypatch.setattr(Verbs, "complete", refuse)
    runner = Runner(place.folder, "ada", ["echo", "precious"], stop=stop, listener=Listener())
    with pytest.raises(RunUnfinishedError, match="its output is in") as refused:
        runner.run(once=True)
    assert len(attempts) == 4
    assert len(warnings) == 1
    assert refused.value.log.read_text() == "precious\n"
    assert place.is_running(task)
