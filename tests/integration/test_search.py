"""Searches in a real town: the index follows the ledger, and whatever becomes of its file, the answer is that of a scan."""

from __future__ import annotations

import sqlite3
import threading
import zlib
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path
from queue import Queue
from typing import Any

import msgspec
import pytest

from ledger import BEGINNING, InvalidValueError, Keys, SequenceGapError, State
from projections import Found, Place, TaskFilter, TaskTexts, read_texts
from tests.support.towns import client_of
from town import Town
from town.cache import CACHE_FILE
from town.reading import finding, index_finder
from town.reading.search_index import INDEX_VERSION, SEARCH_TABLES, read_head


@pytest.fixture(autouse=True)
def indexed(monkeypatch: pytest.MonkeyPatch) -> None:
    """The smallest town has an index, and catches up however much is new."""
    monkeypatch.setattr(finding, "INDEX_EVENTS_MIN", 1)
    monkeypatch.setattr(index_finder, "EVENTS_PER_HISTORY", 0)


@pytest.fixture
def town(folder: Path) -> Iterator[Town]:
    """A town of some tasks that have the word `login`, in one place or another."""
    with Town.init(folder, name="found", actor="alice") as made:
        made.create("Fix the login page", alias="bd-1", tags=["ui"])
        made.note(made.create("Other work", agent="ada").task.id, "the login is slow")
        made.describe(made.create("Login of old").task.id, "Nothing of that kind")
        made.remove(made.create("Login that went", alias="bd-2").task.id, reason="never needed")
        yield made


@pytest.fixture
def read_whole(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Grows by one each time the whole ledger is read."""
    counted: list[int] = []

    def count(*given: Any, **named: Any) -> dict[str, TaskTexts]:
        counted.append(1)
        return read_texts(*given, **named)

    monkeypatch.setattr(finding, "read_texts", count)
    monkeypatch.setattr(index_finder, "read_texts", count)
    return counted


def titles(found: Found) -> list[str]:
    return [hit.title for hit in found.hits]


def index_of(town: Town) -> Path:
    return town.folder / ".tt" / CACHE_FILE


def scanned(town: Town, *words: str, is_ever: bool = False) -> Found:
    """What a scan finds: a past moment is never searched by an index."""
    return town.at(town.end()).search(words, is_ever=is_ever)


def test_search_reads_its_own_writes_without_reading_the_ledger_again(town: Town, read_whole: list[int]) -> None:
    """The first search makes the index; from then on only what is new is read."""
    assert titles(town.search(["login"])) == ["Fix the login page", "Other work"]
    task = town.create("A new login").task
    assert titles(town.search(["login"])) == ["A new login", "Fix the login page", "Other work"]
    town.describe(task.id, "Something else")
    town.describe("bd-1", "Fix the page\nof the login")
    assert titles(town.search(["login"])) == ["Fix the page", "Other work"]
    town.remove("bd-1")
    assert titles(town.search(["login"])) == ["Other work"]
    # An event of the town itself, which is no text of a task.
    town.annotator.annotate(1, "login")
    assert titles(town.search(["login"])) == ["Other work"]
    assert len(read_whole) == 1


def test_former_texts_are_found_with_their_events(town: Town) -> None:
    """The position of the event that wrote them, its actor, and the event that changed or removed them."""
    found = town.search(["login"], is_ever=True)
    assert titles(found) == ["Fix the login page", "Other work", "Login that went", "Nothing of that kind"]
    by_title = {hit.title: hit for hit in found.hits}
    gone = by_title["Login that went"]
    assert (gone.task, gone.alias) == (None, "bd-2")
    [text] = gone.texts
    created, removed = (step.event for step in town.history("bd-2"))
    assert (text.place, text.at, text.until, text.actor) == (Place.TITLE, created.at, removed.at, "alice")
    assert found == scanned(town, "login", is_ever=True)


def test_filters_and_pages(town: Town) -> None:
    """Filters combine with the words, and the pages together are the whole."""
    assert titles(town.search(["login"], TaskFilter(agent="ada"))) == ["Other work"]
    assert titles(town.search(["login"], TaskFilter(state=State.PENDING, tag=" ui "))) == ["Fix the login page"]
    assert town.search(["login"], TaskFilter(tag="none")).total == 0
    pages = [town.search(["login"], is_ever=True, offset=offset, limit=1) for offset in range(5)]
    assert {page.total for page in pages} == {4}
    assert [hit for page in pages for hit in page.hits] == list(town.search(["login"], is_ever=True).hits)


def test_past_moment_is_searched(town: Town) -> None:
    """As the board was then."""
    assert titles(town.at("1").search(["login"])) == ["Fix the login page"]
    assert titles(town.at("6").search(["login"])) == ["Fix the login page", "Other work"]
    assert town.at(BEGINNING).search(["login"]).total == 0


def test_what_is_no_query_is_refused(town: Town) -> None:
    """Before anything is read."""
    with pytest.raises(InvalidValueError, match="no letter or digit"):
        town.search(["--", "!"])
    with pytest.raises(InvalidValueError, match="tag"):
        town.search(["login"], TaskFilter(tag="\n"))


def test_words_are_no_syntax(town: Town) -> None:
    """Of no query language: they are words, and what stands between them separates words."""
    for text in ("login OR nothing", "log*", '"login"', "title:login", "login' --", "NEAR(login)", "%", "login\0page"):
        assert town.search([text, "login"]) == scanned(town, text, "login")


# --- whatever becomes of the file --------------------------------------------------------------------------------


def _delete(path: Path) -> None:
    path.unlink()


def _truncate(path: Path) -> None:
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def _empty(path: Path) -> None:
    path.write_bytes(b"")


def _garble(path: Path) -> None:
    path.write_bytes(b"no database " * 1_000)


def _change(statement: str) -> Callable[[Path], None]:
    def change(path: Path) -> None:
        with closing(sqlite3.connect(path)) as database, database:
            database.execute(statement)

    return change


DAMAGES = {
    "deleted": _delete,
    "truncated": _truncate,
    "empty": _empty,
    "garbled": _garble,
    "no tables": _change("DROP TABLE search_block"),
    "no head": _change("DELETE FROM search_head"),
    "no blocks": _change("DELETE FROM search_block"),
    "a block less": _change("DELETE FROM search_block WHERE id = (SELECT min(id) FROM search_block)"),
    "blocks of text": _change("UPDATE search_block SET bytes = 'text'"),
    "another head": _change("UPDATE search_head SET bytes = substr(bytes, 1, length(bytes) - 1) || x'00'"),
    "a head of text": _change("UPDATE search_head SET bytes = 'text', digest = 'text'"),
    "blocks of another": _change("UPDATE search_block SET bytes = (SELECT bytes FROM search_block ORDER BY id DESC)"),
    "other columns": _change("ALTER TABLE search_block RENAME COLUMN bytes TO other"),
    "no place for a block": _change(
        "CREATE TRIGGER never BEFORE INSERT ON search_block BEGIN SELECT RAISE(ABORT, 'no'); END"
    ),
}


@pytest.mark.parametrize("damage", DAMAGES.values(), ids=DAMAGES.keys())
def test_damage_changes_no_answer(town: Town, damage: Callable[[Path], None]) -> None:
    """The answer is that of a scan, at once and later, after more was appended, too."""
    expected = town.search(["login"], is_ever=True)
    town.create("One more login")
    town.search(["login"])
    damage(index_of(town))
    found = town.search(["login"], is_ever=True)
    assert found == scanned(town, "login", is_ever=True)
    assert found.total == expected.total + 1
    town.note("bd-1", "seen")
    assert titles(town.search(["seen"])) == ["Fix the login page"]


def test_block_that_lacks_a_word_is_refused(town: Town) -> None:
    """A block is read only if it is the one that was written: what an index hides, no hit can tell."""
    assert town.search(["login"]).total == 2
    with closing(sqlite3.connect(index_of(town))) as database, database:
        [first] = database.execute("SELECT bytes FROM search_block ORDER BY id").fetchone()
        entries = msgspec.msgpack.decode(zlib.decompress(first))
        without = zlib.compress(msgspec.msgpack.encode([entry for entry in entries if entry[0] != "login"]))
        database.execute("UPDATE search_block SET bytes = ? WHERE bytes = ?", (without, first))
    assert town.search(["login"]).total == 2


@pytest.mark.parametrize("changed", [b"never needed", b"Other work"], ids=["last", "in the middle"])
def test_index_of_another_ledger_is_not_used(town: Town, read_whole: list[int], changed: bytes) -> None:
    """Even if the other ledger has events at the same positions."""
    town.search(["login"])
    with client_of(town.folder) as client:
        ledger = Keys("found").ledger
        entries: Any = client.xrange(ledger)
        client.delete(ledger)
        for at, fields in entries:
            client.xadd(ledger, {"event": fields[b"event"].replace(changed, b"wanted")}, id=at)
    assert town.search(["wanted"], is_ever=True).total == 1
    assert len(read_whole) == 2


def test_index_of_another_version_is_made_again(
    town: Town, read_whole: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    """It may have been cut into other words."""
    town.search(["login"])
    monkeypatch.setattr("town.reading.search_index.INDEX_VERSION", "another")
    monkeypatch.setattr("town.reading.index_finder.INDEX_VERSION", "another")
    assert town.search(["login"]).total == 2
    assert len(read_whole) == 2
    assert INDEX_VERSION != "another"


def test_town_without_cache_is_scanned(town: Town, read_whole: list[int], monkeypatch: pytest.MonkeyPatch) -> None:
    """TT_CACHE=0 turns it off; nothing is written."""
    monkeypatch.setenv("TT_CACHE", "0")
    assert titles(town.search(["login"])) == ["Fix the login page", "Other work"]
    assert titles(town.search(["slow"])) == ["Other work"]
    assert len(read_whole) == 2
    assert not index_of(town).exists()


def test_small_town_is_scanned_without_an_index(town: Town, monkeypatch: pytest.MonkeyPatch) -> None:
    """That is as quick, and leaves no file."""
    monkeypatch.setattr(finding, "INDEX_EVENTS_MIN", 1_000)
    assert town.search(["login"]).total == 2
    assert not index_of(town).exists()


def test_lost_event_is_told(town: Town) -> None:
    """By its position, with the index and without: what was not read cannot be said not to be there."""
    town.search(["login"])
    end = town.end()
    town.create("One more")
    town.create("And another")
    with client_of(town.folder) as client:
        entries: Any = client.xrange(Keys("found").ledger, f"({end}", count=1)
        client.xdel(Keys("found").ledger, entries[0][0])
    with pytest.raises(SequenceGapError):
        town.search(["login"])


# --- two at once -------------------------------------------------------------------------------------------------


def test_searches_at_once_agree(town: Town) -> None:
    """They all make the index, or catch it up, while tasks come: each finds what was there when it began, and the index is sound."""
    found: Queue[int] = Queue()
    begin = threading.Barrier(4)

    def search() -> None:
        with Town.open(town.folder) as own:
            begin.wait()
            for _ in range(5):
                found.put(own.search(["login"]).total)

    with ThreadPoolExecutor(3) as pool:
        searches = [pool.submit(search) for _ in range(3)]
        begin.wait()
        for number in range(5):
            town.create(f"login {number}")
        for each in searches:
            each.result()
    assert all(2 <= found.get() <= 7 for _ in range(15))
    assert town.search(["login"]) == scanned(town, "login")


def test_search_does_not_wait_for_another_that_writes(town: Town) -> None:
    """It answers from what it read itself, and leaves the index as it is."""
    town.search(["login"])
    town.create("One more login")
    with closing(sqlite3.connect(index_of(town), isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        assert town.search(["login"]).total == 3
        other.execute("COMMIT")
    head = town.backend.cache.read(read_head, tables=SEARCH_TABLES)
    assert head is not None
    assert head.end < town.end()
    assert town.search(["login"]).total == 3
    head = town.backend.cache.read(read_head, tables=SEARCH_TABLES)
    assert head is not None
    assert head.end == town.end()


def test_segments_stay_few(town: Town, read_whole: list[int]) -> None:
    """However often somebody searches after each change: a new segment takes in those that are not much larger."""
    for number in range(20):
        town.create(f"login {number}")
        assert town.search(["login"]).total == 3 + number
    head = town.backend.cache.read(read_head, tables=SEARCH_TABLES)
    assert head is not None
    assert len(head.segments) <= 4
    assert len(read_whole) == 1
