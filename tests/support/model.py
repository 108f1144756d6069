"""A plain model of a town: what each command does to simple records, written from DESIGN 4 and not from the source.

It knows nothing of events but how many a command leads to. `obey` returns that number, or raises RefusedError with the
kind of refusal.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Final

OPEN: Final = ("pending", "assigned", "running")


class RefusedError(Exception):
    """The model refuses; `kind` says why in one word."""

    def __init__(self, kind: str) -> None:
        self.kind = kind
        super().__init__(kind)


@dataclass
class Record:
    """A task as its reader sees it. Times are whatever the caller counts in."""

    description: str
    tags: set[str]
    parent: str | None
    alias: str | None
    created: int
    updated: int
    state: str = "pending"
    agent: str | None = None
    started: int | None = None
    ended: int | None = None
    result: str | None = None
    priority: int = 2
    due: int | None = None
    not_before: int | None = None
    links: set[tuple[str, str]] = field(default_factory=set)
    """Kind and task."""
    question: str | None = None
    choices: tuple[str, ...] = ()
    answer: str | None = None
    asked: int | None = None

    @property
    def needs(self) -> set[str]:
        return {each for kind, each in self.links if kind == "needs"}

    @property
    def waits(self) -> bool:
        return self.question is not None and self.answer is None and self.state in OPEN


@dataclass
class ModelTown:
    """Records by task id, and how many events each task ever had."""

    records: dict[str, Record] = field(default_factory=dict)
    versions: dict[str, int] = field(default_factory=dict)

    def obey(self, verb: str, task: str, now: int, **wish: Any) -> int:
        """Do it; returns how many events it is worth, 0 where it was true already. RefusedError."""
        verbs: dict[str, Callable[..., int]] = {
            "create": self._create,
            "assign": self._assign,
            "claim": self._claim,
            "start": self._start,
            "complete": self._complete,
            "fail": self._fail,
            "cancel": self._cancel,
            "requeue": self._requeue,
            "reopen": self._reopen,
            "describe": self._describe,
            "tag": self._tag,
            "move": self._move,
            "note": self._note,
            "prioritise": self._prioritise,
            "schedule": self._schedule,
            "link": self._link,
            "unlink": self._unlink,
            "ask": self._ask,
            "answer": self._answer,
            "remove": self._remove,
        }
        if verb != "create" and task not in self.records:
            raise RefusedError("absent")
        count = verbs[verb](task, now, **wish)
        self.versions[task] = self.versions.get(task, 0) + count
        if count and task in self.records:
            self.records[task].updated = now
        return count

    def is_below(self, task: str | None, ancestor: str) -> bool:
        """Whether `task` is `ancestor` or lies below it."""
        while task is not None and task != ancestor:
            record = self.records.get(task)
            task = None if record is None else record.parent
        return task == ancestor

    def is_in_a_circle(self, task: str, *, parent: str | None, needs: set[str]) -> bool:
        """Whether the task would have to wait for itself: doing tasks as it becomes possible leaves it undone."""
        parents = {each: record.parent for each, record in self.records.items()} | {task: parent}
        needed = {each: record.needs for each, record in self.records.items()} | {task: needs}
        begun: set[str] = set()
        done: set[str] = set()
        while True:
            more = {
                each
                for each in parents
                if all(other in done or other not in parents for other in needed[each])
                and (parents[each] in begun or parents[each] not in parents)
            }
            ended = {
                each
                for each in more
                if all(child in done for child, above in parents.items() if above == each and child != each)
            }
            if (more, ended) == (begun, done):
                return len(done) < len(parents)
            begun, done = more, ended

    def _create(
        self,
        task: str,
        now: int,
        *,
        description: str,
        tags: set[str],
        parent: str | None,
        alias: str | None,
        agent: str | None,
        priority: int,
        due: int | None,
        not_before: int | None,
        needs: list[str],
    ) -> int:
        record = self.records.get(task)
        links = {("needs", each) for each in needs}
        if record is not None:
            content = (record.description, record.tags, record.parent, record.alias)
            facts = (
                record.priority,
                record.due,
                record.not_before,
                {each for each in record.links if each[0] == "needs"},
            )
            if (
                content == (description, tags, parent, alias)
                and facts == (priority, due, not_before, links)
                and agent in (None, record.agent)
            ):
                return 0
            raise RefusedError("exists")
        if self.is_below(parent, task):
            raise RefusedError("cycle")
        if task in needs:
            raise RefusedError("unfit")
        if self.is_in_a_circle(task, parent=parent, needs=set(needs)):
            raise RefusedError("circle")
        self.records[task] = Record(
            description,
            set(tags),
            parent,
            alias,
            created=now,
            updated=now,
            priority=priority,
            due=due,
            not_before=not_before,
            links=links,
        )
        count = 1 + int(priority != 2) + int((due, not_before) != (None, None)) + len(links)
        return count if agent is None else count + self._give(self.records[task], agent)

    def _assign(self, task: str, _now: int, *, agent: str) -> int:
        record = self._open(task)
        return 0 if record.agent == agent else self._give(record, agent)

    def _claim(self, task: str, _now: int, *, agent: str) -> int:
        record = self._open(task)
        if record.agent == agent:
            return 0
        if record.agent is not None:
            raise RefusedError("held")
        return self._give(record, agent)

    def _start(self, task: str, now: int, *, agent: str | None) -> int:
        return self._run(self._open(task), agent, now)

    def _complete(self, task: str, now: int, *, result: str | None, agent: str | None) -> int:
        return self._end(task, "completed", result, agent, now)

    def _fail(self, task: str, now: int, *, result: str | None, agent: str | None) -> int:
        return self._end(task, "failed", result, agent, now)

    def _end(self, task: str, state: str, result: str | None, agent: str | None, now: int) -> int:
        record = self.records[task]
        if (record.state, record.result) == (state, result) and agent in (None, record.agent):
            return 0
        count = self._run(self._open(task), agent, now) + 1
        record.state, record.result, record.ended = state, result, now
        return count

    def _cancel(self, task: str, now: int, *, result: str | None) -> int:
        record = self.records[task]
        if (record.state, record.result) == ("cancelled", result):
            return 0
        record = self._open(task)
        record.state, record.result, record.ended = "cancelled", result, now
        return 1

    def _requeue(self, task: str, _now: int) -> int:
        record = self._open(task)
        return 0 if record.state == "pending" else self._clear(record)

    def _reopen(self, task: str, _now: int) -> int:
        record = self.records[task]
        if record.state == "pending":
            return 0
        if record.state in OPEN:
            raise RefusedError("not finished")
        return self._clear(record)

    def _describe(self, task: str, _now: int, *, description: str) -> int:
        if self.records[task].description == description:
            return 0
        self._open(task).description = description
        return 1

    def _tag(self, task: str, _now: int, *, added: set[str], removed: set[str]) -> int:
        record = self.records[task]
        before = set(record.tags)
        record.tags = (before | added) - removed
        return int(record.tags != before)

    def _move(self, task: str, _now: int, *, parent: str | None) -> int:
        if self.records[task].parent == parent:
            return 0
        record = self._open(task)
        if self.is_below(parent, task):
            raise RefusedError("cycle")
        if self.is_in_a_circle(task, parent=parent, needs=record.needs):
            raise RefusedError("circle")
        record.parent = parent
        return 1

    def _prioritise(self, task: str, _now: int, *, priority: int) -> int:
        record = self.records[task]
        before, record.priority = record.priority, priority
        return int(before != priority)

    def _schedule(self, task: str, _now: int, *, due: int | None, not_before: int | None) -> int:
        record = self.records[task]
        before = (record.due, record.not_before)
        record.due, record.not_before = due, not_before
        return int(before != (due, not_before))

    def _link(self, task: str, _now: int, *, to: list[str], kind: str) -> int:
        record = self.records[task]
        new = {(str(kind), each) for each in to} - record.links
        if (str(kind), task) in new:
            raise RefusedError("unfit")
        if new and kind == "needs" and self.is_in_a_circle(task, parent=record.parent, needs=record.needs | set(to)):
            raise RefusedError("circle")
        record.links |= new
        return len(new)

    def _unlink(self, task: str, _now: int, *, to: list[str], kind: str | None) -> int:
        record = self.records[task]
        gone = {each for each in record.links if each[1] in to and kind in (None, each[0])}
        record.links -= gone
        return len(gone)

    def _ask(self, task: str, now: int, *, question: str, choices: tuple[str, ...]) -> int:
        record = self._open(task)
        count = 0
        if not (record.waits and (record.question, record.choices) == (question, choices)):
            record.question, record.choices, record.answer, record.asked = question, choices, None, now
            count = 1
        return count + (0 if record.state == "pending" else self._clear(record))

    def _answer(self, task: str, _now: int, *, answer: str) -> int:
        record = self.records[task]
        if record.waits:
            record.answer = answer
            return 1
        if record.state in OPEN and record.question is not None and record.answer == answer:
            return 0
        raise RefusedError("no question")

    def _note(self, _task: str, _now: int) -> int:
        return 1

    def _remove(self, task: str, _now: int, *, is_from_backlog: bool) -> int:
        if is_from_backlog and self.records[task].state != "pending":
            raise RefusedError("not in backlog")
        if any(record.parent == task for record in self.records.values()):
            raise RefusedError("has children")
        del self.records[task]
        return 1

    def _open(self, task: str) -> Record:
        record = self.records[task]
        if record.state not in OPEN:
            raise RefusedError("finished")
        return record

    @staticmethod
    def _give(record: Record, agent: str) -> int:
        record.state, record.agent, record.started = "assigned", agent, None
        return 1

    def _run(self, record: Record, agent: str | None, now: int) -> int:
        if record.agent is None and agent is None:
            raise RefusedError("unassigned")
        if agent is not None and record.agent not in (None, agent):
            raise RefusedError("held")
        if record.state == "running":
            return 0
        count = self._give(record, agent) if record.state == "pending" and agent is not None else 0
        record.state, record.started = "running", now
        return count + 1

    @staticmethod
    def _clear(record: Record) -> int:
        record.state, record.agent, record.started, record.ended, record.result = "pending", None, None, None, None
        return 1
