"""An export of the Beads tracker, read as desired tasks. Pure except for reading the file.

`docs/reference/import-beads.md` has the mapping. The result does not depend on the order of lines.
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Final

import msgspec
from msgspec import Struct, field

from ledger import DesiredTask, InvalidValueError, Source, State, check_text, json_problem, task_id_of_alias
from town.errors import ImportRefusedError
from town.files.os_errors import refuse_os_errors
from town.files.regular_file import open_regular
from town.plans.plan import quoted

BEADS_BYTES_MAX: Final = 256 * 1024 * 1024
BEADS_LINE_BYTES_MAX: Final = 8 * 1024 * 1024
BEADS_LINES_MAX: Final = 200_000

_TOMBSTONE: Final = "tombstone"
_PENDING_WITH_TAG: Final = frozenset({"blocked", "deferred", "pinned"})
_STATES: Final[Mapping[str, State]] = {
    "open": State.PENDING,
    "hooked": State.ASSIGNED,
    "in_progress": State.RUNNING,
    "blocked": State.PENDING,
    "deferred": State.PENDING,
    "pinned": State.PENDING,
    "closed": State.COMPLETED,
}
_BYTE_ORDER_MARK: Final = b"\xef\xbb\xbf"
_PARENT_CHILD: Final = "parent-child"
_ISSUE: Final = "issue"


class _Line(Struct, frozen=True):
    """The kind of a line: beside issues, an export holds other records, and names their kind."""

    kind: str | None = field(default=None, name="_type")


class _Dependency(Struct, frozen=True):
    depends_on_id: str
    type: str


class _Issue(Struct, frozen=True):
    """The fields of an issue that matter here; others are ignored."""

    id: str
    title: str
    status: str = "open"
    priority: int | None = None
    issue_type: str | None = None
    assignee: str | None = None
    created_by: str | None = None
    close_reason: str | None = None
    labels: tuple[str, ...] | None = None
    dependencies: tuple[_Dependency, ...] | None = None

    @property
    def parent(self) -> str | None:
        """The issue's first parent-child dependency."""
        parents = (each.depends_on_id for each in self.dependencies or () if each.type == _PARENT_CHILD)
        return next(parents, None)


class BeadsExport(Struct, frozen=True):
    """The content of an export: for each task id the task that the file wants, None for a removed one.

    The ids are those that new tasks for the issues would get; `aliases` has the issue of each. `left_out` are the
    parent links that were left out. `skipped` counts the lines of each other kind. Labels with blanks around them are
    trimmed, empty ones dropped.
    """

    desired: dict[str, DesiredTask | None]
    left_out: tuple[str, ...]
    aliases: dict[str, str] = {}
    skipped: dict[str, int] = {}
    labels_trimmed: int = 0
    labels_dropped: int = 0

    def desired_of(self, ids: Mapping[str, str]) -> dict[str, DesiredTask | None]:
        """The desired tasks and their parents by the tasks' real ids. `ids` is alias -> id; an adopted task keeps its
        older id.
        """
        found = {task_id: ids[alias] for task_id, alias in self.aliases.items()}
        return {
            found[task_id]: None
            if target is None
            else msgspec.structs.replace(target, parent_id=found.get(target.parent_id or ""))
            for task_id, target in self.desired.items()
        }


_line_decoder = msgspec.json.Decoder(_Line)
_decoder = msgspec.json.Decoder(_Issue)


def read_beads(path: Path, *, town: str, actor: str) -> BeadsExport:
    """The file's issues as tasks of `town`. An issue that needs an agent but names nobody goes to `actor`.

    ImportRefusedError lists every bad line with its number; FolderRefusedError if the file cannot be read.
    """
    issues: dict[str, _Issue] = {}
    desired: dict[str, DesiredTask | None] = {}
    problems: list[str] = []
    skipped: Counter[str] = Counter()
    for number, line in _lines(path):
        try:
            if len(line) > BEADS_LINE_BYTES_MAX:
                raise ValueError(f"it has more than {BEADS_LINE_BYTES_MAX:,} bytes")  # noqa: TRY301 - one report for all
            kind = _line_decoder.decode(line).kind
            if kind is not None and kind != _ISSUE:
                skipped[kind] += 1
                continue
            issue = _trimmed(_decoder.decode(line))
            if issue.id in issues:
                raise ValueError(f"the id {quoted(issue.id)} is in an earlier line too")  # noqa: TRY301 - one report for all
            desired[issue.id] = _desired(issue, actor)
            issues[issue.id] = issue
        except (msgspec.MsgspecError, InvalidValueError, RecursionError, ValueError) as error:
            problems.append(f"line {number}: {json_problem(line, error).rstrip('.')}")
    if problems:
        raise ImportRefusedError(path, problems)
    parents, left_out = _parents({key: issues[key] for key, target in desired.items() if target is not None})
    labels = [label for key, target in desired.items() if target is not None for label in issues[key].labels or ()]
    return BeadsExport(
        {task_id_of_alias(town, key): _below(target, parents.get(key), town) for key, target in desired.items()},
        left_out,
        {task_id_of_alias(town, key): key for key in desired},
        dict(sorted(skipped.items())),
        labels_trimmed=sum(bool(label.strip()) and label != label.strip() for label in labels),
        labels_dropped=sum(not label.strip() for label in labels),
    )


def _lines(path: Path) -> Iterator[tuple[int, bytes]]:
    """The lines that are not blank, with their numbers.

    Of an oversized line only a beginning, which is oversized too. ImportRefusedError if the file has too many lines or
    bytes; FolderRefusedError.
    """
    with refuse_os_errors(path), open_regular(path) as file:
        size = os.fstat(file.fileno()).st_size
        if size > BEADS_BYTES_MAX:
            raise ImportRefusedError(path, [f"it has {size:,} bytes, and an export at most {BEADS_BYTES_MAX:,}"])
        number = 0
        while line := file.readline(BEADS_LINE_BYTES_MAX + 1):
            number += 1
            if number > BEADS_LINES_MAX:
                raise ImportRefusedError(path, [f"it has more lines than {BEADS_LINES_MAX:,}, the most that are read"])
            rest = line
            while not rest.endswith(b"\n") and (rest := file.readline(BEADS_LINE_BYTES_MAX)):
                pass
            if line.strip():
                yield number, line.removeprefix(_BYTE_ORDER_MARK) if number == 1 else line


def _trimmed(issue: _Issue) -> _Issue:
    """The issue with blanks removed from the ends of its ids, as in aliases."""
    dependencies = [_Dependency(each.depends_on_id.strip(), each.type) for each in issue.dependencies or ()]
    return msgspec.structs.replace(issue, id=issue.id.strip(), dependencies=tuple(dependencies))


def _desired(issue: _Issue, actor: str) -> DesiredTask | None:
    """The issue as a desired task, still without its parent; None for a tombstone. ValueError, InvalidValueError."""
    if issue.status == _TOMBSTONE:
        return None
    check_text(issue.title, "title")
    state = _STATES.get(issue.status)
    if state is None:
        known = ", ".join([*_STATES, _TOMBSTONE])
        raise ValueError(f"the status {quoted(issue.status)} is not one of {known}")
    if issue.status == "open" and issue.assignee:
        state = State.ASSIGNED
    person = issue.assignee or issue.created_by or actor
    return DesiredTask(
        description=issue.title,
        state=state,
        agent=None if state is State.PENDING else person,
        tags=_tags(issue),
        alias=issue.id,
        source=Source.IMPORT,
        result=(issue.close_reason or None) if state is State.COMPLETED else None,
    )


def _tags(issue: _Issue) -> tuple[str, ...]:
    tags = [label for label in issue.labels or () if label.strip()]
    if issue.issue_type is not None:
        tags.append(f"type:{issue.issue_type}")
    if issue.priority is not None:
        tags.append(f"priority:{issue.priority}")
    if issue.status in _PENDING_WITH_TAG:
        tags.append(f"status:{issue.status}")
    return tuple(tags)


def _parents(issues: Mapping[str, _Issue]) -> tuple[dict[str, str], tuple[str, ...]]:
    """Issue -> parent, without missing parents and links on a circle; and the links that were left out."""
    links = {key: issue.parent for key, issue in issues.items() if issue.parent is not None}
    known = {key: parent for key, parent in links.items() if parent in issues}
    circular = _on_circles(known)
    left_out = [f"{key}: its parent {parent} does not exist" for key, parent in links.items() if key not in known]
    left_out += [f"{key}: its parent {known[key]} lies below it, in a circle" for key in circular]
    return {key: parent for key, parent in known.items() if key not in circular}, tuple(sorted(left_out))


def _on_circles(parents: Mapping[str, str]) -> set[str]:
    """The issues on a circle: those that remain after repeatedly removing every issue without children."""
    children = Counter(parents.values())
    on_circles = set(parents)
    childless = [key for key in parents if not children[key]]
    while childless:
        key = childless.pop()
        on_circles.discard(key)
        parent = parents[key]
        children[parent] -= 1
        if parent in parents and not children[parent]:
            childless.append(parent)
    return on_circles


def _below(target: DesiredTask | None, parent: str | None, town: str) -> DesiredTask | None:
    if target is None or parent is None:
        return target
    return msgspec.structs.replace(target, parent_id=task_id_of_alias(town, parent))
