"""What integration tests get beside the session's server: folders whose own servers end with the test."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.towns import end_server


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[Path]:
    """An empty folder; a server started in it is gone after the test."""
    place = tmp_path / "place"
    place.mkdir()
    yield place
    end_server(place)
