"""The git repository that a folder lies in, and the main checkout of a linked worktree, read from git's own files.

This room never runs git, because the configuration of somebody else's repository can name programs. It trusts a linked
worktree only if the link is mutual: its `.git` names `worktrees/<id>` of a repository, the `gitdir` there names that
`.git`, and all of it belongs to this user.

`GIT_DIR` is ignored: git sets it for a hook, and the hook may work elsewhere. `core.worktree` does not move the top
away from a `.git` folder: it would come with an archive. `GIT_CEILING_DIRECTORIES` ends the search, as it ends git's.
`town.folder.git_index` finds what git tracks.
"""

from __future__ import annotations

import os
import stat
from pathlib import Path
from typing import Final

from msgspec import Struct

LINK_BYTES_MAX: Final = 8192
"""The largest `.git`, `gitdir`, `commondir` and `HEAD` that are read; a path in them has at most 4096 bytes."""
LINKS_MAX: Final = 8
"""How many links from a `.git` to its folder to follow: git makes one, and a person's link may come before it."""
CONFIG_BYTES_MAX: Final = 1 << 20
_DOT_GIT: Final = ".git"
_LINK_PREFIX: Final = "gitdir: "
_PLACES_REFUSED: Final = ("//", "/dev/", "/net/", "/proc/", "/sys/")
"""Paths that are not on a disk of this machine; a look below `/net` can open a connection."""
_BRANCH_PREFIX: Final = "ref: refs/heads/"
_BRANCH_ELSEWHERE: Final = ".invalid"
"""The placeholder branch in HEAD of a repository with reftables. The reftables hold the real one."""
_SECTIONS_READ: Final = ("core", "extensions")
_YES: Final = ("true", "yes", "on", "1")


class Repository(Struct, frozen=True):
    """A work tree, and the repository that it belongs to.

    `root` is the top of this work tree. `git_folder` has its HEAD and index, `common_folder` what all work trees of the
    repository share. Both are None if the `.git` is not trusted; `remark` says why, and what helps.
    `main_root` is the top of the main checkout where this is a linked worktree. A bare repository has none.
    """

    root: Path
    git_folder: Path | None = None
    common_folder: Path | None = None
    is_linked: bool = False
    main_root: Path | None = None
    remark: str | None = None


class UnreadableError(Exception):
    """A file or folder is not as git makes it, or belongs to another user. The message has its path."""


def find_repository(start: Path) -> Repository | None:
    """The repository whose work tree holds `start`.

    None if there is none, or if the nearest `.git` or its folder belongs to another user.
    """
    ceilings = os.environ.get("GIT_CEILING_DIRECTORIES", "").split(os.pathsep)
    start = _real(start)
    for folder in (start, *start.parents):
        if folder != start and str(folder) in ceilings:
            return None
        dot_git = folder / _DOT_GIT
        try:
            found = dot_git.lstat()
            is_own = _is_own(found) and _is_own(folder.lstat())
        except (FileNotFoundError, NotADirectoryError):
            continue
        except OSError:
            return None
        if not is_own:
            return None
        if not stat.S_ISDIR(found.st_mode):
            return _follow(folder)
        # As git does, skip a folder of that name with other content.
        if _is_repository(dot_git):
            return Repository(folder, dot_git, dot_git)
    return None


def unbelieved_git_folder(repository: Repository) -> Path | None:
    """The git folder that an untrusted `.git` leads to; None if it does not lead to one of this user's.

    Git itself may follow it all the same, as in a worktree that was moved, so its index has to be checked.
    """
    place = repository.root / _DOT_GIT
    try:
        for _ in range(LINKS_MAX):
            status = place.lstat()
            if stat.S_ISDIR(status.st_mode):
                return place if _is_own(status) and _is_repository_or_worktree(place) else None
            if stat.S_ISLNK(status.st_mode):
                place = _resolve(os.fsdecode(place.readlink()), source=place)
            else:
                place = _read_path(place, prefix=_LINK_PREFIX)
    except (UnreadableError, OSError):
        return None
    return None


def branch(repository: Repository) -> str | None:
    """The branch that is checked out; None if there is none, or if it cannot be read."""
    if repository.git_folder is None:
        return None
    try:
        head = read_own_file(repository.git_folder / "HEAD", bytes_max=LINK_BYTES_MAX).decode()
    except (UnreadableError, UnicodeDecodeError):
        return None
    name = head.rstrip("\n").removeprefix(_BRANCH_PREFIX)
    return (
        name if head.startswith(_BRANCH_PREFIX) and name.isprintable() and name not in ("", _BRANCH_ELSEWHERE) else None
    )


def read_own_file(path: Path, *, bytes_max: int) -> bytes:
    """All of a plain file of this user's, without following a link at its end; UnreadableError where it is not one."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC)
    except FileNotFoundError:
        raise UnreadableError(f"{path} is not there") from None
    except OSError:
        raise UnreadableError(f"{path} cannot be read as a file") from None
    try:
        found = os.fstat(descriptor)
        if not stat.S_ISREG(found.st_mode):
            raise UnreadableError(f"{path} is not a plain file")
        if not _is_own(found):
            raise UnreadableError(f"{path} belongs to another user")
        if found.st_size > bytes_max:
            raise UnreadableError(f"{path} is larger than {bytes_max} bytes")
        return os.read(descriptor, found.st_size)
    except OSError as error:
        raise UnreadableError(f"{path} cannot be read") from error
    finally:
        os.close(descriptor)


def _follow(root: Path) -> Repository:
    """The repository of a work tree whose `.git` is not a folder."""
    try:
        git_folder = _read_path(root / _DOT_GIT, prefix=_LINK_PREFIX)
        common_folder = _common_folder(git_folder)
        if common_folder is None:
            _check_separate(git_folder, root)
            return Repository(root, git_folder, git_folder)
        _check_link_back(git_folder, root)
    except UnreadableError as error:
        return Repository(root, remark=str(error))
    try:
        main_root, remark = _main_root(common_folder), None
    except UnreadableError as error:
        main_root, remark = None, f"the main checkout is not used: {error}"
    return Repository(root, git_folder, common_folder, is_linked=True, main_root=main_root, remark=remark)


def _common_folder(git_folder: Path) -> Path | None:
    """The folder that all work trees share, if this is the git folder of a linked worktree.

    UnreadableError if parts are missing.
    """
    repository = git_folder.parent.parent
    is_of_worktree = git_folder.parent.name == "worktrees"
    if is_of_worktree and not os.path.lexists(git_folder) and _is_repository(repository):
        raise UnreadableError(
            f"the repository at {repository} no longer has this worktree; `git worktree add` makes a new one"
        )
    try:
        _check_own_folder(git_folder)
    except UnreadableError as error:
        raise UnreadableError(
            f"{error}; if the repository was moved, `git worktree repair` there, with this folder's path, links it again"
        ) from error
    if not os.path.lexists(git_folder / "commondir"):
        return None
    common_folder = _read_path(git_folder / "commondir")
    if not is_of_worktree or not _is_same_folder(common_folder, repository):
        raise UnreadableError(f"{git_folder} is not where {common_folder} keeps its worktrees")
    _check_own_folder(common_folder)
    if not _is_repository(common_folder):
        raise UnreadableError(f"{common_folder} is not a git repository")
    return common_folder


def _check_separate(git_folder: Path, root: Path) -> None:
    """UnreadableError if a separate git folder, such as a submodule's, belongs to another work tree."""
    if not _is_repository(git_folder):
        raise UnreadableError(f"{git_folder} is not a git repository")
    work_tree = _work_tree(git_folder, _read_config(git_folder))
    if work_tree is not None and not _is_same_folder(work_tree, root):
        raise UnreadableError(f"{git_folder} is the repository of {work_tree}, not of this folder")


def _check_link_back(git_folder: Path, root: Path) -> None:
    """UnreadableError if the repository has the worktree at another place."""
    named = _read_path(git_folder / "gitdir")
    if named.name == _DOT_GIT and _is_same_folder(named.parent, root):
        return
    place = named.parent
    try:
        is_copy = _is_same_folder(_read_path(named, prefix=_LINK_PREFIX), git_folder)
    except UnreadableError:
        is_copy = False
    raise UnreadableError(
        f"the repository has this worktree at {place}, and it is there; this folder is a copy"
        if is_copy
        else f"the repository has this worktree at {place}; if it was moved here, `git worktree repair` links it again"
    )


def _main_root(common_folder: Path) -> Path | None:
    """The top of the main checkout, which must lead to the repository; None if there is no checkout."""
    config = _read_config(common_folder)
    if config.get("core.bare", "").lower() in _YES:
        return None
    work_tree = _work_tree(common_folder, config)
    if work_tree is None:
        return None
    _check_own_folder(work_tree)
    dot_git = work_tree / _DOT_GIT
    if dot_git != common_folder and not _is_same_folder(_read_path(dot_git, prefix=_LINK_PREFIX), common_folder):
        raise UnreadableError(f"{dot_git} does not lead to {common_folder}")
    return work_tree


def _work_tree(git_folder: Path, config: dict[str, str]) -> Path | None:
    """The work tree that a git folder says it belongs to, if it says so."""
    if git_folder.name == _DOT_GIT:
        return git_folder.parent
    named = config.get("core.worktree")
    return _resolve(named, source=git_folder / "config") if named else None


def _read_path(path: Path, *, prefix: str = "") -> Path:
    """The absolute path in a file of git's, with links followed. UnreadableError."""
    text = os.fsdecode(read_own_file(path, bytes_max=LINK_BYTES_MAX)).rstrip("\r\n")
    if not text.startswith(prefix):
        raise UnreadableError(f"{path} does not begin with `{prefix.strip()}`")
    return _resolve(text.removeprefix(prefix), source=path)


def _resolve(text: str, *, source: Path) -> Path:
    """`text` as a path relative to the folder of its file, with links followed. The last part need not exist."""
    if not text or min(text) < " " or "\x7f" in text:
        raise UnreadableError(f"{source} does not hold a path")
    path = source.parent / text
    _check_place(os.path.normpath(path), source)
    # A `.git` is read without following it, so keep its own name.
    resolved = _real(path.parent) / _DOT_GIT if path.name == _DOT_GIT else _real(path)
    _check_place(str(resolved), source)
    return resolved


def _check_place(path: str, source: Path) -> None:
    if (path.rstrip("/") + "/").startswith(_PLACES_REFUSED):
        raise UnreadableError(f"{source} leads to {path}, which is not on a disk of this machine")


def _real(path: Path) -> Path:
    # Path.resolve raises RuntimeError at a loop of links before Python 3.13.
    return Path(os.path.realpath(path))


def _check_own_folder(path: Path) -> None:
    try:
        found = path.lstat()
    except OSError:
        raise UnreadableError(f"{path} is not there") from None
    if not stat.S_ISDIR(found.st_mode):
        raise UnreadableError(f"{path} is not a folder")
    if not _is_own(found):
        raise UnreadableError(f"{path} belongs to another user")


def _is_same_folder(one: Path, other: Path) -> bool:
    """Whether two paths lead to the same folder. On a disk that ignores case it has several names."""
    try:
        return one == other or os.path.samestat(one.lstat(), other.lstat())
    except OSError:
        return False


def _is_repository(path: Path) -> bool:
    """Whether a folder has what git requires of a git folder."""
    return all(os.path.lexists(path / name) for name in ("HEAD", "objects", "refs"))


def _is_repository_or_worktree(path: Path) -> bool:
    return _is_repository(path) or os.path.lexists(path / "commondir")


def _is_own(found: os.stat_result) -> bool:
    return found.st_uid == os.geteuid()


def _read_config(git_folder: Path) -> dict[str, str]:
    """The settings of `[core]` and `[extensions]`, by names in lower case; the last value wins. UnreadableError.

    Included files are not read.
    """
    values = _parse_config(git_folder / "config")
    if values.get("extensions.worktreeconfig", "").lower() in _YES:
        values |= _parse_config(git_folder / "config.worktree")
    return values


def _parse_config(path: Path) -> dict[str, str]:
    if not os.path.lexists(path):
        return {}
    values = {}
    section = ""
    for raw_line in os.fsdecode(read_own_file(path, bytes_max=CONFIG_BYTES_MAX)).split("\n"):
        line = raw_line.strip()
        if line.startswith("["):
            section, _, line = line[1:].partition("]")
            section = section.strip().lower()
        name, is_given, value = line.partition("=")
        if section in _SECTIONS_READ and name.strip():
            # A name without a value means yes.
            values[f"{section}.{name.strip().lower()}"] = _unquote(value) if is_given else "true"
    return values


def _unquote(text: str) -> str:
    """A value without its comment, its quotes, and the escapes of a path."""
    value = []
    is_quoted = False
    characters = iter(text.strip())
    for character in characters:
        if character == "\\":
            value.append(next(characters, ""))
        elif character == '"':
            is_quoted = not is_quoted
        elif character in "#;" and not is_quoted:
            break
        else:
            value.append(character)
    return "".join(value).strip()
