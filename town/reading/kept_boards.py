"""KeptBoards: boards of the past in the town's cache, from which a look at a later moment folds on.

The ledger decides whether a kept board is used: some of its events, the board's own among them, must have the same bytes at the
same positions. The least recently used boards go if there are too many. If one is missing or damaged, an earlier one is used.
"""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Iterable, Sequence
from typing import Final

from ledger import EventStore, Position
from projections import (
    KeptBoard,
    PackedBoard,
    Witness,
    damaged_parts,
    decode_kept,
    encode_kept,
    keep,
    open_kept,
    witness_of,
)
from town.cache import Cache

KEPT_BYTES_MAX: Final = 256 * 1024 * 1024
KEPT_BOARDS_MAX: Final = 256
KEPT_SHARE_LEFT: Final = 0.75
"""If there are too many boards, so many go that this share of the bounds is left."""
WITNESSES_MAX: Final = 512
"""How many events of a ledger are compared before one of its boards is used."""
PENDING_BYTES_MAX: Final = 16 * 1024 * 1024
"""So much is written at once."""
_CANDIDATES: Final = 8
_ROUNDS: Final = 4
_PARTS_PER_QUERY: Final = 500
_USED_SECONDS: Final = 60
"""The time of the last use is that exact: a second look writes nothing."""
_TABLES: Final = (
    "CREATE TABLE IF NOT EXISTS kept_board (number INTEGER PRIMARY KEY, used INTEGER NOT NULL, record BLOB NOT NULL)",
    "CREATE TABLE IF NOT EXISTS kept_part (digest BLOB PRIMARY KEY, bytes BLOB NOT NULL)",
)


class KeptBoards:
    """The kept boards of one town."""

    def __init__(self, cache: Cache, store: EventStore) -> None:
        self._cache = cache
        self._store = store
        self._witnesses: dict[str, Witness] = {}
        """Those of the board that is folded on."""
        self._pending: list[tuple[KeptBoard, dict[bytes, bytes]]] = []

    def nearest(self, upto: Position) -> PackedBoard:
        """The last kept board at or before `upto`, if the ledger has its events; an empty one if there is none."""
        for _ in range(_ROUNDS):
            rows = self._cache.read(lambda database: _candidates(database, upto.seq), tables=_TABLES) or []
            bad: list[int] = []
            for number, used, record in rows:
                kept = decode_kept(record)
                # A position with another time is not of this ledger.
                board = None if kept is None or kept.position > upto or not self._is_ours(kept) else self._open(kept)
                if kept is not None and board is not None:
                    self._witnesses = {witness.at: witness for witness in kept.witnesses}
                    self._finish_search(bad, number if used + _USED_SECONDS < _now() else None)
                    return board
                bad.append(number)
            if not bad or not self._finish_search(bad):
                break
        return PackedBoard()

    def keep(self, board: PackedBoard, passed: Sequence[Position]) -> None:
        """Keep the board as it is now. `passed` are positions of events that were folded into it since, oldest first.

        It is known by the first event, by its own, and by those whose numbers are multiples of a power of two: so the next
        board is known by many of the same.
        """
        number = board.position.seq
        every = 1
        while number // every > WITNESSES_MAX - 2:
            every *= 2
        known = [Position(at) for at in self._witnesses]
        between = [place for place in (*known, *passed) if place.seq % every == 0]
        places = list(dict.fromkeys([self._store.start(), *between, board.position]))
        new = [place for place in places if place not in self._witnesses]
        found = self._witnesses | {each.at: each for each in map(witness_of, self._store.entries_at(new))}
        if not found.keys() >= {*places}:
            # An event is lost. The next look finds out.
            return
        self._witnesses = {place: found[place] for place in places}
        self._pending.append(keep(board, tuple(self._witnesses.values())))
        if sum(len(part) for _, parts in self._pending for part in parts.values()) > PENDING_BYTES_MAX:
            self.write()

    def write(self) -> None:
        """Write the boards that are to be kept. If that fails, they are not kept."""
        pending, self._pending = self._pending, []
        if pending:
            self._cache.write(lambda database: _write(database, pending), tables=_TABLES)

    def _is_ours(self, kept: KeptBoard) -> bool:
        """Whether the ledger has the events that the board is known by. Source: XRANGE."""
        places = [Position(witness.at) for witness in kept.witnesses]
        return bool(places) and tuple(map(witness_of, self._store.entries_at(places))) == kept.witnesses

    def _open(self, kept: KeptBoard) -> PackedBoard | None:
        parts = self._cache.read(lambda database: _read_parts(database, kept.each_digest()), tables=_TABLES)
        if parts is None:
            return None
        board = open_kept(kept, parts)
        if board is None and (damaged := damaged_parts(parts)):
            # One that stays would be taken for the same part of the next board.
            self._cache.write(lambda database: _drop_parts(database, damaged), tables=_TABLES)
        return board

    def _finish_search(self, bad: Sequence[int], used: int | None = None) -> bool:
        """Drop the boards that are of no use, and note that one was used. Whether that was written."""
        if not bad and used is None:
            return True

        def work(database: sqlite3.Connection) -> bool:
            database.executemany("DELETE FROM kept_board WHERE number = ?", [(number,) for number in bad])
            database.execute("UPDATE kept_board SET used = ? WHERE number = ?", (_now(), used))
            return True

        return self._cache.write(work, tables=_TABLES) is not None


def _candidates(database: sqlite3.Connection, number: int) -> list[tuple[int, int, bytes]]:
    """(number of the last event, last use, record) of the boards at or before an event, the last first."""
    return database.execute(
        "SELECT number, CAST(used AS INTEGER), CAST(record AS BLOB) FROM kept_board WHERE number <= ?"
        " ORDER BY number DESC LIMIT ?",
        (number, _CANDIDATES),
    ).fetchall()


def _read_parts(database: sqlite3.Connection, digests: Sequence[bytes]) -> dict[bytes, bytes]:
    found: dict[bytes, bytes] = {}
    for start in range(0, len(digests), _PARTS_PER_QUERY):
        wanted = digests[start : start + _PARTS_PER_QUERY]
        places = ",".join("?" * len(wanted))
        query = f"SELECT digest, CAST(bytes AS BLOB) FROM kept_part WHERE digest IN ({places})"  # noqa: S608 - only question marks
        found |= database.execute(query, wanted)
    return found


def _drop_parts(database: sqlite3.Connection, digests: Iterable[bytes]) -> None:
    database.executemany("DELETE FROM kept_part WHERE digest = ?", [(digest,) for digest in digests])


def _write(database: sqlite3.Connection, pending: Sequence[tuple[KeptBoard, dict[bytes, bytes]]]) -> None:
    for kept, parts in pending:
        database.executemany("INSERT OR IGNORE INTO kept_part VALUES (?, ?)", parts.items())
        database.execute(
            "INSERT OR REPLACE INTO kept_board (number, used, record) VALUES (?, ?, ?)",
            (kept.position.seq, _now(), encode_kept(kept)),
        )
    _evict(database)


def _evict(database: sqlite3.Connection) -> None:
    """Remove the least recently used boards if there are too many, and the parts that no board has any more."""
    [count] = database.execute("SELECT count(*) FROM kept_board").fetchone()
    sizes = dict(database.execute("SELECT digest, length(bytes) FROM kept_part"))
    if count <= KEPT_BOARDS_MAX and sum(sizes.values()) <= KEPT_BYTES_MAX:
        return
    used: set[bytes] = set()
    size = kept_count = 0
    gone: list[tuple[int]] = []
    for number, record in database.execute(
        "SELECT number, CAST(record AS BLOB) FROM kept_board ORDER BY used DESC, number DESC"
    ).fetchall():
        kept = decode_kept(record)
        digests = set() if kept is None else set(kept.each_digest())
        more = sum(sizes.get(digest, 0) for digest in digests - used)
        if (
            kept is None
            or kept_count + 1 > KEPT_BOARDS_MAX * KEPT_SHARE_LEFT
            or size + more > KEPT_BYTES_MAX * KEPT_SHARE_LEFT
        ):
            gone.append((number,))
            continue
        used |= digests
        size += more
        kept_count += 1
    database.executemany("DELETE FROM kept_board WHERE number = ?", gone)
    _drop_parts(database, sizes.keys() - used)


def _now() -> int:
    return int(time.time())
