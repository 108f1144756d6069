"""Whether git tracks a path, read from every kind of index that git writes."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from town.git_index import Tracking, tracking
from town.repository import Repository, find_repository

needs_git = pytest.mark.skipif(shutil.which("git") is None, reason="git is not installed")


def git(folder: Path, *arguments: str) -> None:
    environment = {**os.environ, "GIT_CONFIG_NOSYSTEM": "1", "GIT_CONFIG_GLOBAL": os.devnull}
    subprocess.run(["git", "-C", str(folder), *arguments], check=True, capture_output=True, env=environment)


def repository_with(folder: Path, *names: str, version: int = 2, object_format: str = "sha1") -> Repository:
    """A repository that tracks files of these names, in an index of that version."""
    try:
        git(folder, "init", "--quiet", f"--object-format={object_format}")
    except subprocess.CalledProcessError:
        pytest.skip("this git has no such object format")
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(name)
    git(folder, "add", "--force", "--all")
    git(folder, "update-index", f"--index-version={version}")
    found = find_repository(folder)
    assert found is not None
    return found


@needs_git
@pytest.mark.parametrize("object_format", ["sha1", "sha256"])
@pytest.mark.parametrize("version", [2, 4])
@pytest.mark.parametrize(
    ("tracked", "answer"),
    [
        ((".tt/server.log",), Tracking.TRACKED),
        ((".tt",), Tracking.TRACKED),
        ((".TT/a/b",), Tracking.TRACKED),
        ((".travis.yml", ".tt/x", "z"), Tracking.TRACKED),
        ((".travis.yml", ".ttx", ".tt.toml", "a/.tt/x"), Tracking.NONE),
        (("x" * 200, "x" * 201 + "y", "tinytown.toml"), Tracking.NONE),
    ],
)
def test_tracked_data_is_found(
    tmp_path: Path, tracked: tuple[str, ...], answer: Tracking, version: int, object_format: str
) -> None:
    """A file, a folder and a link at `.tt` count, in any case; names that only begin alike do not."""
    repository = repository_with(tmp_path, *tracked, version=version, object_format=object_format)
    assert tracking(repository, tmp_path / ".tt") is answer


@needs_git
def test_marked_entries_are_read(tmp_path: Path) -> None:
    """An index of version 3 has longer entries where something is only intended to be added."""
    repository = repository_with(tmp_path, "a")
    (tmp_path / ".tt").mkdir()
    (tmp_path / ".tt" / "x").write_text("x")
    git(tmp_path, "add", "--force", "--intent-to-add", ".tt/x")
    assert tracking(repository, tmp_path / ".tt") is Tracking.TRACKED


@needs_git
def test_split_index_is_not_taken_for_an_empty_one(tmp_path: Path) -> None:
    """What stands in the shared part is not read, so nobody says that nothing is tracked."""
    repository = repository_with(tmp_path, ".tt/x", "a")
    git(tmp_path, "update-index", "--split-index")
    assert tracking(repository, tmp_path / ".tt") is not Tracking.NONE


def bare_repository(folder: Path) -> Repository:
    (folder / ".git").mkdir()
    return Repository(folder, folder / ".git", folder / ".git")


def test_no_index_tracks_nothing(tmp_path: Path) -> None:
    """Before the first `git add` there is none."""
    assert tracking(bare_repository(tmp_path), tmp_path / ".tt") is Tracking.NONE


@pytest.mark.parametrize("content", [b"DIRC", b"DIRC\0\0\0\x02\0\0\0\x01", b"DIRC\0\0\0\x09\0\0\0\0", b"x" * 5_000])
def test_broken_index_is_not_taken_for_an_empty_one(tmp_path: Path, content: bytes) -> None:
    """What cannot be read is said to be unknown."""
    repository = bare_repository(tmp_path)
    (tmp_path / ".git" / "index").write_bytes(content)
    assert tracking(repository, tmp_path / ".tt") is Tracking.UNKNOWN


def test_linked_index_is_not_followed(tmp_path: Path) -> None:
    """An index is a file of this user's; a link is none."""
    repository = bare_repository(tmp_path)
    (tmp_path / "elsewhere").write_bytes(b"")
    (tmp_path / ".git" / "index").symlink_to(tmp_path / "elsewhere")
    assert tracking(repository, tmp_path / ".tt") is Tracking.UNKNOWN


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=100)
@given(content=st.binary(max_size=400), version=st.integers(0, 5), count=st.integers(0, 5))
def test_hostile_index_ends_in_an_answer(tmp_path: Path, content: bytes, version: int, count: int) -> None:
    """Whatever the bytes are, nothing else than an answer comes of them."""
    (tmp_path / ".git").mkdir(exist_ok=True)
    repository = Repository(tmp_path, tmp_path / ".git", tmp_path / ".git")
    (tmp_path / ".git" / "index").write_bytes(b"DIRC" + version.to_bytes(4) + count.to_bytes(4) + content)
    assert tracking(repository, tmp_path / ".tt") in Tracking


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=100)
@given(
    files=st.fixed_dictionaries(
        {name: st.binary(max_size=200) for name in ("link", "gitdir", "commondir", "HEAD", "config")}
    )
)
def test_hostile_links_end_in_an_answer(tmp_path: Path, files: dict[str, bytes]) -> None:
    """A `.git` file and what it leads to may hold anything: no worktree is believed for it, and nothing is raised."""
    place, target = tmp_path / "place", tmp_path / "other" / ".git" / "worktrees" / "one"
    place.mkdir(exist_ok=True)
    target.mkdir(parents=True, exist_ok=True)
    for name in ("gitdir", "commondir", "HEAD"):
        (target / name).write_bytes(files[name])
    (target.parent.parent / "config").write_bytes(files["config"])
    for content in (files["link"], b"gitdir: " + files["link"], f"gitdir: {target}\n".encode()):
        (place / ".git").write_bytes(content)
        found = find_repository(place)
        assert found is None or not found.is_linked
