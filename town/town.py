"""Town: the door for programs.

It has every verb and every question about the present board; the other rooms are its attributes.

    with Town.open(actor="alice") as town:
        task = town.create("Implement user authentication", agent="worker-1").task
        town.complete(task.id, result="Done")
        town.at("2h").page()

Tasks are named by id, by a unique prefix of it, or by alias. Errors are those of `ledger`, `projections` and `town`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import closing, contextmanager
from datetime import datetime
from functools import cached_property
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Final, Self, TypeVar

from msgspec import Struct

from ledger import EventsLostError, LedgerDamagedError, LedgerError, Position, to_ms
from projections import Board, each_of
from town.errors import MigrationSourceError
from town.folder.settings import current_folder
from town.opening import OpenTown, current_actor, open_town
from town.reading.event_reader import EventReader, as_moment
from town.reading.folding import board_at
from town.reading.moment import Moment, Now
from town.reading.reader import Reader
from town.reading.wait import Until, Waited, tasks_called, wait_for
from town.verbs import Verbs

if TYPE_CHECKING:
    from projections import PackedBoard
    from town.agents.run_log import RunOutput
    from town.annotating import Annotator
    from town.exports.exporter import Exporter
    from town.folder.agent_notes import AgentNotes
    from town.folder.tinytown_places import OldPlace
    from town.forking import ForkProgress
    from town.imports.importer import Importer
    from town.migration.legacy import Legacy
    from town.migration.migration import Migration
    from town.plans.plans import Plans
    from town.recovery.recovery import Recovery
    from town.runs.reclaim import Reclaimer
    from town.undoing import Undoing
    from town.writer import Receipt

Result = TypeVar("Result")

_OF_GROUP: Final = (
    "This town is on a group of servers. If one of them has just taken over, what was read may be of two of them: run the command"
    " again before you do anything else."
)

# ruff: noqa: PLC0415 - a room is imported by who enters it


class Town(Verbs, Reader):
    """One town: its ledger, its views and its folder. Not thread-safe: open one in each thread."""

    def __init__(self, opened: OpenTown) -> None:
        backend = opened.backend
        Verbs.__init__(self, backend)
        Reader.__init__(self, backend)
        self.backend = backend
        self._opened = opened
        self.connection = opened.connection
        """The client and the server behind it, for those who look at the server."""
        self.found = opened.found
        """The folder, and why it is that one."""
        self.name = backend.name
        self.folder = backend.folder
        self.actor = backend.actor
        self.keys = backend.keys
        self.where = backend.where
        self.upkeep = backend.upkeep
        """Catches up, rebuilds and verifies snapshots and views."""
        self.events = EventReader(backend.store, self._references)
        """Reads the ledger's events: the last ones, and new ones."""
        self.agent_notes: AgentNotes | None = None
        """Set if the town's folder was just given its section in `AGENTS.md`."""
        self.unlisted: str | None = None
        """Set if the town was just made but could not be recorded in the registry: the reason, in words."""

    def output(self, task_id: str) -> RunOutput | None:
        """The end of what the task's last run printed; None if this machine has no log of one. TaskNotFoundError, FolderRefusedError."""
        from town.agents.run_log import read_output

        return read_output(self.folder, self.events.id_of(task_id))

    # --- commands ----------------------------------------------------------------------------------------------

    def once(self, key: str, call: Callable[[], Result], *, about: Iterable[str]) -> Result | Receipt:
        """Carry out the one command of `call` with an id of the caller's own, a UUID. Asked for again, it appends nothing.

        Then it returns the receipt of the first time. The command is `about` these tasks, by id or alias; about none if it
        creates one that has no alias. InvalidValueError, and what `call` raises.
        """
        from town.keyed import carry_out_once

        return carry_out_once(self.backend, self._references, key, call, each_of(about))

    # --- opening -----------------------------------------------------------------------------------------------

    @classmethod
    def open(cls, path: Path | str | None = None, *, actor: str | None = None, is_starting: bool = True) -> Self:
        """The town of the nearest folder upwards from `path` (None: TT_TOWN, then the current folder).

        Starts its own server if it is down, unless `is_starting` is False. `actor` is who acts; None means TT_ACTOR,
        then the login name. TownNotFoundError, SettingsError, StoreUnavailableError.
        """
        return cls(open_town(path, actor=actor, is_starting=is_starting))

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
        has_agent_notes: bool = False,
    ) -> Self:
        """Make the folder at `path` a town, or take the existing one; start its server and record it in the registry.

        In a linked git worktree that is the folder of the main checkout, unless `is_here`: then the worktree is a town of
        its own. A password in `url` is kept in `~/.tt/passwords.toml`, and in no file of the town. An error leaves
        nothing behind. With `has_agent_notes` the folder's `AGENTS.md` gets a section about the town. The registry is only a list for
        people: if it cannot be written, `unlisted` says so.
        """
        from town.founding import make_town

        start = Path(path) if path is not None else current_folder()
        checked_actor = current_actor(actor)
        made = make_town(start, name=name, url=url, is_here=is_here, has_agent_notes=has_agent_notes)
        town = cls(OpenTown(made.connection, found=made.found, settings=made.settings, actor=checked_actor))
        town.agent_notes = made.agent_notes
        if is_registered:
            town.register()
        return town

    @property
    def server_url(self) -> str | None:
        """The URL of its server, without a password that is kept elsewhere; None for the town's own server."""
        return self._opened.server_url

    def list_on_server(self) -> None:
        """See to it that `tt towns --server` lists the town, if its server is at a URL."""
        self._opened.list_on_server()

    def register(self) -> None:
        """Record the town in the registry; `unlisted` says why not, where that could not be."""
        from town.home.registry import RegisteredTown, register_town

        try:
            register_town(RegisteredTown(self.name, str(self.folder), is_trust_kept=True))
        except LedgerError as error:
            self.unlisted = f"The town is ready, but `tt towns` does not list it. {error}"
        except BaseException:
            self.close()
            raise

    def fork(
        self,
        name: str,
        *,
        at: Moment | str | None = None,
        folder: Path | str | None = None,
        is_registered: bool = True,
        progress: ForkProgress | None = None,
    ) -> Fork:
        """A new town with the events of this one up to `at` (None: all), which goes on from there; its `town` is to be closed.

        Without `folder` it is on the same server, and its folder is `name` in the current one; with `folder` it has a server
        of its own there. ForkRefusedError: nothing was made.
        """
        from town.forking import fork_town

        position = self.end() if at is None else self.events.position_at(at)
        forked = fork_town(
            self._opened, name, position, folder=None if folder is None else Path(folder), progress=progress
        )
        town = type(self)(forked.opened)
        if is_registered:
            town.register()
        return Fork(town, forked.position, forked.forked_at, forked.was_unfinished)

    def close(self) -> None:
        """Close the connection; the server stays up."""
        self._opened.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if isinstance(error, LedgerError):
            self.remark_on(error)
        self.close()

    def remark_on(self, error: LedgerError) -> None:
        """Add to an error about damage what a group of servers may have to do with it."""
        is_damage = isinstance(error, LedgerDamagedError) and not isinstance(error, EventsLostError)
        scheme = (self.server_url or "").partition("://")[0]
        if is_damage and scheme.endswith(("+cluster", "+sentinel")):
            error.add_note(_OF_GROUP)

    # --- moments -----------------------------------------------------------------------------------------------

    def end(self) -> Position:
        """The position of the last event; BEGINNING if there is none."""
        return self.events.end()

    def at(self, moment: Moment | str, *, time_ms: int | None = None) -> Reader:
        """The town as it was at `moment`, for the same questions; the town itself for now. MomentError as in `events.position_at`.

        Due times and `not_before` are held against `moment` if it is a time, else against `time_ms`, milliseconds since 1970
        UTC, or if that is not given against the time of the event.
        """
        if moment is Now.NOW or moment == Now.NOW.value:
            return self
        asked = as_moment(moment)
        then = self.events.position_at(asked)
        if isinstance(asked, datetime):
            time_ms = to_ms(asked)
        return Reader(self.backend, then=then, time_ms=time_ms, noted=self.noted)

    def replay(self, upto: Position) -> Board | PackedBoard:
        """All tasks in memory, as they were after the event at `upto`; BEGINNING shows none."""
        return board_at(self.backend, upto)

    def wait(
        self, task_ids: Iterable[str], *, timeout_seconds: float | None = None, until: Until = Until.FINISHED
    ) -> Waited:
        """Return once all these tasks are finished or removed, or wait for no answer; or at the timeout. TaskNotFoundError.

        The name of an agent, if no task has that name, stands for the agent's open tasks.
        """
        position = self.upkeep.catch_up()
        ids = dict.fromkeys(
            task_id for name in each_of(task_ids) for task_id in tasks_called(name, self, self._references)
        )
        return wait_for(
            list(ids),
            store=self.backend.store,
            look=self.find_task,
            position=position,
            timeout_seconds=timeout_seconds,
            until=until,
        )

    # --- rooms that most commands do not enter -----------------------------------------------------------------

    @cached_property
    def undoing(self) -> Undoing:
        """Takes back what a command changed."""
        from town.undoing import Undoing

        return Undoing(self.backend)

    @cached_property
    def annotator(self) -> Annotator:
        """Writes notes on events."""
        from town.annotating import Annotator

        return Annotator(self.backend)

    @cached_property
    def plans(self) -> Plans:
        """Plan files: read, push, pull, compare."""
        from town.plans.plans import Plans

        return Plans(self.backend)

    @cached_property
    def imports(self) -> Importer:
        """Exports of other trackers, and the file of a ledger."""
        from town.imports.importer import Importer

        return Importer(self.backend)

    @cached_property
    def exports(self) -> Exporter:
        """The ledger, or a part of it, as a file for other machines and programs."""
        from town.exports.exporter import Exporter

        return Exporter(self.backend, self.events)

    @cached_property
    def runs(self) -> Reclaimer:
        """Tasks whose runner is gone: find them, take them back."""
        from town.runs.reclaim import Reclaimer

        return Reclaimer(self.backend)

    @cached_property
    def recovery(self) -> Recovery:
        """What this machine was told of the ledger and is gone: look, then append it again, or accept the loss."""
        from town.recovery.recovery import Recovery

        return Recovery(self.backend)

    @cached_property
    def legacy(self) -> Legacy:
        """The old keys that migrations set aside: look, then drop."""
        from town.migration.legacy import Legacy

        return Legacy(self.backend)

    @contextmanager
    def migration(self, from_url: str | None = None) -> Iterator[Migration]:
        """Takes the town's tasks from before the ledger into it: look, then run.

        Reads them from the town's server, or from the one at `from_url`, which it does not change. If Tinytown's
        settings name that one too, their password is used. MigrationSourceError, StoreUnavailableError.
        """
        from town.folder.tinytown_places import password_of
        from town.migration.migration import Migration
        from town.server.connection import connect_to_read

        if from_url is None:
            yield Migration(self.backend)
            return
        with closing(connect_to_read(password_of(self.folder, from_url))) as source:
            if source.is_same_server(self.connection):
                raise MigrationSourceError(source.where)
            yield Migration(self.backend, source=source)

    def has_old_tasks(self) -> bool:
        """Whether a town without events has tasks from before the ledger, as far as one call can find. Source: SCAN."""
        from town.migration.old_reader import has_old_tasks

        return has_old_tasks(self.backend)

    def old_places(self) -> list[OldPlace]:
        """Other servers that may hold the town's tasks, by Tinytown's settings and files. Connects to nothing."""
        from town.folder.tinytown_places import find_old_places

        return find_old_places(self.folder)

    # --- the server --------------------------------------------------------------------------------------------

    @property
    def server_warning(self) -> str | None:
        """What the user should know about how the server was found, and what it reported when this object started it."""
        said = None if self.connection.server is None else self.connection.server.warning
        words = [each for each in (self.found.remark, self.connection.remark, said) if each is not None]
        return "\n".join(words) or None


class Fork(Struct, frozen=True):
    """A town that was made from another one: the last position they share, and that of its first own event.

    `was_unfinished`: an earlier fork of that name had left something, which was cleared away or finished.
    """

    town: Town
    position: Position
    forked_at: Position
    was_unfinished: bool
