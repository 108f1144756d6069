"""Verbs: every change to a task by a person or an agent. Each decides, appends, and projects its events."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from datetime import datetime
from enum import Enum
from functools import cached_property
from typing import TYPE_CHECKING, Final

from ledger import (
    PRIORITY_DEFAULT,
    AnswerTask,
    AskTask,
    AssignTask,
    CancelTask,
    ClaimTask,
    Command,
    CompleteTask,
    CreateTask,
    DescribeTask,
    FailTask,
    LinkKind,
    LinkTask,
    MoveTask,
    NoteTask,
    PrioritiseTask,
    RemoveTask,
    ReopenTask,
    RequeueTask,
    RunMark,
    ScheduleTask,
    StartTask,
    TagTask,
    Task,
    TaskRemovedError,
    UnlinkTask,
    check_name,
    check_tag,
    new_task_id,
    task_id_of_command,
    to_ms,
)
from projections import Wanted, each_of
from town.backend import Backend
from town.reading.present import Present
from town.reading.references import References, given_names, wanted_of
from town.writer import Guarded, Receipt, Writer

if TYPE_CHECKING:
    from town.linking import Circles


class Keep(Enum):
    """Stands for a value that stays as it is."""

    KEEP = "keep"


KEEP: Final = Keep.KEEP
CHOICES_PER_TAKE: Final = 64
"""How many tasks are tried in one call. Only if others took all of them meanwhile, it looks again."""


class Verbs:
    """Changes the tasks of one town, which are named by id, by a unique prefix of it, or by alias.

    Where a verb takes several texts, one text alone is one of them. With `expected_version` a verb changes a task only at that
    version; otherwise WrongExpectedVersionError. Every verb returns a Receipt, and its changes are readable when it returns.
    """

    def __init__(self, backend: Backend) -> None:
        self._town = backend.alias_town
        self._present = Present(backend)
        self._references = References(self._present, town=backend.alias_town)
        self._writer = Writer(backend)
        self._parts = backend
        self._actor = backend.actor

    def create(  # noqa: PLR0913 - all that a task can begin with
        self,
        description: str,
        *,
        agent: str | None = None,
        tags: Iterable[str] = (),
        parent: str | None = None,
        alias: str | None = None,
        priority: int = PRIORITY_DEFAULT,
        due: datetime | None = None,
        not_before: datetime | None = None,
        needs: Iterable[str] = (),
        reason: str | None = None,
    ) -> Receipt:
        """Create a task, pending, or assigned if `agent` is given; it needs the tasks of `needs`. CircularNeedsError.

        An alias makes it idempotent: a second call appends nothing.
        """
        keyed = self._parts.keyed
        new_id = new_task_id() if keyed is None else task_id_of_command(self._town, keyed.command_id)
        name = None if alias is None else check_name(alias, "alias")
        given_tags, given_needs = each_of(tags), each_of(needs)

        def make_command() -> Guarded:
            guards = {} if parent is None else self._guard_lineage(parent)
            lineage = tuple(guards)
            id_ = new_id if name is None else self._references.id_of_alias(name)
            linked = self._guard_linked(given_needs)
            needed = tuple(linked)
            parent_id = lineage[0] if lineage else None
            basis, circle = None, tuple[str, ...]()
            own = {id_: self._writer.loader.version(id_)} if needed or parent_id else {}
            # Nothing leads to a task that is all new, except from its parent.
            if (needed and parent_id) or any(own.values()):
                basis, circle = self._circles.basis(), self._circles.circle(id_, parent_id, needed)
            command = CreateTask(
                task_id=id_,
                description=description,
                tags=given_tags,
                parent_id=parent_id,
                alias=name,
                agent=agent,
                lineage=lineage[1:],
                priority=priority,
                due_ms=None if due is None else to_ms(due),
                not_before_ms=None if not_before is None else to_ms(not_before),
                needs=needed,
                circle=circle,
            )
            return Guarded(command, guards | linked | own, basis)

        return self._writer.execute(
            make_command,
            wanted=self._wanted(parent, name, *given_needs, new_id=new_id, agent=agent),
            reason=reason,
        )

    def assign(
        self, task_id: str, agent: str, *, reason: str | None = None, expected_version: int | None = None
    ) -> Receipt:
        """Give the task to an agent, also from another one."""
        return self._change(
            task_id, lambda id_: AssignTask(task_id=id_, agent=agent), reason, expected_version, agent=agent
        )

    def claim(
        self, task_id: str, agent: str, *, reason: str | None = None, expected_version: int | None = None
    ) -> Receipt:
        """Take a task that nobody has. Of several agents at once exactly one gets it, the others get TaskHeldError."""
        return self._change(
            task_id, lambda id_: ClaimTask(task_id=id_, agent=agent), reason, expected_version, agent=agent
        )

    def start(
        self,
        task_id: str,
        *,
        agent: str | None = None,
        run: RunMark | None = None,
        reason: str | None = None,
        expected_version: int | None = None,
    ) -> Receipt:
        """Start work on the task. A pending task needs `agent`. `run` is that of the runner that starts it."""
        return self._change(
            task_id, lambda id_: StartTask(task_id=id_, agent=agent, run=run), reason, expected_version, agent=agent
        )

    def complete(
        self,
        task_id: str,
        *,
        result: str | None = None,
        agent: str | None = None,
        with_children: bool = False,
        is_forced: bool = False,
        reason: str | None = None,
        expected_version: int | None = None,
    ) -> Receipt:
        """Complete the task. A pending task needs `agent`.

        TaskHasOpenChildrenError, unless one of these options is set. `with_children` also completes all open tasks
        below it, in the same append. Those without an agent are completed for `agent`, else for the task's own agent.
        `is_forced` leaves them open.
        """

        def commands() -> list[Command]:
            id_ = self._references.resolve(task_id)
            below = self._complete_below(id_, agent) if with_children else []
            open_children = 0 if with_children or is_forced else self._present.count_open_children(id_)
            return [*below, CompleteTask(task_id=id_, result=result, agent=agent, open_children=open_children)]

        return self._writer.execute_all(
            commands, wanted=self._wanted(task_id, agent=agent), reason=reason, expected_version=expected_version
        )

    def fail(
        self,
        task_id: str,
        *,
        error: str | None = None,
        agent: str | None = None,
        reason: str | None = None,
        expected_version: int | None = None,
    ) -> Receipt:
        """Record that the work ended without success. A pending task needs `agent`."""
        return self._change(
            task_id, lambda id_: FailTask(task_id=id_, error=error, agent=agent), reason, expected_version, agent=agent
        )

    def cancel(self, task_id: str, *, reason: str | None = None, expected_version: int | None = None) -> Receipt:
        """Cancel the task."""
        return self._change(task_id, lambda id_: CancelTask(task_id=id_, reason=reason), None, expected_version)

    def requeue(self, task_id: str, *, reason: str | None = None, expected_version: int | None = None) -> Receipt:
        """Put an assigned or running task back into the backlog."""
        return self._change(task_id, lambda id_: RequeueTask(task_id=id_), reason, expected_version)

    def reopen(self, task_id: str, *, reason: str | None = None, expected_version: int | None = None) -> Receipt:
        """Make a finished task pending again."""
        return self._change(task_id, lambda id_: ReopenTask(task_id=id_), reason, expected_version)

    def describe(
        self, task_id: str, description: str, *, reason: str | None = None, expected_version: int | None = None
    ) -> Receipt:
        """Replace the description."""
        return self._change(
            task_id, lambda id_: DescribeTask(task_id=id_, description=description), reason, expected_version
        )

    def tag(
        self,
        task_id: str,
        *,
        add: Iterable[str] = (),
        remove: Iterable[str] = (),
        reason: str | None = None,
        expected_version: int | None = None,
    ) -> Receipt:
        """Add and remove tags."""
        added, removed = each_of(add), each_of(remove)
        return self._change(
            task_id, lambda id_: TagTask(task_id=id_, added=added, removed=removed), reason, expected_version
        )

    def move(
        self, task_id: str, parent: str | None, *, reason: str | None = None, expected_version: int | None = None
    ) -> Receipt:
        """Put the task below `parent`, or at the top for None. TaskCycleError if `parent` lies below the task."""

        def make_command() -> Guarded:
            id_ = self._references.resolve(task_id)
            guards = {} if parent is None else self._guard_lineage(parent)
            lineage = tuple(guards)
            parent_id = lineage[0] if lineage else None
            basis, circle = None, tuple[str, ...]()
            own: dict[str, int] = {}
            if parent_id is not None and id_ not in lineage:
                basis = self._circles.basis()
                task, own[id_] = self._writer.loader.load(id_)
                circle = self._circles.circle(id_, parent_id, () if task is None else task.needs)
            command = MoveTask(task_id=id_, parent_id=parent_id, lineage=lineage[1:], circle=circle)
            return Guarded(command, guards | own, basis)

        return self._writer.execute(
            make_command, wanted=self._wanted(task_id, parent), reason=reason, expected_version=expected_version
        )

    def note(self, task_id: str, text: str, *, expected_version: int | None = None) -> Receipt:
        """Record a note on progress."""
        return self._change(task_id, lambda id_: NoteTask(task_id=id_, text=text), None, expected_version)

    def prioritise(
        self, task_id: str, priority: int, *, reason: str | None = None, expected_version: int | None = None
    ) -> Receipt:
        """Say how urgent the task is, 0 (most) to 4."""
        return self._change(
            task_id, lambda id_: PrioritiseTask(task_id=id_, priority=priority), reason, expected_version
        )

    def schedule(
        self,
        task_id: str,
        *,
        due: datetime | Keep | None = KEEP,
        not_before: datetime | Keep | None = KEEP,
        reason: str | None = None,
        expected_version: int | None = None,
    ) -> Receipt:
        """Say when the task should be done, and when it may begin; None clears a time, and KEEP leaves it as it is."""

        def make_command() -> Guarded:
            id_ = self._references.resolve(task_id)
            task, version = self._writer.loader.load(id_)
            command = ScheduleTask(
                task_id=id_,
                due_ms=_ms_of(due, None if task is None else task.due_ms),
                not_before_ms=_ms_of(not_before, None if task is None else task.not_before_ms),
            )
            return Guarded(command, {id_: version})

        return self._writer.execute(
            make_command, wanted=self._wanted(task_id), reason=reason, expected_version=expected_version
        )

    def ask(
        self,
        task_id: str,
        question: str,
        *,
        choices: Iterable[str] = (),
        reason: str | None = None,
        expected_version: int | None = None,
    ) -> Receipt:
        """Ask people a question. The task goes back to the backlog and waits there until somebody answers."""
        offered = each_of(choices)
        return self._change(
            task_id, lambda id_: AskTask(task_id=id_, question=question, choices=offered), reason, expected_version
        )

    def answer(
        self,
        task_id: str,
        text: str,
        *,
        is_other: bool = False,
        reason: str | None = None,
        expected_version: int | None = None,
    ) -> Receipt:
        """Answer the open question of the task: if it has choices, with one of them or its number, or with `is_other` in other
        words. NoOpenQuestionError, NotAChoiceError.
        """
        return self._change(
            task_id,
            lambda id_: AnswerTask(task_id=id_, answer=text, is_other=is_other),
            reason,
            expected_version,
        )

    def link(
        self,
        task_id: str,
        to: Iterable[str],
        kind: LinkKind = LinkKind.NEEDS,
        *,
        reason: str | None = None,
        expected_version: int | None = None,
    ) -> Receipt:
        """Link the task to others. CircularNeedsError if tasks would wait for each other."""
        targets = each_of(to)

        def make_command() -> Guarded:
            id_ = self._references.resolve(task_id)
            linked = self._guard_linked(targets)
            if kind is not LinkKind.NEEDS:
                return Guarded(LinkTask(task_id=id_, to=tuple(linked), kind=kind), linked)
            basis = self._circles.basis()
            task, version = self._writer.loader.load(id_)
            circle = tuple[str, ...]()
            if task is not None and id_ not in linked:
                circle = self._circles.circle(id_, task.parent_id, (*task.needs, *linked))
            command = LinkTask(task_id=id_, to=tuple(linked), kind=kind, circle=circle)
            return Guarded(command, linked | {id_: version}, basis)

        return self._writer.execute(
            make_command, wanted=self._wanted(task_id, *targets), reason=reason, expected_version=expected_version
        )

    def unlink(
        self,
        task_id: str,
        to: Iterable[str],
        kind: LinkKind | None = None,
        *,
        reason: str | None = None,
        expected_version: int | None = None,
    ) -> Receipt:
        """Take the links to others away, which may have been removed: those of one kind, or all."""
        targets = each_of(to)

        def command(id_: str) -> Command:
            to_ids = (self._references.resolve(each, is_removed_too=True) for each in targets)
            return UnlinkTask(task_id=id_, to=tuple(to_ids), kind=kind)

        return self._change(task_id, command, reason, expected_version)

    def remove(
        self,
        task_id: str,
        *,
        is_from_backlog: bool = False,
        reason: str | None = None,
        expected_version: int | None = None,
    ) -> Receipt:
        """Take the task off the board; its history stays. TaskHasChildrenError."""

        def make_command() -> Guarded:
            id_ = self._references.resolve(task_id)
            basis = self._circles.childless_basis([id_])
            children = self._writer.loader.count_children(id_)
            return Guarded(RemoveTask(task_id=id_, children=children, is_from_backlog=is_from_backlog), basis=basis)

        return self._writer.execute(
            make_command, wanted=self._wanted(task_id), reason=reason, expected_version=expected_version
        )

    def take_next(
        self,
        agent: str,
        *,
        tags: Iterable[str] = (),
        roles: Iterable[str] = (),
        is_started: bool = False,
        run: RunMark | None = None,
        reason: str | None = None,
    ) -> Receipt | None:
        """Take the first task that can be begun for an agent, and start it if `is_started`; None if there is none.

        Tasks that are assigned to the agent come first, then those that nobody has. They have all of `tags`, and those that
        nobody has also one of `roles`, if there are any. Of many that take at once, each gets another one.
        """
        name = check_name(agent, "agent name")
        from projections import ReadyFilter  # noqa: PLC0415 - only this verb asks what is ready

        wanted = ReadyFilter(
            agent=name, tags=tuple(map(check_tag, each_of(tags))), roles=tuple(map(check_tag, each_of(roles)))
        )

        def command_for(task: Task) -> Command:
            if is_started:
                return StartTask(task_id=task.id, agent=name, run=run)
            return ClaimTask(task_id=task.id, agent=name)

        return self._writer.take_first(
            lambda: self._present.ready(wanted, limit=CHOICES_PER_TAKE), command_for, reason=reason
        )

    def assign_all(self, agent: str, *, reason: str | None = None) -> tuple[Task, ...]:
        """Give the whole backlog to an agent, all or none; returns the tasks it got."""
        return self._writer.assign_all(agent, reason=reason)

    @cached_property
    def _circles(self) -> Circles:
        from town.linking import Circles  # noqa: PLC0415 - most verbs tie no task to others

        return Circles(self._parts)

    def _change(
        self,
        task_id: str,
        command: Callable[[str], Command],
        reason: str | None,
        expected_version: int | None,
        *,
        agent: str | None = None,
    ) -> Receipt:
        """Execute a command on an existing task, by id, prefix or alias."""
        return self._writer.execute(
            lambda: Guarded(command(self._references.resolve(task_id))),
            wanted=self._wanted(task_id, agent=agent),
            reason=reason,
            expected_version=expected_version,
        )

    def _wanted(self, *references: str | None, new_id: str | None = None, agent: str | None = None) -> Wanted:
        given = [reference for reference in references if reference is not None]
        wanted = wanted_of(given, town=self._town, task_ids=() if new_id is None else (new_id,))
        return wanted._replace(agents=given_names(agent), actor=self._actor)

    def _complete_below(self, task_id: str, agent: str | None) -> list[Command]:
        """Commands that complete every open task below the task, children before their parents."""
        above, _ = self._writer.loader.load(task_id)
        agent = agent or (None if above is None else above.holder)
        return [
            CompleteTask(task_id=each.id, agent=agent if each.holder is None else None)
            for each in reversed(self._present.below(task_id))
            if not each.state.is_terminal
        ]

    def _guard_linked(self, references: Iterable[str]) -> dict[str, int]:
        """The tasks to link to, each once, with the versions at which they were read. TaskNotFoundError, TaskRemovedError."""
        found: dict[str, int] = {}
        for reference in references:
            id_ = self._references.resolve(reference)
            state, version = self._writer.loader.load(id_)
            if state is None:
                raise TaskRemovedError(reference)
            found[id_] = version
        return found

    def _guard_lineage(self, parent: str) -> dict[str, int]:
        """The tasks from `parent` up to its root, in this order, with the versions at which they were read. TaskRemovedError."""
        guards: dict[str, int] = {}
        current: str | None = self._references.resolve(parent)
        while current is not None and current not in guards:
            state, version = self._writer.loader.load(current)
            if state is None and not guards:
                raise TaskRemovedError(parent)
            guards[current] = version
            # A removed ancestor ends the chain; it counts, because it may come back.
            current = None if state is None else state.parent_id
        return guards


def _ms_of(time: datetime | Keep | None, kept_ms: int | None) -> int | None:
    return kept_ms if isinstance(time, Keep) else None if time is None else to_ms(time)
