"""The options and arguments that commands share, each declared and explained once."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Final, NamedTuple

import typer

from cli.json_fields import JsonFields, UnknownFieldError, parse_json_fields
from ledger import EVENT_CLASSES, PRIORITY_MAX, TOWN_EVENT_CLASSES, LinkKind, Position, State
from projections import Sort
from town import (
    TIME_HELP,
    WHEN_HELP,
    Moment,
    MomentSyntaxError,
    TimeSyntaxError,
    in_local_zone,
    understand,
    understand_ahead,
)

DURATION_HELP: Final = "seconds, or a time like 30s, 5m or 1h30m"
_DURATION: Final = re.compile(r"(?:(\d{1,6})d)?(?:(\d{1,6})h)?(?:(\d{1,6})m)?(?:(\d{1,6}(?:\.\d+)?)s)?")
_UNIT_SECONDS: Final = (86_400, 3_600, 60, 1)
_DURATION_SECONDS_END: Final = 1e9
NO_TIME: Final = "none"


class When(NamedTuple):
    """WHEN, as it was typed and as it was understood. A class of its own, because Typer takes no unions."""

    text: str
    moment: Moment
    note: str | None = None
    """The choice in words, if clocks showed that time twice or never."""
    event: Position | None = None
    """The event that it names; set only if it counts events back or names a task's state, and once it was looked for."""

    @property
    def limit(self) -> Moment:
        """What to ask a town for."""
        return self.moment if self.event is None else self.event


def parse_when(text: str) -> When:
    """Typer's parser for WHEN."""
    try:
        return When(text, *understand(text, now=in_local_zone(datetime.now(UTC))))
    except MomentSyntaxError as error:
        raise typer.BadParameter(str(error)) from error


class Ahead(NamedTuple):
    """A time to come, as it was understood; None if it was `none`. A class of its own, because Typer takes no unions."""

    time: datetime | None
    note: str | None = None
    """The choice in words, if clocks showed that time twice or never."""


def parse_due(text: str) -> Ahead:
    """Typer's parser for `--due`: a day alone is its end."""
    return _parse_ahead(text, is_end=True)


def parse_not_before(text: str) -> Ahead:
    """Typer's parser for `--not-before`: a day alone is its beginning."""
    return _parse_ahead(text, is_end=False)


def _parse_ahead(text: str, *, is_end: bool) -> Ahead:
    if text.strip().lower() == NO_TIME:
        return Ahead(None)
    try:
        return Ahead(*understand_ahead(text, now=in_local_zone(datetime.now(UTC)), is_end=is_end))
    except TimeSyntaxError as error:
        raise typer.BadParameter(str(error)) from error


def parse_task_fields(text: str) -> JsonFields:
    """Typer's parser for the fields of `--json`."""
    try:
        return parse_json_fields(text)
    except UnknownFieldError as error:
        raise typer.BadParameter(str(error)) from error


def parse_event_type(text: str) -> str:
    """Typer's parser for an event type, with or without what stands before its dot."""
    known = [event_class.type for event_class in (*EVENT_CLASSES, *TOWN_EVENT_CLASSES)]
    wanted = text if "." in text else next((each for each in known if each.partition(".")[2] == text), text)
    if wanted not in known:
        message = f"{text!r} is not an event type. Choose from {', '.join(known)}."
        raise typer.BadParameter(message)
    return wanted


def parse_duration(text: str) -> float:
    """Typer's parser for a length of time, in seconds: `90`, `30s`, `1h30m`."""
    text = text.strip().lower()
    parts = _DURATION.fullmatch(text)
    if parts is not None and any(parts.groups()):
        return sum(float(number or 0) * size for number, size in zip(parts.groups(), _UNIT_SECONDS, strict=True))
    try:
        seconds = float(text)
    except ValueError:
        seconds = -1.0
    if not 0 <= seconds < _DURATION_SECONDS_END:
        message = f"{text!r} is not a length of time. Give {DURATION_HELP}."
        raise typer.BadParameter(message)
    return seconds


TownOption = Annotated[
    Path | None,
    typer.Option(
        "--town",
        metavar="PATH",
        help="The town's folder. Default: TT_TOWN, then the nearest folder upwards with a tinytown.toml.",
    ),
]
ActorOption = Annotated[
    str | None, typer.Option("--actor", metavar="NAME", help="Who acts. Default: TT_ACTOR, then the login name.")
]
JsonOption = Annotated[bool, typer.Option("--json", help="Print only JSON on stdout.")]
TaskJsonOption = Annotated[
    JsonFields | None,
    typer.Option(
        "--json",
        metavar="[=FIELDS]",
        parser=parse_task_fields,
        help="Print only JSON on stdout; --json=id,state picks fields of the tasks.",
    ),
]
CsvOption = Annotated[bool, typer.Option("--csv", help="Print only CSV on stdout.")]

TaskArgument = Annotated[
    str, typer.Argument(metavar="TASK", help="A task: its id, a unique prefix of it, or its alias.", show_default=False)
]
LinkedArgument = Annotated[
    list[str],
    typer.Argument(metavar="OTHER...", help="The other tasks: ids, unique prefixes or aliases.", show_default=False),
]
AgentArgument = Annotated[str, typer.Argument(metavar="AGENT", help="The agent's name.", show_default=False)]
TextArgument = Annotated[
    str | None,
    typer.Argument(metavar="TEXT", help="What to do, at most 64 KiB; - reads it from stdin.", show_default=False),
]
TextFileOption = Annotated[Path | None, typer.Option("--file", metavar="PATH", help="Read the text from this file.")]
NoteArgument = Annotated[
    str, typer.Argument(metavar="TEXT", help="The note, at most 64 KiB; - reads it from stdin.", show_default=False)
]

WordsArgument = Annotated[
    list[str], typer.Argument(metavar="WORDS", help="The words to look for; all are needed.", show_default=False)
]

AgentOption = Annotated[
    str | None, typer.Option("--agent", metavar="NAME", help="Who does it; needed if the task has no agent.")
]
AliasOption = Annotated[
    str | None, typer.Option("--alias", metavar="NAME", help="A name for the task, unique in the town.")
]
ExpectOption = Annotated[
    int | None,
    typer.Option(
        "--expect", metavar="VERSION", min=1, help="Only if the task is still at this version; exit 3 otherwise."
    ),
]
PriorityArgument = Annotated[
    int,
    typer.Argument(
        metavar="PRIORITY", min=0, max=PRIORITY_MAX, help="0 (most urgent) to 4 (least).", show_default=False
    ),
]
PriorityOption = Annotated[
    int,
    typer.Option("--priority", metavar="N", min=0, max=PRIORITY_MAX, help="How urgent it is, 0 (most) to 4 (least)."),
]
DueOption = Annotated[
    Ahead | None,
    typer.Option("--due", metavar="TIME", parser=parse_due, help=f"When it should be done: {TIME_HELP}."),
]
NotBeforeOption = Annotated[
    Ahead | None,
    typer.Option(
        "--not-before", metavar="TIME", parser=parse_not_before, help="When it may begin at the earliest, likewise."
    ),
]
NeedsOption = Annotated[
    list[str] | None,
    typer.Option("--needs", metavar="TASK", help="A task that has to be completed first; may be given several times."),
]
PriorityFilter = Annotated[
    list[int] | None,
    typer.Option(
        "--priority",
        metavar="N",
        min=0,
        max=PRIORITY_MAX,
        help="Only tasks of this priority, 0 to 4; if repeated, of one of these.",
    ),
]
OverdueFilter = Annotated[bool, typer.Option("--overdue", help="Only open tasks whose due time has passed.")]
DryRunOption = Annotated[bool, typer.Option("--dry-run", help="Show what would be appended, and append nothing.")]
PruneOption = Annotated[bool, typer.Option("--prune", help="Remove tasks whose alias is no longer in the file.")]
LinkKindOption = Annotated[
    LinkKind, typer.Option("--kind", metavar="KIND", help=f"What the link says: {', '.join(LinkKind)}.")
]
ParentOption = Annotated[str | None, typer.Option("--parent", metavar="TASK", help="The parent task.")]
ReasonOption = Annotated[
    str | None, typer.Option("--reason", metavar="TEXT", help="Why, in words; recorded in the event.")
]
TagsOption = Annotated[
    list[str] | None, typer.Option("--tag", metavar="TAG", help="A tag; may be given several times.")
]
WhenOption = Annotated[
    When | None, typer.Option("--at", metavar="WHEN", parser=parse_when, help=f"An earlier moment: {WHEN_HELP}.")
]
SinceOption = Annotated[
    When | None,
    typer.Option("--since", metavar="WHEN", parser=parse_when, help=f"From this moment on: {WHEN_HELP}."),
]
UntilOption = Annotated[
    When | None, typer.Option("--until", metavar="WHEN", parser=parse_when, help="Up to this moment.")
]
BeforeOption = Annotated[
    When | None,
    typer.Option("--before", metavar="WHEN", parser=parse_when, help="Only events before this one: the next page."),
]
LedgerFileOption = Annotated[
    Path | None,
    typer.Option("--file", metavar="PATH", help="The file. Default: ledger.jsonl in the town's folder."),
]

EventTaskFilter = Annotated[
    str | None, typer.Option("--task", metavar="TASK", help="Only events of this task, which may be removed.")
]
EventAgentFilter = Annotated[
    str | None,
    typer.Option("--agent", metavar="NAME", help="Only events of tasks that this agent had at that moment."),
]
EventActorFilter = Annotated[str | None, typer.Option("--actor", metavar="NAME", help="Only events of this actor.")]
EventTypeFilter = Annotated[
    str | None,
    typer.Option(
        "--type",
        metavar="T",
        parser=parse_event_type,
        help="Only events of this type: task.completed or completed.",
    ),
]
EventTextFilter = Annotated[
    str | None, typer.Option("--text", metavar="WORDS", help="Only events that say this, in upper or lower case.")
]

StateFilter = Annotated[
    list[State] | None,
    typer.Option(
        "--state",
        metavar="STATE",
        help=f"Only tasks that are {', '.join(State)}; if repeated, in one of these states.",
    ),
]
AgentFilter = Annotated[str | None, typer.Option("--agent", metavar="NAME", help="Only tasks this agent has or had.")]
TagFilter = Annotated[
    list[str] | None,
    typer.Option("--tag", metavar="TAG", help="Only tasks with this tag; if repeated, with all of these."),
]
NotTagFilter = Annotated[
    list[str] | None,
    typer.Option("--not-tag", metavar="TAG", help="Only tasks without this tag; if repeated, with none of these."),
]
SearchFilter = Annotated[
    str | None,
    typer.Option(
        "--search",
        metavar="WORDS",
        help="Only tasks that have all these words in their texts, as `tt search` finds them.",
    ),
]
ParentFilter = Annotated[str | None, typer.Option("--parent", metavar="TASK", help="Only children of this task.")]
LimitOption = Annotated[int, typer.Option("--limit", metavar="N", min=1, help="Show at most N tasks.")]
OffsetOption = Annotated[int, typer.Option("--offset", metavar="N", min=0, help="Skip the first N tasks.")]
SortOption = Annotated[
    Sort,
    typer.Option(
        "--sort",
        metavar="ORDER",
        help=f"The order: {', '.join(Sort)}. Tasks that are equal in it are in the order they were created.",
    ),
]
ReverseOption = Annotated[bool, typer.Option("--reverse", help="Turn the order around.")]
