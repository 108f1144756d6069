"""`runs.lua`, typed."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, NamedTuple

from ledger import Keys, State, StreamEntry, UnfitReplyError, are_entries, script_source
from projections.views.by_state import ByState
from projections.views.counts import Counts

if TYPE_CHECKING:
    from redis import Redis

RUNS_PER_LOOK: Final = 1_000
"""About how many running tasks one call looks at."""
EVENTS_BACK_MAX: Final = 10_000
"""How many events one call looks through, from the last ones of tasks back to their starts. Notes and tags come in between."""
FIRST_CURSOR: Final = "0"


class LostSeen(NamedTuple):
    """A running task whose run has no heartbeat, as the server holds it.

    `head` is that of the task. `snapshot` is empty if its key is free, None if the key is not a string. `start` is the event
    that started it.
    """

    head: bytes
    snapshot: bytes | None
    start: StreamEntry


class RunsSeen(NamedTuple):
    """What one look saw: lost tasks by id, and the tasks whose start it did not find.

    `cursor` is where the next look goes on, None after the last tasks. `ends_in_ms` is when the first of the heartbeats that
    beat can end; None if none beats. `now_ms` is the server's clock.
    """

    cursor: str | None
    now_ms: int
    ends_in_ms: int | None
    lost: dict[str, LostSeen]
    unknown: list[str]


class RunsScript:
    """Finds running tasks whose runner has no heartbeat."""

    def __init__(self, client: Redis) -> None:
        self._client = client

    def __call__(self, keys: Keys, *, cursor: str) -> RunsSeen | None:
        """The lost tasks among about RUNS_PER_LOOK that are running. None if the views do not hold every running task."""
        # Registered only here: few commands ask for it.
        script = self._client.register_script(script_source(__file__))
        reply = script(
            keys=[keys.ledger, keys.heads, keys.view(ByState.name, State.RUNNING), keys.view(Counts.name, "state")],
            args=[keys.task(""), keys.heartbeat(""), State.RUNNING, cursor, RUNS_PER_LOOK, EVENTS_BACK_MAX],
        )
        return None if reply == -1 else _understand(reply)


def _understand(reply: Any) -> RunsSeen:  # noqa: ANN401 - whatever the server says
    match reply:
        case [bytes(cursor), int(now_ms), int(soonest), list(lost), list(unknown)] if (
            cursor.isdigit()
            and len(lost) % 4 == 0
            and all(type(each) is bytes for each in (*lost[::4], *lost[1::4], *unknown))
            and all(type(snapshot) is bytes or snapshot == 1 for snapshot in lost[2::4])
            and are_entries(lost[3::4])
        ):
            seen = {
                task_id.decode(errors="replace"): LostSeen(
                    head, None if snapshot == 1 else snapshot, (start[0], start[1])
                )
                for task_id, head, snapshot, start in zip(lost[::4], lost[1::4], lost[2::4], lost[3::4], strict=True)
            }
            return RunsSeen(
                None if cursor == FIRST_CURSOR.encode() else cursor.decode(),
                now_ms,
                None if soonest < 0 else soonest,
                seen,
                [task_id.decode(errors="replace") for task_id in unknown],
            )
    raise UnfitReplyError("EVALSHA")
