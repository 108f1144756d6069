"""Replaces damaged append-only files with repaired ones, and keeps the damaged ones in `.tt/damaged-<time>/`.

The rename of the manifest decides: a server reads only what the manifest lists. If a replacement ends before it, the
damaged files stay in use; after it, the repaired ones are. A list in the kept folder tells the next replacement what to
finish.
"""

from __future__ import annotations

import contextlib
import errno
import os
import shutil
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

import msgspec
from msgspec import Struct

from town.aof.format import AOF_FOLDER, MANIFEST_FILE, SINGLE_FILE, AofFile, AofFolder, is_file_name
from town.errors import FileDamagedError
from town.files.whole_file import write_by_rename

KEPT_PREFIX: Final = "damaged-"
UNFINISHED_FILE: Final = "unfinished"
UNFINISHED_BYTES_MAX: Final = 1_048_576
"""More than all the names that can occur (`aof.FILES_MAX`)."""
_KEPT_FOLDERS_MAX: Final = 1_000
"""How many replacements may start within one second."""
_OWN_MODE: Final = 0o600


class _Moves(Struct, frozen=True):
    """What a replacement moves: the names of the damaged files, and of the repaired ones that replace them."""

    damaged: tuple[str, ...]
    repaired: tuple[str, ...]


class Replacement:
    """Replaces files in the data folder `data`, whose lock the caller holds. Every method may raise OSError."""

    def __init__(self, data: Path, *, between_steps: Callable[[], None] = lambda: None) -> None:
        self._data = data
        self._original = data / AOF_FOLDER
        self._between_steps = between_steps

    def run(self, copy: Path, *, damaged: Sequence[AofFile] | None, beside: Sequence[Path]) -> Path:
        """Move the repaired files in; returns the new folder that has the damaged ones and the files `beside`.

        `copy` holds the repaired files and their manifest. `damaged` is given if the damaged manifest cannot be read.
        """
        with AofFolder(copy.parent) as folder:
            files = folder.read_manifest()
        kept = self._make_kept_folder()
        moves = self._keep_list(kept, files)
        for path in beside:
            path.rename(kept / path.name)
        if damaged is not None:
            # Until the repaired files are in use, a name alone must not make anything a file of this town.
            write_by_rename(self._original / MANIFEST_FILE, encode_manifest(damaged), mode=_OWN_MODE)
        sync_folders(kept / AOF_FOLDER, kept, self._original, self._data)
        self._between_steps()
        for name in moves.repaired:
            (copy / name).rename(self._original / name)
        sync_folders(self._original)
        self._between_steps()
        write_by_rename(self._original / MANIFEST_FILE, encode_manifest(files), mode=_OWN_MODE)
        sync_folders(self._original)
        self._between_steps()
        self._keep_damaged(kept, moves)
        return kept

    def finish(self) -> Path | None:
        """Finish a killed replacement: keep the damaged files if its rename was done, else remove the files it brought.

        Returns the folder where damaged files were just kept; None if there was nothing to finish.
        """
        kept = None
        for path in sorted(self._data.glob(f"{KEPT_PREFIX}*/{UNFINISHED_FILE}")):
            moves = _read_moves(path)
            with AofFolder(self._data) as folder:
                try:
                    listed = {each.name for each in folder.read_manifest()}
                except FileDamagedError:
                    # It has no information; the next repair makes a new one.
                    continue
            if moves.damaged and listed.isdisjoint(moves.damaged):
                kept = path.parent
                self._keep_damaged(kept, moves)
            else:
                for name in moves.repaired:
                    (self._original / name).unlink(missing_ok=True)
                sync_folders(self._original)
                self._forget(path.parent)
        return kept

    def _keep_list(self, kept: Path, files: Sequence[AofFile]) -> _Moves:
        """Keep the present manifest, and a list of what to move."""
        with AofFolder(self._data) as folder:
            names = [name for name in folder.names() if name.startswith(SINGLE_FILE)]
            if MANIFEST_FILE in names:
                names.remove(MANIFEST_FILE)
                with folder.opened(MANIFEST_FILE) as descriptor:
                    _write(kept / AOF_FOLDER / MANIFEST_FILE, os.pread(descriptor, os.fstat(descriptor).st_size, 0))
        moves = _Moves(tuple(names), tuple(each.name for each in files))
        _write(kept / UNFINISHED_FILE, msgspec.json.encode(moves))
        return moves

    def _keep_damaged(self, kept: Path, moves: _Moves) -> None:
        for name in moves.damaged:
            with contextlib.suppress(FileNotFoundError):
                (self._original / name).rename(kept / AOF_FOLDER / name)
        sync_folders(self._original, kept / AOF_FOLDER)
        (kept / UNFINISHED_FILE).unlink()
        sync_folders(kept)

    def _forget(self, kept: Path) -> None:
        """Remove a folder if the town still has all of its content. A reconstructed manifest is only in that folder."""
        manifest = kept / AOF_FOLDER / MANIFEST_FILE
        if manifest.exists() and manifest.read_bytes() == (self._original / MANIFEST_FILE).read_bytes():
            shutil.rmtree(kept)
        else:
            (kept / UNFINISHED_FILE).unlink()

    def _make_kept_folder(self) -> Path:
        stem = f"{KEPT_PREFIX}{datetime.now(UTC):%Y%m%dT%H%M%SZ}"
        for number in range(1, _KEPT_FOLDERS_MAX):
            path = self._data / (stem if number == 1 else f"{stem}-{number}")
            with contextlib.suppress(FileExistsError):
                path.mkdir(mode=0o700)
                (path / AOF_FOLDER).mkdir(mode=0o700)
                return path
        raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), str(self._data / stem))


def encode_manifest(files: Sequence[AofFile]) -> bytes:
    """The text of a manifest that lists the files, as a server writes it."""
    return "".join(f"{file}\n" for file in files).encode()


def sync_folders(*folders: Path) -> None:
    """Wait until the names in the folders are on disk. OSError."""
    for folder in folders:
        descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def _read_moves(path: Path) -> _Moves:
    """What an unfinished replacement moves, without names that no file can have. FileDamagedError, OSError."""
    with path.open("rb") as file:
        content = file.read(UNFINISHED_BYTES_MAX + 1)
    if len(content) > UNFINISHED_BYTES_MAX:
        problem = f"it is longer than {UNFINISHED_BYTES_MAX:,} bytes, and no repair wrote it"
        raise FileDamagedError(path, problem, "Move it away, out of the town, and try again.")
    try:
        moves = msgspec.json.decode(content, type=_Moves)
    except msgspec.MsgspecError:
        # The list is incomplete, so nothing had been moved yet.
        return _Moves((), ())
    return _Moves(*(tuple(filter(is_file_name, names)) for names in (moves.damaged, moves.repaired)))


def _write(path: Path, content: bytes) -> None:
    """Write a new file with the content to disk."""
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, _OWN_MODE)
    with open(descriptor, "wb") as file:  # noqa: PTH123 - a descriptor has no path
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
