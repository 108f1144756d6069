"""Moving: a town goes to another server with all its events, at their positions, while others go on reading and writing.

Events are copied while writers append. Then the ledger is closed to them, the last events are copied and compared, and one step
at the old place makes the new one the town's. Until that step the town is where it was, after it where it goes, and there is no
moment at which both take events. What is left at the old place is sealed, and never deleted (`docs/decisions/0050`).
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, closing, suppress
from itertools import zip_longest
from os import environ
from pathlib import Path
from typing import Final

from msgspec import Struct
from msgspec.structs import replace

from ledger import (
    BEGINNING,
    CLOSED_SECONDS_MAX,
    Acks,
    Chain,
    Closing,
    Copier,
    Door,
    Keys,
    LedgerClosedError,
    LedgerDamagedError,
    LedgerError,
    MoveNote,
    MoveState,
    NotReplicatedError,
    Position,
    StoreUnavailableError,
    StreamEntry,
    closed_error,
    new_command_id,
    redis_errors,
)
from projections import Lease, new_holder
from town.backend import Backend
from town.errors import MoveRefusedError
from town.files.taking_back import Undo
from town.fleet import list_town, unlist_town
from town.folder.search import find
from town.folder.settings import RedisSettings, Settings, move_to_url, read_settings, start_of_search
from town.home.grants import allow, connection_grant, is_granted
from town.home.passwords import keep_password, shown_url, split_password
from town.opening import current_actor
from town.reading.lost_tasks import look_for_lost
from town.server.connection import Connection, connect, connect_to
from town.server.durability import count_replicas

LEASE_NAME: Final = "move"
_COPY_EVENTS: Final = 1_000
_FEW_EVENTS: Final = 200
"""With no more events than these to copy, the ledger can be closed for the rest."""
_COPIED: Final = "has a copy of the town"
ROUNDS_MAX: Final = 50
"""How often what was appended meanwhile is copied before the ledger is closed all the same."""

MoveProgress = Callable[[str, int, int], None]
"""Called with a word for the work, how much is done, and how much there is."""


class Move(Struct, frozen=True):
    """What a move did, or would do: from where to where, how many events there are, and how many of them were copied.

    `is_done` is set if the town is there now. `is_finished_only` is set if an earlier move had come so far that its last steps were
    left. `closed_ms` is how long writers were kept waiting.
    """

    town: str
    source: str
    target: str
    events: int
    copied: int
    position: Position
    is_done: bool
    is_finished_only: bool = False
    closed_ms: int = 0


def move_town(
    path: Path | str | None,
    url: str | None,
    *,
    actor: str | None = None,
    is_dry: bool = False,
    progress: MoveProgress | None = None,
) -> Move:
    """Move the town of the nearest folder upwards from `path` to the server or cluster at `url`, None for its own server.

    With `is_dry` nothing is changed. MoveRefusedError, LedgerDamagedError, StoreUnavailableError: the town is where it was, or the
    error says what is left to do.
    """
    if environ.get("REDIS_URL"):
        raise MoveRefusedError(
            "the environment has REDIS_URL, which goes before the folder's settings", "Unset it, and try again."
        )
    found = find(start_of_search(path))
    checked_actor = current_actor(actor)
    settings = read_settings(found.folder)
    goal = _Goal(found.folder, url)
    if goal.url == settings.redis.url:
        raise MoveRefusedError("the town is there already, by its tinytown.toml", "Name another place.")
    with ExitStack() as stack:
        ours = stack.enter_context(closing(connect(found.folder, settings, is_moving=True)))
        theirs = stack.enter_context(closing(_connect_target(found.folder, settings, url)))
        stack.enter_context(goal)
        source, target = (_Place(each, settings, found.folder, checked_actor) for each in (ours, theirs))
        moving = _Moving(source, target, goal, settings.redis.url, progress)
        return moving.look() if is_dry else moving.run()


def _place_words(folder: Path, url: str | None) -> str:
    """A place of the town as notes and people have it."""
    return f"its own server in {folder}" if url is None else shown_url(url)


class _Goal(AbstractContextManager[None]):
    """The place that the user named. What was allowed for it is taken back at an error, unless the town has left for it."""

    def __init__(self, folder: Path, url: str | None) -> None:
        self.url: str | None = None
        self._password: str | None = None
        if url is not None:
            self.url, self._password = split_password(url)
        self.full_url = url
        self.words = _place_words(folder, self.url)
        self.folder = folder
        self._undo = Undo()

    def __exit__(self, kind: object, error: object, trace: object) -> None:
        if kind is not None:
            self._undo.take_back()

    def allow(self) -> None:
        """Let this user's commands in the folder connect there, with the password that was given."""
        if self.url is None:
            return
        if self._password is not None:
            keep_password(self.url, self._password, self._undo)
        grant = connection_grant(self.folder, self.url)
        if not is_granted(grant):
            self._undo.add(grant.path, grant.path.unlink)
        allow(grant, self.folder)

    def stay_allowed(self) -> None:
        """From now on an error takes nothing back."""
        self._undo.forget()

    def switch(self, *, hash_tag: bool) -> None:
        """Let the folder's settings name it."""
        move_to_url(self.folder, self.url, hash_tag=hash_tag)

    def command(self) -> str:
        """The command that goes on with a move there."""
        return f"tt move-town {'--own-server' if self.url is None else shown_url(self.url)}"


def _connect_target(folder: Path, settings: Settings, url: str | None) -> Connection:
    """A connection to where the town goes. The form of its keys is that of a former stay there, else what the place needs."""
    if url is None:
        return _with_hash_tag(
            settings, lambda keys: connect(folder, _settings_at(settings, None, keys), is_moving=True)
        )
    return _with_hash_tag(settings, lambda keys: connect_to(url, keys))


def _with_hash_tag(settings: Settings, reach: Callable[[Keys], Connection]) -> Connection:
    plain, tagged = (Keys(settings.name, hash_tag) for hash_tag in (False, True))
    connection = reach(tagged)
    try:
        if connection.is_of_cluster() or _is_known(connection, tagged):
            return connection
    except BaseException:
        connection.close()
        raise
    connection.close()
    return reach(plain)


def _is_known(connection: Connection, keys: Keys) -> bool:
    """Whether the town was there, or is on its way there."""
    return Closing(connection.client, keys, where=connection.where).note() is not None


def _settings_at(settings: Settings, url: str | None, keys: Keys) -> Settings:
    return replace(settings, redis=RedisSettings(url=url, hash_tag=keys.hash_tag))


class _Place:
    """A server as a place of the town: its keys there, its ledger, and the door of that."""

    def __init__(self, connection: Connection, settings: Settings, folder: Path, actor: str) -> None:
        assert connection.keys is not None, "it was opened for the town"
        keys = connection.keys
        self._connection = connection
        self._replicas = settings.redis.replicas
        self.client = connection.client
        self.where = connection.where
        self.keys = keys
        self.backend = Backend(
            connection.client,
            keys,
            folder=folder,
            actor=actor,
            old_name=settings.old_name,
            alias_town=settings.town.aliases_of,
            where=connection.where,
            is_own_server=connection.server is not None,
        )
        self.store = self.backend.store
        self._connection = connection
        self.replicas_wanted = settings.redis.replicas
        self.closing = Closing(connection.client, keys, where=connection.where)

    def count_replicas(self) -> int:
        """How many replicas copy now; if the server does not say, as many as the town waits for."""
        counted = count_replicas(self._connection)
        return self.replicas_wanted if counted is None else counted

    def count_heads(self) -> int:
        with redis_errors(self.where):
            return int(self.client.hlen(self.keys.heads))  # type: ignore[arg-type]

    def wait_for_replicas(self, words: str) -> None:
        """Return once replicas have all that was written here: as many as the town asks for, at least one where there is any.

        StoreUnavailableError, which says in `words` what a failover could lose. Without events there is nothing to lose.
        """
        if self._connection.server is not None or not self.count_heads():
            return
        replicas = max(self.replicas_wanted, min(count_replicas(self._connection) or 0, 1))
        try:
            Acks(self.client, self.keys, replicas=replicas, where=self.where).confirm(None)
        except NotReplicatedError as error:
            wanted = "a replica" if replicas == 1 else f"{replicas} replicas"
            raise StoreUnavailableError(
                self.where,
                f"{words}, and it is not known that {wanted} would know it after a failover",
                "Give the same command again once replicas follow.",
            ) from error

    def is_taken(self) -> bool:
        """Whether there is a town of that name."""
        with redis_errors(self.where):
            return bool(self.client.exists(self.keys.ledger, self.keys.heads, self.keys.checkpoint("task")))


class _Moving:
    """One move of one town."""

    def __init__(
        self, source: _Place, target: _Place, goal: _Goal, left_url: str | None, progress: MoveProgress | None
    ) -> None:
        self._source = source
        self._target = target
        self._goal = goal
        self._left_url = left_url
        self._here = _place_words(goal.folder, left_url)
        self._show = progress or (lambda *_: None)
        self._holder = new_holder()
        self._lease = Lease(source.client, source.keys, holder=self._holder, name=LEASE_NAME, where=source.where)
        self._chain = Chain()
        self._copied = 0
        self._move = new_command_id()

    def look(self) -> Move:
        """What `run` would do."""
        noted = self._source.closing.note()
        if noted is not None and noted.state is not MoveState.MOVING:
            self._require_same_place(noted)
            return self._report(self._target.store.end(), is_finished_only=True)
        self._refuse_too_few_replicas()
        self._check_target(self._target.closing.note())
        end = self._source.store.end()
        return replace(self._report(end), copied=end.seq - self._chain.position.seq)

    def run(self) -> Move:
        """Move the town, or do what is left of a move that was cut off."""
        self._hold()
        try:
            self._refuse_same_place()
            noted = self._source.closing.note()
            if noted is not None and noted.state is MoveState.MOVING:
                # Whoever wrote it holds no lease any more.
                self._source.closing.change(noted, None, Door.OPEN)
            elif noted is not None:
                self._require_same_place(noted)
                return self._finish(noted)
            return self._carry_out()
        finally:
            with suppress(LedgerError):
                self._lease.give_up()

    # --- the steps ---------------------------------------------------------------------------------------------------

    def _carry_out(self) -> Move:
        self._refuse_runs()
        self._refuse_too_few_replicas()
        found = self._target.closing.note()
        self._check_target(found)
        arriving = MoveNote(MoveState.ARRIVING, self._here, self._move)
        self._target.closing.change(found, arriving, Door.CLOSED)
        self._copy_most()
        self._prove()
        self._copy_most()
        # Before writers have to wait for it.
        self._target.wait_for_replicas(_COPIED)
        self._refuse_runs()
        self._goal.allow()
        began = time.monotonic()
        left = self._leave(arriving)
        closed_ms = round((time.monotonic() - began) * 1_000)
        return replace(self._finish(left), closed_ms=closed_ms, copied=self._copied, is_finished_only=False)

    def _leave(self, arriving: MoveNote) -> MoveNote:
        """Close the ledger, copy the rest, and let the town be at the new place from then on; returns the note that says so."""
        closing, copied = self._source.closing, self._chain.position
        moving = MoveNote(
            MoveState.MOVING, self._goal.words, self._move, until_ms=closing.now_ms() + CLOSED_SECONDS_MAX * 1_000
        )
        moved = replace(moving, state=MoveState.MOVED, until_ms=0)
        try:
            end = closing.change(None, moving, Door.CLOSED)
            self._copy(goal=end.seq)
            self._compare_ends(copied, end)
            self._target.wait_for_replicas(_COPIED)
            self._require_arriving(arriving)
            # From here on, and not before, the town is there.
            closing.change(moving, moved, Door.SEALED, end=end)
        except BaseException as error:
            if not (isinstance(error, StoreUnavailableError) and self._has_left(moved)):
                with suppress(LedgerError):
                    closing.change(moving, None, Door.OPEN)
                raise
        return moved

    def _finish(self, moved: MoveNote) -> Move:
        """Open the ledger at the new place, and let the folder name that. Each step may have been done already."""
        self._require_left(moved)
        self._goal.stay_allowed()
        try:
            self._copy_again(moved)
            self._open_target(moved)
            self._target.wait_for_replicas("has the town, and its ledger was opened")
            self._goal.allow()
            self._goal.switch(hash_tag=self._target.keys.hash_tag)
        except BaseException as error:
            error.add_note(f"The town has left; `{self._goal.command()}`, given again, finishes the move.")
            raise
        with suppress(LedgerError):
            # The last events, for those who read the keys themselves. The next command would do it, too.
            self._target.backend.upkeep.catch_up()
        list_town(self._goal.full_url, self._target.keys)
        unlist_town(self._left_url, self._source.keys)
        return replace(self._report(self._target.store.end(), is_finished_only=True), is_done=True)

    def _require_left(self, moved: MoveNote) -> None:
        """LedgerClosedError if a failover has taken the last step at the old place, or StoreUnavailableError if one still could."""
        self._source.wait_for_replicas(f"has the town no longer, which is at {moved.place}")
        if self._source.closing.note() != moved:
            raise LedgerClosedError(
                self._source.where,
                "has lost the end of the move in a failover",
                "The town is there as before: try again.",
            )

    def _copy_again(self, moved: MoveNote) -> None:
        """Copy what a failover of the new place has taken since. It is all where the town was."""
        if next(self._source.store.read_entries(self._target.store.look_at_end()[0], limit=1), None) is None:
            return
        found = self._target.closing.note()
        self._chain = Chain()
        self._check_target(found)
        self._target.closing.change(found, MoveNote(MoveState.ARRIVING, self._here, moved.move), Door.CLOSED)
        self._copy()
        self._target.wait_for_replicas(_COPIED)

    def _open_target(self, moved: MoveNote) -> None:
        note = self._target.closing.note()
        if note is not None and (note.move, note.state) == (moved.move, MoveState.ARRIVING):
            self._target.closing.change(note, None, Door.OPEN)
        elif note is not None:
            raise closed_error(self._target.where, note)

    # --- copying and comparing -------------------------------------------------------------------------------------------

    def _check_target(self, note: MoveNote | None) -> None:
        """Follow what the target has of this very ledger. MoveRefusedError if it has anything else."""
        if note is None and self._target.is_taken():
            raise MoveRefusedError(
                f"{self._target.where} has a town called {self._target.keys.town!r} already",
                "Name another place, or `tt init` a folder for that town.",
            )
        for ours, theirs in self._side_by_side(BEGINNING):
            if ours[: len(theirs)] != theirs:
                at = next(
                    (mine or other for mine, other in zip_longest(ours, theirs) if mine != other and other is not None)
                )
                raise MoveRefusedError(
                    f"{self._target.where} has another event at {at[0].decode(errors='replace')}"
                    if note is None or note.state is not MoveState.MOVED
                    else f"what the town left at {self._target.where} is not the beginning of it any more,"
                    f" from {at[0].decode(errors='replace')} on",
                    "Name another place.",
                )
            self._chain.follow(theirs)

    def _side_by_side(self, after: Position) -> Iterator[tuple[list[StreamEntry], list[StreamEntry]]]:
        """The entries of both places after a position, batch by batch, as far as the target has any."""
        ours = self._source.store.read_entries(after, limit=_COPY_EVENTS)
        for theirs in self._target.store.read_entries(after, limit=_COPY_EVENTS):
            yield next(ours, []), theirs

    def _copy_most(self) -> None:
        """Copy until few events come while the last ones are copied."""
        for _ in range(ROUNDS_MAX):
            if self._copy(goal=self._source.store.end().seq) <= _FEW_EVENTS:
                return

    def _copy(self, *, goal: int = 0) -> int:
        """Copy what the source has and the target has not; returns how many events that was. `goal` is shown to people."""
        copier = Copier(self._target.client, self._target.keys, chain=self._chain, where=self._target.where)
        first = self._chain.position.seq

        def batches() -> Iterator[list[StreamEntry]]:
            for entries in self._source.store.read_entries(self._chain.position, limit=_COPY_EVENTS):
                yield entries
                self._hold()
                self._show("Copying", self._chain.position.seq, max(goal, self._chain.position.seq))

        copier.copy_batches(batches())
        count = self._chain.position.seq - first
        self._copied += count
        return count

    def _prove(self) -> None:
        """Project what was copied, and hold it against the ledger. LedgerDamagedError if anything is not as it should be."""
        upkeep = self._target.backend.upkeep
        upkeep.progress = lambda reached, goal: self._show("Projecting", reached.seq, goal.seq)
        if upkeep.find_outdated() is not None:
            upkeep.rebuild()
        upkeep.catch_up()
        findings = self._findings(self._target)
        if findings:
            # Something else may have written to what an earlier stay has left.
            upkeep.rebuild()
            # A damaged task is damaged at both places.
            findings = self._findings(self._target) - self._findings(self._source)
        if findings:
            found = next(iter(findings))
            raise LedgerDamagedError(
                f"The town was not moved, and is where it was: its copy at {self._target.where} is not right. {found[0]}: {found[1]}"
            )

    def _findings(self, place: _Place) -> set[tuple[str, str]]:
        def show(position: Position) -> None:
            self._hold()
            self._show("Verifying", position.seq, max(self._chain.position.seq, position.seq))

        found = place.backend.upkeep.verify(progress=show).findings
        return {(each.where.replace(place.keys.prefix, ""), each.problem) for each in found}

    def _compare_ends(self, copied: Position, end: Position) -> None:
        """Hold what was copied while the ledger was closed against it, and both places' sizes. LedgerDamagedError."""
        are_equal = all(ours == theirs for ours, theirs in self._side_by_side(copied))
        sizes = [(place.store.end(), place.count_heads()) for place in (self._source, self._target)]
        if not (are_equal and sizes[0] == sizes[1] and sizes[0][0] == end == self._chain.position):
            raise LedgerDamagedError(
                f"The town was not moved, and is where it was: its copy at {self._target.where} is not the same ledger."
                " Something else writes there: find out what, and move it again."
            )

    # --- what keeps a town from moving ----------------------------------------------------------------------------------

    def _hold(self) -> None:
        if not self._lease.take():
            raise MoveRefusedError("another `tt move-town` is at work on it", "Wait for it, and try again.")

    def _refuse_runs(self) -> None:
        """MoveRefusedError if a runner is at work: it would not find the town again when its task is done."""
        self._source.backend.upkeep.catch_up()
        if look_for_lost(self._source.backend).ends_in_ms is not None:
            raise MoveRefusedError(
                "a runner is at work on one of its tasks, and would lose sight of it",
                "Stop `tt work`, or wait until it is done, and try again.",
            )

    def _refuse_too_few_replicas(self) -> None:
        """MoveRefusedError if every command at the new place would wait in vain."""
        wanted, there = self._target.replicas_wanted, self._target.count_replicas()
        if there < wanted:
            raise MoveRefusedError(
                f"its commands wait for {'1 replica' if wanted == 1 else f'{wanted} replicas'}, by `acks` in [redis], and"
                f" {self._goal.words} has {there or 'none'}",
                'Set `acks = "local"` in its tinytown.toml, or name a place with replicas.',
            )

    def _refuse_same_place(self) -> None:
        """MoveRefusedError if both places are one: then our lease is at both."""
        key = self._target.keys.lease(LEASE_NAME)
        with redis_errors(self._target.where, key=key):
            holder = self._target.client.get(key)
        if holder == self._holder.encode():
            raise MoveRefusedError(f"{self._goal.words} is the place where it is", "Name another one.")

    def _require_same_place(self, noted: MoveNote) -> None:
        if noted.state is MoveState.ARRIVING or noted.place != self._goal.words:
            raise closed_error(self._source.where, noted)

    def _require_arriving(self, arriving: MoveNote) -> None:
        """LedgerClosedError if the copy is not ours any more."""
        note = self._target.closing.note()
        if note != arriving:
            raise LedgerClosedError(self._target.where, "has a copy that another move has begun since", "Try again.")

    def _has_left(self, moved: MoveNote) -> bool:
        """Whether the last step was carried out, whose reply was lost. If it cannot be known now, the next move finds out."""
        with suppress(LedgerError):
            return self._source.closing.note() == moved
        return False

    def _report(self, end: Position, *, is_finished_only: bool = False) -> Move:
        return Move(
            town=self._source.keys.town,
            source=self._here,
            target=self._goal.words,
            events=end.seq,
            copied=0,
            position=end,
            is_done=False,
            is_finished_only=is_finished_only,
        )
