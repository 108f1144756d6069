"""Where receipts are kept: in the user's own folder, in files that are bounded, and never in the way of a command."""

from __future__ import annotations

import os
import threading
from pathlib import Path

import pytest

from ledger import Position
from town.receipts import pen
from town.receipts.kept import KeptReceipts, files_in
from town.receipts.reading import read_receipts
from town.receipts.setting_aside import SET_ASIDE_MAX, forget_receipts, set_aside_receipts

EVENT = b'{"type":"task.noted","schema":1,"task":"t","version":3,"command":"c","actor":"a","data":{"text":"x"}}'


def receipts_of(folder: Path, name: str = "demo") -> KeptReceipts:
    return KeptReceipts(folder, name)


def keep(receipts: KeptReceipts, *seqs: int) -> None:
    for seq in seqs:
        receipts.keep(Position.of(ms=5, seq=seq), [EVENT])


def kept(receipts: KeptReceipts) -> list[str]:
    return [each.at for each in read_receipts(receipts.path).events]


def test_what_was_kept_is_known_to_the_next_process(tmp_path: Path) -> None:
    """The last position, and all events."""
    first = receipts_of(tmp_path)
    keep(first, 1, 2)
    first.keep(Position("5-3"), [EVENT] * 3)
    first.close()
    later = receipts_of(tmp_path)
    assert (later.known, kept(later)) == ("5-5", [f"5-{seq}" for seq in range(1, 6)])


def test_receipts_belong_to_a_real_folder_and_a_name(tmp_path: Path) -> None:
    """A link to the folder finds them; another folder, such as a copy, and another town in the folder do not."""
    (tmp_path / "town").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "town")
    keep(receipts_of(tmp_path / "town"), 1)
    assert receipts_of(tmp_path / "link").known == "5-1"
    assert receipts_of(tmp_path / "copy").known == ""
    assert receipts_of(tmp_path / "town", "other").known == ""


def test_files_are_for_their_user_alone(tmp_path: Path) -> None:
    """They hold what tasks say."""
    receipts = receipts_of(tmp_path)
    keep(receipts, 1)
    [name] = files_in(receipts.path)
    assert [path.stat().st_mode & 0o777 for path in (receipts.path, receipts.path / name)] == [0o700, 0o600]


def test_full_file_is_followed_by_another_and_the_oldest_go(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The room is bounded; what is known and the newest events stay."""
    monkeypatch.setattr(pen, "RECEIPTS_FILE_BYTES_MAX", 1_000)
    monkeypatch.setattr(pen, "RECEIPTS_BYTES_MAX", 5_000)
    receipts = receipts_of(tmp_path)
    keep(receipts, *range(1, 201))
    found = [receipts.path / name for name in files_in(receipts.path)]
    assert len(found) >= 2
    assert sum(path.stat().st_size for path in found) <= 5_000 + 1_000
    numbers = [int(at.partition("-")[2]) for at in kept(receipts)]
    assert numbers == list(range(numbers[0], 201))
    assert receipts_of(tmp_path).known == "5-200"


def test_old_file_is_followed_by_another_and_goes_in_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The time is bounded, too; a new file says first what is known."""
    day_ns = 24 * 60 * 60 * 1_000_000_000
    now_ns = 20_000 * day_ns
    monkeypatch.setattr("town.receipts.pen.time.time_ns", lambda: now_ns)
    receipts = receipts_of(tmp_path)
    for seq in range(1, 13):
        keep(receipts, seq)
        now_ns += (pen.RECEIPTS_FILE_DAYS_MAX + 1) * day_ns
    names = files_in(receipts.path)
    assert len(names) == pen.RECEIPTS_DAYS_MAX // (pen.RECEIPTS_FILE_DAYS_MAX + 1) + 2
    assert kept(receipts)[-1] == "5-12"
    (receipts.path / names[-1]).write_bytes((receipts.path / names[-1]).read_bytes().partition(b"told")[0])
    assert receipts_of(tmp_path).known == "5-12"


def test_many_writers_at_once_keep_every_record_whole(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Also while files follow each other."""
    monkeypatch.setattr(pen, "RECEIPTS_FILE_BYTES_MAX", 20_000)
    writers = [
        threading.Thread(target=lambda first=first: keep(receipts_of(tmp_path), *range(first, first + 200)))
        for first in range(1, 1_601, 200)
    ]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join()
    found = read_receipts(receipts_of(tmp_path).path)
    assert (len(found.events), found.damaged) == (1_600, 0)
    assert len(files_in(receipts_of(tmp_path).path)) > 3


def test_new_file_begins_with_the_last_position_that_any_process_was_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Who begins it may be the slower one of two. Nobody goes on in the file before."""
    slow, fast = receipts_of(tmp_path), receipts_of(tmp_path)
    keep(slow, 1)
    keep(fast, 3)
    monkeypatch.setattr(pen, "RECEIPTS_FILE_BYTES_MAX", 1)
    keep(slow, 2)
    assert len(files_in(slow.path)) == 2
    assert receipts_of(tmp_path).known == "5-3"
    monkeypatch.setattr(pen, "RECEIPTS_FILE_BYTES_MAX", 1_000_000)
    (slow.path / files_in(slow.path)[0]).write_bytes(b"x" * 1_000_000)
    keep(fast, 4)
    assert receipts_of(tmp_path).known == "5-4"


def test_record_that_fits_only_in_part_is_a_problem_and_spoils_no_other(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A disk that is full takes a part of it, and raises no error for that."""
    receipts = receipts_of(tmp_path)
    keep(receipts, 1)
    write = os.write
    with monkeypatch.context() as patch:
        patch.setattr(os, "write", lambda file, line: write(file, line[: len(line) // 2]))
        keep(receipts, 2)
        assert "No space left" in str(receipts.problem)
        with pytest.raises(OSError, match="No space left"):
            receipts.settle("5-1")
    keep(receipts, 3)
    assert kept(receipts) == ["5-1", "5-3"]
    assert receipts_of(tmp_path).known == "5-3"


def test_other_file_in_the_folder_is_no_receipts(tmp_path: Path) -> None:
    """A program that copies files may leave one."""
    receipts = receipts_of(tmp_path)
    keep(receipts, 1)
    (receipts.path / "conflict of 1795.receipts").write_bytes(b"told")
    other = receipts_of(tmp_path)
    assert other.known == "5-1"
    keep(other, 2)
    assert (kept(receipts), other.problem) == (["5-1", "5-2"], None)


def test_damage_in_the_middle_is_counted_and_a_torn_end_is_not(tmp_path: Path) -> None:
    """Both leave all other records."""
    receipts = receipts_of(tmp_path)
    keep(receipts, 1, 2, 3)
    path = receipts.path / files_in(receipts.path)[0]
    content = path.read_bytes()
    path.write_bytes(content[:-5])
    found = read_receipts(receipts.path)
    assert ([each.at for each in found.events], found.damaged) == (["5-1", "5-2"], 0)
    assert receipts_of(tmp_path).known == "5-2"
    middle = content.index(b"told 5-2") + 30
    path.write_bytes(content[:middle] + b"#" + content[middle + 1 :])
    found = read_receipts(receipts.path)
    assert ([each.at for each in found.events], found.damaged) == (["5-1", "5-3"], 1)


def test_file_that_somebody_removed_is_begun_anew(tmp_path: Path) -> None:
    """A process that runs for long does not go on writing where nobody reads."""
    receipts = receipts_of(tmp_path)
    keep(receipts, 1)
    (receipts.path / files_in(receipts.path)[0]).unlink()
    keep(receipts, 2)
    assert (kept(receipts), receipts_of(tmp_path).known) == (["5-2"], "5-2")


def test_other_process_that_settles_is_heard_when_asked(tmp_path: Path) -> None:
    """What is known is kept in memory until somebody has a reason to doubt it."""
    receipts = receipts_of(tmp_path)
    keep(receipts, 1, 2)
    other = receipts_of(tmp_path)
    other.settle("5-1", [("5-2", 1)])
    assert receipts.known == "5-2"
    assert (receipts.renew(), receipts.known, receipts.renew()) == (True, "5-1", False)
    assert kept(receipts) == ["5-1"]


def test_where_they_cannot_be_kept_there_are_none_and_nothing_fails(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A home that is none, or is open to others, and a file where the folder should be."""
    monkeypatch.setenv("HOME", "/nonexistent")
    receipts = receipts_of(tmp_path)
    keep(receipts, 1)
    assert receipts.problem is not None
    home = tmp_path / "home"
    (home / ".tt").mkdir(parents=True)
    (home / ".tt").chmod(0o777)
    monkeypatch.setenv("HOME", str(home))
    receipts = receipts_of(tmp_path)
    assert receipts.known == ""
    keep(receipts, 1)
    assert "written by other users" in str(receipts.problem)
    (home / ".tt").chmod(0o700)
    (home / ".tt" / "receipts").touch()
    receipts = receipts_of(tmp_path)
    keep(receipts, 1, 2)
    assert receipts.problem is not None
    assert receipts.known == "5-2"


def test_link_in_the_place_of_a_file_is_not_followed(tmp_path: Path) -> None:
    """Nothing is written elsewhere, and nothing is believed that lies elsewhere."""
    receipts = receipts_of(tmp_path)
    keep(receipts, 1)
    receipts.close()
    [name] = files_in(receipts.path)
    elsewhere = tmp_path / "elsewhere"
    (receipts.path / name).rename(elsewhere)
    (receipts.path / name).symlink_to(elsewhere)
    later = receipts_of(tmp_path)
    before = elsewhere.read_bytes()
    assert later.known == ""
    keep(later, 2)
    assert (elsewhere.read_bytes(), later.problem is None) == (before, False)


def test_new_town_sets_the_receipts_of_the_one_before_aside(tmp_path: Path) -> None:
    """They are kept, a few of them."""
    for _ in range(SET_ASIDE_MAX + 2):
        receipts = receipts_of(tmp_path)
        keep(receipts, 1)
        set_aside_receipts(tmp_path, "demo")
        assert receipts_of(tmp_path).known == ""
    assert len(list(receipts.path.parent.iterdir())) == SET_ASIDE_MAX
    forget_receipts(receipts_of(tmp_path))
    assert len(list(receipts.path.parent.iterdir())) == SET_ASIDE_MAX
