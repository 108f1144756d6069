"""Losses that are noticed: a server that lacks what it acknowledged is told by the receipts, on a real one (P1, P10)."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from urllib.parse import quote

import pytest
import redis

from ledger import (
    EventsLostError,
    EventStore,
    Keys,
    LedgerDamagedError,
    Position,
    Receipts,
    TaskCreated,
    TaskNoted,
    TownRecovered,
    new_task_id,
)
from tests.support.builders import an_event
from tests.support.losses import Kept, fall_back, look_back
from tests.support.towns import client_of, end_server, kill_server, trust
from tests.support.tt import run_here, run_process, start_process
from tests.support.waiting import wait_until
from town import Fate, RecoveryRefusedError, Town
from town.folder.settings import SOCKET_FILE
from town.receipts.kept import KeptReceipts, files_in
from town.server.own_server import EmbeddedServer, find_binary


@pytest.fixture
def town(tmp_path: Path) -> Iterator[Town]:
    with Town.init(tmp_path / "town", name="demo", actor="alice", is_registered=False) as town:
        yield town
    end_server(tmp_path / "town")


@pytest.fixture
def server(town: Town) -> Iterator[redis.Redis]:
    with client_of(town.folder) as client:
        yield client


def sayings(town: Town) -> list[tuple[str, str, int, str]]:
    """Task, type, version and command of every event in the ledger, in its order."""
    return [(each.task, each.type, each.version, each.command) for each in town.events.last(count=None)]


def of_tasks(town: Town) -> list[tuple[str, str, int, str]]:
    return [each for each in sayings(town) if each[0] != "town"]


def lose_two(town: Town, server: redis.Redis) -> tuple[str, list[tuple[str, str, int, str]]]:
    """Two of four events are lost; returns the task, and all four."""
    task = town.create("first").task.id
    town.note(task, "kept")
    kept = look_back(server)
    town.note(task, "lost")
    town.create("second")
    all_told = of_tasks(town)
    fall_back(server, kept)
    return task, all_told


# --- noticing ----------------------------------------------------------------------------------------------------


def test_every_command_that_writes_is_refused_and_writes_nothing(town: Town, server: redis.Redis) -> None:
    """The error says how much is gone, from where to where, and of which tasks."""
    task, told = lose_two(town, server)
    before = look_back(server)
    writers: list[Callable[[Town], object]] = [
        lambda each: each.create("third"),
        lambda each: each.create("third", alias="x", agent="ada"),
        lambda each: each.note(task, "more"),
        lambda each: each.complete(task, agent="ada"),
        lambda each: each.assign_all("ada"),
        lambda each: each.take_next("ada"),
        lambda each: each.annotator.annotate(1, "a note"),
        lambda each: each.undoing.undo("2"),
    ]
    for write in writers:
        for opened in (town, Town.open(town.folder)):
            with pytest.raises(EventsLostError) as refused:
                write(opened)
            error = refused.value
            assert (error.count, error.tasks) == (2, (task, told[3][0]))
            assert (Position(error.first).seq, Position(error.known).seq, Position(error.end).seq) == (3, 4, 2)
            if opened is not town:
                opened.close()
    assert look_back(server) == before


def test_append_itself_is_refused_where_nobody_looked(town: Town, server: redis.Redis) -> None:
    """The script checks: a loss between a command's look and its append is noticed, too."""
    lose_two(town, server)
    before = look_back(server)
    with pytest.raises(EventsLostError, match="This town had events up to 4; the server has 2: 2 events"):
        append_blindly(town)
    assert look_back(server) == before


def test_append_itself_is_refused_where_the_ledger_went_on(town: Town, server: redis.Redis) -> None:
    """The script asks for the event that was told, where the ledger is as long as it was, and where it is longer."""
    for others in (1, 2):
        kept = look_back(server)
        told = town.create("ours").positions[-1]
        fall_back(server, kept)
        for _ in range(others):
            unaware(town, lambda each: each.create("theirs"))
        before = look_back(server)
        with pytest.raises(EventsLostError, match=f"The event at {told}"):
            append_blindly(town)
        assert look_back(server) == before
        town.recovery.recover()
        append_blindly(town)


def test_events_of_others_are_no_loss(town: Town, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A ledger that is longer than what was told here is fine, whoever wrote it."""
    town.create("ours")
    own = town.backend.receipts.known
    monkeypatch.setenv("HOME", str(tmp_path))
    with Town.open(town.folder) as other:
        assert other.backend.receipts.known == ""
        other.create("theirs")
    assert town.backend.receipts.known == own
    town.create("ours again")
    assert town.recovery.look().events == ()


def test_ledger_that_went_on_without_what_was_told_is_noticed(town: Town, server: redis.Redis) -> None:
    """As many events as before, or more, but another one where ours was."""
    kept = look_back(server)
    told = town.create("ours", agent="ada").positions[-1]
    fall_back(server, kept)
    unaware(town, lambda each: each.create("theirs", agent="bob"))
    unaware(town, lambda each: each.create("theirs"))
    with pytest.raises(EventsLostError, match=f"The event at {told}.* goes on to 3 without it"):
        town.create("more")
    assert [each.fate for each in town.recovery.look().events] == [Fate.APPENDED, Fate.APPENDED]


def test_earlier_event_that_another_process_was_told_of_is_missed_too(town: Town, server: redis.Redis) -> None:
    """One process was told of an event that a failover lost; another one, which had looked before, appended after the failover."""
    task, second = (town.create(words).task.id for words in ("first", "second"))
    kept = look_back(server)
    with Town.open(town.folder, actor="bob") as other:
        lost = other.note(task, "lost").positions[-1]
    fall_back(server, kept)
    assert town.backend.receipts.known != lost
    write = EventStore(server, Keys("demo"), receipts=town.backend.receipts)
    write.append([an_event(TaskNoted("after the failover"), task=second, version=2)], {second: 1})
    with Town.open(town.folder) as third:
        assert third.backend.receipts.known != lost
        with pytest.raises(EventsLostError, match=f"The event at {lost}, which was acknowledged here, is gone"):
            third.note(task, "more")
        third.recovery.recover()
        third.note(task, "more")
        noted = [each.data.text for each in third.details(task).notes if isinstance(each.data, TaskNoted)]
        assert sorted(noted) == ["lost", "more"]


def test_own_appends_keep_what_is_known_fresh_without_reading_it(town: Town, monkeypatch: pytest.MonkeyPatch) -> None:
    """A process reads its receipts once."""
    reads: list[Path] = []
    read = KeptReceipts.read_told

    def noted(receipts: KeptReceipts) -> Sequence[str]:
        reads.append(receipts.path)
        return read(receipts)

    monkeypatch.setattr(KeptReceipts, "read_told", noted)
    with Town.open(town.folder) as opened:
        for _ in range(3):
            last = opened.create("x").positions[-1]
            assert opened.backend.receipts.known == last
    assert len(reads) == 1


def test_reading_goes_on_with_one_warning(town: Town, server: redis.Redis) -> None:
    """The answers are those of the server; the warning is on stderr, once, and `--json` stays what it is."""
    task, _ = lose_two(town, server)
    for words in (
        ["tasks"],
        ["task", "list", "--json"],
        ["task", "show", task],
        ["task", "history", task],
        ["log"],
        ["events"],
        ["ready"],
        ["inbox"],
        ["status"],
        ["stats"],
        ["reclaim"],
        ["rebuild"],
        ["search", "first"],
        ["task", "list", "--at", "1"],
    ):
        ran = run_process(*words, folder=town.folder)
        assert ran.code == 0, (words, ran.err)
        assert ran.err.count("2 events that were acknowledged here are gone") == 1, (words, ran.err)
        assert ran.err.count("`tt recover --dry-run`") == 1
        if "--json" in words:
            json.loads(ran.out)


def test_save_replaces_no_file_that_may_have_what_is_gone(town: Town, server: redis.Redis, tmp_path: Path) -> None:
    """The backup stays, and what is left is still exported under another name."""
    kept = look_back(server)
    town.create("first")
    assert town.exports.save().events == 1
    saved = town.exports.saved_path().read_bytes()
    fall_back(server, kept)
    with pytest.raises(EventsLostError):
        town.exports.save()
    assert town.exports.saved_path().read_bytes() == saved
    assert town.exports.export(tmp_path / "left.jsonl").events == 0
    assert run_process("save", folder=town.folder).code == 5


def test_status_says_what_is_missing(town: Town, server: redis.Redis, capsys: pytest.CaptureFixture[str]) -> None:
    """In a row for people, and as JSON; where nothing is missing there is no row, and null."""
    here = ("--town", str(town.folder))
    sound = run_here(capsys, "status", *here)
    assert "Missing" not in sound.out
    assert json.loads(run_here(capsys, "status", "--json", *here).out)["missing"] is None
    lose_two(town, server)
    told = json.loads(run_here(capsys, "status", "--json", *here).out)["missing"]
    assert (told["count"], told["first"].partition("-")[2], told["last"].partition("-")[2]) == (2, "3", "4")
    shown = run_here(capsys, "status", *here)
    assert (
        f"2 events that were acknowledged here ({told['first']} to {told['last']}): tt recover --dry-run" in shown.out
    )


def test_verify_names_what_is_missing_and_doctor_says_so(town: Town, server: redis.Redis) -> None:
    """Verify ends with 5 and has each position; today the rest of the town is as promised."""
    lose_two(town, server)
    ran = run_process("verify", "--json", folder=town.folder)
    assert ran.code == 5
    found = json.loads(ran.out)["findings"]
    assert [each["kind"] for each in found] == ["receipt", "receipt"]
    assert [Position(each["where"]).seq for each in found] == [3, 4]
    assert "task.noted" in found[0]["problem"]
    ran = run_process("doctor", "--json", folder=town.folder)
    assert ran.code == 1
    [check] = [each for each in json.loads(ran.out)["checks"] if each["name"] == "receipts"]
    assert (check["state"], "2 events that were acknowledged here are gone" in check["words"]) == ("bad", True)


def test_other_event_in_the_place_of_one_that_was_told_is_named(town: Town, server: redis.Redis) -> None:
    """An event that was replaced by hand is no other's business: verify holds the bytes against the receipt."""
    town.create("first")
    second = town.create("second").positions[-1]
    [(_, fields)] = server.xrange(town.keys.ledger, second, second)  # type: ignore[misc]  # redis-py types it for both faces
    kept = look_back(server)
    altered = fields[b"event"].replace(b"second", b"SECOND")
    entries = server.xrange(town.keys.ledger)
    server.delete(town.keys.ledger)
    for at, each in entries:  # type: ignore[union-attr]  # as above
        server.xadd(town.keys.ledger, {"event": altered if at == second.encode() else each[b"event"]}, id=at)
    assert [each.where for each in town.recovery.findings()] == [second]
    [gone] = town.recovery.look().events
    # The command's own event is there, in other words: nothing is appended over it.
    assert (gone.position, gone.fate) == (second, Fate.OVERTAKEN)
    fall_back(server, kept)
    assert town.recovery.findings() == []


def test_flushed_server_is_noticed_and_made_good(town: Town, server: redis.Redis) -> None:
    """FLUSHALL: everything that was told here comes back."""
    task = town.create("first", agent="ada").task.id
    town.complete(task, result="ok")
    told = of_tasks(town)
    server.flushall()
    with pytest.raises(EventsLostError, match="the server has 0: 4 events"):
        town.create("more")
    recovered = town.recovery.recover()
    assert len(recovered.appended) == 4
    assert of_tasks(town) == told
    assert town.task(task).result == "ok"
    assert_sound(town)


def test_runner_of_an_emptied_town_does_not_wait_for_work(town: Town, server: redis.Redis) -> None:
    """Its tasks may be among what is gone: it ends and says so, with exit code 5."""
    town.create("first", agent="ada")
    server.flushall()
    for words in (("work", "ada", "--once", "--", "true"), ("work", "ada", "--", "true")):
        ran = run_process(*words, folder=town.folder, env={"TT_TRUST": "1"})
        assert (ran.code, "2 events that were acknowledged here are gone" in ran.err) == (5, True), ran


def test_worker_tells_of_a_loss_and_projects_what_is_there(town: Town, server: redis.Redis) -> None:
    """It may be the only one that looks for a long time."""
    lose_two(town, server)
    ran = run_process("projector", "--once", folder=town.folder, env={"TT_TRUST": "1"})
    assert (ran.code, ran.err.count("2 events that were acknowledged here are gone")) == (0, 1), ran
    assert town.upkeep.verify().findings == ()


def test_restart_without_persistence_is_noticed_and_made_good(tmp_path: Path) -> None:
    """A server at a URL that keeps nothing, killed and started again."""
    place = tmp_path / "server"
    place.mkdir()
    address = place / "s"
    url = f"unix://{quote(str(address))}"
    server = start_bare_server(place, address)
    with Town.init(tmp_path / "town", name="demo", url=url, is_registered=False) as town:
        told = town.create("first", agent="ada").positions
    server.kill()
    server.wait()
    server = start_bare_server(place, address)
    try:
        folder = tmp_path / "town"
        ran = run_process("assign", "ada", "more", folder=folder)
        assert (ran.code, "the server has 0: 2 events" in ran.err) == (5, True)
        ran = run_process("verify", folder=folder)
        assert (ran.code, all(each in ran.out for each in told)) == (5, True)
        assert run_process("recover", folder=folder).code == 0
        assert run_process("assign", "ada", "more", folder=folder).code == 0
        assert run_process("verify", folder=folder).code == 0
    finally:
        server.kill()
        server.wait()


def test_older_backup_that_was_put_back_is_noticed(town: Town) -> None:
    """Of `.tt` alone; the folder of the receipts is another one."""
    folder = town.folder
    task = town.create("first").task.id
    EmbeddedServer(folder).stop()
    shutil.copytree(folder / ".tt", folder / "backup")
    assert run_process("task", "note", task, "lost", folder=folder).code == 0
    EmbeddedServer(folder).stop()
    shutil.rmtree(folder / ".tt")
    (folder / "backup").rename(folder / ".tt")
    trust(folder)
    ran = run_process("task", "note", task, "more", folder=folder)
    assert (ran.code, "up to 2; the server has 1: 1 event that was acknowledged here is gone" in ran.err) == (5, True)


def test_older_copy_of_the_whole_folder_that_was_put_back_is_noticed(town: Town, tmp_path: Path) -> None:
    """Receipts lie in the user's own folder, so they do not go back with the town's."""
    folder = town.folder
    task = town.create("first").task.id
    EmbeddedServer(folder).stop()
    shutil.copytree(folder, tmp_path / "copy", ignore=shutil.ignore_patterns(SOCKET_FILE))
    assert run_process("task", "note", task, "lost", folder=folder).code == 0
    EmbeddedServer(folder).stop()
    shutil.rmtree(folder)
    (tmp_path / "copy").rename(folder)
    trust(folder)
    assert run_process("task", "note", task, "more", folder=folder).code == 5


def test_killed_server_loses_nothing_and_nothing_is_said(town: Town) -> None:
    """An own server keeps what it acknowledged."""
    task = town.create("first").task.id
    kill_server(town.folder)
    ran = run_process("task", "note", task, "more", folder=town.folder)
    assert (ran.code, ran.err) == (0, "")
    assert run_process("verify", folder=town.folder).code == 0


def test_acknowledged_event_without_a_receipt_is_fine(town: Town) -> None:
    """A process that was killed between the append and the receipt: the ledger is longer than what is known."""
    town.create("first")
    code = (
        "import os, signal, sys; from town import Town; from town.receipts.pen import Pen\n"
        "Pen.keep = lambda *_: os.kill(os.getpid(), signal.SIGKILL)\n"
        "Town.open(sys.argv[1]).create('second')\n"
    )
    ran = subprocess.run([sys.executable, "-c", code, str(town.folder)], check=False)
    assert ran.returncode == -signal.SIGKILL
    with Town.open(town.folder) as opened:
        assert opened.end().seq == 2
        assert opened.recovery.look().events == ()
        opened.create("third")
        assert_sound(opened)


def test_receipts_that_were_removed_or_are_damaged_stop_no_command(town: Town, server: redis.Redis) -> None:
    """Then a loss is noticed as far as the rest tells."""
    task, _ = lose_two(town, server)
    path = town.backend.receipts.path
    [name] = files_in(path)
    content = (path / name).read_bytes()
    torn = content[: content.index(b"told", content.index(b"lost")) + 40]
    (path / name).write_bytes(torn)
    with Town.open(town.folder) as opened, pytest.raises(EventsLostError, match="up to 3; the server has 2: 1 event "):
        opened.note(task, "more")
    (path / name).write_bytes(b"\0" * 5_000)
    with Town.open(town.folder) as opened:
        opened.note(task, "more")
    shutil.rmtree(path)
    with Town.open(town.folder) as opened:
        opened.note(task, "and more")
        assert opened.recovery.count_kept() == 1


def test_home_that_cannot_be_written_turns_receipts_off_and_doctor_says_so(town: Town) -> None:
    """No command fails because of that."""
    env = {"HOME": "/nonexistent", "TT_TRUST": "1"}
    ran = run_process("task", "create", "x", folder=town.folder, env=env)
    assert (ran.code, ran.err) == (0, "")
    ran = run_process("doctor", "--json", folder=town.folder, env=env)
    assert ran.code == 0
    [check] = [each for each in json.loads(ran.out)["checks"] if each["name"] == "receipts"]
    assert (check["state"], "they are off" in check["words"]) == ("warning", True)


def test_home_that_others_can_write_turns_receipts_off(
    town: Town, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """They would choose what is missed. An open town writes and is verified all the same."""
    (tmp_path / "home" / ".tt").mkdir(parents=True)
    (tmp_path / "home" / ".tt").chmod(0o777)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    receipts = KeptReceipts(town.folder, town.name)
    town.backend.receipts = town.backend.store.receipts = receipts
    town.create("x")
    assert town.recovery.findings() == []
    assert "can be written by other users" in str(receipts.problem)
    assert receipts.find_problem() is not None
    assert list((tmp_path / "home" / ".tt").iterdir()) == []


# --- recovering --------------------------------------------------------------------------------------------------


def test_what_was_lost_follows_again_and_the_gap_is_named(town: Town, server: redis.Redis) -> None:
    """The same task, version, actor, command, data and reason; the time when it happened, and what led to it."""
    kept = look_back(server)
    task = town.create("first").task.id
    town.tag(task, add=["docs"], reason="why not")
    told = of_tasks(town)
    fall_back(server, kept)
    gone = [each.position for each in town.recovery.look().events]
    recovered = town.recovery.recover()
    assert of_tasks(town) == told
    names, *again = town.events.last(count=3)
    assert names.data == TownRecovered(first=gone[0], last=gone[1], lost=2, appended=2)
    assert names.position == recovered.position
    assert [each.position for each in again] == list(recovered.appended)
    for recorded, was in zip(again, gone, strict=True):
        assert (recorded.actor, recorded.cause) == ("alice", names.position)
        assert recorded.reason == (None if recorded.version == 1 else "why not")
        assert recorded.occurred_at == was.time
    assert_sound(town)
    town.note(task, "more")
    assert town.recovery.look().events == ()


def test_recovery_twice_changes_nothing_more(town: Town, server: redis.Redis) -> None:
    """Also where the first one could not write down that it was done."""
    lose_two(town, server)
    receipts = town.backend.receipts
    [name] = files_in(receipts.path)
    before = (receipts.path / name).read_bytes()
    town.recovery.recover()
    after = look_back(server)
    (receipts.path / name).write_bytes(before)
    assert [each.fate for each in town.recovery.look().events] == [Fate.THERE, Fate.THERE]
    assert town.recovery.findings() == []
    assert town.recovery.recover().position is None
    assert town.recovery.look().events == ()
    assert look_back(server) == after
    town.create("more")


def test_other_process_goes_on_after_a_recovery(town: Town, server: redis.Redis) -> None:
    """What it knew is not there any more, and it hears that this was dealt with."""
    with Town.open(town.folder) as long_running:
        task, _ = lose_two(town, server)
        long_running.backend.receipts.renew()
        with pytest.raises(EventsLostError):
            long_running.note(task, "more")
        town.recovery.recover()
        long_running.note(task, "more")
        assert long_running.backend.receipts.missed is None
        # Also where the append itself is the first to find out.
        kept = look_back(server)
        long_running.note(task, "lost")
        fall_back(server, kept)
        with Town.open(town.folder) as other:
            other.recovery.accept_loss("demo")
        append_blindly(long_running)


def test_notes_and_causes_go_on_naming_the_same_event(town: Town, server: redis.Redis) -> None:
    """A note on a lost event is on that event again, and what was taken back stays so."""
    kept = look_back(server)
    task = town.create("first").task.id
    noted = town.describe(task, "second").positions[0]
    town.annotator.annotate(noted, "on it")
    town.undoing.undo(noted)
    fall_back(server, kept)
    town.recovery.recover()
    [described, undone] = [each for each in town.events.last(count=None) if each.type == "task.described"]
    assert undone.cause == described.position
    [[note]] = town.annotations([described]).values()
    assert note.text == "on it"
    assert_sound(town)


def test_event_whose_place_was_taken_remains_until_its_loss_is_accepted(town: Town, server: redis.Redis) -> None:
    """It is named with why, writing is refused, and accepting it takes the town's name."""
    task = town.create("first").task.id
    kept = look_back(server)
    town.note(task, "lost")
    town.describe(task, "lost, too")
    other = town.create("second").task.id
    fall_back(server, kept)
    unaware(town, lambda each: each.note(task, "of another machine"))
    recovered = town.recovery.recover()
    assert len(recovered.appended) == 1
    assert [each.fate for each in recovered.gap.events] == [Fate.OVERTAKEN, Fate.OVERTAKEN, Fate.APPENDED]
    assert all(each.why and "of another command" in each.why for each in recovered.gap.remaining)
    assert town.task(other).description == "second"
    for opened in (town, Town.open(town.folder)):
        with pytest.raises(EventsLostError):
            opened.create("more")
    opened.close()
    before = look_back(server)
    assert town.recovery.recover().position is None
    with pytest.raises(RecoveryRefusedError):
        town.recovery.accept_loss("other")
    assert look_back(server) == before
    accepted = town.recovery.accept_loss("demo")
    assert [each.position for each in accepted.gap.lost] == [each.position for each in recovered.gap.remaining]
    assert accepted.kept_in is not None
    assert [json.loads(line)["event"]["data"] for line in Path(accepted.kept_in).read_text("utf-8").splitlines()] == [
        {"text": "lost"},
        {"description": "lost, too"},
    ]
    town.create("more")
    assert_sound(town)


def test_event_that_its_task_cannot_take_any_more_is_not_appended(town: Town, server: redis.Redis) -> None:
    """Its version is free, but the events before it are others: it would damage the task."""
    task = town.create("first", agent="ada").task.id
    kept = look_back(server)
    unaware(town, lambda each: each.start(task))
    town.complete(task, result="ok")
    fall_back(server, kept)
    unaware(town, lambda each: each.cancel(task))
    [gone] = town.recovery.look().events
    assert (gone.type, gone.fate) == ("task.completed", Fate.OVERTAKEN)
    assert town.recovery.recover().position is None
    town.recovery.accept_loss("demo")
    assert_sound(town)


def test_loss_that_is_meant_is_accepted_whole(town: Town, server: redis.Redis) -> None:
    """After an older backup was put back on purpose: nothing is appended but the word of it, and the town goes on."""
    lose_two(town, server)
    accepted = town.recovery.accept_loss("demo")
    assert accepted.appended == ()
    last = town.events.last(count=1)[0]
    assert isinstance(last.data, TownRecovered)
    assert (last.data.lost, last.data.appended, last.position) == (2, 0, accepted.position)
    town.create("more")
    assert_sound(town)
    assert town.recovery.accept_loss("demo").position is None


def test_damaged_ledger_takes_no_recovery_but_its_loss_can_be_accepted(town: Town, server: redis.Redis) -> None:
    """Appending to a ledger with a hole would look as if it was whole."""
    _, hole, _ = (town.create(words).positions[-1] for words in ("first", "second", "third"))
    kept = look_back(server)
    town.create("fourth")
    fall_back(server, kept)
    server.xdel(town.keys.ledger, hole)
    assert [each.fate for each in town.recovery.look().events] == [Fate.DAMAGED, Fate.APPENDED]
    assert town.recovery.findings()[0].where == hole
    with pytest.raises(LedgerDamagedError):
        town.recovery.recover()
    with pytest.raises(EventsLostError):
        town.create("more")
    town.recovery.accept_loss("demo")
    assert town.recovery.look().events == ()
    town.create("more")


def test_hole_that_only_a_backup_closes_stops_writing(town: Town, server: redis.Redis) -> None:
    """Until its loss is accepted; a recovery cannot make it good."""
    _, hole, _ = (town.create(words).positions[-1] for words in ("first", "second", "third"))
    server.xdel(town.keys.ledger, hole)
    with pytest.raises(EventsLostError, match=f"The event at {hole}"):
        town.create("fourth")
    assert [each.position for each in town.recovery.recover().gap.remaining] == [hole]
    with Town.open(town.folder) as opened, pytest.raises(EventsLostError):
        opened.create("more")
    town.recovery.accept_loss("demo")
    town.create("more")


def test_large_loss_follows_again_in_its_order(town: Town, server: redis.Redis) -> None:
    """More than one batch."""
    kept = look_back(server)
    for number in range(40):
        task = town.create(f"task {number}").task.id
        for _ in range(30):
            town.note(task, "x")
    told = of_tasks(town)
    fall_back(server, kept)
    recovered = town.recovery.recover()
    assert len(recovered.appended) == len(told) > 1_000
    assert of_tasks(town) == told
    assert_sound(town)


# --- several machines --------------------------------------------------------------------------------------------


class Machine:
    """A user's home on one machine, and a town's folder there, which leads to a server that several share."""

    def __init__(self, above: Path, name: str, url: str) -> None:
        self.home = above / f"home-{name}"
        self.home.mkdir(mode=0o700)
        self.folder = above / name
        with self.at_home():
            Town.init(self.folder, name="demo", url=url, actor=name, is_registered=False).close()

    @property
    def env(self) -> Mapping[str, str]:
        return {"HOME": str(self.home)}

    def at_home(self) -> Home:
        return Home(self.home)

    def open(self) -> Town:
        with self.at_home():
            town = Town.open(self.folder, actor=self.folder.name)
            assert town.backend.receipts.path.is_relative_to(self.home)
            return town


class Home:
    """HOME is another one for a while."""

    def __init__(self, home: Path) -> None:
        self._home = home
        self._before = os.environ["HOME"]

    def __enter__(self) -> None:
        os.environ["HOME"] = str(self._home)

    def __exit__(self, *_: object) -> None:
        os.environ["HOME"] = self._before


@pytest.fixture
def machines(client: redis.Redis, server_socket: Path, tmp_path: Path) -> tuple[Machine, Machine]:
    assert client.ping()
    url = f"unix://{quote(str(server_socket))}"
    return Machine(tmp_path, "ada", url), Machine(tmp_path, "bob", url)


def share_a_loss(machines: tuple[Machine, Machine], client: redis.Redis) -> tuple[str, set[tuple[str, str, int, str]]]:
    """Events of both machines are lost, also in turns on one task; returns that task, and all events."""
    ada, bob = machines
    with ada.open() as town:
        task = town.create("shared").task.id
        kept: Kept = look_back(client)
        town.note(task, "of ada")
    with bob.open() as town:
        town.note(task, "of bob")
        town.create("of bob alone", agent="bob")
    with ada.open() as town:
        town.note(task, "of ada again")
        town.create("of ada alone")
        told = set(of_tasks(town))
    fall_back(client, kept)
    return task, told


def test_two_machines_recover_the_union_once(machines: tuple[Machine, Machine], client: redis.Redis) -> None:
    """One after the other, and the first again for what waited for the other's."""
    ada, bob = machines
    _, told = share_a_loss(machines, client)
    looked = run_process("recover", "--dry-run", folder=ada.folder, env=ada.env)
    assert "By the numbers there were 3 more events, and this machine has no receipt" in looked.err, looked
    with ada.open() as town:
        first = town.recovery.recover()
        assert [each.fate for each in first.gap.events] == [Fate.APPENDED, Fate.WAITING, Fate.APPENDED]
    with bob.open() as town:
        assert town.recovery.recover().gap.remaining == []
    with ada.open() as town:
        again = town.recovery.recover()
        assert (len(again.appended), again.gap.remaining) == (1, [])
    for machine in machines:
        with machine.open() as town:
            assert town.recovery.look().events == ()
            found = of_tasks(town)
            assert (set(found), len(found)) == (told, len(told))
            assert_sound(town)
    for machine in machines:
        with machine.open() as town:
            town.create("more")


def test_two_machines_that_recover_at_once_recover_the_union_once(
    machines: tuple[Machine, Machine], client: redis.Redis
) -> None:
    """Whoever is second looks again."""
    _, told = share_a_loss(machines, client)
    for _ in range(2):
        running = [start_process("recover", folder=each.folder, env=each.env) for each in machines for _ in range(2)]
        for process in running:
            process.communicate()
            assert process.returncode in (0, 5)
    for machine in machines:
        with machine.open() as town:
            assert town.recovery.recover().gap.remaining == []
    with machines[0].open() as town:
        found = of_tasks(town)
        assert (set(found), len(found)) == (told, len(told))
        assert_sound(town)


# --- new towns ---------------------------------------------------------------------------------------------------


def test_new_town_in_the_folder_of_an_old_one_begins_new_receipts(tmp_path: Path) -> None:
    """What the old one had is not missing in the new one."""
    folder = tmp_path / "town"
    try:
        with Town.init(folder, name="demo", is_registered=False) as town:
            town.create("old")
        EmbeddedServer(folder).stop()
        shutil.rmtree(folder)
        with Town.init(folder, name="demo", is_registered=False) as town:
            assert town.backend.receipts.known == ""
            town.create("new")
            assert_sound(town)
    finally:
        end_server(folder)


def test_lost_fork_is_noticed(town: Town, tmp_path: Path) -> None:
    """What it has in common with its source was not told here event by event, but that it was there."""
    town.create("first")
    try:
        with town.fork("what-if", folder=tmp_path / "fork", is_registered=False).town as fork:
            assert fork.backend.receipts.known == fork.end()
            with client_of(fork.folder) as client:
                client.flushall()
            with pytest.raises(EventsLostError):
                fork.create("more")
            [gone] = fork.recovery.look().events
            assert gone.fate is Fate.UNKNOWN
            assert fork.recovery.recover().position is None
            assert fork.recovery.accept_loss("what-if").kept_in is None
            fork.create("more")
    finally:
        end_server(tmp_path / "fork")


def test_imported_ledger_that_is_lost_is_noticed(town: Town, tmp_path: Path) -> None:
    """The same file brings it back as it was, at the same positions, and then nothing is missing."""
    town.create("first", agent="ada")
    file = tmp_path / "ledger.jsonl"
    assert run_process("export", str(file), folder=town.folder).code == 0
    folder = tmp_path / "copy"
    try:
        Town.init(folder, name="demo", is_registered=False).close()
        assert run_process("import", "ledger", str(file), folder=folder).code == 0
        with client_of(folder) as client:
            client.flushall()
        ran = run_process("task", "create", "more", folder=folder)
        assert (ran.code, "2 events that were acknowledged here are gone" in ran.err) == (5, True)
        ran = run_process("import", "ledger", str(file), folder=folder)
        assert (ran.code, ran.err) == (0, "")
        assert run_process("verify", folder=folder).code == 0
        assert run_process("task", "create", "more", folder=folder).code == 0
        with client_of(folder) as client:
            client.flushall()
        # The file is older than what was told: the rest is missed, and follows again.
        ran = run_process("import", "ledger", str(file), folder=folder)
        assert (ran.code, "up to 3; the server has 2: 1 event that" in ran.err) == (0, True)
        assert run_process("recover", folder=folder).code == 0
        assert run_process("verify", folder=folder).code == 0
    finally:
        end_server(folder)


# -----------------------------------------------------------------------------------------------------------------


def unaware(town: Town, write: Callable[[Town], object]) -> None:
    """Write as somebody who was told nothing before, and who keeps no receipts."""
    with Town.open(town.folder, actor="bob") as other:
        other.backend.store.receipts = Receipts()
        write(other)


def append_blindly(town: Town) -> None:
    """An append, without the look that a command begins with."""
    event = an_event(TaskCreated("more"), task=new_task_id())
    town.backend.store.append([event], {event.task: 0})


def assert_sound(town: Town) -> None:
    """Verify finds nothing, and nothing is missed."""
    town.upkeep.catch_up()
    assert town.upkeep.verify().findings == ()
    assert town.recovery.findings() == []


def start_bare_server(place: Path, address: Path) -> subprocess.Popen[bytes]:
    """A server that keeps nothing."""
    server = subprocess.Popen(
        [
            str(find_binary(None)),
            "--port",
            "0",
            "--unixsocket",
            str(address),
            "--save",
            "",
            "--appendonly",
            "no",
            "--dir",
            str(place),
        ],
        stdout=subprocess.DEVNULL,
    )

    def answers() -> bool:
        try:
            with redis.Redis(unix_socket_path=str(address)) as client:
                return bool(client.ping())
        except redis.RedisError:
            return False

    wait_until(answers)
    return server
