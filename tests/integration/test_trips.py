"""How often a command goes to the server: on a caught-up town one look, one append, one commit."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import pytest

from ledger import LedgerDamagedError, RunMark, State
from projections import TaskFilter
from tests.support.towns import end_server
from tests.support.tt import run_here
from town import Reader, Town
from town.server.socket_connection import SocketConnection

Verb = Callable[[Town, str], object]
LOOK_APPEND_COMMIT = 3
VERBS: dict[str, Verb] = {
    "create": lambda town, _: town.create("a", tags=["backend"]),
    "create for an agent": lambda town, _: town.create("a", agent="worker-1"),
    "create below": lambda town, task: town.create("a", parent=task),
    "create with an alias": lambda town, task: town.create("a", alias=f"for-{task}"),
    "assign": lambda town, task: town.assign(task, "worker-1"),
    "claim": lambda town, task: town.claim(task, "worker-1"),
    "start": lambda town, task: town.start(task, agent="worker-1"),
    "complete": lambda town, task: town.complete(task, agent="worker-1"),
    "fail": lambda town, task: town.fail(task, agent="worker-1"),
    "cancel": lambda town, task: town.cancel(task),
    "describe": lambda town, task: town.describe(task, "b"),
    "tag": lambda town, task: town.tag(task, add=["docs"]),
    "note": lambda town, task: town.note(task, "halfway"),
    "remove": lambda town, task: town.remove(task),
}


@pytest.fixture
def town(tmp_path: Path) -> Iterator[Town]:
    with Town.init(tmp_path / "town", name="trips", actor="alice", is_registered=False) as town:
        for verb in VERBS.values():
            # So that the server knows every script.
            verb(town, town.create("a").task.id)
        town.create("a", alias="tt-1")
        yield town
    end_server(tmp_path / "town")


@pytest.fixture
def trips(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The first command of each request that is sent to the town's own server."""
    sent: list[str] = []
    send = SocketConnection._send

    def counted(connection: SocketConnection, pieces: Sequence[bytes]) -> None:
        found = re.search(rb"\*\d+\r\n\$\d+\r\n([A-Z]+)", b"".join(pieces))
        assert found is not None
        sent.append(found[1].decode())
        send(connection, pieces)

    monkeypatch.setattr(SocketConnection, "_send", counted)
    return sent


@pytest.mark.parametrize("verb", VERBS.values(), ids=VERBS)
def test_verb_on_a_caught_up_town_goes_to_the_server_three_times(town: Town, trips: list[str], verb: Verb) -> None:
    """It took 11 to 13 trips: the checkpoints were read three times, and the event was read back."""
    task = town.create("a").task.id
    trips.clear()
    verb(town, task)
    assert trips == ["EVALSHA"] * LOOK_APPEND_COMMIT


@pytest.mark.parametrize("name", ["id", "prefix", "alias"])
def test_one_task_is_read_in_one_trip_whatever_it_is_called(town: Town, trips: list[str], name: str) -> None:
    """The look finds it by id, by the beginning of it, and by alias."""
    task = town.task("tt-1")
    trips.clear()
    assert town.task({"id": task.id, "prefix": task.id[:12], "alias": "tt-1"}[name]) == task
    assert len(trips) == 1


@pytest.mark.parametrize(("children", "trips_max"), [(0, 2), (25, LOOK_APPEND_COMMIT)])
def test_task_with_all_around_it_is_read_in_three_trips(
    town: Town, trips: list[str], children: int, trips_max: int
) -> None:
    """The look, the tasks around it if there are some, and its last events with those of the town."""
    top = town.create("top").task.id
    task = town.create("a", parent=top if children else None).task.id
    for _ in range(children):
        town.create("below", parent=task)
    town.note(task, "halfway")
    town.annotator.annotate(town.end(), "a note on an event")
    town.details(task)
    trips.clear()
    details = town.details(task)
    assert len(trips) == trips_max
    assert (details.relatives.total, len(details.annotations)) == (children, 1)


@pytest.mark.parametrize("verb", VERBS.values(), ids=VERBS)
def test_names_that_are_new_cost_no_trip(town: Town, trips: list[str], verb: Verb) -> None:
    """The look asks about them as well."""
    task = town.create("a").task.id
    with Town.open(town.folder, actor="nobody before") as other:
        trips.clear()
        verb(other, task)
        assert trips == ["EVALSHA"] * LOOK_APPEND_COMMIT
        assert other.backend.loader.is_actor_new


def test_command_that_is_true_already_reads_once(town: Town, trips: list[str]) -> None:
    """Nothing is appended, and nothing is projected."""
    trips.clear()
    assert town.create("a", alias="tt-1").positions == ()
    assert len(trips) == 1


@pytest.mark.parametrize("command", ["tasks", "status"])
def test_lost_runs_cost_one_trip_and_only_where_something_runs(
    town: Town, trips: list[str], capsys: pytest.CaptureFixture[str], command: str
) -> None:
    """One more than a command that asks nothing about runs, and none while no task is running."""

    def taken(*, says_lost: bool) -> int:
        trips.clear()
        ran = run_here(capsys, command, "--town", str(town.folder))
        assert ran.code == 0
        assert ("without a runner" in ran.out + ran.err) == says_lost
        return len(trips)

    def taken_without() -> int:
        with pytest.MonkeyPatch.context() as patched:
            patched.setattr(Reader, "lost_tasks", lambda _, **__: None)
            return taken(says_lost=False)

    task = town.create("a", agent="worker-1").task.id
    for running in town.page(TaskFilter(state=State.RUNNING)).tasks:
        town.requeue(running.id)
    assert taken(says_lost=False) == taken_without()
    town.start(task, run=RunMark("0" * 12, "build-3", 4711))
    # The server learns the script at the first time.
    taken(says_lost=True)
    assert taken(says_lost=True) == taken_without() + 1


def test_undo_of_many_tasks_takes_as_many_trips_as_of_few(town: Town, trips: list[str]) -> None:
    """Also of an undo, which brings them back below their parent.

    It read each task's history, children and parent alone: 4,000 trips for a plan of 2,000 tasks.
    """
    taken: dict[int, list[int]] = {}
    for count in (3, 30):
        task = '[[tasks]]\nid = "{count}-{each}"\ndescription = "x"\nparent = "tt-1"\n'
        tasks = "".join(task.format(count=count, each=each) for each in range(count))
        (town.folder / "tasks.toml").write_text(f'[meta]\ndescription = "x"\n{tasks}', encoding="utf-8")
        town.plans.push()
        taken[count] = []
        for _ in range(2):
            trips.clear()
            assert len(town.undoing.undo().tasks) == count
            taken[count].append(len(trips))
    assert taken[3] == taken[30]


def test_verb_projects_what_others_appended_meanwhile(town: Town, trips: list[str]) -> None:
    """The quick way is for who is alone: an event in between is read, and projected too."""
    task, other = (town.create("a").task.id for _ in range(2))
    look = town.upkeep.look

    def overtaken(*wanted: object) -> object:
        seen = look(*wanted)  # type: ignore[arg-type]
        with Town.open(town.folder, actor="bob") as bob:
            bob.note(other, "in between")
        return seen

    trips.clear()
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(town.upkeep, "look", overtaken)
        town.note(task, "mine")
    assert len(trips) > 2 * LOOK_APPEND_COMMIT
    assert town.upkeep.verify().findings == ()
    assert (town.task(task).version, town.task(other).version) == (2, 2)


def test_foreign_key_in_the_place_of_the_lease_stops_no_reader(town: Town) -> None:
    """Who reads a town that is caught up needs no lease; who has to project is told of the key, as ever."""
    task = town.task("tt-1")
    town.connection.client.hset(town.keys.lease("projector"), "field", "value")
    assert town.task("tt-1") == task
    with pytest.raises(LedgerDamagedError, match="lease"):
        town.note(task.id, "halfway")
