"""The system's errors about files, turned into ours."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path

from town.errors import FolderRefusedError


@contextlib.contextmanager
def refuse_os_errors(path: Path) -> Iterator[None]:
    """Turn an OSError into a FolderRefusedError that names its file."""
    try:
        yield
    except OSError as error:
        raise FolderRefusedError(Path(error.filename) if isinstance(error.filename, str) else path, error) from error
