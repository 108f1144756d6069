"""A real project's tracker over four months: its versions, as they lie beside the checkout, and a small one made up like it."""

from __future__ import annotations

import gzip
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

_NAME = "shared/data/tracker-history.jsonl.gz"
REAL = Path(__file__).parents[3] / _NAME
MADE_UP = Path(__file__).parents[1] / "acceptance" / "data" / "tracker-history.jsonl"

Issue = dict[str, Any]


def skip_without(history: Path) -> None:
    """Skip the test if the history is not there."""
    if not history.exists():
        pytest.skip(f"{_NAME} is not beside this checkout")


def versions(history: Path) -> Iterator[tuple[str, dict[str, Issue]]]:
    """(time, all issues) of each version, in order."""
    opened = gzip.open if history.suffix == ".gz" else open
    issues: dict[str, Issue] = {}
    with opened(history, "rt") as lines:
        for line in lines:
            version = json.loads(line)
            for key in version["del"]:
                issues.pop(key, None)
            issues.update(version["set"])
            yield version["time"], dict(issues)
