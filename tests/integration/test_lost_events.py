"""An entry taken out of the stream by hand: `verify` names what is missing, and only an accepted loss is built upon (P10)."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import redis

from ledger import LedgerDamagedError, TaskNoted, TaskRemoved
from ledger.event_store import READ_EVENTS_MAX
from projections import LossNotAcceptedError
from tests.support.builders import append
from tests.support.scene import Scene, opened_scene
from tests.support.tt import run_here


@pytest.fixture
def scene(client: redis.Redis, server_socket: Path, tmp_path: Path) -> Iterator[Scene]:
    with opened_scene(client, server_socket, tmp_path) as scene:
        yield scene


def number_of(task: str, version: int) -> Callable[[Scene], list[int]]:
    """The sequence number of one event of a task; -1 is its last."""

    def find(scene: Scene) -> list[int]:
        history = scene.town.backend.store.history(scene.tasks[task])
        return [history[version - 1 if version > 0 else version].position.seq]

    return find


def last_of_all(scene: Scene) -> list[int]:
    return [scene.town.end().seq]


def last_two(scene: Scene) -> list[int]:
    return [scene.town.end().seq - 1, scene.town.end().seq]


LOSSES: dict[str, Callable[[Scene], list[int]]] = {
    "the first of all": lambda _: [1],
    "the creation of a task": number_of("running", 1),
    "a middle one": number_of("completed", 2),
    "two in a row": lambda scene: [number_of("completed", 2)(scene)[0], number_of("completed", 2)(scene)[0] + 1],
    "two apart": lambda scene: number_of("completed", 2)(scene) + number_of("failed", 3)(scene),
    "the last of a task": number_of("completed", -1),
    "a removal": number_of("removed", -1),
    "the last of all": last_of_all,
    "the last two of all": last_two,
}


def lose(scene: Scene, numbers: list[int]) -> None:
    for number in numbers:
        position = scene.town.backend.store.position_of(number)
        assert position is not None
        assert scene.client.xdel(scene.keys.ledger, position) == 1


@pytest.mark.parametrize("is_projected", [True, False], ids=["projected", "not yet projected"])
@pytest.mark.parametrize("loss", LOSSES.values(), ids=LOSSES)
def test_lost_events_are_named_and_never_papered_over(
    scene: Scene, loss: Callable[[Scene], list[int]], is_projected: bool, capsys: pytest.CaptureFixture[str]
) -> None:
    """`verify` names the missing numbers and exits 5; `rebuild` refuses and writes nothing; with --accept-loss it builds what is left."""
    numbers = loss(scene)
    if not is_projected:
        for name in [*scene.client.scan_iter(match=scene.keys.checkpoint("*"))]:
            scene.client.delete(name)
        for pattern in (scene.keys.task("*"), scene.keys.view("*", None)):
            for name in [*scene.client.scan_iter(match=pattern)]:
                scene.client.delete(name)
    lose(scene, numbers)
    before = scene.dump()

    found = [finding.problem for finding in scene.findings() if finding.kind == "sequence"]
    assert found
    named = " ".join(found)
    assert all(str(number) in named for number in numbers)
    folder = str(scene.town.folder)
    assert run_here(capsys, "verify", "--json", "--town", folder).code == 5

    with pytest.raises(LossNotAcceptedError, match="Nothing was rebuilt"):
        scene.town.upkeep.rebuild()
    with pytest.raises(LossNotAcceptedError):
        list(scene.town.upkeep.preview_rebuild())
    assert run_here(capsys, "rebuild", "--town", folder).code == 5
    assert scene.dump() == before
    previewed = run_here(capsys, "rebuild", "--dry-run", "--accept-loss", "--json", "--town", folder)
    assert previewed.code == 0, previewed.err
    assert scene.dump() == before

    report = scene.town.upkeep.rebuild(accepts_loss=True)
    assert report.has_lost_events
    assert {finding.kind for finding in scene.findings()} <= {"sequence", "version", "prev", "head"}
    assert [finding.problem for finding in scene.findings() if finding.kind == "sequence"] == found


@pytest.mark.parametrize("loss", LOSSES.values(), ids=LOSSES)
def test_commands_go_on_after_an_accepted_loss(scene: Scene, loss: Callable[[Scene], list[int]]) -> None:
    """Tasks that lost nothing take commands as before, new ones are made, and views follow."""
    numbers = loss(scene)
    lost = {
        recorded.task
        for batch in scene.town.backend.store.read_batches()
        for recorded in batch
        if recorded.position.seq in numbers
    }
    lose(scene, numbers)
    scene.town.upkeep.rebuild(accepts_loss=True)
    # This machine has receipts of what is lost, and would refuse to write until that is accepted, too.
    scene.town.recovery.accept_loss(scene.town.name)
    kept = [name for name, task in scene.tasks.items() if task not in lost and name not in ("removed", "completed")]
    assert kept
    for name in kept:
        scene.town.note(scene.tasks[name], "going on")
    made = scene.town.create("New", agent="worker-1", tags=["bug"]).task
    assert scene.town.start(made.id).task.state == "running"
    assert {finding.kind for finding in scene.findings()} <= {"sequence", "version", "prev", "head"}


def delete_stream(scene: Scene) -> int:
    """The whole stream at once; returns the first number that is lost."""
    scene.client.delete(scene.keys.ledger)
    return 1


def write_stream_anew(scene: Scene) -> int:
    """As a copy that lacks the last event and knows nothing of it; returns its number."""
    entries = scene.client.xrange(scene.keys.ledger)
    scene.client.delete(scene.keys.ledger)
    for position, fields in entries[:-1]:
        scene.client.xadd(scene.keys.ledger, fields, id=position)
    return len(entries)


@pytest.mark.parametrize("lose_end", [delete_stream, write_stream_anew])
def test_loss_that_the_stream_does_not_show_is_refused_too(
    scene: Scene, lose_end: Callable[[Scene], int], capsys: pytest.CaptureFixture[str]
) -> None:
    """Checkpoint and heads lie after the ledger's end: `verify` names the numbers, and a rebuild leaves the last trace alone.

    The bug looked like this: a rebuild wiped every snapshot and ended with 0.
    """
    end = scene.town.end().seq
    first = lose_end(scene)
    before = scene.dump()
    named = [finding.problem for finding in scene.findings() if finding.kind == "sequence"]
    numbers = f"number {end} is" if first == end else f"numbers {first} to {end} are"
    assert named == [f"sequence {numbers} missing at the end"]
    ran = run_here(capsys, "verify", "--town", str(scene.town.folder))
    assert ran.code == 5
    assert "`tt rebuild` puts" not in ran.err
    assert "backup" in ran.err
    with pytest.raises(LossNotAcceptedError, match="Nothing was rebuilt"):
        scene.town.upkeep.rebuild()
    assert scene.dump() == before
    assert scene.town.upkeep.rebuild(accepts_loss=True).has_lost_events


def test_unfinished_rebuild_is_not_finished_over_a_loss_that_nobody_accepted(scene: Scene) -> None:
    """A rebuild of a whole ledger was killed, then an event was lost: the next command stops, and writes nothing.

    The bug looked like this: the next command finished it as if --accept-loss had been given, and ended with 0.
    """
    scene.client.hset(scene.keys.checkpoint("task"), "rebuild", "online")
    lose(scene, number_of("completed", 2)(scene))
    before = scene.dump()
    with pytest.raises(LossNotAcceptedError, match="Nothing was rebuilt"):
        scene.town.page()
    assert scene.dump() == before
    scene.town.upkeep.rebuild(accepts_loss=True)
    scene.town.page()


def test_unfinished_rebuild_accepts_no_loss_that_came_after(scene: Scene) -> None:
    """One loss was accepted, the rebuild was killed, and then another event was lost: that one nobody accepted.

    The bug looked like this: the next command finished the rebuild over both, and ended with 0.
    """
    lose(scene, number_of("completed", 2)(scene))
    scene.town.upkeep.rebuild(accepts_loss=True)
    scene.client.hset(scene.keys.checkpoint("task"), "rebuild", "fenced")
    lose(scene, number_of("failed", 3)(scene))
    before = scene.dump()
    with pytest.raises(LossNotAcceptedError, match="Nothing was rebuilt"):
        scene.town.page()
    assert scene.dump() == before
    scene.town.upkeep.rebuild(accepts_loss=True)
    scene.town.page()


def test_preview_over_a_loss_beyond_the_checkpoint_tells_what_a_rebuild_would_do(scene: Scene) -> None:
    """The bug looked like this: the checkpoint was said to have gone back."""
    task = scene.tasks["running"]
    append(scene.town.backend.store, [TaskNoted("a"), TaskNoted("b"), TaskNoted("c")], task=task, expected=4)
    lose(scene, [scene.town.end().seq - 1])
    found = list(scene.town.upkeep.preview_rebuild(accepts_loss=True))
    assert scene.snapshot("running") in {each.key for each in found}


def test_verify_of_a_batch_that_ends_with_an_orphan_goes_on(scene: Scene) -> None:
    """A task whose creation is lost has the last event of a whole batch: nothing that is there is called missing.

    The bug looked like this: the event after it, and it itself, were counted and named again.
    """
    task = scene.tasks["running"]
    lose(scene, number_of("running", 1)(scene))
    version, _ = scene.town.backend.store.head(task)
    append(scene.town.backend.store, [TaskNoted("x")] * (READ_EVENTS_MAX - 1), task=scene.tasks["pending"], expected=1)
    append(scene.town.backend.store, [TaskNoted("the last of its batch")], task=task, expected=version)
    append(scene.town.backend.store, [TaskNoted("y")], task=scene.tasks["pending"], expected=READ_EVENTS_MAX)
    found = scene.town.upkeep.verify()
    assert found.events == scene.client.xlen(scene.keys.ledger)
    assert len([each for each in found.findings if each.kind == "sequence"]) == 1


def test_loss_of_a_creation_is_told_once(scene: Scene) -> None:
    """The task's other events follow each other: none of them is blamed for what is not there."""
    lose(scene, number_of("completed", 1)(scene))
    found = [each.kind for each in scene.findings() if each.kind not in {"snapshot", "view", "key"}]
    assert sorted(found) == ["sequence", "version"]


def test_unfinished_rebuild_that_accepted_a_loss_is_finished(scene: Scene) -> None:
    """What was consented to once is not asked for again."""
    lose(scene, number_of("completed", 2)(scene))
    scene.town.upkeep.rebuild(accepts_loss=True)
    scene.client.hset(scene.keys.checkpoint("task"), "rebuild", "fenced")
    scene.client.delete(scene.snapshot("pending"))
    scene.town.page()
    assert scene.client.exists(scene.snapshot("pending"))
    assert not scene.client.hexists(scene.keys.checkpoint("task"), "rebuild")


def test_events_that_go_on_after_a_loss_stop_every_command(scene: Scene) -> None:
    """A gap in what is still to be projected is not stepped over."""
    task = scene.tasks["running"]
    append(scene.town.backend.store, [TaskNoted("a"), TaskNoted("b"), TaskNoted("c")], task=task, expected=4)
    lose(scene, [scene.town.end().seq - 1])
    before = scene.dump()
    with pytest.raises(LedgerDamagedError, match="is missing"):
        scene.town.page()
    with pytest.raises(LedgerDamagedError):
        scene.town.note(task, "d")
    assert scene.dump() == before


def test_accepted_loss_beyond_the_checkpoint_is_gone_past(scene: Scene) -> None:
    """The gap is in what is still to be projected: --accept-loss builds what follows it, too, and commands go on."""
    task = scene.tasks["running"]
    append(scene.town.backend.store, [TaskNoted("a"), TaskNoted("b"), TaskNoted("c")], task=task, expected=4)
    lose(scene, [scene.town.end().seq - 1])
    before = scene.dump()
    with pytest.raises(LossNotAcceptedError):
        scene.town.upkeep.rebuild()
    assert scene.dump() == before
    assert scene.town.upkeep.rebuild(accepts_loss=True).has_lost_events
    assert scene.town.task(task).version == 7
    scene.town.note(task, "d")


def test_task_whose_creation_is_lost_says_so(scene: Scene) -> None:
    """It is no task any more, and no command makes it one by mistake."""
    lose(scene, number_of("running", 1)(scene))
    scene.town.upkeep.rebuild(accepts_loss=True)
    before = scene.dump()
    with pytest.raises(LedgerDamagedError):
        scene.town.complete(scene.tasks["running"], result="x")
    assert scene.dump() == before


def test_removal_that_is_lost_brings_its_task_back_for_accepted_loss_only(scene: Scene) -> None:
    """What is left says that the task is there."""
    removed = scene.tasks["removed"]
    assert isinstance(scene.town.backend.store.history(removed)[-1].data, TaskRemoved)
    lose(scene, number_of("removed", -1)(scene))
    with pytest.raises(LossNotAcceptedError):
        scene.town.upkeep.rebuild()
    scene.town.upkeep.rebuild(accepts_loss=True)
    assert removed in {task.id for task in scene.town.page().tasks}
