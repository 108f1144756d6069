"""PackedBoard: a board in packed blocks, which are unpacked where a question or an event needs their tasks. Pure.

It answers the questions of `Board` and folds events as `Board` does. A block says what its tasks have in common with others,
so that counts and pages need not unpack those that they do not show. Blocks that no event touched are packed once.
"""

from __future__ import annotations

import zlib
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from operator import attrgetter
from typing import Any, Final

import msgspec
from msgspec import Struct

from ledger import PRIORITY_DEFAULT, Position, RecordedEvent, State, Task
from projections.board import Board
from projections.filter import EVERY_TASK, SORT_KEYS, Page, Sort, TaskFilter, TaskKind, page_of
from projections.views.by_alias import is_computed
from projections.views.ready import OPEN_STATES, by_rank

BLOCK_TASKS: Final = 256
_ID_CHARS: Final = 36
_FASTEST: Final = 1
_kind_of: Final = attrgetter(*TaskKind.__struct_fields__)
_task_of: Final = attrgetter("task")
_by_age: Final = attrgetter("created_number")
_encoder: Final = msgspec.msgpack.Encoder()
_tasks_decoder: Final = msgspec.msgpack.Decoder(list[Task])
_kind_decoder: Final = msgspec.msgpack.Decoder(TaskKind)


class Summary(Struct, frozen=True, array_like=True, gc=False):
    """What is known of a block without unpacking its tasks."""

    ids: str
    """The ids of the tasks with a space between, in the order in which the tasks were created."""
    kinds: tuple[tuple[bytes, int], ...]
    """Kinds of task, and how many tasks are of each. A kind is the packed `TaskKind`."""
    aliases: tuple[tuple[str, str], ...]
    """(alias, id) of the adopted tasks with an alias."""

    def each_id(self) -> list[str]:
        """The ids, one by one."""
        return self.ids.split()


class _Packed(Struct, frozen=True, array_like=True, gc=False):
    """A block in bytes."""

    summary: Summary
    tasks: bytes


_packed_decoder: Final = msgspec.msgpack.Decoder(_Packed)


class Block:
    """Up to BLOCK_TASKS tasks, which were created one after the other: packed until somebody needs them.

    `digest` is that of its bytes; None if no bytes of its tasks as they are now were ever made.
    """

    __slots__ = ("_packed", "_summary", "_tasks", "digest")

    def __init__(self, packed: bytes | None = None, *, digest: bytes | None = None) -> None:
        self.digest = digest
        self._packed = None if packed is None else _packed_decoder.decode(packed)
        self._summary = None if self._packed is None else self._packed.summary
        self._tasks: list[Task] | None = [] if packed is None else None

    @property
    def summary(self) -> Summary:
        if self._summary is None:
            tasks = self.tasks
            self._summary = Summary(
                " ".join([task.id for task in tasks]),
                tuple((_encoder.encode(kind), count) for kind, count in Counter(map(_kind_of, tasks)).items()),
                tuple((task.alias, task.id) for task in tasks if task.alias is not None and not is_computed(task.id)),
            )
        return self._summary

    def __len__(self) -> int:
        return (len(self.summary.ids) + 1) // (_ID_CHARS + 1) if self._tasks is None else len(self._tasks)

    @property
    def is_unpacked(self) -> bool:
        return self._tasks is not None

    @property
    def tasks(self) -> list[Task]:
        """The tasks, in the order in which they were created; the list is the block's own."""
        if self._tasks is None:
            assert self._packed is not None, "a block is packed or unpacked"
            self._tasks = _tasks_decoder.decode(zlib.decompress(self._packed.tasks))
            self._packed = None
        return self._tasks

    def change(self, tasks: list[Task]) -> None:
        """Take these tasks in place of its own, or its own after they have changed."""
        self._tasks = tasks
        self._packed = self._summary = self.digest = None

    def pack(self) -> bytes:
        """The block in bytes."""
        packed = self._packed or _Packed(self.summary, zlib.compress(_encoder.encode(self.tasks), _FASTEST))
        return _encoder.encode(packed)


class PackedBoard:
    """All tasks of a town at one position. `blocks` and `removed` are those of a board that was packed at `position`."""

    def __init__(
        self,
        blocks: Iterable[Block] = (),
        *,
        removed: Mapping[str, tuple[int, Position]] | None = None,
        position: Position | None = None,
    ) -> None:
        self._blocks = list(blocks)
        self._unpacked = Board()
        """The tasks of all blocks that are unpacked."""
        self._unpacked.removed |= removed or {}
        if position is not None:
            self._unpacked.position = position
        self._settled_number = self.position.seq
        self._touched: dict[str, None] = {}
        """The tasks of the events that were folded since the blocks were last settled, in the order of their first event: so
        new ones are nearly in the order in which they were created, and sorting them is quick."""
        self._block_of: dict[str, Block] = {}
        self._has_packed = bool(self._blocks)
        self._is_indexed = not self._blocks

    @property
    def position(self) -> Position:
        return self._unpacked.position

    @property
    def removed(self) -> dict[str, tuple[int, Position]]:
        """As `Board.removed`."""
        return self._unpacked.removed

    @property
    def blocks(self) -> list[Block]:
        """The blocks, with all tasks as they are now."""
        self._settle()
        return self._blocks

    @property
    def tasks(self) -> dict[str, Task]:
        """All tasks by id, oldest first. It unpacks every block."""
        return {task.id: task for block in self.blocks for task in self._unpack(block)}

    def fold(self, events: list[RecordedEvent]) -> None:
        """Fold more events, which follow `position`. SequenceGapError if a version of a task is missing."""
        self._index()
        self._touched |= dict.fromkeys(map(_task_of, events))
        if self._has_packed:
            block_of = self._block_of
            for block in {block_of[task_id] for task_id in map(_task_of, events) if task_id in block_of}:
                self._unpack(block)
        self._unpacked.fold(events)

    def get(self, task_id: str) -> Task | None:
        block = next((block for block in self.blocks if task_id in block.summary.ids), None)
        return None if block is None else next((task for task in self._unpack(block) if task.id == task_id), None)

    def find(self, prefix: str, *, limit: int) -> list[str]:
        """As `Board.find`."""
        ids = (task_id for block in self.blocks for task_id in block.summary.each_id())
        return sorted(task_id for task_id in ids if task_id.startswith(prefix))[:limit]

    def find_alias(self, alias: str) -> Task | None:
        """As `Board.find_alias`."""
        found = (task_id for block in self.blocks for known, task_id in block.summary.aliases if known == alias)
        task_id = next(found, None)
        return None if task_id is None else self.get(task_id)

    def page(self, wanted: TaskFilter = EVERY_TASK, *, offset: int = 0, limit: int | None = None) -> Page:
        """As `Board.page`. It unpacks only the blocks that the page is in, but by time of change all that match."""
        if wanted.sort is Sort.UPDATED:
            return page_of(wanted.in_order(self._matching(wanted)), offset=offset, limit=limit)
        key = SORT_KEYS.get(wanted.sort, _all_alike)
        runs = self._runs(wanted, key)
        total = sum(count for run in runs.values() for _, count in run)
        last = total if limit is None else min(offset + limit, total)
        found: list[Task] = []
        passed = 0
        for value in sorted(runs, reverse=wanted.is_newest_first):
            for block, count in reversed(runs[value]) if wanted.is_newest_first else runs[value]:
                if offset < passed + count and passed < last:
                    tasks = [task for task in self._unpack(block) if wanted.matches(task) and key(task) == value]
                    if wanted.is_newest_first:
                        tasks.reverse()
                    found += tasks[max(offset - passed, 0) : last - passed]
                passed += count
        return Page(tuple(found), total, has_more=last < total)

    def ids(self, wanted: TaskFilter) -> list[str]:
        """The ids of all tasks that match."""
        return [task.id for task in self.page(wanted).tasks]

    def backlog(self, *, offset: int = 0, limit: int | None = None) -> Page:
        """As `Board.backlog`."""
        kinds = [kind for kind, _ in self._count_kinds() if not kind.state.is_terminal]
        is_pending = [kind for kind in kinds if kind.state is State.PENDING]
        if not any(kind.needs for kind in kinds) and all(
            kind.priority == PRIORITY_DEFAULT and kind.assigned_to is None for kind in is_pending
        ):
            # By rank is then by age.
            return self.page(TaskFilter(state=State.PENDING), offset=offset, limit=limit)
        return page_of(by_rank(self._matching(TaskFilter(state=OPEN_STATES))), offset=offset, limit=limit)

    def count_states(self) -> dict[State, int]:
        """As `Board.count_states`."""
        counts = Counter[State]()
        for kind, count in self._count_kinds():
            counts[kind.state] += count
        return {state: counts[state] for state in State}

    def count_agents(self) -> dict[str, dict[State, int]]:
        """As `Board.count_agents`."""
        counts = Counter[tuple[str, State]]()
        for kind, count in self._count_kinds():
            if kind.assigned_to is not None:
                counts[kind.assigned_to, kind.state] += count
        agents = sorted({agent for agent, _ in counts})
        return {agent: {state: counts[agent, state] for state in State} for agent in agents}

    def count_unpacked(self) -> int:
        """How many tasks are in blocks without a digest, so that keeping the board packs them."""
        return sum(len(block) for block in self.blocks if block.digest is None)

    def _matching(self, wanted: TaskFilter) -> Iterator[Task]:
        """The tasks that match, oldest first."""
        is_wanted = _Remembered(wanted.matches)
        for block in self.blocks:
            if any(is_wanted[kind] for kind, _ in block.summary.kinds):
                yield from (task for task in self._unpack(block) if wanted.matches(task))

    def _runs(self, wanted: TaskFilter, key: Callable[[Any], Any]) -> dict[Any, list[tuple[Block, int]]]:
        """What `key` says of the tasks that match -> the blocks with such tasks, and how many of them each has."""
        value_of = _Remembered(lambda kind: (key(kind),) if wanted.matches(kind) else ())
        runs: dict[Any, list[tuple[Block, int]]] = {}
        for block in self.blocks:
            counts: dict[Any, int] = {}
            for kind, count in block.summary.kinds:
                for value in value_of[kind]:
                    counts[value] = counts.get(value, 0) + count
            for value, count in counts.items():
                runs.setdefault(value, []).append((block, count))
        return runs

    def _count_kinds(self) -> list[tuple[TaskKind, int]]:
        counts = Counter[bytes]()
        for block in self.blocks:
            for kind, count in block.summary.kinds:
                counts[kind] += count
        return [(_kind_decoder.decode(kind), count) for kind, count in counts.items()]

    def _unpack(self, block: Block) -> list[Task]:
        if not block.is_unpacked:
            self._unpacked.tasks.update((task.id, task) for task in block.tasks)
        return block.tasks

    def _index(self) -> None:
        if not self._is_indexed:
            for block in self._blocks:
                self._block_of |= dict.fromkeys(block.summary.each_id(), block)
            self._is_indexed = True

    def _settle(self) -> None:
        """Put the tasks that events touched into their blocks; a new one, or one that came back, is the newest."""
        if not self._touched:
            return
        tasks, block_of, settled_number = self._unpacked.tasks, self._block_of, self._settled_number
        changed: set[Block] = set()
        left: set[Block] = set()
        new: list[Task] = []
        for task_id in self._touched:
            block, task = block_of.get(task_id), tasks.get(task_id)
            if block is None:
                if task is not None:
                    new.append(task)
                continue
            changed.add(block)
            if task is None or _number(task) > settled_number:
                # It was removed. If it came back, it is as new as others that were created since.
                del block_of[task_id]
                left.add(block)
                if task is not None:
                    new.append(task)
        for block in changed:
            is_left = block in left
            block.change([task for task in block.tasks if block_of.get(task.id) is block] if is_left else block.tasks)
        if not all(map(len, left)):
            self._blocks = [block for block in self._blocks if len(block)]
        new.sort(key=_by_age)
        self._add(new)
        self._settled_number = self.position.seq
        self._touched = {}

    def _add(self, new: list[Task]) -> None:
        """Add tasks that are newer than all others; the last block is filled first."""
        start = 0
        if new and self._blocks:
            last = self._blocks[-1]
            start = max(BLOCK_TASKS - len(last), 0)
            if start:
                self._unpack(last)
                self._put(last, new[:start])
        for first in range(start, len(new), BLOCK_TASKS):
            block = Block()
            self._blocks.append(block)
            self._put(block, new[first : first + BLOCK_TASKS])

    def _put(self, block: Block, tasks: list[Task]) -> None:
        block.change(block.tasks + tasks)
        self._block_of.update(dict.fromkeys([task.id for task in tasks], block))


class _Remembered(dict[bytes, Any]):
    """Packed kind -> what a function says of the kind, which is asked once."""

    def __init__(self, ask: Callable[[TaskKind], Any]) -> None:
        super().__init__()
        self._ask = ask

    def __missing__(self, packed: bytes) -> Any:  # noqa: ANN401 - whatever the function returns
        answer = self[packed] = self._ask(_kind_decoder.decode(packed))
        return answer


def _all_alike(_task: Task | TaskKind) -> None:
    """For tasks in the order of their creation, which is that of the blocks."""


def _number(task: Task) -> int:
    assert task.created_number is not None, "the task was folded"
    return task.created_number
