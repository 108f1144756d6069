"""A server that drips, floods, boasts or babbles ends a command with exit code 4, in time and in little memory."""

from __future__ import annotations

import itertools
import os
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from ledger import StoreUnavailableError
from tests.support.fake_server import Answer, fake_server
from tests.support.tt import run_process
from town.folder.settings import RedisSettings, Settings
from town.server.connection import connect

SECONDS_MAX = 0.6


def drip() -> Iterator[bytes]:
    """A bulk that comes a byte at a time, each long before a read would time out."""
    yield b"$1000\r\n"
    pause = threading.Event()
    while not pause.wait(0.05):
        yield b"x"


def flood() -> Iterator[bytes]:
    """A bulk without an end."""
    yield b"$1300000000\r\n"
    yield from itertools.repeat(b"x" * 65_536)


HOSTILE: dict[str, Answer] = {
    "drips": drip,
    "is silent": list,
    "says half": lambda: [b"$20\r\nhalf"],
    "floods": flood,
    "announces two thousand million elements": lambda: [b"*2000000000\r\n"],
    "announces a map of as many": lambda: [b"%2000000000\r\n"],
    "announces more than numbers hold": lambda: [b"*99999999999999999999\r\n"],
    "announces a bulk of as many": lambda: [b"$2000000000000\r\n"],
    "nests": lambda: [b"*1\r\n" * 100_000],
    "babbles": lambda: [b"HTTP/1.1 200 OK\r\n\r\n"],
    "says numbers": lambda: [b":1\r\n" * 50],
    "says nothing at all": lambda: [b"$-1\r\n" * 50],
    "says lists": lambda: [b"*1\r\n:1\r\n" * 50],
    "says words": lambda: [b"+OK\r\n" * 50],
    "says other bytes": lambda: [b"$4\r\n\xff\xfe\xfd\xfc\r\n" * 50],
    "says an odd version": lambda: [b"$18\r\nredis_version:x.y\r\n\r\n" * 50],
}


def settings_at(port: int) -> Settings:
    return Settings("hostile", RedisSettings(url=f"redis://127.0.0.1:{port}/0"))


@pytest.mark.parametrize("kind", HOSTILE)
def test_hostile_server_ends_a_connection_within_its_deadline(
    kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The deadline is for the whole exchange, so bytes that keep coming do not put it off."""
    monkeypatch.setenv("TT_TRUST", "1")
    monkeypatch.setattr("town.server.bounded_client.EXCHANGE_SECONDS_MAX", SECONDS_MAX)
    with fake_server(HOSTILE[kind]) as port:
        began = time.monotonic()
        with pytest.raises(StoreUnavailableError):
            connect(tmp_path, settings_at(port))
        assert time.monotonic() - began < 10 * SECONDS_MAX


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="only Linux tells a process its peak")
@pytest.mark.parametrize(
    "kind", ["floods", "announces two thousand million elements", "nests", "announces a bulk of as many"]
)
def test_flood_takes_less_than_100_mb(kind: str) -> None:
    """Measured of a process of its own, as the system counts it."""
    program = (
        "import sys\n"
        "from town.folder.settings import RedisSettings, Settings\n"
        "from town.server.connection import connect\n"
        "import town.server.bounded_client as client\n"
        "from pathlib import Path\n"
        "from ledger import StoreUnavailableError\n"
        "client.EXCHANGE_SECONDS_MAX = 20\n"
        "try:\n"
        "    connect(Path('.'), Settings('hostile', RedisSettings(url=sys.argv[1])))\n"
        "except StoreUnavailableError as error:\n"
        "    print(error.problem)\n"
        "print(Path('/proc/self/status').read_text().partition('VmHWM:')[2].split()[0])\n"
    )
    with fake_server(HOSTILE[kind]) as port:
        ended = subprocess.run(
            [sys.executable, "-c", program, f"redis://127.0.0.1:{port}/0"],
            capture_output=True,
            check=True,
            text=True,
            timeout=60,
            env={**os.environ, "TT_TRUST": "1"},
        )
    *problem, peak = ended.stdout.split("\n")[:-1]
    assert problem
    assert int(peak) * 1024 < 100_000_000, ended.stdout


def test_hostile_server_ends_a_command_with_exit_code_4(tmp_path: Path) -> None:
    """As a person sees it: what is wrong, where, and no traceback."""
    with fake_server(HOSTILE["announces two thousand million elements"]) as port:
        ran = run_process("tasks", folder=tmp_path, env={"REDIS_URL": f"redis://127.0.0.1:{port}/0"})
        assert ran.code == 1, "no town here yet"
        (tmp_path / "tinytown.toml").write_text('name = "hostile"\n')
        ran = run_process("tasks", folder=tmp_path, env={"REDIS_URL": f"redis://127.0.0.1:{port}/0"})
    assert ran.code == 4
    assert (
        f"The server at redis://127.0.0.1:{port}/0 did not answer: its reply announces 2,000,000,000 elements"
        in ran.err
    )
