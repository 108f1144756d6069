"""Sets keys aside: renames what is not ours to a free name under `tt:<town>:legacy:`, and deletes nothing.

Our snapshots have the keys where Tinytown keeps its tasks. Anything else at such a key may be somebody's work, so it is set
aside before a snapshot is written there. A second record of one key gets a number at the end of its name, from 2 on. So
does a record that was written over a snapshot: the name without a number is for the record that the task was adopted from.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from typing import TYPE_CHECKING, Final, cast

from ledger import (
    Keys,
    ResponseError,
    StoreUnavailableError,
    WatchError,
    exchange,
    kinds_of,
    raise_error,
    redis_errors,
)
from projections.errors import LegacyFullError
from projections.lua.keep_copy import KeepCopyScript
from projections.snapshots import is_snapshot

if TYPE_CHECKING:
    from redis import Redis
    from redis.client import Pipeline

LEGACY_NAMES_MAX: Final = 1_000
"""How many records of one old key are kept."""
_ATTEMPTS_MAX: Final = 100


class SetAside:
    """Sets keys of one town's server aside. `where` names the server in messages."""

    def __init__(self, client: Redis, keys: Keys, *, where: str = "redis") -> None:
        self._client = client
        self._keys = keys
        self._where = where
        self._tasks = keys.task("")
        self._keep_copy = KeepCopyScript(client)
        self.count = 0
        """How many keys were set aside."""

    def to_set_aside(self, found: Mapping[str, bytes | None]) -> set[str]:
        """Set aside whatever is at the key of a snapshot and is not a snapshot; returns the keys that were set aside.

        `found` has what GET returned for each key, and None also for another type. Each is read again before it is renamed.
        Source: EXISTS, WATCH, TYPE, GET, RENAMENX.
        """
        ours = {key: content for key, content in found.items() if key.startswith(self._tasks)}
        suspects = [key for key, content in ours.items() if content is not None and not is_snapshot(content)]
        suspects += self._there([key for key, content in ours.items() if content is None])
        return {key for key in suspects if self._set_aside(_as_bytes(key))}

    def rename(self, names: Sequence[str]) -> list[str]:
        """Set aside whatever is at these keys; returns the keys that existed. Source: RENAMENX."""
        renamed: list[str] = []
        for number in range(1, LEGACY_NAMES_MAX + 1):
            taken = self._rename_to(number, names, renamed)
            if not taken:
                self.count += len(renamed)
                return renamed
            names = taken
        raise self._is_full(names[0])

    def copy(self, task_ids: Sequence[str]) -> int:
        """Copy whatever is at the keys of these tasks' snapshots. The ledger has none of these tasks yet.

        Returns how many copies are new; replaced copies do not count. An earlier copy with other content is kept under the next
        free name. Source: COPY, keep_copy.lua.
        """
        places = {task_id: self._keys.task(task_id) for task_id in task_ids}
        with redis_errors(self._where):
            answers = exchange(self._client, [("COPY", place, self._keys.legacy(place)) for place in places.values()])
            raise_error(answers)
            for (task_id, place), is_copied in zip(places.items(), answers, strict=True):
                if not is_copied:
                    self._copy_anew(task_id, place)
        return sum(map(bool, answers))

    def _copy_anew(self, task_id: str, place: str) -> None:
        """Make a copy although there is one already."""
        for _ in range(_ATTEMPTS_MAX):
            if self._keep_copy(
                record_key=place,
                copy_key=self._keys.legacy(place),
                free_key=self._free_name(place),
                heads_key=self._keys.heads,
                task_id=task_id,
            ):
                return
        raise self._is_busy(place)

    def _free_name(self, name: str, *, first: int = 2) -> str:
        """The first free name for a record of `name`, from the number `first` on. Source: EXISTS."""
        for number in range(first, LEGACY_NAMES_MAX + 1):
            free = self._keys.legacy(name, number)
            if not self._client.exists(_as_bytes(free)):
                return free
        raise self._is_full(name)

    def _rename_to(self, number: int, names: Iterable[str], renamed: list[str]) -> list[str]:
        """Rename each key that exists to its name with this number, and add it to `renamed`; returns those whose name is taken."""
        names = list(names)
        taken: list[str] = []
        with redis_errors(self._where):
            commands = [("RENAMENX", name, self._keys.legacy(name, number)) for name in names]
            for name, answer in zip(names, exchange(self._client, commands), strict=True):
                if isinstance(answer, kinds_of(ResponseError)):
                    # Another process was first.
                    if "no such key" not in str(answer):
                        raise answer
                else:
                    (renamed if answer else taken).append(name)
        return taken

    def _there(self, keys: Sequence[str]) -> list[str]:
        """The keys that exist. Mostly none does, and one command finds that out."""
        with redis_errors(self._where):
            if not keys or not self._client.exists(*map(_as_bytes, keys)):
                return []
            pipeline = self._client.pipeline(transaction=False)
            for key in keys:
                pipeline.exists(_as_bytes(key))
            return [key for key, is_there in zip(keys, pipeline.execute(), strict=True) if is_there]

    def _set_aside(self, key: bytes) -> bool:
        """Set aside what is at the key; returns whether it did, which it does not for a snapshot or a missing key."""
        name = key.decode(errors="surrogateescape")
        for _ in range(_ATTEMPTS_MAX):
            # WATCH: a snapshot that is written meanwhile must stay.
            with (
                suppress(*kinds_of(WatchError)),
                redis_errors(self._where),
                self._client.pipeline(transaction=True) as pipeline,
            ):
                pipeline.watch(key)  # type: ignore[no-untyped-call]
                if not _is_no_snapshot(pipeline, key):
                    return False
                task = name.removeprefix(self._tasks).encode(errors="surrogateescape")
                free = self._free_name(name, first=2 if pipeline.hexists(self._keys.heads, task) else 1)  # type: ignore[arg-type]
                pipeline.multi()
                pipeline.renamenx(key, _as_bytes(free))
                if pipeline.execute()[0]:
                    self.count += 1
                    return True
        raise self._is_busy(name)

    def _is_busy(self, name: str) -> StoreUnavailableError:
        return StoreUnavailableError(
            self._where, f"has {name} written to without pause", "Stop what writes it, and try again."
        )

    def _is_full(self, name: str) -> LegacyFullError:
        return LegacyFullError(self._where, name, self._keys.legacy(""), records_max=LEGACY_NAMES_MAX)


def _is_no_snapshot(pipeline: Pipeline, key: bytes) -> bool:
    kind = cast("bytes", pipeline.type(key))
    if kind != b"string":
        return kind != b"none"
    content = cast("bytes | None", pipeline.get(key))
    return content is not None and not is_snapshot(content)


def _as_bytes(name: str) -> bytes:
    """A name as it was read from the server, which may be any bytes."""
    return name.encode(errors="surrogateescape")
