"""Planner: a push and a pull of a plan, their previews, and the differences between a plan and its town.

`town.plans.desired` says what a plan wants of a task, `town.plans.pull` what a pull writes. This room finds and loads
the tasks, and appends what was decided through `Writer`, all or none. If another writer was first, it starts again.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from itertools import chain
from pathlib import Path
from typing import Final, NamedTuple

from ledger import (
    APPEND_EVENTS_MAX,
    LINKS_MAX,
    AppendTooLargeError,
    CircularNeedsError,
    DesiredTask,
    LinkKind,
    Position,
    State,
    Task,
    TaskCreated,
    TaskMoved,
)
from projections import no_garbage_collection
from town.backend import Backend
from town.errors import PlanChangedError, PlanMissingError
from town.linking import BRINGS_CHILDREN, Circles
from town.plans.desired import Kept, desired
from town.plans.file import BYTE_ORDER_MARK, PlanFile, read_plan_bytes, read_plan_file, write_plan_file
from town.plans.plan import BRING_BACK, Plan, PlanFault, PlannedTask, find_circles, is_uuid, quoted, read_plan
from town.plans.pull import PullEdits, faults_of_pull, pull_edits
from town.plans.receipts import PlanChange, PlanComparison, PlanKept, PullChange, PullReceipt, PushReceipt
from town.plans.text import Outline, edited, rendered
from town.plans.toml import parse_plan
from town.reading.present import Present
from town.reading.references import References
from town.writer import Decided, Decisions, Writer, reconcile_all

PULL_ATTEMPTS_MAX: Final = 5
_CANNOT_BE_EDITED: Final = PlanFault(
    "the file is spelled in a way in which a pull cannot edit it; write its tasks as docs/reference/tasks-toml.md does"
)


class _Found(NamedTuple):
    """A plan's tasks in the town: the ids of its tasks, of their parents and of what they need, in its order, and their present
    states.
    """

    task_ids: list[str]
    parents: list[str | None]
    needs: list[tuple[str, ...]]
    states: dict[str, tuple[Task | None, int]]

    def task(self, task_id: str) -> Task | None:
        return self.states[task_id][0]

    def is_removed(self, task_id: str) -> bool:
        state, version = self.states[task_id]
        return state is None and version > 0


class _PlanDecisions(Decisions, frozen=True):
    """The decisions, and the fields that stay in spite of the plan."""

    names: Mapping[str, str] = {}
    found: Mapping[str, Task] = {}
    kept: tuple[PlanKept, ...] = ()


class Planner:
    """Plans of one town, pushed by `actor`."""

    def __init__(
        self,
        backend: Backend,
    ) -> None:
        self._live = backend.live
        self._ids_of_aliases = References(Present(backend), town=backend.alias_town).ids_of_aliases
        self._writer = Writer(backend)
        self._circles = Circles(backend)
        self._town = backend.name
        self._actor = backend.actor
        self._catch_up = backend.upkeep.catch_up

    def find_faults(self, plan: Plan) -> list[PlanFault]:
        """The faults in the plan's names in this town: two ids for one task, missing parents and needed tasks."""
        self._catch_up()
        return _faults(plan, self._find(plan), is_forced=False)

    def preview_push(self, file: PlanFile, *, is_pruning: bool = False, is_forced: bool = False) -> PushReceipt:
        """What a push would do; writes nothing. PlanRefusedError, AppendTooLargeError."""
        with no_garbage_collection():
            self._catch_up()
            receipt = _receipt(file.plan, self._decide(file, is_pruning=is_pruning, is_forced=is_forced), ())
        if receipt.events > APPEND_EVENTS_MAX:
            raise AppendTooLargeError("events", size=receipt.events, size_max=APPEND_EVENTS_MAX)
        return receipt

    def push(self, file: PlanFile, *, is_pruning: bool = False, is_forced: bool = False) -> PushReceipt:
        """Bring the town to the plan's state, in one append.

        PlanRefusedError, AppendTooLargeError: nothing was written.
        """
        with no_garbage_collection():
            made, positions = self._writer.carry_out(
                lambda: self._decide(file, is_pruning=is_pruning, is_forced=is_forced)
            )
            return _receipt(file.plan, made, positions)

    def preview_pull(self, path: Path) -> PullReceipt:
        """What a pull would write; writes nothing. Errors as for `pull`."""
        with no_garbage_collection():
            return self._pulled(path)[1]

    def pull(self, path: Path, *, within: Path | None = None) -> PullReceipt:
        """Write the town's state into the file, by rename.

        An up-to-date file is not touched. `within` is the folder that a link must not lead out of, None if the user
        named the file. PlanRefusedError, PlanOutsideError, FolderRefusedError, PlanChangedError: the file is as it was.
        """
        for _ in range(PULL_ATTEMPTS_MAX):
            with no_garbage_collection():
                before, receipt, text = self._pulled(path)
            if not receipt.has_changes:
                return receipt
            if _content(path) == before:
                write_plan_file(path, text, within=within)
                return receipt
        raise PlanChangedError(path)

    def compare(self, path: Path) -> PlanComparison:
        """The differences in both directions. PlanMissingError, PlanRefusedError."""
        file = read_plan_file(path, look=self.find_faults)
        return PlanComparison(self.preview_push(file), self.preview_pull(path), file.plan.not_understood)

    # --- a push ------------------------------------------------------------------------------------------------

    def _decide(self, file: PlanFile, *, is_pruning: bool, is_forced: bool) -> _PlanDecisions:
        plan = file.plan
        if is_pruning and not plan.tasks:
            raise file.refuse(
                [PlanFault("the file has no task, and --prune would remove every task that has an alias")]
            )
        found = self._find(plan)
        faults = _faults(plan, found, is_forced=is_forced)
        if faults:
            raise file.refuse(faults)
        basis = self._circles.basis()
        targets, kept = self._targets(plan, found, is_forced=is_forced)
        above = self._above(found, targets)
        self._refuse_circles(file, found, above)
        names = {task_id: planned.id for task_id, planned in zip(found.task_ids, plan.tasks, strict=True)}
        there = {name: state for task_id, name in names.items() if (state := found.task(task_id)) is not None}
        if is_pruning:
            pruned, stays = self._prune(found, above, is_forced=is_forced)
            targets |= dict.fromkeys(pruned)
            found.states.update({task.id: (task, task.version) for task in pruned.values()})
            names |= {task.id: str(task.alias) for task in pruned.values()}
            kept += stays
        decided = reconcile_all(found.states, targets)
        try:
            needed_basis = self._circles.check(decided, targets, found.states, basis=basis)
        except CircularNeedsError as error:
            raise file.refuse([self._fault_of(error.circle, file.plan, found, targets)]) from error
        if is_pruning and pruned:
            known = frozenset() if needed_basis is None else needed_basis.disturbed_by
            needed_basis = basis._replace(disturbed_by=known | BRINGS_CHILDREN, parents=frozenset(pruned))
        relied_on = _lineages(decided, above, found.states)
        return _PlanDecisions(decided, relied_on, basis=needed_basis, names=names, found=there, kept=tuple(kept))

    def _find(self, plan: Plan) -> _Found:
        """The plan's tasks, their parents and what they need in the town."""
        uuids = [task.id.lower() for task in plan.tasks if is_uuid(task.id)]
        outside = plan.names_outside()
        # A UUID is a task's own id only if the ledger knows it; anything else is an alias, whatever it looks like.
        known = {task_id for task_id, head in zip(uuids, self._writer.loader.load_many(uuids), strict=True) if head[1]}
        aliases = [task.id for task in plan.tasks if task.id.lower() not in known]
        ids = self._ids_of_aliases([*aliases, *(name for name in outside if not is_uuid(name))])
        task_ids = [ids.get(planned.id) or planned.id.lower() for planned in plan.tasks]
        index = {name: ids.get(name) or name.lower() for name in outside}
        index |= {planned.id: task_id for planned, task_id in zip(plan.tasks, task_ids, strict=True)}
        parents = [None if planned.parent is None else index[planned.parent] for planned in plan.tasks]
        needs = [tuple(index[needed] for needed in planned.needs) for planned in plan.tasks]
        others = [*(parent for parent in parents if parent is not None), *chain.from_iterable(needs)]
        wanted = list(dict.fromkeys([*task_ids, *others]))
        return _Found(task_ids, parents, needs, dict(zip(wanted, self._writer.loader.load_many(wanted), strict=True)))

    def _targets(
        self, plan: Plan, found: _Found, *, is_forced: bool
    ) -> tuple[dict[str, DesiredTask | None], list[PlanKept]]:
        targets: dict[str, DesiredTask | None] = {}
        kept: list[PlanKept] = []
        for planned, task_id, parent, needs in zip(plan.tasks, found.task_ids, found.parents, found.needs, strict=True):
            if found.is_removed(task_id) and not is_forced:
                kept.append(PlanKept(planned.id, task_id, "task", "removed", None))
                continue
            targets[task_id], stays = desired(
                planned,
                found.task(task_id),
                # A task that the plan names by its own id gets no alias.
                alias=None if task_id == planned.id.lower() else planned.id,
                parent_id=parent,
                needs=needs,
                default_agent=plan.default_agent,
                actor=self._actor,
                is_forced=is_forced,
            )
            kept += [_kept(planned, task_id, each) for each in stays]
        return targets, kept

    def _above(self, found: _Found, targets: Mapping[str, DesiredTask | None]) -> dict[str, str]:
        """Task -> parent after the push, for the plan's tasks and all tasks above them."""
        above: dict[str, str] = {}
        unseen = [*targets]
        while unseen:
            parents: list[str] = []
            for task_id in unseen:
                target = targets.get(task_id)
                state = found.states[task_id][0]
                parent = target.parent_id if target is not None else None if state is None else state.parent_id
                if parent is not None:
                    above[task_id] = parent
                    parents.append(parent)
            unseen = [task_id for task_id in dict.fromkeys(parents) if task_id not in above and task_id not in targets]
            missing = [task_id for task_id in unseen if task_id not in found.states]
            found.states.update(zip(missing, self._writer.loader.load_many(missing), strict=True))
        return above

    def _refuse_circles(self, file: PlanFile, found: _Found, above: Mapping[str, str]) -> None:
        number = {task_id: number for number, task_id in enumerate(found.task_ids)}
        faults = [
            PlanFault(
                "its parent lies below it in the town, in a circle",
                min(number[task_id] for task_id in circle if task_id in number),
                "parent",
            )
            for circle in find_circles(found.task_ids, above)
        ]
        if faults:
            raise file.refuse(faults)

    def _fault_of(
        self, circle: Sequence[str], plan: Plan, found: _Found, targets: Mapping[str, DesiredTask | None]
    ) -> PlanFault:
        """The fault of a circle of tasks that would wait for each other, with tasks of the town among them."""
        number = {task_id: number for number, task_id in enumerate(found.task_ids)}
        states = dict(zip(circle, self._writer.loader.load_many(circle), strict=True))
        names = [
            plan.tasks[number[task_id]].id
            if task_id in number
            else (task.alias if (task := states[task_id][0]) is not None else None) or task_id
            for task_id in circle
        ]
        planned = [task_id for task_id in circle if task_id in number and targets.get(task_id) is not None]
        if not planned:
            # Another program wrote it: no command makes one.
            return PlanFault(
                f"tasks of the town that it leads to wait for each other, in a circle: {' → '.join(names)}"
            )
        needing = next((task_id for task_id in planned if found.needs[number[task_id]]), planned[0])
        key = "needs" if found.needs[number[needing]] else "parent"
        return PlanFault(f"it waits for itself in the town, in a circle: {' → '.join(names)}", number[needing], key)

    def _prune(
        self, found: _Found, above: Mapping[str, str], *, is_forced: bool
    ) -> tuple[dict[str, Task], list[PlanKept]]:
        """The tasks with an alias that the plan does not have, lowest first.

        It leaves out tasks that would leave others below them, tasks that the plan's tasks need, and without force tasks that
        somebody works on.
        """
        planned = frozenset(found.task_ids)
        needed = frozenset(chain.from_iterable(found.needs))
        board = {task.id: task for task in self._live.page().tasks}
        going = {task.id: task for task in board.values() if task.alias is not None and task.id not in planned}
        stays = [
            PlanKept(str(task.alias), task.id, "task", f"is {task.state}", "removed")
            for task in going.values()
            if task.state is State.RUNNING and not is_forced
        ]
        stays += [
            PlanKept(str(task.alias), task.id, "task", "is needed by a task of the plan", "removed")
            for task in going.values()
            if task.id in needed and (task.state is not State.RUNNING or is_forced)
        ]
        for kept in stays:
            del going[kept.task_id]
        children = Counter(parent for task_id, parent in above.items() if task_id in planned)
        children.update(task.parent_id for task in board.values() if task.parent_id and task.id not in planned)
        ordered: dict[str, Task] = {}
        free = [task_id for task_id in going if not children[task_id]]
        while free:
            task = going.pop(free.pop())
            ordered[task.id] = task
            parent = task.parent_id
            if parent is not None:
                children[parent] -= 1
                if parent in going and not children[parent]:
                    free.append(parent)
        stays += [
            PlanKept(str(task.alias), task.id, "task", f"has {children[task.id]} below it", "removed")
            for task in going.values()
        ]
        return ordered, stays

    # --- a pull ------------------------------------------------------------------------------------------------

    def _pulled(self, path: Path) -> tuple[bytes | None, PullReceipt, str]:
        """The file's bytes (None: there is no file), the changes in it, and its new text."""
        try:
            file = read_plan_file(path)
        except PlanMissingError:
            text = f"[meta]\ndescription = {rendered(f'Tasks of {self._town}')}\n"
            file = PlanFile(path, b"", text, {}, Plan())
            before = None
        else:
            before = file.content
        self._catch_up()
        found = self._find(file.plan)
        duplicates = _duplicates(file.plan, found.task_ids)
        if duplicates:
            raise file.refuse(duplicates)
        board = {task.id: task for task in self._live.page().tasks}
        above = {task.id: task.parent_id for task in board.values() if task.parent_id is not None}
        for circle in find_circles(list(board), above)[:1]:
            problem = (
                f"the town's tasks lie below one another in a circle; take one out: `tt task move {circle[0]} --top`"
            )
            raise file.refuse([PlanFault(problem)])
        removed = frozenset(task_id for task_id in found.task_ids if found.is_removed(task_id) and task_id not in board)
        edits = pull_edits(file.plan, found.task_ids, found.parents, found.needs, board=board, removed=removed)
        faults = faults_of_pull(file.plan, found.task_ids, edits, board=board)
        faults += _parent_faults(file.plan, found, is_forced=False, is_only_new=True)
        faults += _needs_faults(file.plan, found, is_forced=False, is_only_new=True)
        if faults:
            raise file.refuse(faults)
        receipt = PullReceipt(
            tasks=len(file.plan.tasks) - len(edits.dropped) + len(edits.added),
            changed=tuple(
                PullChange(file.plan.tasks[number].id, found.task_ids[number], values)
                for number, values in edits.changed.items()
            ),
            added=tuple(PullChange(str(values["id"]), task_id, values) for task_id, values in edits.added.items()),
            removed=tuple(
                PullChange(file.plan.tasks[number].id, found.task_ids[number], {}) for number in edits.dropped
            ),
            not_understood=file.plan.not_understood,
            is_new=before is None,
        )
        return before, receipt, self._edited(file, edits, board, removed)

    def _edited(self, file: PlanFile, edits: PullEdits, board: Mapping[str, Task], removed: frozenset[str]) -> str:
        if not edits:
            return file.text
        # Read the result as any reader would: if an edit went wrong, the file would not show the town, so do not write it.
        try:
            text = edited(
                Outline(file.text), changed=edits.changed, dropped=edits.dropped, added=list(edits.added.values())
            )
            plan, faults = read_plan(parse_plan(text))
        except ValueError as error:
            raise file.refuse([_CANNOT_BE_EDITED]) from error
        again = self._find(plan)
        if faults or pull_edits(plan, again.task_ids, again.parents, again.needs, board=board, removed=removed):
            raise file.refuse([_CANNOT_BE_EDITED])
        return (BYTE_ORDER_MARK if file.content.startswith(BYTE_ORDER_MARK.encode()) else "") + text


def _receipt(plan: Plan, made: _PlanDecisions, positions: tuple[Position, ...]) -> PushReceipt:
    changes = tuple(PlanChange(made.names[task_id], task_id, tuple(events)) for task_id, _, events in made.decided)
    return PushReceipt(len(plan.tasks), changes, made.kept, plan.not_understood, positions, made.found)


def _kept(planned: PlannedTask, task_id: str, kept: Kept) -> PlanKept:
    return PlanKept(planned.id, task_id, kept.field, kept.town, kept.plan)


def _duplicates(plan: Plan, task_ids: Sequence[str]) -> list[PlanFault]:
    """A fault for each id that names the same task as an earlier one, such as its alias there and its own id here."""
    first: dict[str, int] = {}
    return [
        PlanFault(
            f"the id {plan.tasks[number].id!r} names the same task as line {{line}}", number, "id", other=first[task_id]
        )
        for number, task_id in enumerate(task_ids)
        if plan.tasks[first.setdefault(task_id, number)].id != plan.tasks[number].id
    ]


def _faults(plan: Plan, found: _Found, *, is_forced: bool) -> list[PlanFault]:
    return [
        *_duplicates(plan, found.task_ids),
        *_parent_faults(plan, found, is_forced=is_forced),
        *_needs_faults(plan, found, is_forced=is_forced),
    ]


def _parent_faults(plan: Plan, found: _Found, *, is_forced: bool, is_only_new: bool = False) -> list[PlanFault]:
    """Missing parents: they never existed, or were removed. A task that lies below one of them already may stay there."""
    inside = frozenset(found.task_ids)
    faults: list[PlanFault] = []
    for number, (planned, task_id, parent) in enumerate(zip(plan.tasks, found.task_ids, found.parents, strict=True)):
        if parent is None or found.task(parent) is not None:
            continue
        state = found.task(task_id)
        if (is_only_new and state is not None) or (found.is_removed(task_id) and not is_forced):
            continue
        if state is not None and state.parent_id == parent:
            # It lies there already, below a task that was removed or never adopted.
            continue
        if found.is_removed(parent):
            is_brought_back = is_forced and parent in inside
            if not is_brought_back:
                faults.append(
                    PlanFault(
                        f"its parent {quoted(planned.parent)} was removed from the town; {BRING_BACK}", number, "parent"
                    )
                )
        elif parent not in inside:
            faults.append(
                PlanFault(
                    f"its parent {quoted(planned.parent)} is not a task of the file or of the town", number, "parent"
                )
            )
    return faults


def _needs_faults(plan: Plan, found: _Found, *, is_forced: bool, is_only_new: bool = False) -> list[PlanFault]:
    """Needed tasks that never existed, or were removed, or are the task itself; and too many links. A task that needs a removed
    one already may go on.
    """
    inside = frozenset(found.task_ids)
    faults: list[PlanFault] = []
    for number, (planned, task_id, needs) in enumerate(zip(plan.tasks, found.task_ids, found.needs, strict=True)):
        state = found.task(task_id)
        if not needs or (is_only_new and state is not None) or (found.is_removed(task_id) and not is_forced):
            continue
        for item, (name, needed) in enumerate(zip(planned.needs, needs, strict=True)):
            if found.task(needed) is not None or (state is not None and needed in state.needs):
                problem = "it needs itself" if needed == task_id else None
            elif found.is_removed(needed):
                is_brought_back = is_forced and needed in inside
                problem = f"the task {quoted(name)} that it needs was removed from the town; {BRING_BACK}"
                problem = None if is_brought_back else problem
            else:
                problem = (
                    None
                    if needed in inside
                    else f"it needs {quoted(name)}, which is not a task of the file or of the town"
                )
            if problem is not None:
                faults.append(PlanFault(problem, number, "needs", item))
        others = 0 if state is None else sum(len(state.links(kind)) for kind in LinkKind if kind is not LinkKind.NEEDS)
        # Of more needs the plan alone says it.
        if len(needs) <= LINKS_MAX < others + len(needs):
            problem = f"it would have {others + len(needs):,} links, and at most {LINKS_MAX:,}"
            faults.append(PlanFault(problem, number, "needs"))
    return faults


def _lineages(
    decided: Iterable[Decided], above: Mapping[str, str], states: Mapping[str, tuple[Task | None, int]]
) -> dict[str, int]:
    """The versions of all tasks above those that get a parent.

    They guard against two moves at once that close a circle.
    """
    relied_on: dict[str, int] = {}
    for task_id, _, events in decided:
        if any(isinstance(event, TaskCreated | TaskMoved) for event in events):
            current = above.get(task_id)
            while current is not None and current not in relied_on:
                relied_on[current] = states[current][1]
                current = above.get(current)
    return relied_on


def _content(path: Path) -> bytes | None:
    try:
        return read_plan_bytes(path)
    except PlanMissingError:
        return None
