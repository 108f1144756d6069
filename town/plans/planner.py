"""A plan and its town: what a push would do, a push, a pull, and what differs.

What a plan wishes is `plan_wishes`'s to say, what a pull writes `plan_pull`'s. Here tasks are found and loaded, and what was
decided goes through `Writer` in one append; where another writer was first, all is found, loaded and decided again.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Final, NamedTuple

from ledger import (
    APPEND_EVENTS_MAX,
    AppendTooLargeError,
    Position,
    State,
    Task,
    TaskCreated,
    TaskMoved,
    WishedTask,
)
from projections import no_garbage_collection
from town.backend import Backend
from town.errors import PlanChangedError, PlanMissingError
from town.plans.file import BYTE_ORDER_MARK, PlanFile, read_plan_bytes, read_plan_file, write_plan_file
from town.plans.plan import BRING_BACK, Plan, PlanFault, PlannedTask, find_circles, is_uuid, quoted, read_plan
from town.plans.pull import PullEdits, faults_of_pull, pull_edits
from town.plans.receipts import PlanChange, PlanComparison, PlanKept, PullChange, PullReceipt, PushReceipt
from town.plans.text import Outline, edited, rendered
from town.plans.toml import parse_plan
from town.plans.wishes import Kept, wish
from town.reading.present import Present
from town.reading.references import References
from town.writer import Decided, Decisions, Writer, decide_wishes

PULL_ATTEMPTS_MAX: Final = 5
_CANNOT_BE_EDITED: Final = PlanFault(
    "the file is spelled in a way in which a pull cannot edit it; write its tasks as docs/reference/tasks-toml.md does"
)


class _Found(NamedTuple):
    """A plan's tasks in the town: the ids of its tasks and their parents, in its order, and all of them as they are."""

    tasks: list[str]
    parents: list[str | None]
    states: dict[str, tuple[Task | None, int]]

    def task(self, task: str) -> Task | None:
        return self.states[task][0]

    def is_removed(self, task: str) -> bool:
        state, version = self.states[task]
        return state is None and version > 0


class _PlanDecisions(Decisions, frozen=True):
    """What was decided, and what stays."""

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
        self._town = backend.name
        self._actor = backend.actor
        self._catch_up = backend.upkeep.catch_up

    def find_faults(self, plan: Plan) -> list[PlanFault]:
        """What is wrong with the plan's names in the town: two ids of one task, and parents that are not there."""
        self._catch_up()
        found = self._find(plan)
        return _twins(plan, found.tasks) + _parent_faults(plan, found, is_forced=False)

    def preview_push(self, file: PlanFile, *, is_pruning: bool = False, is_forced: bool = False) -> PushReceipt:
        """What a push would do; nothing is written. PlanRefusedError, AppendTooLargeError."""
        with no_garbage_collection():
            self._catch_up()
            receipt = _receipt(file.plan, self._decide(file, is_pruning=is_pruning, is_forced=is_forced), ())
        if receipt.events > APPEND_EVENTS_MAX:
            raise AppendTooLargeError("events", size=receipt.events, size_max=APPEND_EVENTS_MAX)
        return receipt

    def push(self, file: PlanFile, *, is_pruning: bool = False, is_forced: bool = False) -> PushReceipt:
        """Make the town as the plan says, in one append. PlanRefusedError, AppendTooLargeError: nothing was written."""
        with no_garbage_collection():
            made, positions = self._writer.carry_out(
                lambda: self._decide(file, is_pruning=is_pruning, is_forced=is_forced)
            )
            return _receipt(file.plan, made, positions)

    def preview_pull(self, path: Path) -> PullReceipt:
        """What a pull would write; nothing is written. Errors as for `pull`."""
        with no_garbage_collection():
            return self._pulled(path)[1]

    def pull(self, path: Path, *, within: Path | None = None) -> PullReceipt:
        """Write the town into the file, by rename; a file that shows it already is not touched.

        `within` is the folder that a link may not lead out of, None where the person named the file.
        PlanRefusedError, PlanOutsideError, FolderRefusedError, PlanChangedError: the file is as it was.
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
        """What differs on either side. PlanMissingError, PlanRefusedError."""
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
        faults = _twins(plan, found.tasks) + _parent_faults(plan, found, is_forced=is_forced)
        if faults:
            raise file.refuse(faults)
        wishes, kept = self._wishes(plan, found, is_forced=is_forced)
        above = self._above(found, wishes)
        self._refuse_circles(file, found, above)
        names = {task: planned.id for task, planned in zip(found.tasks, plan.tasks, strict=True)}
        there = {name: state for task, name in names.items() if (state := found.task(task)) is not None}
        if is_pruning:
            pruned, stays = self._prune(frozenset(found.tasks), above, is_forced=is_forced)
            wishes |= dict.fromkeys(pruned)
            found.states.update({task.id: (task, task.version) for task in pruned.values()})
            names |= {task.id: str(task.alias) for task in pruned.values()}
            kept += stays
        decided = decide_wishes(found.states, wishes)
        relied_on = _lineages(decided, above, found.states)
        return _PlanDecisions(decided, relied_on, names=names, found=there, kept=tuple(kept))

    def _find(self, plan: Plan) -> _Found:
        """The plan's tasks and parents in the town."""
        uuids = [task.id.lower() for task in plan.tasks if is_uuid(task.id)]
        outside = plan.parents_outside()
        # Only what the ledger knows as a task's own id is one; anything else is an alias, whatever it looks like.
        known = {task for task, head in zip(uuids, self._writer.loader.load_many(uuids), strict=True) if head[1]}
        aliases = [task.id for task in plan.tasks if task.id.lower() not in known]
        ids = self._ids_of_aliases([*aliases, *(name for name in outside if not is_uuid(name))])
        tasks = [ids.get(planned.id) or planned.id.lower() for planned in plan.tasks]
        index = {name: ids.get(name) or name.lower() for name in outside}
        index |= {planned.id: task for planned, task in zip(plan.tasks, tasks, strict=True)}
        parents = [None if planned.parent is None else index[planned.parent] for planned in plan.tasks]
        wanted = list(dict.fromkeys([*tasks, *(parent for parent in parents if parent is not None)]))
        return _Found(tasks, parents, dict(zip(wanted, self._writer.loader.load_many(wanted), strict=True)))

    def _wishes(
        self, plan: Plan, found: _Found, *, is_forced: bool
    ) -> tuple[dict[str, WishedTask | None], list[PlanKept]]:
        wishes: dict[str, WishedTask | None] = {}
        kept: list[PlanKept] = []
        for planned, task, parent in zip(plan.tasks, found.tasks, found.parents, strict=True):
            if found.is_removed(task) and not is_forced:
                kept.append(PlanKept(planned.id, task, "task", "removed", None))
                continue
            wishes[task], stays = wish(
                planned,
                found.task(task),
                # A task that is called by its own id has no alias.
                alias=None if task == planned.id.lower() else planned.id,
                parent_id=parent,
                default_agent=plan.default_agent,
                actor=self._actor,
                is_forced=is_forced,
            )
            kept += [_kept(planned, task, each) for each in stays]
        return wishes, kept

    def _above(self, found: _Found, wishes: Mapping[str, WishedTask | None]) -> dict[str, str]:
        """Task -> parent, as the push leaves them, of the plan's tasks and all that they lie below."""
        above: dict[str, str] = {}
        unseen = [*wishes]
        while unseen:
            parents: list[str] = []
            for task in unseen:
                wished = wishes.get(task)
                state = found.states[task][0]
                parent = wished.parent_id if wished is not None else None if state is None else state.parent_id
                if parent is not None:
                    above[task] = parent
                    parents.append(parent)
            unseen = [task for task in dict.fromkeys(parents) if task not in above and task not in wishes]
            missing = [task for task in unseen if task not in found.states]
            found.states.update(zip(missing, self._writer.loader.load_many(missing), strict=True))
        return above

    def _refuse_circles(self, file: PlanFile, found: _Found, above: Mapping[str, str]) -> None:
        number = {task: number for number, task in enumerate(found.tasks)}
        faults = [
            PlanFault(
                "its parent lies below it in the town, in a circle",
                min(number[task] for task in circle if task in number),
                "parent",
            )
            for circle in find_circles(found.tasks, above)
        ]
        if faults:
            raise file.refuse(faults)

    def _prune(
        self, planned: frozenset[str], above: Mapping[str, str], *, is_forced: bool
    ) -> tuple[dict[str, Task], list[PlanKept]]:
        """The tasks with an alias that the plan does not have, lowest first.

        Left out are those that others would be left below, and those that somebody works on, unless it is forced.
        """
        board = {task.id: task for task in self._live.page().tasks}
        going = {task.id: task for task in board.values() if task.alias is not None and task.id not in planned}
        stays = [
            PlanKept(str(task.alias), task.id, "task", f"is {task.state}", "removed")
            for task in going.values()
            if task.state is State.RUNNING and not is_forced
        ]
        for kept in stays:
            del going[kept.task]
        children = Counter(parent for task, parent in above.items() if task in planned)
        children.update(task.parent_id for task in board.values() if task.parent_id and task.id not in planned)
        ordered: dict[str, Task] = {}
        free = [task for task in going if not children[task]]
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
        """The file's bytes (None: there is no file), what changes in it, and its new text."""
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
        twins = _twins(file.plan, found.tasks)
        if twins:
            raise file.refuse(twins)
        board = {task.id: task for task in self._live.page().tasks}
        above = {task.id: task.parent_id for task in board.values() if task.parent_id is not None}
        for circle in find_circles(list(board), above)[:1]:
            problem = (
                f"the town's tasks lie below one another in a circle; take one out: `tt task move {circle[0]} --top`"
            )
            raise file.refuse([PlanFault(problem)])
        removed = frozenset(task for task in found.tasks if found.is_removed(task) and task not in board)
        edits = pull_edits(file.plan, found.tasks, found.parents, board=board, removed=removed)
        faults = faults_of_pull(file.plan, found.tasks, edits, board=board)
        faults += _parent_faults(file.plan, found, is_forced=False, is_only_new=True)
        if faults:
            raise file.refuse(faults)
        receipt = PullReceipt(
            tasks=len(file.plan.tasks) - len(edits.dropped) + len(edits.added),
            changed=tuple(
                PullChange(file.plan.tasks[number].id, found.tasks[number], values)
                for number, values in edits.changed.items()
            ),
            added=tuple(PullChange(str(values["id"]), task, values) for task, values in edits.added.items()),
            removed=tuple(PullChange(file.plan.tasks[number].id, found.tasks[number], {}) for number in edits.dropped),
            not_understood=file.plan.not_understood,
            is_new=before is None,
        )
        return before, receipt, self._edited(file, edits, board, removed)

    def _edited(self, file: PlanFile, edits: PullEdits, board: Mapping[str, Task], removed: frozenset[str]) -> str:
        if not edits:
            return file.text
        # Read as anybody would read it: whatever an edit got wrong, no file is written that does not show the town.
        try:
            text = edited(
                Outline(file.text), changed=edits.changed, dropped=edits.dropped, added=list(edits.added.values())
            )
            plan, faults = read_plan(parse_plan(text))
        except ValueError as error:
            raise file.refuse([_CANNOT_BE_EDITED]) from error
        again = self._find(plan)
        if faults or pull_edits(plan, again.tasks, again.parents, board=board, removed=removed):
            raise file.refuse([_CANNOT_BE_EDITED])
        return (BYTE_ORDER_MARK if file.content.startswith(BYTE_ORDER_MARK.encode()) else "") + text


def _receipt(plan: Plan, made: _PlanDecisions, positions: tuple[Position, ...]) -> PushReceipt:
    changes = tuple(PlanChange(made.names[task], task, tuple(events)) for task, _, events in made.decided)
    return PushReceipt(len(plan.tasks), changes, made.kept, plan.not_understood, positions, made.found)


def _kept(planned: PlannedTask, task: str, kept: Kept) -> PlanKept:
    return PlanKept(planned.id, task, kept.field, kept.town, kept.plan)


def _twins(plan: Plan, tasks: Sequence[str]) -> list[PlanFault]:
    """A fault for each id that means the same task as an earlier one: its alias there, its own id here."""
    first: dict[str, int] = {}
    return [
        PlanFault(f"the id {plan.tasks[number].id!r} is the task of line {{line}} too", number, "id", other=first[task])
        for number, task in enumerate(tasks)
        if plan.tasks[first.setdefault(task, number)].id != plan.tasks[number].id
    ]


def _parent_faults(plan: Plan, found: _Found, *, is_forced: bool, is_only_new: bool = False) -> list[PlanFault]:
    """Parents that are not there: never were, or were removed. A task that lies below one of those already may stay so."""
    inside = frozenset(found.tasks)
    faults: list[PlanFault] = []
    for number, (planned, task, parent) in enumerate(zip(plan.tasks, found.tasks, found.parents, strict=True)):
        if parent is None or found.task(parent) is not None:
            continue
        state = found.task(task)
        if (is_only_new and state is not None) or (found.is_removed(task) and not is_forced):
            continue
        if state is not None and state.parent_id == parent:
            # It lies there already, below what was removed, or was never adopted.
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
                    f"its parent {quoted(planned.parent)} is no task of the file or of the town", number, "parent"
                )
            )
    return faults


def _lineages(
    decided: Iterable[Decided], above: Mapping[str, str], states: Mapping[str, tuple[Task | None, int]]
) -> dict[str, int]:
    """The versions of all tasks above those that get a parent, so that two moves at once cannot close a circle."""
    relied_on: dict[str, int] = {}
    for task, _, events in decided:
        if any(isinstance(event, TaskCreated | TaskMoved) for event in events):
            current = above.get(task)
            while current is not None and current not in relied_on:
                relied_on[current] = states[current][1]
                current = above.get(current)
    return relied_on


def _content(path: Path) -> bytes | None:
    try:
        return read_plan_bytes(path)
    except PlanMissingError:
        return None
