"""Checkpoints: how far each projection has come, in which schema version and generation."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from typing import TYPE_CHECKING, Final, cast

from msgspec import Struct

from ledger import BEGINNING, Keys, LedgerDamagedError, Position, WatchError, kinds_of, raise_error, redis_errors
from projections import snapshots
from projections.errors import (
    CheckpointMismatchError,
    NewerProjectionError,
    OutdatedProjectionError,
    RebuildUnfinishedError,
)
from projections.views.view import View

if TYPE_CHECKING:
    from redis import Redis
    from redis.client import Pipeline

REBUILD_ONLINE: Final = "online"
REBUILD_FENCED: Final = "fenced"
FIELDS: Final = ("position", "schema_version", "generation", "rebuild", "accepted_loss", "lost_events", "views")


class Checkpoint(Struct, frozen=True, kw_only=True):
    """How far a projection has come. A rebuild that keeps other projectors out raises `generation`.

    `rebuild` is set during a rebuild: `online` if others may project meanwhile, `fenced` if they may not.
    """

    position: Position
    schema_version: int
    generation: int = 0
    rebuild: str | None = None
    accepted_loss: str | None = None
    """The position of the last append when a rebuild was told to accept losses."""
    lost_events: int = 0
    """How many events that rebuild was told to accept as lost."""
    views: str | None = None
    """The names of all projected views, in the snapshots' checkpoint only. An older program may not know them all."""

    def accepts(self, lost_events: int) -> bool:
        """Whether the running rebuild was told to accept the loss of this many events."""
        return self.rebuild == REBUILD_FENCED and self.accepted_loss is not None and lost_events <= self.lost_events


class Checkpoints:
    """The checkpoints of one town's snapshots and `views`; the snapshots' comes first."""

    def __init__(self, client: Redis, keys: Keys, views: Sequence[View], *, where: str = "redis") -> None:
        self._client = client
        self._where = where
        self._ledger = keys.ledger
        self.projections = [(snapshots.NAME, snapshots.SCHEMA_VERSION)]
        self.projections += [(view.name, view.schema_version) for view in views]
        self.keys = [keys.checkpoint(name) for name, _ in self.projections]
        self.views = " ".join(view.name for view in views)
        """As `Checkpoint.views`, for this program."""

    def read(self) -> list[Checkpoint | None]:
        """The stored checkpoints; None for one that was never written or cannot be read. Source: HMGET."""
        with redis_errors(self._where):
            # One transaction: with a commit between two replies, the checkpoints would seem to differ.
            pipeline = self._client.pipeline(transaction=True)
            for key in self.keys:
                pipeline.hmget(key, list(FIELDS))
            replies = pipeline.execute(raise_on_error=False)
            raise_error(replies, but="WRONGTYPE")
        return [None if isinstance(reply, Exception) else parse_checkpoint(reply) for reply in replies]

    def read_sound(self, *, is_fenced_too: bool = False) -> list[Checkpoint]:
        """As `read`, all at one position and of this program's schema versions.

        NewerProjectionError, OutdatedProjectionError, CheckpointMismatchError; RebuildUnfinishedError if a rebuild
        keeps others out.
        """
        return self.sound(self.read(), is_fenced_too=is_fenced_too)

    def sound(self, stored: Sequence[Checkpoint | None], *, is_fenced_too: bool = False) -> list[Checkpoint]:
        """Check `stored`, as `read` returns it, for `read_sound`; the same errors. Pure."""
        first = stored[0]
        if first is None and not any(stored):
            return [Checkpoint(position=BEGINNING, schema_version=schema) for _, schema in self.projections]
        self.check_views(first)
        if first is not None and first.rebuild == REBUILD_FENCED and not is_fenced_too:
            raise RebuildUnfinishedError(first.position)
        sound: list[Checkpoint] = []
        for (name, schema_version), checkpoint in zip(self.projections, stored, strict=True):
            if checkpoint is None or checkpoint.schema_version < schema_version:
                found = 0 if checkpoint is None else checkpoint.schema_version
                raise OutdatedProjectionError(name, schema=found, schema_known=schema_version)
            if checkpoint.schema_version > schema_version:
                raise NewerProjectionError(name, schema=checkpoint.schema_version, schema_known=schema_version)
            sound.append(checkpoint)
        for (name, _), checkpoint in zip(self.projections, sound, strict=True):
            if checkpoint.position != sound[0].position:
                raise CheckpointMismatchError(name, checkpoint.position, sound[0].position)
        return sound

    def check_views(self, checkpoint: Checkpoint | None) -> None:
        """NewerProjectionError if the snapshots' checkpoint names a view that this program does not know."""
        for name in self.unknown_views(checkpoint)[:1]:
            raise NewerProjectionError(name, schema=1, schema_known=0)

    def unknown_views(self, checkpoint: Checkpoint | None) -> list[str]:
        """The projected views that this program does not know."""
        known = {name for name, _ in self.projections}
        return [] if checkpoint is None else [name for name in (checkpoint.views or "").split() if name not in known]

    def position(self) -> Position:
        """The position of the snapshots; BEGINNING if they were never written. Source: HGET."""
        try:
            with redis_errors(self._where, key=self.keys[0]):
                position = cast("bytes | None", self._client.hget(self.keys[0], "position"))
            return BEGINNING if position is None else Position.parse(position.decode())
        except (LedgerDamagedError, ValueError):
            # Something else wrote it, so it counts as missing.
            return BEGINNING

    def mark_rebuild(self, mark: str | None) -> None:
        """Record that a rebuild is running, or (None) that it is over. Source: HSET, HDEL."""
        with redis_errors(self._where):
            if mark is None:
                self._client.hdel(self.keys[0], "rebuild")
            else:
                self._client.hset(self.keys[0], "rebuild", mark)

    def fence(
        self, seen: Sequence[Checkpoint | None], position: Position, *, accepted_events: int | None = None
    ) -> bool:
        """Set every checkpoint to `position` in a new generation and mark the rebuild; False if they are not as `seen`.

        Nor is anything set if the ledger has never been at `position`: then it was read from a server that another one has replaced.
        `accepted_events` is how many lost events the rebuild was told to accept; None if it was not told to accept any.
        After that no other projector commits until the mark is gone. Source: WATCH, XRANGE, XINFO; MULTI, HSET, EXEC.
        """
        generation = 1 + max((checkpoint.generation for checkpoint in seen if checkpoint is not None), default=0)
        with (
            suppress(*kinds_of(WatchError)),
            redis_errors(self._where),
            self._client.pipeline(transaction=True) as pipeline,
        ):
            pipeline.watch(*self.keys)  # type: ignore[no-untyped-call]
            # On the same connection: what comes after a failover is refused because of the WATCH.
            if self.read() != list(seen) or not self._was_reached(pipeline, position):
                return False
            pipeline.multi()
            for key, (_, schema_version) in zip(self.keys, self.projections, strict=True):
                # Whatever is there, even a key of another type.
                pipeline.delete(key)
                fields = {"position": position, "schema_version": schema_version, "generation": generation}
                pipeline.hset(key, mapping=fields)
            pipeline.hset(self.keys[0], mapping={"rebuild": REBUILD_FENCED, "views": self.views})
            if accepted_events is not None:
                pipeline.hset(self.keys[0], mapping={"accepted_loss": position, "lost_events": accepted_events})
            pipeline.execute()
            return True
        return False

    def _was_reached(self, pipeline: Pipeline, position: Position) -> bool:
        """Whether there is an event at `position`, or was as the last one."""
        if position == BEGINNING or pipeline.xrange(self._ledger, position, position):
            return True
        if not pipeline.exists(self._ledger):
            return False
        found = cast("dict[str, bytes]", pipeline.xinfo_stream(self._ledger))
        return found["last-generated-id"] == position.encode()


def parse_checkpoint(fields: Sequence[bytes | None]) -> Checkpoint | None:
    """The checkpoint with these values of `FIELDS` (None: missing); None if they make no checkpoint. Pure."""
    position, schema_version, generation, rebuild, accepted_loss, lost_events, views = fields
    if position is None or schema_version is None:
        return None
    try:
        return Checkpoint(
            position=Position.parse(position.decode()),
            schema_version=int(schema_version),
            generation=0 if generation is None else _parse_generation(generation),
            rebuild=None if rebuild is None else rebuild.decode(),
            accepted_loss=None if accepted_loss is None else accepted_loss.decode(),
            lost_events=int(lost_events or 0),
            views=None if views is None else views.decode(),
        )
    except ValueError:
        # Something else wrote it, so it counts as missing.
        return None


def _parse_generation(text: bytes) -> int:
    """The generation; ValueError if its text is not as a projector writes it, because then no commit would ever match it."""
    generation = int(text)
    if b"%d" % generation != text:
        raise ValueError(f"not a generation: {text!r}")
    return generation
