"""From settings to a working client: for a server at a URL, or for the town's own, which is started if it is down."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, cast

from ledger import (
    UNREACHED_ADVICE,
    BusyLoadingError,
    Keys,
    LostConnectionError,
    NoPermissionError,
    ResponseError,
    StoreUnavailableError,
    kinds_of,
    redis_errors,
)
from town.errors import ForeignServerError, ServerStoppedError, ServerTooOldError, SettingsError
from town.folder.settings import SETTINGS_FILE, SOCKET_FILE, Settings
from town.home.passwords import UNKNOWN_URL, shown_url, with_password
from town.server.own_server import LOADING_SECONDS_MAX, VERSION_MIN, EmbeddedServer
from town.server.socket_client import client_of_own_socket
from town.server.socket_path import SocketPath, refuse_other_than_own_socket
from town.trust.permission import require_connection

if TYPE_CHECKING:
    from redis import Redis

CONNECT_ATTEMPTS_MAX: Final = 3
"""How often a command starts a server that it finds stopped again, before it gives up."""
_NO_SERVER: Final = ("answered INFO with something else", "Is it a Redis or Valkey server? Nothing was changed.")
_LOADING_POLL_SECONDS: Final = 0.05
_SOURCE_ADVICE: Final = "Is it running, and is that its URL? Nothing was changed."


class Connection:
    """A client, the server behind it, and the server's INFO. `server` is None for a server at a URL."""

    def __init__(
        self,
        client: Redis,
        *,
        where: str,
        server: EmbeddedServer | None,
        socket_path: SocketPath | None,
        keys: Keys | None = None,
    ) -> None:
        self.client = client
        self.where = where
        self.server = server
        self._socket_path = socket_path
        self.keys = keys
        """The keys of the town that it was opened for, if it was."""
        self._move: bytes | None = None
        self.information: dict[str, Any] = {}
        self.remark: str | None = None
        """What the user should know about how the server was found."""

    def check(self, *, version_min: int = VERSION_MIN) -> None:
        """Wait while the server loads its data, then check its version. StoreUnavailableError, ServerTooOldError."""
        deadline = time.monotonic() + LOADING_SECONDS_MAX
        with _unfit_host_names(self.where), redis_errors(self.where):
            while True:
                try:
                    # A server that is loading answers only INFO.
                    self.information = self._read_information()
                    self._greet()
                    break
                except kinds_of(BusyLoadingError):
                    if time.monotonic() > deadline:
                        raise
                    time.sleep(_LOADING_POLL_SECONDS)
        version = str(self.information.get("redis_version", version_min))
        if int(version.partition(".")[0]) < version_min:
            raise ServerTooOldError(self.where, version, version_min)

    def _greet(self) -> None:
        """Ask for what shows that the server answers: whether the town moves, or has moved."""
        if self.keys is None:
            self.client.ping()
        else:
            self._move = cast("bytes | None", self.client.get(self.keys.move))

    def refuse_moved(self) -> None:
        """LedgerClosedError if the town is elsewhere, or not here yet, from what `check` read. One that moves can be read."""
        if self._move is None:
            return
        from ledger import MoveState, closed_error, read_note  # noqa: PLC0415 - few towns move

        with redis_errors(self.where):
            note = read_note(self._move)
        if note is not None and note.state is not MoveState.MOVING:
            raise closed_error(self.where, note)

    def _read_information(self) -> dict[str, Any]:
        """The server's INFO, or what it says instead to a user without that right. StoreUnavailableError if the reply is not one."""
        try:
            try:
                information = self.client.info("server")
            except kinds_of(NoPermissionError):
                return self._read_greeting()
            if isinstance(information, dict):
                int(str(information.get("redis_version", "0")).partition(".")[0])
                return information
        except (AttributeError, IndexError, KeyError, TypeError, ValueError) as error:
            if isinstance(error, UnicodeError) and not isinstance(error, UnicodeDecodeError):
                # Show the host's name only, and nothing of the reply.
                raise
            raise StoreUnavailableError(self.where, *_NO_SERVER) from error
        raise StoreUnavailableError(self.where, *_NO_SERVER)

    def _read_greeting(self) -> dict[str, Any]:
        """Version and mode under their names in INFO, as far as HELLO tells them."""
        try:
            reply = self.client.execute_command("HELLO")  # type: ignore[no-untyped-call]
        except kinds_of(ResponseError):
            return {}
        pairs = reply.items() if isinstance(reply, dict) else zip(reply[::2], reply[1::2], strict=False)
        told = {name: value.decode() for name, value in pairs if isinstance(value, bytes)}
        kind = "valkey_version" if told.get(b"server") == "valkey" else "redis_version"
        names = {b"version": kind, b"mode": "redis_mode"}
        information = {names[name]: value for name, value in told.items() if name in names}
        int(information.get("redis_version", "0").partition(".")[0])
        return information

    def version(self) -> str:
        """`Valkey 9.1.2`, from what `check` read."""
        if "valkey_version" in self.information:
            return f"Valkey {self.information['valkey_version']}"
        if "redis_version" in self.information:
            return f"Redis {self.information['redis_version']}"
        return "a server that does not tell its version"

    def is_of_cluster(self) -> bool:
        """Whether the server is a node of a cluster, from what `check` read."""
        return "cluster" in (self.information.get("redis_mode"), self.information.get("server_mode"))

    def is_same_server(self, other: Connection) -> bool:
        """Whether both lead to the same database of the same server, as far as the server says."""
        databases = [each.client.connection_pool.connection_kwargs.get("db") or 0 for each in (self, other)]
        return self.information.get("run_id") == other.information.get("run_id") and databases[0] == databases[1]

    def close(self) -> None:
        self.client.close()
        if self._socket_path is not None:
            self._socket_path.close()


def connect(folder: Path, settings: Settings, *, is_starting: bool = True, is_moving: bool = False) -> Connection:
    """A connection that answers, to the URL in REDIS_URL or the settings, else to the town's own server.

    Starts the town's own server if it is down, unless `is_starting` is False. StoreUnavailableError. LedgerClosedError if the town
    has moved elsewhere, unless `is_moving`.
    """
    connection = _open(folder, settings)
    try:
        for attempt in range(1, CONNECT_ATTEMPTS_MAX + 1):
            try:
                if connection.server is not None:
                    _make_ready(connection.server, folder, is_starting=is_starting)
                connection.check()
                break
            except StoreUnavailableError as error:
                # No command was sent yet, so the stop came first, and this command starts the server again.
                may_start = is_starting and connection.server is not None and attempt < CONNECT_ATTEMPTS_MAX
                if not (may_start and _is_gone(error)):
                    raise
        if not is_moving:
            connection.refuse_moved()
    except BaseException:
        connection.close()
        raise
    return connection


def _is_gone(error: StoreUnavailableError) -> bool:
    """Whether a server that was there has ended since. It may be unknown whether it was told to stop."""
    return isinstance(error, ServerStoppedError) or type(error.__cause__) in kinds_of(LostConnectionError)


def connect_to(url: str, keys: Keys) -> Connection:
    """A connection that answers, for a town at a URL that the user has named, whether or not the town is there yet. StoreUnavailableError."""
    connection = _open_url(with_password(url), keys)
    try:
        connection.check()
    except BaseException:
        connection.close()
        raise
    return connection


def connect_to_read(url: str) -> Connection:
    """A connection that answers, to a server of any version, for reading only. StoreUnavailableError."""
    try:
        connection = _open_url(url)
        try:
            connection.check(version_min=0)
        except BaseException:
            connection.close()
            raise
    except StoreUnavailableError as error:
        # It is not a configured server, and `tt start` does not start it.
        where = "the URL of --from-url" if error.where == UNKNOWN_URL else error.where
        advice = error.advice if error.has_refused or error.advice != UNREACHED_ADVICE else _SOURCE_ADVICE
        raise StoreUnavailableError(where, error.problem, advice, has_refused=error.has_refused) from error
    return connection


def _make_ready(server: EmbeddedServer, folder: Path, *, is_starting: bool) -> None:
    """Start the town's own server if it is down. ForeignServerError if another one listens in its place."""
    if is_starting and not server.answers():
        server.start()
    # Check again: between the two checks one server may have stopped and another one started.
    if not server.is_running() and server.answers() and not server.is_running():
        raise ForeignServerError(server.where, _advice_on_foreign_server(folder))


def _advice_on_foreign_server(folder: Path) -> str | None:
    """Advice for a server of Tinytown 0.5, which listens at the socket of the town's own server; None for others."""
    import shlex  # noqa: PLC0415

    from town.folder.tinytown_places import is_tinytowns, start_words  # noqa: PLC0415 - only where another server is in the way

    if not is_tinytowns(folder):
        return None
    socket = shlex.quote(str(folder / SOCKET_FILE))
    return (
        "By tinytown.toml it may be Tinytown's, and hold its tasks. Let it save them and make room:"
        f" `redis-cli -s {socket} SHUTDOWN SAVE`. Then start it where `tt migrate` looks for it:"
        f" `{start_words(folder, folder)}`, and run `tt migrate`. If it is not Tinytown's, stop it, or set [redis] url."
    )


def server_url(settings: Settings) -> str | None:
    """The URL to use, None for the town's own server: REDIS_URL goes before the settings."""
    return os.environ.get("REDIS_URL") or settings.redis.url


def _open(folder: Path, settings: Settings) -> Connection:
    # The environment is this user's own.
    remark = None if os.environ.get("REDIS_URL") else require_connection(folder, settings)
    url = server_url(settings)
    if url is None:
        refuse_other_than_own_socket(folder / SOCKET_FILE)
        socket_path = SocketPath(folder)
        server = EmbeddedServer(folder)
        client = client_of_own_socket(str(socket_path), explain=server.explain_end)
        keys = Keys(settings.name, settings.redis.hash_tag)
        return Connection(client, where=server.where, server=server, socket_path=socket_path, keys=keys)
    from town.trust.url_rules import is_cluster_url  # noqa: PLC0415 - not needed for the town's own server

    if is_cluster_url(url) and not settings.redis.hash_tag:
        problem = (
            f"{shown_url(url)} is a cluster, which needs `hash_tag = true` in [redis]: all keys of a town in one slot"
        )
        raise SettingsError(folder / SETTINGS_FILE, problem)
    connection = _open_url(with_password(url), Keys(settings.name, settings.redis.hash_tag))
    connection.remark = remark
    return connection


def _open_url(url: str, keys: Keys | None = None) -> Connection:
    """A connection to the server that has the `keys`; to none of a cluster without them."""
    # Not needed for the town's own server: the import of redis-py takes longer than a whole command.
    from town.server.bounded_client import client_of_url  # noqa: PLC0415
    from town.trust.url_rules import SCHEMES, is_cluster_url, is_group_url, read_group_url, refuse_unfit_url  # noqa: PLC0415

    refuse_unfit_url(url)
    where = shown_url(url)
    if is_cluster_url(url) and keys is None:
        raise StoreUnavailableError(where, "is a cluster, and no tasks of Tinytown are in one", "Name a single server.")
    if is_group_url(url):
        from town.server.routed_client import client_of_group  # noqa: PLC0415 - few towns are in a cluster

        client = client_of_group(read_group_url(url), "" if keys is None else keys.ledger)
        return Connection(client, where=where, server=None, socket_path=None, keys=keys)
    scheme, _, rest = url.partition("://")
    try:
        client = client_of_url(f"{SCHEMES[scheme]}://{rest}")
    except ValueError as error:
        # Its message may quote a part of the password.
        raise StoreUnavailableError(where, "has a URL that cannot be read", "Correct it.") from error
    return Connection(client, where=where, server=None, socket_path=None, keys=keys)


@contextmanager
def _unfit_host_names(where: str) -> Iterator[None]:
    """Turn the error for an invalid host name into StoreUnavailableError."""
    try:
        yield
    except UnicodeError as error:
        raise StoreUnavailableError(where, "has a URL whose host cannot be one", "Correct it.") from error
