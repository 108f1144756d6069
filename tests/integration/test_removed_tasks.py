"""What is said of a removed task: that it was removed, and how it comes back."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import redis

from ledger import (
    CircularNeedsError,
    EventStore,
    LinkKind,
    Position,
    TaskHasChildrenError,
    TaskRemovedError,
    task_id_of_alias,
    to_ms,
)
from projections import Loader
from town import Town

CALLS: dict[str, Callable[[Town], object]] = {
    "complete": lambda town: town.complete("gone", agent="ada"),
    "create below it": lambda town: town.create("new", parent="gone"),
    "create with a need of it": lambda town: town.create("new", needs=["gone"]),
    "link": lambda town: town.link("other", ["gone"], LinkKind.RELATES),
    "move below it": lambda town: town.move("other", "gone"),
    "note": lambda town: town.note("gone", "x"),
    "needs of it": lambda town: town.link("gone", ["other"]),
    "blame": lambda town: town.blame("gone"),
    "blocks": lambda town: town.blocks("gone"),
    "details": lambda town: town.details("gone"),
    "task": lambda town: town.task("gone"),
    "tree": lambda town: town.tree("gone"),
}


@pytest.fixture
def town(client: redis.Redis, server_socket: Path, tmp_path: Path) -> Iterator[Town]:
    """With a task `other`, and a task `gone`, which was removed."""
    assert client.dbsize() == 0
    url = f"unix://{server_socket}"
    with Town.init(tmp_path / "place", name="place", url=url, actor="alice", is_registered=False) as town:
        town.create("other", alias="other")
        town.create("gone", alias="gone")
        town.remove("gone")
        yield town


@pytest.mark.parametrize("call", CALLS.values(), ids=CALLS)
def test_removed_task_is_said_to_be_removed(town: Town, call: Callable[[Town], object]) -> None:
    """Nothing is written. It was said that no task is called so."""
    before = town.end()
    with pytest.raises(TaskRemovedError, match=r"^The task '.+' was removed\."):
        call(town)
    assert town.end() == before


def test_removed_task_comes_back_as_the_advice_says(town: Town) -> None:
    """`tt undo gone`: the last event of a removed task is its removal."""
    town.undoing.undo("gone")
    assert town.task("gone").alias == "gone"


def test_task_removed_by_an_earlier_moment_is_said_to_be_removed(town: Town) -> None:
    """And when it was looked at."""
    end = town.end()
    town.undoing.undo("gone")
    with pytest.raises(TaskRemovedError, match=f"^The task 'gone' was removed before {end}"):
        town.at(end).task("gone")


def test_task_that_is_removed_is_created_again(town: Town) -> None:
    """A removed task's alias makes it again."""
    assert town.create("again", alias="gone").task.description == "again"


@pytest.mark.parametrize("name", ["create below it", "create with a need of it", "link", "move below it"])
def test_task_that_is_removed_at_the_same_moment_is_tied_to_nothing(
    town: Town, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    """It goes after the command read it and before the append: the command is refused, as if it came later."""
    town.undoing.undo("gone")
    append = EventStore.append

    def append_late(*arguments: Any, **options: Any) -> list[Position]:
        monkeypatch.setattr(EventStore, "append", append)
        town.remove("gone")
        return append(*arguments, **options)

    monkeypatch.setattr(EventStore, "append", append_late)
    with pytest.raises(TaskRemovedError):
        CALLS[name](town)
    assert town.page().total == 1


@pytest.mark.parametrize("name", ["remove", "undo its creation", "prune"])
def test_task_that_gets_a_child_at_the_same_moment_stays(
    town: Town, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    """The child comes after the command looked for children and before the append. It was left below a removed task."""
    town.create("top", alias="top")
    town.plans.path().write_text('[[tasks]]\nid = "other"\ndescription = "other"\n')
    calls: dict[str, Callable[[], object]] = {
        "remove": lambda: town.remove("top"),
        "undo its creation": lambda: town.undoing.undo("top"),
        "prune": lambda: town.plans.push(prune=True),
    }
    append = EventStore.append

    def append_late(*arguments: Any, **options: Any) -> list[Position]:
        monkeypatch.setattr(EventStore, "append", append)
        town.create("below", parent="top")
        return append(*arguments, **options)

    monkeypatch.setattr(EventStore, "append", append_late)
    with suppress(TaskHasChildrenError):
        calls[name]()
    assert len(town.tree("top")) == 2


@pytest.fixture
def comes_back(town: Town, monkeypatch: pytest.MonkeyPatch) -> Callable[[Callable[[Town], object]], None]:
    """Lets somebody else bring `gone` back right after the next command has read it for the first time."""

    def arrange(bring: Callable[[Town], object]) -> None:
        load, gone = Loader.load, task_id_of_alias(town.name, "gone")

        def load_early(self: Loader, task_id: str) -> Any:
            found = load(self, task_id)
            if task_id == gone:
                monkeypatch.setattr(Loader, "load", load)
                with Town.open(town.folder, actor="bob") as other:
                    bring(other)
            return found

        monkeypatch.setattr(Loader, "load", load_early)

    return arrange


def test_link_of_a_task_that_comes_back_meanwhile_closes_no_circle(
    town: Town, comes_back: Callable[[Callable[[Town], object]], None]
) -> None:
    """The command looks at it twice; what it found of circles is of the version that it decides on."""
    town.undoing.undo("gone")
    town.link("other", ["gone"])
    town.remove("gone")
    comes_back(lambda other: other.create("gone", alias="gone"))
    with pytest.raises(CircularNeedsError):
        town.link("gone", ["other"])
    assert town.task("gone").needs == ()


def test_time_of_a_task_that_comes_back_meanwhile_is_kept(
    town: Town, comes_back: Callable[[Callable[[Town], object]], None]
) -> None:
    """What `schedule` keeps is of the version that it decides on."""
    due = datetime(2030, 1, 1, tzinfo=UTC)
    comes_back(lambda other: other.create("gone", alias="gone", due=due))
    assert town.schedule("gone", not_before=due).task.due_ms == to_ms(due)
