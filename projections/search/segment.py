"""A segment of the index: which of some tasks have which word, as blocks of bytes. Pure.

The blocks of words hold the words in their order, each with the numbers of the tasks that have it, apart for each place. The
blocks of tasks hold the tasks' numbers in their order, each with its id. `SegmentHead` names the first entry of each block
and its digest, so nobody can be answered from a block that is damaged, old, or of another index.
"""

from __future__ import annotations

import zlib
from array import array
from bisect import bisect_left, bisect_right
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import lru_cache
from hashlib import blake2b
from typing import Annotated, Final, NamedTuple

import msgspec
from msgspec import Meta, Struct

from ledger import State, Task
from projections.filter import TaskFilter
from projections.search.query import worth_of
from projections.search.texts import Place, TaskTexts
from projections.search.words import PREFIX_CHARS_MIN, words_of

WORD_BLOCK_BYTES: Final = 32 * 1024
"""About how large a block of words is before it is compressed. A word that very many tasks have makes a larger one."""
WORD_BLOCK_BYTES_MAX: Final = 256 * 1024 * 1024
TASKS_PER_BLOCK: Final = 1_024
SEGMENT_NUMBER_END: Final = 2**30
_DIGEST_BYTES: Final = 16
_ID_BYTES: Final = 16
_NUMBERS: Final = "I"
"""Numbers of tasks are stored with four bytes each, which is a limit on the events of a town that is searched quickly."""
_NUMBER_BYTES: Final = array(_NUMBERS).itemsize
NUMBER_MAX: Final = 2**32 - 1
_AFTER_EVERY_WORD: Final = "\U0010ffff"
_COMPRESSION: Final = 1
_MARK: Final = "\0"
"""Words begin with a letter or digit. What begins with this is a condition that a task meets."""
CONDITION: Final = 0
"""The place of conditions: they have only one."""
_SAID_OFTEN: Final = frozenset({Place.TAG, Place.RESULT, Place.REASON})
"""Texts that many tasks have in common, so that they are cut into words once."""
_CUT_TEXTS_MAX: Final = 1_000


class IndexDamagedError(Exception):
    """A block of the index is missing or not what it should be. The index can be made again."""


class BlockHead(Struct, frozen=True, array_like=True):
    """A block: its first word or task number, and the digest of its bytes."""

    first: str | int
    digest: bytes


class SegmentHead(Struct, frozen=True, array_like=True):
    """A segment: its number in the index, how many tasks it has, and its blocks in their order."""

    number: Annotated[int, Meta(ge=0, lt=SEGMENT_NUMBER_END)]
    tasks: int
    word_blocks: tuple[BlockHead, ...]
    task_blocks: tuple[BlockHead, ...]


class Segment(NamedTuple):
    """A segment and the bytes of its blocks."""

    head: SegmentHead
    words: Sequence[bytes]
    tasks: Sequence[bytes]


class Postings(NamedTuple):
    """The tasks that have a word, by the worth of the place: those with the word itself, and those with one that begins with it."""

    whole: Mapping[int, array[int]]
    begun: Mapping[int, array[int]]


_Entry = tuple[str, dict[int, bytes]]
"""A word, and for each place's worth the tasks that have the word there."""
_encoder = msgspec.msgpack.Encoder()
_entries_decoder = msgspec.msgpack.Decoder(list[_Entry])


class Condition(NamedTuple):
    """What stands in the index for tasks that meet a condition: they have one of these words, or none if `is_not`."""

    words: tuple[str, ...]
    is_not: bool = False


def conditions_of(wanted: TaskFilter) -> list[Condition]:
    """The conditions of a filter; none of a filter that every task meets."""
    has_others = bool(wanted.agent or wanted.tags or wanted.not_tags)
    # A removed task meets no condition, and has no state.
    states = wanted.states or (tuple(State) if has_others else ())
    found = [Condition(tuple(_condition("state", state) for state in states))] if states else []
    found += [Condition((_condition("tag", tag),)) for tag in wanted.tags]
    if wanted.agent is not None:
        found.append(Condition((_condition("agent", wanted.agent),)))
    if wanted.not_tags:
        found.append(Condition(tuple(_condition("tag", tag) for tag in wanted.not_tags), is_not=True))
    return found


def _condition(name: str, value: str) -> str:
    return f"{_MARK}{name} {value}"


def _met_by(task: Task) -> list[str]:
    """What stands in the index for each condition that a task meets."""
    agent = [] if task.assigned_to is None else [_condition("agent", task.assigned_to)]
    return [_condition("state", task.state), *agent, *(_condition("tag", tag) for tag in task.tags)]


def make_segment(number: int, tasks: Mapping[str, TaskTexts]) -> Segment:
    """The segment of these tasks, by id. One that never had a text is left out: it cannot be found."""
    tasks = {task_id: texts for task_id, texts in tasks.items() if texts.texts}
    word_blocks = list(_in_blocks(_entries(tasks)))
    ordered = sorted((texts.number, task_id) for task_id, texts in tasks.items())
    firsts = [entries[0][0] for entries in word_blocks]
    words = [zlib.compress(_encoder.encode(entries), _COMPRESSION) for entries in word_blocks]
    chunks = [ordered[start : start + TASKS_PER_BLOCK] for start in range(0, len(ordered), TASKS_PER_BLOCK)]
    blocks = [_task_block(chunk) for chunk in chunks]
    head = SegmentHead(
        number,
        len(ordered),
        tuple(BlockHead(first, digest_of(block)) for first, block in zip(firsts, words, strict=True)),
        tuple(BlockHead(chunk[0][0], digest_of(block)) for chunk, block in zip(chunks, blocks, strict=True)),
    )
    return Segment(head, words, blocks)


def _entries(tasks: Mapping[str, TaskTexts]) -> Iterator[_Entry]:
    """All words and conditions, in order."""
    found: dict[int, dict[str, array[int]]] = defaultdict(lambda: defaultdict(_no_numbers))
    cut_once = lru_cache(_CUT_TEXTS_MAX)(words_of)
    for texts in sorted(tasks.values(), key=lambda each: each.number):
        of_task: dict[int, set[str]] = defaultdict(set)
        for text in texts.texts:
            of_task[worth_of(text)].update((cut_once if text.place in _SAID_OFTEN else words_of)(text.text))
        if texts.task is not None:
            of_task[CONDITION].update(_met_by(texts.task))
        for worth, words in of_task.items():
            numbers = found[worth]
            for word in words:
                numbers[word].append(texts.number)
    for word in sorted(set().union(*found.values())):
        yield word, {worth: numbers[word].tobytes() for worth, numbers in found.items() if word in numbers}


def _no_numbers() -> array[int]:
    return array(_NUMBERS)


def _in_blocks(entries: Iterable[_Entry]) -> Iterator[list[_Entry]]:
    block: list[_Entry] = []
    size = 0
    for word, places in entries:
        block.append((word, places))
        size += len(word) + sum(map(len, places.values()))
        if size >= WORD_BLOCK_BYTES:
            yield block
            block, size = [], 0
    if block:
        yield block


def _task_block(tasks: Sequence[tuple[int, str]]) -> bytes:
    numbers = array(_NUMBERS, [number for number, _ in tasks])
    return numbers.tobytes() + b"".join(_id_bytes(task_id) for _, task_id in tasks)


def _id_bytes(task_id: str) -> bytes:
    return bytes.fromhex(task_id.replace("-", ""))


def digest_of(block: bytes) -> bytes:
    """The digest by which a block is recognised."""
    return blake2b(block, digest_size=_DIGEST_BYTES).digest()


# --- reading -----------------------------------------------------------------------------------------------------


def blocks_of_word(head: SegmentHead, word: str) -> range:
    """The blocks of words that hold this word, and those that begin with it if it is long enough."""
    firsts = [str(block.first) for block in head.word_blocks]
    last = word + _AFTER_EVERY_WORD if _has_beginnings(word) else word
    return range(max(bisect_right(firsts, word) - 1, 0), bisect_right(firsts, last))


def read_postings(blocks: Iterable[bytes], word: str) -> Postings:
    """The tasks that have this word, from the blocks that hold it."""
    whole: dict[int, array[int]] = {}
    begun: dict[int, array[int]] = {}
    for block in blocks:
        entries = _read_entries(block)
        start = bisect_left(entries, word, key=_word_of)
        for found, places in entries[start:]:
            if found != word and not (_has_beginnings(word) and found.startswith(word)):
                break
            for worth, numbers in places.items():
                if len(numbers) % _NUMBER_BYTES:
                    raise IndexDamagedError
                (whole if found == word else begun).setdefault(worth, array(_NUMBERS)).frombytes(numbers)
    return Postings(whole, begun)


def _read_entries(block: bytes) -> list[_Entry]:
    """The words of a block. IndexDamagedError."""
    try:
        unpacked = zlib.decompressobj().decompress(block, WORD_BLOCK_BYTES_MAX)
        return _entries_decoder.decode(unpacked)
    except (zlib.error, msgspec.MsgspecError) as error:
        raise IndexDamagedError from error


def _word_of(entry: _Entry) -> str:
    return entry[0]


def _has_beginnings(word: str) -> bool:
    return len(word) >= PREFIX_CHARS_MIN and not word.startswith(_MARK)


def block_of_task(head: SegmentHead, number: int) -> int | None:
    """The block of tasks that has this number, if any does."""
    index = bisect_right([int(block.first) for block in head.task_blocks], number) - 1
    return None if index < 0 else index


def read_numbers(block: bytes) -> array[int]:
    """The numbers of the tasks of a block."""
    numbers = array(_NUMBERS)
    numbers.frombytes(block[: len(block) // (_NUMBER_BYTES + _ID_BYTES) * _NUMBER_BYTES])
    return numbers


def task_in(block: bytes, number: int) -> str | None:
    """The id of the task with this number; None if the block does not have it."""
    numbers = read_numbers(block)
    index = bisect_left(numbers, number)
    if index == len(numbers) or numbers[index] != number:
        return None
    start = len(numbers) * _NUMBER_BYTES + index * _ID_BYTES
    return _dashed(block[start : start + _ID_BYTES].hex())


def read_ids(block: bytes) -> list[str]:
    """The ids of the tasks of a block."""
    start = len(read_numbers(block)) * _NUMBER_BYTES
    return [_dashed(block[place : place + _ID_BYTES].hex()) for place in range(start, len(block), _ID_BYTES)]


def _dashed(digits: str) -> str:
    return "-".join((digits[:8], digits[8:12], digits[12:16], digits[16:20], digits[20:]))
