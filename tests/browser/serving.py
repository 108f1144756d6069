"""The address of a running `tt serve`, for tests that look at it with a browser."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.support import serving as processes


@contextmanager
def serving(folder: Path, *options: str, port: int = 0) -> Iterator[str]:
    """The address of the served town, without the slash at its end. Port 0 is a free one."""
    with processes.serving(folder, *options, port=port) as running:
        yield running.url
        running.stop()
