"""The client of a town in a cluster or behind sentinels: each connection goes where the town is.

A town's keys lie in one slot, so that one connection serves all of them, pipelines, scripts and transactions too. redis-py's
cluster client would send each command on a connection of its choice. What a server did not carry out, because the town is
elsewhere by now or on its way, is sent again where it belongs. What may have been carried out is not: the caller looks first.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Sequence
from typing import Any, Final

import redis
from redis.exceptions import AskError, ClusterDownError, MovedError, ReadOnlyError, TryAgainError

from ledger import OversizedReplyError
from town.server.bounded_client import Bounded, BoundedConnection, BoundedSSLConnection, bounded_options
from town.server.due_replies import Command, commands_in
from town.server.repeatable import are_repeatable
from town.server.routes import ClusterRoute, Route, SentinelRoute
from town.trust.url_rules import Address, GroupUrl

FAILOVER_SECONDS_MAX: Final = 30.0
"""How long a command waits until another server has taken over, or the town's slot has been moved."""
_POLL_SECONDS: Final = 0.1
_WAITS: Final = frozenset({"WAIT", "WAITAOF"})
_UNBLOCKED: Final = "UNBLOCKED"
"""The server ended a blocking read, because it is no longer the one that has the key."""


class Routed(Bounded):
    """A connection to the server that has the town."""

    host: str
    port: int

    def __init__(
        self, *, route: Route, plain: Callable[[Address], Bounded], scripts: dict[str, Any], **options: Any
    ) -> None:
        super().__init__(still_there=self._require_route, **options)
        self._route = route
        self._plain = plain
        """A connection to the server at an address."""
        self._scripts = scripts
        """Scripts by hash, for the server to which a slot is being moved, which may not know them."""
        self._is_displaced = False
        """Set if the town is on another server than this connection's."""
        self._is_watch_lost = False
        """Set if keys were watched at a server that no longer has the town."""
        self._given_up: deque[bytes | None] = deque()
        """Replies to a transaction that was not sent, or not carried out."""
        self._last_elsewhere: Bounded | None = None
        """The connection that carried out the last command that was not carried out here."""
        self._elsewhere: dict[Address, Bounded] = {}
        """Connections to other servers, for commands that were sent before it was known that the town is there."""

    def connect_check_health(self, check_health: bool = True, retry_socket_connect: bool = True) -> None:
        """Connect to the server that has the town. Waits for a failover if there was such a server."""
        if self._sock:  # type: ignore[attr-defined]
            return

        def connect() -> None:
            self._route.expire()
            self.host, self.port = self._route.address()
            # Before anything is sent.
            self._is_displaced = False
            super(Routed, self).connect_check_health(check_health, retry_socket_connect)  # type: ignore[misc]

        self._patiently(connect)

    def can_read(self, timeout: float = 0) -> bool:
        """As redis-py's, but nothing waits on a lost connection: the next command makes another one, and waits for a failover.

        redis-py's pool looks twice and then gives up, although nothing was sent. A connection to a server that was replaced is
        a lost one.
        """
        self._route.expire()
        if self._sock and not self._is_here():  # type: ignore[attr-defined]
            self.disconnect()
            return False
        try:
            return bool(super().can_read(timeout))  # type: ignore[misc]
        except redis.ConnectionError:
            self.disconnect()
            return False

    def send_packed_command(self, command: Any, check_health: bool = True) -> None:
        commands = commands_in(command)
        if not self._due:
            self._last_elsewhere = None
        if self._is_displaced and not self._due:
            is_watch_lost = self._is_watch_lost or self._due.is_watching
            self.disconnect()
            self._is_watch_lost = is_watch_lost
        self._note_watching(commands)
        if self._is_watch_lost and commands and commands[0][0] == "MULTI":
            self._give_up(commands)
        else:
            super().send_packed_command(command, check_health)

    def send_command(self, *arguments: Any, **options: Any) -> None:
        self._note_watching([arguments])
        super().send_command(*arguments, **options)

    def _note_watching(self, commands: Sequence[Command]) -> None:
        """A watch that is ended, or begun anew, is lost no more."""
        first = commands[0][0] if commands else None
        if first in ("DISCARD", "UNWATCH") or (first == "WATCH" and not self._due.is_watching):
            self._is_watch_lost = False

    def read_response(self, disable_decoding: bool = False, *, disconnect_on_error: bool = True, **options: Any) -> Any:
        """As `Bounded.read_response`, but what may be sent again is, where the town is by then.

        That is what the server did not carry out, and what changes nothing if it is carried out twice.
        """
        if self._given_up:
            return self._given_up.popleft()
        command, queued, was_watching = self._due.first(), self._due.queued, self._due.is_watching
        try:
            reply = super().read_response(disable_decoding, disconnect_on_error=disconnect_on_error, **options)
        except (redis.ResponseError, redis.ConnectionError) as error:
            is_refused = _was_refused_here(error)
            if command is None or self._parser.is_greeting or not (is_refused or _is_lost(error)):  # type: ignore[attr-defined]
                raise
            waiting = [command, *(self._due.waiting() or self._due.lost)]
            if is_refused and was_watching and (queued is not None or command[0] == "MULTI"):
                self._look_elsewhere(error, (self.host, self.port), time.monotonic() + FAILOVER_SECONDS_MAX)
                self._give_up(waiting)
                return self._given_up.popleft()
            if is_refused and queued is None and command[0] not in ("MULTI", "WATCH"):
                # What was watched is known to this server only.
                self._is_watch_lost = was_watching
                return self._carry_out(command, error)
            answered = [] if queued is None else [("MULTI",), *queued]
            if was_watching or not (is_refused or are_repeatable([*answered, *waiting])):
                self.disconnect()
                raise
            return self._repeat(answered, waiting, error)
        if command is not None and command[0] in _WAITS:
            return self._waited(command, reply)
        if command is not None and command[0] == "SCRIPT LOAD":
            self._scripts[reply.decode()] = command[1]
        return reply

    def disconnect(self, *arguments: Any) -> None:
        super().disconnect(*arguments)
        self._given_up.clear()
        self._is_watch_lost = False
        for connection in self._elsewhere.values():
            connection.disconnect()
        self._elsewhere.clear()

    def _waited(self, command: Command, reply: Any) -> Any:
        """The reply to a command that waited for replicas. redis-py's ConnectionError if the server was replaced by then."""
        server: Any = self
        if self._last_elsewhere is not None:
            # It waited for what this connection wrote, and that was written elsewhere.
            server = self._last_elsewhere
            server.send_command(*command)
            reply = server.read_response()
        if not self._due and not self._route.confirms((server.host, server.port)):
            self.disconnect()
            raise redis.ConnectionError("another server has taken over, or no sentinel says that none has")
        return reply

    # --- a command --------------------------------------------------------------------------------------------------

    def _carry_out(self, command: Command, error: Exception) -> Any:
        """The reply to a command that this server refused with `error`, from the server that has the town."""
        deadline = time.monotonic() + FAILOVER_SECONDS_MAX
        address: Address = (self.host, self.port)
        while True:
            asked = error if isinstance(error, AskError) and not isinstance(error, MovedError) else None
            if asked is None:
                self._look_elsewhere(error, address, deadline)
                address = self._patiently(self._route.address)
            else:
                address = asked.host or self.host, asked.port
            try:
                return self._once(command, address, is_asking=asked is not None)
            except (redis.ResponseError, redis.BusyLoadingError) as next_error:
                if not _was_refused_here(next_error):
                    raise
                error = next_error

    def _once(self, command: Command, address: Address, *, is_asking: bool) -> Any:
        """The reply of the server at `address`."""
        connection = self._elsewhere.get(address)
        if connection is None:
            connection = self._elsewhere[address] = self._plain(address)
        self._patiently(connection.connect)  # type: ignore[attr-defined]

        def ask(*words: Any) -> Any:
            if is_asking and words[0] != "SCRIPT LOAD":
                connection.send_command("ASKING")
                connection.read_response()
            connection.send_command(*words)
            return connection.read_response()

        self._last_elsewhere = connection
        try:
            return ask(*command)
        except redis.exceptions.NoScriptError:
            source = self._scripts.get(command[1]) if command[0] == "EVALSHA" else None
            if source is None:
                raise
            ask("SCRIPT LOAD", source)
            return ask(*command)

    def _give_up(self, commands: Sequence[Command]) -> None:
        """Answer a transaction as a server does if what was watched has changed: nothing was carried out."""
        self.disconnect()
        replies = {"MULTI": b"OK", "EXEC": None}
        self._given_up.extend(replies.get(command[0], b"QUEUED") for command in commands)

    # --- a transaction, or all that waits ------------------------------------------------------------------------------

    def _repeat(self, answered: list[Command], waiting: list[Command], error: Exception) -> Any:
        """The reply to the first of the commands that wait, after all of them were sent again.

        `answered` are those before it in the same transaction: they are sent again, too, and get the same replies.
        """
        deadline = time.monotonic() + FAILOVER_SECONDS_MAX
        while True:
            self.disconnect()
            self._look_elsewhere(error, (self.host, self.port), deadline)
            self.send_packed_command(self.pack_commands([*answered, *waiting]))
            try:
                for _ in answered:
                    Bounded.read_response(self)
                return Bounded.read_response(self)
            except (redis.ResponseError, redis.ConnectionError) as next_error:
                if not _was_refused_here(next_error) and not (
                    _is_lost(next_error) and are_repeatable([*answered, *waiting])
                ):
                    raise
                error = next_error

    # --- another server ---------------------------------------------------------------------------------------------------

    def _look_elsewhere(self, error: Exception, address: Address, deadline: float) -> None:
        """Find out where to send what the server at `address` refused with `error`, after a pause; raise it after the deadline."""
        if time.monotonic() > deadline:
            raise error
        if isinstance(error, MovedError):
            self._is_displaced = True
            self._route.moved(error)
            return
        time.sleep(_POLL_SECONDS)
        if not isinstance(error, TryAgainError | redis.BusyLoadingError):
            self._is_displaced = True
            self._route.forget(address)

    def _patiently(self, reach: Callable[[], Any]) -> Any:
        """The result of `reach`, which is tried again until another server has taken over, if there was one."""
        deadline = time.monotonic() + FAILOVER_SECONDS_MAX
        while True:
            try:
                return reach()
            except redis.AuthenticationError:
                raise
            except (redis.ConnectionError, redis.TimeoutError):
                if not self._route.was_found or time.monotonic() > deadline:
                    raise
            self._route.forget((self.host, self.port))
            time.sleep(_POLL_SECONDS)

    def _require_route(self) -> None:
        """redis-py's ConnectionError if the town is on another server by now: this one will not answer."""
        self._route.forget((self.host, self.port))
        if not self._is_here():
            self._is_displaced = True
            raise redis.ConnectionError("another server has taken over, and this one does not answer")

    def _is_here(self) -> bool:
        """Whether this connection's server has the town, as far as anybody knows."""
        try:
            return self._route.address() == (self.host, self.port)
        except redis.RedisError:
            return True


class RoutedConnection(Routed, BoundedConnection):
    """Over TCP."""


class RoutedSSLConnection(Routed, BoundedSSLConnection):
    """Over TLS."""


def client_of_group(url: GroupUrl, key: str) -> redis.Redis:
    """The client for the town that has `key`, in the cluster or behind the sentinels at a URL. Connects to nothing."""
    without_user, options = options_of(url, has_user=False), options_of(url)
    of_town = options | {"db": url.db}

    def plain(address: Address) -> Bounded:
        kind = of_town["connection_class"]
        rest = {name: value for name, value in of_town.items() if name != "connection_class"}
        return kind(host=address[0], port=address[1], **rest)  # type: ignore[no-any-return]

    route: Route
    if url.service is None:
        route = ClusterRoute(url.hosts, key, options)
    else:
        route = SentinelRoute(url.hosts, url.service, options, without_user)
    routed = {"connection_class": RoutedSSLConnection if url.is_tls else RoutedConnection}
    pool = redis.ConnectionPool(**of_town | routed, route=route, plain=plain, scripts={})
    return redis.Redis.from_pool(pool)


def options_of(url: GroupUrl, *, has_user: bool = True) -> dict[str, Any]:
    """The arguments for a pool of connections to one of the servers, with the user and password of the URL, or without."""
    options = bounded_options() | url.options
    options["connection_class"] = BoundedSSLConnection if url.is_tls else BoundedConnection
    return options | {"username": url.username, "password": url.password} if has_user else options


def _is_lost(error: Exception) -> bool:
    """Whether the connection is gone, and with it the replies."""
    others = redis.AuthenticationError, redis.BusyLoadingError, OversizedReplyError
    return isinstance(error, redis.ConnectionError) and not isinstance(error, others)


def _was_refused_here(error: Exception) -> bool:
    """Whether the server did not carry out the command because the town is elsewhere, or cannot be used at the moment."""
    refusals = AskError, ClusterDownError, ReadOnlyError, TryAgainError, redis.BusyLoadingError
    return isinstance(error, refusals) or str(error).startswith(_UNBLOCKED)
