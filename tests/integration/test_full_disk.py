"""A disk that is full: it is called so, nothing that was acknowledged is lost, and once there is room the town goes on."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.small_disk import enlarge, fill, free, small_disk
from tests.support.tt import run_process
from town import DiskFullError, EmbeddedServer, FolderRefusedError, ServerStartError, Town, examine, make_plan_file
from town.doctor import Check

DESCRIPTION = "x" * 20_000


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    with small_disk(tmp_path / "disk") as place:
        yield place


def create_until_refused(folder: Path) -> tuple[list[str], DiskFullError]:
    """The tasks that were acknowledged, and the error that ended it."""
    acknowledged: list[str] = []
    with Town.open(folder) as town:
        while True:
            try:
                acknowledged.append(town.create(DESCRIPTION).task.id)
            except DiskFullError as refused:
                return acknowledged, refused


def checks(folder: Path) -> dict[str, Check]:
    with Town.open(folder) as town:
        return {check.name: check for check in examine(town.backend, town.connection)}


def test_full_disk_is_called_so_and_nothing_acknowledged_is_lost(disk: Path) -> None:
    """The error says that the disk is full and what to do; after room is made the town goes on, and doctor remembers it.

    The bug looked like this: "did not answer: Connection refused", and doctor's "the last write to disk went well".
    """
    Town.init(disk, name="small").close()
    assert checks(disk)["disk"].state == "warning"
    acknowledged, error = create_until_refused(disk)
    assert acknowledged
    assert "because its disk is full. " in str(error)
    assert "Free space on the disk of" in str(error)
    assert "what was acknowledged is kept" in str(error)
    fill(disk)
    assert checks(disk)["disk"].words.startswith("the disk is full: 0 KiB of 2.0 MiB are free")
    ran = run_process("assign", "ada", DESCRIPTION, folder=disk)
    assert ran.code == 4
    assert "because its disk is full. Free space" in ran.err
    enlarge(disk)
    found = checks(disk)
    assert "because its disk was full; what was acknowledged is kept" in found["last end"].words
    assert "nearly full" in found["disk"].words
    with Town.open(disk) as town:
        assert {town.task(task).description for task in acknowledged} == {DESCRIPTION}
        more = town.create("more").task
        assert town.task(more.id).description == "more"
        assert not town.upkeep.verify().findings
    EmbeddedServer(disk).stop()
    assert "last end" not in checks(disk)


def test_server_that_cannot_start_on_a_full_disk_says_so(disk: Path) -> None:
    """Its first file does not fit: the disk is named, and not a server that did not start."""
    Town.init(disk, name="small").close()
    EmbeddedServer(disk).stop()
    for file in (disk / ".tt" / "appendonlydir").iterdir():
        file.unlink()
    fill(disk)
    with pytest.raises(DiskFullError, match="because its disk is full"):
        EmbeddedServer(disk).start()
    free(disk)
    with Town.open(disk) as town:
        assert town.create("a").task.version == 1


@pytest.mark.parametrize("damage", ["event", "manifest"])
def test_damaged_file_on_a_full_disk_is_called_damaged_and_the_disk_full(disk: Path, damage: str) -> None:
    """Both are said, the repair is named; when there is room the file is still called damaged.

    The bug looked like this: "ended, because its disk is full … The next command starts it again".
    """
    with Town.init(disk, name="small") as town:
        town.create("a")
        town.create("b")
    EmbeddedServer(disk).stop()
    if damage == "event":
        (path,) = (disk / ".tt" / "appendonlydir").glob("*.incr.aof")
        content = path.read_bytes()
        place = content.index(b"XADD")
        path.write_bytes(content[:place] + bytes(8) + content[place + 8 :])
    else:
        (disk / ".tt" / "appendonlydir" / "appendonly.aof.manifest").unlink()
    words = {"event": "is damaged", "manifest": "is missing"}[damage]
    fill(disk)
    with pytest.raises(ServerStartError, match=f"{words}, and its disk is full: free space .* `tt doctor --repair`"):
        EmbeddedServer(disk).start()
    free(disk)
    with pytest.raises(ServerStartError, match=rf"{words}\. .*`tt doctor --repair`"):
        EmbeddedServer(disk).start()


def test_files_of_ours_are_there_whole_or_not_at_all(disk: Path) -> None:
    """A plan, and the town itself, on a full disk: the disk is named, and no half of a file is left."""
    fill(disk)
    with pytest.raises(FolderRefusedError, match=r"tasks\.toml cannot be used: its disk is full\. Make room"):
        make_plan_file(disk / "tasks.toml")
    with pytest.raises(FolderRefusedError, match="cannot be used: its disk is full"):
        Town.init(disk, name="small")
    left = {path.name: path.stat().st_size for path in disk.iterdir() if path.name != "filler"}
    assert left in ({}, {".gitignore": 0})
    free(disk)
    with Town.init(disk, name="small") as town:
        town.create("Write the release notes", alias="notes")
        town.plans.pull(disk / "tasks.toml")
        before = (disk / "tasks.toml").read_bytes()
        town.create(DESCRIPTION, alias="long")
        fill(disk)
        with pytest.raises(FolderRefusedError, match="its disk is full"):
            town.plans.pull(disk / "tasks.toml")
    assert (disk / "tasks.toml").read_bytes() == before
    assert [path.name for path in disk.iterdir() if path.name.endswith(".new")] == []


def test_what_this_user_keeps_is_whole_or_not_at_all(disk: Path, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """On a home that is full, nothing is allowed by half, and the lists of before are still there."""
    monkeypatch.setenv("HOME", str(disk))
    Town.init(folder, name="place").close()
    before = (disk / ".tt" / "towns.toml").read_bytes()
    fill(disk)
    with pytest.raises(FolderRefusedError, match="its disk is full"):
        Town.init(folder.parent / "other", name="other")
    assert (disk / ".tt" / "towns.toml").read_bytes() == before
    assert [path for path in (disk / ".tt").rglob("*") if path.is_file() and not path.stat().st_size] == [
        disk / ".tt" / "towns.lock"
    ]
    Town.open(folder).close()
