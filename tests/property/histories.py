"""Random histories of a small town: each command is decided on the board as it is, and what it leads to is folded.

The same command goes to the plain model; whoever drives them compares the two.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable
from typing import Any, Final, NamedTuple

from hypothesis import strategies as st
from hypothesis.strategies import SearchStrategy
from msgspec.structs import replace

from ledger import (
    AnswerTask,
    AskTask,
    AssignTask,
    CancelTask,
    ClaimTask,
    Command,
    CommandRejectedError,
    CompleteTask,
    CreateTask,
    DescribeTask,
    Event,
    FailTask,
    LinkKind,
    LinkTask,
    MoveTask,
    NewEvent,
    NoteTask,
    Position,
    PrioritiseTask,
    RecordedEvent,
    RemoveTask,
    ReopenTask,
    RequeueTask,
    ScheduleTask,
    StartTask,
    TagTask,
    Task,
    Ties,
    UnlinkTask,
    decide,
    find_circle,
    record,
)
from projections import Board
from tests.support.builders import START_MS, task_id

TASKS: Final = [task_id(number) for number in range(1, 5)]

# Few values, so that commands meet what is there already.
_agents = st.sampled_from(["ada", "bob"])
_results = st.sampled_from([None, "ok", "no"])
_texts = st.sampled_from(["x", "y"])
_parents = st.sampled_from([None, *TASKS])
_tags = st.sets(st.sampled_from(["a", "b", "c"]))
_priorities = st.sampled_from([2, 2, 0, 4])
_times = st.sampled_from([None, None, START_MS, START_MS + 1_000_000])
_some = st.lists(st.sampled_from(TASKS), max_size=2)
_kinds = st.sampled_from([*LinkKind, LinkKind.NEEDS, LinkKind.NEEDS])


class Wish(NamedTuple):
    """A verb of the model and its arguments, for one task."""

    verb: str
    task: str
    arguments: dict[str, Any]


def _wish(verb: str, **arguments: SearchStrategy[Any]) -> SearchStrategy[Wish]:
    return st.builds(Wish, st.just(verb), st.sampled_from(TASKS), st.fixed_dictionaries(arguments))


creations = _wish(
    "create",
    description=_texts,
    tags=_tags,
    parent=st.sampled_from([None, None, *TASKS]),
    alias=st.sampled_from([None, "bd-1"]),
    agent=st.none() | _agents,
    priority=_priorities,
    due=_times,
    not_before=_times,
    needs=st.sampled_from([[], [], [TASKS[0]], [TASKS[2], TASKS[1]]]),
)
_AS_LITTLE: Final[dict[str, Any]] = {
    "description": "x",
    "tags": set(),
    "parent": None,
    "alias": None,
    "agent": None,
    "priority": 2,
    "due": None,
    "not_before": None,
    "needs": [],
}
wishes: Final[SearchStrategy[Wish]] = st.one_of(
    creations,
    _wish("assign", agent=_agents),
    _wish("claim", agent=_agents),
    _wish("start", agent=st.none() | _agents),
    _wish("complete", result=_results, agent=st.none() | _agents),
    _wish("fail", result=_results, agent=st.none() | _agents),
    _wish("cancel", result=_results),
    _wish("requeue"),
    _wish("reopen"),
    _wish("describe", description=_texts),
    _wish("tag", added=_tags, removed=_tags).map(
        lambda wish: wish._replace(
            arguments=wish.arguments | {"removed": wish.arguments["removed"] - wish.arguments["added"]}
        )
    ),
    _wish("move", parent=_parents),
    _wish("move", parent=_parents),
    _wish("note"),
    _wish("prioritise", priority=_priorities),
    _wish("schedule", due=_times, not_before=_times),
    _wish("link", to=_some, kind=_kinds),
    _wish("link", to=_some, kind=_kinds),
    _wish("unlink", to=_some, kind=st.none() | _kinds),
    _wish("ask", question=_texts, choices=st.sampled_from([(), ("ok", "no")])),
    _wish("answer", answer=st.sampled_from(["ok", "no", "maybe"])),
    _wish("remove", is_from_backlog=st.booleans()),
)

# Most towns begin with tasks, so that what follows meets some.
wish_lists: Final[SearchStrategy[list[Wish]]] = st.builds(
    lambda first, rest: [*first, *rest], st.lists(creations, max_size=4), st.lists(wishes, max_size=25)
)

long_wish_lists: Final[SearchStrategy[list[Wish]]] = st.lists(wishes, min_size=20, max_size=40).map(
    lambda rest: [*(Wish("create", task, dict(_AS_LITTLE)) for task in TASKS), *rest]
)
"""Of a town with every task, so that there is something of all that can come of a command."""


class Driver:
    """A town in memory, changed by deciding and folding alone."""

    def __init__(self) -> None:
        self.board = Board()
        self.events: list[RecordedEvent] = []
        self._versions: dict[str, int] = {}
        self._last: dict[str, Position] = {}

    def now(self) -> int:
        """The time of the next append: each is a while after the one before."""
        return START_MS + 7 * len(self.events)

    def settle(self, wish: Wish) -> Wish:
        """The wish without a parent and without links to tasks that are not there: a town refuses them before it decides."""
        given = dict(wish.arguments)
        if "parent" in given and given["parent"] not in self.board.tasks:
            given["parent"] = None
        for name in {"needs", "to"} & given.keys() if wish.verb != "unlink" else ():
            given[name] = [each for each in given[name] if each in self.board.tasks or each == wish.task]
        return wish._replace(arguments=given)

    def execute(self, wish: Wish) -> list[RecordedEvent]:
        """Decide on the task as it is and fold what follows. CommandRejectedError."""
        return self.append(wish.task, decide(self.board.get(wish.task), self.command(wish)))

    def append(self, task: str, facts: Iterable[Event], *, cause: Position | None = None) -> list[RecordedEvent]:
        """Append facts of one task as one command, and fold them."""
        appended: list[RecordedEvent] = []
        ms = self.now()
        for data in facts:
            version = self._versions.get(task, 0) + 1
            event = NewEvent(task=task, version=version, actor="alice", command=f"c{ms}", data=data, cause=cause)
            position = Position.of(ms=ms, seq=len(self.events) + len(appended) + 1)
            appended.append(replace(record(event, position), prev=self._last.get(task)))
            self._versions[task], self._last[task] = version, position
        self.board.fold(appended)
        self.events += appended
        return appended

    def command(self, wish: Wish) -> Command:
        """The command behind a wish, with the lineage, children and circle that a town would read."""
        given = wish.arguments
        makers: dict[str, Callable[[], Command]] = {
            "create": lambda: CreateTask(
                task_id=wish.task,
                description=given["description"],
                tags=tuple(given["tags"]),
                parent_id=given["parent"],
                alias=given["alias"],
                agent=given["agent"],
                priority=given["priority"],
                due_ms=given["due"],
                not_before_ms=given["not_before"],
                needs=tuple(given["needs"]),
                circle=self._circle(wish.task, parent=given["parent"], needs=given["needs"]),
            ),
            "assign": lambda: AssignTask(task_id=wish.task, **given),
            "claim": lambda: ClaimTask(task_id=wish.task, **given),
            "start": lambda: StartTask(task_id=wish.task, **given),
            "complete": lambda: CompleteTask(task_id=wish.task, **given),
            "fail": lambda: FailTask(task_id=wish.task, error=given["result"], agent=given["agent"]),
            "cancel": lambda: CancelTask(task_id=wish.task, reason=given["result"]),
            "requeue": lambda: RequeueTask(task_id=wish.task),
            "reopen": lambda: ReopenTask(task_id=wish.task),
            "describe": lambda: DescribeTask(task_id=wish.task, **given),
            "tag": lambda: TagTask(task_id=wish.task, added=tuple(given["added"]), removed=tuple(given["removed"])),
            "move": lambda: MoveTask(
                task_id=wish.task,
                parent_id=given["parent"],
                lineage=self._lineage(given["parent"]),
                circle=self._circle(wish.task, parent=given["parent"]),
            ),
            "prioritise": lambda: PrioritiseTask(task_id=wish.task, **given),
            "schedule": lambda: ScheduleTask(task_id=wish.task, due_ms=given["due"], not_before_ms=given["not_before"]),
            "link": lambda: LinkTask(
                task_id=wish.task,
                to=tuple(given["to"]),
                kind=given["kind"],
                circle=self._circle(wish.task, needs=given["to"]) if given["kind"] is LinkKind.NEEDS else (),
            ),
            "unlink": lambda: UnlinkTask(task_id=wish.task, to=tuple(given["to"]), kind=given["kind"]),
            "ask": lambda: AskTask(task_id=wish.task, **given),
            "answer": lambda: AnswerTask(
                task_id=wish.task, answer=given["answer"], is_other=given["answer"] == "maybe"
            ),
            "note": lambda: NoteTask(task_id=wish.task, text="Going"),
            "remove": lambda: RemoveTask(task_id=wish.task, children=self._children(wish.task), **given),
        }
        return makers[wish.verb]()

    def _lineage(self, parent: str | None) -> tuple[str, ...]:
        lineage: list[str] = []
        while parent is not None and parent not in lineage:
            lineage.append(parent)
            task = self.board.get(parent)
            parent = None if task is None else task.parent_id
        return tuple(lineage)

    def _circle(self, task: str, *, parent: str | None = "as it is", needs: Collection[str] = ()) -> tuple[str, ...]:
        """The circle that the task would be in with this parent and these needs as well."""
        now = self.board.get(task)
        if task in needs or task in self._lineage(parent):
            # That is refused by another name.
            return ()
        ties = Ties(
            parent_id=parent if parent != "as it is" or now is None else now.parent_id,
            needs=tuple({*needs, *(() if now is None else now.needs)}),
        )
        return find_circle({task: ties}, self._look_up)

    def _look_up(self, ids: Collection[str]) -> dict[str, tuple[Task | None, Collection[str]]]:
        tasks = self.board.tasks
        return {each: (tasks.get(each), [it.id for it in tasks.values() if it.parent_id == each]) for each in ids}

    def _children(self, task: str) -> int:
        return sum(each.parent_id == task for each in self.board.tasks.values())


def history_of(wished: list[Wish]) -> list[RecordedEvent]:
    """The events of a town that was told all this; what it refused left none."""
    driver = Driver()
    for wish in wished:
        try:
            driver.execute(driver.settle(wish))
        except CommandRejectedError:
            continue
    return driver.events


histories: Final[SearchStrategy[list[RecordedEvent]]] = wish_lists.map(history_of)
