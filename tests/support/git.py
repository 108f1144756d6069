"""Git as a person runs it, with nobody's settings, and git's files made without it."""

from __future__ import annotations

import os
import shutil
import struct
import subprocess
from pathlib import Path

import pytest

needs_git = pytest.mark.skipif(shutil.which("git") is None, reason="git is not installed")


def git(folder: Path, *arguments: str, text: str = "") -> str:
    """What git prints in a folder."""
    settings = {
        "GIT_CONFIG_NOSYSTEM": "1",
        "GIT_CONFIG_GLOBAL": os.devnull,
        "GIT_AUTHOR_NAME": "a",
        "GIT_AUTHOR_EMAIL": "a@example.org",
        "GIT_COMMITTER_NAME": "a",
        "GIT_COMMITTER_EMAIL": "a@example.org",
    }
    own = {name: value for name, value in os.environ.items() if not name.startswith("GIT_")}
    finished = subprocess.run(
        ["git", "-c", "protocol.file.allow=always", "-C", str(folder), *arguments],
        input=text,
        env=own | settings,
        check=True,
        capture_output=True,
        text=True,
    )
    return finished.stdout.strip()


def make_repository(folder: Path, *options: str) -> Path:
    """A repository with one commit, on the branch `main`."""
    folder.mkdir(parents=True)
    git(folder, "init", "--quiet", "--initial-branch=main", *options)
    git(folder, "commit", "--quiet", "--allow-empty", "--message=one")
    return folder


def make_fake_repository(folder: Path) -> Path:
    """A folder that looks like a repository's `.git`, made without git."""
    (folder / "objects").mkdir(parents=True)
    (folder / "refs").mkdir()
    (folder / "HEAD").write_text("ref: refs/heads/main\n")
    return folder


def make_fake_worktree(home: Path) -> tuple[Path, Path]:
    """A linked worktree, and its git folder in the repository `main`, made without git."""
    git_folder = make_fake_repository(home / "main" / ".git") / "worktrees" / "side"
    git_folder.mkdir(parents=True)
    place = home / "side"
    place.mkdir()
    (place / ".git").write_text(f"gitdir: {git_folder}\n")
    (git_folder / "gitdir").write_text(f"{place}/.git\n")
    (git_folder / "commondir").write_text("../..\n")
    (git_folder / "HEAD").write_text("ref: refs/heads/side\n")
    return place, git_folder


def entry(name: bytes, *, flags: int | None = None) -> bytes:
    """An entry of version 2."""
    length = min(len(name), 0xFFF) if flags is None else flags
    fixed = bytes(60) + struct.pack(">H", length) + name
    return fixed + bytes(8 - len(fixed) % 8)


def index(*entries: bytes, version: int = 2, count: int | None = None, rest: bytes = b"") -> bytes:
    """An index, with what comes after its entries."""
    return struct.pack(">4sII", b"DIRC", version, len(entries) if count is None else count) + b"".join(entries) + rest
