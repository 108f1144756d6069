"""Events for process mining: OCEL 2.0 in its JSON format, written by hand against the published schema.

Objects are tasks, agents and plans. An event is related to each object that it concerns, and the relation says how. A task's
attributes have the time of each value, but its links are relations. Values are texts, as the schema requires, and the types
say what they are.
Events are written as they come. The values of objects wait in a file without a name until the end.
"""

from __future__ import annotations

import os
import struct
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryFile, gettempdir
from typing import Any, BinaryIO, Final

import msgspec

from ledger import (
    FIELDS,
    LinkKind,
    RecordedEvent,
    Source,
    Task,
    TaskAssigned,
    TaskCreated,
    TaskLinked,
    TaskUnlinked,
    Unfit,
    compare,
    format_ms,
)
from town.exports.facts import FactValue, Step, fact_values, plain_value
from town.files.os_errors import refuse_os_errors

TASK: Final = "task"
AGENT: Final = "agent"
PLAN: Final = "plan"
REMOVED: Final = "removed"
"""The state of a removed task; the ledger has no such state."""
_RECORD: Final = struct.Struct(">qI")
_NONE_BEFORE: Final = -1
_LINKS: Final = frozenset(LinkKind)
_TIMES: Final = frozenset(field.name for field in FIELDS if field.form == "time")

Shape = dict[str, Any]


class OcelWriter:
    """Writes one log into a file: `add` what happened, in order, then `finish`."""

    def __init__(self, file: BinaryIO, *, town: str) -> None:
        self._file = file
        self._plan = f"{PLAN}:{town}"
        self._encode = msgspec.json.Encoder().encode
        self._event_types: dict[str, dict[str, str]] = {}
        self._task_attributes: dict[str, str] = {}
        self._values = _ValuesByTask()
        self._tasks: dict[str, list[tuple[str, str]]] = {}
        """Task id -> the tasks and the agent that it is related to at the end of the log, of tasks with events in it."""
        self._removed: dict[str, Task] = {}
        self._planned: set[str] = set()
        self._agents: dict[str, str] = {}
        """Name -> the time of the first event that has it."""
        self._named: set[str] = set()
        """The tasks that others are related to."""
        self._planned_at: str | None = None
        self._separator = b""
        file.write(b'{"events":[')

    def close(self) -> None:
        self._values.close()

    def add(self, step: Step) -> None:
        """Add the next event. An event that is not wanted is not written, but its values are kept."""
        shape = self._take(step)
        if shape is not None:
            self._file.write(self._separator + self._encode(shape))
            self._separator = b",\n"

    def finish(self) -> None:
        """Write the objects, and the types of events and objects."""
        self._file.write(b'],\n"objects":[')
        separator = b""
        for shape in self._objects():
            self._file.write(separator + self._encode(shape))
            separator = b",\n"
        types = {
            "eventTypes": [_type(name, attributes) for name, attributes in sorted(self._event_types.items())],
            "objectTypes": [
                _type(TASK, self._task_attributes),
                _type(AGENT, {"name": "string"}),
                _type(PLAN, {"town": "string"}),
            ],
        }
        self._file.write(b"],\n" + self._encode(types)[1:] + b"\n")

    def _take(self, step: Step) -> Shape | None:
        recorded, before, after, is_wanted = step
        time = format_ms(recorded.position.ms)
        self._keep_values(recorded.task, time, before, after)
        holder = None if after is None else after.holder
        if isinstance(recorded.data, TaskCreated) and recorded.data.source is Source.PLAN:
            self._planned.add(recorded.task)
        if not is_wanted:
            return None
        self._tasks[recorded.task] = [] if after is None else _relations_of(after)
        relations = [(recorded.task, TASK), (self._agent(recorded.actor, time), "actor")]
        former = None if before is None else before.holder
        if holder is not None or former is not None:
            relations.append((self._agent(holder or former or "", time), "holder"))
        if isinstance(recorded.data, TaskAssigned) and former not in (None, holder):
            relations.append((self._agent(former or "", time), "former holder"))
        parent = getattr(recorded.data, "parent_id", None)
        if isinstance(parent, str):
            self._named.add(parent)
            relations.append((parent, "parent"))
        if isinstance(recorded.data, TaskLinked | TaskUnlinked):
            self._named.add(recorded.data.to)
            relations.append((recorded.data.to, recorded.data.kind.value))
        if isinstance(recorded.data, TaskCreated) and recorded.data.source is Source.PLAN:
            self._planned_at = self._planned_at or time
            relations.append((self._plan, PLAN))
        attributes = self._event_attributes(recorded)
        return {
            "id": str(recorded.position),
            "type": recorded.type,
            "time": time,
            "attributes": [{"name": name, "value": str(value)} for name, value in attributes.items()],
            "relationships": [_relation(*relation) for relation in relations],
        }

    def _event_attributes(self, recorded: RecordedEvent) -> dict[str, FactValue]:
        facts: dict[str, FactValue] = (
            {"flaw": recorded.data.flaw} if isinstance(recorded.data, Unfit) else fact_values(recorded.data)
        )
        values = {"number": recorded.position.seq, "version": recorded.version, "command": recorded.command, **facts}
        if recorded.reason is not None:
            # Some events have a field `reason` of their own.
            values["why"] = recorded.reason
        known = self._event_types.setdefault(recorded.type, {})
        for name, value in values.items():
            _learn(known, name, value)
        return values

    def _keep_values(self, task_id: str, time: str, before: Task | None, after: Task | None) -> None:
        values: dict[str, FactValue] = {}
        if after is not None:
            # A task that was removed and came back has lost the values it had before.
            known = before or self._removed.pop(task_id, None)
            values = {
                change.field: "" if change.after is None else plain_value(change.after)
                for change in compare(known, after)
                if change.field not in _LINKS
            }
            if before is None:
                values["state"] = plain_value(after.state)
        elif before is not None:
            self._removed[task_id] = before
            values["state"] = REMOVED
        for name, value in values.items():
            _learn(self._task_attributes, name, value)
            self._values.add(task_id, self._encode({"name": name, "value": str(value), "time": time}))

    def _agent(self, name: str, time: str) -> str:
        self._agents.setdefault(name, time)
        return _agent_id(name)

    def _objects(self) -> Iterator[Shape]:
        for task_id, related in self._tasks.items():
            self._named.update(each for each, qualifier in related if qualifier != "holder")
            relations = [_relation(*each) for each in related]
            if task_id in self._planned and self._planned_at is not None:
                relations.append(_relation(self._plan, PLAN))
            yield {
                "id": task_id,
                "type": TASK,
                "attributes": self._values.of(task_id),
                "relationships": relations,
            }
        # An object that a relation names is listed, even if the log says nothing else about it.
        for task_id in sorted(self._named - self._tasks.keys()):
            yield {"id": task_id, "type": TASK, "attributes": [], "relationships": []}
        for name, time in sorted(self._agents.items()):
            attributes = [{"name": "name", "value": name, "time": time}]
            yield {"id": _agent_id(name), "type": AGENT, "attributes": attributes, "relationships": []}
        if self._planned_at is not None:
            attributes = [{"name": "town", "value": self._plan.removeprefix(f"{PLAN}:"), "time": self._planned_at}]
            yield {"id": self._plan, "type": PLAN, "attributes": attributes, "relationships": []}


class _ValuesByTask:
    """The values of tasks' attributes as JSON, on disk. Each has the offset of its task's value before it."""

    def __init__(self) -> None:
        with refuse_os_errors(Path(gettempdir())):
            self._file = TemporaryFile()  # noqa: SIM115 - for as long as the log is written
        self._last: dict[str, int] = {}
        self._size_bytes = 0

    def close(self) -> None:
        self._file.close()

    def add(self, task_id: str, value: bytes) -> None:
        record = _RECORD.pack(self._last.get(task_id, _NONE_BEFORE), len(value)) + value
        with refuse_os_errors(Path(gettempdir())):
            self._file.write(record)
        self._last[task_id] = self._size_bytes
        self._size_bytes += len(record)

    def of(self, task_id: str) -> list[msgspec.Raw]:
        """A task's values, oldest first."""
        with refuse_os_errors(Path(gettempdir())):
            self._file.flush()
        values: list[msgspec.Raw] = []
        offset = self._last.get(task_id, _NONE_BEFORE)
        while offset != _NONE_BEFORE:
            before, size_bytes = _RECORD.unpack(os.pread(self._file.fileno(), _RECORD.size, offset))
            values.append(msgspec.Raw(os.pread(self._file.fileno(), size_bytes, offset + _RECORD.size)))
            offset = before
        return values[::-1]


def _agent_id(name: str) -> str:
    """An id that no task has."""
    return f"{AGENT}:{name}"


def _relations_of(task: Task) -> list[tuple[str, str]]:
    """The objects that a task is related to, each with the word for it."""
    relations = [] if task.parent_id is None else [(task.parent_id, "parent")]
    relations += [] if task.holder is None else [(_agent_id(task.holder), "holder")]
    return relations + [(to, kind.value) for kind in LinkKind for to in task.links(kind)]


def _relation(object_id: str, qualifier: str) -> dict[str, str]:
    return {"objectId": object_id, "qualifier": qualifier}


def _type(name: str, attributes: dict[str, str]) -> Shape:
    return {"name": name, "attributes": [{"name": each, "type": kind} for each, kind in sorted(attributes.items())]}


def _learn(known: dict[str, str], name: str, value: FactValue) -> None:
    """Make the type of an attribute fit this value too."""
    kind = (
        "integer"
        if isinstance(value, int)
        else "time"
        if (name.endswith("_at") or name in _TIMES) and value
        else "string"
    )
    if known.setdefault(name, kind) != kind:
        known[name] = "string"
