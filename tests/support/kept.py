"""The boards of the past that a town's cache keeps, as the file has them."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

from town.cache import CACHE_FILE


def kept_numbers(folder: Path) -> list[int]:
    """The number of the last event of each kept board; none where there is no cache yet."""
    try:
        with closing(sqlite3.connect(f"file:{folder / '.tt' / CACHE_FILE}?mode=ro", uri=True)) as database:
            return [number for (number,) in database.execute("SELECT number FROM kept_board ORDER BY number")]
    except sqlite3.OperationalError:
        return []
