"""TLS before a real server: an authority with certificates, and a door that speaks TLS with clients and passes on what they say."""

from __future__ import annotations

import asyncio
import shutil
import ssl
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import NamedTuple

import pytest

_CHUNK_BYTES = 65_536
_SECONDS_MAX = 10.0


class Certificate(NamedTuple):
    """The files of a certificate and its key."""

    certificate: Path
    key: Path


class Authority:
    """An authority for some tests, in a folder; its certificates are for this machine's loopback."""

    def __init__(self, folder: Path, name: str) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._folder = folder
        self.itself = Certificate(folder / f"{name}.crt", folder / f"{name}.key")
        _openssl("req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", f"/CN={name}",
                 "-keyout", self.itself.key, "-out", self.itself.certificate)  # fmt: skip

    def sign(self, name: str) -> Certificate:
        made = Certificate(self._folder / f"{name}.crt", self._folder / f"{name}.key")
        request, extensions = self._folder / f"{name}.csr", self._folder / f"{name}.ext"
        extensions.write_text("subjectAltName=DNS:localhost,IP:127.0.0.1\n", encoding="ascii")
        _openssl("req", "-newkey", "rsa:2048", "-nodes", "-subj", f"/CN={name}", "-keyout", made.key, "-out", request)
        _openssl("x509", "-req", "-in", request, "-CA", self.itself.certificate, "-CAkey", self.itself.key,
                 "-CAcreateserial", "-days", "2", "-extfile", extensions, "-out", made.certificate)  # fmt: skip
        return made


class TlsDoor:
    """Listens with TLS at a port of its own, and wants a client's certificate; the server is at the port `upstream`."""

    def __init__(self, own: Certificate, authority: Certificate) -> None:
        self.upstream = 0
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(own.certificate, own.key)
        context.load_verify_locations(authority.certificate)
        context.verify_mode = ssl.CERT_REQUIRED
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._thread.start()
        opening = asyncio.start_server(self._serve, "127.0.0.1", 0, ssl=context)
        self._server = asyncio.run_coroutine_threadsafe(opening, self._loop).result(_SECONDS_MAX)
        self.port = int(self._server.sockets[0].getsockname()[1])

    def close(self) -> None:
        asyncio.run_coroutine_threadsafe(self._end(), self._loop).result(_SECONDS_MAX)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(_SECONDS_MAX)
        self._loop.close()

    async def _end(self) -> None:
        self._server.close()
        tasks = asyncio.all_tasks() - {asyncio.current_task()}
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _serve(self, client: asyncio.StreamReader, to_client: asyncio.StreamWriter) -> None:
        with suppress(OSError, asyncio.CancelledError):
            server, to_server = await asyncio.open_connection("127.0.0.1", self.upstream)
            await asyncio.gather(_pass(client, to_server), _pass(server, to_client))
        to_client.close()


async def _pass(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with suppress(OSError):
        while piece := await reader.read(_CHUNK_BYTES):
            writer.write(piece)
            await writer.drain()
    writer.close()


class TlsFiles(NamedTuple):
    """An authority, the certificates of a server and a client, and another authority that nobody here trusts."""

    authority: Certificate
    server: Certificate
    client: Certificate
    stranger: Certificate


def make_files(folder: Path) -> TlsFiles:
    """They are made by the program openssl; without it the test is skipped."""
    if shutil.which("openssl") is None:
        pytest.skip("certificates are made with openssl, which is not here")
    authority, other = Authority(folder, "authority"), Authority(folder, "stranger")
    return TlsFiles(authority.itself, authority.sign("server"), authority.sign("client"), other.itself)


@contextmanager
def tls_door(files: TlsFiles, upstream: int = 0) -> Iterator[TlsDoor]:
    door = TlsDoor(files.server, files.authority)
    door.upstream = upstream
    try:
        yield door
    finally:
        door.close()


def _openssl(*arguments: str | Path) -> None:
    ran = subprocess.run(["openssl", *map(str, arguments)], capture_output=True, text=True, timeout=60, check=False)
    assert ran.returncode == 0, ran.stderr
