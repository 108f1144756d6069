"""Whatever stands in git's files, reading them has an answer."""

from __future__ import annotations

import shutil

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support.git import entry, index, make_fake_worktree
from town.folder.git_index import NAMES_MAX, tracked_below
from town.folder.repository import Repository, branch, find_repository

_hostile = st.one_of(
    st.binary(max_size=200),
    st.builds(
        lambda prefix, parts, end: prefix + b"/".join(parts) + end,
        st.sampled_from([b"", b"gitdir: ", b"ref: refs/heads/", b"/", b"[core]\nworktree = ", b"[core]bare="]),
        st.lists(st.sampled_from([b"..", b".", b"", b".git", b"main", b"side", b"worktrees", b"\xff", b"x" * 300])),
        st.sampled_from([b"", b"\n", b"\0", b"\\", b'"']),
    ),
)


@given(st.lists(st.tuples(st.sampled_from([".git", "gitdir", "commondir", "HEAD", "config"]), _hostile), max_size=3))
def test_no_bytes_in_gits_files_raise(tmp_path_factory: pytest.TempPathFactory, files: list[tuple[str, bytes]]) -> None:
    """Whatever git's files hold, there is an answer; a link in it is mutual."""
    home = tmp_path_factory.mktemp("home").resolve()
    place, git_folder = make_fake_worktree(home)
    for name, content in files:
        folder = {".git": place, "config": home / "main" / ".git"}.get(name, git_folder)
        (folder / name).write_bytes(content)
    repository = find_repository(place)
    assert repository is not None
    branch(repository)
    tracked_below(repository, place / ".tt")
    assert repository.main_root in (None, home / "main")
    assert repository.is_linked or repository.main_root is None
    shutil.rmtree(home)


_parts = st.lists(
    st.one_of(
        st.binary(max_size=90),
        st.sampled_from(
            [
                index(entry(b".tt"))[:12],
                entry(b".tt"),
                bytes(20),
                bytes(62),
                b"link\0\0\0\x14" + b"\1" * 20,
                b"sdir\0\0\0\0",
            ]
        ),
    )
)


@given(st.integers(2, 4), _parts, st.booleans())
def test_no_bytes_in_an_index_raise(
    tmp_path_factory: pytest.TempPathFactory, version: int, parts: list[bytes], has_header: bool
) -> None:
    """Whatever an index and what it shares hold, there is an answer."""
    folder = tmp_path_factory.mktemp("git")
    content = (index(version=version, count=len(parts)) if has_header else b"") + b"".join(parts)
    (folder / f"sharedindex.{'01' * 20}").write_bytes(
        content[::-1] if len(parts) % 2 else index(entry(b".tt"), rest=bytes(20))
    )
    (folder / "index").write_bytes(content)
    tracked = tracked_below(Repository(folder, folder, folder), folder / ".tt")
    assert tracked.remark is None or tracked.remark.strip()
    assert len(tracked.names) <= NAMES_MAX
    shutil.rmtree(folder)
