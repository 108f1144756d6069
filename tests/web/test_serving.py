"""Serving: what the server's sockets promise."""

from __future__ import annotations

import asyncio
import socket

import pytest

from web.serving import _listening


@pytest.mark.parametrize("host", ["127.0.0.1", "::1"])
def test_answers_are_sent_at_once(host: str) -> None:
    """No piece waits until the one before was acknowledged, which takes a client 40 ms."""
    if ":" in host and not _has_ipv6():
        pytest.skip("this machine has no ::1")
    assert asyncio.run(_sends_at_once(host))


async def _sends_at_once(host: str) -> bool:
    found: asyncio.Queue[bool] = asyncio.Queue()

    async def serve(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        accepted = writer.get_extra_info("socket")
        await found.put(bool(accepted.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)))
        writer.close()

    with _listening(host, 0) as listening:
        async with await asyncio.start_server(serve, sock=listening):
            _, writer = await asyncio.open_connection(host, listening.getsockname()[1])
            async with asyncio.timeout(10):
                is_at_once = await found.get()
            writer.close()
    return is_at_once


def _has_ipv6() -> bool:
    try:
        with socket.create_server(("::1", 0), family=socket.AF_INET6):
            return True
    except OSError:
        return False
