"""The cache's file: whatever is at its place, there is a cache or there is none, and never an error."""

from __future__ import annotations

import os
import sqlite3
import stat
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from tests.support.towns import trust
from town.cache import CACHE_FREE_BYTES_MIN, CACHE_VERSION, Cache, CachePlace, user_cache_folder

TABLES = ("CREATE TABLE IF NOT EXISTS words (word TEXT PRIMARY KEY)",)


@pytest.fixture
def cache(tmp_path: Path) -> Cache:
    """The cache of a town in a folder that has a data folder, as every town with its own server has."""
    (tmp_path / ".tt").mkdir(mode=0o700)
    return Cache(CachePlace(tmp_path))


def put(cache: Cache, word: str) -> bool | None:
    """Add a word; None where there is no cache."""

    def work(database: sqlite3.Connection) -> bool:
        database.execute("INSERT INTO words VALUES (?)", (word,))
        return True

    return cache.write(work, tables=TABLES)


def words(cache: Cache) -> list[str] | None:
    """All words; None where there is no cache."""
    return cache.read(
        lambda database: [word for (word,) in database.execute("SELECT word FROM words ORDER BY word")], tables=TABLES
    )


def test_what_was_written_is_read(cache: Cache) -> None:
    """Also by another process, and the file is for this user alone."""
    assert words(cache) == []
    assert put(cache, "one")
    assert words(Cache(CachePlace(cache.path.parents[1]))) == ["one"]
    assert stat.S_IMODE(cache.path.stat().st_mode) == 0o600
    assert cache.look() == cache.path.stat().st_size > 0
    assert cache.problem is None


def test_damaged_schema_that_is_no_text_is_made_again(cache: Cache) -> None:
    """SQLite quotes it in its error, which then cannot be decoded: a search ended with exit code 70."""
    assert put(cache, "one")
    content = cache.path.read_bytes()
    assert content.count(b"CREATE TABLE words") == 1
    cache.path.write_bytes(content.replace(b"CREATE TABLE words", b"CREATE T\xc1BLE words"))
    assert words(cache) == []
    assert put(cache, "two")
    assert words(cache) == ["two"]


def test_work_that_fails_writes_nothing(cache: Cache) -> None:
    """An error of the caller's goes to the caller, and its transaction is taken back."""
    assert put(cache, "one")

    def work(database: sqlite3.Connection) -> None:
        database.execute("INSERT INTO words VALUES ('two')")
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        cache.write(work, tables=TABLES)
    assert words(cache) == ["one"]


def of_nothing(path: Path) -> None:
    path.write_bytes(b"")


def of_noise(path: Path) -> None:
    path.write_bytes(b"This is no database. " * 1_000)


def of_half(path: Path) -> None:
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def of_holes(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[100:] = os.urandom(len(content) - 100)
    path.write_bytes(content)


def of_another_version(path: Path) -> None:
    with closing(sqlite3.connect(path)) as database:
        database.execute(f"PRAGMA user_version = {CACHE_VERSION + 1}")


def of_other_tables(path: Path) -> None:
    with closing(sqlite3.connect(path)) as database:
        database.execute("DROP TABLE words")
        database.execute("CREATE TABLE words (number INTEGER)")


@pytest.mark.parametrize("damage", [of_nothing, of_noise, of_half, of_holes, of_another_version, of_other_tables])
def test_file_that_is_damaged_or_of_another_version_is_made_again(cache: Cache, damage: Callable[[Path], None]) -> None:
    """It is never an error, and what can be written afterwards is there."""
    assert put(cache, "one")
    damage(cache.path)
    words(cache)
    assert put(cache, "two")
    assert words(cache) == ["two"]


@pytest.mark.parametrize("name", ["cache.sqlite", "cache.sqlite-wal", "cache.sqlite-shm", "cache.sqlite.lock"])
@pytest.mark.parametrize("kind", ["link", "hard link", "pipe", "folder"])
def test_nothing_is_opened_through_a_link(cache: Cache, kind: str, name: str, tmp_path: Path) -> None:
    """What is at the place of the cache, or beside it, and is no plain file stays as it is, and there is no cache."""
    outside = tmp_path / "outside"
    outside.write_bytes(b"precious")
    place = cache.path.with_name(name)
    match kind:
        case "link":
            place.symlink_to(outside)
        case "hard link":
            place.hardlink_to(outside)
        case "pipe":
            os.mkfifo(place)
        case _:
            place.mkdir()
    before = place.lstat()
    assert put(cache, "one") is None
    assert words(cache) is None
    assert cache.problem is not None
    assert place.lstat().st_mode == before.st_mode
    assert outside.read_bytes() == b"precious"


def test_there_is_no_cache_behind_a_data_folder_that_is_a_link(tmp_path: Path) -> None:
    """Nothing is made where the link leads to."""
    (tmp_path / "outside").mkdir()
    (tmp_path / ".tt").symlink_to(tmp_path / "outside")
    cache = Cache(CachePlace(tmp_path))
    assert put(cache, "one") is None
    assert list((tmp_path / "outside").iterdir()) == []


def test_there_is_no_cache_without_a_data_folder(tmp_path: Path) -> None:
    """The cache does not make the folder, which says that a town's data is there."""
    cache = Cache(CachePlace(tmp_path))
    assert put(cache, "one") is None
    assert cache.look() is None
    assert list(tmp_path.iterdir()) == []


def test_a_town_elsewhere_has_its_cache_in_the_users_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """One file for each server and town, and none in the town's folder."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    town = tmp_path / "town"
    town.mkdir()
    one, other = (Cache(CachePlace(town, server=server)) for server in ("redis://one tt:a", "redis://one tt:b"))
    assert put(one, "one")
    assert words(other) == []
    assert user_cache_folder() == tmp_path / "cache" / "tinytown"
    assert stat.S_IMODE(user_cache_folder().stat().st_mode) == 0o700
    assert list(town.iterdir()) == []


@pytest.mark.parametrize(
    ("given", "expected"), [("", ".cache/tinytown"), ("relative", ".cache/tinytown"), (None, ".cache/tinytown")]
)
def test_the_users_cache_folder_is_an_absolute_one(
    given: str | None, expected: str, own_home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A relative XDG_CACHE_HOME would be another folder in each place."""
    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    if given is not None:
        monkeypatch.setenv("XDG_CACHE_HOME", given)
    assert user_cache_folder() == own_home / expected


def test_folder_that_others_can_write_is_not_used(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Others would choose what is read."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    (tmp_path / "tinytown").mkdir()
    (tmp_path / "tinytown").chmod(0o777)
    assert put(Cache(CachePlace(tmp_path, server="redis://one")), "one") is None
    assert list((tmp_path / "tinytown").iterdir()) == []


def test_it_is_turned_off(cache: Cache, monkeypatch: pytest.MonkeyPatch) -> None:
    """With TT_CACHE=0 nothing is read, written or made."""
    monkeypatch.setenv("TT_CACHE", "0")
    assert put(cache, "one") is None
    assert words(cache) is None
    assert not cache.path.exists()


def test_a_disk_that_is_nearly_full_is_not_written(cache: Cache, monkeypatch: pytest.MonkeyPatch) -> None:
    """The room that is left belongs to the ledger; what is there can be read."""
    assert put(cache, "one")
    room = os.statvfs(cache.path)
    blocks = (CACHE_FREE_BYTES_MIN - 1) // room.f_frsize
    nearly_full = os.statvfs_result((*room[:4], blocks, *room[5:]))
    monkeypatch.setattr(os, "fstatvfs", lambda _: nearly_full)
    assert put(cache, "two") is None
    assert words(cache) == ["one"]


def test_writer_that_holds_the_lock_is_not_waited_for(cache: Cache) -> None:
    """A reader sees what was there before, and another writer goes on without."""
    assert put(cache, "one")
    with closing(sqlite3.connect(cache.path, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        other.execute("INSERT INTO words VALUES ('two')")
        assert words(cache) == ["one"]
        assert put(cache, "three") is None
        other.execute("COMMIT")
    assert words(cache) == ["one", "two"]


def test_what_another_process_uses_is_not_removed(cache: Cache) -> None:
    """SQLite would go on writing into a file that has no name any more, and remove the files beside the new one."""
    other = Cache(CachePlace(cache.path.parents[1]))
    assert put(cache, "one")
    assert cache.read(lambda _: other.remove(), tables=TABLES) is False
    assert words(cache) == ["one"]
    assert cache.remove()
    assert not cache.path.exists()
    assert words(cache) == []


def test_cache_that_came_with_foreign_data_goes_when_the_data_is_trusted(tmp_path: Path) -> None:
    """What somebody else computed would be shown without anybody looking at the ledger."""
    (tmp_path / "tinytown.toml").write_text('name = "clone"\n')
    (tmp_path / ".tt").mkdir(mode=0o700)
    cache = Cache(CachePlace(tmp_path))
    assert put(cache, "one")
    trust(tmp_path)
    assert cache.look() is None
    assert words(cache) == []
