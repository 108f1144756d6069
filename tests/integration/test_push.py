"""Plans on a real server: several at once, somebody in between, large ones, and files that change or cannot be written."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import redis

from ledger import (
    AppendTooLargeError,
    LinkKind,
    NewEvent,
    Position,
    State,
    TaskCreated,
    TaskLinked,
    TaskRemoved,
    new_command_id,
)
from tests.benchmarks.push import write_plan
from tests.support.builders import append
from tests.support.processes import run_at_once
from town import FolderRefusedError, PlanChangedError, PlanOutsideError, PlanRefusedError, Town
from town.plans.planner import PULL_ATTEMPTS_MAX, Planner

TOGETHER = """\
[[tasks]]
id = "auth-api"
description = "Build it"
agent = "ada"

[[tasks]]
id = "auth-tests"
description = "Test it"
parent = "auth-api"
"""


@pytest.fixture
def town(tmp_path: Path, client: redis.Redis, server_socket: Path) -> Iterator[Town]:
    """A town on the session's server, with a plan of two tasks."""
    assert client.ping()
    with a_town(tmp_path / "here", server_socket) as opened:
        yield opened


def a_town(folder: Path, socket: Path, *, actor: str = "eve") -> Town:
    town = Town.init(folder, name="plans", url=f"unix://{socket}", actor=actor, is_registered=False)
    (folder / "tasks.toml").write_text(TOGETHER)
    return town


def between(monkeypatch: pytest.MonkeyPatch, act: Callable[[], object]) -> None:
    """Somebody else acts once, after a push has decided and before it appends."""
    decide = Planner._decide
    left = [act]

    def decide_late(self: Planner, *arguments: Any, **options: Any) -> Any:
        made = decide(self, *arguments, **options)
        if left:
            left.pop()()
        return made

    monkeypatch.setattr(Planner, "_decide", decide_late)


def test_six_processes_that_push_2000_tasks_at_once_create_each_once(
    tmp_path: Path, client: redis.Redis, server_socket: Path
) -> None:
    """From two folders, as on two machines: 2,000 tasks, each created and assigned once, with one command's events together."""
    assert client.ping()
    folders = [tmp_path / "one", tmp_path / "two"]
    for folder in folders:
        a_town(folder, server_socket).close()
        write_plan(folder / "tasks.toml", 2_000)
    run_at_once("push_plan", [[folders[number % 2], f"pusher-{number}"] for number in range(6)])
    with Town.open(folders[0]) as town:
        events = town.events.last(count=None)
        created = Counter(event.task for event in events if isinstance(event.data, TaskCreated))
        assert len(created) == 2_000
        assert set(created.values()) == {1}
        assert len(events) == 4_000
        assert len({event.command for event in events}) == 1
        assert town.count_states()[State.ASSIGNED] == 2_000
        assert town.plans.push().positions == ()


def test_push_decides_again_where_somebody_was_first(town: Town, monkeypatch: pytest.MonkeyPatch) -> None:
    """A task that is finished between the decision and the append stays finished, and the rest of the plan comes."""
    town.create("Build", alias="auth-api")
    between(monkeypatch, lambda: town.complete("auth-api", agent="bob", result="done"))
    receipt = town.plans.push()
    task = town.task("auth-api")
    assert (task.state, task.assigned_to, task.result, task.description) == (State.COMPLETED, "bob", "done", "Build")
    assert [change.id for change in receipt.changes] == ["auth-tests"]
    assert {kept.field for kept in receipt.kept} == {"agent", "description"}


def test_push_closes_no_circle_with_a_move_in_between(town: Town, monkeypatch: pytest.MonkeyPatch) -> None:
    """The tasks above a new parent are guarded: a move among them makes the push decide again, and then be refused."""
    top, low = town.create("top", alias="top").task.id, town.create("low", alias="low").task.id
    town.create("Build", alias="auth-api")
    town.plans.path().write_text('[[tasks]]\nid = "auth-api"\ndescription = "Build"\nparent = "low"\n')
    town.move(low, top)
    between(monkeypatch, lambda: town.move(top, "auth-api"))
    with pytest.raises(PlanRefusedError, match="in a circle"):
        town.plans.push()
    assert town.task("auth-api").parent_id is None


def test_push_links_to_no_task_that_is_removed_in_between(town: Town, monkeypatch: pytest.MonkeyPatch) -> None:
    """A needed task of the town that goes between the decision and the append is seen: the push is refused, as if it came later."""
    town.create("Decide", alias="decide")
    town.plans.path().write_text('[[tasks]]\nid = "auth-api"\ndescription = "Build"\nneeds = ["decide"]\n')
    between(monkeypatch, lambda: town.remove("decide"))
    with pytest.raises(PlanRefusedError, match="was removed from the town"):
        town.plans.push()
    assert town.page().tasks == ()


def test_push_of_more_events_than_one_append_takes_is_refused(town: Town, monkeypatch: pytest.MonkeyPatch) -> None:
    """The whole plan or nothing: the error has both numbers, in a preview as in a push, and nothing is written."""
    monkeypatch.setattr("town.plans.planner.APPEND_EVENTS_MAX", 2)
    monkeypatch.setattr("ledger.event_store.APPEND_EVENTS_MAX", 2)
    for dry_run in (True, False):
        with pytest.raises(AppendTooLargeError, match="at most 2 events, not 3"):
            town.plans.push(dry_run=dry_run)
    assert town.end().seq == 0


def test_large_push_is_one_command_and_shows_its_progress(town: Town) -> None:
    """6,000 tasks and 12,000 events: one append, all of them projected when it returns, and every batch is told of."""
    write_plan(town.plans.path(), 6_000)
    told: list[tuple[Position, Position]] = []
    town.upkeep.progress = lambda reached, goal: told.append((reached, goal))
    receipt = town.plans.push()
    assert (receipt.created, receipt.events, len(receipt.positions)) == (6_000, 12_000, 12_000)
    assert len(told) > 10
    assert told[-1] == (receipt.positions[-1], receipt.positions[-1])
    assert town.count_states()[State.ASSIGNED] == 6_000


def test_pull_reads_again_where_the_file_changed_meanwhile(town: Town, monkeypatch: pytest.MonkeyPatch) -> None:
    """What an editor saves while a pull is at work is not lost."""
    town.plans.push()
    pulled = Planner._pulled
    left = ["# saved meanwhile\n"]

    def pull_late(self: Planner, path: Path) -> Any:
        made = pulled(self, path)
        if left:
            path.write_text(left.pop() + path.read_text())
        return made

    monkeypatch.setattr(Planner, "_pulled", pull_late)
    assert town.plans.pull().has_changes
    assert town.plans.path().read_text().startswith("# saved meanwhile\n")
    assert 'status = "assigned"' in town.plans.path().read_text()


def test_pull_of_a_file_that_never_rests_leaves_it(town: Town, monkeypatch: pytest.MonkeyPatch) -> None:
    """After a number of attempts a pull gives up, and the file is as its other writer left it."""
    town.plans.push()
    pulled = Planner._pulled
    attempts: list[int] = []

    def pull_late(self: Planner, path: Path) -> Any:
        made = pulled(self, path)
        attempts.append(1)
        path.write_text(f"# {len(attempts)}\n" + TOGETHER)
        return made

    monkeypatch.setattr(Planner, "_pulled", pull_late)
    with pytest.raises(PlanChangedError, match="Pull again"):
        town.plans.pull()
    assert len(attempts) == PULL_ATTEMPTS_MAX
    assert town.plans.path().read_text() == f"# {PULL_ATTEMPTS_MAX}\n" + TOGETHER


@pytest.mark.parametrize("step", ["os.fsync", "pathlib.Path.replace"])
def test_pull_that_ends_while_it_writes_leaves_the_old_file(
    town: Town, monkeypatch: pytest.MonkeyPatch, step: str
) -> None:
    """The new file comes by rename: ended before it, the old one is whole, and nothing else lies beside it."""
    town.plans.push()
    files = sorted(town.folder.iterdir())

    def refuse(*_: object) -> None:
        raise PermissionError(13, "Permission denied", str(town.plans.path()))

    monkeypatch.setattr(step, refuse)
    with pytest.raises(FolderRefusedError, match=r"tasks\.toml cannot be used: Permission denied"):
        town.plans.pull()
    assert town.plans.path().read_text() == TOGETHER
    assert sorted(town.folder.iterdir()) == files


def test_named_pull_writes_what_a_link_leads_to_with_its_permissions(town: Town, tmp_path: Path) -> None:
    """A file that is shared by a link stays one, and whoever may read it still may, where the person names the file."""
    target = tmp_path / "shared.toml"
    town.plans.path().rename(target)
    target.chmod(0o640)
    town.plans.path().symlink_to(target)
    town.plans.push()
    assert town.plans.pull(town.plans.path()).has_changes
    assert town.plans.path().is_symlink()
    assert 'status = "assigned"' in target.read_text()
    assert target.stat().st_mode & 0o777 == 0o640


def test_pull_does_not_follow_a_link_out_of_the_town(town: Town, tmp_path: Path) -> None:
    """A clone may ship one: it is read, but neither a file elsewhere is written nor one made there."""
    plan, target = town.plans.path(), tmp_path / "elsewhere.toml"
    plan.rename(target)
    plan.symlink_to(target)
    town.plans.push()
    with pytest.raises(PlanOutsideError, match="--file"):
        town.plans.pull()
    assert target.read_text() == TOGETHER
    target.unlink()
    with pytest.raises(PlanOutsideError):
        town.plans.pull()
    assert not target.exists()


def test_pull_follows_a_link_within_the_town(town: Town) -> None:
    """Where a plan lies in a folder of the town, the link to it is the person's own arrangement."""
    plan, target = town.plans.path(), town.folder / "plans" / "tasks.toml"
    target.parent.mkdir()
    plan.rename(target)
    plan.symlink_to(target)
    town.plans.push()
    assert town.plans.pull().has_changes
    assert plan.is_symlink()
    assert 'status = "assigned"' in target.read_text()


def test_parents_are_created_before_their_children_else_in_the_order_of_the_file(town: Town) -> None:
    """Wherever a parent stands in the file, its event comes first; the rest is created as it is written."""
    order = {"d": None, "c": "b", "a": None, "b": "a", "e": "c"}
    town.plans.path().write_text(
        "".join(
            f'[[tasks]]\nid = "{name}"\ndescription = "x"\n' + (f'parent = "{parent}"\n' if parent else "")
            for name, parent in order.items()
        )
    )
    town.plans.push()
    assert [event.data.alias for event in town.events.last(count=None) if isinstance(event.data, TaskCreated)] == [
        *("d", "a", "b", "c", "e"),
    ]


def test_pull_names_a_parent_that_was_removed_by_its_own_id(town: Town) -> None:
    """A child that others left below nothing keeps its parent, so that the file has no fault and a push appends nothing."""
    town.plans.push()
    parent = town.task("auth-api")
    removed = NewEvent(task=parent.id, version=3, actor="eve", command=new_command_id(), data=TaskRemoved())
    town.backend.store.append([removed], {parent.id: 2})
    assert town.plans.pull().removed[0].id == "auth-api"
    assert f'parent = "{parent.id}"' in town.plans.path().read_text()
    town.plans.read()
    assert town.plans.push().positions == ()
    assert town.plans.compare().is_equal


def test_pull_refuses_to_take_out_the_parent_of_a_task_the_town_never_had(town: Town) -> None:
    """The plan has to be thought over by whoever wrote it; the fault is at the child, and the file stays."""
    town.create("Build it", alias="auth-api")
    town.remove("auth-api")
    for act in (town.plans.pull, town.plans.push, town.plans.compare):
        with pytest.raises(
            PlanRefusedError, match=r"line 9, column 10: its parent 'auth-api' was removed from the town"
        ):
            act()
    assert town.plans.path().read_text() == TOGETHER
    assert town.plans.push(force=True).created == 2


def test_pull_edits_keys_in_every_spelling(town: Town) -> None:
    """TOML has escapes that JSON does not; a key with one once ended in an IndexError."""
    path = town.plans.path()
    path.write_text(
        '[["\\U00000074asks"]]\n"\\U00000069d" = "a"\n"\\x64escription" = "A"\n'
        '[[tasks]]\nid = "b"\n"d\\U00000065scription" = "B"\n"par\\U00000065nt" = "a"\n"st\\u0061tus" = "pending"\n'
    )
    town.plans.push()
    town.describe("a", "Better")
    town.complete("b", agent="ada")
    assert town.plans.pull().has_changes
    assert '"st\\u0061tus" = "completed"\n' in path.read_text()
    assert '"\\x64escription" = "Better"\n' in path.read_text()
    assert not town.plans.pull().has_changes
    assert town.plans.compare().is_equal


@pytest.mark.parametrize("spoilt", ["[[tasks]\n", '[[tasks]]\nid = "a"\n', ""])
def test_pull_that_would_spoil_the_file_is_refused(town: Town, spoilt: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is to be written is read first; where it does not show the town, the file stays as it is."""
    path = town.plans.path()
    path.write_text(TOGETHER)
    town.plans.push()
    monkeypatch.setattr("town.plans.planner.edited", lambda *_, **__: spoilt)
    with pytest.raises(PlanRefusedError, match="a pull cannot edit it"):
        town.plans.pull()
    assert path.read_text() == TOGETHER


# --- needs -----------------------------------------------------------------------------------------------------

LINKED = """\
[[tasks]]
id = "docs"
description = "Write it"
priority = 0
due = 2026-12-24  # Christmas
needs = [
  "code",  # which comes later
]

[[tasks]]
id = "code"
description = "Build it"
"""


def write(town: Town, text: str) -> None:
    town.plans.path().write_text(text)


def refusal(town: Town, text: str) -> list[tuple[int, int, str]]:
    """The faults that a push of the text is refused for; nothing is appended."""
    write(town, text)
    end = town.end()
    with pytest.raises(PlanRefusedError) as caught:
        town.plans.push()
    assert town.end() == end
    return [(fault.line, fault.column, fault.problem) for fault in caught.value.faults]


def test_needs_priority_and_times_are_appended_and_stay_as_they_are_written(town: Town) -> None:
    """A task may need one that is made after it. Pushed and pulled again, the town and the file stay the same."""
    write(town, LINKED)
    town.plans.push()
    docs = town.task("docs")
    assert (docs.needs, docs.priority, docs.due_ms) == ((town.task("code").id,), 0, 1_798_156_799_000)
    assert [task.alias for task in town.ready().tasks] == ["code"]
    assert town.upkeep.verify().findings == ()
    assert town.plans.push().positions == ()
    assert not town.plans.pull().has_changes
    assert town.plans.path().read_text() == LINKED


def test_what_the_file_does_not_say_is_taken_back_as_tags_and_parents_are(town: Town) -> None:
    """The plan decides what is to be done and in which order; what else a task is linked to is the town's."""
    write(town, LINKED)
    town.plans.push()
    town.link("code", ["docs"], LinkKind.RELATES)
    write(
        town, '[[tasks]]\nid = "docs"\ndescription = "Write it"\n\n[[tasks]]\nid = "code"\ndescription = "Build it"\n'
    )
    assert [event.type for change in town.plans.push().changes for event in change.events] == [
        "task.prioritised",
        "task.scheduled",
        "task.unlinked",
    ]
    assert len(town.task("code").relates) == 1


def test_pull_brings_what_people_changed_and_leaves_the_rest_where_it_is(town: Town) -> None:
    """Comments stay at the needed tasks that stay; a task of the town goes by its alias; a removed one by its own id."""
    write(town, LINKED)
    town.plans.push()
    gone = town.create("x", alias="gone").task
    town.create("x", alias="design")
    town.link("docs", ["design", "gone"])
    town.schedule("docs", due=datetime(2026, 12, 25, 12, tzinfo=UTC))
    town.remove("gone")
    town.plans.pull()
    text = town.plans.path().read_text()
    assert '  "code",  # which comes later\n' in text
    assert "due = 2026-12-25T12:00:00Z  # Christmas\n" in text
    [docs, *_] = town.plans.read().plan.tasks
    assert set(docs.needs) == {"code", "design", gone.id}
    assert town.plans.push().positions == ()


def test_unknown_and_removed_needs_are_refused_at_their_places(town: Town) -> None:
    """With line and column; a task that needs a removed one already may go on."""
    town.create("x", alias="old")
    town.remove("old")
    [unknown, removed] = refusal(town, LINKED.replace('  "code",', '  "nobody",\n  "old",'))
    assert unknown == (7, 3, "it needs 'nobody', which is not a task of the file or of the town")
    assert removed[:2] == (8, 3)
    assert removed[2].startswith("the task 'old' that it needs was removed from the town")


def test_circle_of_the_town_itself_is_refused_in_words(town: Town) -> None:
    """Another program wrote it, and a task of the plan leads to it: there is no place in the file."""
    ids = {name: town.create(name, alias=name).task.id for name in ("one", "two")}
    town.link("one", ["two"])
    append(town.backend.store, [TaskLinked(LinkKind.NEEDS, ids["one"])], task=ids["two"], expected=1)
    town.upkeep.catch_up()
    write(town, '[[tasks]]\nid = "plan"\ndescription = "x"\nneeds = ["one"]\nparent = "two"\n')
    with pytest.raises(PlanRefusedError, match="tasks of the town that it leads to wait for each other, in a circle: "):
        town.plans.push()


def test_push_that_closes_no_circle_stands_on_no_links_of_others(town: Town, monkeypatch: pytest.MonkeyPatch) -> None:
    """It was decided anew whenever somebody linked other tasks meanwhile."""
    write(town, '[[tasks]]\nid = "plan"\ndescription = "x"\n')
    town.plans.push()
    for name in ("one", "two"):
        town.create(name, alias=name)
    write(town, '[[tasks]]\nid = "plan"\ndescription = "y"\n')
    between(monkeypatch, lambda: town.link("one", ["two"]))
    decide, decided = Planner._decide, list[Any]()

    def decide_and_count(self: Planner, *arguments: Any, **options: Any) -> Any:
        decided.append(decide(self, *arguments, **options))
        return decided[-1]

    monkeypatch.setattr(Planner, "_decide", decide_and_count)
    assert town.plans.push().changed == 1
    assert len(decided) == 1


def test_circle_through_the_town_is_refused_at_its_place(town: Town) -> None:
    """The file alone has none; the way names the task that it does not have."""
    write(town, LINKED.replace('  "code",  # which comes later', ""))
    town.plans.push()
    town.create("x", alias="between", needs=["docs"])
    town.link("code", ["between"])
    write(town, LINKED)
    town.plans.pull()
    text = town.plans.path().read_text()
    assert "between" in text
    [fault] = refusal(town, LINKED.replace('"Build it"', '"Build it"\nneeds = ["between"]'))
    assert fault[:2] == (6, 9)
    assert fault[2] == "it waits for itself in the town, in a circle: docs → code → between → docs"


def test_pruning_leaves_what_the_plan_needs(town: Town) -> None:
    """Else its task would wait for ever."""
    town.create("x", alias="base")
    write(town, LINKED.replace('"code",', '"code", "base",'))
    receipt = town.plans.push(prune=True)
    assert [(kept.id, kept.town) for kept in receipt.kept] == [("base", "is needed by a task of the plan")]
    assert town.task("base").alias == "base"


def test_push_closes_no_circle_of_needs_with_a_link_in_between(town: Town, monkeypatch: pytest.MonkeyPatch) -> None:
    """What somebody links after the push has decided is seen before it appends."""
    write(town, LINKED.replace('  "code",  # which comes later', ""))
    town.plans.push()
    write(town, LINKED)
    between(monkeypatch, lambda: town.link("code", ["docs"]))
    town.plans.push()
    docs, code = town.task("docs"), town.task("code")
    assert not (code.id in docs.needs and docs.id in code.needs)
