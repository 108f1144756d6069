"""A port that was taken belongs to who took it."""

from __future__ import annotations

import socket
import subprocess
import sys
from pathlib import Path
from typing import Final

import pytest

from tests.support import ports
from tests.support.ports import take_port

TAKERS: Final = 4
EACH: Final = 250
"""More than a block has."""

_ROOT: Final = Path(__file__).parents[3]
_TAKE: Final = f"""
from tests.support.ports import take_port

print(*(take_port() for _ in range({EACH})), flush=True)
input()
"""


def test_no_port_is_given_twice() -> None:
    """Whichever process asks, and when: they all live until the last one has asked."""
    takers = [
        subprocess.Popen(
            [sys.executable, "-c", _TAKE], cwd=_ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        for _ in range(TAKERS)
    ]
    given = [taker.stdout.readline().split() for taker in takers if taker.stdout]
    for taker in takers:
        taker.communicate("\n")
    assert len({port for each in given for port in each}) == TAKERS * EACH


def test_port_that_somebody_listens_on_is_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    """Programs that know nothing of these blocks may have taken one of their ports."""
    first, second = take_port(), take_port()
    monkeypatch.setattr(ports, "_ports", iter([first, second]))
    with socket.create_server(("127.0.0.1", first)):
        assert take_port() == second


def test_ports_lie_below_those_of_connections() -> None:
    """A connection takes a port from 32768 on, as the kernel likes."""
    assert ports._FIRST < take_port() < ports._END <= 32_768
