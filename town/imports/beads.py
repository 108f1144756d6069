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

from ledger import DesiredTask, InvalidValueError, LinkKind, State, json_problem, task_id_of_alias
from town.errors import PROBLEMS_SHOWN_MAX, ImportRefusedError
from town.files.os_errors import refuse_os_errors
from town.files.regular_file import open_regular
from town.imports.beads_issue import (
    ISSUE,
    STATES,
    TOMBSTONE,
    ImportedNote,
    Issue,
    UnknownStatusError,
    decode_issue,
    desired_of_issue,
    notes_of,
    placeless,
)
from town.imports.beads_links import Links, check_links, links_of
from town.imports.quarantine import BadLine
from town.plans.plan import quoted

BEADS_BYTES_MAX: Final = 256 * 1024 * 1024
BEADS_LINE_BYTES_MAX: Final = 8 * 1024 * 1024
BEADS_LINES_MAX: Final = 200_000

_BYTE_ORDER_MARK: Final = b"\xef\xbb\xbf"


class _Line(Struct, frozen=True):
    """The kind of a line: beside issues, an export holds other records, and names their kind."""

    kind: str | None = field(default=None, name="_type")


class BeadsExport(Struct, frozen=True):
    """The content of an export: for each task id the task that the file wants, None for a removed one.

    The ids are those that new tasks for the issues would get; `aliases` has the issue of each, and `notes` its comments.
    `left_out` are the parents that were left out, `links_left_out` the other links. `skipped` counts the lines of each other
    kind, `no_place` the fields that say something and become nothing, and `texts_cut` names the texts that were too long.
    Labels with blanks around them are trimmed, empty ones dropped. `bad` are the lines that cannot be imported. `unnamed` are
    the tasks that need an agent and whose issues name nobody: they go to the actor, unless somebody has them already.
    """

    desired: dict[str, DesiredTask | None]
    left_out: tuple[str, ...]
    aliases: dict[str, str] = {}
    skipped: dict[str, int] = {}
    labels_trimmed: int = 0
    labels_dropped: int = 0
    notes: dict[str, tuple[ImportedNote, ...]] = {}
    links_left_out: tuple[str, ...] = ()
    no_place: dict[str, int] = {}
    texts_cut: tuple[str, ...] = ()
    bad: tuple[BadLine, ...] = ()
    unnamed: frozenset[str] = frozenset()

    def desired_of(self, ids: Mapping[str, str]) -> dict[str, DesiredTask | None]:
        """The desired tasks, their parents and links by the tasks' real ids. `ids` is alias -> id; an adopted task keeps its
        older id.
        """
        found = {task_id: ids[alias] for task_id, alias in self.aliases.items()}
        return {
            found[task_id]: None
            if target is None
            else msgspec.structs.replace(
                target,
                parent_id=found.get(target.parent_id or ""),
                links={kind: tuple(sorted(found[each] for each in to)) for kind, to in target.links.items()},
            )
            for task_id, target in self.desired.items()
        }


_line_decoder = msgspec.json.Decoder(_Line)


def read_beads(
    path: Path, *, town: str, actor: str, statuses: Mapping[str, State] = {}, skips_bad: bool = False
) -> BeadsExport:
    """The file's issues as tasks of `town`. An issue that needs an agent but names nobody goes to `actor`.

    `statuses` are the states of statuses that the tracker was taught. ImportRefusedError lists every bad line with its number,
    unless `skips_bad` leaves them out; FolderRefusedError if the file cannot be read.
    """
    reading = _Reading(actor, statuses)
    for number, start, size, line in _lines(path):
        reading.take(number, start, size, line)
    bad = reading.bad_lines()
    if bad and not skips_bad:
        advice = "Correct these and import again, or leave these lines out with --skip-bad."
        # Of more lines than are shown, the unknown statuses come first: they are to be named all at once.
        lines = bad if len(bad) <= PROBLEMS_SHOWN_MAX else dict.fromkeys([*reading.unknown_statuses(), *bad])
        raise ImportRefusedError(path, [f"line {each.number}: {each.problem}" for each in lines], advice)
    return reading.export(town, bad)


class _Reading:
    """Reads line after line, and keeps what was found."""

    def __init__(self, actor: str, statuses: Mapping[str, State]) -> None:
        self._actor = actor
        self._statuses = statuses
        self._issues: dict[str, Issue] = {}
        self._desired: dict[str, DesiredTask | None] = {}
        self._notes: dict[str, tuple[ImportedNote, ...]] = {}
        self._skipped: Counter[str] = Counter()
        self._no_place: Counter[str] = Counter()
        self._cut: list[str] = []
        self._bad: list[BadLine] = []
        self._unknown: dict[str, list[BadLine]] = {}

    def take(self, number: int, start: int, size: int, line: bytes) -> None:
        """Read a line, which may be bad."""
        try:
            self._take(line)
        except UnknownStatusError as error:
            self._unknown.setdefault(error.status, []).append(BadLine(number, start, size, ""))
        except (msgspec.MsgspecError, InvalidValueError, RecursionError, ValueError) as error:
            self._bad.append(BadLine(number, start, size, json_problem(line, error).rstrip(".")))

    def bad_lines(self) -> tuple[BadLine, ...]:
        """The bad lines in their order. Of those with an unknown status the first of each status says what to do."""
        return tuple(sorted([*self.unknown_statuses(), *self._bad]))

    def unknown_statuses(self) -> list[BadLine]:
        """The first line of each unknown status."""
        known = ", ".join([*STATES, TOMBSTONE])
        found: list[BadLine] = []
        for status, lines in self._unknown.items():
            count = len(lines)
            issues = "1 issue" if count == 1 else f"{count:,} issues"
            problem = (
                f"the status {quoted(status)}, of {issues}, is not one of {known};"
                f" say which state it is: --status {quoted_word(status)}=STATE"
            )
            found.append(lines[0]._replace(problem=problem))
        return found

    def skipped_lines(self) -> tuple[BadLine, ...]:
        """As `bad_lines`, and every further line with an unknown status."""
        others = [
            line._replace(problem=f"the status {quoted(status)}, as in line {lines[0].number}")
            for status, lines in self._unknown.items()
            for line in lines[1:]
        ]
        return tuple(sorted([*self.bad_lines(), *others]))

    def export(self, town: str, bad: tuple[BadLine, ...]) -> BeadsExport:
        """What the lines say together."""
        there = {key: issue for key, issue in self._issues.items() if self._desired[key] is not None}
        found = links_of(there)
        labels = [label for issue in there.values() for label in issue.labels or ()]
        ids = {key: task_id_of_alias(town, key) for key in self._desired}
        no_place = Counter({f"dependencies of type {kind}": count for kind, count in found.placeless.items()})
        no_place.update(self._no_place)
        return BeadsExport(
            {
                ids[key]: None if target is None else _tied(target, found.parents.get(key), found.links[key], ids)
                for key, target in self._desired.items()
            },
            found.parents_left_out,
            {task_id: key for key, task_id in ids.items()},
            dict(sorted(self._skipped.items())),
            labels_trimmed=sum(bool(label.strip()) and label != label.strip() for label in labels),
            labels_dropped=sum(not label.strip() for label in labels),
            notes={ids[key]: notes for key, notes in sorted(self._notes.items())},
            links_left_out=found.links_left_out,
            no_place=dict(sorted(no_place.items())),
            texts_cut=tuple(sorted(self._cut)),
            bad=self.skipped_lines() if bad else (),
            unnamed=frozenset(
                ids[key]
                for key, issue in there.items()
                if issue.person is None and (target := self._desired[key]) is not None and target.agent is not None
            ),
        )

    def _take(self, line: bytes) -> None:
        if len(line) > BEADS_LINE_BYTES_MAX:
            raise ValueError(f"it has more than {BEADS_LINE_BYTES_MAX:,} bytes")
        kind = _line_decoder.decode(line).kind
        if kind is not None and kind != ISSUE:
            self._skipped[kind] += 1
            return
        issue = decode_issue(line)
        if issue.id in self._issues:
            raise ValueError(f"the id {quoted(issue.id)} is in an earlier line too")
        cut: list[str] = []
        target = desired_of_issue(issue, actor=self._actor, states=self._statuses, cut=cut)
        if target is not None:
            check_links(issue)
            notes = notes_of(issue, cut)
            if notes:
                self._notes[issue.id] = notes
            self._no_place.update(placeless(line, issue, target))
            self._cut += cut
        self._desired[issue.id] = target
        self._issues[issue.id] = issue


def quoted_word(word: str) -> str:
    """The word as a shell takes it, shortened as in a fault."""
    import shlex  # noqa: PLC0415 - only a refusal pays for it

    return shlex.quote(word) if len(word) <= 64 and word.isprintable() else "STATUS"


def _tied(target: DesiredTask, parent: str | None, links: Links, ids: Mapping[str, str]) -> DesiredTask:
    wanted: dict[LinkKind, tuple[str, ...]] = {
        kind: tuple(sorted(ids[each] for each in to)) for kind, to in links.items()
    }
    return msgspec.structs.replace(target, parent_id=None if parent is None else ids[parent], links=wanted)


def _lines(path: Path) -> Iterator[tuple[int, int, int, bytes]]:
    """The lines that are not blank: their numbers, where they begin, their sizes, and their bytes.

    Of an oversized line only a beginning, which is oversized too. ImportRefusedError if the file has too many lines or
    bytes; FolderRefusedError.
    """
    with refuse_os_errors(path), open_regular(path) as file:
        size = os.fstat(file.fileno()).st_size
        if size > BEADS_BYTES_MAX:
            raise ImportRefusedError(path, [f"it has {size:,} bytes, and an export at most {BEADS_BYTES_MAX:,}"])
        number = start = 0
        while line := file.readline(BEADS_LINE_BYTES_MAX + 1):
            number += 1
            if number > BEADS_LINES_MAX:
                raise ImportRefusedError(path, [f"it has more lines than {BEADS_LINES_MAX:,}, the most that are read"])
            rest = line
            end = start + len(line)
            while not rest.endswith(b"\n") and (rest := file.readline(BEADS_LINE_BYTES_MAX)):
                end += len(rest)
            if line.strip():
                yield number, start, end - start, line.removeprefix(_BYTE_ORDER_MARK) if number == 1 else line
            start = end
