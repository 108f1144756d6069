"""Links, claims and runs of many at once: no circle is ever left, each task is worked once and after what it needs."""

from __future__ import annotations

import os
import signal
import threading
from collections import Counter
from collections.abc import Collection, Iterator, Sequence
from pathlib import Path
from random import Random
from typing import cast

import pytest

from ledger import State, TaskCreated, TaskLinked, TaskMoved, TaskStarted
from projections import Board, LiveBoard, TaskFilter
from tests.support import readiness_model as model
from tests.support.processes import run_at_once, workers_at_the_line
from tests.support.runners import running_runner
from tests.support.towns import client_of
from tests.support.waiting import wait_until
from town import Town
from town.linking import Circles

IS_LONG = bool(os.environ.get("TT_STRESS"))
PROCESSES = 8
LINKS_EACH = 250 if IS_LONG else 40
AGENTS = 20
SHARED = 8
ROUNDS_MAX = 5


@pytest.fixture
def town(folder: Path) -> Iterator[Town]:
    with Town.init(folder, actor="lead") as opened:
        yield opened


def test_links_at_once_leave_no_circle(town: Town) -> None:
    """Eight processes tie the same tasks to each other by needs and parents: at every position all of them could be done."""
    for each_round in range(ROUNDS_MAX):
        # Once tasks are tied to each other, most moves are refused: by chance there may be few. Others begin without any.
        ids = [town.create(f"task {number}").task.id for number in range(SHARED)]
        writers = range(each_round * PROCESSES, (each_round + 1) * PROCESSES)
        lines = [[town.folder, f"writer-{seed}", seed, LINKS_EACH, ",".join(ids)] for seed in writers]
        run_at_once("link_shared_tasks", lines)
        if count_moves(town) >= SHARED:
            break
    facts: Counter[str] = Counter()
    board = Board()
    for batch in town.backend.store.read_batches():
        for recorded in batch:
            board.fold([recorded])
            facts[recorded.type] += 1
            if isinstance(recorded.data, TaskLinked | TaskMoved | TaskCreated):
                assert model.can_all_be_done(board.tasks), recorded.position
    assert min(facts["task.linked"], facts["task.moved"]) >= SHARED
    assert town.upkeep.verify().findings == ()


def count_moves(town: Town) -> int:
    return sum(isinstance(each.data, TaskMoved) for batch in town.backend.store.read_batches() for each in batch)


def test_circle_of_links_that_were_never_there_together_refuses_nothing(
    town: Town, monkeypatch: pytest.MonkeyPatch
) -> None:
    """While a link is looked at that leads to `a`, `a` needs `b` no more, and then `b` needs `a`: the search saw both needs."""
    for name in "abcd":
        town.create(name, alias=name)
    town.link("a", ["b"])
    town.link("d", ["a"])
    look_up, seen = Circles._look_up, list[set[str]]()

    def look_up_between_links(circles: Circles, task_ids: Collection[str]) -> object:
        found = look_up(circles, task_ids)
        seen.append(set(task_ids))
        if town.task("a").id in task_ids and len(seen) == 3:
            with Town.open(town.folder, actor="other") as other:
                other.unlink("a", ["b"])
                other.link("b", ["a"])
        return found

    monkeypatch.setattr(Circles, "_look_up", look_up_between_links)
    assert town.link("c", ["d"]).task.needs == (town.task("d").id,)
    assert len(seen) > 4


def test_tasks_before_the_page_are_not_read(town: Town, monkeypatch: pytest.MonkeyPatch) -> None:
    """A page that begins later is a part of the whole, now and in the past, and costs the snapshots that it shows."""
    for number in range(9):
        town.create(f"task {number}")
    whole = town.ready().tasks
    read: list[str] = []
    snapshots = LiveBoard.snapshots

    def counted(board: LiveBoard, ids: Sequence[str]) -> list[bytes | None]:
        read.extend(ids)
        return snapshots(board, ids)

    monkeypatch.setattr(LiveBoard, "snapshots", counted)
    page = town.ready(limit=3, offset=5)
    assert (page.tasks, page.has_more) == (whole[5:8], True)
    assert read == [task.id for task in page.tasks]
    then = town.at(town.end())
    for reader in (town, then):
        last = reader.ready(limit=3, offset=6)
        assert (last.tasks, last.has_more) == (whole[6:], False)
        assert reader.ready(offset=9).tasks == ()


def test_20_agents_take_another_task_each(town: Town) -> None:
    """All at once, each gets another one of the first, and nobody gets two."""
    made = [town.create(f"task {number}", priority=number % 5).task for number in range(3 * AGENTS)]
    taken: list[str] = []
    barrier = threading.Barrier(AGENTS)

    def take(agent: str) -> None:
        with Town.open(town.folder, actor=agent) as opened:
            barrier.wait()
            receipt = opened.take_next(agent)
            assert receipt is not None
            assert (receipt.task.state, receipt.task.assigned_to) == (State.ASSIGNED, agent)
            taken.append(receipt.task.id)

    threads = [threading.Thread(target=take, args=(f"agent-{number}",)) for number in range(AGENTS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    best = sorted(made, key=lambda task: (task.priority, task.created_number or 0))
    assert sorted(taken) == sorted(task.id for task in best[:AGENTS])
    assert town.upkeep.verify().findings == ()


def a_layered_graph(town: Town, *, tasks: int, layers: int, needs: int) -> list[str]:
    """Tasks in layers, each of which needs some of the layer before; their ids."""
    chance, above, ids = Random(14), list[str](), list[str]()
    for _ in range(layers):
        layer = [
            town.create("one", needs=chance.sample(above, min(needs, len(above)))).task.id
            for _ in range(tasks // layers)
        ]
        ids += layer
        above = layer
    return ids


def test_20_agents_work_a_graph_in_a_legal_order(town: Town, tmp_path: Path) -> None:
    """Each task is worked once, and none before what it needs; what a killed worker left is reclaimed and worked again."""
    tasks, layers, needs = (500, 10, 4) if IS_LONG else (60, 5, 3)
    ids = a_layered_graph(town, tasks=tasks, layers=layers, needs=needs)
    assert sum(len(task.needs) for task in town.page().tasks) >= (1_500 if IS_LONG else 100)
    stop, done, pid = tmp_path / "stop", tmp_path / "done", tmp_path / "pid"
    names = [f"agent-{number}" for number in range(1, AGENTS)]
    threads = [[town.folder, ",".join(names[start::2]), stop, done] for start in (0, 1)]
    hangs = ("--", "sh", "-c", f'echo $$ > "{pid}"; exec sleep 600')
    with running_runner("victim", *hangs, folder=town.folder, logs=tmp_path) as victim:
        wait_until(lambda: pid.exists() and pid.read_text().strip() != "")
        [held] = town.page(TaskFilter(state=State.RUNNING)).tasks
        with workers_at_the_line("work_in_threads", threads) as processes:
            for process in processes:
                process.go()
            wait_until(lambda: town.count_states()[State.COMPLETED] > 0)
            victim.send(signal.SIGKILL)
            victim.wait()
            if not IS_LONG:
                # What HEARTBEAT_MS without a beat do.
                [run] = [
                    step.event.data.run for step in town.history(held.id) if isinstance(step.event.data, TaskStarted)
                ]
                assert run is not None
                town.backend.client.delete(town.keys.heartbeat(run.id))
            wait_until(lambda: bool(town.runs.reclaim()), seconds_max=60)
            assert town.wait(ids, timeout_seconds=300).are_all_completed
            stop.touch()
            for process in processes:
                process.finish()
    assert Counter(done.read_text().split()) == dict.fromkeys(ids, 1)
    board, started = Board(), Counter[str]()
    for batch in town.backend.store.read_batches():
        for recorded in batch:
            board.fold([recorded])
            if isinstance(recorded.data, TaskStarted):
                started[recorded.task] += 1
                needed = [board.tasks[each] for each in board.tasks[recorded.task].needs]
                assert all(each.state is State.COMPLETED for each in needed), recorded.position
    assert started == dict.fromkeys(ids, 1) | {held.id: 2}
    assert town.upkeep.verify().findings == ()


PLAN = """
[[tasks]]
id = "release"
description = "Release it"

[[tasks]]
id = "design"
parent = "release"
description = "Design the sign-in"
priority = 0

[[tasks]]
id = "api"
parent = "release"
description = "Write the API"
needs = ["design"]

[[tasks]]
id = "page"
parent = "release"
description = "Write the page"
needs = ["design"]
priority = 1

[[tasks]]
id = "docs"
description = "Write the docs"
needs = ["api", "page"]

[[tasks]]
id = "announce"
description = "Announce it"
needs = ["release", "docs"]
"""


def test_two_agents_finish_a_plan_with_needs_in_a_legal_order(town: Town, tmp_path: Path) -> None:
    """At every position of the ledger, what is ready is what the plain model says of the board that was replayed to it."""
    (town.folder / "tasks.toml").write_text(PLAN, encoding="utf-8")
    town.plans.push()
    ids = [task.id for task in town.page().tasks]
    works = ("--", "sh", "-c", "echo done")
    with (
        running_runner("ada", *works, folder=town.folder, logs=tmp_path, name="ada") as ada,
        running_runner("bob", *works, folder=town.folder, logs=tmp_path, name="bob") as bob,
    ):
        assert town.wait(ids, timeout_seconds=60).are_all_completed
        for runner in (ada, bob):
            runner.send(signal.SIGTERM)
            assert runner.wait() == 0, runner.err
    board, order = Board(), list[str]()
    for batch in town.backend.store.read_batches():
        for recorded in batch:
            board.fold([recorded])
            expected = [task.id for task in model.ready(board.tasks, now_ms=recorded.position.ms)]
            assert [task.id for task in town.at(recorded.position).ready().tasks] == expected, recorded.position
            if isinstance(recorded.data, TaskStarted):
                order.append(board.tasks[recorded.task].alias or "")
                assert not model.is_blocked(board.tasks, board.tasks[recorded.task])
    assert order[0] == "design"
    assert order[1:3] in (["page", "api"], ["api", "page"])
    assert order[-1] == "announce"
    assert town.upkeep.verify().findings == ()


def test_wrong_entry_of_what_is_ready_is_named_and_healed(town: Town) -> None:
    """Missing, at another place, or of a task that waits: `verify` says which task in which key, and a rebuild mends it."""
    first = town.create("first", priority=1).task
    second = town.create("second", needs=[first.id]).task
    pending, blocked, backlog = (town.keys.view("ready", part) for part in ("pending", "blocked", "backlog"))
    with client_of(town.folder) as client:
        place = cast("float", client.zscore(pending, first.id))
        client.zadd(pending, {second.id: 7})
        client.zadd(backlog, {first.id: place + 1})
        client.srem(blocked, second.id)
    found = {(finding.where, finding.problem) for finding in town.upkeep.verify().findings}
    assert found == {
        (pending, f"task {second.id} does not belong here"),
        (backlog, f"task {first.id} is {place + 1:.17g}, and should be {place:.17g}"),
        (blocked, f"task {second.id} is missing"),
    }
    assert town.upkeep.rebuild(view="ready").differences == len(found)
    assert town.upkeep.verify().findings == ()
    assert [task.id for task in town.ready().tasks] == [first.id]
