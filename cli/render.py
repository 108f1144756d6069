"""How tasks, events and histories are shown to people. Pure: facts in, table cells out."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING

from cli.due_words import due_at, due_words
from cli.output import STATE_STYLES, Cell
from cli.styled import Styled
from cli.text import (
    ICONS,
    TITLE_CHARS_SHOWN,
    called,
    choices_words,
    counted,
    event_number,
    icon_of,
    name_of,
    short_id,
    shortened,
    visible,
)
from ledger import (
    FIELDS,
    PRIORITY_DEFAULT,
    EventAnnotated,
    Field,
    FieldChange,
    LinkKind,
    Position,
    RecordedEvent,
    RunMark,
    State,
    Step,
    Task,
    TaskAdopted,
    TaskAsked,
    TaskAssigned,
    TaskCancelled,
    TaskCompleted,
    TaskCreated,
    TaskDescribed,
    TaskFailed,
    TaskLinked,
    TaskMoved,
    TaskNoted,
    TaskPrioritised,
    TaskScheduled,
    TaskStarted,
    TaskTagged,
    TaskUnlinked,
    TownForked,
    TownRecovered,
    Unfit,
    from_ms,
    parse_rfc3339,
    title_of,
)
from town import local_day, local_time, local_times

if TYPE_CHECKING:
    from cli.beside import Beside
    from town import Annotation, Branch, Title

NOTHING = "—"
PARENT_FIELD = "parent_id"
NEEDS_SHOWN = 3
"""The needed tasks that a list names."""
MULTILINE_FIELDS = frozenset({"Description", "Result", "Question", "Answer"})
"""The fields of a task whose line breaks are kept."""


def state_cell(state: State) -> Styled:
    return Styled.of(f"{ICONS[state]} {state}", style=STATE_STYLES[state])


def task_state_cell(task: Task) -> Styled:
    """The state of a task; the icon is that of a question where it waits for an answer."""
    return Styled.of(f"{icon_of(task)} {task.state}", style=STATE_STYLES[task.state])


def states_line(counts: dict[State, int]) -> str:
    return "  ".join(f"{ICONS[state]} {counts[state]:,} {state}" for state in State)


def task_rows(
    tasks: Sequence[Task], *, now_ms: int | None = None, names: Mapping[str, str] = {}
) -> tuple[list[str], list[list[Cell]]]:
    """Columns and rows of a list of tasks; a column that would be empty is left out.

    Times are told from `now_ms`, milliseconds since 1970 UTC; None leaves them out. `names` are those of needed tasks;
    NEEDS has those alone.
    """
    columns = ["TASK", "STATE", "PRIO", "AGENT", "DUE", "NOT BEFORE", "TITLE", "NEEDS", "TAGS"]
    rows: list[list[Cell]] = [
        [
            name_of(task),
            task_state_cell(task),
            str(task.priority),
            visible(task.assigned_to) if task.assigned_to else NOTHING,
            _due_cell(task, now_ms),
            _not_before_cell(task, now_ms),
            visible(task.title),
            _needs_cell(task, names),
            visible(", ".join(task.tags)),
        ]
        for task in tasks
    ]
    if all(task.priority == PRIORITY_DEFAULT for task in tasks):
        columns, rows = without_column(columns, rows, "PRIO")
    if now_ms is None or all(task.due_ms is None for task in tasks):
        columns, rows = without_column(columns, rows, "DUE")
    for column in ("NOT BEFORE", "NEEDS"):
        index = columns.index(column)
        if all(row[index] == NOTHING for row in rows):
            columns, rows = without_column(columns, rows, column)
    return (columns, rows) if any(task.tags for task in tasks) else without_column(columns, rows, "TAGS")


def _due_cell(task: Task, now_ms: int | None) -> Cell:
    if task.due_ms is None or now_ms is None:
        return NOTHING
    if task.state.is_terminal:
        return local_day(from_ms(task.due_ms)).isoformat()
    is_late = task.due_ms < now_ms
    return Styled.of(due_words(task.due_ms, now_ms=now_ms), "red" if is_late else "")


def _not_before_cell(task: Task, now_ms: int | None) -> str:
    """How far the time is before which an open task is not begun; nothing once it has passed."""
    if task.not_before_ms is None or now_ms is None or task.not_before_ms <= now_ms or task.state.is_terminal:
        return NOTHING
    return due_words(task.not_before_ms, now_ms=now_ms)


def _needs_cell(task: Task, names: Mapping[str, str]) -> str:
    """What a task needs, by name; of many the first, and how many others."""
    called = sorted(names[each] for each in task.needs[:NEEDS_SHOWN] if each in names)
    if not called:
        return NOTHING
    more = len(task.needs) - len(called)
    return ", ".join(called) + (f" and {counted(more, 'other')}" if more else "")


def tree_lines(branches: Sequence[Branch], *, levels_max: int, columns: int | None = None) -> list[Styled]:
    """A tree, one line per task. Tasks deeper than `levels_max` are counted in a line of their own.

    If the lines are cut at so many `columns`, the stems take at most half of them: deeper ones are counted.
    """
    lines: list[Styled] = []
    lasts = _last_siblings(branches)
    stems: list[str] = []
    hidden = 0
    for branch, is_last in zip(branches, lasts, strict=True):
        if branch.depth > levels_max:
            hidden += 1
            continue
        if hidden:
            lines.append(Styled.of(f"{_stem(stems, columns)}… {hidden:,} below", style="dim"))
            hidden = 0
        del stems[max(branch.depth - 1, 0) :]
        fork = "" if not branch.depth else "└─ " if is_last else "├─ "
        lines.append(Styled.assemble(_stem(stems, columns), fork, _branch_text(branch)))
        if branch.depth:
            stems.append("   " if is_last else "│  ")
    if hidden:
        lines.append(Styled.of(f"{_stem(stems, columns)}… {hidden:,} below", style="dim"))
    return lines


def _stem(stems: Sequence[str], columns: int | None) -> str:
    """What stands before a task of a tree; `… 9 ` for nine levels that would leave too little room."""
    stem = "".join(stems)
    return stem if columns is None or len(stem) <= columns // 2 else f"… {len(stems)} "


def _last_siblings(branches: Sequence[Branch]) -> list[bool]:
    """For each task of a tree, whether it is the last child of its parent."""
    lasts: list[bool] = []
    followed: set[int] = set()
    for branch in reversed(branches):
        lasts.append(branch.depth not in followed)
        followed = {depth for depth in followed if depth <= branch.depth} | {branch.depth}
    return lasts[::-1]


def _branch_text(branch: Branch) -> Styled:
    task = branch.task
    agent = f"  ({visible(task.assigned_to)})" if task.assigned_to else ""
    text = Styled.assemble((icon_of(task), STATE_STYLES[task.state]), f" {name_of(task)}  {visible(task.title)}{agent}")
    progress = _progress_words(branch)
    return Styled.assemble(text, "  ", (progress, "bold")) if progress else text


def _progress_words(branch: Branch) -> str:
    """`3/5 done`, and how many of the others failed or were cancelled; empty for a task without children."""
    total = sum(branch.children.values())
    if not total:
        return ""
    ended = [
        f"{branch.children[state]:,} {state}" for state in (State.FAILED, State.CANCELLED) if branch.children.get(state)
    ]
    return ", ".join([f"{branch.children.get(State.COMPLETED, 0):,}/{total:,} done", *ended])


def task_fields(
    task: Task, *, parent: Task | None = None, now_ms: int | None = None, has_links: bool = True
) -> list[tuple[str, Cell]]:
    """Every field of one task that has a value. Fields without a label of their own come last, links only with `has_links`.

    How far the times of an open task are from `now_ms`, milliseconds since 1970 UTC, is said behind them.
    """
    left_out = _WITH_OWN_WORDS if has_links else _WITH_OWN_WORDS | LINK_FIELDS
    fields: list[tuple[str, Cell | None]] = [
        ("Task", task.id),
        ("Alias", visible(task.alias) if task.alias else None),
        ("State", task_state_cell(task)),
        ("Agent", visible(task.assigned_to) if task.assigned_to else None),
        ("Description", visible(_without_empty_lines(task.description), is_multiline=True)),
        ("Result", visible(task.result, is_multiline=True) if task.result else None),
        ("Question", visible(task.question, is_multiline=True) if task.question else None),
        ("Choices", visible(choices_words(task.choices)) if task.choices else None),
        ("Asked", local_time(from_ms(task.asked_at_ms)) if task.asked_at_ms else None),
        ("Answer", _answer_cell(task)),
        ("Tags", visible(", ".join(task.tags)) if task.tags else None),
        ("Parent", _parent_cell(task, parent)),
        ("Created", f"{local_time(task.created_at)}{_created_event(task)}"),
        ("Started", local_time(task.started_at) if task.started_at else None),
        ("Ended", local_time(task.completed_at) if task.completed_at else None),
        ("Updated", f"{local_time(task.updated_at)}, version {task.version}, event {event_number(task.position)}"),
        *(
            (
                _label(field),
                _time_field(task, field, now_ms) if field.name in _TIMES_TO_COME else _plain_cell(task, field),
            )
            for field in FIELDS
            if field.name not in left_out
        ),
    ]
    return [(name, value) for name, value in fields if value is not None]


def _without_empty_lines(text: str) -> str:
    """The text from its first line that has something on it; the indent of that line stays."""
    start = len(text) - len(text.lstrip())
    return text[text.rfind("\n", 0, start) + 1 :]


_WITH_OWN_WORDS = frozenset(
    {
        "id",
        "alias",
        "state",
        "assigned_to",
        "description",
        "result",
        "tags",
        "parent_id",
        "created_at",
        "created_number",
        "started_at",
        "completed_at",
        "updated_at",
        "version",
        "position",
        "damaged_at",
        "question",
        "choices",
        "answer",
        "asked_at",
    }
)
"""The fields that `task_fields` labels itself. Damage is shown in the history."""


def _answer_cell(task: Task) -> str | None:
    if task.answer is not None:
        return visible(task.answer, is_multiline=True)
    return f"none yet: tt answer {short_id(task.id)} TEXT" if task.has_open_question else None


_TIMES_TO_COME = ("due", "not_before")


def _time_field(task: Task, field: Field, now_ms: int | None) -> Cell | None:
    """When a task is due, or may begin. Only what is due is late once its time has passed."""
    is_due = field.name == "due"
    ms = task.due_ms if is_due else task.not_before_ms
    if ms is None:
        return None
    is_over = now_ms is not None and ms < now_ms
    if now_ms is None or task.state.is_terminal or (is_over and not is_due):
        return local_time(from_ms(ms))
    return Styled.of(due_at(ms, now_ms=now_ms), "red" if is_over else "")


def _created_event(task: Task) -> str:
    return "" if task.created_number is None else f", event {task.created_number}"


def _label(field: Field) -> str:
    return field.name.replace("_", " ").capitalize()


def _plain_cell(task: Task, field: Field) -> str | None:
    value = getattr(task, field.attribute)
    if value == field.empty:
        return None
    if field.name in LINK_FIELDS:
        more = f" and {len(value) - LINKS_SHOWN:,} more" if len(value) > LINKS_SHOWN else ""
        return ", ".join(short_id(each) for each in value[:LINKS_SHOWN]) + more
    return local_time(from_ms(value)) if field.form == "time" else _value_words(value)


LINK_FIELDS = frozenset(LinkKind)
"""The fields with ids of linked tasks."""
LINKS_SHOWN = 10
"""How many ids of one kind stand in a line."""
TIME_FIELDS = frozenset(field.name for field in FIELDS if field.form == "time")


DAMAGE_SIGN = "⚠"
NOTE_SIGN = "✎"
UNDO_SIGN = "↩"


EVENT_TEXTS = ("TITLE", "WHAT")
"""The columns of `event_rows` that are as wide as there is room."""


def event_rows(events: Sequence[RecordedEvent], beside: Beside) -> tuple[list[str], list[list[Cell]]]:
    """Columns and rows of a list of events of many tasks."""
    zone, times = local_times(recorded.position.time for recorded in events)
    rows: list[list[Cell]] = [
        [*_event_row(recorded, time, beside)] for recorded, time in zip(events, times, strict=True)
    ]
    columns = ["EVENT", f"TIME ({zone})", "ACTOR", "TASK", *EVENT_TEXTS]
    return (columns, rows) if beside.titles else without_column(columns, rows, "TITLE")


def event_line(recorded: RecordedEvent, beside: Beside) -> Styled:
    """One event of `tt events --follow`, in columns wide enough for most."""
    number, time, actor, task, about, words = _event_row(recorded, local_time(recorded.position.time), beside)
    return Styled.of("  ".join([each for each in (f"{number:>6}", time, f"{actor:<12}", task, about, words) if each]))


def _event_row(recorded: RecordedEvent, time: str, beside: Beside) -> list[str]:
    flaw, title = beside.flaws.get(recorded.at), beside.titles.get(recorded.task)
    words = event_words(recorded, title, beside.names) if flaw is None else flaw_words(recorded, flaw)
    return [
        event_number(recorded.position),
        time,
        visible(recorded.actor),
        task_name(recorded, title),
        title_words(title),
        with_notes(words, beside.notes.get(recorded.at, ())),
    ]


def task_name(recorded: RecordedEvent, title: Title | None) -> str:
    """The name of an event's task: its alias, else the beginning of its id."""
    return called(recorded.task, None if title is None else title.alias)


def title_words(title: Title | None) -> str:
    return "" if title is None else shortened(visible(title.text), TITLE_CHARS_SHOWN)


def flaw_words(recorded: RecordedEvent, flaw: str) -> str:
    return visible(f"{recorded.type.partition('.')[2]} {DAMAGE_SIGN} damaged: {flaw}")


def with_notes(words: str, notes: Sequence[Annotation]) -> str:
    """What happened, and then what people wrote on it: `completed  ✎ bob: It was not`."""
    return "  ".join([each for each in (words, *(_note_words(note) for note in notes)) if each])


def _note_words(note: Annotation) -> str:
    return visible(f"{NOTE_SIGN} {note.actor}: {note.text}")


def event_words(recorded: RecordedEvent, title: Title | None = None, names: Mapping[str, str] = {}) -> str:
    """What happened, in a line: `completed: Fixed the bug (why)`. What the `title` beside it says is left out.

    Linked tasks are called by their `names`; by the beginning of the id without one.
    """
    verb = recorded.type.partition(".")[2]
    details = event_details(recorded, title, names)
    words = f"{verb} {details}" if isinstance(recorded.data, _SAID_AT_ONCE) else _joined(verb, details)
    words = words if recorded.reason is None else f"{words} ({visible(recorded.reason)})"
    return words if recorded.cause is None else f"{words}  {cause_mark(recorded.cause)}"


def event_details(recorded: RecordedEvent, title: Title | None = None, names: Mapping[str, str] = {}) -> str:
    """What an event says besides its type: a result, an agent, a note. Empty if the `title` beside it says the same."""
    about = None if title is None else visible(title.text)
    if isinstance(recorded.data, TaskDescribed):
        text = recorded.data.description
        said = visible(title_of(text))
        return ", ".join(part for part in ("" if said == about else said, _body_words(text)) if part)
    details = _details(recorded, names)
    return "" if details == about else details


_SAID_AT_ONCE = TaskAssigned | TaskMoved | TaskLinked | TaskUnlinked | TownForked | EventAnnotated
"""The facts whose details go on where the verb ends."""


def cause_mark(cause: str) -> str:
    """The event that led here, which was taken back."""
    return f"{UNDO_SIGN} {event_number(Position(cause))}"


def step_rows(
    steps: Sequence[Step], notes: Mapping[str, Sequence[Annotation]] = {}, names: Mapping[str, str] = {}
) -> tuple[list[str], list[list[Cell]]]:
    """Columns and rows of a task's history: when, who, what, why, and what changed; WHY only if an event has a reason.

    `notes` are what people wrote on the events, by position, and `names` those of linked tasks.
    """
    zone, times = local_times(step.event.position.time for step in steps)
    columns = ["EVENT", f"TIME ({zone})", "ACTOR", "WHAT", "WHY", "CHANGED"]
    rows = [_step_row(step, time, notes.get(step.event.at, ()), names) for step, time in zip(steps, times, strict=True)]
    return (columns, rows) if any(step.event.reason for step in steps) else without_column(columns, rows, "WHY")


def without_column(
    columns: Sequence[str], rows: Sequence[Sequence[Cell]], column: str
) -> tuple[list[str], list[list[Cell]]]:
    index = columns.index(column)
    return [*columns[:index], *columns[index + 1 :]], [[*row[:index], *row[index + 1 :]] for row in rows]


def _step_row(step: Step, time: str, notes: Sequence[Annotation], names: Mapping[str, str]) -> list[Cell]:
    recorded = step.event
    changes = "  ".join(change_words(change, names) for change in step.changes)
    note = visible(recorded.data.text) if isinstance(recorded.data, TaskNoted) else ""
    if isinstance(recorded.data, TaskStarted) and recorded.data.run is not None:
        changes += f"  {visible(str(recorded.data.run))}"
    if recorded.cause is not None:
        changes += f"  {cause_mark(recorded.cause)}"
    return [
        event_number(recorded.position),
        time,
        visible(recorded.actor),
        visible(recorded.type.partition(".")[2]),
        visible(recorded.reason) if recorded.reason else "",
        with_notes(note or changes if step.flaw is None else visible(f"{DAMAGE_SIGN} damaged: {step.flaw}"), notes),
    ]


def change_words(change: FieldChange, names: Mapping[str, str] = {}) -> str:
    """`state: pending → assigned`; a field that was or is empty shows as —. `needs: +550e8400`: of links, those that came or went."""
    if change.field in LINK_FIELDS:
        return f"{change.field}: {' '.join(links_moved(change, names))}"
    before, after = values_of(change, names)
    return f"{change.field}: {before} → {after}"


def values_of(change: FieldChange, names: Mapping[str, str] = {}) -> tuple[str, str]:
    """The words for what a field was and is."""
    return value_words(change.field, change.before, names), value_words(change.field, change.after, names)


def value_words(field: str, value: str | int | tuple[str, ...] | None, names: Mapping[str, str] = {}) -> str:
    """The words for a value of a field: a parent by its name of `names` or the beginning of its id, times as the user's."""
    if value is None:
        return NOTHING
    if field in TIME_FIELDS:
        return local_time(from_ms(parse_rfc3339(str(value))))
    return _linked_name(str(value), names) if field == PARENT_FIELD else _value_words(value)


def links_moved(change: FieldChange, names: Mapping[str, str] = {}) -> list[str]:
    """Each link that came or went, with its sign; the linked tasks by their `names`, where they have one."""
    old, new = (each if isinstance(each, tuple) else () for each in (change.before, change.after))
    gone, come = (
        [_linked_name(each, names) for each in some if each not in others] for some, others in ((old, new), (new, old))
    )
    return [*_signed("-", gone), *_signed("+", come)]


def _linked_name(task_id: str, names: Mapping[str, str]) -> str:
    return names.get(task_id) or visible(short_id(task_id))


def agent_rows(agents: dict[str, dict[State, int]], backlog: int) -> tuple[list[str], list[list[Cell]]]:
    """Columns and rows of how many tasks each agent has in each state; the backlog comes last."""
    columns = ["AGENT", *(f"{ICONS[state]} {state}" for state in State)]
    rows: list[list[Cell]] = [
        [visible(agent), *(f"{counts[state]:,}" if counts[state] else "·" for state in State)]
        for agent, counts in agents.items()
    ]
    if backlog:
        rows.append(["(backlog)", f"{backlog:,}", *("·" for _ in list(State)[1:])])
    return columns, rows


def _details(recorded: RecordedEvent, names: Mapping[str, str]) -> str:  # noqa: C901, PLR0911, PLR0912 - one line per event type
    match recorded.data:
        case TaskCreated(description=text) | TaskAdopted(description=text):
            return visible(title_of(text))
        case TaskNoted(text=text):
            return visible(text)
        case TaskAssigned(agent=agent):
            return f"to {visible(agent)}"
        case TaskCompleted(result=text) | TaskFailed(error=text) | TaskCancelled(reason=text):
            return visible(text or "")
        case TaskTagged(added=added, removed=removed):
            return visible(" ".join(_signed("+", added) + _signed("-", removed)))
        case TaskStarted(run=RunMark() as run):
            return visible(str(run))
        case TaskMoved(parent_id=parent):
            return "to the top" if parent is None else f"below {_linked_name(parent, names)}"
        case TownForked(source=source, position=position):
            return f"from {visible(source)} after event {event_number(Position(position))}"
        case TownRecovered(first=first, last=last, lost=lost, appended=appended):
            numbers = " to ".join(dict.fromkeys(event_number(Position(each)) for each in (first, last)))
            return f"{appended:,} of {counted(lost, 'lost event')}, of {numbers}"
        case EventAnnotated(position=position, text=text):
            return f"event {event_number(Position(position))}: {visible(text)}"
        case TaskLinked(kind=kind, to=to) | TaskUnlinked(kind=kind, to=to):
            return f"{kind.replace('_', ' ')} {_linked_name(to, names)}"
        case TaskPrioritised(priority=priority):
            return f"priority {priority}"
        case TaskScheduled(due=due, not_before=not_before):
            times = (("due", due), ("not before", not_before))
            said = [f"{name} {local_time(from_ms(parse_rfc3339(time)))}" for name, time in times if time is not None]
            return ", ".join(said) or "at no time"
        case TaskAsked(question=question, choices=choices):
            return visible(question if not choices else f"{question} ({', '.join(choices)})")
        case Unfit():
            return ""
        case data:
            values = (getattr(data, name) for name in data.__struct_fields__)
            return "  ".join(_value_words(value) for value in values if value is not None and value != ())


def _body_words(text: str) -> str:
    """How much follows the title: where only that was changed, the title alone looks as if nothing was."""
    more = text.strip().count("\n")
    return f"with {counted(more, 'more line')}" if more else ""


def _signed(sign: str, tags: Iterable[str]) -> list[str]:
    return [f"{sign}{tag}" for tag in tags]


def _joined(verb: str, details: str) -> str:
    return f"{verb}: {details}" if details else verb


def _value_words(value: str | int | tuple[str, ...] | None) -> str:
    if value is None:
        return NOTHING
    return visible(", ".join(value) if isinstance(value, tuple) else str(value))


def _parent_cell(task: Task, parent: Task | None) -> str | None:
    if task.parent_id is None:
        return None
    if parent is None:
        return f"{task.parent_id} (removed)"
    return f"{name_of(parent)}  {visible(parent.title)}"
