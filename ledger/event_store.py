"""The ledger itself: append, read and history on one Redis Stream.

It keeps facts in their order and knows nothing of their meaning: `decide` makes them, `projections` reads them.
The client must not decode responses. Turn its retries off: an append that lost its reply is repeated here, and the store
looks for its own events if a guard then fails.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import islice
from typing import TYPE_CHECKING, Any, Final, NamedTuple, cast

from ledger.client_errors import UnfitReplyError
from ledger.errors import (
    AppendTooLargeError,
    BackdateRefusedError,
    BasisDisturbedError,
    EventDecodingError,
    EventsLostError,
    HistoryBrokenError,
    HistoryCircularError,
    LedgerDamagedError,
    ReplyTooLargeError,
    SequenceGapError,
    StoreUnavailableError,
    WrongExpectedVersionError,
)
from ledger.events import Event
from ledger.exchange import exchange, raise_error
from ledger.keys import Keys
from ledger.lua import (
    Appended,
    AppendReply,
    AppendScript,
    Backdated,
    Closed,
    Conflict,
    Disturbed,
    Forgotten,
    HistoryPage,
    HistoryScript,
    HistoryStatus,
)
from ledger.position import BEGINNING, Position, ms_of, seq_of
from ledger.recorded_event import NewEvent, RecordedEvent, StreamEntry, decode_events, encode_event, read_event
from ledger.redis_errors import redis_errors
from ledger.reply_shapes import are_entries
from ledger.times import TIME_MS_MAX, format_ms

if TYPE_CHECKING:
    from redis import Redis
    from redis.connection import Connection

APPEND_EVENTS_MAX: Final = 100_000
APPEND_BYTES_MAX: Final = 256 * 1024 * 1024
APPEND_ATTEMPTS_MAX: Final = 3
READ_EVENTS_MAX: Final = 250
_HEADS_PER_SCAN: Final = 1_000
HISTORY_PAGE_EVENTS: Final = 500
HISTORIES_TOGETHER_MAX: Final = 1_000
"""How many tasks' histories are read at once, an event of each in a round trip."""
_FEWER: Final = 4
"""After a reply that was too large, a batch is this many times smaller."""


class Basis(NamedTuple):
    """What a decision stands on beside its own tasks: the ledger as it was at `position`.

    An append that stands on it is refused if the event there is gone, as after a failover, or if an event of one of these types
    came since. A creation disturbs it only if it puts a task below one of `parents`, or one that was there before below any:
    nothing else leads to a new task. If very many events came since, and there are such types, it counts as disturbed.
    """

    position: Position
    disturbed_by: frozenset[type[Event]] = frozenset()
    parents: frozenset[str] = frozenset()


class Receipts:
    """What this machine was told of a ledger, kept outside of it. This one keeps only the last position, in memory.

    `town` gives a store one that is kept in the user's own folder.
    """

    def __init__(self) -> None:
        self.missed: Position | None = None
        """Where the ledger ended when it was found to lack what was told; None if it lacked nothing, as far as was seen."""
        self.missing = ""
        """What it lacked then: the first position that was missed."""

    @property
    def known(self) -> str:
        """The last position that was told; empty for none. The ledger is not held against it then."""
        return ""

    @property
    def sampled(self) -> Sequence[str]:
        """Some positions that were told, the last one first. A look holds the ledger against all of them."""
        return ()

    def keep(self, first: Position, payloads: Sequence[bytes]) -> None:
        """Keep that these events, without their `prev`, are in the ledger from `first` on. Never raises."""

    def forget(self, positions: Sequence[Position]) -> None:
        """Say nothing more of these events: who appended them was told that they are lost. Never raises."""

    def renew(self) -> bool:
        """Read again what other processes of this machine were told; whether anything is another one now."""
        return False

    def found_loss(self) -> EventsLostError | None:
        """The error for what the ledger was found to lack; None if it lacked nothing, as far as was seen."""
        return None if self.missed is None else self.loss(self.missed)

    def loss(self, end: Position) -> EventsLostError:
        """The error for a ledger that ends at `end` and lacks what was told."""
        return EventsLostError(self.known, end)


_Appended = tuple[Sequence[NewEvent], list[Position]]
"""The events of an append, and their positions."""


class EventStore:
    """One town's ledger. `where` names the server in messages. Every append is kept in `receipts`, and held against them."""

    def __init__(self, client: Redis, keys: Keys, *, where: str = "redis", receipts: Receipts | None = None) -> None:
        self.receipts = receipts or Receipts()
        self._client = client
        self._keys = keys
        self._where = where
        self._append = AppendScript(client)
        self._history = HistoryScript(client)

    def append(
        self,
        events: Sequence[NewEvent],
        guards: Mapping[str, int],
        *,
        backdate_ms: int | None = None,
        basis: Basis | None = None,
    ) -> list[Position]:
        """Put 1 to APPEND_EVENTS_MAX events of one command at the end, in order, all or none; returns their positions.

        `guards` is task id -> expected version (0 = none yet). Each event's task has a guard; other tasks may have one too.
        `backdate_ms` records that time instead of the server's clock. The decision stands on `basis`, if there is one.

        WrongExpectedVersionError, BasisDisturbedError, BackdateRefusedError, AppendTooLargeError: nothing was written.
        EventsLostError: the ledger lacks what was told; nothing was written.
        StoreUnavailableError: the events may be written; read the history before you repeat it. Source: append.lua.
        """
        return self.begin_append(events, guards, backdate_ms=backdate_ms, basis=basis)()

    def append_first(self, choices: Sequence[Sequence[NewEvent]], basis: Basis) -> _Appended:
        """Append one of `choices`: the events of the first task that is still at the version before them; returns them and their positions.

        Each choice has events of one task, and none of the tasks is in two. WrongExpectedVersionError if no task is as it was;
        otherwise as `append`. Source: append.lua.
        """
        return self._begin(choices, {choice[0].task: choice[0].version - 1 for choice in choices}, basis=basis)()

    def begin_append(
        self,
        events: Sequence[NewEvent],
        guards: Mapping[str, int],
        *,
        backdate_ms: int | None = None,
        basis: Basis | None = None,
    ) -> Callable[[], list[Position]]:
        """Send an append without waiting for the reply, so that there is time for other work.

        Call the returned function: it waits for the server, and returns or raises as `append`. AppendTooLargeError: nothing
        was sent.
        """
        finish = self._begin([events], guards, backdate_ms=backdate_ms, basis=basis, takes_first=False)
        return lambda: finish()[1]

    def _begin(
        self,
        choices: Sequence[Sequence[NewEvent]],
        guards: Mapping[str, int],
        *,
        backdate_ms: int | None = None,
        basis: Basis | None = None,
        takes_first: bool = True,
    ) -> Callable[[], _Appended]:
        encoded = [(event.task, encode_event(event)) for events in choices for event in events]
        assert encoded, "an append has at least one event"
        _check_size(encoded)

        def begin() -> Callable[[], AppendReply]:
            return self._append.begin(
                ledger_key=self._keys.ledger,
                heads_key=self._keys.heads,
                guards=guards,
                events=encoded,
                backdate_ms=backdate_ms,
                basis=basis,
                takes_first=takes_first,
                known=self.receipts.known,
            )

        begun = begin()

        def finish() -> _Appended:
            events, positions = self._finish_append(choices, begin, begun, backdate_ms)
            task = events[0].task if takes_first else None
            self.receipts.keep(positions[0], [payload for of, payload in encoded if task is None or of == task])
            return events, positions

        return finish

    def read(
        self, after: Position = BEGINNING, *, upto: Position | None = None, limit: int = READ_EVENTS_MAX
    ) -> list[RecordedEvent]:
        """The next 1 to `limit` events after `after`, oldest first, at most `upto`; empty at the end. Source: XRANGE.

        `after` is the position of an event, or BEGINNING. SequenceGapError if numbers are missing.
        """
        events = self._read_page(limit, "XRANGE", self._keys.ledger, f"({after}", upto or "+")
        _check_sequence(events, after.seq + 1)
        return events

    def read_batches(
        self, after: Position = BEGINNING, *, upto: Position | None = None, limit: int = READ_EVENTS_MAX
    ) -> Iterator[list[RecordedEvent]]:
        """All events after `after`, oldest first, at most `upto`, in batches of 1 to `limit`; as `read`."""
        for entries in self.read_entries(after, upto=upto, limit=limit):
            events = self.decode(entries)
            _check_sequence(events, after.seq + 1)
            after = events[-1].position
            yield events

    def read_entries(
        self, after: Position = BEGINNING, *, upto: Position | None = None, limit: int = READ_EVENTS_MAX
    ) -> Iterator[list[StreamEntry]]:
        """As `read_batches`, undecoded: only the ids are checked, and `decode` checks the rest. Source: XRANGE."""
        return self._entries(after, limit, lambda place: ("XRANGE", self._keys.ledger, f"({place}", upto or "+"))

    def read_entries_back(
        self, before: Position, *, after: Position = BEGINNING, limit: int = READ_EVENTS_MAX
    ) -> Iterator[list[StreamEntry]]:
        """All events between `after` and `before`, newest first, in batches of 1 to `limit`, undecoded. Source: XREVRANGE.

        The event right before `before` must be there. SequenceGapError if numbers are missing; `decode` checks the rest.
        """
        batches = self._entries(
            before, limit, lambda place: ("XREVRANGE", self._keys.ledger, f"({place}", f"({after}"), is_back=True
        )
        for entries in batches:
            _check_sequence_back(entries, before)
            before = Position(entries[-1][0], "ascii")
            yield entries

    def _entries(
        self, place: Position, limit: int, command: Callable[[Position], tuple[str, ...]], *, is_back: bool = False
    ) -> Iterator[list[StreamEntry]]:
        """The entries on one side of `place`, in batches, each by the `command` for the place where it begins."""
        pool = self._client.connection_pool
        with redis_errors(self._where):
            connection = pool.get_connection()
        is_reply_due = False
        try:
            self._ask_for_batch(connection, command(place), limit)
            is_reply_due = True
            while is_reply_due:
                try:
                    with redis_errors(self._where):
                        entries = _read_entries(connection)
                except ReplyTooLargeError:
                    if limit == 1:
                        raise
                    # The client closed the connection; the next command opens it again.
                    limit = max(limit // _FEWER, 1)
                    self._ask_for_batch(connection, command(place), limit)
                    continue
                is_reply_due = len(entries) == limit
                if is_reply_due:
                    place = self._last_of(entries, place, is_back=is_back)
                    # The server gathers the next batch while this one is decoded and folded.
                    self._ask_for_batch(connection, command(place), limit)
                if entries:
                    yield entries
        finally:
            if is_reply_due:
                # A caller that stops early leaves a reply unread; the next user of the connection must not get it.
                connection.disconnect()  # type: ignore[no-untyped-call]
            pool.release(connection)

    def read_back(self, before: Position | None = None, *, limit: int = READ_EVENTS_MAX) -> list[RecordedEvent]:
        """The last 1 to `limit` events before `before` (None: the end), newest first. SequenceGapError. Source: XREVRANGE."""
        end = "+" if before is None else f"({before}"
        events = self._read_page(limit, "XREVRANGE", self._keys.ledger, end, "-")
        if events:
            first, last = events[-1].position, events[0].position
            _check_sequence(events[::-1], first.seq)
            if before is not None and last.seq != before.seq - 1:
                raise SequenceGapError("sequence number", before, expected=last.seq + 1, found=before.seq)
        return events

    def wait(self, after: Position, *, block_ms: int) -> bool:
        """Whether an event came after `after` within `block_ms`. Source: XREAD BLOCK."""
        with redis_errors(self._where):
            return bool(self._client.xread({self._keys.ledger: after}, count=1, block=block_ms))

    def end(self) -> Position:
        """The position of the last append, even if its event is gone; BEGINNING if there was none."""
        end = self.look_at_end()[0]
        self.hold_against_receipts(end)
        return end

    def look_at_end(self) -> tuple[Position, Position]:
        """The positions of the last append and of the last event that is there. They differ if the last events are lost.

        Source: XINFO.
        """
        information = self._look_at_stream()
        if information is None:
            return BEGINNING, BEGINNING
        last = information["last-entry"]
        given = Position(information["last-generated-id"], "ascii")
        if given.ms > TIME_MS_MAX:
            self._refuse_sealed()
        return given, BEGINNING if last is None else Position(last[0], "ascii")

    def hold_against_receipts(self, end: Position, *, missing: str | None = None) -> None:
        """Note in `receipts` whether a ledger that ends at `end` lacks what was told. No trip, unless it looks so.

        `missing` is the first position of `receipts.sampled` where no event is, '' if all are there, if that was asked.
        """
        receipts = self.receipts
        if missing is None:
            missing = receipts.known if _lacks(end, receipts.known) else ""
        if missing and receipts.renew():
            # Another process of this machine may have dealt with the loss.
            missing = self.find_missing()
        receipts.missing, receipts.missed = missing, end if missing else None

    def refuse_loss(self) -> None:
        """EventsLostError if the ledger was seen to lack what was told."""
        loss = self.receipts.found_loss()
        if loss is not None:
            raise loss

    def lost_at_end(self) -> SequenceGapError | None:
        """The error for lost events at the end of the ledger; None if the last event is there."""
        end, last = self.look_at_end()
        return None if last == end else SequenceGapError("last sequence number", last, expected=end.seq, found=last.seq)

    def count_lost(self) -> int:
        """How many events the stream has lost, which shows because its numbers have no gaps. Source: XINFO."""
        information = self._look_at_stream()
        if information is None:
            return 0
        return Position(information["last-generated-id"], "ascii").seq - int(information["length"])

    def history(self, task_id: str) -> list[RecordedEvent]:
        """All events of one task, oldest first; empty if the task never existed. Source: history.lua.

        HistoryBrokenError if an event is missing.
        """
        return list(self._walk_back(task_id))[::-1]

    def history_back(self, task_id: str) -> Iterator[RecordedEvent]:
        """As `history`, newest first, read only as far as the caller goes. For TOWN_ID, the town's own events."""
        return self._walk_back(task_id)

    def last_events(self, task_ids: Sequence[str], *, limit: int) -> list[list[RecordedEvent]]:
        """The last `limit` events of each of the tasks, newest first, in one round trip. HistoryBrokenError. Source: history.lua."""
        ledger_key, heads_key = self._keys.ledger, self._keys.heads
        commands = [
            self._history.command(ledger_key=ledger_key, heads_key=heads_key, task_id=task_id, limit=limit)
            for task_id in task_ids
        ]
        try:
            with redis_errors(self._where):
                replies = exchange(self._client, commands)
                raise_error(replies)
                pages = [self._history.understand(reply) for reply in replies]
        except StoreUnavailableError as error:
            # The server does not know the script yet, or it was too much at once.
            if not (error.has_refused or isinstance(error, ReplyTooLargeError)):
                raise
            return [list(islice(self._walk_back(task_id, page_events=limit), limit)) for task_id in task_ids]
        for task_id, page in zip(task_ids, pages, strict=True):
            if page.status is not HistoryStatus.PARTIAL:
                _check_whole(task_id, page)
        return [decode_events(page.entries) for page in pages]

    def histories_upto(self, ends: Mapping[str, str]) -> dict[str, list[RecordedEvent]]:
        """Task id -> its events up to the one at a position, oldest first. `ends` is task id -> that position.

        One round trip reads an event of each task, from the last to the first. If fewer tasks are left than such round trips,
        each is read alone. HistoryBrokenError, HistoryCircularError. Source: XRANGE, history.lua.
        """
        found: dict[str, list[RecordedEvent]] = {task_id: [] for task_id in ends}
        tasks = iter(ends.items())
        while waiting := dict(islice(tasks, HISTORIES_TOGETHER_MAX)):
            rounds = 1
            while waiting and rounds <= len(waiting):
                events = self._events_of(waiting)
                for task_id, recorded in zip(waiting, events, strict=True):
                    found[task_id].append(recorded)
                rounds = max(recorded.version for recorded in events) - 1
                waiting = _predecessors(waiting, events)
            for task_id, position in waiting.items():
                found[task_id] += self._walk_back(task_id, start=position)
        return {task_id: events[::-1] for task_id, events in found.items()}

    def last_event(self, task_id: str) -> RecordedEvent | None:
        """The task's last event; None if the task never existed."""
        return next(self._walk_back(task_id, page_events=1), None)

    def events_at(self, positions: Sequence[Position]) -> list[RecordedEvent]:
        """The events at exactly these positions, in one round trip. A position without an event is skipped. Source: XRANGE."""
        return self.decode(self._entries_at(positions))

    def entries_at(self, positions: Sequence[Position]) -> list[StreamEntry]:
        """As `events_at`, undecoded and unchecked: to know a ledger again by its bytes."""
        entries = self._entries_at(positions)
        self._require_entries(entries)
        return entries

    def head(self, task_id: str) -> tuple[int, Position]:
        """Version and position of the task's last event; (0, BEGINNING) if the task never existed. Source: HGET."""
        return self.heads([task_id])[0]

    def heads(self, task_ids: Sequence[str]) -> list[tuple[int, Position]]:
        """As `head`, for several tasks in one call."""
        if not task_ids:
            return []
        with redis_errors(self._where):
            values = cast("list[bytes | None]", self._client.hmget(self._keys.heads, list(task_ids)))
        return [parse_head(value) for value in values]

    def all_heads(self) -> Iterator[tuple[str, int, Position]]:
        """(task id, version, position) of every task that ever existed, as `scan_heads`. LedgerDamagedError."""
        return ((task_id, *parse_head(head)) for task_id, head in self.scan_heads())

    def scan_heads(self) -> Iterator[tuple[str, bytes]]:
        """(task id, head) of every task that ever existed, in no order; some may come twice. Source: HSCAN."""
        with redis_errors(self._where, key=self._keys.heads):
            for task_id, head in self._client.hscan_iter(self._keys.heads, count=_HEADS_PER_SCAN):
                yield task_id.decode(errors="replace"), head

    def find_tasks(self, prefix: str, *, limit: int) -> list[str]:
        """Up to `limit` ids that begin with `prefix`, in order, of all tasks that ever existed. Walks all heads: HSCAN."""
        found: set[str] = set()
        with redis_errors(self._where):
            for task_id, _ in self._client.hscan_iter(self._keys.heads, match=f"{prefix}*", count=_HEADS_PER_SCAN):
                found.add(task_id.decode(errors="replace"))
                if len(found) >= limit:
                    break
        return sorted(found)

    def position_of(self, number: int) -> Position | None:
        """The position of event `number`; None if there is no such event yet. SequenceGapError if it is missing.

        Positions begin with a time, so this is a binary search over the ledger's time span, about 40 XRANGE calls.
        """
        end = self.end()
        if not 1 <= number <= end.seq:
            return None
        low, high = self.start().ms, end.ms
        while low < high:
            middle = (low + high + 1) // 2
            first = self._first_from(middle)
            if first is not None and first.seq <= number:
                low = middle
            else:
                high = middle - 1
        position = Position.of(ms=low, seq=number)
        if not self.has(position):
            first = self._first_from(low)
            raise SequenceGapError("sequence number", first or end, expected=number, found=(first or end).seq)
        return position

    def event_at(self, position: Position) -> RecordedEvent | None:
        """The event at exactly `position`; None if there is none. EventDecodingError. Source: XRANGE."""
        with redis_errors(self._where):
            events = decode_events(self._exchange("XRANGE", self._keys.ledger, position, position))
        return events[0] if events else None

    def has(self, position: Position) -> bool:
        """Whether there is an event at exactly `position`. Source: XRANGE."""
        with redis_errors(self._where):
            return bool(self._exchange("XRANGE", self._keys.ledger, position, position))

    def find_missing(self) -> str:
        """The first of the positions of `receipts.sampled` where no event is; '' if all are there. Source: XRANGE, in one trip."""
        told = [Position(each) for each in self.receipts.sampled]
        if not told:
            return ""
        there = {str(entry_id, "ascii") for entry_id, _ in self._entries_at(told)}
        return next((each for each in told if each not in there), "")

    def end_at(self, ms: int) -> Position:
        """The position of the last event recorded at `ms` or before; BEGINNING if there is none. SequenceGapError."""
        with redis_errors(self._where):
            entries = self._exchange("XREVRANGE", self._keys.ledger, max(ms, 0), "-", "COUNT", 1)
        last = Position(entries[0][0], "ascii") if entries else BEGINNING
        following = self._first_from(max(ms, 0) + 1)
        if following is not None and following.seq != last.seq + 1:
            raise SequenceGapError("sequence number", following, expected=last.seq + 1, found=following.seq)
        return last

    def start(self) -> Position:
        """The position of the first event; BEGINNING if there is none."""
        return self._first_from(0) or BEGINNING

    def _look_at_stream(self) -> dict[str, Any] | None:
        """What the server says about the stream; None if there is none."""
        try:
            with redis_errors(self._where, key=self._keys.ledger):
                return cast("dict[str, Any]", self._client.xinfo_stream(self._keys.ledger))
        except StoreUnavailableError as error:
            if error.has_refused and "no such key" in error.problem:
                return None
            raise

    def _finish_append(
        self,
        choices: Sequence[Sequence[NewEvent]],
        begin: Callable[[], Callable[[], AppendReply]],
        begun: Callable[[], AppendReply],
        backdate_ms: int | None,
    ) -> _Appended:
        for attempt in range(1, APPEND_ATTEMPTS_MAX + 1):
            try:
                with redis_errors(self._where):
                    reply = begun()
                if isinstance(reply, Closed):
                    return self._append_when_open(choices, begin, backdate_ms)
                return self._appended(choices, reply, backdate_ms)
            except (WrongExpectedVersionError, BasisDisturbedError, BackdateRefusedError):
                # The conflict may be with our own events, from a request whose reply was lost.
                appended = self._find_appended(choices)
                if appended is None:
                    raise
                return appended
            except EventsLostError as loss:
                begun = self._begin_after(loss, begin, is_last=attempt == APPEND_ATTEMPTS_MAX)
            except StoreUnavailableError as error:
                if attempt == APPEND_ATTEMPTS_MAX or error.has_refused:
                    raise
                appended = self._find_appended(choices)
                if appended is not None:
                    return appended
                if len(choices) > 1:
                    # If the lost request still arrives after this one, it could take another choice.
                    raise
                # Not there yet. If the lost request still arrives, its guard or ours fails: they never both succeed.
                begun = begin()
        raise AssertionError("the last attempt returns or raises")

    def _begin_after(
        self, loss: EventsLostError, begin: Callable[[], Callable[[], AppendReply]], *, is_last: bool
    ) -> Callable[[], AppendReply]:
        """Send it again if another process of this machine has dealt with the loss; else raise it."""
        if is_last or not self.receipts.renew():
            raise loss
        return begin()

    def _append_when_open(
        self,
        choices: Sequence[Sequence[NewEvent]],
        begin: Callable[[], Callable[[], AppendReply]],
        backdate_ms: int | None,
    ) -> _Appended:
        """Append once the town's move is over. LedgerClosedError if it is not here then: nothing was written."""
        from ledger.closing import Closing, closed_error  # noqa: PLC0415 - towns move rarely

        # An earlier request, whose reply was lost, may have come before the move. Now that it is closed, none comes any more.
        appended = self._find_appended(choices)
        if appended is not None:
            return appended
        closing = Closing(self._client, self._keys, where=self._where)
        closing.wait_until_open()
        with redis_errors(self._where):
            reply = begin()()
        if isinstance(reply, Closed):
            raise closed_error(self._where, closing.note())
        return self._appended(choices, reply, backdate_ms)

    def _refuse_sealed(self) -> None:
        """LedgerClosedError if the town has moved; a ledger that ends so late for another reason is damaged."""
        from ledger.closing import Closing, closed_error  # noqa: PLC0415 - towns move rarely

        note = Closing(self._client, self._keys, where=self._where).note()
        if note is not None:
            raise closed_error(self._where, note)

    def _appended(
        self, choices: Sequence[Sequence[NewEvent]], reply: AppendReply, backdate_ms: int | None
    ) -> _Appended:
        assert not isinstance(reply, Closed), "the caller has looked"
        match reply:
            case Appended(ms, first_seq, chosen):
                events = choices[0] if chosen is None else next(each for each in choices if each[0].task == chosen)
                return events, [Position.of(ms=ms, seq=first_seq + index) for index in range(len(events))]
            case Conflict(task_id, expected, actual):
                raise WrongExpectedVersionError(task_id, expected=expected, actual=actual)
            case Disturbed(position):
                raise BasisDisturbedError(position)
            case Forgotten(last_position):
                self.receipts.missing, self.receipts.missed = self.receipts.known, Position(last_position)
                raise self.receipts.loss(Position(last_position))
            case Backdated(last_position):
                last = Position(last_position)
                raise BackdateRefusedError(format_ms(backdate_ms or 0), last, format_ms(last.ms))
            case damaged:
                raise LedgerDamagedError(
                    f"The stream {self._keys.ledger} holds {damaged.entries} entries and ends at {damaged.last_position},"
                    " which no append leaves: something else wrote or deleted it. Restore the data folder from a backup."
                )

    def _find_appended(self, choices: Sequence[Sequence[NewEvent]]) -> _Appended | None:
        """The choice whose events are in the ledger already, and their positions."""
        for events in choices:
            positions = self._find_positions(events)
            if positions is not None:
                return events, positions
        return None

    def _find_positions(self, events: Sequence[NewEvent]) -> list[Position] | None:
        first = events[0]
        for recorded in self._walk_back(first.task):
            if recorded.version < first.version:
                break
            if recorded.version == first.version and recorded.command == first.command:
                ms, seq = recorded.position.ms, recorded.position.seq
                positions = [Position.of(ms=ms, seq=seq + index) for index in range(len(events))]
                return positions if self._are_at(positions, events) else None
        return None

    def _are_at(self, positions: Sequence[Position], events: Sequence[NewEvent]) -> bool:
        """Whether exactly these events are there. A caller may have given its command's id to another command."""
        entries = self._entries_at(positions)
        # Only `prev` is before what was sent.
        return len(entries) == len(events) and all(
            fields[1].endswith(encode_event(event)[1:]) for (_, fields), event in zip(entries, events, strict=True)
        )

    def _events_of(self, positions: Mapping[str, str]) -> list[RecordedEvent]:
        """The events at the positions, one of each task; `positions` is task id -> position. HistoryBrokenError."""
        with redis_errors(self._where):
            replies = exchange(self._client, [("XRANGE", self._keys.ledger, each, each) for each in positions.values()])
            raise_error(replies)
            for (task_id, position), reply in zip(positions.items(), replies, strict=True):
                if reply == []:
                    raise HistoryBrokenError(task_id, position)
                if type(reply) is not list or len(reply) > 1:
                    raise UnfitReplyError("XRANGE")
        entries = [entry for [entry] in replies]
        if any(ms_of(position) > TIME_MS_MAX for position in positions.values()):
            # A batch is checked at its ends, but these positions go up and down.
            return [read_event(*entry) for entry in entries]
        return self.decode(entries)

    def _walk_back(
        self, task_id: str, *, start: str | None = None, page_events: int = HISTORY_PAGE_EVENTS
    ) -> Iterator[RecordedEvent]:
        """The task's events, newest first, from `start` or its last one, read in pages."""
        while True:
            try:
                with redis_errors(self._where):
                    page = self._history(
                        ledger_key=self._keys.ledger,
                        heads_key=self._keys.heads,
                        task_id=task_id,
                        from_position=start,
                        limit=page_events,
                    )
            except ReplyTooLargeError:
                if page_events == 1:
                    raise
                page_events = max(page_events // _FEWER, 1)
                continue
            yield from decode_events(page.entries)
            if page.status is not HistoryStatus.PARTIAL:
                _check_whole(task_id, page)
                return
            start = page.position

    def _read_page(self, limit: int, *command: str | int) -> list[RecordedEvent]:
        """The events in the reply to `command` with COUNT `limit`, or a smaller COUNT if that reply is too large."""
        while True:
            try:
                with redis_errors(self._where):
                    entries = self._exchange(*command, "COUNT", limit)
                return self.decode(entries)
            except ReplyTooLargeError:
                if limit == 1:
                    raise
                limit = max(limit // _FEWER, 1)

    def _last_of(self, entries: Sequence[StreamEntry], place: Position, *, is_back: bool) -> Position:
        """The position of the last entry. It must be beyond `place`, or reading on would never end."""
        last = Position(entries[-1][0], "ascii")
        if last >= place if is_back else last <= place:
            with redis_errors(self._where):
                raise UnfitReplyError("XREVRANGE" if is_back else "XRANGE")
        return last

    def decode(self, entries: Sequence[StreamEntry]) -> list[RecordedEvent]:
        """As `decode_events`; StoreUnavailableError if these are not entries, which is checked only after decoding failed."""
        try:
            return decode_events(entries)
        except (EventDecodingError, AttributeError, TypeError, ValueError):
            self._require_entries(entries)
            raise

    def _require_entries(self, entries: object) -> None:
        """StoreUnavailableError if these are not stream entries."""
        if not are_entries(entries):
            with redis_errors(self._where):
                raise UnfitReplyError("XRANGE")

    def _first_from(self, ms: int) -> Position | None:
        """The position of the first event recorded at `ms` or later."""
        with redis_errors(self._where):
            entries = self._exchange("XRANGE", self._keys.ledger, ms, "+", "COUNT", 1)
        return Position(entries[0][0], "ascii") if entries else None

    def _entries_at(self, positions: Sequence[Position]) -> list[StreamEntry]:
        with redis_errors(self._where):
            replies = exchange(self._client, [("XRANGE", self._keys.ledger, each, each) for each in positions])
            raise_error(replies)
        return [entry for entries in cast("list[list[StreamEntry]]", replies) for entry in entries]

    def _ask_for_batch(self, connection: Connection, command: tuple[str, ...], limit: int) -> None:
        with redis_errors(self._where):
            connection.send_command(*command, "COUNT", limit)  # type: ignore[no-untyped-call]

    def _exchange(self, *command: str | int) -> list[StreamEntry]:
        """The reply to one command. redis-py's own XRANGE builds a dict for each entry, which halves the rate."""
        [reply] = exchange(self._client, [command])
        raise_error([reply])
        return cast("list[StreamEntry]", reply)


def _lacks(end: Position, known: str) -> bool:
    """Whether a ledger that ends at `end` cannot have the event at `known`; '' for none. Pure."""
    return known not in ("", end) and seq_of(known) >= seq_of(end)


def _predecessors(positions: Mapping[str, str], events: Sequence[RecordedEvent]) -> dict[str, str]:
    """Task id -> position of the event before; `positions` are those of `events`. HistoryBrokenError, HistoryCircularError."""
    found: dict[str, str] = {}
    for (task_id, position), recorded in zip(positions.items(), events, strict=True):
        prev = recorded.prev
        if prev is None:
            continue
        try:
            is_earlier = Position.parse(prev).seq < seq_of(position)
        except ValueError:
            raise HistoryBrokenError(task_id, position) from None
        # Numbers grow with every event, so that a walk ends whatever was written.
        if not is_earlier:
            raise HistoryCircularError(task_id, position)
        found[task_id] = prev
    return found


def _check_whole(task_id: str, page: HistoryPage) -> None:
    """Refuse a history whose last page does not reach the task's first event."""
    if page.status is HistoryStatus.BROKEN:
        raise HistoryBrokenError(task_id, page.position)
    if page.status is HistoryStatus.CIRCULAR:
        raise HistoryCircularError(task_id, page.position)


def _read_entries(connection: Connection) -> list[StreamEntry]:
    return cast("list[StreamEntry]", connection.read_response())  # type: ignore[no-untyped-call]


def _check_size(encoded: Sequence[tuple[str, bytes]]) -> None:
    if len(encoded) > APPEND_EVENTS_MAX:
        raise AppendTooLargeError("events", size=len(encoded), size_max=APPEND_EVENTS_MAX)
    size_bytes = sum(len(payload) for _, payload in encoded)
    if size_bytes > APPEND_BYTES_MAX:
        raise AppendTooLargeError("bytes", size=size_bytes, size_max=APPEND_BYTES_MAX)


def _check_sequence(events: Sequence[RecordedEvent], first_seq: int) -> None:
    """SequenceGapError unless the events are numbered `first_seq`, `first_seq + 1`, …. Both ends tell whether to look closer."""
    if not events:
        return
    if events[0].position.seq == first_seq and events[-1].position.seq == first_seq + len(events) - 1:
        return
    for expected, recorded in enumerate(events, first_seq):
        if recorded.position.seq != expected:
            raise SequenceGapError("sequence number", recorded.position, expected=expected, found=recorded.position.seq)


def _check_sequence_back(entries: Sequence[StreamEntry], before: Position) -> None:
    """SequenceGapError unless the entries, newest first, are numbered downwards from right before `before`."""
    first, last = Position(entries[0][0], "ascii"), Position(entries[-1][0], "ascii")
    if first.seq == before.seq - 1 and last.seq == before.seq - len(entries):
        return
    following = before
    for entry_id, _ in entries:
        position = Position(entry_id, "ascii")
        if position.seq != following.seq - 1:
            raise SequenceGapError("sequence number", following, expected=position.seq + 1, found=following.seq)
        following = position


def parse_head(value: bytes | None) -> tuple[int, Position]:
    """Version and position in a head; (0, BEGINNING) if there is none. LedgerDamagedError. Pure."""
    if value is None:
        return 0, BEGINNING
    version, _, position = value.decode(errors="replace").partition(":")
    try:
        return int(version), Position.parse(position)
    except ValueError as error:
        raise LedgerDamagedError(
            f"A head is {value!r}, and should be <version>:<position>: something other than the append script wrote it."
            " Restore the data folder from a backup."
        ) from error
