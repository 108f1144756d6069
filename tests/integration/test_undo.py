"""Undo on a real town: commands on many tasks, all or none, in order, and beside others who write."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest
from msgspec.structs import replace

from ledger import (
    CircularNeedsError,
    LinkKind,
    NotUndoableError,
    Task,
    TaskCycleError,
    TaskHasChildrenError,
    TaskNoted,
    TaskNotFoundError,
    UndoOvertakenError,
)
from tests.support.towns import end_server
from town import MomentError, NothingToUndoError, Town

Command = Callable[[Town, dict[str, str]], object]

PLAN = """
[meta]
description = "Tasks"

[[tasks]]
id = "map"
description = "Draw the map"

[[tasks]]
id = "coast"
description = "Draw the coast"
parent = "map"
status = "assigned"
agent = "ada"
"""


def but_times(task: Task) -> Task:
    """What an undo brings back: all but times, versions and positions."""
    aside = dict.fromkeys(("created_at_ms", "updated_at_ms", "started_at_ms", "completed_at_ms", "version"), 0)
    return replace(task, at="", created_number=0, **aside)


def board(town: Town) -> list[Task]:
    """Every task but for what an undo does not bring back, which is its age too: by id."""
    return sorted((but_times(task) for task in town.page().tasks), key=lambda task: task.id)


@pytest.fixture(scope="module")
def town(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Town]:
    folder = tmp_path_factory.mktemp("undo")
    with Town.init(folder, name="undo", actor="alice", is_registered=False) as town:
        yield town
    end_server(folder)


def a_tree(town: Town) -> dict[str, str]:
    """A task with two below it, and one beside: each in another state."""
    top = town.create("top", tags=["a"]).task.id
    one = town.create("one", parent=top, agent="ada").task.id
    two = town.create("two", parent=top, agent="bob").task.id
    town.start(two)
    aside = town.create("aside", alias=f"for-{top}").task.id
    return {"top": top, "one": one, "two": two, "aside": aside}


def push(town: Town, _: dict[str, str]) -> object:
    (town.folder / "tasks.toml").write_text(PLAN, encoding="utf-8")
    return town.plans.push()


COMMANDS: dict[str, Command] = {
    "create": lambda town, _: town.create("new", agent="ada"),
    "create below": lambda town, ids: town.create("new", parent=ids["one"], alias=f"new-{ids['one']}"),
    "remove": lambda town, ids: town.remove(ids["two"]),
    "remove with an alias": lambda town, ids: town.remove(ids["aside"]),
    "complete with children": lambda town, ids: town.complete(ids["top"], with_children=True, agent="eve"),
    "assign all": lambda town, _: town.assign_all("eve"),
    "move": lambda town, ids: town.move(ids["one"], ids["aside"]),
    "fail": lambda town, ids: town.fail(ids["two"], error="no"),
    "edit": lambda town, ids: town.describe(ids["aside"], "other"),
    "push": push,
}


@pytest.mark.parametrize("name", COMMANDS)
def test_undo_is_the_board_before_and_undo_of_that_the_board_after(town: Town, name: str) -> None:
    """Also where a command changed many tasks: they come back in one append, each with its content and place."""
    ids = a_tree(town)
    before = board(town)
    COMMANDS[name](town, ids)
    after = board(town)
    assert before != after
    receipt = town.undoing.undo()
    assert board(town) == before
    assert {each.command for each in town.events.last(count=len(receipt.positions))} == {
        town.events.last(count=1)[0].command
    }
    town.undoing.undo()
    assert board(town) == after
    assert town.upkeep.verify().findings == ()
    if name == "push":
        assert not push(town, ids).changes  # type: ignore[attr-defined]
        town.undoing.undo()
        (town.folder / "tasks.toml").unlink()


def test_undo_names_what_it_takes_back(town: Town) -> None:
    """Each event has the last event of the command on its task as its cause, and the reason that was given."""
    ids = a_tree(town)
    town.complete(ids["top"], with_children=True, agent="eve")
    receipt = town.undoing.undo(reason="Too soon")
    events = {each.position: each for each in town.events.last(count=len(receipt.positions))}
    last = {each.task: each.at for each in receipt.command}
    assert set(events) == set(receipt.positions)
    assert all(
        (each.cause, each.reason, each.actor) == (last[each.task], "Too soon", "alice") for each in events.values()
    )


def test_undo_is_all_or_none(town: Town) -> None:
    """Where one task of the command went on, none is taken back."""
    a_tree(town)
    tasks = town.assign_all("eve")
    town.start(tasks[0].id)
    end = town.end()
    with pytest.raises(UndoOvertakenError):
        town.undoing.undo(tasks[-1].id)
    assert town.end() == end


def test_tasks_that_come_back_together_keep_their_order(town: Town) -> None:
    """They are the youngest of the town then, and among them the oldest comes first."""
    (town.folder / "tasks.toml").write_text(PLAN.replace("map", "sea").replace("coast", "shore"), encoding="utf-8")
    town.plans.push()
    before = [task.alias for task in town.page().tasks][-2:]
    town.undoing.undo()
    town.undoing.undo()
    assert [task.alias for task in town.page().tasks][-2:] == before == ["sea", "shore"]
    town.undoing.undo()
    (town.folder / "tasks.toml").unlink()


def test_preview_appends_nothing(town: Town) -> None:
    """It says what an undo would do, which is what the undo then does."""
    ids = a_tree(town)
    town.complete(ids["two"])
    end = town.end()
    preview = town.undoing.preview()
    assert (town.end(), preview.positions) == (end, ())
    done = town.undoing.undo()
    assert done.tasks == preview.tasks
    assert len(done.positions) == sum(len(each.events) for each in preview.tasks)


def test_command_is_named_by_any_of_its_events_or_by_a_task(town: Town) -> None:
    """A position, a number with or without #, an id, the beginning of one, an alias."""
    ids = a_tree(town)
    alias = f"for-{ids['top']}"
    for said in ("position", "number", "#number", "id", "prefix", "alias"):
        positions = town.complete(alias, agent="ada").positions
        assert len(positions) == 3
        names = {
            "position": positions[0],
            "number": str(positions[1].seq),
            "#number": f"#{positions[2].seq}",
            "id": ids["aside"],
            "prefix": ids["aside"][:20],
            "alias": alias,
        }
        receipt = town.undoing.undo(names[said])
        assert [each.position for each in receipt.command] == list(positions)


def test_undo_takes_the_last_command_of_who_acts(town: Town) -> None:
    """What others did since is left alone; who did nothing is told so."""
    mine, other = (town.create("x").task.id for _ in range(2))
    town.assign(mine, "ada")
    with Town.open(town.folder, actor="bob") as bob:
        bob.assign(other, "ada")
        town.undoing.undo()
        assert (town.task(mine).assigned_to, town.task(other).assigned_to) == (None, "ada")
        bob.undoing.undo()
    assert town.task(other).assigned_to is None
    with (
        Town.open(town.folder, actor="nobody") as nobody,
        pytest.raises(NothingToUndoError, match="Nothing of 'nobody'"),
    ):
        nobody.undoing.undo()


def test_what_is_not_there_is_refused(town: Town) -> None:
    """A number or position without an event, also one that the server would not take for a position; a task that nobody knows."""
    absent = ("999999999", "1795398503973-1", "99999999999999999999-1", "123456789-00")
    for what, error in (*((what, MomentError) for what in absent), ("who", TaskNotFoundError)):
        with pytest.raises(error):
            town.undoing.undo(what)


@pytest.mark.parametrize(
    "make",
    [
        lambda town, ids: town.note(ids["one"], "n"),
        lambda town, _: town.annotator.annotate(1, "n"),
    ],
    ids=["note", "annotation"],
)
def test_what_changed_nothing_is_not_taken_back(town: Town, make: Command) -> None:
    """A note and an annotation stay."""
    make(town, a_tree(town))
    with pytest.raises(NotUndoableError, match="changed nothing"):
        town.undoing.undo()


def test_creation_is_not_taken_back_from_above_children(town: Town) -> None:
    """Tasks that others put below it would be left without a parent; those of the same command go with it."""
    ids = a_tree(town)
    top = town.create("another").task.id
    town.move(ids["aside"], top)
    with pytest.raises(TaskHasChildrenError):
        town.undoing.undo(top)


def test_creations_taken_back_together_name_the_one_that_has_children(town: Town) -> None:
    """The error has the task that would leave tasks of others, and how many; its own children are not among them."""
    plan = PLAN.replace('"map"', '"sheet"').replace('"coast"', '"cape"')
    (town.folder / "tasks.toml").write_text(plan, encoding="utf-8")
    town.plans.push()
    (town.folder / "tasks.toml").unlink()
    root, coast = (town.task(alias).id for alias in ("sheet", "cape"))
    others = [town.create("of others", parent=coast).task.id for _ in range(2)]
    with pytest.raises(TaskHasChildrenError) as caught:
        town.undoing.undo(root)
    assert (caught.value.task_id, caught.value.children) == (coast, 2)
    for task in others:
        town.remove(task)
    town.undoing.undo(root)
    assert {root, coast}.isdisjoint(task.id for task in town.page().tasks)


def test_task_comes_back_below_a_parent_that_is_there(town: Town) -> None:
    """Where its parent was removed since, it would stand below nothing."""
    ids = a_tree(town)
    removed = town.remove(ids["one"]).positions[0]
    town.remove(ids["two"])
    town.remove(ids["top"])
    with pytest.raises(TaskNotFoundError):
        town.undoing.undo(removed)


def test_undo_of_a_move_closes_no_circle(town: Town) -> None:
    """Where the earlier parent lies below the task by now, it stays where it is."""
    ids = a_tree(town)
    moved = town.move(ids["one"], None).positions[0]
    town.move(ids["top"], ids["one"])
    with pytest.raises(TaskCycleError):
        town.undoing.undo(moved)


def test_undo_closes_no_circle_of_needs(town: Town) -> None:
    """What was taken away may close a circle with what came since: it is refused with its path, and nothing is written."""
    ids = a_tree(town)
    town.link(ids["one"], [ids["aside"]])
    unlinked = town.unlink(ids["one"], [ids["aside"]]).positions[0]
    moved = town.move(ids["one"], None).positions[0]
    town.link(ids["aside"], [ids["one"]])
    town.link(ids["top"], [ids["aside"]])
    before = board(town)
    for undone, circle in ((unlinked, {"one", "aside"}), (moved, {"one", "aside", "top"})):
        with pytest.raises(CircularNeedsError) as caught:
            town.undoing.undo(undone)
        assert {*caught.value.circle} == {ids[name] for name in circle}
    assert board(town) == before
    town.unlink(ids["top"], [ids["aside"]])
    town.undoing.undo(moved)
    assert town.task(ids["one"]).parent_id == ids["top"]


def test_undo_of_an_unlink_brings_the_link_back(town: Town) -> None:
    """Of all kinds that the command took away; a removed task comes back with its links and what people were asked."""
    ids = a_tree(town)
    for kind in (LinkKind.NEEDS, LinkKind.RELATES):
        town.link(ids["two"], [ids["aside"]], kind)
    town.ask(ids["two"], "Which?", choices=["a", "b"])
    town.unlink(ids["two"], [ids["aside"]])
    town.undoing.undo()
    before = board(town)
    asked = town.task(ids["two"])
    assert (asked.needs, asked.relates, asked.has_open_question) == ((ids["aside"],), (ids["aside"],), True)
    town.remove(ids["two"])
    town.undoing.undo()
    assert [replace(task, asked_at_ms=None) for task in board(town)] == [
        replace(task, asked_at_ms=None) for task in before
    ]


def test_undo_decides_again_where_another_writer_was_first(town: Town, monkeypatch: pytest.MonkeyPatch) -> None:
    """What came in between and does not stand on the command is kept; the undo goes on from there (P4)."""
    ids = a_tree(town)
    town.describe(ids["one"], "other")
    begin = town.backend.store.begin_append
    attempts: list[int] = []

    def overtaken(*given: object, **more: object) -> object:
        attempts.append(1)
        if len(attempts) == 1:
            with Town.open(town.folder, actor="bob") as bob:
                bob.note(ids["one"], "in between")
        return begin(*given, **more)  # type: ignore[arg-type]

    monkeypatch.setattr(town.backend.store, "begin_append", overtaken)
    town.undoing.undo()
    assert len(attempts) == 2
    task = town.task(ids["one"])
    assert task.description == "one"
    assert [type(step.event.data) for step in town.history(ids["one"])][-2] is TaskNoted
