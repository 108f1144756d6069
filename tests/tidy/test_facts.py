"""A fact is written once: each field of a task and each event has its place everywhere, or a test names what was forgotten."""

from __future__ import annotations

import ast
import importlib
from enum import Enum
from functools import cache
from typing import Any, Final, get_args, get_type_hints

import msgspec
import pytest

import ledger
from cli.beside import Beside
from cli.render import event_rows, step_rows, task_fields
from cli.tree import PLACES
from ledger import (
    CREATIONS,
    EVENT_CLASSES,
    FIELDS,
    STATES,
    TOWN_EVENT_CLASSES,
    TOWN_ID,
    Command,
    CreateTask,
    Event,
    Field,
    RecordedEvent,
    State,
    Task,
    TaskAdopted,
    TaskAnswered,
    TaskRemoved,
    TaskUnlinked,
    TownEvent,
    compare,
    decode_event,
    flaw_of,
)
from ledger.changes import Step
from ledger.task import fold
from projections import encode_snapshot
from projections.snapshots import decode_snapshot
from shapes import task_shape
from tests.support.builders import START_MS, a_task, a_task_in, task_id
from tests.support.markdown import DOCS, ROOT, blocks, section
from tests.support.sources import parsed
from town.verbs import Verbs

NOT_IN_HISTORIES: Final = {
    "id",
    "created_number",
    "version",
    "at",
    "damaged_at",
    "created_at_ms",
    "updated_at_ms",
    "started_at_ms",
    "completed_at_ms",
    "asked_at_ms",
}
"""What changes with every event, or never, or with a state."""
CHECKED_AS_READ: Final = {
    "parent_id",
    "created_at",
    "updated_at",
    "started_at",
    "completed_at",
    "due",
    "not_before",
    "to",
}
"""The texts of events whose rule is in `soundness`, because it is not about the text alone."""

PLACE: Final = b"1795398509973-9"
TYPES: Final = get_type_hints(Task)


def field_of(attribute: str) -> Field:
    found = [field for field in FIELDS if field.attribute == attribute]
    assert found, f"Task.{attribute} is not in ledger.task.FIELDS"
    return found[0]


def value_of(attribute: str) -> Any:
    """A value that the field can have and that `a_task()` has not."""
    kinds = get_args(TYPES[attribute]) or (TYPES[attribute],)
    if attribute in ("at", "damaged_at"):
        return f"{START_MS + 5}-5"
    if attribute.endswith("_ms"):
        return START_MS + 5_000
    kind = kinds[0]
    if isinstance(kind, type) and issubclass(kind, Enum):
        return list(kind)[-1]
    if kind is int:
        return 5
    return ("x",) if str(TYPES[attribute]).startswith("tuple") else task_id(5)


@cache
def names_called(*folders: str) -> set[str]:
    """What is called anywhere in these files and folders, by the last part of its name."""
    paths = [
        path for folder in folders for path in ([ROOT / folder] if "." in folder else (ROOT / folder).rglob("*.py"))
    ]
    nodes = [node for path in paths for node in ast.walk(parsed(path))]
    return {ast.unparse(node.func).rpartition(".")[2] for node in nodes if isinstance(node, ast.Call)}


def example_of(event: type[Event]) -> RecordedEvent:
    """The event of the reference page."""
    text = (DOCS / "reference" / "events.md").read_text("utf-8")
    [example] = [block for block in blocks(section(text, f"### {event.type}")) if block.language == "json"]
    return decode_event(PLACE, [b"event", example.text.encode()])


every_field = pytest.mark.parametrize("attribute", Task.__struct_fields__)
every_town_event = pytest.mark.parametrize("event", TOWN_EVENT_CLASSES, ids=lambda event: event.type)
every_event = pytest.mark.parametrize("event", EVENT_CLASSES, ids=lambda event: event.type)


# --- fields ------------------------------------------------------------------------------------------------------


@every_field
def test_field_is_declared_and_stored(attribute: str) -> None:
    """The snapshot has every field of a task, and gives it back; `--json` shows the same, and its title."""
    field = field_of(attribute)
    task = a_task(**{attribute: value_of(attribute)})
    stored = encode_snapshot(task)
    assert field.name in msgspec.json.decode(stored), f"Task.{attribute} is not in the snapshot"
    assert decode_snapshot(stored, key="key") == task, f"Task.{attribute} does not come back from the snapshot"
    shown = msgspec.json.decode(msgspec.json.encode(task_shape(task)))
    assert shown.pop("title") == task.title
    assert shown == msgspec.json.decode(stored)


@every_field
def test_field_shows_in_histories(attribute: str) -> None:
    """A field that an event changes is among its changes."""
    changed = compare(a_task(), a_task(**{attribute: value_of(attribute)}))
    expected = [] if attribute in NOT_IN_HISTORIES else [field_of(attribute).name]
    assert [change.field for change in changed] == expected, f"Task.{attribute} does not show in histories"


@every_field
def test_field_shows_in_the_detail_view(attribute: str) -> None:
    """`tt task show` has every field; only damage is told elsewhere. What belongs to a question is shown where there is one."""
    other = {"question": "Which?"} if attribute in ("choices", "asked_at_ms") else {}
    task = a_task(**other, **{attribute: value_of(attribute)})
    shown, before = (dict(task_fields(each)) for each in (task, a_task(**other)))
    is_shown = {name: str(cell) for name, cell in shown.items()} != {name: str(cell) for name, cell in before.items()}
    assert is_shown == (attribute != "damaged_at"), f"Task.{attribute} is not in the detail view"


@every_field
def test_field_is_in_the_reference(attribute: str) -> None:
    """The snapshot reference, which the reference of JSON points to, has a row for every field."""
    name = field_of(attribute).name
    reference = DOCS / "reference"
    assert f"\n| `{name}` | " in (reference / "snapshot.md").read_text("utf-8"), f"{name} is not in snapshot.md"
    assert "fields of the [snapshot](snapshot.md)" in (reference / "json.md").read_text("utf-8")


@pytest.mark.parametrize("field", [field for field in FIELDS if not field.is_always_there], ids=lambda each: each.name)
def test_newer_field_leaves_old_snapshots_as_they_are(field: Field) -> None:
    """A field that came later has a default, and is in no snapshot that does not need it: the stored bytes stay."""
    defaults = {each.name: each.default for each in msgspec.structs.fields(Task)}
    assert defaults[field.attribute] is not msgspec.NODEFAULT, f"Task.{field.attribute} has no default"
    assert field.name not in msgspec.json.decode(encode_snapshot(a_task()))


@every_field
def test_time_is_declared_as_one(attribute: str) -> None:
    """Milliseconds are written as a time."""
    assert (field_of(attribute).form == "time") == attribute.endswith("_ms"), f"Task.{attribute}"


# --- events ------------------------------------------------------------------------------------------------------


@every_event
def test_event_has_its_states(event: type[Event]) -> None:
    """The table of transitions says in which states a task takes it."""
    assert event in STATES, f"{event.__name__} is not in ledger.transitions.STATES"
    assert STATES[event] or event in CREATIONS, f"no state takes {event.__name__}"


@every_event
def test_event_is_decided_on(event: type[Event]) -> None:
    """A command leads to it; only old records lead to an adoption."""
    makers = names_called("town/migration") if event is TaskAdopted else names_called("ledger/decide.py")
    assert event.__name__ in makers, f"nothing in ledger.decide leads to {event.__name__}"


def outcomes_of(event: type[Event]) -> list[tuple[Task | None, Task | None, RecordedEvent]]:
    """The task before and after the example, in every state that takes it."""
    example = example_of(event)
    before: list[Task | None] = (
        [None]
        if event in CREATIONS
        else [
            a_task_in(state, id=example.task, version=example.version - 1, **_before(example.data))
            for state in State
            if state in STATES[event]
        ]
    )
    found = []
    for task in before:
        kept = None if task is None else msgspec.structs.replace(task)
        try:
            found.append((kept, fold([example], task, after_version=example.version - 1), example))
        except KeyError:
            pytest.fail(f"{event.__name__} is not evolved: it has no row in ledger.task")
    return found


def _before(data: Event) -> dict[str, Any]:
    """What a task has that takes this fact: the tags and the link that go, and the question that is answered."""
    return {
        "tags": tuple(getattr(data, "removed", ())),
        "needs": (data.to,) if isinstance(data, TaskUnlinked) else (),
        "question": "Which?" if isinstance(data, TaskAnswered) else None,
    }


@every_event
def test_event_is_evolved(event: type[Event]) -> None:
    """A task takes it in each of its states, and it is no damage there."""
    for _, after, example in outcomes_of(event):
        assert event is TaskRemoved or (after is not None and after.damaged_at is None), event.__name__
        assert after is None or (after.version, after.at) == (example.version, example.at)


@every_event
def test_event_shows_what_it_changed(event: type[Event]) -> None:
    """The column CHANGED of a history says something of it, where it changes something at all."""
    shown = set()
    for before, after, example in outcomes_of(event):
        columns, rows = step_rows([Step(example, compare(before, after))])
        shown.add(str(dict(zip(columns, rows[0], strict=True))["CHANGED"]).strip())
    assert shown - {""}, f"{event.__name__} leaves CHANGED empty"


@every_event
def test_texts_of_an_event_have_a_rule(event: type[Event]) -> None:
    """What texts, names and tags may be is checked by the field's name; a field without a rule takes anything."""
    rules = set(vars(importlib.import_module("ledger.values"))["_RULES"]) | CHECKED_AS_READ
    hints = get_type_hints(event, vars(importlib.import_module("ledger.events")))
    texts = {name for name in event.__struct_fields__ if str in {hints[name], *get_args(hints[name])}}
    assert texts <= rules, f"{event.__name__}: no rule in ledger.values for {texts - rules}"


COMMANDS: Final = [
    value for name in ledger.__all__ if isinstance(value := getattr(ledger, name), type) and issubclass(value, Command)
]


@pytest.mark.parametrize("command", [each for each in COMMANDS if each is not Command], ids=lambda each: each.__name__)
def test_command_is_decided_and_given(command: type[Command]) -> None:
    """`decide` knows it, and something in `town` makes it."""
    decisions = vars(importlib.import_module("ledger.decide"))["_DECISIONS"]
    assert command in decisions or command is CreateTask, f"ledger.decide does not know {command.__name__}"
    assert command.__name__ in names_called("town"), f"nothing in town makes {command.__name__}"


def test_commands_are_all_handed_out() -> None:
    """Each command of the module can be imported from `ledger`."""
    module = vars(importlib.import_module("ledger.commands"))
    made = {name for name, value in module.items() if isinstance(value, type) and issubclass(value, Command)}
    assert {command.__name__ for command in COMMANDS} == made


def test_events_are_all_in_the_list() -> None:
    """Each event class of the module is in one of the two lists, but what stands for one that does not fit."""
    module = vars(importlib.import_module("ledger.events"))
    made = {value for value in module.values() if isinstance(value, type) and issubclass(value, Event)}
    of_towns = {each for each in made if issubclass(each, TownEvent)} - {TownEvent}
    assert of_towns == set(TOWN_EVENT_CLASSES)
    of_tasks = made - of_towns - {Event, TownEvent, ledger.Unfit}
    assert {each.__name__ for each in of_tasks} == {each.__name__ for each in EVENT_CLASSES}


@every_town_event
def test_town_event_is_taken_by_no_task(event: type[TownEvent]) -> None:
    """It is a sound event of the town, and damage among those of a task, whatever the state."""
    example = example_of(event)
    assert (example.task, flaw_of(None, example)) == (TOWN_ID, None)
    assert STATES[event] == frozenset()
    as_of_a_task = msgspec.structs.replace(example, task=task_id(1))
    for task in (None, *(a_task_in(state, id=task_id(1)) for state in State)):
        assert flaw_of(task, as_of_a_task) is not None


@every_town_event
def test_town_event_shows_what_it_says(event: type[TownEvent]) -> None:
    """The column WHAT has each value of the reference page's example; a position shows as its number."""
    example = example_of(event)
    values = [getattr(example.data, name) for name in event.__struct_fields__]
    shown = str(event_rows([example], Beside())[1][0][-1])
    words = [
        str(value).rpartition("-")[2] if name in ("position", "first", "last") else str(value)
        for name, value in zip(event.__struct_fields__, values, strict=True)
    ]
    assert [word for word in words if word not in shown] == []


def test_verb_can_be_typed() -> None:
    """Every verb of a town is called by a command of `tt`."""
    typed = names_called("cli/commands")
    assert [name for name in vars(Verbs) if not name.startswith("_") and name not in typed] == []


def test_command_can_be_typed() -> None:
    """Every function of the commands has its words; `tt doctor` has an option for the one that repairs."""
    placed = {*PLACES.values(), ("repair", "repair")}
    found = [
        (path.stem, node.name)
        for path in sorted((ROOT / "cli" / "commands").glob("*.py"))
        for node in parsed(path).body
        if isinstance(node, ast.FunctionDef) and not node.name.startswith("_")
    ]
    assert [each for each in found if each not in placed] == [], "not in cli.tree.PLACES"
