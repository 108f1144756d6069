"""The Redis protocol as far as stand-ins between a client and a server need it: one command, read and written."""

from __future__ import annotations

from collections.abc import Sequence
from typing import BinaryIO


def read_command(requests: BinaryIO) -> list[bytes]:
    """The name and arguments of the next command; empty where the client has gone."""
    try:
        head = requests.readline()
        if not head.startswith(b"*"):
            return []
        return [_read_part(requests) for _ in range(int(head[1:]))]
    except (OSError, ValueError):
        return []


def write_command(parts: Sequence[bytes]) -> bytes:
    return b"*%d\r\n" % len(parts) + b"".join(b"$%d\r\n%b\r\n" % (len(part), part) for part in parts)


def _read_part(requests: BinaryIO) -> bytes:
    size = int(requests.readline()[1:])
    return requests.read(size + 2)[:-2]
