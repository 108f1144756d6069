"""What the checks of trust cost a command at its start, and a server before it loads data: `python -m tests.benchmarks.trust`.

`--events` is how many files git tracks beside the town; a log of a run lies in `.tt` for every twenty.
"""

from __future__ import annotations

import os
import struct
import tempfile
from collections.abc import Sequence
from pathlib import Path
from unittest.mock import patch

from tests.benchmarks.measure import Figures, medians
from tests.benchmarks.measure import main as measure
from town.folder.data_folder import DataFolder
from town.folder.search import find
from town.folder.settings import SOCKET_FILE, read_settings
from town.home.user_settings import server_binary
from town.server.socket_path import refuse_other_than_own_socket
from town.trust.permission import require_connection, require_data

FILES = 20_000
REPEATED = 100
"""How often each check is made in one run: one alone is shorter than a clock tells."""
_ENTRY_BYTES = 62


def run(files: int, runs: int) -> Figures:
    """Milliseconds a command, and a start of a server."""
    with tempfile.TemporaryDirectory(prefix="tt-bench-") as name, patch.dict(os.environ, HOME=f"{name}/home"):
        os.environ.pop("TT_TRUST", None)
        folder = Path(name).resolve() / "town"
        make_town(folder, files)

        def command() -> None:
            for _ in range(REPEATED):
                found = find(folder).folder
                require_connection(found, read_settings(found))
                refuse_other_than_own_socket(found / SOCKET_FILE)
                server_binary()

        timings = medians(runs, {"command": command, "start": lambda: require_data(folder)})
    return {
        "tracked files": files,
        "checks of a command, ms": timings["command"].wall / REPEATED * 1_000,
        "checks before a start, ms": timings["start"].wall * 1_000,
    }


def make_town(folder: Path, files: int) -> None:
    """A town in a repository that tracks `files` files, with logs of runs and data that was made here."""
    git = folder / ".git"
    for name in ("objects", "refs"):
        (git / name).mkdir(parents=True)
    (git / "HEAD").write_text("ref: refs/heads/main\n")
    (git / "config").write_text("[core]\n\trepositoryformatversion = 0\n\tbare = false\n")
    (git / "index").write_bytes(index(files))
    (folder / "tinytown.toml").write_text('name = "bench"\n')
    Path(os.environ["HOME"]).mkdir(mode=0o700)
    data = DataFolder(folder)
    data.make()
    (data.path / "logs").mkdir(mode=0o700)
    for number in range(files // 20):
        (data.path / "logs" / f"{number}.log").touch(mode=0o600)


def index(files: int) -> bytes:
    """An index of git's, version 2, with that many entries."""
    entries = bytearray(struct.pack(">4sII", b"DIRC", 2, files))
    for number in range(files):
        name = f"source/part-{number % 200:03}/file-{number:07}.py".encode()
        entry = bytes(_ENTRY_BYTES - 2) + struct.pack(">H", len(name)) + name
        entries += entry.ljust(len(entry) + 8 & ~7, b"\0")
    return bytes(entries) + bytes(20)


def main(arguments: Sequence[str] | None = None) -> None:
    measure(run, events=FILES, arguments=arguments)


if __name__ == "__main__":
    main()
