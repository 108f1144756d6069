"""Running tasks whose runner is gone: who is told, what it costs, and the watch that takes them back."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import redis

from ledger import HistoryBrokenError, LedgerError, RunMark, State, Task, TaskCompleted, TaskRequeued
from tests.support.builders import append
from tests.support.towns import end_server
from tests.support.waiting import wait_until
from town import EmbeddedServer, MovedTask, ReclaimListener, ReclaimWatch, Stop, Town, examine

MARKS = [RunMark(f"{number:012x}", "build-3", 4711) for number in range(10)]
SURE_SECONDS = 0.3


class Place:
    """A town on the session's server, whose runners beat as a test says."""

    def __init__(self, client: redis.Redis, folder: Path, town: Town) -> None:
        self.client: Any = client
        self.folder = folder
        self.town = town

    def run(self, number: int, agent: str = "ada") -> Task:
        """A task that the run with this number has started, without a heartbeat."""
        task = self.town.create(f"task {number}", agent=agent).task
        return self.town.start(task.id, agent=agent, run=MARKS[number]).task

    def beat(self, number: int, *, ms: int = 60_000) -> None:
        self.client.set(self.town.keys.heartbeat(MARKS[number].id), "alive", px=ms)

    def lost(self) -> list[str]:
        """What readers are told, after they caught up."""
        self.town.count_states()
        found = self.town.lost_tasks()
        assert found is not None
        assert not found.has_more
        assert [each.task.id for each in self.town.runs.lost_tasks()] == [each.task.id for each in found.tasks]
        return [each.task.id for each in found.tasks]


class Heard(ReclaimListener):
    """Keeps what a watch said."""

    def __init__(self) -> None:
        self.moved: list[MovedTask] = []
        self.problems: list[str] = []

    def report(self, moved: MovedTask) -> None:
        self.moved.append(moved)

    def warn(self, problem: LedgerError) -> None:
        self.problems.append(str(problem))


@pytest.fixture
def place(client: redis.Redis, server_socket: Path, tmp_path: Path) -> Iterator[Place]:
    folder = tmp_path / "place"
    with Town.init(folder, name="place", url=f"unix://{server_socket}", actor="alice", is_registered=False) as town:
        yield Place(client, folder, town)
        assert not town.upkeep.verify().findings


@pytest.fixture
def watching(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., Heard]]:
    """Starts a watch that is quick to be sure; it ends with the test."""
    monkeypatch.setattr("town.agents.reclaim_watch.SURE_SECONDS", SURE_SECONDS)
    monkeypatch.setattr("town.agents.reclaim_watch.LOOK_SECONDS_MIN", 0.02)
    stop = Stop()
    threads: list[threading.Thread] = []

    def start(folder: Path, **options: Any) -> Heard:
        heard = Heard()
        watch = ReclaimWatch(folder, actor="carl", stop=stop, listener=heard, **options)
        threads.append(threading.Thread(target=watch.run))
        threads[-1].start()
        return heard

    yield start
    stop.ask()
    for thread in threads:
        thread.join(10)
        assert not thread.is_alive(), "the watch did not end"


# --- who is lost -------------------------------------------------------------------------------------------------


def test_lost_tasks_are_those_a_runner_started_and_left(place: Place) -> None:
    """Not one with a heartbeat, not one that a person started, not one that ended. Oldest first."""
    tasks = [place.run(number) for number in range(4)]
    place.beat(1)
    place.town.complete(tasks[2].id)
    place.town.start(place.town.create("by hand", agent="bob").task.id)
    assert place.lost() == [tasks[0].id, tasks[3].id]
    place.town.note(tasks[0].id, "it is lost behind notes and tags too")
    place.town.tag(tasks[0].id, add=["late"])
    assert place.lost() == [tasks[0].id, tasks[3].id]
    found = place.town.lost_tasks(agent="bob")
    assert found is not None
    assert found.tasks == ()


def test_task_that_was_started_again_by_hand_is_not_lost(place: Place) -> None:
    """Only its last start counts."""
    task = place.run(0)
    place.town.requeue(task.id)
    place.town.start(task.id, agent="ada")
    assert place.lost() == []


def test_past_moment_claims_nothing_about_runners(place: Place) -> None:
    """Heartbeats are not in the ledger."""
    place.run(0)
    assert place.town.at(str(place.town.end())).lost_tasks() is None


def test_many_running_tasks_are_looked_at_in_parts(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    """One look says that it has not seen all of them; reclaim sees all, in as many looks as it takes."""
    monkeypatch.setattr("projections.lua.runs.RUNS_PER_LOOK", 20)
    for number in range(200):
        place.town.start(place.town.create(f"by hand {number}", agent="bob").task.id)
    tasks = [place.run(number) for number in range(10)]
    place.town.count_states()
    first = place.town.lost_tasks()
    assert first is not None
    assert first.has_more
    assert [lost.task.id for lost in place.town.runs.lost_tasks()] == [task.id for task in tasks]


def test_start_behind_many_events_is_found_by_reclaim(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    """One look reads so many events and no more, and says that there may be more."""
    task = place.run(0)
    for number in range(10):
        place.town.note(task.id, f"note {number}")
    monkeypatch.setattr("projections.lua.runs.EVENTS_BACK_MAX", 10)
    place.town.count_states()
    found = place.town.lost_tasks()
    assert found is not None
    assert (found.tasks, found.has_more) == ((), True)
    assert [lost.task.id for lost in place.town.runs.lost_tasks()] == [task.id]


def test_task_that_ended_and_is_not_projected_yet_is_not_lost(place: Place) -> None:
    """The ledger counts, not the views, which may lag."""
    task = place.run(0)
    place.town.count_states()
    append(place.town.backend.store, [TaskCompleted("done")], task=task.id, expected=task.version)
    found = place.town.lost_tasks()
    assert found is not None
    assert found.tasks == ()


def test_missing_start_is_damage_to_reclaim_alone(place: Place) -> None:
    """Who only shows tasks shows them, and says that there may be more."""
    task = place.run(0)
    place.town.note(task.id, "half way")
    (start,) = [each.event for each in place.town.history(task.id) if each.event.type == "task.started"]
    place.client.xdel(place.town.keys.ledger, start.at)
    try:
        found = place.town.lost_tasks()
        assert found is not None
        assert (found.tasks, found.has_more) == ((), True)
        with pytest.raises(HistoryBrokenError):
            place.town.runs.lost_tasks()
    finally:
        place.client.delete(*place.client.keys(f"{place.town.keys.prefix}:*"))


def test_lost_task_without_its_snapshot_is_found(place: Place) -> None:
    """It is folded from its history."""
    task = place.run(0)
    place.town.count_states()
    place.client.delete(place.town.keys.task(task.id))
    assert place.lost() == [task.id]
    place.town.upkeep.rebuild()


def test_views_that_lost_running_tasks_are_not_believed(place: Place) -> None:
    """Nothing is claimed, and a note says why; reclaim refuses."""
    task = place.run(0)
    place.town.count_states()
    place.client.srem(place.town.keys.view("state", State.RUNNING), task.id)
    assert place.town.lost_tasks() is None
    assert place.town.noted.incomplete is not None
    with pytest.raises(LedgerError, match="does not hold every running task"):
        place.town.runs.lost_tasks()
    place.town.upkeep.rebuild()


def test_doctor_warns_of_lost_tasks(place: Place) -> None:
    """It names them, and what to do."""

    def runs() -> tuple[str, str]:
        (check,) = [each for each in examine(place.town.backend, place.town.connection) if each.name == "runs"]
        return check.state, check.words

    assert runs() == ("good", "no running task has lost its runner")
    task = place.run(0)
    place.town.count_states()
    state, words = runs()
    assert state == "warning"
    assert words.startswith(f"1 running task has lost the runner: {task.id[:8]}.")
    assert "tt reclaim" in words


# --- the watch ---------------------------------------------------------------------------------------------------


def test_watch_takes_back_what_is_lost_and_what_gets_lost(place: Place, watching: Callable[..., Heard]) -> None:
    """Once for each, whether its heartbeat had ended before or ends later, and what lives on is left alone."""
    first, second, third = (place.run(number) for number in range(3))
    place.beat(1, ms=800)
    place.beat(2)
    heard = watching(place.folder, is_moving=True)
    wait_until(lambda: len(heard.moved) == 2)
    assert [(moved.lost.task.id, moved.now is not None) for moved in heard.moved] == [
        (first.id, True),
        (second.id, True),
    ]
    assert [place.town.task(task.id).state for task in (first, second, third)] == ["pending", "pending", "running"]
    last = place.town.history(second.id)[-1].event
    assert isinstance(last.data, TaskRequeued)
    assert last.actor == "carl"
    assert str(last.reason).startswith("lost: runner on build-3")


def test_watch_without_a_goal_tells_of_each_once(place: Place, watching: Callable[..., Heard]) -> None:
    """Nothing is written."""
    first = place.run(0)
    heard = watching(place.folder)
    wait_until(lambda: len(heard.moved) == 1)
    second = place.run(1)
    wait_until(lambda: len(heard.moved) == 2)
    assert [moved.lost.task.id for moved in heard.moved] == [first.id, second.id]
    assert not any(moved.is_moving for moved in heard.moved)
    assert place.lost() == [first.id, second.id]


def test_runner_that_beats_again_in_time_keeps_its_task(
    place: Place, watching: Callable[..., Heard], monkeypatch: pytest.MonkeyPatch
) -> None:
    """After a pause of the server or of the machine every heartbeat has ended, and runners that live renew them."""
    seen = threading.Event()
    look = "town.agents.reclaim_watch.Reclaimer.look"
    from town.runs.reclaim import Reclaimer  # noqa: PLC0415 - the one that is replaced

    real = Reclaimer.look

    def looked(reclaimer: Reclaimer, **options: Any) -> Any:
        found = real(reclaimer, **options)
        if found.tasks:
            seen.set()
        return found

    monkeypatch.setattr(look, looked)
    alive, gone = place.run(0), place.run(1)
    heard = watching(place.folder, is_moving=True)
    assert seen.wait(10)
    place.beat(0)
    wait_until(lambda: heard.moved)
    assert [moved.lost.task.id for moved in heard.moved] == [gone.id]
    assert place.town.task(alive.id).state is State.RUNNING


def test_watch_of_a_quiet_town_waits_for_events(
    place: Place, watching: Callable[..., Heard], monkeypatch: pytest.MonkeyPatch
) -> None:
    """While nothing runs it looks once, and again when something happens; while runs live it sleeps."""
    from town.runs.reclaim import Reclaimer  # noqa: PLC0415 - the one that is replaced

    real, looks = Reclaimer.look, []

    def looked(reclaimer: Reclaimer, **options: Any) -> Any:
        found = real(reclaimer, **options)
        looks.append(found)
        return found

    waits: list[int] = []
    wait = type(place.town.backend.store).wait

    def waited(store: Any, after: Any, *, block_ms: int) -> bool:
        waits.append(block_ms)
        return wait(store, after, block_ms=block_ms)

    monkeypatch.setattr("town.agents.reclaim_watch.Reclaimer.look", looked)
    monkeypatch.setattr("ledger.event_store.EventStore.wait", waited)
    watching(place.folder, is_moving=True)
    wait_until(lambda: len(waits) >= 3)
    assert len(looks) == 1
    place.beat(0)
    place.run(0)
    wait_until(lambda: looks[-1].ends_in_ms is not None)
    settled, seen = len(waits), len(looks)
    place.town.create("an event is no reason to look, while a run is known to live")
    with pytest.raises(AssertionError):
        wait_until(lambda: len(looks) > seen or len(waits) > settled, seconds_max=0.5)


def test_watch_leaves_young_runs_and_other_agents_alone(place: Place, watching: Callable[..., Heard]) -> None:
    """--from and --older-than hold here too; a run that is too young now is taken when it is old enough."""
    place.run(0, agent="bob")
    mine = place.run(1)
    heard = watching(place.folder, is_moving=True, agent="dora", from_agent="ada", older_than_seconds=1.0)
    wait_until(lambda: heard.moved)
    (moved,) = heard.moved
    assert (moved.lost.task.id, moved.now and moved.now.assigned_to) == (mine.id, "dora")
    assert moved.lost.age_ms >= 1_000


def test_watch_outlives_its_server_and_does_not_start_it(
    folder: Path, watching: Callable[..., Heard], monkeypatch: pytest.MonkeyPatch
) -> None:
    """`tt stop` means stop; once somebody starts it, the watch goes on. Each problem is told once."""
    monkeypatch.setattr("town.agents.reclaim_watch.SERVER_WAIT_SECONDS", 0.02)
    with Town.init(folder, name="place", actor="alice", is_registered=False) as town:
        first = town.create("first", agent="ada").task
        town.start(first.id, agent="ada", run=MARKS[0])
    try:
        heard = watching(folder, is_moving=True)
        wait_until(lambda: len(heard.moved) == 1)
        assert EmbeddedServer(folder).stop()
        wait_until(lambda: len(heard.problems) >= 1)
        assert not EmbeddedServer(folder).is_running()
        with Town.open(folder, actor="alice") as town:
            town.assign(first.id, "ada")
            town.start(first.id, agent="ada", run=MARKS[1])
            wait_until(lambda: len(heard.moved) == 2)
        assert heard.moved[1].lost.mark == MARKS[1]
        assert len(heard.problems) == len(set(heard.problems))
    finally:
        end_server(folder)
