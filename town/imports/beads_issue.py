"""An issue of the Beads tracker, and what it becomes: a desired task, its notes, and the fields that have no place. Pure.

`docs/reference/import-beads.md` has the mapping.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Any, Final

import msgspec
from msgspec import Struct, field

from ledger import (
    TEXT_BYTES_MAX,
    DesiredTask,
    Schedule,
    Source,
    State,
    check_text,
    format_ms,
    to_ms,
)

ISSUE: Final = "issue"
OPEN: Final = "open"
TOMBSTONE: Final = "tombstone"
PARENT_CHILD: Final = "parent-child"
STATES: Final[Mapping[str, State]] = {
    OPEN: State.PENDING,
    "hooked": State.ASSIGNED,
    "in_progress": State.RUNNING,
    "blocked": State.PENDING,
    "deferred": State.PENDING,
    "pinned": State.PENDING,
    "closed": State.COMPLETED,
}
_PENDING_WITH_TAG: Final = frozenset({"blocked", "deferred", "pinned"})
_SECTIONS: Final = (("design", "Design"), ("acceptance_criteria", "Acceptance criteria"), ("notes", "Notes"))
_TAKEN: Final = frozenset(
    {"id", "title", "description", "status", "priority", "issue_type", "due_at", "defer_until", "labels", "_type"}
    | {name for name, _ in _SECTIONS}
)
"""The fields that land wherever they say something."""
_REPEATED: Final = frozenset({"parent", "dependency_count", "dependent_count", "comment_count", "notes_preview"})
"""What the tracker works out from other fields of the file."""
_SAYS_NOTHING: Final = frozenset({b"null", b'""', b"[]", b"{}", b"false", b"0", b'"0001-01-01T00:00:00Z"'})


class Dependency(Struct, frozen=True):
    """A tie of an issue to another one."""

    depends_on_id: str
    type: str


class _Comment(Struct, frozen=True):
    text: str = ""
    author: str | None = None
    created_at: datetime | None = None


class Issue(Struct, frozen=True):
    """The fields of an issue that have a place."""

    id: str
    title: str
    description: str | None = None
    design: str | None = None
    acceptance_criteria: str | None = None
    notes: str | None = None
    status: str = OPEN
    priority: int | None = None
    issue_type: str | None = None
    assignee: str | None = None
    created_by: str | None = None
    close_reason: str | None = None
    due_at: datetime | None = None
    defer_until: datetime | None = None
    labels: tuple[str, ...] | None = None
    dependencies: tuple[Dependency, ...] | None = None
    comments: tuple[_Comment, ...] | None = None
    said_parent: str | None = field(default=None, name="parent")

    @property
    def parent(self) -> str | None:
        """The issue's first parent-child dependency, else the parent that the tracker worked out."""
        parents = (each.depends_on_id for each in self.dependencies or () if each.type == PARENT_CHILD)
        return next(parents, self.said_parent or None)

    @property
    def person(self) -> str | None:
        """Who it is assigned to, else who created it."""
        return self.assignee or self.created_by


class ImportedNote(Struct, frozen=True):
    """A comment as a note: its text with its author and time, and that time in milliseconds since 1970, if it has one."""

    text: str
    at_ms: int | None


class UnknownStatusError(ValueError):
    """The status is none that is known."""

    def __init__(self, status: str) -> None:
        self.status = status
        super().__init__(status)


_OPTIONAL: Final = ("issue_type", "assignee", "created_by", "close_reason")
_decoder = msgspec.json.Decoder(Issue)
_raw_decoder = msgspec.json.Decoder(dict[str, msgspec.Raw])
_raw_list_decoder = msgspec.json.Decoder(list[dict[str, msgspec.Raw]])


def decode_issue(line: bytes) -> Issue:
    """The issue in a line, with blanks removed from the ends of its ids, as in aliases. msgspec errors.

    A text of nothing but blanks is none: the tracker leaves out what is empty, and other programs write it.
    """
    issue = _decoder.decode(line)
    dependencies = tuple(Dependency(each.depends_on_id.strip(), each.type) for each in issue.dependencies or ())
    blank = {name: None for name in _OPTIONAL if not (getattr(issue, name) or "").strip()}
    return msgspec.structs.replace(
        issue,
        id=issue.id.strip(),
        status=issue.status if issue.status.strip() else OPEN,
        dependencies=dependencies,
        said_parent=(issue.said_parent or "").strip(),
        **blank,
    )


def desired_of_issue(
    issue: Issue, *, actor: str, states: Mapping[str, State], cut: list[str] | None = None
) -> DesiredTask | None:
    """The issue as a desired task, still without parent and links; None for a tombstone. A text that was cut goes to `cut`.

    `states` are those of statuses that Beads does not have. UnknownStatusError, ValueError, InvalidValueError.
    """
    if issue.status == TOMBSTONE:
        return None
    check_text(issue.title, "title")
    state = states.get(issue.status) or STATES.get(issue.status)
    if state is None:
        raise UnknownStatusError(issue.status)
    if issue.status == OPEN and issue.status not in states and issue.assignee:
        state = State.ASSIGNED
    person = issue.assignee if state is State.CANCELLED else issue.person or actor
    reason = issue.close_reason if state.is_terminal else None
    return DesiredTask(
        description=_cut(_body(issue), f"{issue.id}: its text", cut),
        state=state,
        agent=None if state is State.PENDING else person,
        tags=_tags(issue, has_status=issue.status in _PENDING_WITH_TAG or issue.status in states),
        alias=issue.id,
        source=Source.IMPORT,
        result=None if reason is None else _cut(reason, f"{issue.id}: its close reason", cut),
        priority=issue.priority,
        schedule=Schedule(_ms_of(issue.due_at, "due_at"), _ms_of(issue.defer_until, "defer_until")),
    )


def notes_of(issue: Issue, cut: list[str] | None = None) -> tuple[ImportedNote, ...]:
    """The issue's comments as notes, in their order, without those that say nothing. ValueError, InvalidValueError."""
    found: list[ImportedNote] = []
    for number, comment in enumerate(issue.comments or (), 1):
        if not comment.text.strip():
            continue
        at_ms = _ms_of(comment.created_at, "a comment's created_at")
        words = "Comment" if not (comment.author or "").strip() else f"Comment by {comment.author}"
        when = "" if at_ms is None else f", {format_ms(at_ms)}"
        text = _cut(f"{words}{when}: {comment.text}", f"{issue.id}: comment {number}", cut)
        found.append(ImportedNote(check_text(text, "comment"), at_ms))
    return tuple(found)


def placeless(line: bytes, issue: Issue, target: DesiredTask) -> Counter[str]:
    """The fields of an issue that say something and have no place, each once; those of its lists as `comments.id`."""
    found: Counter[str] = Counter()
    landed = _TAKEN | _REPEATED | {"dependencies", "comments"}
    landed |= {
        name for name in ("assignee", "created_by") if target.agent is not None and getattr(issue, name) == target.agent
    }
    if target.result is not None:
        landed |= {"close_reason"}
    fields = _raw_decoder.decode(line)
    found.update(name for name, value in fields.items() if name not in landed and _says_something(value))
    for name, known in (
        ("dependencies", {"issue_id", "depends_on_id", "type"}),
        ("comments", {"issue_id", "author", "text", "created_at"}),
    ):
        if name in fields and _says_something(fields[name]):
            for item in _raw_list_decoder.decode(fields[name]):
                found.update(
                    f"{name}.{key}" for key, value in item.items() if key not in known and _says_something(value)
                )
    return found


def _says_something(value: Any) -> bool:  # noqa: ANN401 - msgspec's raw bytes
    return bytes(value) not in _SAYS_NOTHING


def _body(issue: Issue) -> str:
    """The title, then the description, then each further text below its heading.

    A heading is a plain word with a colon: editors of texts, such as git's, take a line with # for a comment.
    """
    return "\n\n".join(_sections(issue)) if any(_texts(issue)) else issue.title


def _texts(issue: Issue) -> list[str]:
    return [(getattr(issue, name) or "").strip() for name in ("description", *(name for name, _ in _SECTIONS))]


def _sections(issue: Issue) -> Iterator[str]:
    description, *texts = _texts(issue)
    yield issue.title
    if description:
        yield description
    for text, (_, heading) in zip(texts, _SECTIONS, strict=True):
        if text:
            yield f"{heading}:\n{text}"


def _cut(text: str, what: str, cut: list[str] | None) -> str:
    """The text, or as much of its beginning as a task keeps, with a last line that says so."""
    encoded = text.encode(errors="surrogatepass")
    if len(encoded) <= TEXT_BYTES_MAX:
        return text
    mark = f"\n[cut: the export has {len(encoded):,} bytes]"
    kept = encoded[: TEXT_BYTES_MAX - len(mark.encode())].decode(errors="ignore")
    if cut is not None:
        cut.append(f"{what} has {len(encoded):,} bytes, and {TEXT_BYTES_MAX:,} are kept")
    return kept + mark


def _ms_of(time: datetime | None, what: str) -> int | None:
    """Milliseconds since 1970. A time of the year 1 is how the tracker writes that there is none."""
    if time is None or time.year == 1:
        return None
    if time.tzinfo is None:
        raise ValueError(f"{what} has no time zone")
    return to_ms(time)


def _tags(issue: Issue, *, has_status: bool) -> tuple[str, ...]:
    tags = [label for label in issue.labels or () if label.strip()]
    if issue.issue_type is not None:
        tags.append(f"type:{issue.issue_type}")
    if has_status:
        tags.append(f"status:{issue.status}")
    return tuple(tags)
