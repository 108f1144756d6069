"""Append-only files for tests: commands in the form that a server writes, and folders that hold them."""

from __future__ import annotations

from pathlib import Path

from town.aof.format import AOF_FOLDER, MANIFEST_FILE

INCREMENT = "appendonly.aof.1.incr.aof"


def encode_command(*arguments: bytes) -> bytes:
    return b"*%d\r\n" % len(arguments) + b"".join(b"$%d\r\n%s\r\n" % (len(each), each) for each in arguments)


def make_aof(data: Path, content: bytes, *, manifest: bytes | None = None) -> Path:
    """A data folder whose one file has `content`; returns the file."""
    folder = data / AOF_FOLDER
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    (folder / INCREMENT).write_bytes(content)
    line = b"file %s seq 1 type i\n" % INCREMENT.encode()
    (folder / MANIFEST_FILE).write_bytes(line if manifest is None else manifest)
    return folder / INCREMENT


def increment_of(folder: Path) -> Path:
    """The file that a town's server appends to."""
    (file,) = (folder / ".tt" / AOF_FOLDER).glob("*.incr.aof")
    return file
