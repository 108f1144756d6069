"""Loading: a task and its version, as good as the ledger has them, for whoever decides on it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from ledger import HeadLostError, Position, SnapshotDamagedError, Task, TaskRemoved
from town.backend import Backend
from town.reading.damage import damage_of_absent


class Loader:
    """Reads the tasks of one town with their versions. The snapshots are to have been caught up first."""

    def __init__(self, backend: Backend) -> None:
        self._store = backend.store
        self._live = backend.live
        self._keys = backend.keys
        self._upkeep = backend.upkeep

    def load(self, task: str) -> tuple[Task | None, int]:
        """The task and its version as of now; None where it never was (version 0) or was removed.

        SnapshotDamagedError; TaskDamagedError where no command can make the event that was to make it.
        """
        version, position = self._store.head(task)
        state = self._live.get(task)
        if version == 0:
            if state is not None:
                raise HeadLostError(self._keys.heads, task)
            return None, 0
        if state is None or state.version != version:
            self._upkeep.catch_up(position)
            state = self._live.get(task)
        if state is None:
            last = self._store.last_event(task)
            if last is not None and isinstance(last.data, TaskRemoved):
                return None, last.version
            if last is not None and last.position != position:
                # It was removed and made again between the two looks.
                return self.load(task)
            damage = damage_of_absent(self._store.history(task))
            if damage is not None:
                raise damage
            raise self._live.loss_of(task)
        if not version <= state.version <= self._store.head(task)[0]:
            raise SnapshotDamagedError(
                self._keys.task(task), f"is at version {state.version}, and the ledger at version {version}"
            )
        return state, state.version

    def load_many(self, tasks: Sequence[str]) -> list[tuple[Task | None, int]]:
        """As `load`, for many tasks in a few calls, removed ones too; whatever is not plain goes through `load`."""
        heads = [head for chunk in _chunks(tasks) for head in self._store.heads(chunk)]
        states = self._live.get_many(tasks)
        found = list(zip(tasks, states, heads, strict=True))
        removed = self._removed({task: head for task, state, head in found if state is None and head[0]})
        return [
            (state, version)
            if task in removed or version == (0 if state is None else state.version)
            else self.load(task)
            for task, state, (version, _) in found
        ]

    def _removed(self, heads: Mapping[str, tuple[int, Position]]) -> frozenset[str]:
        """Those of the tasks whose last event, which their head names, says that they were removed at that version."""
        last = {
            event.task: event
            for chunk in _chunks(list(heads))
            for event in self._store.events_at([heads[task][1] for task in chunk])
        }
        return frozenset(
            task
            for task, (version, _) in heads.items()
            if task in last and last[task].version == version and isinstance(last[task].data, TaskRemoved)
        )


def _chunks(tasks: Sequence[str], size: int = 1_000) -> Iterator[Sequence[str]]:
    return (tasks[start : start + size] for start in range(0, len(tasks), size))
