"""Compares snapshots and views with the fold of the ledger, online: while others append and project.

Each answer is read together with the checkpoint, in one transaction. Where the checkpoint has moved on, the fold follows
it and the question is asked again; so a difference is a difference at one position, never a race. `verify` reports the
differences, `rebuild` takes them away.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from copy import copy
from enum import StrEnum
from functools import partial
from itertools import islice
from typing import TYPE_CHECKING, Any, Final, TypeVar, cast

from msgspec import Struct

from ledger import (
    BEGINNING,
    TOWN_ID,
    EventStore,
    Keys,
    LedgerDamagedError,
    Position,
    RecordedEvent,
    ReplyTooLargeError,
    ResponseError,
    StoreUnavailableError,
    Task,
    kinds_of,
    raise_error,
    redis_errors,
)
from projections.board import Board
from projections.changes import Changes
from projections.entries import Contents, CountsByKey, Tally, ViewEntries
from projections.errors import CheckpointAheadError, CheckpointSetBackError
from projections.neighbours import BoardNeighbours
from projections.snapshots import NAME, OLD_FIELDS, encode_snapshot, is_old_record, is_snapshot_of
from projections.views.view import Counted, Member, Ranked, View, ViewEntry

if TYPE_CHECKING:
    from redis import Redis
    from redis.client import Pipeline

TASKS_PER_QUESTION: Final = 500
KEYS_PER_QUESTION: Final = 200
_ATTEMPTS_MAX: Final = 10_000
_SCAN_COUNT: Final = 1_000
_COUNT_END: Final = 10**15
_PASSES_MAX: Final = 100

Asked = TypeVar("Asked")
Question = Callable[[], "list[Difference]"]


class DifferenceKind(StrEnum):
    """What differs."""

    SNAPSHOT = "snapshot"
    ENTRY = "entry"
    COUNT = "count"
    TYPE = "type"
    UNKNOWN_KEY = "stranger"
    CHECKPOINT = "checkpoint"


class Difference(Struct, frozen=True, kw_only=True):
    """One thing in a town's keys that is not as the ledger says, at one position.

    `expected` and `actual` are a snapshot's JSON, an entry's score (0 in a plain set), or a count; None is absent.
    """

    kind: DifferenceKind
    key: str
    task_id: str | None = None
    field: str | None = None
    expected: str | int | None = None
    actual: str | int | None = None
    is_ranked: bool = False
    is_old_record: bool = False
    """Whether it is a task from before the ledger, which `tt migrate` adopts and nobody drops."""
    is_written_over: bool = False
    """Whether what lies in the place of a snapshot is an old record, which whoever puts the snapshot back sets aside."""

    @property
    def is_foreign(self) -> bool:
        """Whether it is about a name that is no text: nothing of ours ever is."""
        name = self.key if self.kind is DifferenceKind.UNKNOWN_KEY else self.task_id or ""
        return not _is_text(name)

    def remove(self, client: Redis) -> None:
        """Delete the foreign name; no checkpoint need be asked, because it can be nobody's."""
        if self.kind is DifferenceKind.UNKNOWN_KEY:
            client.unlink(_as_bytes(self.key))
        elif self.is_ranked:
            client.zrem(self.key, _as_bytes(self.task_id or ""))
        else:
            client.srem(self.key, _as_bytes(self.task_id or ""))

    def repair(self, changes: Changes) -> None:
        """Add to `changes` what takes the difference away."""
        match self.kind:
            case DifferenceKind.ENTRY:
                assert self.task_id is not None
                score = int(self.expected or 0)
                entry = Ranked(None, score) if self.is_ranked else Member(None)
                (changes.take if self.expected is None else changes.add)(self.key, entry, [self.task_id])
            case DifferenceKind.COUNT:
                assert self.field is not None
                changes.count(self.key, self.field, int(self.expected or 0) - int(self.actual or 0))
            case DifferenceKind.TYPE | DifferenceKind.UNKNOWN_KEY:
                changes.drop(self.key)


class Comparison:
    """One town's keys against the fold of its ledger; `views` and `has_snapshots` say what is compared."""

    def __init__(
        self,
        client: Redis,
        keys: Keys,
        *,
        views: Sequence[View],
        has_snapshots: bool = True,
        board: Board | None = None,
        where: str = "redis",
    ) -> None:
        self._client = client
        self._keys = keys
        self._where = where
        self._views = views
        self._task_prefix = keys.task("")
        self._view_keys = {keys.view(view.name) for view in views}
        self._has_snapshots = has_snapshots
        self._store = EventStore(client, keys, where=where)
        self._entries = ViewEntries(keys, views)
        self._covered: set[str] = set()
        self._is_covering_new = False
        self.heartbeat: Callable[[], None] = lambda: None
        """Called now and then while many keys are looked through."""
        self.follows_checkpoint = True
        """Whether an answer counts only at the checkpoint; not so where the checkpoint cannot be trusted."""
        self._sizes: Counter[str] = Counter()
        self._missing: Counter[str] = Counter()
        self._ranked: set[str] = set()
        self._counts: CountsByKey = defaultdict(Counter)
        self.tally: Final = Tally(self._entries.followers, self._counts)
        """Counts folded events in the views that follow events."""
        self.board = Board() if board is None else board
        self._neighbours: BoardNeighbours | None = None

    @property
    def neighbours(self) -> BoardNeighbours | None:
        """What the view `ready` holds about the tasks of the board; None if it is not compared. Made when it is first asked for."""
        if self._neighbours is None and self._entries.has_ready:
            self._neighbours = BoardNeighbours(self.board.tasks)
        return self._neighbours

    # --- following the checkpoint ------------------------------------------------------------------------------

    def fold_to(self, position: Position, *, progress: Callable[[Position], None] | None = None) -> None:
        """Fold the ledger's events up to `position`. LedgerDamagedError with the position.

        StoreUnavailableError if what was folded before is no beginning of the ledger any more.
        """
        if position != self.board.position:
            self._require_beginning()
        for batch in self._store.read_batches(self.board.position, upto=position):
            touched = self._touched(batch)
            before = {} if self._neighbours is None else self._copies(batch)
            for task in touched:
                self._count(self._entries_of(task), -1)
            self.board.fold(batch, tally=self.tally if self._entries.followers else None)
            for task in touched:
                self._count(self._entries_of(task), +1)
            self._follow(before, touched)
            self._covered |= touched
            if progress is not None:
                progress(self.board.position)

    def _require_beginning(self) -> None:
        reached = self.board.position
        if reached == BEGINNING or self._store.has(reached) or self._store.look_at_end()[0] == reached:
            return
        raise StoreUnavailableError(
            self._where,
            f"lacks event {reached.seq:,}, which was read from it before: another server has taken over",
            "Run the command again: it begins anew.",
        )

    # --- questions ---------------------------------------------------------------------------------------------

    def questions(self, *, progress: Callable[[int, int], None] | None = None) -> Iterator[Question]:
        """Everything there is to ask, task by task, then key by key. A question may be asked again, and answers anew.

        `progress` is called with how many tasks were asked about and how many there are.
        """
        yield from self.questions_on_snapshots()
        for ids in self.batches(progress=progress):
            yield partial(self._ask_in_parts, self._ask_tasks, ids)
        yield from self.questions_on_views()

    def batches(
        self, *, tasks_max: int = TASKS_PER_QUESTION, progress: Callable[[int, int], None] | None = None
    ) -> Iterator[list[str]]:
        """The ids of all tasks, also of those that come meanwhile; each batch is to be asked about, or written, and `cover`ed."""
        for _ in range(_PASSES_MAX):
            remaining = [task for task in self.board.tasks if task not in self._covered]
            if not remaining:
                break
            for ids in _batches(remaining, tasks_max):
                yield ids
                if progress is not None:
                    progress(len(self._covered), len(self.board.tasks))

    def contents(self, ids: Sequence[str]) -> tuple[list[Task], Contents]:
        """The tasks of `ids` that are there, and what all views hold of them."""
        tasks = [self.board.tasks[task] for task in ids if task in self.board.tasks]
        return tasks, self._entries.contents(tasks, self.neighbours)

    def cover(self, tasks: Sequence[Task], contents: Contents) -> None:
        """The tasks were asked about or written: from now on account is kept of what the views hold of them."""
        fresh = [task for task in tasks if task.id not in self._covered]
        if len(fresh) < len(tasks):
            # Some are asked about again.
            contents = self._entries.contents(fresh, self.neighbours)
        for key, members in contents.members.items():
            self._sizes[key] += len(members)
        for key, scores in contents.scores.items():
            self._sizes[key] += len(scores)
            self._ranked.add(key)
        for key, counts in contents.counts.items():
            self._counts[key].update(counts)
        self._covered.update(task.id for task in fresh)

    def questions_on_snapshots(self) -> Iterator[Question]:
        """Snapshots of tasks that the ledger does not know. Source: SCAN."""
        if self._has_snapshots:
            yield from self._questions_on_unexpected_keys(self._keys.task("*"))

    def questions_on_views(self) -> Iterator[Question]:
        """What is in views beside the entries of the tasks, and counts. For when every task is `cover`ed."""
        # Tasks that come from now on are covered as they are folded, and those that came too fast are covered unasked:
        # their keys are not unknown.
        self._is_covering_new = True
        self.cover(*self.contents(sorted(self.board.tasks.keys() - self._covered)))
        yield from self._questions_on_unexpected_keys(self._keys.view("*"))
        yield from self._questions_on_members()
        for names in _batches(list(self._counts), KEYS_PER_QUESTION):
            yield partial(self._ask, partial(self._ask_counts, names=names))
        if self._has_snapshots:
            yield from self._questions_on_unknown_keys()

    def _questions_on_unknown_keys(self) -> Iterator[Question]:
        """Keys of views and checkpoints that this program does not have; those of a newer one, or of nobody. Source: SCAN."""
        checkpoints = {self._keys.checkpoint(name) for name in (NAME, *(view.name for view in self._views))}
        found = {*self._scan(self._keys.view("*")), *self._scan(self._keys.checkpoint("*"))}
        unknown = sorted(name for name in found - checkpoints if not self._is_compared(name))
        for names in _batches(unknown, KEYS_PER_QUESTION):
            yield partial(self._ask_in_parts, self._ask_unknown_keys, names)

    def restart(self, board: Board) -> None:
        """Begin again with another board, which is at the ledger's beginning."""
        self.board = board
        self._neighbours = None
        self._counts.clear()

    def _questions_on_unexpected_keys(self, pattern: str) -> Iterator[Question]:
        """Keys of snapshots and views that the ledger knows nothing of. Source: SCAN."""
        for found in _batches(self._scan(pattern), KEYS_PER_QUESTION):
            names = sorted(name for name in found if self._is_compared(name) and not self._is_known(name))
            if names:
                yield partial(self._ask_in_parts, self._ask_unknown_keys, names)

    def _questions_on_members(self) -> Iterator[Question]:
        """Entries that no task has: only in sets that are larger than they should be. Source: SCARD, SSCAN."""
        for names in _batches(list(self._sizes), KEYS_PER_QUESTION):
            for key in self._ask(partial(self._ask_sizes, names=names)):
                for found in _batches(self._scan_members(key), TASKS_PER_QUESTION):
                    yield partial(self._ask, partial(self._ask_members, key=key, found=found))

    # --- one question each: what is asked in the transaction, and what its answers mean ------------------------

    def _ask_in_parts(
        self,
        question: Callable[[Pipeline, Sequence[str]], Callable[[list[Any]], list[Difference]]],
        names: Sequence[str],
    ) -> list[Difference]:
        """Ask about all of `names` at once, or about halves of them where the answer is too large."""
        try:
            return self._ask(lambda pipeline: question(pipeline, names))
        except ReplyTooLargeError:
            if len(names) == 1:
                raise
            half = len(names) // 2
            return self._ask_in_parts(question, names[:half]) + self._ask_in_parts(question, names[half:])

    def _ask(self, question: Callable[[Pipeline], Callable[[list[Any]], Asked]]) -> Asked:
        """Ask in one transaction with the checkpoint, again until both are of the position that is folded to."""
        for _ in range(_ATTEMPTS_MAX):
            with redis_errors(self._where):
                pipeline = self._client.pipeline(transaction=True)
                pipeline.hget(self._keys.checkpoint(NAME), "position")
                understand = question(pipeline)
                answers = pipeline.execute(raise_on_error=False)
                raise_error(answers, but="WRONGTYPE")
            reached = _position_in(answers[0])
            if reached == self.board.position or not self.follows_checkpoint:
                return understand(answers[1:])
            if reached < self.board.position:
                self._require_beginning()
                raise CheckpointSetBackError(reached, self.board.position)
            self.fold_to(reached)
            if self.board.position != reached:
                raise CheckpointAheadError(reached, self.board.position)
        raise LedgerDamagedError("The checkpoint moves faster than it can be followed. Try again when less is written.")

    def _ask_tasks(self, pipeline: Pipeline, ids: Sequence[str]) -> Callable[[list[Any]], list[Difference]]:
        tasks, contents = self.contents(ids)
        if self._has_snapshots and tasks:
            pipeline.mget([self._task_prefix + task.id for task in tasks])
        for key, names in contents.members.items():
            pipeline.smismember(key, names)
        for key, scores in contents.scores.items():
            pipeline.zmscore(key, list(scores))

        def understand(answers: list[Any]) -> list[Difference]:
            rest = iter(answers)
            found: list[Difference] = []
            if self._has_snapshots and tasks:
                snapshots = next(rest)
                with redis_errors(self._where):
                    # A server that is one never answers MGET with WRONGTYPE.
                    raise_error([snapshots])
                found = self._different_snapshots(tasks, snapshots)
            for key, names in contents.members.items():
                found += _different_members(key, names, next(rest))
            for key, scores in contents.scores.items():
                found += _different_ranks(key, scores, next(rest))
            self._missing.update(
                each.key for each in found if each.kind is DifferenceKind.ENTRY and each.actual is None
            )
            self.cover(tasks, contents)
            return found

        return understand

    def _ask_unknown_keys(self, pipeline: Pipeline, names: Sequence[str]) -> Callable[[list[Any]], list[Difference]]:
        for name in names:
            key = _as_bytes(name)
            pipeline.exists(key)
            pipeline.get(key)
            pipeline.execute_command("HMGET", key, *OLD_FIELDS)  # type: ignore[no-untyped-call]

        def understand(answers: list[Any]) -> list[Difference]:
            there = zip(names, answers[::3], answers[1::3], answers[2::3], strict=True)
            return [
                Difference(
                    kind=DifferenceKind.UNKNOWN_KEY,
                    key=name,
                    actual="a key",
                    is_old_record=_is_old_record(text, fields),
                )
                for name, is_there, text, fields in there
                if is_there and not self._is_known(name)
            ]

        return understand

    def _ask_sizes(self, pipeline: Pipeline, names: Sequence[str]) -> Callable[[list[Any]], list[str]]:
        for name in names:
            (pipeline.zcard if name in self._ranked else pipeline.scard)(name)

        def understand(answers: list[Any]) -> list[str]:
            sizes = zip(names, answers, strict=True)
            return [
                name for name, size in sizes if isinstance(size, int) and size > self._sizes[name] - self._missing[name]
            ]

        return understand

    def _ask_members(
        self, pipeline: Pipeline, key: str, found: Sequence[str]
    ) -> Callable[[list[Any]], list[Difference]]:
        is_ranked = key in self._ranked
        (pipeline.zmscore if is_ranked else pipeline.smismember)(key, [_as_bytes(task) for task in found])  # type: ignore[misc]

        def understand(answers: list[Any]) -> list[Difference]:
            return [
                Difference(
                    kind=DifferenceKind.ENTRY, key=key, task_id=task, actual=f"{answer:.17g}", is_ranked=is_ranked
                )
                for task, answer in zip(found, answers[0], strict=True)
                if (answer is not None if is_ranked else answer) and not self._is_entry(key, task)
            ]

        return understand

    def _ask_counts(self, pipeline: Pipeline, names: Sequence[str]) -> Callable[[list[Any]], list[Difference]]:
        for name in names:
            pipeline.hgetall(name)

        def understand(answers: list[Any]) -> list[Difference]:
            return [
                difference
                for name, answer in zip(names, answers, strict=True)
                for difference in _different_counts(name, self._counts[name], answer)
            ]

        return understand

    def _different_snapshots(self, tasks: Sequence[Task], answers: Sequence[bytes | None]) -> list[Difference]:
        found: list[Difference] = []
        for task, actual in zip(tasks, answers, strict=True):
            if not is_snapshot_of(actual, task):
                shown = None if actual is None else actual.decode(errors="replace")
                difference = Difference(
                    kind=DifferenceKind.SNAPSHOT,
                    key=self._keys.task(task.id),
                    task_id=task.id,
                    expected=encode_snapshot(task).decode(),
                    actual=shown,
                    is_written_over=is_old_record(actual, ()),
                )
                found.append(difference)
        # MGET takes a key of another type for a missing one.
        misused = self._of_another_type([difference.key for difference in found if difference.actual is None])
        return [difference for difference in found if difference.key not in misused] + [
            Difference(kind=DifferenceKind.TYPE, key=key, actual="not a string", is_written_over=is_record)
            for key, is_record in misused.items()
        ]

    def _touched(self, events: Sequence[RecordedEvent]) -> set[str]:
        """The tasks of the events whose entries are counted, or are to be from now on."""
        if not self._covered and not self._is_covering_new:
            return set()
        tasks = {recorded.task for recorded in events}
        return tasks if self._is_covering_new else tasks & self._covered

    def _copies(self, events: Sequence[RecordedEvent]) -> dict[str, Task | None]:
        """The tasks of the events as they are before a fold, which changes them in place."""
        return {recorded.task: copy(self.board.get(recorded.task)) for recorded in events if recorded.task != TOWN_ID}

    def _follow(self, before: Mapping[str, Task | None], new: set[str]) -> None:
        """Take over into the view `ready` how a fold led tasks from `before`; `new` are those that are counted from now on."""
        if self._neighbours is None:
            return
        for task_id, settled in self._neighbours.follow(before).items():
            if task_id in self._covered:
                self._count(self._entries.of_ready(settled.before), -1)
            if task_id in self._covered or task_id in new:
                self._count(self._entries.of_ready(settled.after), +1)

    # --- what is known -----------------------------------------------------------------------------------------

    def _count(self, entries: Iterable[tuple[str, ViewEntry]], sign: int) -> None:
        """Add entries to what the keys should hold, or take them away."""
        for key, entry in entries:
            if isinstance(entry, Counted):
                self._counts[key][entry.field] += sign
            else:
                self._sizes[key] += sign
                if isinstance(entry, Ranked):
                    self._ranked.add(key)

    def _entries_of(self, task_id: str) -> Iterable[tuple[str, ViewEntry]]:
        state = self.board.get(task_id)
        return () if state is None else self._entries.of(state)

    def _is_compared(self, name: str) -> bool:
        """Whether a key is of the snapshots or of one of the views that are compared."""
        return name.startswith(self._task_prefix) or any(
            name == key or name.startswith(f"{key}:") for key in self._view_keys
        )

    def _is_known(self, name: str) -> bool:
        if name.startswith(self._task_prefix):
            return name.removeprefix(self._task_prefix) in self.board.tasks
        return (
            self._sizes[name] > 0 or any(self._counts[name].values()) if name in self._counts else self._sizes[name] > 0
        )

    def _is_entry(self, key: str, task_id: str) -> bool:
        neighbours = self.neighbours
        ready = [] if neighbours is None else self._entries.of_ready(neighbours.entries(task_id))
        return any(each == key for each, _ in (*self._entries_of(task_id), *ready))

    def _of_another_type(self, keys: Sequence[str]) -> dict[str, bool]:
        """The keys that are there after all, and hold something that is no string; whether that is an old record."""
        with redis_errors(self._where):
            pipeline = self._client.pipeline(transaction=False)
            for key in keys:
                pipeline.type(key)
                pipeline.execute_command("HMGET", key, *OLD_FIELDS)  # type: ignore[no-untyped-call]
            answers = pipeline.execute(raise_on_error=False)
            raise_error(answers, but="WRONGTYPE")
        found = zip(keys, answers[::2], answers[1::2], strict=True)
        return {key: _is_old_record(None, fields) for key, kind, fields in found if kind not in (b"none", b"string")}

    def _scan(self, pattern: str) -> Iterator[str]:
        escaped = pattern[:-1].translate(_GLOB) + "*" if pattern.endswith("*") else pattern.translate(_GLOB)
        with redis_errors(self._where):
            for number, name in enumerate(self._client.scan_iter(match=escaped, count=_SCAN_COUNT)):
                if number % _SCAN_COUNT == 0:
                    self.heartbeat()
                yield name.decode(errors="surrogateescape")

    def _scan_members(self, key: str) -> Iterator[str]:
        scan = self._client.zscan_iter if key in self._ranked else self._client.sscan_iter
        with redis_errors(self._where):
            for found in scan(key, count=_SCAN_COUNT):
                member = found[0] if key in self._ranked else found
                yield member.decode(errors="surrogateescape")


_GLOB: Final = {ord(char): f"\\{char}" for char in "*?[]\\^"}


def _different_members(key: str, names: Sequence[str], answers: object) -> list[Difference]:
    found: list[Difference] = []
    if isinstance(answers, kinds_of(ResponseError)):
        found.append(Difference(kind=DifferenceKind.TYPE, key=key, actual="another type"))
        answers = [0] * len(names)
    pairs = zip(names, cast("list[int]", answers), strict=True)
    return found + [
        Difference(kind=DifferenceKind.ENTRY, key=key, task_id=task, expected=0) for task, is_in in pairs if not is_in
    ]


def _different_ranks(key: str, scores: dict[str, int], answers: object) -> list[Difference]:
    found: list[Difference] = []
    if isinstance(answers, kinds_of(ResponseError)):
        found.append(Difference(kind=DifferenceKind.TYPE, key=key, actual="another type"))
        answers = [None] * len(scores)
    pairs = zip(scores.items(), cast("list[float | None]", answers), strict=True)
    return found + [
        Difference(
            kind=DifferenceKind.ENTRY,
            key=key,
            task_id=task,
            expected=score,
            actual=None if actual is None else f"{float(actual):.17g}",
            is_ranked=True,
        )
        for (task, score), actual in pairs
        if actual is None or float(actual) != score
    ]


def _different_counts(key: str, expected: Mapping[str, int], answer: object) -> list[Difference]:
    actual = _counts_in(answer)
    found: list[Difference] = []
    if actual is None:
        found.append(Difference(kind=DifferenceKind.TYPE, key=key, actual="not a hash of counts"))
        actual = {}
    return found + [
        Difference(
            kind=DifferenceKind.COUNT,
            key=key,
            field=field,
            expected=expected.get(field, 0),
            actual=actual.get(field, 0),
        )
        for field in sorted(actual.keys() | expected.keys())
        if actual.get(field, 0) != expected.get(field, 0)
    ]


def _counts_in(answer: object) -> dict[str, int] | None:
    """The counts in a hash; None where it is no hash, or holds something else."""
    try:
        counts = {field.decode(): int(value) for field, value in cast("dict[bytes, bytes]", answer).items()}
    except (AttributeError, ValueError):
        return None
    written = cast("dict[bytes, bytes]", answer).values()
    are_counts = all(
        b"%d" % count == value and 0 < abs(count) < _COUNT_END
        for count, value in zip(counts.values(), written, strict=True)
    )
    return counts if are_counts else None


def _position_in(answer: object) -> Position:
    """Where a checkpoint is; one that was never written, or that is none, is at the beginning."""
    try:
        return Position.parse(cast("bytes", answer).decode())
    except (AttributeError, ValueError):
        return BEGINNING


def _is_old_record(text: object, fields: object) -> bool:
    """What GET and HMGET answered; one of them is an error."""
    return is_old_record(text if isinstance(text, bytes) else None, fields if isinstance(fields, list) else ())


def _is_text(name: str) -> bool:
    try:
        name.encode()
    except UnicodeEncodeError:
        return False
    return True


def printable(text: str) -> str:
    """`text` with bytes that are no text written out."""
    return text.encode(errors="backslashreplace").decode()


def _as_bytes(name: str) -> bytes:
    """A name as it was read from the server, which may be no text."""
    return name.encode(errors="surrogateescape")


def _batches(items: Iterable[str], size: int) -> Iterator[list[str]]:
    iterator = iter(items)
    while batch := list(islice(iterator, size)):
        yield batch
