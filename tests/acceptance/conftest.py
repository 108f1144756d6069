"""A person's day: a town in a folder of its own, and `tt` in it."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest

from tests.support.tt import Tt, run_here
from town.server.own_server import EmbeddedServer


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The current folder, empty. A server that was started in it is stopped at the end."""
    place = tmp_path / "demo"
    place.mkdir()
    monkeypatch.chdir(place)
    yield place
    place.chmod(0o700)
    EmbeddedServer(place).stop()


@pytest.fixture
def tt(folder: Path, capsys: pytest.CaptureFixture[str]) -> Tt:
    """`tt` in the current folder."""
    assert folder.is_dir()
    return partial(run_here, capsys)


@pytest.fixture
def town(tt: Tt, folder: Path) -> Path:
    """The folder of a town named demo."""
    assert tt("init", "--name", "demo").code == 0
    return folder
