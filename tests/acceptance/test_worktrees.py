"""A linked git worktree is the same town, found without running git."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.support.towns import end_server
from tests.support.traps import contents
from tests.support.tt import Tt

pytestmark = pytest.mark.skipif(shutil.which("git") is None, reason="git is not installed")


def git(folder: Path, *arguments: str) -> None:
    """Run git without anybody's settings."""
    environment = {**os.environ, "GIT_CONFIG_NOSYSTEM": "1", "GIT_CONFIG_GLOBAL": os.devnull}
    identity = ("-c", "user.name=a", "-c", "user.email=a@example.org", "-c", "init.defaultBranch=main")
    subprocess.run(["git", "-C", str(folder), *identity, *arguments], check=True, capture_output=True, env=environment)


@pytest.fixture
def main(town: Path) -> Path:
    """A repository whose main checkout is a town, with its tinytown.toml committed."""
    git(town, "init", "--quiet")
    git(town, "add", "--all")
    git(town, "commit", "--quiet", "--message", "one")
    return town


@pytest.fixture
def worktree(main: Path, tmp_path: Path) -> Path:
    """A linked worktree of it, beside it; it is the current folder."""
    place = tmp_path / "side"
    git(main, "worktree", "add", "--quiet", str(place), "-b", "side")
    (place / "deep").mkdir()
    os.chdir(place)
    return place


def test_worktree_has_the_town_of_its_repository(main: Path, worktree: Path, tt: Tt) -> None:
    """What was made in the main checkout is seen in the worktree and the other way round, from any folder of it."""
    assert tt("assign", "worker-1", "made in main", "--town", str(main)).code == 0
    assert "made in main" in tt("tasks").out
    os.chdir(worktree / "deep")
    assert tt("assign", "worker-1", "made below").code == 0
    assert "made below" in tt("tasks", "--town", str(main)).out
    assert not (worktree / ".tt").exists()
    assert not (worktree / "redis.sock").exists()


def test_status_says_which_folder_is_used_and_why(main: Path, worktree: Path, tt: Tt) -> None:
    """A person in a worktree reads where the tasks are."""
    words = f"{main} ({worktree} is a worktree of its repository); `tt init --here` makes a town of its own"
    assert words in tt("status").out
    shown = tt("status", "--json").json
    assert (shown["folder"], shown["folder_reason"]) == (str(main), f"{worktree} is a worktree of its repository")
    assert tt("status", "--json", "--town", str(main)).json["folder_reason"] is None


def test_init_in_a_worktree_meets_the_repositorys_town(main: Path, worktree: Path, tt: Tt) -> None:
    """`tt init` makes no second town where there is one."""
    ran = tt("init")
    assert ran.code == 0
    assert str(main) in ran.out
    assert not (worktree / ".tt").exists()


def test_init_here_makes_a_town_of_its_own(main: Path, worktree: Path, tt: Tt) -> None:
    """With --here the worktree is apart from then on; `tt towns` says that two folders carry one name."""
    assert tt("assign", "worker-1", "made in main", "--town", str(main)).code == 0
    assert tt("init", "--here").code == 0
    assert "made in main" not in tt("tasks").out
    assert tt("assign", "worker-1", "made here").code == 0
    assert "made here" in tt("tasks").out
    assert "made here" not in tt("tasks", "--town", str(main)).out
    assert f"{worktree} (a town of its own, by `tt init --here`)" in tt("status").out
    listed = tt("towns")
    assert f"{worktree} is another town than the demo in {main}" in listed.out
    end_server(worktree)


def test_town_that_is_not_in_git_is_found_from_a_worktree(town: Path, tmp_path: Path, tt: Tt) -> None:
    """A tinytown.toml that nobody committed is there in the main checkout alone."""
    git(town, "init", "--quiet")
    git(town, "commit", "--quiet", "--allow-empty", "--message", "one")
    git(town, "worktree", "add", "--quiet", str(tmp_path / "side"), "-b", "side")
    os.chdir(tmp_path / "side")
    assert tt("status", "--json").json["folder"] == str(town)


def test_link_in_the_main_checkout_leads_to_no_other_town(main: Path, worktree: Path, tmp_path: Path, tt: Tt) -> None:
    """`main/deep -> ../other` is another folder's town; the worktree's `deep` does not get it."""
    other = tmp_path / "other"
    assert tt("init", "--name", "other", "--town", str(other)).code == 0
    (main / "deep").symlink_to(other)
    os.chdir(worktree / "deep")
    assert tt("status", "--json").json["town"] != "other"
    before = dict(contents(other / ".tt" / "appendonlydir"))
    assert str(other) not in tt("init").out
    assert dict(contents(other / ".tt" / "appendonlydir")) == before
    end_server(other)
    end_server(worktree / "deep")
    end_server(worktree)


def test_submodule_has_the_town_above_it(main: Path, tmp_path: Path, tt: Tt) -> None:
    """A submodule is a folder like others: the nearest town upwards is that of the repository around it."""
    other = tmp_path / "other"
    other.mkdir()
    git(other, "init", "--quiet")
    git(other, "commit", "--quiet", "--allow-empty", "--message", "one")
    git(main, "-c", "protocol.file.allow=always", "submodule", "add", "--quiet", str(other), "part")
    os.chdir(main / "part")
    assert tt("status", "--json").json["folder"] == str(main)


def test_worktrees_of_a_bare_repository_share_the_town_above_it(folder: Path, tt: Tt) -> None:
    """Without a main checkout, the town is the one where the repository lies."""
    seed = folder / "seed"
    seed.mkdir()
    git(seed, "init", "--quiet")
    git(seed, "commit", "--quiet", "--allow-empty", "--message", "one")
    project = folder / "project"
    project.mkdir()
    git(folder, "clone", "--quiet", "--bare", str(seed), str(project / ".bare"))
    git(project / ".bare", "worktree", "add", "--quiet", str(folder / "elsewhere"), "main")
    assert tt("init", "--name", "project", "--town", str(project)).code == 0
    os.chdir(folder / "elsewhere")
    assert tt("status", "--json").json["folder"] == str(project)
    end_server(project)


def test_moved_worktree_is_told(main: Path, worktree: Path, tmp_path: Path, tt: Tt) -> None:
    """A worktree that was moved without git no longer agrees with its repository: it is not followed."""
    moved = tmp_path / "moved"
    worktree.rename(moved)
    os.chdir(moved)
    before = dict(contents(main))
    ran = tt("status", "--json")
    assert ran.json["folder"] == str(moved)
    assert "git worktree repair" in ran.err
    assert dict(contents(main)) == before
    end_server(moved)


@pytest.mark.parametrize("kind", ["moved", "moved, behind a link", "a link to the repository"])
def test_data_that_git_tracks_is_refused_also_where_the_link_is_not_believed(
    kind: str, main: Path, worktree: Path, tmp_path: Path, tt: Tt
) -> None:
    """Git works in a worktree that was moved, and through a link: a pull there could write the data that was loaded."""
    place = worktree
    if kind == "a link to the repository":
        place = tmp_path / "linked"
        place.mkdir()
        (place / ".git").symlink_to(main / ".git")
        (place / "tinytown.toml").write_text('name = "linked"\n')
    else:
        place = worktree.rename(tmp_path / "moved")
    if kind == "moved, behind a link":
        (place / ".git").rename(tmp_path / "link")
        (place / ".git").symlink_to("../link")
    os.chdir(place)
    try:
        assert tt("tasks").code == 0
        assert tt("stop").code == 0
        git(place, "add", "--force", ".tt/server.log")
        refused = tt("tasks")
        assert (refused.code, "is tracked by git" in refused.err) == (1, True), refused
        git(place, "rm", "--quiet", "-r", "--cached", ".tt")
        assert tt("tasks").code == 0
    finally:
        end_server(place)


@pytest.mark.parametrize("kind", ["no link back", "another user's", "not there", "a link", "text"])
def test_git_file_that_points_elsewhere_leads_nowhere(
    kind: str, main: Path, worktree: Path, tmp_path: Path, tt: Tt
) -> None:
    """An archive may ship a `.git` file that names a repository of this user's: its town is not reached that way."""
    assert tt("assign", "worker-1", "private", "--town", str(main)).code == 0
    hostile = tmp_path / "hostile"
    hostile.mkdir()
    (hostile / "tinytown.toml").write_text('name = "demo"\n')
    link = hostile / ".git"
    target = main / ".git" / "worktrees" / "side"
    if kind == "a link":
        link.symlink_to(worktree / ".git")
    else:
        link.write_text(
            {"not there": "gitdir: /no/such/place\n", "text": "x" * 100_000}.get(kind, f"gitdir: {target}\n")
        )
    if kind == "another user's":
        if os.geteuid() != 0:
            pytest.skip("only root can give a file to another user")
        os.chown(link, 65_534, 65_534)
    os.chdir(hostile)
    ran = tt("tasks")
    assert ran.code in (0, 1)
    assert "private" not in ran.out
    end_server(hostile)
