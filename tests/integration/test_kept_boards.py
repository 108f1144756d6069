"""Kept boards: with and without them, and whatever became of them, every answer about the past is the same."""

from __future__ import annotations

import random
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any, Final

import msgspec
import pytest
import redis

from ledger import TOWN_ID, EventAnnotated, RecordedEvent, SequenceGapError, TaskAdopted, TaskCreated, TaskRemoved
from ledger.state import State
from projections import Board, PackedBoard, decode_kept, packed_board, replay
from tests.support.builders import append, task_id
from tests.support.damaged import add_by_hand, fact
from tests.support.histories import Filler
from tests.support.processes import run_at_once
from tests.support.tt import run_here
from town import Town
from town.reading import folding, kept_boards

COMMANDS: Final = (
    ("replay",),
    ("replay", "--state", "completed"),
    ("task", "list"),
    ("task", "list", "--agent", "worker-1", "--limit", "3"),
    ("task", "list", "--tag", "a", "--not-tag", "b", "--state", "pending", "--state", "running"),
    ("task", "list", "--sort", "agent", "--reverse", "--limit", "4", "--offset", "2"),
    ("task", "list", "--sort", "updated"),
    ("tasks",),
    ("stats",),
    ("task", "tree"),
    ("task", "show", task_id(3)),
    ("task", "show", "old"),
    ("task", "current", "worker-1"),
    ("backlog", "list"),
    ("status", "--tasks"),
    ("blame", task_id(3)),
    ("why", task_id(3)),
)
_OLD: Final = TaskAdopted(
    records=(),
    description="Old",
    state=State.RUNNING,
    created_at="2025-06-01T10:00:00.000Z",
    updated_at="2025-06-01T10:00:00.000Z",
    assigned_to="worker-1",
    alias="old",
)


@pytest.fixture(autouse=True)
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    """A few events are enough for a board to be kept, and a few tasks for several blocks."""
    monkeypatch.setattr(folding, "FOLDED_EVENTS_MAX", 10)
    monkeypatch.setattr(folding, "KEPT_EVENTS_MIN", 10)
    monkeypatch.setattr(packed_board, "BLOCK_TASKS", 4)


@pytest.fixture
def town(client: redis.Redis, server_socket: Path, tmp_path: Path) -> Iterator[Town]:
    """A town with some hundred events of every kind, some of which no command can make."""
    with Town.init(tmp_path / "kept", name="kept", url=f"unix://{server_socket}", is_registered=False) as town:
        store = town.backend.store
        filler = Filler(store, seed=7, tasks=14)
        filler.fill(60)
        append(store, [_OLD], task=task_id(20))
        add_by_hand(client, town.keys, task_id(20), **fact("created", description="again", tags=[]))
        append(store, [TaskCreated("b", alias="other"), TaskRemoved()], task=task_id(22))
        filler.fill(90)
        append(store, [TaskRemoved()], task=task_id(20), expected=2)
        append(store, [_OLD], task=task_id(20), expected=3)
        add_by_hand(client, town.keys, task_id(21), **fact("started"))
        append(store, [EventAnnotated(store.start(), "The first of all")], task=TOWN_ID)
        filler.fill(60)
        yield town


def board_at(town: Town, number: int) -> Board | PackedBoard:
    """The board as a command shows it."""
    position = town.backend.store.position_of(number)
    assert position is not None
    return town.replay(position)


def contents(board: Board | PackedBoard) -> tuple[object, ...]:
    return [*board.tasks.items()], board.removed, board.position


def assert_same(town: Town, number: int) -> None:
    """Fail unless the board is that of a replay, which knows no kept boards."""
    position = town.backend.store.position_of(number)
    assert contents(board_at(town, number)) == contents(replay(town.backend.store, upto=position))


def folded(town: Town, number: int, monkeypatch: pytest.MonkeyPatch) -> int:
    """How many events a look folds."""
    with monkeypatch.context() as patch:
        read: list[int] = []
        fold = PackedBoard.fold

        def counted(board: PackedBoard, events: list[RecordedEvent]) -> None:
            read.append(len(events))
            fold(board, events)

        patch.setattr(PackedBoard, "fold", counted)
        assert_same(town, number)
    return sum(read)


def entries_of(client: Any, town: Town) -> list[tuple[str, dict[bytes, bytes]]]:
    """The entries of the town's ledger, as they are stored."""
    entries: list[tuple[str, dict[bytes, bytes]]] = client.xrange(town.keys.ledger)
    return entries


def database(town: Town) -> sqlite3.Connection:
    return sqlite3.connect(town.backend.cache.path, isolation_level=None)


def count(town: Town, table: str) -> int:
    with closing(database(town)) as opened:
        [found] = opened.execute(f"SELECT count(*) FROM {table}").fetchone()
    return int(found)


# --- the same answers --------------------------------------------------------------------------------------------


@pytest.mark.usefixtures("town")
def test_every_command_prints_the_same(
    town: Town, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """At every twentieth event or so, from the last to the first and back: without a cache, making one, and using one."""
    monkeypatch.chdir(town.folder)
    end = town.end().seq
    numbers = [*range(end, 1, -23), 5, *range(9, end, 37)]
    for number in numbers:
        for command in COMMANDS:
            given = (*command, "--at", str(number), "--json")
            monkeypatch.setenv("TT_CACHE", "0")
            expected = run_here(capsys, *given)
            monkeypatch.delenv("TT_CACHE")
            assert run_here(capsys, *given) == expected, given
    assert count(town, "kept_board") > 3


def test_every_board_is_the_same(town: Town) -> None:
    """Of any two looks, the second folds on from what the first kept, in whichever order they come."""
    numbers = list(range(1, town.end().seq + 1, 3))
    random.Random(3).shuffle(numbers)
    for number in numbers:
        assert_same(town, number)


def test_second_look_folds_nothing(town: Town, monkeypatch: pytest.MonkeyPatch) -> None:
    """And a look at a later moment folds only what came since."""
    end = town.end().seq
    assert folded(town, end - 40, monkeypatch) == end - 40
    assert folded(town, end - 40, monkeypatch) == 0
    assert folded(town, end, monkeypatch) == 40
    assert folded(town, 5, monkeypatch) == 0


def test_without_a_cache_everything_is_folded(town: Town, monkeypatch: pytest.MonkeyPatch) -> None:
    """TT_CACHE=0 is for those who want no file."""
    monkeypatch.setenv("TT_CACHE", "0")
    assert_same(town, town.end().seq)
    assert not town.backend.cache.path.exists()


def test_who_checks_the_ledger_uses_no_kept_board(
    town: Town, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """`tt verify`, `tt rebuild` and `tt doctor` read the events themselves, and only a rebuild removes the file."""
    assert_same(town, town.end().seq)
    town.backend.cache.path.write_bytes(b"no database")
    monkeypatch.setattr(kept_boards.KeptBoards, "nearest", None)
    monkeypatch.chdir(town.folder)
    for command in (("verify",), ("rebuild", "--dry-run"), ("doctor",)):
        assert run_here(capsys, *command).code in (0, 1, 5)
        assert town.backend.cache.path.read_bytes() == b"no database"
    assert run_here(capsys, "rebuild").code == 0


def test_doctor_tells_of_the_cache(
    town: Town, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """How large it is and where; or that something else is in its place, which slows looks down and is no damage."""
    monkeypatch.chdir(town.folder)

    def told() -> list[Any]:
        return [check for check in run_here(capsys, "doctor", "--json").json["checks"] if check["name"] == "cache"]

    assert told() == []
    assert_same(town, town.end().seq)
    [check] = told()
    assert check["state"] == "good"
    path = town.backend.cache.path
    assert str(path) in check["words"]
    path.rename(path.with_name("elsewhere"))
    path.symlink_to(path.with_name("elsewhere"))
    [check] = told()
    assert check["state"] == "warning"
    assert "is a link" in check["words"]
    assert_same(town, town.end().seq)


# --- whatever became of them -------------------------------------------------------------------------------------


def test_bytes_changed_anywhere_change_no_answer(town: Town) -> None:
    """In the file's head, its pages, its parts and its records."""
    end = town.end().seq
    assert_same(town, end)
    sound = town.backend.cache.path.read_bytes()
    chance = random.Random(5)
    places = [*range(0, 128, 17), *(chance.randrange(len(sound)) for _ in range(30))]
    for place in places:
        changed = bytearray(sound)
        changed[place : place + 16] = chance.randbytes(len(changed[place : place + 16]))
        town.backend.cache.path.write_bytes(changed)
        assert_same(town, end)
        assert_same(town, end // 2)


def test_file_cut_short_changes_no_answer(town: Town) -> None:
    """To nothing, within its head, and within a page."""
    end = town.end().seq
    assert_same(town, end)
    sound = town.backend.cache.path.read_bytes()
    for length in (0, 1, 50, 100, 4_096, len(sound) // 2, len(sound) - 4_096, len(sound) - 1):
        town.backend.cache.path.write_bytes(sound[:length])
        assert_same(town, end)
    town.backend.cache.path.unlink()
    assert_same(town, end)


def every_part(opened: sqlite3.Connection) -> None:
    opened.execute("DELETE FROM kept_part")


def one_part(opened: sqlite3.Connection) -> None:
    opened.execute("DELETE FROM kept_part WHERE rowid IN (SELECT max(rowid) FROM kept_part)")


def swapped_parts(opened: sqlite3.Connection) -> None:
    rows = opened.execute("SELECT digest, bytes FROM kept_part").fetchall()
    for (digest, _), (_, other) in zip(rows, rows[1:] + rows[:1], strict=True):
        opened.execute("UPDATE kept_part SET bytes = ? WHERE digest = ?", (other, digest))


def records_of_others(opened: sqlite3.Connection) -> None:
    rows = opened.execute("SELECT number, record FROM kept_board ORDER BY number").fetchall()
    for (number, _), (_, other) in zip(rows, rows[1:] + rows[:1], strict=True):
        opened.execute("UPDATE kept_board SET record = ? WHERE number = ?", (other, number))


def words_for_bytes(opened: sqlite3.Connection) -> None:
    opened.execute("UPDATE kept_board SET record = 'words', used = 'never'")
    opened.execute("UPDATE kept_part SET bytes = 7")


def nothing_for_bytes(opened: sqlite3.Connection) -> None:
    opened.execute("DROP TABLE kept_part")
    opened.execute("CREATE VIEW kept_part AS SELECT NULL AS digest, NULL AS bytes")


def records_ahead(opened: sqlite3.Connection) -> None:
    opened.execute("UPDATE kept_board SET number = number - 7")


@pytest.mark.parametrize(
    "damage",
    [every_part, one_part, swapped_parts, records_of_others, words_for_bytes, nothing_for_bytes, records_ahead],
)
def test_rows_that_are_not_what_they_were_change_no_answer(
    town: Town, damage: Callable[[sqlite3.Connection], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    """And the next look but one is as fast as before."""
    end = town.end().seq
    for number in (end - 30, end - 60, end):
        assert_same(town, number)
    with closing(database(town)) as opened:
        damage(opened)
    for number in (end - 30, end, end - 60):
        assert_same(town, number)
    assert_same(town, end)
    assert folded(town, end, monkeypatch) == 0


def test_another_ledger_never_meets_a_kept_board(town: Town, client: redis.Redis, server_socket: Path) -> None:
    """The file of another town, whose events have the same numbers and times, changes no answer."""
    end = town.end().seq
    assert_same(town, end)
    with Town.init(
        town.folder.parent / "other", name="other", url=f"unix://{server_socket}", is_registered=False
    ) as other:
        for position, fields in entries_of(client, town):
            event = fields[b"event"].replace(b"filler", b"another").replace(b"worker-1", b"worker-9")
            client.xadd(other.keys.ledger, {"event": event}, id=position)
        other.backend.cache.path.parent.mkdir(parents=True, exist_ok=True)
        other.backend.cache.path.write_bytes(town.backend.cache.path.read_bytes())
        assert_same(other, end)
        assert_same(other, end)
        assert_same(town, end)


def test_rewritten_ledger_never_meets_a_kept_board(town: Town, client: redis.Redis) -> None:
    """A ledger restored from a backup, on which the town went on otherwise."""
    end = town.end().seq
    for number in (end // 2, end):
        assert_same(town, number)
    entries = entries_of(client, town)
    client.delete(town.keys.ledger)
    for number, (position, fields) in enumerate(entries, 1):
        event = msgspec.json.decode(fields[b"event"])
        if number > end - 20:
            event["actor"] = "somebody else"
        client.xadd(town.keys.ledger, {"event": msgspec.json.encode(event)}, id=position)
    for number in (end, end // 2, end - 10):
        assert_same(town, number)


def test_rebuild_forgets_what_was_kept(
    town: Town, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever doubts what was computed from the ledger has all of it computed again."""
    assert_same(town, town.end().seq)
    monkeypatch.chdir(town.folder)
    assert run_here(capsys, "rebuild", "--dry-run").code == 0
    assert town.backend.cache.path.exists()
    assert run_here(capsys, "rebuild").code == 0
    assert not town.backend.cache.path.exists()


def test_lost_event_is_told_as_without_kept_boards(town: Town, client: redis.Redis) -> None:
    """Although a board behind it was kept, an answer would hide the damage."""
    end = town.end().seq
    assert_same(town, end)
    lost = town.backend.store.position_of(end - 30)
    assert lost is not None
    client.xdel(town.keys.ledger, lost)
    with pytest.raises(SequenceGapError):
        board_at(town, end)


# --- their bounds ------------------------------------------------------------------------------------------------


def test_least_recently_used_boards_go(town: Town, monkeypatch: pytest.MonkeyPatch) -> None:
    """Beyond a number of boards, and with them what only they had."""
    monkeypatch.setattr(kept_boards, "KEPT_BOARDS_MAX", 4)
    end = town.end().seq
    moments = iter(range(1_000_000))
    monkeypatch.setattr(kept_boards, "_now", lambda: next(moments) * 1_000)
    for number in range(20, end, 13):
        assert_same(town, number)
        # A look notes the use before the write of its own board.
        assert_same(town, 20)
    assert 0 < count(town, "kept_board") <= 4
    assert folded(town, 20, monkeypatch) == 0
    with closing(database(town)) as opened:
        kept = [record for (record,) in opened.execute("SELECT record FROM kept_board")]
        parts = {digest for (digest,) in opened.execute("SELECT digest FROM kept_part")}
    wanted: set[bytes] = set()
    for record in kept:
        found = decode_kept(record)
        assert found is not None
        wanted |= set(found.each_digest())
    assert parts == wanted


def test_boards_go_beyond_a_size(town: Town, monkeypatch: pytest.MonkeyPatch) -> None:
    """The parts of all of them together are bounded; the answers stay the same."""
    monkeypatch.setattr(kept_boards, "KEPT_BYTES_MAX", 6_000)
    for number in range(20, town.end().seq, 13):
        assert_same(town, number)
        with closing(database(town)) as opened:
            [size] = opened.execute("SELECT coalesce(sum(length(bytes)), 0) FROM kept_part").fetchone()
        assert size <= 6_000


def test_two_processes_at_once_answer_the_same(town: Town) -> None:
    """Both fold, both write, and neither waits for the other or fails."""
    run_at_once("look_back", [(town.folder, seed) for seed in range(2)])
    assert_same(town, town.end().seq)
