"""Reader: every question about a town's board, as it is now or as it was at a moment, through the same code."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Sequence
from datetime import timedelta
from typing import TYPE_CHECKING, TypeVar

from msgspec.structs import replace

from ledger import (
    BEGINNING,
    TIME_MS_MAX,
    LedgerDamagedError,
    Position,
    RecordedEvent,
    State,
    Step,
    Task,
    TaskDamagedError,
    TaskNotFoundError,
    TaskRemovedError,
    check_name,
    check_tag,
    steps,
)
from projections import (
    EVERY_TASK,
    DayStats,
    OutdatedProjectionError,
    Page,
    TaskFilter,
    ViewsIncompleteError,
    damage_of,
    each_of,
    encode_snapshot,
    find_flaws,
    fold_task,
)
from town.backend import Backend
from town.reading.annotations import Annotation, read_annotations
from town.reading.details import CHILDREN_SHOWN, EVENTS_READ, LINKED_SHOWN, Details, LastEvents, details_of
from town.reading.event_reader import EventReader
from town.reading.hierarchy import Branch
from town.reading.moment import Moment
from town.reading.past import Past
from town.reading.present import Present
from town.reading.references import References, wanted_of

if TYPE_CHECKING:
    from ledger import Blamed
    from projections import (
        BlockedTask,
        BoardDiff,
        CriticalPath,
        Found,
        Linked,
        Progress,
        ReadyPage,
        Relatives,
        Waiting,
        WaitingBriefly,
    )
    from town.reading.blocking import Since
    from town.reading.inbox import Inbox
    from town.reading.lost_tasks import LostTasks
    from town.reading.reasons import Why
    from town.reading.report import Grouping, Report
    from town.reading.titles import Title

# ruff: noqa: PLC0415 - what few questions need is imported by who asks them

Answer = TypeVar("Answer")


class Noted:
    """Notes for the user who gets an answer: how it was made, and what is wrong with it."""

    def __init__(self) -> None:
        self.outdated: OutdatedProjectionError | None = None
        """Set if an older program projected the town, so that the answer was folded from the ledger, which takes
        longer."""
        self.incomplete: ViewsIncompleteError | None = None
        """Set if the views do not hold every task, so that the answer was folded from the ledger."""
        self.lost_annotations: LedgerDamagedError | None = None
        """Set if notes on events could not be read: why. The others are shown."""
        self.damaged: dict[str, Task] = {}
        """The damaged tasks in the answers, by id. They are shown as they were before an event that no command can
        make."""


class Reader:
    """One town's board: as of now, or with `then` as of the event at that position, or of a time after it and before the next.

    Tasks are named by id, by a unique prefix of it, or by alias. `noted` collects the notes of all answers.
    """

    def __init__(
        self,
        backend: Backend,
        *,
        then: Position | None = None,
        time_ms: int | None = None,
        noted: Noted | None = None,
    ) -> None:
        self._backend = backend
        self._present = Present(backend)
        self._past = None if then is None else Past(backend, then, time_ms=time_ms)
        self._fold: Past | None = None
        self.noted = Noted() if noted is None else noted

    @property
    def then(self) -> Position | None:
        """The position that this reader shows; None is now."""
        return None if self._past is None else self._past.then

    def time_ms(self) -> int:
        """The time that this reader shows, milliseconds since 1970 UTC: now, the time that was asked for, or that of its event."""
        return time.time_ns() // 1_000_000 if self._past is None else self._past.time_ms()

    def task(self, task_id: str) -> Task:
        """One task; TaskNotFoundError, TaskAmbiguousError."""

        def ask(board: Present | Past) -> Task:
            found = board.load(self._resolve(board, task_id))
            if found is None:
                raise TaskRemovedError(task_id, then=board.then)
            return found

        return self._note([self._ask(ask, task_id)])[0]

    def details(self, task_id: str) -> Details:
        """One task with its parent, children and links, its notes and its last events; TaskNotFoundError, TaskAmbiguousError."""

        def ask(board: Present | Past) -> tuple[Task, Relatives, tuple[Linked, ...], LastEvents]:
            found = board.load(self._resolve(board, task_id))
            if found is None:
                raise TaskRemovedError(task_id, then=board.then)
            relatives, links = board.relatives(found, limit=CHILDREN_SHOWN), board.links(found, limit=LINKED_SHOWN)
            return found, relatives, links, board.last_events(found, limit=EVENTS_READ)

        task, relatives, links, last = self._ask(ask, task_id)
        self._note([task, *relatives.children, *([] if relatives.parent is None else [relatives.parent])])
        details = details_of(task, relatives, last)
        shown = [recorded.at for recorded in (*details.notes, *details.events)]
        found = read_annotations(self._backend.store, shown, upto=self.then, known=last.of_town)
        self.noted.lost_annotations = self.noted.lost_annotations or found.damage
        return replace(details, annotations=found.of, links=links)

    def find_task(self, task_id: str) -> Task | None:
        """The task with this id; None if it does not exist, such as a removed parent."""
        found = self._ask(lambda board: board.load(task_id), task_id)
        return None if found is None else self._note([found])[0]

    def snapshot_json(self, task_id: str) -> bytes:
        """The task's JSON as any Redis client reads it. TaskNotFoundError."""
        return encode_snapshot(self.task(task_id))

    def page(self, wanted: TaskFilter = EVERY_TASK, *, offset: int = 0, limit: int | None = None) -> Page:
        """The tasks that match, oldest first unless `wanted` sorts them, from `offset`, at most `limit`.

        A filter's parent may be a prefix or alias.
        """
        assert offset >= 0
        assert limit is None or limit >= 0
        wanted = replace(
            wanted,
            agent=None if wanted.agent is None else check_name(wanted.agent, "agent name"),
            tag=None if wanted.tag is None else tuple(map(check_tag, each_of(wanted.tag))),
            not_tag=None if wanted.not_tag is None else tuple(map(check_tag, each_of(wanted.not_tag))),
        )

        def ask(board: Present | Past) -> Page:
            parent = None if wanted.parent is None else self._resolve(board, wanted.parent)
            return board.board.page(replace(wanted, parent=parent), offset=offset, limit=limit)

        return self._note_page(self._ask(ask, *_given(wanted.parent)))

    def backlog(self, *, offset: int = 0, limit: int | None = None) -> Page:
        """The pending tasks that nobody has: by priority, then those that most others need, then the oldest."""
        return self._note_page(self._ask(lambda board: board.board.backlog(offset=offset, limit=limit)))

    def ready(
        self,
        *,
        agent: str | None = None,
        tags: Iterable[str] = (),
        roles: Iterable[str] = (),
        limit: int | None = None,
        offset: int = 0,
    ) -> ReadyPage:
        """The tasks that can be begun, best first: those that nobody has, and before them those assigned to `agent`.

        `offset` of them are skipped.

        They have all of `tags`, and those that nobody has also one of `roles`, if there are any.
        """
        from projections import ReadyFilter

        wanted = ReadyFilter(
            agent=None if agent is None else check_name(agent, "agent name"),
            tags=tuple(map(check_tag, each_of(tags))),
            roles=tuple(map(check_tag, each_of(roles))),
        )
        page = self._ask(lambda board: board.ready(wanted, limit=limit, offset=offset))
        self._note(page.tasks)
        return page

    def blocked(self) -> list[BlockedTask]:
        """The open tasks that are blocked, by what, with the longest chain of tasks first."""
        found = self._ask(lambda board: board.blocked())
        self._note([each.task for each in found])
        return found

    def critical_path(self, task: Task | None = None) -> CriticalPath:
        """The longest chain of open tasks that wait for each other, or the one that ends with a task, in working order."""
        path = self._ask(lambda board: board.critical_path(task))
        self._note(path.tasks)
        return path

    def blocks(self, task_id: str) -> BlockedTask | None:
        """What blocks a task, and the longest chain behind it; None if nothing does. TaskNotFoundError."""
        from projections import blocked_among

        task = self.task(task_id)
        around = self._ask(lambda board: board.around(task))
        return next(iter(blocked_among([task.id], around)), None)

    def since(self, blocked: Iterable[BlockedTask], *, blocks_max: int) -> dict[tuple[str, str | None], Since]:
        """(Holder, blocker or None for a question) -> since when it blocks, of the first blocks of each task.

        It reads the histories of these holders and blockers.
        """
        from town.reading.blocking import read_since

        shown = [block for each in blocked for block in each.blocks[:blocks_max]]
        return self._ask(lambda board: read_since(shown, board.history))

    def dependents(self, tasks: Iterable[Task]) -> dict[str, int]:
        """Task id -> how many open tasks need it."""
        ids = [task.id for task in tasks]
        return self._ask(lambda board: board.dependents(ids)) if ids else {}

    def waiting(self) -> Waiting:
        """What keeps pending tasks from being begun, in numbers. It reads all blocked tasks."""
        return self._ask(lambda board: board.waiting())

    def waiting_briefly(self, tags: Iterable[str] = ()) -> WaitingBriefly:
        """How many pending tasks with all of these tags wait, now, without reading a task."""
        from projections import read_waiting_briefly

        backend, checked = self._backend, tuple(map(check_tag, each_of(tags)))
        return read_waiting_briefly(backend.client, backend.keys, checked, where=backend.where)

    def count_parents_in_backlog(self) -> int:
        """How many tasks in the backlog have open children, so that they are no work of their own; now."""
        from projections import read_parents

        backend = self._backend
        left = [task.id for task in self.backlog().tasks]
        return len(read_parents(backend.client, backend.keys, left, where=backend.where))

    def tree(self, task_id: str | None = None) -> list[Branch]:
        """A task and all below it, or the whole town.

        Each comes right before the tasks below it, siblings oldest first.
        """

        def ask(board: Present | Past) -> list[Branch]:
            if task_id is None:
                return board.tree(None)
            root = board.load(self._resolve(board, task_id))
            if root is None:
                raise TaskRemovedError(task_id, then=board.then)
            return board.tree(root)

        branches = self._ask(ask, *_given(task_id))
        self._note([branch.task for branch in branches])
        return branches

    def current(self, agent: str) -> Task | None:
        """The agent's running task, else its oldest assigned one, else None."""
        for state in (State.RUNNING, State.ASSIGNED):
            tasks = self.page(TaskFilter(state=state, agent=agent), limit=1).tasks
            if tasks:
                return tasks[0]
        return None

    def count_states(self) -> dict[State, int]:
        """How many tasks are in each state; all states are there."""
        return self._ask(lambda board: board.board.count_states())

    def count_agents(self) -> dict[str, dict[State, int]]:
        """Agent -> how many tasks it has or had in each state; agents sorted, absent states are 0."""
        return self._ask(lambda board: board.board.count_agents())

    def lost_tasks(self, *, agent: str | None = None) -> LostTasks | None:
        """The running tasks whose runner has no heartbeat, of all or of one agent, among about the first thousand that run.

        None if that is not known: of an earlier moment, or where the views cannot answer. One trip to the server; ask after
        another question, which catches up.
        """
        if self._past is not None or self.noted.outdated is not None or self.noted.incomplete is not None:
            return None
        from town.reading.lost_tasks import look_for_lost

        try:
            return look_for_lost(self._backend, agent=None if agent is None else check_name(agent, "agent name"))
        except ViewsIncompleteError as gap:
            self.noted.incomplete = gap
            return None

    def inbox(self, *, limit: int | None = None) -> Inbox:
        """What waits for a person, at most `limit` tasks of each kind; with `then`, what waited at that moment."""
        from town.reading.inbox import Inbox, read_asked

        found = self._ask(lambda board: board.inbox(limit=limit))
        self._note([*found.questions.tasks, *found.failed.tasks, *found.reviews.tasks])
        asked = read_asked(self._backend.store, found.questions.tasks, upto=self.then)
        return Inbox(found.questions, found.failed, found.reviews, asked, found.running)

    def history(self, task_id: str) -> list[Step]:
        """All events of a task, oldest first, with what each changed; of a removed task too. TaskNotFoundError."""
        return steps(self._history(task_id))

    def diff(
        self, since: Moment | str, *, task_id: str | None = None, agent: str | None = None, tag: str | None = None
    ) -> BoardDiff:
        """What differs between the board at `since` and this one. `since` may be later.

        The filters keep one task, the tasks that an agent had at any time in between, or those with a tag at one of the moments.
        TaskNotFoundError, MomentError.
        """
        from town.reading.difference import diff_between

        store = self._backend.store
        # A task that `since` names need not have been there at this moment.
        first = self._events(self._present).position_at(since)
        last = store.end() if self.then is None else self.then
        if first > last:
            # The later moment decides which task an alias names.
            later = Reader(self._backend, then=first, noted=self.noted)
            return later.diff(last, task_id=task_id, agent=agent, tag=tag).turned()
        only_id = None if task_id is None else self._history(task_id)[0].task
        found = diff_between(store, first, last, task_id=only_id).only(
            agent=None if agent is None else check_name(agent, "agent name"),
            tag=None if tag is None else check_tag(tag),
        )
        self._note([each.after for each in found.tasks if each.after is not None])
        return found

    def blame(self, task_id: str) -> tuple[Task, list[Blamed]]:
        """One task, and the event that set each of its fields. TaskNotFoundError, TaskAmbiguousError."""
        from ledger import blame

        events = self._history(task_id)
        found, blamed = blame(events)
        if found is None:
            error = TaskRemovedError(task_id, then=self.then)
            number = events[-1].position.seq
            error.add_note(f"Event {number} removed it, by {events[-1].actor}. At event {number - 1} it was there.")
            raise error
        return self._note([found])[0], blamed

    def why(self, task_id: str) -> Why:
        """The events behind a task's state or its removal, and their causes. TaskNotFoundError."""
        from ledger import causes
        from town.reading.reasons import Why, read_causes

        events = self._history(task_id)
        found = causes(events)
        led_by = read_causes(self._backend.store, [cause.event for cause in found])
        state = fold_task(events)
        if state is not None:
            self._note([state])
        return Why(events[0].task, state, state or fold_task(events[:-1]), found, led_by)

    def search(
        self,
        words: Iterable[str],
        wanted: TaskFilter = EVERY_TASK,
        *,
        is_ever: bool = False,
        offset: int = 0,
        limit: int | None = None,
        progress: Progress | None = None,
    ) -> Found:
        """The tasks that have all these words in their texts, best first, from `offset`, at most `limit`.

        With `is_ever` also where the text was since changed or the task removed; a removed task meets no filter. `progress`
        is called while the ledger is read, which the first search in a large town does. InvalidValueError,
        LedgerDamagedError.
        """
        from projections import Query
        from town.reading.finding import find

        found = find(
            self._backend,
            Query.of(each_of(words), wanted, is_ever=is_ever),
            upto=self.then,
            offset=offset,
            limit=limit,
            progress=progress,
        )
        self._note([hit.task for hit in found.hits if hit.task is not None])
        return found

    def page_of_found(
        self,
        words: Iterable[str],
        wanted: TaskFilter = EVERY_TASK,
        *,
        offset: int = 0,
        limit: int | None = None,
        progress: Progress | None = None,
    ) -> Page:
        """As `page`, of the tasks that have all these words in their texts, as `search` finds them.

        All that are found are read, to be put in order. InvalidValueError, LedgerDamagedError.
        """
        from projections import Board

        given = wanted.parent
        parent = None if given is None else self._ask(lambda board: self._resolve(board, given), given)
        found = self.search(words, replace(wanted, parent=None), progress=progress)
        board = Board()
        board.tasks.update((hit.task_id, hit.task) for hit in found.hits if hit.task is not None)
        return board.page(replace(wanted, parent=parent), offset=offset, limit=limit)

    def stats(
        self, *, agent: str | None = None, since: Moment | str | None = None, until: Moment | str | None = None
    ) -> list[DayStats]:
        """What was created, completed and failed on each day (UTC) and by whom, days and agents in order; on whole days."""
        store, events = self._backend.store, self._events(self._past or self._present)
        first = store.start() if since is None else events.first_after(since)
        last = None if until is None else events.position_at(until)

        def ask(board: Present | Past) -> list[DayStats]:
            end = board.end() if last is None else min(board.end(), last)
            if end.ms > TIME_MS_MAX:
                # No command can make this event, so nothing of it counts.
                end = store.end_at(TIME_MS_MAX)
            if BEGINNING in (first, end):
                return []
            span = (end.time.date() - first.time.date()).days
            return board.count_days(
                [(first.time.date() + timedelta(days=number)).isoformat() for number in range(span + 1)]
            )

        return [each for each in self._ask(ask) if agent in (None, each.agent)]

    def report(
        self,
        *,
        agent: str | None = None,
        since: Moment | str | None = None,
        until: Moment | str | None = None,
        groupings: Sequence[Grouping] = (),
        has_all: bool = False,
        is_utc: bool = False,
    ) -> Report:
        """What happened from `since` to `until`, and how much was open then; by default in the last PERIOD_DAYS days with events.

        `agent` keeps what belongs to that agent. `has_all` also asks what happened since the ledger's beginning. Days are
        those of the user's zone, or of UTC. MomentError.
        """
        from town.reading.report import Days, make_report, read_period

        store, days = self._backend.store, Days(is_utc=is_utc)
        end = store.end()
        upto = end if self.then is None else self.then
        events = self._events(self._past or self._present)
        period = read_period(store, events, upto=upto, since=since, until=until, days=days)
        now = self if self.then is None else Reader(self._backend, noted=self.noted)
        board = now if period.last == end else Reader(self._backend, then=period.last, noted=self.noted)
        return make_report(
            store,
            period,
            groupings,
            agent=agent,
            days=days,
            states=board.count_states(),
            agents=board.count_agents(),
            rows=now.stats(agent=agent) if has_all else None,
        )

    def annotations(self, events: Iterable[RecordedEvent]) -> dict[str, tuple[Annotation, ...]]:
        """Position -> the notes that people wrote on the event there, oldest first, of those events that have some."""
        found = read_annotations(self._backend.store, (recorded.at for recorded in events), upto=self.then)
        self.noted.lost_annotations = self.noted.lost_annotations or found.damage
        return found.of

    def titles(self, task_ids: Iterable[str]) -> dict[str, Title]:
        """Task id -> the title of the task, now or last known, of those that the ledger knows."""
        from town.reading.titles import read_titles

        return read_titles(each_of(task_ids), self._backend.store, self._backend.live)

    def removed_among(self, task_ids: Iterable[str]) -> frozenset[str]:
        """Those of the ids whose task is not there."""
        ids = list(each_of(task_ids))
        return frozenset(ids) - (self._ask(lambda board: board.titles(ids)).keys() if ids else frozenset())

    def ids_tagged(self, tag: str) -> frozenset[str]:
        """The ids of the tasks that have this tag."""
        wanted = TaskFilter(tag=check_tag(tag))
        return frozenset(self._ask(lambda board: board.board.ids(wanted)))

    def ids_below(self, task_id: str) -> frozenset[str]:
        """The ids of a task and all tasks below it. TaskNotFoundError."""
        return frozenset(branch.task.id for branch in self.tree(task_id))

    def damage_of(self, task: Task) -> TaskDamagedError | None:
        """What is wrong with a damaged task, and at which position; None if nothing is wrong."""
        return damage_of(self._backend.store, task)

    def find_flaws(self, events: Iterable[RecordedEvent]) -> dict[str, str]:
        """Position -> what is wrong, for events that no command can make, as far as the present tasks show."""
        return find_flaws(events, self._backend.live.get_sound)

    @property
    def lost_snapshots(self) -> frozenset[str]:
        """The tasks in the answers whose snapshot is lost, so that they were folded from their history."""
        return frozenset(self._backend.live.lost)

    def _history(self, task_id: str) -> list[RecordedEvent]:
        """All events of a task, oldest first, of a removed task too; at least one. TaskNotFoundError."""

        def ask(board: Present | Past) -> list[RecordedEvent]:
            return board.history(self._resolve(board, task_id, is_removed_too=True))

        events = self._ask(ask, task_id)
        if not events:
            raise TaskNotFoundError(task_id, then=self.then)
        return events

    def _ask(self, question: Callable[[Present | Past], Answer], *references: str) -> Answer:
        """Answer a question; from the board folded from the ledger if the views cannot answer.

        `references` are those that the question will resolve.
        """
        if self._past is not None:
            return question(self._past)
        try:
            with self._backend.loader.caught_up(wanted_of(references, town=self._backend.alias_town)):
                return question(self._present)
        except OutdatedProjectionError as outdated:
            self.noted.outdated = outdated
        except ViewsIncompleteError as gap:
            self.noted.incomplete = gap
        return question(self._folded())

    def _folded(self) -> Past:
        """The present board, folded from the ledger; kept until something is appended."""
        end = self._backend.store.end()
        if self._fold is None or self._fold.end() != end:
            self._fold = Past(self._backend, end, is_now=True)
        return self._fold

    def _events(self, board: Present | Past) -> EventReader:
        return EventReader(self._backend.store, self._references_on(board))

    def _resolve(self, board: Present | Past, task_id: str, *, is_removed_too: bool = False) -> str:
        return self._references_on(board).resolve(task_id, is_removed_too=is_removed_too)

    def _references_on(self, board: Present | Past) -> References:
        return References(board, town=self._backend.alias_town)

    def _note_page(self, page: Page) -> Page:
        self._note(page.tasks)
        return page

    def _note(self, tasks: Sequence[Task]) -> Sequence[Task]:
        """Note which of `tasks` are damaged. Returns all of them."""
        self.noted.damaged.update({task.id: task for task in tasks if task.damaged_at is not None})
        return tasks


def _given(reference: str | None) -> tuple[str, ...]:
    return () if reference is None else (reference,)
