"""Forking: a new town that begins with the events of another one, byte for byte and at their positions, and goes on from there.

The ledger is written beside its place and put there whole, and `tinytown.toml` comes last. So a crash leaves no town: what lies
there is cleared away, or finished, by the next fork of that name.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from os import environ, fsencode
from pathlib import Path
from typing import Final
from urllib.parse import quote

from msgspec import Struct
from msgspec.structs import replace

from ledger import (
    BEGINNING,
    TOWN_ID,
    EventStore,
    Keys,
    LedgerError,
    NewEvent,
    Placing,
    Position,
    SequenceGapError,
    StagedLedger,
    TownForked,
    check_town_name,
    decode_events,
    new_command_id,
    redis_errors,
)
from projections import Lease, new_holder
from town.backend import Backend
from town.errors import ForkRefusedError
from town.folder.settings import SOCKET_FILE, RedisSettings, Settings, TownSettings, current_folder
from town.founding import Origin, make_town
from town.opening import OpenTown
from town.server.connection import Connection
from town.server.socket_path import ADDRESS_BYTES_MAX

LEASE_NAME: Final = "fork"
_COPY_EVENTS: Final = 500
_KEYS_PER_SCAN: Final = 1_000

ForkProgress = Callable[[Position, Position], None]
"""Called with the position that was copied last, and the one that it goes for."""


class ForkedTown(Struct, frozen=True):
    """A town that was made from another one: the last position they share, and that of its first own event.

    `was_unfinished`: an earlier fork of that name had left something, which was cleared away or finished.
    """

    opened: OpenTown
    position: Position
    forked_at: Position
    was_unfinished: bool


def fork_town(
    source: OpenTown,
    name: str,
    position: Position,
    *,
    folder: Path | None = None,
    progress: ForkProgress | None = None,
) -> ForkedTown:
    """Make the town `name`, which begins with the events of `source` up to `position`.

    Without `folder` it is on the server of `source`, and its folder is `name` in the current one; with `folder` it has a server
    of its own there. ForkRefusedError, FolderRefusedError, LedgerDamagedError, StoreUnavailableError: nothing was made.
    """
    check_town_name(name)
    if position == BEGINNING:
        raise ForkRefusedError(name, "the town has no events at that moment", "`tt events` shows the first ones.")
    copying = _Copying(source.backend, name, position, progress)
    place = current_folder() / name if folder is None else folder
    settings = source.settings
    origin = Origin(
        settings=replace(
            settings,
            redis=RedisSettings(hash_tag=settings.redis.hash_tag),
            town=TownSettings(aliases_of=source.backend.alias_town),
        ),
        fill=copying.fill,
        take_back=copying.take_back,
    )
    url = _url_of(source, name) if folder is None else None
    made = make_town(place, name=name, url=url, is_here=True, origin=origin)
    copying.finish()
    opened = OpenTown(made.connection, found=made.found, settings=made.settings, actor=source.backend.actor)
    opened.backend.receipts.begin_at(copying.forked_at)
    return ForkedTown(opened, position, copying.forked_at, copying.was_unfinished)


class _Copying:
    """Writes the ledger of one fork."""

    def __init__(self, source: Backend, name: str, position: Position, progress: ForkProgress | None) -> None:
        self._source = source
        self._name = name
        self._position = position
        self._progress = progress
        self._staged: StagedLedger | None = None
        self._place: EventStore | None = None
        self._command = new_command_id()
        self.forked_at = BEGINNING
        self.was_unfinished = False

    def fill(self, connection: Connection, settings: Settings) -> None:
        """Write the whole ledger. ForkRefusedError if something is in its place."""
        client, where = connection.client, connection.where
        keys = Keys(settings.name, settings.redis.hash_tag)
        lease = Lease(client, keys, holder=new_holder(), name=LEASE_NAME, where=where)
        self._hold(lease)
        try:
            staged = StagedLedger(client, keys, where=where)
            self.was_unfinished = staged.was_begun()
            store = self._place = EventStore(client, keys, where=where)
            if not (self.was_unfinished and self._is_placed_already(store)):
                self._refuse_occupied(connection, keys, staged)
                self._staged = staged
                staged.begin()
                self._copy(staged, lease)
            else:
                self._staged = staged
        finally:
            with suppress(LedgerError):
                lease.give_up()

    def take_back(self) -> None:
        """Delete what was written. If the server does not allow it, the next fork of that name does it."""
        if self._staged is None or self._place is None:
            return
        with suppress(LedgerError):
            # That it was put into its place may be told by the server alone: a reply can be lost.
            last = self._place.read_back(limit=1)
            is_placed = bool(last) and last[0].command == self._command
            (self._staged.withdraw if is_placed else self._staged.clear)()

    def finish(self) -> None:
        """Say that the town is whole. Where that fails, nothing of it is lost."""
        with suppress(LedgerError):
            if self._staged is not None:
                self._staged.clear()

    def _copy(self, staged: StagedLedger, lease: Lease) -> None:
        reached = BEGINNING
        for entries in self._source.store.read_entries(upto=self._position, limit=_COPY_EVENTS):
            # An event that this program does not know is not copied.
            decode_events(entries)
            reached = staged.add(entries)
            self._hold(lease)
            if self._progress is not None:
                self._progress(reached, self._position)
        if reached != self._position:
            raise SequenceGapError("sequence number", reached, expected=self._position.seq, found=reached.seq)
        self.forked_at = staged.append(
            NewEvent(
                task=TOWN_ID,
                version=staged.version(TOWN_ID) + 1,
                actor=self._source.actor,
                command=self._command,
                data=TownForked(source=self._source.name, position=self._position),
            )
        )
        placing = staged.place(self.forked_at)
        if placing is Placing.OCCUPIED:
            raise ForkRefusedError(
                self._name, "somebody else has just made a town of that name", "Choose another name."
            )
        if placing is Placing.CHANGED:
            raise ForkRefusedError(self._name, "something else wrote what was copied", "Try again.")

    def _is_placed_already(self, store: EventStore) -> bool:
        """Whether an earlier fork had come as far as to put this very ledger into its place, and no one has used it."""
        last = store.read_back(limit=1)
        if not last or last[0].data != TownForked(source=self._source.name, position=self._position):
            return False
        self.forked_at, self._command = last[0].position, last[0].command
        return True

    def _refuse_occupied(self, connection: Connection, keys: Keys, staged: StagedLedger) -> None:
        """ForkRefusedError if the server has any key of a town of that name. Source: SCAN."""
        ours = {*staged.keys, keys.lease(LEASE_NAME)}
        with redis_errors(connection.where):
            for key in connection.client.scan_iter(match=f"{keys.prefix}:*", count=_KEYS_PER_SCAN):
                if key.decode(errors="replace") not in ours:
                    problem = f"the server at {connection.where} has a key {key.decode(errors='replace')} already"
                    raise ForkRefusedError(self._name, problem, self._advice(EventStore(connection.client, keys)))

    def _advice(self, store: EventStore) -> str:
        last = store.read_back(limit=1) if self.was_unfinished else []
        if last and isinstance(last[0].data, TownForked) and last[0].data.source == self._source.name:
            position = last[0].data.position
            return f"It is of a fork that was not finished: finish it with --at {position}, or choose another name."
        return "Choose another name."

    def _hold(self, lease: Lease) -> None:
        if not lease.take():
            raise ForkRefusedError(self._name, "another `tt fork` is at work on it", "Wait for it, and try again.")


def _url_of(source: OpenTown, name: str) -> str | None:
    """The URL of the server of `source`, as seen from another folder; None if REDIS_URL names it already."""
    if environ.get("REDIS_URL"):
        return None
    if source.connection.server is None:
        return source.settings.redis.url
    socket = source.backend.folder / SOCKET_FILE
    if len(fsencode(socket)) > ADDRESS_BYTES_MAX:
        problem = f"the town's own server, at {socket}, lies too deep to be reached from another folder"
        raise ForkRefusedError(
            name, problem, "Name a folder for the fork with --folder PATH: it has a server of its own."
        )
    return f"unix://{quote(str(socket))}"
