"""Finds the process at the other end of a Unix socket."""

from __future__ import annotations

import _socket
import struct
from typing import Final

_CREDENTIALS: Final = struct.Struct("3i")
"""Process, user and group, as Linux gives them."""


def process_behind(connected: _socket.socket | None) -> int | None:
    """The process that listens at the other end; None if the system does not say."""
    option = getattr(_socket, "SO_PEERCRED", None)
    if option is None or connected is None:
        return None
    credentials = connected.getsockopt(_socket.SOL_SOCKET, option, _CREDENTIALS.size)
    # 0: a process in another container.
    return _CREDENTIALS.unpack(credentials)[0] or None
