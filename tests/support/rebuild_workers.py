"""What processes do beside a rebuild: writers time their commands, readers look at known tasks. `python -m` as `workers`."""

from __future__ import annotations

import time
from pathlib import Path
from random import Random

from ledger import CommandRejectedError, State, TaskCreated, new_task_id
from projections.snapshots import decode_snapshot
from tests.support.builders import append
from town import Town

PAGE_TASKS = 10


def time_commands(folder: str, writer: str, known: str, log: str, stop: str) -> None:
    """Complete and reopen known tasks, create others, and append without projecting.

    Writes down whether it was a command or an append, when it began and how long it took.
    """
    chance, tasks = Random(writer), known.split(",")
    with Path(log).open("w", buffering=1, encoding="ascii") as out, Town.open(folder, actor=writer) as town:
        while not Path(stop).exists():
            task = chance.choice(tasks)
            started = time.monotonic()
            try:
                match chance.randrange(4):
                    case 3:
                        append(town.backend.store, [TaskCreated("appended beside the rebuild")], task=new_task_id())
                        out.write(f"append {started} {time.monotonic() - started}\n")
                        continue
                    case 0:
                        town.complete(task, agent=writer, result="done")
                    case 1:
                        town.reopen(task)
                    case _:
                        town.create("beside the rebuild", tags=("new",))
            except CommandRejectedError:
                # It was completed or reopened already: no append, nothing to time.
                continue
            out.write(f"command {started} {time.monotonic() - started}\n")


def read_known(folder: str, known: str, log: str, stop: str) -> None:
    """Read known tasks in all ways again and again, fail where one is missing or its views disagree; log every snapshot seen."""
    tasks, seen = known.split(","), set[bytes]()
    rounds = 0
    with Town.open(folder) as town:
        client, keys = town.connection.client, town.keys
        while not Path(stop).exists():
            rounds += 1
            pipeline = client.pipeline(transaction=True)
            pipeline.mget([keys.task(task) for task in tasks])
            for state in State:
                pipeline.smismember(keys.view("state", state), tasks)
            pipeline.zmscore(keys.view("created"), tasks)
            pipeline.zmscore(keys.view("ids"), tasks)
            snapshots, *members, ranks, ids = pipeline.execute()
            assert None not in snapshots, "a snapshot is missing"
            assert None not in ranks + ids, "an entry is missing"
            for index, snapshot in enumerate(snapshots):
                state_now = decode_snapshot(snapshot, key=tasks[index]).state
                found = [state for state, answers in zip(State, members, strict=True) if answers[index]]
                assert found == [state_now], f"{found} in the views, {state_now} in the snapshot"
            seen.update(snapshots)
            page = town.page(limit=PAGE_TASKS)
            assert [task.id for task in page.tasks] == tasks[:PAGE_TASKS], "the page is not of the oldest tasks"
    with Path(log).open("wb") as out:
        out.write(b"%d\n" % rounds)
        out.writelines(snapshot + b"\n" for snapshot in sorted(seen))
