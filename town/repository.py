"""The git repository that a folder lies in, and the main checkout of a linked worktree, read from git's files.

Git is never run, because the configuration of a repository that somebody else made can name programs. A linked worktree
is believed only where its link is mutual: `.git` here names `worktrees/<id>` of a repository, the `gitdir` there names
this `.git`, and all of it belongs to this user.

`GIT_DIR` and `core.worktree` do not move a work tree here: a hook sets the first for whatever it runs, and the second
comes with an archive. `GIT_CEILING_DIRECTORIES` ends the search as it ends git's. What is tracked is told by
`town.git_index`.
"""

from __future__ import annotations

import contextlib
import os
import re
import stat
from pathlib import Path
from typing import Final

from msgspec import Struct

LINK_BYTES_MAX: Final = 8192
"""The longest `.git`, `gitdir`, `commondir` or `HEAD` that is read: a path has at most 4096 bytes."""
CONFIG_BYTES_MAX: Final = 1 << 20
_DOT_GIT: Final = ".git"
_WORKTREES: Final = "worktrees"
_PLACES_REFUSED: Final = ("//", "/dev/", "/net/", "/proc/", "/sys/")
"""Where a path is no place on a disk of this machine; to look below `/net` can open a connection."""
# Patterns are text: only few commands match one, and to make them costs each command its start.
_BRANCH: Final = r"ref: refs/heads/([^\x00-\x20\x7f]+)\n?"
_SECTION: Final = r"(?im)^[ \t]*\[[ \t]*(core|extensions)[ \t]*\]"
_NEXT_SECTION: Final = r"(?m)^[ \t]*\["
_VALUE_PART: Final = r'"((?:[^"\\]|\\.)*)"?|[#;].*|([^"#;]+)'
_TRUE: Final = ("true", "yes", "on", "1")


class Repository(Struct, frozen=True):
    """A work tree and the repository it belongs to.

    `root` is the top of this work tree. `git_folder` has its HEAD and index, `common_folder` what all work trees share;
    both are None where `.git` is there but is not believed, and `remark` says why.
    `main_root` is the top of the main checkout where this is a linked worktree; a bare repository has none.
    """

    root: Path
    git_folder: Path | None = None
    common_folder: Path | None = None
    is_linked: bool = False
    main_root: Path | None = None
    remark: str | None = None


class UnreadableError(Exception):
    """A file or folder of git's is not what git would have made, or not this user's; the message says so in words."""


def find_repository(start: Path) -> Repository | None:
    """The repository whose work tree holds `start`.

    None where there is none, and where the nearest `.git` or the folder it stands in belongs to another user.
    """
    ceilings = os.environ.get("GIT_CEILING_DIRECTORIES", "").split(os.pathsep)
    folder = os.path.realpath(start)
    while True:
        dot_git = os.path.join(folder, _DOT_GIT)
        with contextlib.suppress(FileNotFoundError, NotADirectoryError):
            try:
                found = os.lstat(dot_git)
                is_own = _is_own(found) and _is_own(os.lstat(folder))
            except PermissionError:
                return None
            if not is_own:
                return None
            if not stat.S_ISDIR(found.st_mode):
                return _follow(folder)
            # As in git, a folder of that name that holds something else is passed by.
            if _is_repository(dot_git):
                return Repository(Path(folder), Path(dot_git), Path(dot_git))
        parent = os.path.dirname(folder)
        if parent == folder or parent in ceilings:
            return None
        folder = parent


def branch(repository: Repository) -> str | None:
    """The branch that is checked out; None where none is, or where it cannot be read."""
    if repository.git_folder is None:
        return None
    try:
        head = read_own_file(repository.git_folder / "HEAD", bytes_max=LINK_BYTES_MAX).decode()
    except (UnreadableError, UnicodeDecodeError):
        return None
    matched = re.fullmatch(_BRANCH, head)
    # A repository with reftables keeps its HEAD elsewhere, and this name in the file.
    return matched[1] if matched and matched[1] != ".invalid" else None


def read_own_file(path: Path | str, *, bytes_max: int) -> bytes:
    """All of a plain file of this user's, without following a link; UnreadableError says what it is if it is not that."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC)
    except FileNotFoundError:
        raise UnreadableError(f"{path} is not there") from None
    except (OSError, ValueError):
        raise UnreadableError(f"{path} cannot be read") from None
    with open(descriptor, "rb", buffering=0) as file:
        found = os.fstat(descriptor)
        size = found.st_size
        if not stat.S_ISREG(found.st_mode):
            raise UnreadableError(f"{path} is not a plain file")
        if not _is_own(found):
            raise UnreadableError(f"{path} belongs to another user")
        try:
            # One more byte than it has, because it may grow meanwhile.
            content = file.read(size + 1) if size <= bytes_max else None
        except OSError:
            raise UnreadableError(f"{path} cannot be read") from None
    if content is None or len(content) > bytes_max:
        raise UnreadableError(f"{path} is larger than {bytes_max} bytes")
    return content


def _follow(root: str) -> Repository:
    """The repository of a work tree whose `.git` is no folder."""
    try:
        git_folder = _read_link(os.path.join(root, _DOT_GIT), prefix="gitdir: ", base=root)
        common_folder = _common_folder(git_folder)
        if common_folder is None:
            _check_repository(git_folder, root)
            return Repository(Path(root), Path(git_folder), Path(git_folder))
        _check_link_back(git_folder, root)
        main_root, remark = _main_root(common_folder)
    except UnreadableError as error:
        return Repository(Path(root), remark=str(error))
    return Repository(
        Path(root), Path(git_folder), Path(common_folder), is_linked=True, main_root=main_root, remark=remark
    )


def _common_folder(git_folder: str) -> str | None:
    """What the worktrees share, where this is the git folder of a linked one; UnreadableError if it is not whole."""
    repository = os.path.dirname(os.path.dirname(git_folder))
    is_of_worktree = os.path.basename(os.path.dirname(git_folder)) == _WORKTREES
    try:
        _check_own_folder(git_folder)
    except UnreadableError as error:
        if is_of_worktree and _is_repository(repository):
            raise UnreadableError(
                f"the repository at {repository} no longer has this worktree: `git worktree add` makes a new one"
            ) from error
        raise UnreadableError(
            f"{error}; if the repository was moved, `git worktree repair` there, with this folder's path, links it again"
        ) from error
    if not os.path.lexists(f"{git_folder}/commondir"):
        return None
    common_folder = _read_link(f"{git_folder}/commondir", base=git_folder)
    if not is_of_worktree or common_folder != repository:
        raise UnreadableError(f"{git_folder} says that it belongs to {common_folder}, and does not lie there")
    _check_own_folder(common_folder)
    if not _is_repository(common_folder):
        raise UnreadableError(f"{common_folder} is not a git repository")
    return common_folder


def _check_repository(git_folder: str, root: str) -> None:
    """UnreadableError where a git folder that stands elsewhere, as a submodule's does, is another folder's."""
    if not _is_repository(git_folder):
        raise UnreadableError(f"{git_folder} is not a git repository")
    work_tree = _work_tree(git_folder, _read_config(git_folder))
    if work_tree is not None and not _is_same_folder(work_tree, root):
        raise UnreadableError(f"{git_folder} is the repository of {work_tree}")


def _check_link_back(git_folder: str, root: str) -> None:
    """UnreadableError where the repository knows this worktree at another place."""
    named = _read_link(f"{git_folder}/gitdir", base=git_folder)
    place, name = os.path.split(named)
    if name == _DOT_GIT and _is_same_folder(place, root):
        return
    try:
        is_there = _is_same_folder(_read_link(named, prefix="gitdir: ", base=place), git_folder)
    except UnreadableError:
        is_there = False
    if is_there:
        raise UnreadableError(f"the repository knows this worktree at {place}, and it is there; this is a copy")
    raise UnreadableError(
        f"the repository knows this worktree at {place}; if it was moved here, `git worktree repair` links it again"
    )


def _main_root(common_folder: str) -> tuple[Path | None, str | None]:
    """The main checkout's top, or None, with a remark if it should be there."""
    try:
        config = _read_config(common_folder)
        if config.get("core.bare", "").lower() in _TRUE:
            return None, None
        work_tree = _work_tree(common_folder, config)
        if work_tree is None:
            return None, None
        _check_own_folder(work_tree)
        dot_git = os.path.join(work_tree, _DOT_GIT)
        if dot_git != common_folder and not _is_same_folder(
            _read_link(dot_git, prefix="gitdir: ", base=work_tree), common_folder
        ):
            raise UnreadableError(f"{work_tree} is not the main checkout of {common_folder}")  # noqa: TRY301 - one remark for all
    except UnreadableError as error:
        return None, f"the main checkout is not used: {error}"
    return Path(work_tree), None


def _work_tree(git_folder: str, config: dict[str, str]) -> str | None:
    """The work tree that a git folder is for, as far as it says so."""
    if os.path.basename(git_folder) == _DOT_GIT:
        return os.path.dirname(git_folder)
    named = config.get("core.worktree")
    return _resolve(named, base=git_folder, source=f"{git_folder}/config") if named else None


def _read_link(path: str, *, base: str, prefix: str = "") -> str:
    """The path in a file that holds one, from the root, with links followed; UnreadableError."""
    content = read_own_file(path, bytes_max=LINK_BYTES_MAX)
    text = os.fsdecode(content).rstrip("\r\n")
    if not text.startswith(prefix):
        raise UnreadableError(f"{path} does not begin with `{prefix}`")
    return _resolve(text[len(prefix) :], base=base, source=path)


def _resolve(text: str, *, base: str, source: str) -> str:
    """`text` as a path from `base`, with links followed, of which the last part may be missing; UnreadableError."""
    if not text or any(character < " " or character == "\x7f" for character in text):
        raise UnreadableError(f"{source} does not hold a path")
    joined = os.path.join(base, text)
    # Before anything is looked at there, and after.
    _check_place(joined, source)
    # A `.git` is named, and not followed: who reads it refuses a link.
    head, tail = os.path.split(joined)
    resolved = os.path.join(os.path.realpath(head), tail) if tail == _DOT_GIT else os.path.realpath(joined)
    _check_place(resolved, source)
    return resolved


def _check_place(path: str, source: str) -> None:
    if path.startswith(_PLACES_REFUSED) or f"{path}/" in _PLACES_REFUSED:
        raise UnreadableError(f"{source} leads to {path}, which is no place on a disk of this machine")


def _check_own_folder(path: str) -> None:
    """UnreadableError where it is not a folder of this user's."""
    try:
        found = os.lstat(path)
    except OSError:
        raise UnreadableError(f"{path} is not there") from None
    if not stat.S_ISDIR(found.st_mode):
        raise UnreadableError(f"{path} is not a folder")
    if not _is_own(found):
        raise UnreadableError(f"{path} belongs to another user")


def _is_same_folder(one: str, other: str) -> bool:
    """Whether two paths lead to one folder; a disk that folds case has more than one name for it."""
    try:
        return one == other or os.path.samestat(os.lstat(one), os.lstat(other))
    except OSError:
        return False


def _is_repository(path: str) -> bool:
    """Whether a folder has what git asks of a repository."""
    return all(os.path.lexists(f"{path}/{name}") for name in ("HEAD", "objects", "refs"))


def _is_own(found: os.stat_result) -> bool:
    return found.st_uid == os.geteuid()


def _read_config(git_folder: str) -> dict[str, str]:
    """The settings of `[core]` and `[extensions]`, by names in lower case; UnreadableError.

    The last one of a name holds. Files that it includes are not read.
    """
    values: dict[str, str] = {}
    for name in ("config", "config.worktree"):
        if name == "config.worktree" and values.get("extensions.worktreeconfig", "").lower() not in _TRUE:
            break
        path = f"{git_folder}/{name}"
        if os.path.lexists(path):
            values |= _parse_config(os.fsdecode(read_own_file(path, bytes_max=CONFIG_BYTES_MAX)))
    return values


def _parse_config(text: str) -> dict[str, str]:
    values: dict[str, str] = {}
    for section in re.finditer(_SECTION, text):
        following = re.compile(_NEXT_SECTION).search(text, section.end())
        for line in text[section.end() : following.start() if following else None].splitlines():
            name, is_given, value = line.partition("=")
            name = re.split("[#;]", name)[0].strip().lower()
            if name:
                # A name alone means yes.
                values[f"{section[1].lower()}.{name}"] = _unquote(value) if is_given else "true"
    return values


def _unquote(text: str) -> str:
    """A value without its comment, quotes and escapes."""
    words = [
        quoted.replace('\\"', '"').replace("\\\\", "\\") if quoted else plain
        for quoted, plain in re.findall(_VALUE_PART, text.strip())
    ]
    return "".join(words).strip()
