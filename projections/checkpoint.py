"""Checkpoints: how far each projection has come, by which schema version, and in which generation."""

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

REBUILD_ONLINE: Final = "online"
REBUILD_FENCED: Final = "fenced"
FIELDS: Final = ("position", "schema_version", "generation", "rebuild", "accepted_loss", "lost_events", "views")


class Checkpoint(Struct, frozen=True, kw_only=True):
    """Where a projection stands. `generation` is raised by a rebuild that keeps other projectors out.

    `rebuild` is set while a rebuild is at work: `online` where others may project meanwhile, `fenced` where they may not.
    """

    position: Position
    schema_version: int
    generation: int = 0
    rebuild: str | None = None
    accepted_loss: str | None = None
    """Where a rebuild that was told to accept losses ended: the position that the last append gave."""
    lost_events: int = 0
    """How many events that rebuild was told to accept as lost."""
    views: str | None = None
    """The names of all views that are projected, in the snapshots' checkpoint: an older program may not know them all."""

    def accepts(self, lost_events: int) -> bool:
        """Whether the rebuild that is at work was told to build what is left of a ledger that has lost so many events."""
        return self.rebuild == REBUILD_FENCED and self.accepted_loss is not None and lost_events <= self.lost_events


class Checkpoints:
    """The checkpoints of one town's snapshots and `views`; the snapshots' comes first."""

    def __init__(self, client: Redis, keys: Keys, views: Sequence[View], *, where: str = "redis") -> None:
        self._client = client
        self._where = where
        self.projections = [(snapshots.NAME, snapshots.SCHEMA_VERSION)]
        self.projections += [(view.name, view.schema_version) for view in views]
        self.keys = [keys.checkpoint(name) for name, _ in self.projections]
        self.views = " ".join(view.name for view in views)
        """As `Checkpoint.views`, for this program."""

    def read(self) -> list[Checkpoint | None]:
        """As they are stored, None for one that was never written or that is none. Source: HMGET."""
        with redis_errors(self._where):
            # One transaction: a commit between two replies would look like projections out of step.
            pipeline = self._client.pipeline(transaction=True)
            for key in self.keys:
                pipeline.hmget(key, list(FIELDS))
            replies = pipeline.execute(raise_on_error=False)
            raise_error(replies, but="WRONGTYPE")
        return [None if isinstance(reply, Exception) else parse_checkpoint(reply) for reply in replies]

    def read_sound(self, *, is_fenced_too: bool = False) -> list[Checkpoint]:
        """As `read`, all at one position and of this program's schema versions.

        NewerProjectionError, OutdatedProjectionError, CheckpointMismatchError; RebuildUnfinishedError where a rebuild
        keeps others out.
        """
        return self.sound(self.read(), is_fenced_too=is_fenced_too)

    def sound(self, stored: Sequence[Checkpoint | None], *, is_fenced_too: bool = False) -> list[Checkpoint]:
        """`stored`, as `read` gives it, where it is as for `read_sound`; the same errors. Pure."""
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
        """That the snapshots' checkpoint names no view of a newer program. NewerProjectionError."""
        for name in self.unknown_views(checkpoint)[:1]:
            raise NewerProjectionError(name, schema=1, schema_known=0)

    def unknown_views(self, checkpoint: Checkpoint | None) -> list[str]:
        """The views that are projected and that this program does not know."""
        known = {name for name, _ in self.projections}
        return [] if checkpoint is None else [name for name in (checkpoint.views or "").split() if name not in known]

    def position(self) -> Position:
        """Where the snapshots stand; BEGINNING where they were never written. Source: HGET."""
        try:
            with redis_errors(self._where, key=self.keys[0]):
                position = cast("bytes | None", self._client.hget(self.keys[0], "position"))
            return BEGINNING if position is None else Position.parse(position.decode())
        except (LedgerDamagedError, ValueError):
            # Something else wrote it: that is as good as none.
            return BEGINNING

    def mark_rebuild(self, mark: str | None) -> None:
        """Write down that a rebuild is at work, or (None) that it is over. Source: HSET, HDEL."""
        with redis_errors(self._where):
            if mark is None:
                self._client.hdel(self.keys[0], "rebuild")
            else:
                self._client.hset(self.keys[0], "rebuild", mark)

    def fence(
        self, seen: Sequence[Checkpoint | None], position: Position, *, accepted_events: int | None = None
    ) -> bool:
        """Set every checkpoint to `position` in a new generation and mark the rebuild; False where they are not as `seen`.

        `accepted_events` is how many events it was told to accept as lost; None where nobody asked for that.
        From then on no other projector commits until the mark is gone. Source: WATCH, MULTI, HSET, EXEC.
        """
        generation = 1 + max((checkpoint.generation for checkpoint in seen if checkpoint is not None), default=0)
        with (
            suppress(*kinds_of(WatchError)),
            redis_errors(self._where),
            self._client.pipeline(transaction=True) as pipeline,
        ):
            pipeline.watch(*self.keys)  # type: ignore[no-untyped-call]
            if self.read() != list(seen):
                return False
            pipeline.multi()
            for key, (_, schema_version) in zip(self.keys, self.projections, strict=True):
                # Whatever is there, also of another type.
                pipeline.delete(key)
                fields = {"position": position, "schema_version": schema_version, "generation": generation}
                pipeline.hset(key, mapping=fields)
            pipeline.hset(self.keys[0], mapping={"rebuild": REBUILD_FENCED, "views": self.views})
            if accepted_events is not None:
                pipeline.hset(self.keys[0], mapping={"accepted_loss": position, "lost_events": accepted_events})
            pipeline.execute()
            return True
        return False


def parse_checkpoint(fields: Sequence[bytes | None]) -> Checkpoint | None:
    """The checkpoint with the values of `FIELDS`, None for one that is not there; None where these make no checkpoint. Pure."""
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
        # Something else wrote it: that is as good as none.
        return None


def _parse_generation(text: bytes) -> int:
    """ValueError where it is not as a projector writes it: no commit would ever find the generation that it read."""
    generation = int(text)
    if b"%d" % generation != text:
        raise ValueError(f"not a generation: {text!r}")
    return generation
