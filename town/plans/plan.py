"""A plan: the tasks that `tasks.toml` asks for. Pure: parsed TOML in, a plan and its faults out.

`town.plans.text` says where a fault stands in the file; `town.plans.desired` says what a plan means for existing tasks.
`docs/reference/tasks-toml.md` has the format.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, date, datetime, time
from typing import Any, Final, TypeVar

from msgspec import Struct

from ledger import (
    LINKS_MAX,
    PRIORITY_DEFAULT,
    PRIORITY_MAX,
    InvalidValueError,
    State,
    Ties,
    check_name,
    check_tags,
    check_text,
    find_knots,
    from_ms,
    to_ms,
)

META_KEYS: Final = ("description", "default_agent")
TASK_KEYS: Final = (
    "id",
    "description",
    "agent",
    "status",
    "priority",
    "due",
    "not_before",
    "tags",
    "parent",
    "needs",
    "result",
)
LISTS: Final = ("tags", "needs")
"""The keys whose values are lists of texts."""
DAY_BEGINS: Final = time(0, tzinfo=UTC)
DAY_ENDS: Final = time(23, 59, 59, tzinfo=UTC)
CIRCLE_SHOWN_MAX: Final = 6
"""How many tasks of a circle of parents a fault names."""
QUOTE_CHARS_MAX: Final = 100
NOBODY: Final = ""
"""The agent name that means nobody, even if the plan has a default agent."""

Value = str | int | datetime | tuple[str, ...] | None
"""The new value of a task's key: a text, a priority, a time, a list of texts, or None to remove the key."""

_UUID: Final = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
_DAY: Final = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")
_STATES: Final = {str(state): state for state in State}
_WITH_AGENT: Final = frozenset({State.ASSIGNED, State.RUNNING, State.COMPLETED, State.FAILED})
_Value = TypeVar("_Value")


class PlannedTask(Struct, frozen=True, gc=False):
    """A task of a plan. `status`, `agent` and `result` are None if the file does not have them.

    `needs` are in the order of the file, each once. A `due` or `not_before` that is a day is its end or its beginning in UTC.
    """

    id: str
    description: str
    agent: str | None = None
    status: State | None = None
    priority: int = PRIORITY_DEFAULT
    due: datetime | None = None
    not_before: datetime | None = None
    tags: tuple[str, ...] = ()
    parent: str | None = None
    needs: tuple[str, ...] = ()
    result: str | None = None


class Plan(Struct, frozen=True):
    """The content of a file: its tasks in their order, and the names of unknown keys, each once."""

    description: str | None = None
    default_agent: str | None = None
    tasks: tuple[PlannedTask, ...] = ()
    not_understood: tuple[str, ...] = ()

    def index(self) -> dict[str, int]:
        """Id -> place in `tasks`."""
        return {task.id: number for number, task in enumerate(self.tasks)}

    def names_outside(self) -> list[str]:
        """The parents and needed tasks outside the plan, each once, in the order of the file."""
        inside = self.index()
        found = (name for task in self.tasks for name in (task.parent, *task.needs))
        return list(dict.fromkeys(name for name in found if name is not None and name not in inside))

    @property
    def has_names_of_town(self) -> bool:
        """Whether only the town can say what some ids, parents or needed tasks mean."""
        return bool(self.names_outside()) or any(is_uuid(task.id) for task in self.tasks)


BRING_BACK: Final = "give it another one or none, or bring that one back with `tt sync push --force`"
"""What to do about a parent or a needed task that was removed."""


class PlanFault(Struct, frozen=True):
    """A fault in task number `task` (from 0; None: not in a task), in its `key`.

    `item` is the place in a list. `{line}` in `problem` stands for the line of the task number `other`.
    """

    problem: str
    task: int | None = None
    key: str | None = None
    item: int | None = None
    other: int | None = None


def is_uuid(name: str) -> bool:
    """Whether an id or parent may be a task's own id. Tasks without an alias are named by it."""
    return _UUID.fullmatch(name.lower()) is not None


def read_plan(table: Mapping[str, Any], *, broken: frozenset[int] = frozenset()) -> tuple[Plan, list[PlanFault]]:
    """The plan in parsed TOML, and all its faults.

    Without faults the plan is complete. The tasks in `broken` could be parsed only in part, so missing keys there are
    no faults.
    """
    reading = _Reading(broken)
    meta = reading.table(table, "meta")
    tasks = table.get("tasks", [])
    if not isinstance(tasks, list) or not all(isinstance(task, dict) for task in tasks):
        reading.faults.append(PlanFault("tasks are not written as [[tasks]] tables", key="tasks"))
        tasks = []
    plan = Plan(
        description=reading.optional(meta, "meta.description", lambda text: text),
        default_agent=reading.optional(meta, "meta.default_agent", lambda name: check_name(name, "agent name")),
        tasks=tuple(reading.task(number, each) for number, each in enumerate(tasks)),
        not_understood=_not_understood(table, meta, tasks),
    )
    return plan, reading.faults + circles(plan)


class _Reading:
    """Reads values and collects their faults."""

    def __init__(self, broken: frozenset[int]) -> None:
        self.faults: list[PlanFault] = []
        self._broken = broken
        self._first_with: dict[str, int] = {}

    def table(self, table: Mapping[str, Any], key: str) -> Mapping[str, Any]:
        found = table.get(key, {})
        if isinstance(found, dict):
            return found
        self.faults.append(PlanFault(f"{key} is not a table", key=key))
        return {}

    def optional(self, table: Mapping[str, Any], key: str, check: Callable[[str], str]) -> str | None:
        """A text in the file's head; None if it is missing or empty."""
        text = self._text(table.get(key.rpartition(".")[2], ""), None, key)
        return self._checked(lambda: check(text), None, key) if text.strip() else None

    def task(self, number: int, table: Mapping[str, Any]) -> PlannedTask:
        return PlannedTask(
            id=self._id(number, table),
            description=self._required(number, table, "description", lambda text: check_text(text, "description")),
            agent=self._agent(number, table),
            status=self._status(number, table),
            priority=self._priority(number, table.get("priority", PRIORITY_DEFAULT)),
            due=self._time(number, table, "due", DAY_ENDS),
            not_before=self._time(number, table, "not_before", DAY_BEGINS),
            tags=self._tags(number, table.get("tags", [])),
            parent=self._text(table.get("parent", ""), number, "parent").strip() or None,
            needs=self._needs(number, table.get("needs", [])),
            result=self._result(number, table),
        )

    def _id(self, number: int, table: Mapping[str, Any]) -> str:
        name = self._required(number, table, "id", lambda text: check_name(text, "id"))
        if name:
            first = self._first_with.setdefault(name, number)
            if first != number:
                self.faults.append(PlanFault(f"the id {name!r} is taken in line {{line}}", number, "id", other=first))
        return name

    def _agent(self, number: int, table: Mapping[str, Any]) -> str | None:
        if "agent" not in table:
            return None
        text = self._text(table["agent"], number, "agent")
        if not text.strip():
            status = table.get("status")
            if isinstance(status, str) and _STATES.get(status) in _WITH_AGENT:
                self.faults.append(
                    PlanFault(f"the agent is nobody, and the status {quoted(status)} needs one", number, "agent")
                )
            return NOBODY
        return self._checked(lambda: check_name(text, "agent name"), number, "agent")

    def _status(self, number: int, table: Mapping[str, Any]) -> State | None:
        if "status" not in table:
            return None
        text = table["status"]
        if not isinstance(text, str) or text not in _STATES:
            self.faults.append(
                PlanFault(f"the status {quoted(text)} is not one of {', '.join(_STATES)}", number, "status")
            )
            return None
        return _STATES[text]

    def _priority(self, number: int, found: Any) -> int:  # noqa: ANN401 - whatever TOML has
        if type(found) is int and 0 <= found <= PRIORITY_MAX:
            return found
        problem = f"the priority {quoted(found)} is not one of 0 (most urgent) to {PRIORITY_MAX}"
        self.faults.append(PlanFault(problem, number, "priority"))
        return PRIORITY_DEFAULT

    def _time(self, number: int, table: Mapping[str, Any], key: str, of_day: time) -> datetime | None:
        """A moment, to the millisecond. A day is its moment `of_day`, so that the plan means the same on every machine."""
        found = table.get(key, "")
        problem = f"{key} is no time: write one like 2026-12-24T17:00:00Z, or a day like 2026-12-24"
        try:
            if isinstance(found, str):
                text = found.strip()
                if not text:
                    return None
                found = date.fromisoformat(text) if _DAY.fullmatch(text) else datetime.fromisoformat(text)
            if isinstance(found, datetime):
                if found.tzinfo is not None:
                    return from_ms(to_ms(found.astimezone(UTC)))
                problem = f"{key} has no time zone: write Z behind it for UTC, or +01:00"
            elif isinstance(found, date):
                return datetime.combine(found, of_day)
        except (ValueError, OverflowError):
            pass
        self.faults.append(PlanFault(problem, number, key))
        return None

    def _list(self, number: int, found: Any, key: str) -> list[Any]:  # noqa: ANN401 - whatever TOML has
        if not found:
            return []
        if isinstance(found, list):
            return found
        self.faults.append(PlanFault(f"{key} is not a list of texts", number, key))
        return []

    def _needs(self, number: int, found: Any) -> tuple[str, ...]:  # noqa: ANN401 - whatever TOML has
        good: list[str] = []
        for item, name in enumerate(self._list(number, found, "needs")):
            if not isinstance(name, str):
                self.faults.append(PlanFault(f"the needed task {quoted(name)} is not a text", number, "needs", item))
            elif name.strip():
                good.append(name.strip())
            else:
                self.faults.append(PlanFault("the needed task is empty", number, "needs", item))
        needs = tuple(dict.fromkeys(good))
        if len(needs) > LINKS_MAX:
            self.faults.append(PlanFault(f"it needs {len(needs):,} tasks, and at most {LINKS_MAX:,}", number, "needs"))
        return needs

    def _tags(self, number: int, found: Any) -> tuple[str, ...]:  # noqa: ANN401 - whatever TOML has
        good: list[str] = []
        for item, tag in enumerate(self._list(number, found, "tags")):
            if isinstance(tag, str):
                good += self._checked(lambda tag=tag: check_tags([tag]), number, "tags", item) or ()  # type: ignore[misc]  # bound per turn
            else:
                self.faults.append(PlanFault(f"the tag {quoted(tag)} is not a text", number, "tags", item))
        return tuple(sorted(set(good)))

    def _result(self, number: int, table: Mapping[str, Any]) -> str | None:
        text = self._text(table.get("result", ""), number, "result")
        return self._checked(lambda: check_text(text, "result"), number, "result") if text.strip() else None

    def _required(self, number: int, table: Mapping[str, Any], key: str, check: Callable[[str], str]) -> str:
        if key not in table:
            if number not in self._broken:
                self.faults.append(PlanFault(f"the task has no {key}", number))
            return ""
        found = table[key]
        if not isinstance(found, str):
            self.faults.append(PlanFault(f"{key} is not a text", number, key))
            return ""
        return self._checked(lambda: check(found), number, key) or ""

    def _text(self, found: Any, task: int | None, key: str) -> str:  # noqa: ANN401 - whatever TOML has
        if isinstance(found, str):
            return found
        self.faults.append(PlanFault(f"{key.rpartition('.')[2]} is not a text", task, key))
        return ""

    def _checked(
        self, check: Callable[[], _Value], task: int | None, key: str, item: int | None = None
    ) -> _Value | None:
        try:
            return check()
        except InvalidValueError as error:
            self.faults.append(PlanFault(f"the {error.what} {error.problem}", task, key, item))
            return None


def circles(plan: Plan) -> list[PlanFault]:
    """A fault for each circle of parents, at its first task; without one, for each circle of tasks that wait for each other."""
    above = {task.id: task.parent for task in plan.tasks if task.parent is not None}
    index = plan.index()
    return [
        PlanFault(f"its parent lies below it, in a circle{_circle_words(circle)}", index[circle[0]], "parent")
        for circle in find_circles([task.id for task in plan.tasks], above)
    ] or _knots(plan, index)


def _knots(plan: Plan, index: Mapping[str, int]) -> list[PlanFault]:
    """A fault for each set of tasks that wait for each other, at the first needed task that is a part of it."""
    if not any(task.needs for task in plan.tasks):
        return []
    found: list[PlanFault] = []
    for knot in find_knots({task.id: Ties(task.parent, task.needs) for task in plan.tasks}):
        name, needed = knot.needs[0]
        problem = f"it waits for itself, in a circle{_circle_words(knot.circle[:-1])}"
        found.append(PlanFault(problem, index[name], "needs", place_of(plan.tasks[index[name]], needed)))
    return found


def place_of(planned: PlannedTask, needed: str) -> int:
    """The place of a needed task in the file's list, if the list has no name twice."""
    return planned.needs.index(needed)


def _circle_words(circle: Sequence[str]) -> str:
    if len(circle) <= CIRCLE_SHOWN_MAX:
        return f": {' → '.join([*circle, circle[0]])}"
    return f" of {len(circle):,}: {' → '.join([*circle[: CIRCLE_SHOWN_MAX - 1], '…', circle[-1], circle[0]])}"


def find_circles(names: Sequence[str], above: Mapping[str, str]) -> list[list[str]]:
    """The circles in `above` (name -> parent), each listed upwards from the first of `names` that lies on it."""
    found: list[list[str]] = []
    order = {name: number for number, name in enumerate(names)}
    seen: set[str] = set()
    for name in names:
        path: dict[str, None] = {}
        current: str | None = name
        while current is not None and current not in seen:
            seen.add(current)
            path[current] = None
            current = above.get(current)
        if current is not None and current in path:
            on_path = list(path)
            circle = on_path[on_path.index(current) :]
            first = min(circle, key=lambda each: order.get(each, len(order)))
            start = circle.index(first)
            found.append(circle[start:] + circle[:start])
    return found


def quoted(value: object) -> str:
    """A value quoted for a fault, shortened: an invalid value may be as long as the file."""
    text = repr(value)
    return text if len(text) <= QUOTE_CHARS_MAX else f"{text[:QUOTE_CHARS_MAX]}…"


def _not_understood(table: Mapping[str, Any], meta: Mapping[str, Any], tasks: Sequence[Any]) -> tuple[str, ...]:
    known = frozenset(TASK_KEYS)
    names = [key for key in table if key not in ("meta", "tasks")]
    names += [f"meta.{key}" for key in meta if key not in META_KEYS]
    names += [f"tasks.{key}" for task in tasks for key in task if key not in known]
    return tuple(dict.fromkeys(names))
