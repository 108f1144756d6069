"""A town's rooms for exports and imports, on any client, and files that were tampered with."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import redis

from ledger import Keys
from town.backend import Backend
from town.exports.exporter import Exporter, ExportReceipt
from town.imports.ledger import LedgerImporter, LedgerReceipt
from town.reading.event_reader import EventReader


def backend_of(client: redis.Redis, keys: Keys, folder: Path) -> Backend:
    return Backend(client, keys, folder=folder, actor="tester")


def export_to(backend: Backend, path: Any, *arguments: Any, **options: Any) -> ExportReceipt:
    """Export the town's events to a file or an open one."""
    return Exporter(backend, EventReader(backend.store)).export(path, *arguments, **options)


def import_from(backend: Backend, path: Any) -> LedgerReceipt:
    """Import a ledger's file, or an open one."""
    return LedgerImporter(backend, path).run()


def empty(client: redis.Redis, keys: Keys) -> None:
    """Delete every key of the town: it is as new."""
    found = list(client.scan_iter(match=f"{keys.prefix}:*", count=1_000))
    if found:
        client.delete(*found)


def lines_of(path: Path) -> list[bytes]:
    return path.read_bytes().splitlines(keepends=True)


def write_lines(path: Path, lines: list[bytes]) -> Path:
    path.write_bytes(b"".join(lines))
    return path
