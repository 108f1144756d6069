"""The repository of a folder: what git made is found as git finds it, and what git did not make is not believed."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.support.git import git, make_fake_repository, make_fake_worktree, make_repository, needs_git
from town.folder import repository as room
from town.folder.git_index import tracked_below
from town.folder.repository import Repository, UnreadableError, branch, find_repository, read_own_file
from town.folder.settings import suggest_name


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty folder that lies in no repository."""
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path.parent))
    return tmp_path.resolve()


def found(folder: Path) -> Repository:
    """The repository of a folder, which has one."""
    repository = find_repository(folder)
    assert repository is not None
    return repository


def not_linked(folder: Path) -> str:
    """Why the `.git` of a folder is not believed."""
    repository = found(folder)
    assert repository == Repository(folder, remark=repository.remark)
    assert branch(repository) is None
    assert tracked_below(repository, folder / ".tt").remark == repository.remark
    return repository.remark or ""


def make_worktree(main: Path, place: Path) -> Path:
    """A linked worktree of `main`, on a branch `side`."""
    git(main, "worktree", "add", "--quiet", "-b", "side", str(place))
    return place


# --- what git made ---------------------------------------------------------------------------------------------


@needs_git
def test_main_checkout_is_found_from_any_folder_in_it(home: Path) -> None:
    """The nearest `.git` upwards counts; a folder of that name that is no repository is passed by, as in git."""
    main = make_repository(home / "main")
    deep = main / "a" / "b"
    (deep / ".git").mkdir(parents=True)
    assert find_repository(home) is None
    assert found(main) == found(deep) == Repository(main, main / ".git", main / ".git")
    assert branch(found(deep)) == "main"
    (home / "link").symlink_to(deep)
    assert found(home / "link").root == main
    assert found(deep / "not" / "there").root == main


@needs_git
@pytest.mark.parametrize("place", ["side", "main/nested", "a/b/side"])
def test_linked_worktree_leads_to_its_main_checkout(home: Path, place: str) -> None:
    """Beside the main checkout, in it, or deep elsewhere: the top is the worktree's own, and so is the branch."""
    main = make_repository(home / "main")
    side = make_worktree(main, home / place)
    (side / "deep").mkdir()
    git_folder = main / ".git" / "worktrees" / side.name
    linked = Repository(side, git_folder, main / ".git", is_linked=True, main_root=main)
    assert found(side) == found(side / "deep") == linked
    assert branch(linked) == "side"
    assert git(side, "rev-parse", "--show-toplevel") == str(linked.root)
    git(side, "switch", "--quiet", "--detach")
    assert branch(linked) is None


@needs_git
def test_linked_worktree_with_relative_paths_leads_to_its_main_checkout(home: Path) -> None:
    """`worktree.useRelativePaths` of git 2.48 writes both links relative to the file they are in."""
    main = make_repository(home / "main")
    side = make_worktree(main, home / "side")
    (side / ".git").write_text("gitdir: ../main/.git/worktrees/side\n")
    (main / ".git" / "worktrees" / "side" / "gitdir").write_text("../../../../side/.git\n")
    assert git(side, "rev-parse", "--git-common-dir") == str(main / ".git")
    assert found(side).main_root == main
    # A repository and its worktree that are moved together stay together.
    (home / "new").mkdir()
    main.rename(home / "new" / "main")
    side.rename(home / "new" / "side")
    assert found(home / "new" / "side").main_root == home / "new" / "main"


@needs_git
def test_worktree_with_settings_of_its_own_leads_to_its_main_checkout(home: Path) -> None:
    """`extensions.worktreeConfig` moves `core.bare` of the main checkout into a file of its own."""
    main = make_repository(home / "main")
    side = make_worktree(main, home / "side")
    git(main, "config", "extensions.worktreeConfig", "true")
    assert found(side).main_root == main
    git(main, "config", "--worktree", "core.bare", "true")
    git(main, "config", "--unset", "core.bare")
    assert found(side).is_linked
    assert found(side).main_root is None
    assert found(side).remark is None


@needs_git
def test_worktree_through_a_link_leads_to_its_main_checkout(home: Path) -> None:
    """Paths are compared after their links are followed, as git may have written either."""
    main = make_repository(home / "main")
    (home / "other").symlink_to(home, target_is_directory=True)
    side = make_worktree(main, home / "side")
    (side / ".git").write_text(f"gitdir: {home}/other/main/.git/worktrees/side\n")
    (main / ".git" / "worktrees" / "side" / "gitdir").write_text(f"{home}/other/side/.git\n")
    assert found(home / "other" / "side") == found(side)
    assert found(side).main_root == main


@needs_git
def test_moved_worktree_is_not_linked_until_it_is_repaired(home: Path) -> None:
    """The repository knows the old place; what the remark says helps."""
    main = make_repository(home / "main")
    moved = make_worktree(main, home / "side").rename(home / "moved")
    assert "`git worktree repair` links it again" in not_linked(moved)
    assert str(home / "side") in not_linked(moved)
    git(moved, "worktree", "repair")
    assert found(moved).main_root == main


@needs_git
def test_copied_worktree_is_not_linked(home: Path) -> None:
    """A copy is told from the worktree, and is not advised to take its link away."""
    main = make_repository(home / "main")
    side = make_worktree(main, home / "side")
    shutil.copytree(side, home / "copy")
    assert "is a copy" in not_linked(home / "copy")
    assert "repair" not in not_linked(home / "copy")
    assert found(side).main_root == main


@needs_git
def test_worktree_of_a_moved_repository_is_not_linked_until_it_is_repaired(home: Path) -> None:
    """Its `.git` leads nowhere; what the remark says helps, also where the worktree moved along inside."""
    main = make_repository(home / "main")
    make_worktree(main, main / "nested")
    moved = main.rename(home / "moved")
    assert "`git worktree repair` there, with this folder's path" in not_linked(moved / "nested")
    git(moved, "worktree", "repair", str(moved / "nested"))
    assert found(moved / "nested").main_root == moved


@needs_git
def test_worktree_that_the_repository_forgot_is_not_linked(home: Path) -> None:
    """Only the repository's side was removed: its folder is a stranger's now."""
    main = make_repository(home / "main")
    side = make_worktree(main, home / "side")
    shutil.rmtree(main / ".git" / "worktrees" / "side")
    assert "no longer has this worktree" in not_linked(side)
    shutil.rmtree(main)
    assert "is not there" in not_linked(side)


@needs_git
@pytest.mark.parametrize("name", ["main.git", "project/.bare", "project/.git"])
def test_worktree_of_a_bare_repository_has_no_main_checkout(home: Path, name: str) -> None:
    """It is linked, and that is all; also where a `.git` file beside it names the bare repository."""
    git(make_repository(home / "main"), "clone", "--quiet", "--bare", ".", str(home / name))
    if name == "project/.bare":
        (home / "project" / ".git").write_text("gitdir: ./.bare\n")
        assert found(home / "project").common_folder == home / name
    side = make_worktree(home / name, home / "project" / "side")
    assert found(side) == Repository(side, home / name / "worktrees" / "side", home / name, is_linked=True)
    assert branch(found(side)) == "side"


@needs_git
def test_submodule_is_a_repository_of_its_own(home: Path) -> None:
    """Its `.git` is a file, though it is not a worktree; a worktree of it leads to the submodule's checkout."""
    make_repository(home / "part")
    main = make_repository(home / "main")
    git(main, "submodule", "--quiet", "add", str(home / "part"), "sub")
    store = main / ".git" / "modules" / "sub"
    assert found(main / "sub") == Repository(main / "sub", store, store)
    assert branch(found(main / "sub")) == "main"
    side = make_worktree(main / "sub", home / "side")
    assert found(side).common_folder == store
    assert found(side).main_root == main / "sub"
    # A worktree of the outer repository is the outer one's, and its submodules are apart.
    assert found(make_worktree(main, home / "outer")).main_root == main


@needs_git
def test_worktree_whose_main_checkout_leads_elsewhere_has_none(home: Path) -> None:
    """The main checkout must lead to the repository too; the worktree stays linked."""
    make_repository(home / "part")
    main = make_repository(home / "main")
    git(main, "submodule", "--quiet", "add", str(home / "part"), "sub")
    side = make_worktree(main / "sub", home / "side")
    (main / "sub" / ".git").write_text(f"gitdir: {home}/part/.git\n")
    assert found(side).is_linked
    assert found(side).main_root is None
    assert "does not lead to" in (found(side).remark or "")


@needs_git
def test_repository_that_is_stored_elsewhere_is_one(home: Path) -> None:
    """`--separate-git-dir` leaves no way back, and the folder is no worktree."""
    main = make_repository(home / "main", f"--separate-git-dir={home}/store")
    assert found(main) == Repository(main, home / "store", home / "store")


@needs_git
def test_suggested_name_is_as_git_tells(home: Path) -> None:
    """The top's name and the branch; a worktree has both of its own, a detached HEAD and a moved worktree the folder's."""
    main = make_repository(home / "main")
    side = make_worktree(main, home / "wt")
    (side / "src").mkdir()
    assert suggest_name(main) == "main-main"
    assert suggest_name(side / "src") == "wt-side"
    git(side, "switch", "--quiet", "--detach")
    assert suggest_name(side / "src") == "src"
    assert suggest_name(side.rename(home / "moved")) == "moved"


def test_suggested_name_runs_no_program(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A repository that somebody else made can name programs in its settings, which git would run."""
    folder = make_fake_repository(home / "harbour" / ".git")
    (folder / "config").write_text(f"[core]\n\tfsmonitor = touch {home}/ran\n\tworktree = /etc\n")
    monkeypatch.setattr(subprocess, "Popen", None)
    assert suggest_name(home / "harbour") == "harbour-main"
    assert sorted(each.name for each in home.iterdir()) == ["harbour"]


# --- what git did not make -------------------------------------------------------------------------------------


def test_fake_worktree_is_as_good_as_one_of_gits(home: Path) -> None:
    """What the tests below change is whole before they do."""
    place, git_folder = make_fake_worktree(home)
    main = home / "main"
    assert found(place) == Repository(place, git_folder, main / ".git", is_linked=True, main_root=main)


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "does not begin with `gitdir:`"),
        (b"gitdir:", "does not begin"),
        (b"gitdir: ", "does not hold a path"),
        (b"gitdir: \n\n", "does not hold a path"),
        (b"gitdir: {git_folder}\0", "does not hold a path"),
        (b"gitdir: {git_folder}\ngitdir: /x\n", "does not hold a path"),
        (b"gitdir: \x1b]0;title\x07\n", "does not hold a path"),
        (b"gitdir: {git_folder}" + b"/" * 10_000_000, "larger than"),
        (b"gitdir: {git_folder}" + b"\n" * 10_000_000, "larger than"),
        (b"\xff\xfe\x00\x01" * 100, "does not begin"),
        (b"gitdir: \xff\xfe\n", "is not there"),
        (b"gitdir: " + b"x" * 5000, "is not there"),
        (b"gitdir: .git", "is not a folder"),
        (b"gitdir: .", "is not a git repository"),
        (b"gitdir: loop/worktrees/side", "is not there"),
        (b"gitdir: /", "/ "),
        (b"gitdir: /proc/self/root{git_folder}", "not on a disk"),
        (b"gitdir: /proc/self/cwd", "not on a disk"),
        (b"gitdir: /./proc//self/fd/0", "not on a disk"),
        (b"gitdir: /x/../dev/fd/0", "not on a disk"),
        (b"gitdir: to-proc/self", "not on a disk"),
        (b"gitdir: /net/host/worktrees/side", "not on a disk"),
        (b"gitdir: //host/share/worktrees/side", "not on a disk"),
        (b"gitdir: {home}/main/.git", "is the repository of"),
        (b"gitdir: {home}/main/.git/worktrees", "is not a git repository"),
        (b"gitdir: {home}/main/.git/worktrees/none", "no longer has this worktree"),
        (b"gitdir: {home}/main/.git/worktrees/side/../other", "no longer has this worktree"),
        (b"gitdir: {home}/main/.git/worktrees/side/HEAD", "is not a folder"),
        (b"gitdir: {git_folder}", "is a copy"),
    ],
    ids=range(29),
)
def test_hostile_link_is_not_followed(home: Path, content: bytes, words: str) -> None:
    """A `.git` file of an archive that names whatever it likes gives no link, and the remark says why."""
    _, git_folder = make_fake_worktree(home)
    clone = home / "clone"
    clone.mkdir()
    (clone / "loop").symlink_to("loop")
    (clone / "to-proc").symlink_to("/proc")
    content = content.replace(b"{git_folder}", bytes(git_folder)).replace(b"{home}", bytes(home))
    if b"/proc/self/root" in content and not Path("/proc/self/root").exists():
        pytest.skip("this system has no /proc")
    (clone / ".git").write_bytes(content)
    remark = not_linked(clone)
    assert words in remark
    assert len(remark) < 10_000


def _make_link(path: Path) -> None:
    target = path.with_name("moved-away")
    path.rename(target)
    path.symlink_to(target)


def _make_pipe(path: Path) -> None:
    path.unlink()
    os.mkfifo(path)


def _make_folder(path: Path) -> None:
    path.unlink()
    path.mkdir()


@pytest.mark.parametrize("change", [_make_link, _make_pipe, _make_folder])
@pytest.mark.parametrize("name", ["side/.git", "main/.git/worktrees/side/gitdir", "main/.git/worktrees/side/commondir"])
def test_link_that_is_no_plain_file_is_not_followed(home: Path, name: str, change: Callable[[Path], None]) -> None:
    """A link is not followed, and a pipe without a writer does not make anybody wait."""
    place, _ = make_fake_worktree(home)
    change(home / name)
    if (name, change) == ("side/.git", _make_folder):
        assert find_repository(place) is None
    else:
        not_linked(place)


@pytest.mark.parametrize("change", [_make_link, _make_pipe, _make_folder])
def test_settings_that_are_no_plain_file_leave_no_main_checkout(home: Path, change: Callable[[Path], None]) -> None:
    """Whether the repository is bare cannot be told, so the main checkout is not used."""
    place, _ = make_fake_worktree(home)
    (home / "main" / ".git" / "config").write_text("")
    change(home / "main" / ".git" / "config")
    assert found(place).main_root is None
    assert "the main checkout is not used" in (found(place).remark or "")


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("commondir", "/etc\n"),
        ("commondir", "../../../../other/.git\n"),
        ("commondir", ".\n"),
        ("commondir", ""),
        ("commondir", "../../..\n"),
        ("gitdir", "/etc/passwd\n"),
        ("gitdir", "{home}/side\n"),
        ("gitdir", "{home}/side/deep/.git\n"),
        ("gitdir", "{home}/other/.git\n"),
        ("gitdir", ""),
        ("gitdir", ".git\n"),
    ],
)
def test_link_that_does_not_lead_back_is_not_believed(home: Path, name: str, content: str) -> None:
    """Both ways have to agree."""
    place, git_folder = make_fake_worktree(home)
    make_fake_repository(home / "other" / ".git")
    (git_folder / name).write_text(content.replace("{home}", str(home)))
    assert not_linked(place)


@pytest.mark.parametrize(
    "name",
    [
        "side",
        "side/.git",
        "main",
        "main/.git",
        "main/.git/config",
        "main/.git/worktrees/side",
        "main/.git/worktrees/side/gitdir",
        "main/.git/worktrees/side/commondir",
    ],
)
def test_another_users_part_of_a_link_ends_it(home: Path, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    """A worktree, its repository and every file that links them belong to this user, or there is no link."""
    place, _ = make_fake_worktree(home)
    (home / "main" / ".git" / "config").write_text("")
    assert found(place).main_root
    theirs = (home / name).stat().st_ino
    monkeypatch.setattr(room, "_is_own", lambda status: status.st_ino != theirs)
    repository = find_repository(place)
    if name.startswith("side"):
        assert repository is None
    elif name in ("main", "main/.git/config"):
        assert repository is not None
        assert repository.main_root is None
        assert "belongs to another user" in (repository.remark or "")
    else:
        assert "belongs to another user" in not_linked(place)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give files away")
@pytest.mark.parametrize("name", ["side/.git", "main/.git"])
def test_file_of_a_real_other_user_ends_a_link(home: Path, name: str) -> None:
    """The system's own word is taken for whose a file is; a repository that is all another user's is none."""
    place, _ = make_fake_worktree(home)
    os.chown(home / name, 65534, 65534)
    repository = find_repository(place)
    assert repository is None or repository.main_root is None
    assert find_repository(home / "main") is None or name == "side/.git"


@pytest.mark.parametrize(
    ("head", "name"),
    [
        (b"ref: refs/heads/feature/login\n", "feature/login"),
        (b"ref: refs/heads/main", "main"),
        ("ref: refs/heads/Zoë\n".encode(), "Zoë"),
        (b"ref: refs/heads/.invalid\n", None),
        (b"ref: refs/heads/\n", None),
        (b"ref: refs/remotes/origin/main\n", None),
        (b"refs/heads/main\n", None),
        (b"0123456789012345678901234567890123456789\n", None),
        (b"ref: refs/heads/a\nb\n", None),
        (b"ref: refs/heads/\x1b[1m\n", None),
        (b"ref: refs/heads/\xff\n", None),
        (b"ref: refs/heads/" + b"x" * 10_000, None),
        (b"", None),
    ],
    ids=range(13),
)
def test_branch_is_read_from_head(home: Path, head: bytes, name: str | None) -> None:
    """A name that can be shown, or none; a repository with reftables keeps its branch elsewhere."""
    (make_fake_repository(home / "main" / ".git") / "HEAD").write_bytes(head)
    assert branch(found(home / "main")) == name


@pytest.mark.parametrize(
    ("settings", "is_bare"),
    [
        ("", False),
        ("[core]\n\tbare = false\n", False),
        ("[core]\n\tbare = true\n", True),
        ("[CORE] Bare = Yes ; a comment\n", True),
        ("[core]\n\tbare\n", True),
        ('[core]\n\tbare = "on" # so\n', True),
        ("[core]\n\tbare = true\n\tbare = false\n", False),
        ('[core "x"]\n\tbare = true\n', False),
        ("[corex]\n\tbare = true\n", False),
        ("# [core]\n[user]\n\tbare = true\n", False),
        ("[user]\n\tname = x\n[core]\n\tbare = 1\n[core]\n\teditor = x\n", True),
        ('[core]\n\tworktree = "/etc" "\n\\', False),
    ],
    ids=range(12),
)
def test_settings_tell_whether_a_repository_is_bare(home: Path, settings: str, is_bare: bool) -> None:
    """As git reads them, of one setting the last one; `core.worktree` does not move what is beside a `.git`."""
    place, _ = make_fake_worktree(home)
    (home / "main" / ".git" / "config").write_text(settings)
    assert (found(place).main_root is None) == is_bare
    assert found(place).remark is None


def test_environment_of_a_hook_does_not_move_the_repository(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Git sets GIT_DIR for a hook, which may work in another folder."""
    place, _ = make_fake_worktree(home)
    monkeypatch.setenv("GIT_DIR", str(home / "main" / ".git"))
    monkeypatch.setenv("GIT_WORK_TREE", str(home))
    assert found(place).root == place
    assert find_repository(home) is None


def test_ceiling_ends_the_search(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As in git: a folder of the list is not looked at from below, and from itself it is."""
    make_fake_repository(home / "main" / ".git")
    (home / "main" / "a").mkdir()
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", f"/nowhere:{home / 'main'}")
    assert find_repository(home / "main" / "a") is None
    assert found(home / "main").root == home / "main"


def test_own_file_is_read_whole_or_refused(home: Path) -> None:
    """Up to its bound, and not a byte of more."""
    (home / "x").write_bytes(b"abc")
    assert read_own_file(home / "x", bytes_max=3) == b"abc"
    with pytest.raises(UnreadableError, match="larger than 2 bytes"):
        read_own_file(home / "x", bytes_max=2)
    with pytest.raises(UnreadableError, match="is not there"):
        read_own_file(home / "y", bytes_max=2)
