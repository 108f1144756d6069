"""Repair of damaged files on the real server: what still parses is kept, what is lost is told, the original stays."""

from __future__ import annotations

import fcntl
import json
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ledger import LedgerError
from tests.support.aof import encode_command
from tests.support.terminal import on_terminal
from tests.support.towns import client_of, end_server
from tests.support.tt import run_here
from tests.support.waiting import wait_until
from town import FileDamagedError, Repair, RepairPlan, ServerStartError, Town
from town.aof.format import AOF_FOLDER, MANIFEST_FILE, AofFolder, CommandReader
from town.folder.data_folder import DataFolder
from town.server.own_server import EmbeddedServer

LEDGER = b"tt:broken:ledger"
Change = Callable[[bytes], bytes]


class Event(NamedTuple):
    """An event's command in the file: where it stands, and the entry that it makes."""

    offset: int
    end: int
    position: bytes
    payload: bytes


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A small town with a stopped server: its files are copied and damaged."""
    folder = tmp_path_factory.mktemp("template")
    _make_town(folder)
    yield folder
    end_server(folder)


def _make_town(folder: Path, *, is_binary: bool = False) -> None:
    """Eight tasks in many commands; the first four are in the base file where that is binary."""
    with Town.init(folder, name="broken", actor="ada", is_registered=False) as town:
        for number in range(8):
            if is_binary and number == 4:
                _write_binary_base(town.connection.client)
            task = town.create(f"Task {number} ✅", agent="worker-1").task.id
            town.start(task)
            if number % 2:
                town.complete(task, result=f"Done {number}")
        with client_of(folder) as client:
            client.set("of:another:program", "kept\r\n*3\r\n")
    EmbeddedServer(folder).stop()


def _write_binary_base(client: Any) -> None:
    client.config_set("aof-use-rdb-preamble", "yes")
    client.bgrewriteaof()
    wait_until(lambda: not client.info("persistence")["aof_rewrite_in_progress"])


@pytest.fixture
def town_folder(template: Path, folder: Path) -> Path:
    _copy_town(template, folder)
    return folder


def _copy_town(template: Path, folder: Path) -> None:
    shutil.copytree(template, folder, dirs_exist_ok=True)
    # A copy is no town of this user's until that is said.
    DataFolder(folder).trust()


def increment(folder: Path) -> Path:
    (path,) = (folder / ".tt" / AOF_FOLDER).glob("*.incr.aof")
    return path


def damage(folder: Path, change: Change) -> bytes:
    """Change the file that the server appends to; its bytes then."""
    path = increment(folder)
    path.write_bytes(change(path.read_bytes()))
    return path.read_bytes()


def events_in(folder: Path) -> list[Event]:
    """The events of a file that is not damaged."""
    with AofFolder(folder / ".tt") as files, files.opened(increment(folder).name) as descriptor:
        reader = CommandReader(descriptor, "")
        return [
            Event(offset, reader.end, arguments[2], arguments[4])
            for offset, arguments in reader
            if arguments[:2] == [b"XADD", LEDGER]
        ]


def entries(folder: Path) -> list[tuple[bytes, bytes]]:
    """The ledger as a server reads it from the folder."""
    server = EmbeddedServer(folder)
    server.start()
    with client_of(folder) as client:
        found: Any = client.xrange(LEDGER)
    server.stop()
    return [(position, fields[b"event"]) for position, fields in found]


def _task_of(event: Event) -> str:
    task = json.loads(event.payload)["task"]
    assert isinstance(task, str)
    return task


def _task_named(folder: Path, text: bytes) -> str:
    """The task whose creation holds the text."""
    return next(_task_of(each) for each in events_in(folder) if text in each.payload)


def files_of(path: Path) -> dict[str, bytes]:
    return {each.name: each.read_bytes() for each in path.iterdir()}


def replace_once(old: bytes, new: bytes, *, after: bytes = b"") -> Change:
    def change(content: bytes) -> bytes:
        at = content.index(old, content.index(after))
        return content[:at] + new + content[at + len(old) :]

    return change


def replace_last(old: bytes, new: bytes) -> Change:
    return lambda content: new.join(content.rsplit(old, 1))


def zero(first: float, count: int) -> Change:
    def change(content: bytes) -> bytes:
        at = int(len(content) * first)
        return content[:at] + bytes(count) + content[at + count :]

    return change


def in_event(number: int, change: Callable[[bytes], bytes]) -> Change:
    """A change of the command that appends an event."""

    def change_file(content: bytes) -> bytes:
        at = content.index(b"-%d\r\n$5\r\nevent" % number)
        begin = content.rindex(b"*5\r\n$4\r\nXADD", 0, at)
        end = content.index(b"}\r\n*", at) + 3
        return content[:begin] + change(content[begin:end]) + content[end:]

    return change_file


def take_in(content: bytes) -> bytes:
    """The length of an event becomes one that ends, by chance, where a later command ends: all is well-formed."""
    begin = content.index(b"{", content.index(b"-14\r\n$5\r\nevent"))
    (end, *_) = (each for each in range(begin + 500, begin + 999) if content[each:].startswith(b"\r\n*"))
    return content[: begin - 5] + b"%d\r\n" % (end - begin) + content[begin:]


# --- what is lost is told, what is not is kept -------------------------------------------------------------------

NOTHING_LOST: dict[str, Change] = {
    "snapshot": replace_once(b"MSET", b"M\x00ET", after=b'"Task 5'),
    "snapshot's length": replace_once(b"$4\r\nMSET", b"$9\r\nMSET", after=b'"Task 5'),
    "last head": replace_last(b"HSET\r\n$15\r\ntt:broken:heads", b"HS\xffT\r\n$15\r\ntt:broken:heads"),
    "length that takes in what follows": take_in,
    "view": replace_once(b"ZADD", b"ZZZZ", after=b'"Task 5'),
    "count of arguments": replace_once(b"*8\r\n$4\r\nHSET", b"*3\r\n$4\r\nHSET", after=b'"Task 5'),
    "command that takes fewer": replace_once(b"*8\r\n$4\r\nHSET", b"*8\r\n$4\r\nLSET", after=b'"Task 5'),
    "beginning of a transaction": replace_once(b"*1\r\n$5\r\nMULTI", b"*1\r\n$5\r\nMULTJ", after=b'"Task 5'),
    "end of a transaction": replace_once(b"*1\r\n$4\r\nEXEC", b"*1\r\n$4\r\nEXED", after=b'"Task 5'),
    "name of an event": in_event(14, lambda command: command.replace(b"XADD", b"X\x00DD")),
    "length of an event": in_event(14, lambda command: command.replace(b"event\r\n$2", b"event\r\n$9")),
    "long length of an event": in_event(14, lambda command: command.replace(b"event\r\n$", b"event\r\n\x04")),
    "fewer arguments of an event": in_event(14, lambda command: command.replace(b"*5", b"*3", 1)),
    "more arguments of an event": in_event(14, lambda command: command.replace(b"*5", b"*6", 1)),
    "frame of an event": in_event(14, lambda command: command.replace(b"\r\n$5\r\nevent\r\n$", bytes(11) + b"\r\n$")),
    "town of an event": in_event(14, lambda command: command.replace(b"tt:broken:ledger", b"tt:brokem:ledger")),
    "several frames": lambda content: content.replace(b"$5\r\nevent", b"$5\r\nevenT"),
    "line of text": replace_once(b"*1\r\n$5\r\nMULTI", b"\0garbage\r\n" * 20 + b"*1\r\n$5\r\nMULTI", after=b'"Task 5'),
    "garbage at the end": lambda content: content + b"\0garbage *3\r\n$3\r\nSET" * 9,
    "zeros at the end": lambda content: content + bytes(70_000),
    "foreign command": lambda content: content + encode_command(b"CONFIG", b"SET", b"port", b"7001"),
}  # fmt: skip


@pytest.mark.parametrize("change", NOTHING_LOST.values(), ids=NOTHING_LOST)
def test_damage_beside_events_loses_nothing(
    town_folder: Path, change: Change, capsys: pytest.CaptureFixture[str]
) -> None:
    """Every event stays in its place; heads, snapshots and views are put right; what `tt verify` looks at is as promised."""
    expected = [(each.position, each.payload) for each in events_in(town_folder)]
    damage(town_folder, change)
    original = files_of(town_folder / ".tt" / AOF_FOLDER)
    ran = run_here(capsys, "doctor", "--repair", "--yes", "--json", "--town", str(town_folder))
    assert ran.code == 0, ran.err
    assert ran.json["is_repaired"]
    (told,) = ran.json["towns"]
    assert (told["lost"], told["findings"], ran.json["events_left_out"]) == ([], [], 0)
    assert files_of(Path(ran.json["kept"]) / AOF_FOLDER) == original
    assert entries(town_folder) == expected
    assert list((town_folder / ".tt").glob("repairing-*")) == []


def test_repaired_town_goes_on(town_folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Events are appended behind the repaired ones, `tt verify` says all as promised, and other programs' keys are as before."""
    damage(town_folder, NOTHING_LOST["name of an event"])
    assert run_here(capsys, "doctor", "--repair", "--yes", "--town", str(town_folder)).code == 0
    assert run_here(capsys, "verify", "--town", str(town_folder)).code == 0
    assert run_here(capsys, "assign", "worker-1", "Go on", "--town", str(town_folder)).code == 0
    assert run_here(capsys, "verify", "--town", str(town_folder)).code == 0
    with client_of(town_folder) as client:
        assert client.get("of:another:program") == b"kept\r\n*3\r\n"


ONE_EVENT_LOST: dict[str, Change] = {
    "number": in_event(14, lambda command: command.replace(b"-14\r\n", b"-\x004\r\n", 1)),
    "text": in_event(14, lambda command: command.replace(b"XADD", b"XXXX").replace(b'"actor":"', b'"actor":#')),
    "length, one byte more": in_event(14, lambda command: command.replace(b"event\r\n$", b"event\r\n$9")),
    "cut out": in_event(14, lambda command: command[:40] + command[-40:]),
    "zeroed": in_event(14, lambda command: bytes(len(command))),
    "number too high": in_event(14, lambda command: command.replace(b"-14\r\n", b"-94\r\n", 1)),
    "number too low": in_event(14, lambda command: command.replace(b"-14\r\n", b"-04\r\n", 1)),
    "number of another": in_event(14, lambda command: command.replace(b"-14\r\n", b"-13\r\n").replace(b"*5", b"*4")),
}


@pytest.mark.parametrize("change", ONE_EVENT_LOST.values(), ids=ONE_EVENT_LOST)
def test_damaged_event_is_told_and_all_others_are_kept(
    town_folder: Path, change: Change, capsys: pytest.CaptureFixture[str]
) -> None:
    """The one event is named with its number, time and task; the others stay, before and behind it; verify names the gap."""
    expected = [(each.position, each.payload) for each in events_in(town_folder)]
    lost = next(each for each in events_in(town_folder) if each.position.endswith(b"-14"))
    damage(town_folder, change)
    ran = run_here(capsys, "doctor", "--repair", "--yes", "--json", "--town", str(town_folder))
    assert ran.code == 0, ran.err
    (told,) = ran.json["towns"]
    assert [(each["first"], each["last"]) for each in told["lost"]] == [(14, 14)]
    assert [(each["number"], each["task"]) for each in told["lost_named"]] == [(14, json.loads(lost.payload)["task"])]
    assert entries(town_folder) == [each for each in expected if each[0] != lost.position]
    sequence = [each["problem"] for each in told["findings"] if each["kind"] == "sequence"]
    assert sequence == [f"sequence number 14 is missing after {expected[12][0].decode()}"]
    assert "head" not in [each["kind"] for each in told["findings"]]
    behind = (Path(ran.json["kept"]) / "events-behind-the-damage.jsonl").read_text("utf-8").splitlines()
    kept = [json.loads(line) for line in behind if json.loads(line)["is_kept"]]
    assert [each["number"] for each in kept] == list(range(15, len(expected) + 1))
    assert (Path(ran.json["kept"]) / "behind-the-damage.aof").stat().st_size > 1_000


def test_number_of_a_lost_last_event_is_not_given_again(town_folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Where the last event is damaged and its head is not, the next event gets a later number, and verify names the loss."""
    last = len(events_in(town_folder))
    damage(town_folder, in_event(last, lambda command: command[:9] + bytes(60) + command[69:]))
    assert run_here(capsys, "doctor", "--repair", "--yes", "--town", str(town_folder)).code == 0
    assert run_here(capsys, "rebuild", "--accept-loss", "--town", str(town_folder)).code == 0
    assert run_here(capsys, "assign", "worker-1", "Go on", "--town", str(town_folder)).code == 0
    found = run_here(capsys, "verify", "--json", "--town", str(town_folder))
    assert [each["kind"] for each in found.json["findings"]] == ["sequence"]
    assert f"sequence number {last} is missing" in found.json["findings"][0]["problem"]


def test_block_of_zeros_is_stepped_over(town_folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A block that the disk lost takes the events in it, and no other."""
    events = events_in(town_folder)
    content = increment(town_folder).read_bytes()
    begin = len(content) // 2
    damage(town_folder, zero(0.5, 4_096))
    intact = [each for each in events if each.end <= begin or each.offset >= begin + 4_096]
    assert 0 < len(intact) < len(events)
    ran = run_here(capsys, "doctor", "--repair", "--yes", "--town", str(town_folder))
    assert ran.code == 0, ran.err
    assert "lost: event" in ran.out
    assert "Events are lost" in ran.err
    assert entries(town_folder) == [(each.position, each.payload) for each in intact]


def test_end_that_is_cut_off_is_dropped_as_a_server_does(town_folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A transaction without its end was never acknowledged; its events are still written beside the repaired file."""
    last = events_in(town_folder)[-1]
    damage(town_folder, lambda content: content[: last.end + 9])
    assert "are lost without a trace" in run_here(capsys, "doctor", "--repair", "--town", str(town_folder)).out
    ran = run_here(capsys, "doctor", "--repair", "--yes", "--json", "--town", str(town_folder))
    assert ran.code == 0, ran.err
    assert [each["is_cut_short"] for each in ran.json["damages"]] == [True]
    behind = (Path(ran.json["kept"]) / "events-behind-the-damage.jsonl").read_text("utf-8").splitlines()
    assert ran.json["events_left_out"] == len([line for line in behind if not json.loads(line)["is_kept"]])
    assert len(entries(town_folder)) < int(last.position.split(b"-")[1])
    assert run_here(capsys, "verify", "--town", str(town_folder)).code == 0


def test_wrong_length_does_not_cut_off_what_lies_behind(town_folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A length that leads out of the file looks like a power cut: servers cut off the second half. Ours does not start."""
    expected = [(each.position, each.payload) for each in events_in(town_folder) if not each.position.endswith(b"-14")]
    damaged = damage(town_folder, in_event(14, lambda command: command.replace(b"event\r\n$", b"event\r\n$99999")))
    ran = run_here(capsys, "tasks", "--town", str(town_folder))
    assert (ran.code, "`tt doctor --repair`" in ran.err) == (4, True)
    assert increment(town_folder).read_bytes() == damaged
    assert run_here(capsys, "doctor", "--repair", "--yes", "--town", str(town_folder)).code == 0
    assert entries(town_folder) == expected


def test_lost_events_are_told_by_what_they_mean_for_tasks(
    town_folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Each task that lost events is named with what its snapshot says, and with what a rebuild makes of it, which comes true."""
    numbers = {"beginning": b'"Task 1', "middle": b'"Task 3', "end": b'"Task 5'}
    events = {
        loss: [each for each in events_in(town_folder) if _task_of(each) == _task_named(town_folder, text)]
        for loss, text in numbers.items()
    }
    lost = [events["beginning"][0], events["middle"][2], events["end"][-1]]

    def zero_them(content: bytes) -> bytes:
        for each in lost:
            content = content[: each.offset] + bytes(each.end - each.offset) + content[each.end :]
        return content

    damage(town_folder, zero_them)
    ran = run_here(capsys, "doctor", "--repair", "--yes", "--json", "--town", str(town_folder))
    (told,) = ran.json["towns"]
    by_task = {each["task"]: each for each in told["tasks"]}
    tasks = {loss: _task_of(of_task[0]) for loss, of_task in events.items()}
    assert {loss: by_task[task]["loss"] for loss, task in tasks.items()} == {loss: loss for loss in numbers}
    found = run_here(capsys, "verify", "--json", "--town", str(town_folder))
    assert (found.code, found.json["findings"]) == (5, told["findings"])
    assert by_task[tasks["end"]] | {"loss": ""} == {
        "task": tasks["end"], "loss": "", "description": "Task 5 ✅", "state": "completed",
    }  # fmt: skip
    assert run_here(capsys, "rebuild", "--accept-loss", "--town", str(town_folder)).code == 0
    shown = run_here(capsys, "task", "show", tasks["end"], "--json", "--town", str(town_folder))
    assert shown.json["task"]["state"] == "running"
    assert run_here(capsys, "task", "show", tasks["middle"], "--town", str(town_folder)).code == 0
    assert tasks["beginning"] not in run_here(capsys, "tasks", "--all", "--json", "--town", str(town_folder)).out


def test_town_of_which_nothing_is_left_is_not_replaced_by_an_empty_one(
    town_folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Where nothing can be read, there is nothing to repair: the damaged files stay, and a backup is asked for."""
    damaged = damage(town_folder, lambda content: bytes(len(content)))
    ran = run_here(capsys, "doctor", "--repair", "--yes", "--town", str(town_folder))
    assert (ran.code, "nothing in it can be read" in ran.err, "from a backup" in ran.err) == (5, True, True)
    assert increment(town_folder).read_bytes() == damaged


def test_files_that_were_deleted_are_not_called_whole(town_folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """An empty folder holds no byte that is damaged, and none of the town either."""
    for path in (town_folder / ".tt" / AOF_FOLDER).iterdir():
        path.unlink()
    ran = run_here(capsys, "doctor", "--repair", "--town", str(town_folder))
    assert "no files yet" in ran.out
    assert "backup" in ran.out


def test_damaged_end_is_not_called_whole(town_folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Behind the last damage nothing tells what stood in it, and that is said."""
    last = events_in(town_folder)[-1]
    damage(town_folder, lambda content: content[: last.offset] + bytes(len(content) - last.offset))
    ran = run_here(capsys, "doctor", "--repair", "--town", str(town_folder))
    assert f"events after number {int(last.position.split(b'-')[1]) - 1} may be lost" in ran.out
    assert "No event is lost" not in ran.out


def test_damaged_copy_is_repaired_before_it_is_trusted(town_folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Damaged data that was not made here cannot be looked into, so it cannot be trusted; repaired, it can, and is asked about.

    What its files hold beside changes of data is not run.
    """
    expected = [(each.position, each.payload) for each in events_in(town_folder)]
    foreign = encode_command(b"CONFIG", b"SET", b"port", b"7001")
    damage(town_folder, lambda content: replace_once(b"MSET", b"M\x00ET", after=b'"Task 5')(content) + foreign)
    (town_folder / ".tt" / "identity").unlink()
    ran = run_here(capsys, "trust", "--yes", "--town", str(town_folder))
    assert ran.code == 1
    ran = run_here(capsys, "doctor", "--repair", "--yes", "--town", str(town_folder))
    assert ran.code == 0, ran.err
    assert "`tt trust`" in ran.err
    assert run_here(capsys, "tasks", "--town", str(town_folder)).code == 1
    assert run_here(capsys, "trust", "--yes", "--town", str(town_folder)).code == 0
    assert entries(town_folder) == expected


# --- the manifest and the base -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "content", [None, b"", bytes(88), b"file ../../x seq 1 type i\n"], ids=["none", "empty", "zeros", "path"]
)
def test_damaged_manifest_is_made_from_the_names(
    town_folder: Path, content: bytes | None, capsys: pytest.CaptureFixture[str]
) -> None:
    """Without its list a server begins an empty town, so it is not started; a repair finds the files by their names."""
    expected = [(each.position, each.payload) for each in events_in(town_folder)]
    manifest = town_folder / ".tt" / AOF_FOLDER / MANIFEST_FILE
    manifest.unlink() if content is None else manifest.write_bytes(content)
    before = files_of(town_folder / ".tt" / AOF_FOLDER)
    with pytest.raises(ServerStartError, match="tt doctor --repair"):
        EmbeddedServer(town_folder).start()
    assert files_of(town_folder / ".tt" / AOF_FOLDER) == before
    assert run_here(capsys, "doctor", "--repair", "--yes", "--town", str(town_folder)).code == 0
    assert entries(town_folder) == expected
    assert run_here(capsys, "verify", "--town", str(town_folder)).code == 0


def test_missing_base_is_told_by_its_name(town_folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """What the manifest lists and is not there is named; the other files are kept."""
    expected = [(each.position, each.payload) for each in events_in(town_folder)]
    (base,) = (town_folder / ".tt" / AOF_FOLDER).glob("*.base.aof")
    base.unlink()
    with pytest.raises(ServerStartError, match="tt doctor --repair"):
        EmbeddedServer(town_folder).start()
    ran = run_here(capsys, "doctor", "--repair", "--yes", "--town", str(town_folder))
    assert ran.code == 0, ran.err
    assert f"{base.name}: it is missing." in ran.out
    assert entries(town_folder) == expected


def test_binary_base_is_kept_as_it_is(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A sound base in the server's binary format stays, with what was appended since."""
    _make_town(folder, is_binary=True)
    damage(folder, replace_once(b"MSET", b"M\x00ET", after=b'"Task 6'))
    assert run_here(capsys, "doctor", "--repair", "--yes", "--town", str(folder)).code == 0
    assert run_here(capsys, "verify", "--town", str(folder)).code == 0
    EmbeddedServer(folder).stop()


def test_damaged_binary_base_is_told_and_what_was_appended_since_is_kept(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Nothing but a server reads it, so its events are lost as a whole, and are told; before, the only way out was a backup."""
    _make_town(folder, is_binary=True)
    appended = [(each.position, each.payload) for each in events_in(folder)]
    (base,) = (folder / ".tt" / AOF_FOLDER).glob("*.base.rdb")
    assert run_here(capsys, "doctor", "--repair", "--town", str(folder)).out.startswith("Nothing is damaged")
    base.write_bytes(zero(0.5, 64)(base.read_bytes()))
    before = files_of(folder / ".tt" / AOF_FOLDER)
    with pytest.raises(ServerStartError, match="tt doctor --repair"):
        EmbeddedServer(folder).start()
    ran = run_here(capsys, "doctor", "--repair", "--yes", "--json", "--town", str(folder))
    assert ran.code == 0, ran.err
    (told,) = ran.json["towns"]
    first = int(appended[0][0].split(b"-")[1])
    assert [(each["first"], each["last"]) for each in told["lost"]] == [(1, first - 1)]
    assert "the server does not load it" in ran.json["damages"][0]["problem"]
    assert files_of(Path(ran.json["kept"]) / AOF_FOLDER) == before
    assert entries(folder) == appended


# --- asking, and not being disturbed -----------------------------------------------------------------------------


def test_without_a_yes_nothing_is_changed(town_folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Without a terminal it says what it would do, changes nothing, and ends with 1."""
    damage(town_folder, zero(0.5, 100))
    before = files_of(town_folder / ".tt" / AOF_FOLDER)
    for arguments in ([], ["--json"]):
        ran = run_here(capsys, "doctor", "--repair", *arguments, "--town", str(town_folder))
        assert ran.code == 1
        assert "Nothing was changed" in ran.err
        assert "--yes" in ran.err
    assert not ran.json["is_repaired"]
    assert files_of(town_folder / ".tt" / AOF_FOLDER) == before
    assert {each.name for each in (town_folder / ".tt").iterdir()} == {
        AOF_FOLDER,
        "identity",
        "server.lock",
        "server.log",
    }


@pytest.mark.parametrize(("answer", "code"), [(b"y\n", 0), (b"n\n", 1)])
def test_terminal_is_asked(town_folder: Path, answer: bytes, code: int) -> None:
    """On a terminal the question comes after what would be lost; what is not a yes changes nothing."""
    damage(town_folder, zero(0.5, 100))
    before = files_of(town_folder / ".tt" / AOF_FOLDER)
    shown = on_terminal(["doctor", "--repair"], town_folder, {"NO_COLOR": "1"}, typed=answer, code=code)
    assert shown.index("After the damage") < shown.index("and keep the damaged ones? [y/N]")
    assert (files_of(town_folder / ".tt" / AOF_FOLDER) == before) == (code == 1)
    assert ("Nothing was changed" in shown) == (code == 1)


def test_nothing_damaged_is_said(town_folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Files that can be read are left alone, and it is done."""
    before = files_of(town_folder / ".tt" / AOF_FOLDER)
    ran = run_here(capsys, "doctor", "--repair", "--town", str(town_folder))
    assert (ran.code, ran.out.split(":")[0]) == (0, "Nothing is damaged")
    assert files_of(town_folder / ".tt" / AOF_FOLDER) == before


def test_start_error_names_the_repair(town_folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The error of every command says that a file is damaged and what to do, and keeps the server's words in the log."""
    damage(town_folder, zero(0.5, 100))
    ran = run_here(capsys, "tasks", "--town", str(town_folder))
    assert ran.code == 4
    assert "`tt doctor --repair`" in ran.err
    assert "check-aof" not in ran.err
    assert "reading the append only file" in (town_folder / ".tt" / "server.log").read_text("utf-8")


def test_running_server_is_not_repaired(town_folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Its files are in use; the refusal says to stop it."""
    EmbeddedServer(town_folder).start()
    ran = run_here(capsys, "doctor", "--repair", "--yes", "--town", str(town_folder))
    assert ran.code == 1
    assert "`tt stop` first" in ran.err


def test_server_elsewhere_is_not_repaired(
    town_folder: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """What lies in the folder is not what that server uses."""
    monkeypatch.setenv("REDIS_URL", "unix:///no/such/socket")
    ran = run_here(capsys, "doctor", "--repair", "--yes", "--town", str(town_folder))
    assert ran.code == 1
    assert "its server is at a URL" in ran.err


def test_yes_goes_with_repair_only(town_folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Alone it would agree to nothing."""
    assert run_here(capsys, "doctor", "--yes", "--town", str(town_folder)).code == 2


def test_copy_of_a_killed_repair_is_cleared_away(town_folder: Path) -> None:
    """A server that a killed repair left at work on its copy is ended by the next one."""
    damage(town_folder, zero(0.5, 100))
    left = town_folder / ".tt" / "repairing-1"
    left.mkdir()
    EmbeddedServer(left).start()
    try:
        with Repair(town_folder) as repair:
            assert repair.look() is not None
    finally:
        EmbeddedServer(left).stop()
    assert not left.exists()
    assert not EmbeddedServer(left).is_running()


def test_links_are_not_followed(town_folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A file that is a link is refused, and what it leads to is neither read into the town nor changed."""
    path = increment(town_folder)
    path.rename(tmp_path / "elsewhere")
    path.symlink_to(tmp_path / "elsewhere")
    ran = run_here(capsys, "doctor", "--repair", "--yes", "--town", str(town_folder))
    assert ran.code == 1
    assert f"{path} is a link" in ran.err
    assert path.is_symlink()


def test_no_server_starts_during_a_repair(town_folder: Path) -> None:
    """The repair holds the lock that a server would take."""
    with Repair(town_folder):
        assert EmbeddedServer(town_folder).is_running()
        with (town_folder / ".tt" / "server.lock").open() as lock, pytest.raises(BlockingIOError):
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    assert not EmbeddedServer(town_folder).is_running()


@pytest.mark.parametrize("step", [1, 2, 3])
def test_repair_that_is_killed_leaves_the_original_or_the_repaired_files(town_folder: Path, step: int) -> None:
    """After each step the folder is damaged as before or repaired as a whole, the original is there, and a repair ends it."""
    expected = [(each.position, each.payload) for each in events_in(town_folder)]
    original = damage(town_folder, replace_once(b"MSET", b"M\x00ET", after=b'"Task 5'))
    steps = 0

    def end() -> None:
        nonlocal steps
        steps += 1
        if steps == step:
            raise KeyboardInterrupt

    with Repair(town_folder) as repair:
        repair.look()
        repair.between_steps = end
        with pytest.raises(KeyboardInterrupt):
            repair.carry_out()
    assert original in [each.read_bytes() for each in (town_folder / ".tt").glob("**/*.aof")]
    with Repair(town_folder) as repair:
        plan = repair.look()
        assert (plan is None) == (repair.finished is not None) == (step == 3)
        if plan is not None:
            repair.carry_out()
    with AofFolder(town_folder / ".tt") as files:
        assert {each.name for each in files.read_manifest()} == {*files.names()} - {MANIFEST_FILE}
    assert list((town_folder / ".tt").glob("damaged-*/unfinished")) == []
    assert entries(town_folder) == expected
    assert original in [each.read_bytes() for each in (town_folder / ".tt").glob("damaged-*/*/*")]


# --- any damage --------------------------------------------------------------------------------------------------

changes = st.lists(
    st.tuples(
        st.floats(0, 1, exclude_max=True), st.sampled_from(["flip", "zeros", "insert", "cut"]), st.integers(0, 255)
    ),
    min_size=1,
    max_size=4,
)


@settings(max_examples=12, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(changes=changes)
def test_any_damage_is_repaired_and_no_event_is_lost_that_parses(
    template: Path, tmp_path_factory: pytest.TempPathFactory, changes: list[tuple[float, str, int]]
) -> None:
    """Whatever happens to the bytes: no error that is not ours, each untouched event is kept or written beside, the original stays."""
    folder = tmp_path_factory.mktemp("any")
    _copy_town(template, folder)
    content = increment(folder).read_bytes()
    events = events_in(folder)
    touched = [int(place * len(content)) for place, _, _ in changes]
    for place, how, value in sorted(changes, reverse=True):
        content = _changed(content, int(place * increment(folder).stat().st_size), how, value)
    increment(folder).write_bytes(content)
    intact = {
        (each.position, each.payload)
        for each in events
        if not any(each.offset - 1 <= at + extra < each.end for at in touched for extra in range(64 * len(changes)))
    }
    try:
        with Repair(folder) as repair:
            plan = repair.look()
            kept = None if plan is None else repair.carry_out()
    except FileDamagedError:
        assert increment(folder).read_bytes() == content
        raise
    try:
        assert_nothing_lost(folder, plan, kept, intact, content)
    except LedgerError as error:
        pytest.fail(f"{type(error).__name__}: {error}")
    finally:
        end_server(folder)
        shutil.rmtree(folder)


def assert_nothing_lost(
    folder: Path, plan: RepairPlan | None, kept: Path | None, intact: set[tuple[bytes, bytes]], original: bytes
) -> None:
    if plan is None or kept is None:
        assert increment(folder).read_bytes() == original
        return
    assert original in files_of(kept / AOF_FOLDER).values()
    lines = (kept / "events-behind-the-damage.jsonl").read_text("utf-8").splitlines()
    beside = {json.loads(line)["position"].encode() for line in lines}
    lost = {event for event in intact - set(entries(folder)) if event[0] not in beside}
    assert lost == set()


def _changed(content: bytes, at: int, how: str, value: int) -> bytes:
    if how == "flip":
        return content[:at] + bytes([content[at] ^ (value or 1)]) + content[at + 1 :] if at < len(content) else content
    if how == "zeros":
        return content[:at] + bytes(min(64, len(content) - at)) + content[at + 64 :]
    if how == "insert":
        return content[:at] + bytes([value]) * 9 + content[at:]
    return content[:at] + content[at + 60 :]
