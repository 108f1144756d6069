"""Town: the door for programs. One object with every verb: decide, append, then project; read now or at a moment.

    with Town.open(actor="alice") as town:
        task = town.create("Implement user authentication", agent="worker-1").task
        town.complete(task.id, result="Done")
        town.at("2h").page()

Every verb that changes something returns a Receipt, and what it changed is readable when it returns. Tasks are named by
id, by a unique prefix of it, or by alias. Errors are those of `ledger.errors` and `town.errors`.
"""

from __future__ import annotations

import getpass
import os
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from datetime import UTC, datetime, timedelta
from functools import cached_property
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Final, Self, TypeVar

from msgspec import Struct
from msgspec.structs import replace

from ledger import (
    BEGINNING,
    TIME_MS_MAX,
    AssignTask,
    CancelTask,
    ClaimTask,
    Command,
    CompleteTask,
    CreateTask,
    DescribeTask,
    EventStore,
    FailTask,
    InvalidValueError,
    Keys,
    LedgerDamagedError,
    LedgerError,
    MoveTask,
    NoteTask,
    OutdatedProjectionError,
    Position,
    RebuildUnfinishedError,
    RecordedEvent,
    RemoveTask,
    ReopenTask,
    RequeueTask,
    RunMark,
    SnapshotDamagedError,
    StartTask,
    State,
    Step,
    TagTask,
    Task,
    TaskDamagedError,
    TaskNotFoundError,
    ViewsIncompleteError,
    WishedTask,
    check_name,
    check_tag,
    evolve_known,
    new_task_id,
    steps,
)
from projections import (
    EVERY_TASK,
    REBUILD,
    Board,
    DayStats,
    Difference,
    Lease,
    LiveBoard,
    Page,
    Progress,
    Projector,
    Rebuild,
    RebuildProgress,
    RebuildReport,
    TaskFilter,
    Verification,
    encode_snapshot,
    fold_stats,
    new_holder,
    parted_after,
    read_stats,
    replay,
    verify,
)
from town.errors import ImportRefusedError, MigrationSourceError, MomentError
from town.folder.search import FoundFolder, find
from town.folder.settings import Settings, current_folder, read_settings, start_of_search
from town.folder.tinytown_places import OldPlace, find_old_places, password_of
from town.founding import make_town
from town.home.registry import RegisteredTown, register_town
from town.imports.beads import read_beads
from town.migration.legacy import Legacy
from town.migration.migration import Migration
from town.migration.old_reader import OldReader
from town.migration.old_records import OldKeys
from town.plans.file import PLAN_FILE, PlanFile, read_plan_file
from town.plans.plan import Plan, PlanFault
from town.plans.receipts import PlanComparison, PullReceipt, PushReceipt
from town.reading.damage import damage_of, find_flaws
from town.reading.event_filter import EVERY_EVENT, EventFilter
from town.reading.event_reader import EVENTS_COUNT, EventReader
from town.reading.hierarchy import Branch, Hierarchy, tree_on
from town.reading.moment import Moment
from town.reading.references import References, find_on_board
from town.reading.wait import Waited, wait_for
from town.runs.reclaim import LostTask, Reclaimer
from town.server.connection import Connection, connect, connect_to_read
from town.server.durability import Durability, read_durability
from town.writer import Receipt, Wish, Writer

if TYPE_CHECKING:
    from town.plans.planner import Planner

REBUILD_WAIT_SECONDS_MAX: Final = 120.0
_REBUILD_POLL_SECONDS: Final = 0.05


Answer = TypeVar("Answer")


class ImportReceipt(Struct, frozen=True):
    """What an import led to: its tasks by what happened to them, its events, and the parent links it left out.

    `skipped` counts the lines of each kind other than issues. Labels were trimmed, or empty and dropped.
    """

    tasks: int
    created: int
    changed: int
    removed: int
    positions: tuple[Position, ...]
    left_out: tuple[str, ...]
    skipped: Mapping[str, int]
    labels_trimmed: int
    labels_dropped: int


class Town:
    """One town: its ledger, its views and its folder. Not for several threads at once; open one in each."""

    def __init__(self, connection: Connection, *, folder: FoundFolder, settings: Settings, actor: str) -> None:
        self.name = settings.name
        self.old_name = settings.old_name or settings.name
        """What Tinytown calls the town: its keys carry that name."""
        self.folder = folder.folder
        self.found = folder
        """The folder, and why it is that one."""
        self.actor = actor
        self.keys = Keys(settings.name, settings.redis.hash_tag)
        self.where = connection.where
        self.progress: Progress | None = None
        """Called while much is projected; `cli` shows a bar."""
        self.between_batches: Callable[[], None] = lambda: None
        """Called between any two steps of catching up, also of finishing a rebuild; whoever has to end raises in it."""
        self.outdated: OutdatedProjectionError | None = None
        """Set where an older program projected the town, so that what was read was folded from the ledger, which takes longer."""
        self.incomplete: ViewsIncompleteError | None = None
        """Set where the views do not hold every task, so that what was read was folded from the ledger."""
        self.damaged: dict[str, Task] = {}
        """The damaged tasks among what was read, by id: they are shown as they were before an event that no command can make."""
        self.unlisted: str | None = None
        """Set where the town was made just now, and could not be recorded in the registry: why, in words."""
        self._connection = connection
        self._store = EventStore(connection.client, self.keys, where=connection.where)
        self._holder = new_holder()
        self._lease = Lease(connection.client, self.keys, holder=self._holder, where=connection.where)
        self._projector = Projector(connection.client, self.keys, lease=self._lease, where=connection.where)
        self._live = LiveBoard(
            connection.client,
            self.keys,
            where=connection.where,
            fold_task=self._fold_history,
        )
        self._references = References(self._store, self._live, town=self.name)
        self._events = EventReader(self._store)
        self._writer = Writer(self._store, self._live, self.keys, actor=actor, catch_up=self.catch_up)
        self._hierarchy = Hierarchy(connection.client, self.keys, self._live, where=connection.where)
        self._reclaimer = Reclaimer(
            connection.client, self._store, self._live, self._writer, self.keys, where=connection.where
        )

    # --- opening -----------------------------------------------------------------------------------------------

    @classmethod
    def open(cls, path: Path | str | None = None, *, actor: str | None = None, is_starting: bool = True) -> Self:
        """The town of the nearest folder upwards from `path` (None: TT_TOWN, then the current folder).

        Its own server is started when it is down, unless `is_starting` is False.

        `actor` is who acts; None takes TT_ACTOR, then the login name. TownNotFoundError, SettingsError,
        StoreUnavailableError.
        """
        found = find(start_of_search(path))
        settings = read_settings(found.folder)
        checked_actor = current_actor(actor)
        connection = connect(found.folder, settings, is_starting=is_starting)
        return cls(connection, folder=found, settings=settings, actor=checked_actor)

    @classmethod
    def init(
        cls,
        path: Path | str | None = None,
        *,
        name: str | None = None,
        url: str | None = None,
        actor: str | None = None,
        is_here: bool = False,
        is_registered: bool = True,
    ) -> Self:
        """Make the folder at `path` a town, or meet it as it is; start its server and record it in the registry.

        In a linked git worktree that is the folder of the main checkout, unless `is_here`: then the worktree is a town of
        its own. A password in `url` is kept in `~/.tt/passwords.toml`, and stands in no file of the town. What ends with an
        error has made nothing. The registry is for looking up only: where it cannot be written, `unlisted` says so.
        """
        start = Path(path) if path is not None else current_folder()
        checked_actor = current_actor(actor)
        made = make_town(start, name=name, url=url, is_here=is_here)
        town = cls(made.connection, folder=made.found, settings=made.settings, actor=checked_actor)
        if is_registered:
            try:
                register_town(RegisteredTown(town.name, str(town.folder), is_trust_kept=True))
            except LedgerError as error:
                town.unlisted = f"The town is ready, but `tt towns` does not list it. {error}"
            except BaseException:
                town.close()
                raise
        return town

    def close(self) -> None:
        """Close the connection; the server stays up."""
        self._connection.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    # --- changing a task ---------------------------------------------------------------------------------------

    def create(
        self,
        description: str,
        *,
        agent: str | None = None,
        tags: Iterable[str] = (),
        parent: str | None = None,
        alias: str | None = None,
        reason: str | None = None,
    ) -> Receipt:
        """A new task, pending, or assigned where `agent` is given. With an alias it is made once: again is already true."""
        new_id = new_task_id()
        name = None if alias is None else check_name(alias, "alias")
        given_tags = tuple(tags)

        def wish() -> Wish:
            guards = {} if parent is None else self._guard_lineage(parent)
            lineage = tuple(guards)
            command = CreateTask(
                task=new_id if name is None else self._references.id_of_alias(name),
                description=description,
                tags=given_tags,
                parent_id=lineage[0] if lineage else None,
                alias=name,
                agent=agent,
                lineage=lineage[1:],
            )
            return command, guards

        return self._writer.execute(wish, reason=reason)

    def assign(
        self, task: str, agent: str, *, reason: str | None = None, expected_version: int | None = None
    ) -> Receipt:
        """Give the task to an agent, from another one where it has it."""
        return self._change(task, lambda id_: AssignTask(task=id_, agent=agent), reason, expected_version)

    def claim(
        self, task: str, agent: str, *, reason: str | None = None, expected_version: int | None = None
    ) -> Receipt:
        """Take a task that nobody has; of several agents at once exactly one gets it, the others TaskHeldError."""
        return self._change(task, lambda id_: ClaimTask(task=id_, agent=agent), reason, expected_version)

    def start(
        self,
        task: str,
        *,
        agent: str | None = None,
        run: RunMark | None = None,
        reason: str | None = None,
        expected_version: int | None = None,
    ) -> Receipt:
        """Begin to work; a pending task needs `agent`. `run` is that of the runner that begins."""
        return self._change(task, lambda id_: StartTask(task=id_, agent=agent, run=run), reason, expected_version)

    def complete(
        self,
        task: str,
        *,
        result: str | None = None,
        agent: str | None = None,
        with_children: bool = False,
        is_forced: bool = False,
        reason: str | None = None,
        expected_version: int | None = None,
    ) -> Receipt:
        """The work is done; a pending task needs `agent`. TaskHasOpenChildrenError, unless one of these says what to do.

        `with_children` completes all open tasks below it too, in one append; those that nobody has for `agent`, else for
        the task's own. `is_forced` leaves them open.
        """

        def commands() -> list[Command]:
            id_ = self._references.resolve(task)
            below = self._complete_below(id_, agent) if with_children else []
            open_children = 0 if with_children or is_forced else self._hierarchy.count_open_children(id_)
            return [*below, CompleteTask(task=id_, result=result, agent=agent, open_children=open_children)]

        return self._writer.execute_all(commands, reason=reason, expected_version=expected_version)

    def fail(
        self,
        task: str,
        *,
        error: str | None = None,
        agent: str | None = None,
        reason: str | None = None,
        expected_version: int | None = None,
    ) -> Receipt:
        """The work ended without success; a pending task needs `agent`."""
        return self._change(task, lambda id_: FailTask(task=id_, error=error, agent=agent), reason, expected_version)

    def cancel(self, task: str, *, reason: str | None = None, expected_version: int | None = None) -> Receipt:
        """The work is no longer wanted."""
        return self._change(task, lambda id_: CancelTask(task=id_, reason=reason), None, expected_version)

    def requeue(self, task: str, *, reason: str | None = None, expected_version: int | None = None) -> Receipt:
        """Put an assigned or running task back into the backlog."""
        return self._change(task, lambda id_: RequeueTask(task=id_), reason, expected_version)

    def reopen(self, task: str, *, reason: str | None = None, expected_version: int | None = None) -> Receipt:
        """Make a finished task pending again."""
        return self._change(task, lambda id_: ReopenTask(task=id_), reason, expected_version)

    def describe(
        self, task: str, description: str, *, reason: str | None = None, expected_version: int | None = None
    ) -> Receipt:
        """Replace the description."""
        return self._change(task, lambda id_: DescribeTask(task=id_, description=description), reason, expected_version)

    def tag(
        self,
        task: str,
        *,
        add: Iterable[str] = (),
        remove: Iterable[str] = (),
        reason: str | None = None,
        expected_version: int | None = None,
    ) -> Receipt:
        """Add and remove tags."""
        added, removed = tuple(add), tuple(remove)
        return self._change(task, lambda id_: TagTask(task=id_, added=added, removed=removed), reason, expected_version)

    def move(
        self, task: str, parent: str | None, *, reason: str | None = None, expected_version: int | None = None
    ) -> Receipt:
        """Put the task below `parent`, or below none. TaskCycleError where `parent` lies below the task."""

        def wish() -> Wish:
            id_ = self._references.resolve(task)
            guards = {} if parent is None else self._guard_lineage(parent)
            lineage = tuple(guards)
            return MoveTask(task=id_, parent_id=lineage[0] if lineage else None, lineage=lineage[1:]), guards

        return self._writer.execute(wish, reason=reason, expected_version=expected_version)

    def note(self, task: str, text: str, *, expected_version: int | None = None) -> Receipt:
        """Write down progress."""
        return self._change(task, lambda id_: NoteTask(task=id_, text=text), None, expected_version)

    def remove(
        self,
        task: str,
        *,
        is_from_backlog: bool = False,
        reason: str | None = None,
        expected_version: int | None = None,
    ) -> Receipt:
        """Take the task off the board; its history stays. TaskHasChildrenError."""

        def command(id_: str) -> Command:
            children = self._live.count_children(id_)
            return RemoveTask(task=id_, children=children, is_from_backlog=is_from_backlog)

        return self._change(task, command, reason, expected_version)

    def assign_all(self, agent: str, *, reason: str | None = None) -> tuple[Task, ...]:
        """Give the whole backlog to an agent, all or none; returns the tasks it got."""
        return self._writer.assign_all(agent, reason=reason)

    # --- lost tasks --------------------------------------------------------------------------------------------

    def lost_tasks(self, *, from_agent: str | None = None, older_than_seconds: float = 0) -> list[LostTask]:
        """Running tasks whose runner has no heartbeat, oldest first; of one agent, of runs that began longer ago than that."""
        holder = None if from_agent is None else check_name(from_agent, "agent name")
        self.catch_up()
        found = self._reclaimer.find(older_than_seconds=older_than_seconds)
        return [lost for lost in found if holder in (None, lost.task.assigned_to)]

    def reclaim(
        self, *, agent: str | None = None, from_agent: str | None = None, older_than_seconds: float = 0
    ) -> list[tuple[LostTask, Task | None]]:
        """Put lost tasks back into the backlog, or give them to `agent`: (it, the task now), None where it changed meanwhile."""
        agent = None if agent is None else check_name(agent, "agent name")
        lost = self.lost_tasks(from_agent=from_agent, older_than_seconds=older_than_seconds)
        return list(self._reclaimer.move(lost, agent=agent))

    # --- taking in what others say -----------------------------------------------------------------------------

    def import_beads(
        self, path: Path | str, *, prune: bool = False, allow_empty: bool = False, backdate: datetime | None = None
    ) -> ImportReceipt:
        """Make the town as an export of the Beads tracker says, in one append; doing it again appends nothing.

        `prune` removes tasks with an alias that the file no longer has; of a file without issues that is refused, unless
        with `allow_empty`. `backdate` is recorded as the events' time.
        ImportRefusedError, BackdateRefusedError: nothing was written.
        """
        if backdate is not None and backdate > datetime.now(UTC):
            # Later events would all be dated no earlier: the town's clock would stand still until then.
            raise MomentError(f"{backdate.isoformat(timespec='seconds')}", "has not come yet")
        export = read_beads(Path(path), town=self.name, actor=self.actor)

        if prune and not export.wishes and not allow_empty:
            problem = (
                "the file has no issue, and --prune would remove every task that has an alias;"
                " --allow-empty says that the tracker was empty then"
            )
            raise ImportRefusedError(Path(path), [problem])

        def wishes() -> dict[str, WishedTask | None]:
            wished = export.wishes_of(self._references.ids_of_aliases(list(export.aliases.values())))
            if prune:
                present = self._live.page().tasks
                wished |= {task.id: None for task in present if task.alias is not None and task.id not in wished}
            return wished

        done = self._writer.reconcile(wishes, backdate=backdate)
        return ImportReceipt(
            tasks=sum(wish is not None for wish in export.wishes.values()),
            created=done.created,
            changed=done.changed,
            removed=done.removed,
            positions=done.positions,
            left_out=export.left_out,
            skipped=export.skipped,
            labels_trimmed=export.labels_trimmed,
            labels_dropped=export.labels_dropped,
        )

    # --- from before the ledger --------------------------------------------------------------------------------

    @contextmanager
    def migration(self, from_url: str | None = None) -> Iterator[Migration]:
        """What takes the town's tasks from before the ledger into it: look, then run.

        They are read from the town's server, else from the one at `from_url`, where nothing is changed. Where Tinytown's
        settings name that one too, their password is used. MigrationSourceError, StoreUnavailableError.
        """
        if from_url is None:
            yield Migration(self)
            return
        with closing(connect_to_read(password_of(self.folder, from_url))) as source:
            if source.is_same_server(self._connection):
                raise MigrationSourceError(source.where)
            yield Migration(self, source=source)

    def has_old_tasks(self, *, calls_max: int = 1) -> bool:
        """Whether a town without events has tasks from before the ledger, as far as `calls_max` calls tell. Source: SCAN."""
        if self.end() != BEGINNING:
            return False
        reader = OldReader(self._connection.client, where=self.where)
        return reader.find_task(OldKeys(self.old_name).is_task, calls_max=calls_max)

    def old_places(self) -> list[OldPlace]:
        """Other servers that Tinytown's settings and files say its tasks are in. Nothing is connected to."""
        return find_old_places(self.folder)

    @cached_property
    def legacy(self) -> Legacy:
        """The old keys that migrations set aside: look, then drop."""
        return Legacy(self)

    # --- plans -------------------------------------------------------------------------------------------------

    def plan_path(self, path: Path | str | None = None) -> Path:
        """The file of a plan: `path`, else `tasks.toml` in the town's folder."""
        return self.folder / PLAN_FILE if path is None else Path(path)

    def read_plan(self, path: Path | str | None = None) -> PlanFile:
        """A plan whose names all mean something in this town. PlanMissingError; PlanRefusedError names every fault."""
        return read_plan_file(self.plan_path(path), look=self.find_plan_faults)

    def find_plan_faults(self, plan: Plan) -> list[PlanFault]:
        """What is wrong with a plan's names in this town: two ids of one task, and parents that are not there."""
        return self._planner.find_faults(plan)

    def push(
        self, path: Path | str | None = None, *, prune: bool = False, force: bool = False, dry_run: bool = False
    ) -> PushReceipt:
        """Make the town as a plan says, in one append; doing it again appends nothing.

        Nothing is taken back that happened in the town, unless with `force`. `prune` removes tasks with an alias that the
        file no longer has. With `dry_run` nothing is written. PlanMissingError, PlanRefusedError: nothing was written.
        """
        file = self.read_plan(path)
        act = self._planner.preview_push if dry_run else self._planner.push
        return act(file, is_pruning=prune, is_forced=force)

    def pull(self, path: Path | str | None = None) -> PullReceipt:
        """Write the town into a plan's file; its order, comments and further keys stay. Doing it again writes nothing.

        A plan that is not named is not written through a link that leads out of the town's folder: it may have come with a
        clone. PlanRefusedError, PlanOutsideError, FolderRefusedError, PlanChangedError: the file is as it was.
        """
        return self._planner.pull(self.plan_path(path), within=self.folder if path is None else None)

    def compare_plan(self, path: Path | str | None = None) -> PlanComparison:
        """What a push and what a pull would do; nothing is written."""
        return self._planner.compare(self.plan_path(path))

    @cached_property
    def _planner(self) -> Planner:
        from town.plans.planner import Planner  # noqa: PLC0415 - most commands have no plan to read

        return Planner(
            self._live,
            self._writer,
            town=self.name,
            actor=self.actor,
            ids_of_aliases=self._references.ids_of_aliases,
            catch_up=self.catch_up,
        )

    # --- reading -----------------------------------------------------------------------------------------------

    def task(self, task: str) -> Task:
        """One task; TaskNotFoundError, TaskAmbiguousError."""
        board = self._readable()
        if isinstance(board, Board):
            return self.task_on(board, task)
        state = self._load(self._references.resolve(task))
        if state is None:
            raise TaskNotFoundError(task)
        return self.note_damage([state])[0]

    def snapshot_json(self, task: str) -> bytes:
        """The task's JSON as any Redis client reads it. TaskNotFoundError."""
        return encode_snapshot(self.task(task))

    def page(self, wanted: TaskFilter = EVERY_TASK, *, offset: int = 0, limit: int | None = None) -> Page:
        """The tasks that match, oldest first, from `offset`, at most `limit`. A filter's parent may be a prefix or alias."""
        assert offset >= 0
        assert limit is None or limit >= 0
        wanted = replace(
            wanted,
            agent=None if wanted.agent is None else check_name(wanted.agent, "agent name"),
            tag=None if wanted.tag is None else check_tag(wanted.tag),
        )

        def ask(board: Board | LiveBoard) -> Page:
            parent = None if wanted.parent is None else self._resolve_on(board, wanted.parent)
            return board.page(replace(wanted, parent=parent), offset=offset, limit=limit)

        page = self._ask(ask)
        self.note_damage(page.tasks)
        return page

    def backlog(self, *, offset: int = 0, limit: int | None = None) -> Page:
        """The pending tasks that nobody has, oldest first."""
        page = self._ask(lambda board: board.backlog(offset=offset, limit=limit))
        self.note_damage(page.tasks)
        return page

    def tree(self, task: str | None = None) -> list[Branch]:
        """A task and all below it, or the whole town: each right before those below it, siblings oldest first."""

        def ask(board: Board | LiveBoard) -> list[Branch]:
            if isinstance(board, Board):
                return tree_on(board, None if task is None else self.task_on(board, task))
            return self._hierarchy.tree(None if task is None else self.task(task))

        branches = self._ask(ask)
        self.note_damage([branch.task for branch in branches])
        return branches

    def count_open_children(self, task: str) -> int:
        """How many tasks right below the task with this id are open, as of the checkpoint."""
        return self._hierarchy.count_open_children(task)

    def wait(self, tasks: Iterable[str], *, timeout_seconds: float | None = None) -> Waited:
        """Return once all these tasks are finished or removed, or when it took too long. TaskNotFoundError.

        The name of an agent, where no task is called so, stands for the tasks that it has now and has not finished.
        """
        position = self.catch_up()
        ids = dict.fromkeys(id_ for task in tasks for id_ in self._tasks_called(task))
        return wait_for(
            list(ids), store=self._store, look=self._look, position=position, timeout_seconds=timeout_seconds
        )

    def current(self, agent: str) -> Task | None:
        """The agent's running task, else its oldest assigned one, else None."""
        agent = check_name(agent, "agent name")
        for state in (State.RUNNING, State.ASSIGNED):
            tasks = self.page(TaskFilter(state=state, agent=agent), limit=1).tasks
            if tasks:
                return tasks[0]
        return None

    def count_states(self) -> dict[State, int]:
        """How many tasks are in each state; all states are there."""
        return self._ask(lambda board: board.count_states())

    def count_agents(self) -> dict[str, dict[State, int]]:
        """Agent -> how many tasks it has or had in each state; agents sorted, absent states are 0."""
        return self._ask(lambda board: board.count_agents())

    def history(self, task: str) -> list[Step]:
        """All events of a task, oldest first, with what each changed; of a removed task too. TaskNotFoundError."""
        board = self._readable()
        id_ = (
            self._resolve_on(board, task)
            if isinstance(board, Board)
            else self._references.resolve(task, is_removed_too=True)
        )
        events = self._store.history(id_)
        if not events:
            raise TaskNotFoundError(task)
        return steps(events)

    def end(self) -> Position:
        """The position of the last event; BEGINNING where there is none."""
        return self._store.end()

    def events(
        self,
        wanted: EventFilter = EVERY_EVENT,
        *,
        count: int | None = EVENTS_COUNT,
        task: str | None = None,
        since: Moment | str | None = None,
        until: Moment | str | None = None,
    ) -> list[RecordedEvent]:
        """The last `count` events that match (None: all), oldest first; of one `task`, from `since` to `until`, both in."""
        task_id = None if task is None else self._references.resolve(task, is_removed_too=True)
        return self._events.events(wanted, count=count, task=task_id, since=since, until=until)

    def follow(
        self, wanted: EventFilter = EVERY_EVENT, *, task: str | None = None, after: Position | None = None
    ) -> Iterator[RecordedEvent]:
        """Events that match, as they come, from after `after` (None: the end). It goes on until the caller stops."""
        task_id = None if task is None else self._references.resolve(task, is_removed_too=True)
        return self._events.follow(wanted, task=task_id, after=after)

    def follow_batches(
        self, wanted: EventFilter = EVERY_EVENT, *, task: str | None = None, after: Position | None = None
    ) -> Iterator[list[RecordedEvent]]:
        """As `follow`, a list at a time, which is empty at least once a second where nothing comes: a turn to stop."""
        task_id = None if task is None else self._references.resolve(task, is_removed_too=True)
        return self._events.follow_batches(wanted, task=task_id, after=after)

    # --- any earlier moment ------------------------------------------------------------------------------------

    def at(self, moment: Moment | str) -> Board:
        """The town as it was: all tasks at `moment`, in memory. MomentError where it has not come yet."""
        return self.replay(self.position_at(moment))

    def replay(self, upto: Position) -> Board:
        """The town as it was after the event at `upto`; BEGINNING shows it empty."""
        return Board() if upto == BEGINNING else replay(self._store, upto=upto)

    def task_on(self, board: Board, task: str) -> Task:
        """One task of an earlier board, by id, prefix or alias. TaskNotFoundError where it was not there."""
        return self.note_damage([find_on_board(board, task, town=self.name)])[0]

    def position_at(self, moment: Moment | str) -> Position:
        """The position of the last event at `moment` or before it; BEGINNING where the ledger begins later. MomentError."""
        return self._events.position_at(moment)

    def beginning(self) -> Position:
        """The position of the first event; BEGINNING where there is none."""
        return self._store.start()

    # --- the server --------------------------------------------------------------------------------------------

    @property
    def has_own_server(self) -> bool:
        """Whether the server is the town's own, not one at a URL."""
        return self._connection.server is not None

    @property
    def server_warning(self) -> str | None:
        """What the user should know of how the server was found, and of what it said when this object started it."""
        said = None if self._connection.server is None else self._connection.server.warning
        words = [each for each in (self.found.remark, self._connection.remark, said) if each is not None]
        return "\n".join(words) or None

    def server_version(self) -> str:
        """`Valkey 9.1.2`, as the server says of itself."""
        return self._connection.version()

    def durability(self) -> Durability:
        """Whether the server keeps what it acknowledged."""
        return read_durability(self._connection)

    # --- the read side -----------------------------------------------------------------------------------------

    def catch_up(self, upto: Position | None = None) -> Position:
        """Project what is in the ledger and not yet in snapshots and views; returns the checkpoint.

        Where a worker runs, it is given a moment to do so. A rebuild that was begun and is at work no more is finished.
        """
        deadline = time.monotonic() + REBUILD_WAIT_SECONDS_MAX
        while True:
            self.between_batches()
            try:
                checkpoint = self._projector.advance(upto, progress=self._show_progress)
            except RebuildUnfinishedError:
                if time.monotonic() > deadline:
                    raise
                if not self._finish_rebuild():
                    time.sleep(_REBUILD_POLL_SECONDS)
                continue
            except LedgerDamagedError:
                # What a rebuild was putting right when it ended is put right first.
                stored = self._projector.checkpoints.read()[0]
                if stored is None or stored.rebuild is None or time.monotonic() > deadline:
                    raise
                if not self._finish_rebuild():
                    time.sleep(_REBUILD_POLL_SECONDS)
                continue
            if checkpoint.rebuild is None or not self._finish_rebuild():
                return checkpoint.position

    def find_outdated(self) -> OutdatedProjectionError | None:
        """What says that an older program projected the town; None where none did. Nothing is written. Source: HMGET."""
        try:
            self._projector.checkpoints.read_sound(is_fenced_too=True)
        except OutdatedProjectionError as outdated:
            return outdated
        except LedgerDamagedError:
            # That is for those to tell who need the checkpoints.
            return None
        return None

    def rebuild(
        self, *, view: str | None = None, accepts_loss: bool = False, progress: RebuildProgress | None = None
    ) -> RebuildReport:
        """Make snapshots and views (or one view) equal to the fold of the ledger, while others append and read.

        LossNotAcceptedError where events are missing; UnknownProjectionError. StoreUnavailableError: run it again.
        """
        report = self._rebuild(view=view, accepts_loss=accepts_loss, progress=progress).run()
        self.catch_up()
        return report

    def preview_rebuild(
        self, *, view: str | None = None, accepts_loss: bool = False, progress: RebuildProgress | None = None
    ) -> Iterator[Difference]:
        """What a rebuild would put right; nothing is written. Errors as for `rebuild`."""
        return self._rebuild(view=view, accepts_loss=accepts_loss, progress=progress).preview()

    def verify(self, *, progress: Callable[[Position], None] | None = None) -> Verification:
        """Read the whole ledger and compare heads, checkpoints, snapshots and views with it; nothing is written."""
        return verify(self._connection.client, self.keys, where=self.where, progress=progress)

    def stats(self, *, agent: str | None = None, since: Moment | str | None = None) -> list[DayStats]:
        """What was created, completed and failed on each day (UTC) and by whom, days and agents in order."""
        is_folded = isinstance(self._readable(), Board)
        first = self._store.start() if since is None else self._events.first_after(since)
        end = self._store.end()
        if end.ms > TIME_MS_MAX:
            # No command can make what lies there, and nothing of it counts.
            end = self._store.end_at(TIME_MS_MAX)
        if BEGINNING in (first, end):
            return []
        span = (end.time.date() - first.time.date()).days
        days = [(first.time.date() + timedelta(days=number)).isoformat() for number in range(span + 1)]
        found = (
            fold_stats(self._store, days)
            if is_folded
            else read_stats(self._connection.client, self.keys, days, where=self.where)
        )
        return [each for each in found if agent in (None, each.agent)]

    @property
    def lost_snapshots(self) -> frozenset[str]:
        """The tasks among what was read whose snapshot is lost, so that they were folded from their history."""
        return frozenset(self._live.lost)

    def count_lost_snapshots(self) -> int:
        """How many of the tasks that are there have no snapshot. ViewsIncompleteError."""
        return self._live.count_lost()

    def note_damage(self, tasks: Sequence[Task]) -> Sequence[Task]:
        """Keep in mind which of `tasks` are damaged; returns them all."""
        self.damaged.update({task.id: task for task in tasks if task.damaged_at is not None})
        return tasks

    def damage_of(self, task: Task) -> TaskDamagedError | None:
        """What is wrong with a damaged task, and at which position; None where nothing is."""
        return damage_of(self._store, task)

    def find_flaws(self, events: Iterable[RecordedEvent]) -> dict[str, str]:
        """Position -> what is wrong, of those events that no command can make, as far as the tasks of now tell."""
        return find_flaws(events, self._live.get_sound)

    def parted_after(self, difference: Difference) -> Position | None:
        """The last position at which the ledger agrees with a snapshot or view entry that differs; None where it never did."""
        return parted_after(self._store, difference)

    @property
    def connection(self) -> Connection:
        """The client and the server behind it, for those who look at the server."""
        return self._connection

    @property
    def projector(self) -> Projector:
        """The projector, for workers."""
        return self._projector

    @property
    def lease(self) -> Lease:
        """The lease on projecting this town, for workers."""
        return self._lease

    @property
    def store(self) -> EventStore:
        """The ledger itself, for workers."""
        return self._store

    # --- inside ------------------------------------------------------------------------------------------------

    def _readable(self) -> Board | LiveBoard:
        """What tells of the tasks as of now: snapshots and views, or the ledger, where an older program made those."""
        try:
            self.catch_up()
        except OutdatedProjectionError as outdated:
            self.outdated = outdated
            return replay(self._store)
        return self._live

    def _ask(self, question: Callable[[Board | LiveBoard], Answer]) -> Answer:
        """The answer of the board as of now; of the board folded from the ledger, where the views do not hold every task."""
        try:
            return question(self._readable())
        except ViewsIncompleteError as gap:
            self.incomplete = gap
            return question(replay(self._store))

    def _fold_history(self, task: str) -> Task | None:
        """The task as its history tells; None where it was removed, or no event could make it."""
        state: Task | None = None
        for recorded in self._store.history(task):
            state = evolve_known(state, recorded)
        return state

    def _resolve_on(self, board: Board | LiveBoard, task: str) -> str:
        """The id behind what people call a task."""
        return self.task_on(board, task).id if isinstance(board, Board) else self._references.resolve(task)

    def _tasks_called(self, name: str) -> list[str]:
        """The task with this id, prefix or alias, else the open tasks of the agent with this name. TaskNotFoundError."""
        try:
            return [self._references.resolve(name)]
        except TaskNotFoundError:
            if not self._live.page(TaskFilter(agent=name.strip()), limit=1).total:
                raise
        pages = [
            self._live.page(TaskFilter(state=state, agent=name.strip())) for state in (State.RUNNING, State.ASSIGNED)
        ]
        return [task.id for page in pages for task in page.tasks]

    def _rebuild(self, *, view: str | None, accepts_loss: bool, progress: RebuildProgress | None) -> Rebuild:
        return Rebuild(
            self._connection.client,
            self.keys,
            holder=self._holder,
            view=view,
            accepts_loss=accepts_loss,
            where=self.where,
            progress=progress,
        )

    def _show_progress(self, reached: Position, goal: Position) -> None:
        self.between_batches()
        if self.progress is not None:
            self.progress(reached, goal)

    def _finish_rebuild(self) -> bool:
        """Finish a rebuild that nobody is at work on; whether this call did.

        It accepts the losses that the rebuild was told to accept, and no others: LossNotAcceptedError.
        """
        lease = Lease(self._connection.client, self.keys, holder=self._holder, name=REBUILD, where=self.where)
        if not lease.take():
            return False
        try:
            stored = self._projector.checkpoints.read()[0]
            if stored is None or stored.rebuild is None:
                return False
            accepts_loss = stored.accepts(self._store.count_lost())
            rebuild = self._rebuild(view=None, accepts_loss=accepts_loss, progress=None)
            rebuild.between_batches = self.between_batches
            rebuild.run()
            return True
        finally:
            lease.give_up()

    def _change(
        self, task: str, command: Callable[[str], Command], reason: str | None, expected_version: int | None
    ) -> Receipt:
        """Execute a command on a task that is there, by id, prefix or alias."""
        return self._writer.execute(
            lambda: (command(self._references.resolve(task)), {}), reason=reason, expected_version=expected_version
        )

    def _complete_below(self, task: str, agent: str | None) -> list[Command]:
        """Commands that complete every open task below `task`, children before their parents."""
        above, _ = self._writer.load(task)
        agent = agent or (None if above is None else above.holder)
        return [
            CompleteTask(task=each.id, agent=agent if each.holder is None else None)
            for each in reversed(self._hierarchy.below(task))
            if not each.state.is_terminal
        ]

    def _look(self, task: str) -> Task | None:
        """The task with this id as of now; None where it was removed."""
        self.catch_up()
        return self._load(task)

    def _load(self, task: str) -> Task | None:
        """The task with this id as of the checkpoint; folded from its history where its snapshot is lost."""
        try:
            return self._writer.load(task)[0]
        except SnapshotDamagedError:
            return self._live.fold_lost(task)

    def _guard_lineage(self, parent: str) -> dict[str, int]:
        """The tasks from `parent` up to its root, in this order, with the versions they were read at."""
        guards: dict[str, int] = {}
        current: str | None = self._references.resolve(parent)
        while current is not None and current not in guards:
            state, version = self._writer.load(current)
            if state is None and not guards:
                raise TaskNotFoundError(parent)
            guards[current] = version
            # A removed ancestor ends the chain; it counts, because it may come back.
            current = None if state is None else state.parent_id
        return guards


def current_actor(actor: str | None = None) -> str:
    """Who acts: `actor`, else TT_ACTOR, else the login name. InvalidValueError where there is none of these."""
    named = actor if actor is not None else os.environ.get("TT_ACTOR")
    if named is None:
        try:
            named = getpass.getuser()
        except (OSError, KeyError) as error:
            raise InvalidValueError(
                "actor", "is unknown: there is no login name", "Set TT_ACTOR or pass --actor."
            ) from error
    return check_name(named, "actor")
