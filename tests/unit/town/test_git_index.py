"""What git tracks in a folder: the same as `git ls-files` says, or the answer that it cannot be told."""

from __future__ import annotations

import struct
import subprocess
from pathlib import Path

import pytest

from tests.support.git import entry, git, index, make_repository, needs_git
from town.folder import git_index
from town.folder.git_index import ENTRY_NAME_BYTES_MAX, NAMES_MAX, Tracked, tracked_below
from town.folder.repository import Repository, find_repository

UNREADABLE = "not an index as git writes it"
FILES = [
    ".tt/server.log",
    ".ttx/a",
    "a/.TT/data/x",
    "a/.tt-b/x",
    "a/b.txt",
    "b/.tt",
    "café/.tt/x",
    "d/e/f",
    "long/" + "/".join(["y" * 200] * 19),
    "z/.t\u200ct/x",
]


@pytest.fixture
def main(tmp_path: Path) -> Path:
    """A repository that tracks FILES, none of which is there."""
    main = make_repository(tmp_path.resolve() / "main")
    track(main, *FILES)
    return main


def track(main: Path, *names: str) -> None:
    """Put names into the index alone."""
    empty = git(main, "hash-object", "-w", "--stdin")
    git(main, "update-index", "--index-info", text="".join(f"100644 {empty}\t{name}\n" for name in names))


def asked(main: Path, path: str) -> Tracked:
    repository = find_repository(main)
    assert repository is not None
    return tracked_below(repository, repository.root / path)


def names_of(main: Path) -> list[str]:
    """All names that are read, which must be what git says."""
    tracked = asked(main, ".")
    assert tracked.remark is None
    assert tracked.names == git(main, "ls-files", "-z").split("\0")[:-1][:NAMES_MAX]
    return tracked.names


def bare_index(content: bytes, folder: Path) -> Tracked:
    """What an index of these bytes tells of `.tt`."""
    (folder / "index").write_bytes(content)
    return tracked_below(Repository(folder, folder, folder), folder / ".tt")


@needs_git
@pytest.mark.parametrize("version", ["2", "3", "4"])
@pytest.mark.parametrize("object_format", ["sha1", "sha256"])
def test_names_are_as_git_tells(tmp_path: Path, version: str, object_format: str) -> None:
    """Each version, with both sizes of object ids, long names, and entries with further flags."""
    try:
        main = make_repository(tmp_path.resolve() / "main", f"--object-format={object_format}")
    except subprocess.CalledProcessError:
        pytest.skip(f"this git makes no repository with {object_format}")
    assert asked(main, ".tt") == Tracked([])
    track(main, *FILES)
    git(main, "update-index", "--index-version", version)
    assert names_of(main) == sorted(FILES)
    (main / "new").write_text("x")
    git(main, "add", "--intent-to-add", "new")
    git(main, "update-index", "--skip-worktree", "d/e/f")
    tracked = asked(main, ".tt")
    assert tracked == Tracked([".tt/server.log"])
    assert (main / ".git" / "index").read_bytes()[7] == (4 if version == "4" else 3)
    assert asked(main, "new") == Tracked(["new"])


@needs_git
@pytest.mark.parametrize(
    ("path", "names"),
    [
        (".tt", [".tt/server.log"]),
        (".TT", [".tt/server.log"]),
        (".t", []),
        (".tt/server", []),
        ("a/.tt", ["a/.TT/data/x"]),
        ("A/.tt", ["a/.TT/data/x"]),
        ("b/.tt", ["b/.tt"]),
        ("b/.tt/x", []),
        ("c/.tt", []),
        ("café/.tt", ["café/.tt/x"]),
        ("cafe\u0301/.tt", ["café/.tt/x"]),
        ("CAFÉ/.tt", ["café/.tt/x"]),
        ("z/.tt", ["z/.t\u200ct/x"]),
        ("tt", []),
    ],
)
def test_names_at_or_below_a_path(main: Path, path: str, names: list[str]) -> None:
    """A file, a folder, and nothing else that begins alike; other ways to write the name are the name on some disks."""
    assert asked(main, path) == Tracked(names)


@needs_git
def test_link_and_submodule_count_as_tracked(main: Path) -> None:
    """Whatever git puts at the place came from elsewhere."""
    empty = git(main, "hash-object", "-w", "--stdin")
    commit = git(main, "rev-parse", "HEAD")
    git(main, "update-index", "--index-info", text=f"120000 {empty}\tl/.tt\n160000 {commit}\tm/.tt\n")
    assert asked(main, "l/.tt") == Tracked(["l/.tt"])
    assert asked(main, "m/.tt") == Tracked(["m/.tt"])


@needs_git
def test_entries_of_a_merge_count_as_tracked(main: Path) -> None:
    """A conflict has an entry for each side."""
    empty = git(main, "hash-object", "-w", "--stdin")
    git(main, "update-index", "--index-info", text=f"100644 {empty} 1\tq/.tt\n100644 {empty} 2\tq/.tt\n")
    assert asked(main, "q/.tt") == Tracked(["q/.tt", "q/.tt"])


@needs_git
def test_each_worktree_has_an_index_of_its_own(main: Path) -> None:
    """What the main checkout is about to track, a linked worktree does not."""
    side = main.parent / "side"
    git(main, "worktree", "add", "--quiet", str(side))
    assert asked(side, ".tt") == Tracked([])
    track(side, "a/.tt/x")
    assert asked(side, "a/.tt") == Tracked(["a/.tt/x"])


@needs_git
@pytest.mark.parametrize("version", ["2", "4"])
def test_split_index_is_read_with_what_it_shares(main: Path, version: str) -> None:
    """Entries that were deleted since are not there; replaced and new ones are."""
    track(main, *(f"many/{number:04}" for number in range(1000)))
    git(main, "config", "splitIndex.maxPercentChange", "100")
    git(main, "update-index", "--index-version", version)
    git(main, "update-index", "--split-index")
    assert list((main / ".git").glob("sharedindex.*"))
    names_of(main)
    git(main, "update-index", "--force-remove", ".tt/server.log", "b/.tt")
    git(main, "update-index", "--force-remove", *(f"many/{number:04}" for number in range(100, 900)))
    empty = git(main, "hash-object", "-w", "--stdin")
    git(main, "update-index", "--add", "--cacheinfo", f"100755,{empty},d/e/f", "--cacheinfo", f"100644,{empty},n/.tt")
    assert len((main / ".git" / "index").read_bytes()) < 2000
    for path, names in {".tt": [], "b/.tt": [], "n/.tt": ["n/.tt"], "d": ["d/e/f"], "many/0100": []}.items():
        assert asked(main, path) == Tracked(names)
    assert asked(main, "many/0099").names == asked(main, "MANY/0099").names == ["many/0099"]
    assert asked(main, "many/0900").names == ["many/0900"]
    for shared in (main / ".git").glob("sharedindex.*"):
        shared.unlink()
    assert "is not there" in (asked(main, ".tt").remark or "")


@needs_git
def test_sparse_index_does_not_tell_what_is_below_its_folders(main: Path) -> None:
    """One entry stands for all of a folder: at the path it counts, above it nobody can tell without the objects."""
    git(main, "commit", "--quiet", "--message=two")
    try:
        git(main, "sparse-checkout", "set", "--cone", "--sparse-index", "d")
    except subprocess.CalledProcessError:
        pytest.skip("this git makes no sparse index")
    if b"sdir" not in (main / ".git" / "index").read_bytes():
        pytest.skip("this git makes no sparse index")
    assert asked(main, "d/.tt") == Tracked([])
    assert asked(main, ".tt") == Tracked([".tt/"])
    assert "is sparse" in (asked(main, "b/.tt").remark or "")
    assert "is sparse" in (asked(main, "B/.tt").remark or "")
    assert asked(main, "x/.tt") == Tracked([])


def test_path_outside_the_work_tree_cannot_be_told(tmp_path: Path) -> None:
    """Nor where the repository is not believed, for its reason."""
    repository = Repository(tmp_path / "x", tmp_path, tmp_path)
    assert "is not in the work tree" in (tracked_below(repository, tmp_path / "y").remark or "")
    assert tracked_below(Repository(tmp_path, remark="so"), tmp_path / "y") == Tracked([], "so")


SOUND = index(entry(b".tt"), rest=bytes(20))


def test_sound_index_is_read(tmp_path: Path) -> None:
    """What the tests below break is whole before they do."""
    assert bare_index(SOUND, tmp_path) == Tracked([".tt"])
    assert bare_index(index(rest=bytes(32)), tmp_path) == Tracked([])


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"DIRC",
        SOUND[:-1],
        SOUND + b"\0",
        b"DIRX" + SOUND[4:],
        index(entry(b"x"), version=1, rest=bytes(20)),
        index(entry(b"x"), version=5, rest=bytes(20)),
        index(entry(b"x"), count=2, rest=bytes(20)),
        index(entry(b"x"), count=0, rest=bytes(20)),
        index(entry(b"x"), count=0xFFFFFFFF, rest=bytes(20)),
        index(entry(b"xyz", flags=2), rest=bytes(20)),
        index(entry(b"x" * (ENTRY_NAME_BYTES_MAX + 1)), rest=bytes(20)),
        index(entry(b"x"), rest=b"newx" + bytes(4) + bytes(20)),
        index(entry(b"x"), rest=b"TREE\xff\xff\xff\xff" + bytes(20)),
        index(bytes(62) + b"\x01x\0", version=4, rest=bytes(20)),
        index(bytes(62) + b"\xff" * 1000, version=4, rest=bytes(20)),
        index(bytes(62) + b"\0" + b"x" * 4000 + b"\0", *[bytes(62) + b"\x01x\0"] * 40_000, version=4, rest=bytes(20)),
        index(*[bytes(62) + b"\0" + b"x" * 1000 + b"\0"] * 5, version=4, rest=bytes(20)),
    ],
    ids=range(18),
)
def test_damaged_index_cannot_be_told(tmp_path: Path, content: bytes) -> None:
    """It is never taken for an empty one, and no number in it makes the reader work on."""
    tracked = bare_index(content, tmp_path)
    assert tracked.names == []
    assert UNREADABLE in (tracked.remark or "")


@pytest.mark.parametrize(
    "bitmap",
    [
        b"x",
        struct.pack(">II", 1, 0xFFFFFFFF),
        struct.pack(">IIQI", 1, 2, 0, 0),
    ],
)
def test_damaged_bitmap_of_a_split_index_cannot_be_told(tmp_path: Path, bitmap: bytes) -> None:
    """Without it nobody knows which entries are still there."""
    shared = b"\1" * 20
    link = shared + bitmap
    (tmp_path / f"sharedindex.{shared.hex()}").write_bytes(SOUND)
    content = index(rest=b"link" + struct.pack(">I", len(link)) + link + bytes(20))
    assert "is damaged where it says what it shares" in (bare_index(content, tmp_path).remark or "")


def test_bitmap_of_a_split_index_names_no_more_than_there_is(tmp_path: Path) -> None:
    """A run of all the bits that a number can say ends at the last entry."""
    shared = b"\1" * 20
    run = struct.pack(">IIQI", 0xFFFFFFFF, 1, 0xFFFFFFFF << 1 | 1, 0)
    (tmp_path / f"sharedindex.{shared.hex()}").write_bytes(SOUND)
    second_bit = struct.pack(">IIQQI", 1, 2, 1 << 33, 1 << 1, 0)
    bit_after_a_word_of_zeros = struct.pack(">IIQQI", 1, 2, 1 << 33 | 1 << 1, 1, 0)
    for bitmap, names in {run: [], b"": [".tt"], second_bit: [".tt"], bit_after_a_word_of_zeros: [".tt"]}.items():
        link = shared + bitmap
        # An entry that replaces a shared one has no name, and is not one more.
        content = index(entry(b""), rest=b"link" + struct.pack(">I", len(link)) + link + bytes(20))
        assert bare_index(content, tmp_path) == Tracked(names)
        assert tracked_below(Repository(tmp_path, tmp_path, tmp_path), tmp_path) == Tracked(names)


def test_split_index_of_a_split_index_cannot_be_told(tmp_path: Path) -> None:
    """Git makes none, and one that shares with itself would have no end."""
    shared = b"\1" * 20
    content = index(rest=b"link" + struct.pack(">I", 20) + shared + bytes(20))
    (tmp_path / f"sharedindex.{shared.hex()}").write_bytes(content)
    assert "is split itself" in (bare_index(content, tmp_path).remark or "")


def test_large_index_cannot_be_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The bound is said, and nothing is read."""
    monkeypatch.setattr(git_index, "INDEX_BYTES_MAX", len(SOUND) - 1)
    assert "is larger than" in (bare_index(SOUND, tmp_path).remark or "")


def test_index_that_is_a_link_cannot_be_told(tmp_path: Path) -> None:
    """It is not followed."""
    (tmp_path / "other").write_bytes(SOUND)
    (tmp_path / "index").symlink_to("other")
    assert tracked_below(Repository(tmp_path, tmp_path, tmp_path), tmp_path / ".tt").remark
