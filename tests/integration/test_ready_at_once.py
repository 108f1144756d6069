"""Links, claims and runs of many at once: no circle is ever left, each task is worked once and after what it needs."""

from __future__ import annotations

import os
import signal
import threading
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from random import Random

import pytest

from ledger import State, TaskCreated, TaskLinked, TaskMoved, TaskStarted
from projections import Board, TaskFilter
from tests.support import readiness_model as model
from tests.support.processes import run_at_once, workers_at_the_line
from tests.support.runners import running_runner
from tests.support.waiting import wait_until
from town import Town

IS_LONG = bool(os.environ.get("TT_STRESS"))
PROCESSES = 8
LINKS_EACH = 250 if IS_LONG else 40
AGENTS = 20
SHARED = 8


@pytest.fixture
def town(folder: Path) -> Iterator[Town]:
    with Town.init(folder, actor="lead") as opened:
        yield opened


def test_links_at_once_leave_no_circle(town: Town) -> None:
    """Eight processes tie the same tasks to each other by needs and parents: at every position all of them could be done."""
    ids = [town.create(f"task {number}").task.id for number in range(SHARED)]
    run_at_once(
        "link_shared_tasks",
        [[town.folder, f"writer-{seed}", seed, LINKS_EACH, ",".join(ids)] for seed in range(PROCESSES)],
    )
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
