"""Requests of another user of this machine, which only root can send."""

from __future__ import annotations

import os
import subprocess
import sys
from typing import Final

import pytest

NOBODY: Final = 65_534
ASK: Final = """
import os, socket, sys
os.setgroups([]); os.setgid({uid}); os.setuid({uid})
# Nothing is imported from here on: another user cannot read the folders of Python everywhere.
asking = socket.socket()
asking.settimeout(20)
asking.connect(("127.0.0.1", {port}))
try:
    asking.sendall({request!r})
except OSError:
    pass
answer = b""
while piece := asking.recv(65536):
    answer += piece
os.write(1, answer)
"""


def ask_as_nobody(port: int, path: str, body: bytes, *headers: str) -> tuple[int, str]:
    """Status and body of the answer to a POST of JSON that the user nobody sends. The test is skipped where we are not root."""
    if os.geteuid() != 0:
        pytest.skip("only root can act as another user")
    lines = [
        f"POST {path} HTTP/1.1",
        f"Host: 127.0.0.1:{port}",
        "Content-Type: application/json",
        f"Content-Length: {len(body)}",
        "Connection: close",
        *headers,
    ]
    request = "\r\n".join([*lines, "", ""]).encode() + body
    program = ASK.format(uid=NOBODY, port=port, request=request)
    ran = subprocess.run([sys.executable, "-c", program], capture_output=True, check=True, timeout=60, cwd="/")
    head, _, answer = ran.stdout.decode().partition("\r\n\r\n")
    return int(head.split()[1]), answer
