"""Settling: finds how tasks that are tied to others stand after events, level by level among their neighbours. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable

from ledger import State, Task
from projections.readiness import Ask, Asked, Known, Settled, Tasks, is_alone
from projections.views.ready import NO_COUNTS, OPEN, Counts, Gate, entries_of, gate_of


class Settling:
    """One call of `readiness.settle`, for the tasks that are tied to others."""

    def __init__(self, before: Tasks, after: Tasks, ask: Ask, known: Known) -> None:
        self._before = before
        self._after = after
        self._ask = ask
        self._known = known
        self._gates: dict[str, Gate] = {}
        """The gates after the events, of the tasks that were looked at."""
        self._children_more: Counter[str] = Counter()
        self._dependents_more: Counter[str] = Counter()
        self._moved_below: dict[str, list[str]] = {}
        """Parent -> those of the tasks of the events that are below it afterwards."""
        self._dirty: set[str] = set(after)

    def run(self) -> None:
        self._count()
        known, touched = self._known, self._after
        flipped = [
            task_id for task_id in touched if _is_completed(self._before[task_id]) != _is_completed(touched[task_id])
        ]
        known.gates |= dict.fromkeys((task_id for task_id, task in self._before.items() if is_alone(task)), OPEN)
        concerned = self._children_more.keys() | self._dependents_more.keys()
        self._learn(Asked(tasks=concerned, gates=concerned, counts=touched.keys() | concerned))
        # All of these are open; a finished task stays where it is whatever it needs.
        waking = [
            task_id for task_id in flipped if self._counts(task_id).dependents or known.counts[task_id].dependents
        ]
        self._learn(Asked(needed_by=waking))
        dependents = {each for task_id in waking for each in known.needed_by[task_id]}
        self._dirty |= dependents | concerned
        self._look_at(self._dirty)
        for task_id in self._dirty:
            self._find_gate(task_id)
        changed = [task_id for task_id in self._dirty if self._gates[task_id] != known.gates[task_id]]
        # Below a task whose gate changed, level by level; a circle ends when every task in it was seen.
        levels = 0
        while changed and levels <= len(self._dirty):
            changed = self._go_down(changed)
            levels += 1

    def result(self) -> dict[str, Settled]:
        found = {}
        for task_id in self._dirty:
            old = self._before[task_id] if task_id in self._after else self._known.tasks[task_id]
            gate = self._gates[task_id]
            was = entries_of(old, self._known.gates[task_id], self._known.counts[task_id])
            now = entries_of(self._task(task_id), gate, self._counts(task_id))
            if was != now:
                found[task_id] = Settled(was, now, gate)
        return found

    # --- one step each -----------------------------------------------------------------------------------------

    def _count(self) -> None:
        """Count how the events change the numbers of open children and of dependents."""
        for task_id, task in self._after.items():
            for state, sign in ((self._before[task_id], -1), (task, +1)):
                if state is not None and not state.state.is_terminal:
                    if state.parent_id is not None:
                        self._children_more[state.parent_id] += sign
                    for needed in state.needs:
                        self._dependents_more[needed] += sign
            if task is not None and task.parent_id is not None:
                self._moved_below.setdefault(task.parent_id, []).append(task_id)
        for counter in (self._children_more, self._dependents_more):
            for task_id in [each for each, more in counter.items() if not more]:
                del counter[task_id]

    def _look_at(self, task_ids: Iterable[str]) -> None:
        """Learn all that the gates and entries of these tasks depend on."""
        ids = set(task_ids)
        self._learn(Asked(tasks=ids, gates=ids, counts=ids))
        tasks = [task for task in map(self._task, ids) if task is not None]
        self._learn(
            Asked(
                gates={task.parent_id for task in tasks if task.parent_id is not None},
                are_completed={
                    needed
                    for task in tasks
                    if not task.state.is_terminal
                    for needed in task.needs
                    if needed not in self._after
                },
            )
        )

    def _find_gate(self, task_id: str) -> None:
        """Find the gate of a task, after those of the tasks above it that are to be looked at, too."""
        path: dict[str, None] = {}
        current: str | None = task_id
        while current is not None and current in self._dirty and current not in self._gates and current not in path:
            path[current] = None
            task = self._task(current)
            current = None if task is None else task.parent_id
        for each in reversed(path):
            self._gates[each] = self._make_gate(each)

    def _make_gate(self, task_id: str) -> Gate:
        task = self._task(task_id)
        if task is None:
            return OPEN
        parent = task.parent_id
        above = OPEN if parent is None else self._gates.get(parent) or self._known.gates.get(parent, OPEN)
        has_unmet_needs = not task.state.is_terminal and not all(map(self._is_completed, task.needs))
        return gate_of(task, above, has_unmet_needs=has_unmet_needs)

    def _go_down(self, changed: Collection[str]) -> list[str]:
        """Look at the tasks right below those whose gate changed; returns those of them whose gate changes with it."""
        self._learn(Asked(children=changed))
        below = {
            child for task_id in changed for child in self._known.children[task_id] if child not in self._after
        }.union(*(self._moved_below.get(task_id, ()) for task_id in changed))
        self._look_at(below - self._dirty)
        self._dirty |= below
        found = []
        for child in below:
            gate = self._make_gate(child)
            if gate != self._gates.get(child, self._known.gates[child]):
                found.append(child)
            self._gates[child] = gate
        return found

    # --- what is known -----------------------------------------------------------------------------------------

    def _learn(self, asked: Asked) -> None:
        """Ask for what is not known yet."""
        known = self._known
        new = Asked(
            tasks=[each for each in asked.tasks if each not in known.tasks and each not in self._after],
            gates=[each for each in asked.gates if each not in known.gates],
            counts=[each for each in asked.counts if each not in known.counts],
            are_completed=[each for each in asked.are_completed if each not in known.are_completed],
            needed_by=[each for each in asked.needed_by if each not in known.needed_by],
            children=[each for each in asked.children if each not in known.children],
        )
        if any(new):
            known.add(self._ask(new))

    def _task(self, task_id: str) -> Task | None:
        return self._after[task_id] if task_id in self._after else self._known.tasks.get(task_id)

    def _counts(self, task_id: str) -> Counts:
        known = self._known.counts.get(task_id, NO_COUNTS)
        return Counts(
            known.open_children + self._children_more[task_id], known.dependents + self._dependents_more[task_id]
        )

    def _is_completed(self, task_id: str) -> bool:
        if task_id in self._after:
            return _is_completed(self._after[task_id])
        return self._known.are_completed[task_id]


def _is_completed(task: Task | None) -> bool:
    return task is not None and task.state is State.COMPLETED
