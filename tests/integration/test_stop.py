"""Stopping a server while others use it: it ends once, nobody's server is ended after it, and who loses it is told why."""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from ledger import StoreUnavailableError
from tests.support.processes import WorkerProcess, workers_at_the_line
from tests.support.reopeners import ask_to_end, read_account
from tests.support.servers_made_slow import SLOW_KEYS, a_slowly_loading_server
from tests.support.towns import client_of, is_alive, kill_server, server_pid
from tests.support.tt import run_here, run_process
from tests.support.waiting import wait_until
from town import EmbeddedServer, ServerEndedError, ServerStartError, ServerStoppedError, Town
from town.server.log import LOG_READ_BYTES_MAX

WRITERS = 4
_BY_TESTER = "by tester (`tt stop`)"
_ENDED = "User requested shutdown"
_STARTED = "Valkey is starting"

stress = pytest.mark.skipif(not os.environ.get("TT_STRESS"), reason="long; TT_STRESS=1 runs it")


def count_in_log(folder: Path, words: str) -> int:
    return (folder / ".tt" / "server.log").read_text(encoding="utf-8").count(words)


def events_of(folder: Path) -> int:
    with Town.open(folder) as town:
        return town.end().seq


def assert_kept_beside_stops(folder: Path, accounts: Path, *, stops: int, seconds: float) -> None:
    """Stop the server `stops` times in `seconds`, beside four writers that reopen at once, and hold it to its promises."""
    Town.init(folder, name="busy").close()
    with workers_at_the_line("write_and_reopen", [(folder, accounts, number) for number in range(WRITERS)]) as writers:
        for writer in writers:
            writer.go()
        stopped = [stop_once(folder, seconds / (stops + 1), writers) for _ in range(stops)]
        let_them_write(folder, seconds / (stops + 1), writers)
        ask_to_end(accounts)
        for writer in writers:
            writer.finish()
    assert stopped == [True] * stops
    assert count_in_log(folder, _ENDED) == stops
    assert count_in_log(folder, _STARTED) == stops + 1
    seen = [read_account(accounts, number) for number in range(WRITERS)]
    errors = [error for account in seen for error in account.errors]
    assert [error for error in errors if error[0] != "ServerStoppedError" or _BY_TESTER not in error[1]] == []
    assert all(len(account.errors) <= stops for account in seen)
    with Town.open(folder) as town:
        created = {event.task for event in town.events.last(count=None)}
        assert {task for account in seen for task in account.tasks} <= created
        assert not town.upkeep.verify().findings
    acknowledged = sum(len(account.tasks) for account in seen)
    print(f"{stops} stops, {len(errors)} clients told, {acknowledged} acknowledged, {len(created)} in the ledger")  # noqa: T201 - the figure is asked for


def stop_once(folder: Path, seconds: float, writers: list[WorkerProcess]) -> bool:
    let_them_write(folder, seconds, writers)
    return EmbeddedServer(folder).stop(actor="tester")


def let_them_write(folder: Path, seconds: float, writers: list[WorkerProcess]) -> None:
    """Return after `seconds`, in which at least some tasks were created."""
    deadline = time.monotonic() + seconds
    begin = events_of(folder)
    wait_until(lambda: time.monotonic() > deadline and events_of(folder) > begin + WRITERS, seconds_max=seconds + 30)
    assert not any(writer.check() for writer in writers)


def test_stop_beside_writers_that_reopen_ends_one_server_once(folder: Path, tmp_path: Path) -> None:
    """One stop, one end, one start after it; nobody's start fails, and what was acknowledged is kept.

    The bug looked like this: stop fought with the writers, ended 187 servers in 45 s, and they were told that theirs "did
    not start".
    """
    assert_kept_beside_stops(folder, tmp_path, stops=1, seconds=0.5)


@pytest.mark.stress
@stress
@pytest.mark.parametrize("stops", [1, 20])
def test_stop_beside_writers_for_long(folder: Path, tmp_path: Path, stops: int) -> None:
    """The same for 45 s, with one stop and with twenty."""
    assert_kept_beside_stops(folder, tmp_path, stops=stops, seconds=45.0)


# --- who loses the server is told why ----------------------------------------------------------------------------


def test_command_whose_server_is_stopped_is_told_by_whom(folder: Path) -> None:
    """The library's error has a class of its own and names who stopped it; the next command starts the server again.

    The bug looked like this: "did not answer: Connection refused. Is it running?"
    """
    with Town.init(folder, name="place") as town:
        assert run_process("stop", "--actor", "Ada Lovelace", folder=folder).code == 0
        with pytest.raises(
            ServerStoppedError, match=r"was told to stop at .* by Ada Lovelace \(`tt stop`\)\. The next"
        ):
            town.create("a")
        # Also whoever connects only now, and must not start it.
        with pytest.raises(ServerStoppedError, match="by Ada Lovelace"):
            Town.open(folder, is_starting=False)
    with Town.open(folder) as town:
        assert town.create("a").positions[0].seq == 1


@pytest.mark.parametrize(
    ("end", "words"),
    [
        (lambda folder: os.kill(server_pid(folder), signal.SIGTERM), r"ended at .* by the signal SIGTERM\."),
        (kill_server, "ended without a message, as a killed server does"),
    ],
    ids=["ended", "killed"],
)
def test_command_whose_server_ended_is_told_how(folder: Path, end: Callable[[Path], object], words: str) -> None:
    """A signal that a server obeys is in its log; without a word it was killed. Both are no refusals: look first."""
    with Town.init(folder, name="place") as town:
        end(folder)
        wait_until(lambda: not EmbeddedServer(folder).is_running())
        with pytest.raises(
            ServerEndedError, match=f"{words}.*what was acknowledged is kept.*before you repeat"
        ) as ended:
            town.create("a")
    assert not ended.value.has_refused


def test_stop_by_another_client_is_told_too(folder: Path) -> None:
    """SHUTDOWN from redis-cli names nobody."""
    with Town.init(folder, name="place") as town, client_of(folder) as client:
        client.shutdown(nosave=True)
        with pytest.raises(ServerStoppedError, match=r"was told to stop at .* \(SHUTDOWN\)"):
            town.create("a")


def test_how_an_earlier_server_ended_is_not_told_of_a_later_one(folder: Path) -> None:
    """The log has every server's end: the last one's counts, and its last part is enough, however long it is."""
    Town.init(folder, name="place").close()
    EmbeddedServer(folder).stop(actor="Ada Lovelace")
    with Town.open(folder) as town:
        log = folder / ".tt" / "server.log"
        log.write_bytes(b"x" * LOG_READ_BYTES_MAX * 4 + b"\n" + log.read_bytes())
        kill_server(folder)
        with pytest.raises(ServerEndedError, match="without a message"):
            town.create("a")


# --- which server, and until when --------------------------------------------------------------------------------


def test_stop_that_does_not_wait_returns_when_the_server_was_told(folder: Path) -> None:
    """It says that it was told and not that it is gone; it ends all the same."""
    Town.init(folder, name="place").close()
    ran = run_process("stop", "--no-wait", folder=folder)
    assert (ran.code, ran.out) == (0, "The server of place was told to stop.\n")
    wait_until(lambda: not EmbeddedServer(folder).is_running())


def test_stop_says_that_another_server_was_started_since(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The one that ran is stopped, and the town is not down: a person may want to know what uses it."""
    Town.init(folder, name="place").close()
    stop = EmbeddedServer.stop

    def stop_and_start(self: EmbeddedServer, *, actor: str | None, is_waiting: bool) -> bool:
        return stop(self, actor=actor, is_waiting=is_waiting) and EmbeddedServer(folder).start()

    with monkeypatch.context() as patched:
        patched.setattr(EmbeddedServer, "stop", stop_and_start)
        ran = run_here(capsys, "stop", "--town", str(folder))
    assert ran.out == "The server of place is stopped. Another one was started since: something uses the town.\n"


def test_stop_of_a_server_that_is_being_started_ends_it(folder: Path, tmp_path: Path) -> None:
    """Whoever starts it is told that it was stopped, and not that it did not start; a command that came before starts it again."""
    starter = EmbeddedServer(folder, binary=a_slowly_loading_server(tmp_path / "server"))
    starter.start()
    with client_of(folder) as client, client.pipeline(transaction=False) as pipeline:
        for number in range(SLOW_KEYS):
            pipeline.set(f"key-{number}", "x")
        pipeline.execute()
    starter.stop()
    errors: list[StoreUnavailableError] = []

    def start() -> None:
        try:
            starter.start()
        except StoreUnavailableError as error:
            errors.append(error)

    thread = threading.Thread(target=start)
    thread.start()
    wait_until(starter.answers)
    assert EmbeddedServer(folder).stop(actor="Ada Lovelace")
    thread.join()
    assert [type(error) for error in errors] == [ServerStoppedError]
    assert "was told to stop" in str(errors[0])
    assert not starter.is_running()


def test_stop_that_the_server_refuses_says_its_words(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A server that may not be shut down by its clients is left running, and its own words are told."""
    monkeypatch.setattr("town.server.own_server.STOP_SECONDS_MAX", 0.3)
    Town.init(folder, name="place").close()
    pid = server_pid(folder)
    with client_of(folder) as client:
        client.execute_command("ACL", "SETUSER", "default", "-shutdown")  # type: ignore[no-untyped-call]
    with pytest.raises(ServerStartError, match=r"did not stop within 0\.3 s, and said .-NOPERM"):
        EmbeddedServer(folder).stop()
    assert is_alive(pid)
    assert count_in_log(folder, "told to stop") == 1
