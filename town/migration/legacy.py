"""The old keys that a migration set aside under `tt:<town>:legacy:`: counts them, and deletes them on request."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final, cast

from msgspec import Struct

from ledger import redis_errors
from town.backend import Backend
from town.errors import LegacyKeptError
from town.migration.old_records import KeyKind, OldKeys

LEGACY_KEYS_COUNT: Final = 1_000


class LegacyKeys(Struct, frozen=True):
    """How many old keys are set aside, how many bytes of memory they take, and those without an adopted task."""

    keys: int
    bytes: int
    unadopted: tuple[str, ...]


class Legacy:
    """The old keys that one town's migrations set aside."""

    def __init__(self, backend: Backend) -> None:
        self._name = backend.name
        self._old_name = backend.old_name
        self._client = backend.client
        self._keys = backend.keys
        self._store = backend.store
        self._upkeep = backend.upkeep
        self._where = backend.where
        self._old_keys = OldKeys(backend.old_name)

    def look(self) -> LegacyKeys:
        """Count the old keys; writes nothing. Source: SCAN, MEMORY USAGE."""
        keys, size_bytes = 0, 0
        unadopted: list[str] = []
        for names in self._scan():
            with redis_errors(self._where):
                pipeline = self._client.pipeline(transaction=False)
                for name in names:
                    pipeline.memory_usage(name)
                size_bytes += sum(size or 0 for size in cast("list[int | None]", pipeline.execute()))
            keys += len(names)
            tasks = {name: self._task_of(name) for name in names}
            ids = sorted({task_id for task_id in tasks.values() if task_id})
            versions = dict(zip(ids, (version for version, _ in self._store.heads(ids)), strict=True))
            unadopted += [
                name.decode(errors="backslashreplace")
                for name, task_id in tasks.items()
                if task_id is not None and not versions.get(task_id)
            ]
        return LegacyKeys(keys, size_bytes, tuple(sorted(unadopted)))

    def drop(self) -> LegacyKeys:
        """Delete them all; returns what was there. LegacyKeptError if `verify` finds something: nothing was deleted."""
        findings = self._upkeep.verify().findings
        if findings:
            raise LegacyKeptError(self._name, findings)
        found = self.look()
        for names in self._scan():
            with redis_errors(self._where):
                self._client.unlink(*names)
        return found

    def _task_of(self, name: bytes) -> str | None:
        """The id of the task whose old key this is, empty if the key has no id; None if it is not a task's key."""
        key = name.decode(errors="replace").removeprefix(self._keys.legacy(""))
        if key.startswith(self._keys.task("")):
            # The town's name in the old keys, which have no hash tag and may differ from our name.
            key = f"tt:{self._old_name}{key.removeprefix(self._keys.prefix)}"
        old = self._old_keys.kind_of(key)
        return old.id if old is not None and old.kind is KeyKind.TASK else None

    def _scan(self) -> Iterator[list[bytes]]:
        """The keys in batches of 1 to LEGACY_KEYS_COUNT, each once.

        Collected first, because the caller may delete them.
        """
        with redis_errors(self._where):
            found = self._client.scan_iter(match=f"{self._keys.legacy('')}*", count=LEGACY_KEYS_COUNT)
            names = sorted(set(found))
        for start in range(0, len(names), LEGACY_KEYS_COUNT):
            yield names[start : start + LEGACY_KEYS_COUNT]
