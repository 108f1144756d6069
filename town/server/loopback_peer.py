"""Finds the user of this machine who is at the other end of a connection over loopback, as Linux tells it in /proc/net."""

from __future__ import annotations

import os
import socket
import sys
from pathlib import Path
from typing import Final

_TABLES: Final = {socket.AF_INET: Path("/proc/net/tcp"), socket.AF_INET6: Path("/proc/net/tcp6")}
_UID: Final = 7
"""The column, counted from 0."""

Address = tuple[str, int]


def is_of_another_user(peer: Address, own: Address) -> bool:
    """Whether the connection from `peer` to `own` is of a user who is neither this one nor root; False where nobody tells."""
    return uid_of(peer, own) not in (None, 0, os.geteuid())


def uid_of(peer: Address, own: Address) -> int | None:
    """The user whose connection leads from `peer` to `own`; None where the system does not tell. Source: /proc/net/tcp."""
    family = socket.AF_INET6 if ":" in peer[0] else socket.AF_INET
    wanted = f" {_in_hex(peer, family)} {_in_hex(own, family)} "
    try:
        with _TABLES[family].open(encoding="ascii") as table:
            found = next((line for line in table if wanted in line), None)
    except OSError:
        return None
    return None if found is None else int(found.split()[_UID])


def _in_hex(address: Address, family: socket.AddressFamily) -> str:
    """An address as the tables have it: each 4 bytes in the order of this machine, and the port."""
    packed = socket.inet_pton(family, address[0])
    words = (packed[at : at + 4] for at in range(0, len(packed), 4))
    host = "".join(word[::-1].hex() if sys.byteorder == "little" else word.hex() for word in words)
    return f"{host.upper()}:{address[1]:04X}"
