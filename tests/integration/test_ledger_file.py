"""A ledger goes out as a file and comes in again on a real server: byte for byte, all or nothing, from wherever it was left."""

from __future__ import annotations

import errno
import gzip
import io
import os
from collections.abc import Callable
from hashlib import sha256
from pathlib import Path
from tempfile import gettempdir
from typing import Any
from unittest.mock import patch
from zlib import crc32

import msgspec
import pytest
import redis

from ledger import (
    Copier,
    EventStore,
    Keys,
    LedgerDamagedError,
    SequenceGapError,
    TaskCreated,
    WrongExpectedEndError,
    task_id_of_alias,
)
from ledger import copier as copier_module
from projections import Projector, verify
from tests.support.builders import an_event, append, task_id
from tests.support.damaged import add_by_hand, creation
from tests.support.expected_keys import projected
from tests.support.histories import Filler
from tests.support.ledger_files import backend_of, empty, export_to, import_from, lines_of, write_lines
from town.backend import Backend
from town.errors import ExportRefusedError, FolderRefusedError, LedgerFileRefusedError
from town.exports import ledger_file
from town.exports.exporter import Format
from town.files import compressed
from town.imports import ledger as ledger_module
from town.imports.ledger import LedgerImporter
from town.receipts.setting_aside import forget_receipts

COMMANDS = 60


@pytest.fixture
def backend(client: redis.Redis, keys: Keys, tmp_path: Path) -> Backend:
    """A town with a history of several tasks, none of it projected."""
    Filler(EventStore(client, keys), seed=7).fill(COMMANDS)
    return backend_of(client, keys, tmp_path)


@pytest.fixture
def file(backend: Backend, tmp_path: Path) -> Path:
    """The whole ledger of the town, which is empty after that."""
    path = tmp_path / "whole.jsonl"
    export_to(backend, path)
    empty(backend.client, backend.keys)
    return path


def contents(backend: Backend) -> tuple[Any, Any]:
    return backend.client.xrange(backend.keys.ledger), backend.client.hgetall(backend.keys.heads)


def keep_first(backend: Backend, count: int) -> None:
    """Make the town one that has the first `count` of its events, and no more."""
    entries = [entry for batch in backend.store.read_entries() for entry in batch]
    empty(backend.client, backend.keys)
    Copier(backend.client, backend.keys).copy(entries[:count])


def is_empty(backend: Backend) -> bool:
    return not list(backend.client.scan_iter(match=f"{backend.keys.prefix}:*", count=1_000))


# --- out and in --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["a.jsonl", "a.jsonl.gz", "a.jsonl.zst", "a"])
def test_new_town_is_as_the_old_one_was(backend: Backend, tmp_path: Path, name: str) -> None:
    """Entries, heads, snapshots and views are the same bytes, whatever the file is compressed with; and the town goes on."""
    Projector(backend.client, backend.keys).catch_up()
    before = contents(backend), projected(backend.client, backend.keys)
    receipt = export_to(backend, tmp_path / name)
    empty(backend.client, backend.keys)
    imported = import_from(backend, tmp_path / name)
    assert (imported.events, imported.appended, imported.position) == (receipt.events, receipt.events, receipt.position)
    assert imported.damage == ()
    Projector(backend.client, backend.keys).catch_up()
    assert (contents(backend), projected(backend.client, backend.keys)) == before
    assert verify(backend.client, backend.keys).findings == ()
    assert append(backend.store, [TaskCreated("new")], task=task_id(99))[0].seq == receipt.events + 1


def test_pipe_is_as_good_as_a_file(backend: Backend) -> None:
    """Out into a pipe and in from one."""
    before = contents(backend)
    out = io.BytesIO()
    export_to(backend, out)
    empty(backend.client, backend.keys)
    assert import_from(backend, io.BytesIO(out.getvalue())).appended == len(before[0])
    assert contents(backend) == before


def full_file() -> Any:
    return open("/dev/full", "w+b", buffering=0)  # noqa: PTH123


def no_file() -> Any:
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="only Linux has a device that is full")
@pytest.mark.parametrize("make_file", [full_file, no_file])
def test_temporary_files_without_room_are_named(
    backend: Backend, monkeypatch: pytest.MonkeyPatch, make_file: Callable[[], Any]
) -> None:
    """It is not the output that has no room, and not the file that is exported to. A file that cannot be made is named, too."""
    out = io.BytesIO()
    export_to(backend, out)
    # In this order: a module that is imported meanwhile would keep the other one's.
    for module in ("town.exports.ocel", "tempfile"):
        monkeypatch.setattr(f"{module}.TemporaryFile", make_file)
    for work in (
        lambda: import_from(backend, io.BytesIO(out.getvalue())),
        lambda: export_to(backend, io.BytesIO(), kind=Format.OCEL),
    ):
        with pytest.raises(FolderRefusedError, match="disk is full") as caught:
            work()
        assert caught.value.path == Path(gettempdir())


@pytest.mark.parametrize("name", ["a.jsonl", "a.jsonl.gz", "a.jsonl.zst"])
def test_same_ledger_gives_the_same_file_and_a_longer_one_the_same_lines(
    backend: Backend, tmp_path: Path, name: str
) -> None:
    """So git sees in a later save the new events, and another last line."""
    export_to(backend, tmp_path / name)
    first = (tmp_path / name).read_bytes()
    export_to(backend, tmp_path / name)
    assert (tmp_path / name).read_bytes() == first
    export_to(backend, tmp_path / "plain")
    earlier = lines_of(tmp_path / "plain")
    append(backend.store, [TaskCreated("new")], task=task_id(99))
    export_to(backend, tmp_path / "plain")
    assert lines_of(tmp_path / "plain")[: len(earlier) - 1] == earlier[:-1]


def test_empty_ledger_comes_back_empty(client: redis.Redis, keys: Keys, tmp_path: Path) -> None:
    """A file of two lines, of which nothing is appended."""
    backend = backend_of(client, keys, tmp_path)
    assert export_to(backend, tmp_path / "none.jsonl").events == 0
    assert len(lines_of(tmp_path / "none.jsonl")) == 2
    assert import_from(backend, tmp_path / "none.jsonl").events == 0
    assert is_empty(backend)


# --- into a town that has something ------------------------------------------------------------------------------


def test_town_that_has_a_part_gets_the_rest(backend: Backend, file: Path) -> None:
    """What is there stays, what is missing at the end is appended, and a second time nothing is."""
    whole = lines_of(file)
    import_from(backend, file)
    before = contents(backend)
    for count in (0, 1, len(whole) // 2, len(whole) - 2):
        keep_first(backend, count)
        receipt = import_from(backend, file)
        assert receipt.appended == len(before[0]) - count
        assert contents(backend) == before
    assert import_from(backend, file).appended == 0
    assert contents(backend) == before


def test_town_that_is_further_stays_as_it_is(backend: Backend, file: Path) -> None:
    """An old file of the same town has nothing that is missing."""
    import_from(backend, file)
    append(backend.store, [TaskCreated("new")], task=task_id(99))
    before = contents(backend)
    assert import_from(backend, file).appended == 0
    assert contents(backend) == before


@pytest.mark.parametrize("is_at_other_position", [True, False])
def test_town_that_went_another_way_is_left_alone(backend: Backend, file: Path, *, is_at_other_position: bool) -> None:
    """The first event that differs is named by its line and position, and nothing is written."""
    import_from(backend, file)
    entries = contents(backend)[0]
    keep_first(backend, 5)
    forget_receipts(backend.receipts)
    backend.receipts.renew()
    ms = int(entries[5][0].partition(b"-")[0]) + is_at_other_position
    backend.store.append([an_event(TaskCreated("other"), task=task_id(98))], {task_id(98): 0}, backdate_ms=ms)
    before = contents(backend)
    with pytest.raises(LedgerFileRefusedError, match=rf"line 7: .*{entries[5][0].decode()}") as caught:
        import_from(backend, file)
    assert caught.value.line == 7
    assert contents(backend) == before


def test_writer_that_comes_between_is_not_overtaken(backend: Backend, file: Path) -> None:
    """What another one appends after the comparison ends the import, and the town is whole."""
    judge = LedgerImporter._judge

    def judge_before_another(self: LedgerImporter, opened: Any) -> Any:
        judged = judge(self, opened)
        append(backend.store, [TaskCreated("between")], task=task_id(97))
        return judged

    with patch.object(LedgerImporter, "_judge", judge_before_another), pytest.raises(WrongExpectedEndError):
        import_from(backend, file)
    assert backend.client.xlen(backend.keys.ledger) == 1
    Projector(backend.client, backend.keys).catch_up()
    assert verify(backend.client, backend.keys).findings == ()


def test_import_that_ends_in_the_middle_is_continued(
    backend: Backend, file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever was written is a sound beginning, and the same import appends the rest."""
    monkeypatch.setattr(copier_module, "COPY_EVENTS_MAX", 7)
    ends = iter([False, False, True])
    begin = copier_module.Copier._begin

    def begin_or_end(*arguments: Any) -> Any:
        if next(ends):
            raise KeyboardInterrupt
        return begin(*arguments)

    with patch.object(copier_module.Copier, "_begin", begin_or_end), pytest.raises(KeyboardInterrupt):
        import_from(backend, file)
    assert backend.client.xlen(backend.keys.ledger) == 14
    Projector(backend.client, backend.keys).catch_up()
    assert verify(backend.client, backend.keys).findings == ()
    assert import_from(backend, file).appended == len(lines_of(file)) - 2 - 14
    Projector(backend.client, backend.keys).catch_up()
    assert verify(backend.client, backend.keys).findings == ()


def test_file_that_changes_while_it_is_read_is_not_taken_unjudged(backend: Backend, file: Path) -> None:
    """What was judged is what is written: the second reading is compared with the first."""
    judge = LedgerImporter._judge

    def judge_and_change(self: LedgerImporter, opened: Any) -> Any:
        judged = judge(self, opened)
        tampered = tamper(lines_of(file), 3, lambda payload: payload.replace(b"filler", b"mallor"))
        file.write_bytes(b"".join(tampered))
        return judged

    with patch.object(LedgerImporter, "_judge", judge_and_change), pytest.raises(LedgerFileRefusedError, match="while"):
        import_from(backend, file)
    assert is_empty(backend)


def test_file_that_changes_after_a_part_was_appended_says_so(
    backend: Backend, file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The message does not claim that nothing was changed, and the file as it was appends the rest."""
    monkeypatch.setattr(ledger_file, "LEDGER_BATCH_EVENTS", 4)
    judge, whole = LedgerImporter._judge, file.read_bytes()

    def judge_and_cut(self: LedgerImporter, opened: Any) -> Any:
        judged = judge(self, opened)
        file.write_bytes(b"".join(lines_of(file)[:10]))
        return judged

    with patch.object(LedgerImporter, "_judge", judge_and_cut), pytest.raises(LedgerFileRefusedError) as caught:
        import_from(backend, file)
    assert "was imported only in part: line 11:" in str(caught.value)
    appended = backend.store.end().seq
    assert appended > 0
    file.write_bytes(whole)
    assert import_from(backend, file).appended == len(lines_of(file)) - 2 - appended


@pytest.mark.parametrize("events", [20, 60])
def test_file_that_gets_shorter_or_longer_by_whole_batches_says_so(
    backend: Backend, file: Path, monkeypatch: pytest.MonkeyPatch, events: int
) -> None:
    """What both readings have is the same, batch for batch; the rest was not judged, or is not there any more."""
    monkeypatch.setattr(ledger_file, "LEDGER_BATCH_EVENTS", 20)
    judge, lines = LedgerImporter._judge, lines_of(file)
    assert len(lines) > 60 + 2

    def judge_and_exchange(self: LedgerImporter, opened: Any) -> Any:
        judged = judge(self, opened)
        write_lines(file, sealed(lines[: events + 2]))
        return judged

    with (
        patch.object(LedgerImporter, "_judge", judge_and_exchange),
        pytest.raises(LedgerFileRefusedError, match="in part: another program changed it while it was read"),
    ):
        import_from(backend, write_lines(file, sealed(lines[: 40 + 2])))
    assert backend.store.end().seq == min(events, 40)


# --- files that are not whole ------------------------------------------------------------------------------------


def test_file_with_any_line_wrong_is_refused_with_its_number(backend: Backend, file: Path, tmp_path: Path) -> None:
    """Of every line: changed, dropped, doubled, moved, cut. The number is that of the line, or of the one that shows it."""
    whole = lines_of(file)
    last = len(whole)
    changed = tmp_path / "changed.jsonl"
    for index in [0, 1, 2, last // 2, last - 2, last - 1]:
        line = whole[index]
        before, after = whole[:index], whole[index + 1 :]
        moved = [*before, after[0], line, *after[1:]] if after else [line, *before]
        cases: dict[str, tuple[list[bytes], int]] = {
            "a byte changed": ([*before, line.replace(b'"', b"'", 1), *after], index + 1),
            "a blank added": ([*before, line.replace(b"\n", b" \n"), *after], index + 1),
            "doubled": ([*before, line, line, *after], index + 2),
            "dropped": ([*before, *after], index + 1),
            "moved": (moved, index + 1 if after else 1),
            "cut before it": (before, index + 1),
            "cut in it": ([*before, line[:-9]], index + 1),
            "cut before its end": ([*before, line[:-1]], index + 1),
            "an empty line": ([*before, b"\n", line, *after], index + 1),
        }
        for name, (lines, number) in cases.items():
            write_lines(changed, lines)
            with pytest.raises(LedgerFileRefusedError) as caught:
                import_from(backend, changed)
            assert caught.value.line == number, f"line {index + 1}, {name}: {caught.value}"
            assert is_empty(backend)


def test_line_changed_with_its_checksum_is_refused_by_the_last_one(backend: Backend, file: Path) -> None:
    """The checksums tell accidents, the SHA-256 tells the rest."""
    lines = lines_of(file)
    write_lines(file, tamper(lines, 3, lambda payload: payload.replace(b"filler", b"mallor")))
    with pytest.raises(LedgerFileRefusedError, match="SHA-256") as caught:
        import_from(backend, file)
    assert caught.value.line == len(lines)
    assert is_empty(backend)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda raw: raw | {"version": raw["version"] + 1}, "version of task"),
        (lambda raw: raw | {"prev": "1-1"}, "as the event before it"),
        (lambda raw: raw | {"type": "task.praised"}, "unknown type 'task.praised'.*upgrade"),
        (lambda raw: raw | {"schema": 99}, "schema 99.*upgrade"),
        (lambda raw: {name: raw[name] for name in reversed(raw)}, "append script"),
        (lambda raw: raw | {"task": None}, "not an event"),
    ],
)
def test_well_made_file_of_events_that_no_ledger_has_is_refused(
    backend: Backend, file: Path, change: Callable[[Any], Any], words: str
) -> None:
    """Also where checksums and SHA-256 are right, events hang together and are known, or nothing is taken."""
    lines = tamper(lines_of(file), 4, lambda payload: msgspec.json.encode(change(msgspec.json.decode(payload))))
    write_lines(file, sealed(lines))
    with pytest.raises(LedgerFileRefusedError, match=words) as caught:
        import_from(backend, file)
    assert caught.value.line == 5
    assert is_empty(backend)


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"\n",
        b"[]\n",
        b"[" * 100_000,
        b"\xff\xfe\n",
        b'{"format":"other","version":1,"town":"x"}\n',
        b'{"format":"tinytown-ledger","version":2,"town":"x"}\n',
        b'{"format": "tinytown-ledger","version":1,"town":"x"}\n',
        b'{"format":"tinytown-ledger","version":1,"town":"x","more":1}\n',
        b'{"format":"tinytown-ledger","version":1,"town":"x"}',
    ],
)
def test_file_of_something_else_is_refused_in_its_first_line(backend: Backend, file: Path, content: bytes) -> None:
    """Whatever it is, it is not taken for a ledger."""
    file.write_bytes(content + b"".join(lines_of(file)[1:]))
    with pytest.raises(LedgerFileRefusedError) as caught:
        import_from(backend, file)
    assert caught.value.line == 1
    assert is_empty(backend)


@pytest.mark.parametrize("name", ["a.gz", "a.zst"])
@pytest.mark.parametrize("damage", [lambda whole: whole[:-20], lambda _: b"plain", lambda whole: whole + b"more"])
def test_file_that_cannot_be_unpacked_is_refused(
    backend: Backend, tmp_path: Path, name: str, damage: Callable[[bytes], bytes]
) -> None:
    """Cut short, of another kind, or with something behind it."""
    export_to(backend, tmp_path / name)
    empty(backend.client, backend.keys)
    (tmp_path / name).write_bytes(damage((tmp_path / name).read_bytes()))
    with pytest.raises(
        LedgerFileRefusedError, match=r"the name says .*, and the data is damaged, cut short or of another kind"
    ):
        import_from(backend, tmp_path / name)
    assert is_empty(backend)


@pytest.mark.parametrize(("name", "pack"), [("a.gz", gzip.compress), ("a.zst", compressed.zstd().compress)])
def test_little_file_that_unpacks_to_much_is_not_read_into_memory(
    backend: Backend,
    file: Path,
    tmp_path: Path,
    name: str,
    pack: Callable[[bytes], bytes],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A line has a bound, and so has the whole."""
    monkeypatch.setattr(ledger_file, "LEDGER_LINE_BYTES_MAX", 100_000)
    (tmp_path / name).write_bytes(pack(lines_of(file)[0] + b" " * 10_000_000))
    with pytest.raises(LedgerFileRefusedError, match="line 2: it has more than 100,000 bytes"):
        import_from(backend, tmp_path / name)
    monkeypatch.setattr(ledger_module, "LEDGER_FILE_BYTES_MAX", 5_000)
    (tmp_path / name).write_bytes(pack(b"".join(lines_of(file))))
    with pytest.raises(LedgerFileRefusedError, match="it has more than 5,000 bytes"):
        import_from(backend, tmp_path / name)
    with pytest.raises(LedgerFileRefusedError, match="it has more than 5,000 bytes"):
        import_from(backend, io.BytesIO(b"x" * 5_001))
    assert is_empty(backend)


def test_place_that_is_no_file_is_not_imported(backend: Backend, tmp_path: Path) -> None:
    """A pipe, a device and a folder are refused, and not waited for."""
    os.mkfifo(tmp_path / "pipe")
    for place in (tmp_path / "pipe", Path("/dev/zero"), tmp_path, tmp_path / "none"):
        with pytest.raises(FolderRefusedError):
            import_from(backend, place)


def test_part_of_a_ledger_is_not_imported(backend: Backend, tmp_path: Path) -> None:
    """A file that begins later, or is of one task, says so itself; one that ends earlier is a ledger."""
    events = backend.store.read()
    part = tmp_path / "part.jsonl"
    for options in ({"since": events[3].position}, {"task": events[0].task}):
        export_to(backend, part, **options)
        with pytest.raises(LedgerFileRefusedError) as caught:
            import_from(backend, part)
        assert caught.value.line == 1
    export_to(backend, part, until=events[3].position)
    empty(backend.client, backend.keys)
    assert import_from(backend, part).position == events[3].position


def test_parts_have_what_was_asked_for(backend: Backend, tmp_path: Path) -> None:
    """From and up to a moment, both in, and of one task."""
    events = backend.store.read()
    wanted = [each for each in events[3:20] if each.task == events[3].task]
    part = tmp_path / "part.jsonl"
    receipt = export_to(backend, part, since=events[3].position, until=events[19].position, task=events[3].task)
    assert receipt.events == len(wanted)
    assert [msgspec.json.decode(line)["position"] for line in lines_of(part)[1:-1]] == [each.at for each in wanted]


# --- names, damage -----------------------------------------------------------------------------------------------


def test_aliases_keep_the_ledger_to_towns_of_its_name(client: redis.Redis, keys: Keys, tmp_path: Path) -> None:
    """The id of a task with an alias is computed from the town's name: under another one nobody would find it."""
    backend, other = (backend_of(client, each, tmp_path) for each in (keys, Keys("another")))
    named = task_id_of_alias(keys.town, "web-1")
    append(backend.store, [TaskCreated("a")])
    export_to(backend, tmp_path / "plain.jsonl")
    assert import_from(other, tmp_path / "plain.jsonl").appended == 1
    empty(client, other.keys)
    append(backend.store, [TaskCreated("b", alias="web-1")], task=named)
    export_to(backend, tmp_path / "named.jsonl")
    with pytest.raises(LedgerFileRefusedError, match=f"{keys.town}.*another.*web-1"):
        import_from(other, tmp_path / "named.jsonl")
    assert is_empty(other)
    other.alias_town = keys.town
    assert import_from(other, tmp_path / "named.jsonl").appended == 2


def test_events_that_no_command_can_make_come_in_as_they_are(backend: Backend, tmp_path: Path) -> None:
    """Nothing is lost on the way, so damage stays; each such event is told, and other tasks are sound."""
    known = backend.store.read()[0].task
    places = [
        add_by_hand(backend.client, backend.keys, known, data={"text": "\0"}),
        add_by_hand(backend.client, backend.keys, task_id(50), **creation(description="")),
        add_by_hand(backend.client, backend.keys, "no uuid", **creation()),
    ]
    before = contents(backend)
    export_to(backend, tmp_path / "a.jsonl")
    empty(backend.client, backend.keys)
    receipt = import_from(backend, tmp_path / "a.jsonl")
    assert [finding.where for finding in receipt.damage] == places
    assert contents(backend) == before
    Projector(backend.client, backend.keys).catch_up()
    assert [finding.where for finding in verify(backend.client, backend.keys).findings] == places


# --- out only where it is whole ----------------------------------------------------------------------------------


def test_ledger_that_could_not_be_imported_is_not_exported(backend: Backend, tmp_path: Path) -> None:
    """Better told when the copy is made than when it is needed; the file of before stays."""
    path = tmp_path / "a.jsonl"
    path.write_text("before")
    events = backend.store.read()
    backend.client.xdel(backend.keys.ledger, events[5].at)
    with pytest.raises(SequenceGapError):
        export_to(backend, path)
    backend.client.xdel(backend.keys.ledger, events[-1].at)
    with pytest.raises(SequenceGapError, match="last"):
        export_to(backend, path, since=events[10].position)
    empty(backend.client, backend.keys)
    append(backend.store, [TaskCreated("a")])
    backend.client.xadd(backend.keys.ledger, {"event": '{"task":"x","version":1}'}, id=f"{backend.store.end().ms}-2")
    with pytest.raises(LedgerDamagedError):
        export_to(backend, path)
    assert path.read_text() == "before"
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("name", ["link", "pipe", "folder"])
def test_export_writes_to_files_alone(backend: Backend, tmp_path: Path, name: str) -> None:
    """A link is not written through, and no device or folder is replaced."""
    (tmp_path / "target").write_text("mine")
    (tmp_path / "link").symlink_to(tmp_path / "target")
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "folder").mkdir()
    before = sorted(tmp_path.iterdir())
    with pytest.raises(ExportRefusedError):
        export_to(backend, tmp_path / name)
    assert (tmp_path / "target").read_text() == "mine"
    assert sorted(tmp_path.iterdir()) == before


def test_export_that_fails_leaves_the_file_of_before(backend: Backend, tmp_path: Path) -> None:
    """The file has its name when it is whole, with the permissions of the one before."""
    path = tmp_path / "a.jsonl"
    path.write_text("before")
    path.chmod(0o640)

    def fail(*_: object) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        export_to(backend, path, progress=fail)
    assert path.read_text() == "before"
    assert list(tmp_path.iterdir()) == [path]
    export_to(backend, path)
    assert path.read_text() != "before"
    assert path.stat().st_mode & 0o777 == 0o640


def test_event_too_long_for_a_line_is_not_exported(
    backend: Backend, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What could not be read again is not written."""
    monkeypatch.setattr(ledger_file, "LEDGER_LINE_BYTES_MAX", 200)
    with pytest.raises(ExportRefusedError, match="more than 200 bytes"):
        export_to(backend, tmp_path / "a.jsonl")
    assert list(tmp_path.iterdir()) == []


def tamper(lines: list[bytes], index: int, change: Callable[[bytes], bytes]) -> list[bytes]:
    """The lines with another event in one of them, whose checksum is right."""
    head, _, rest = lines[index].partition(b'"event":')
    payload = change(rest[:-2])
    position = head.split(b'"')[3]
    line = b'{"position":"%s","crc32":"%08x","event":%s}\n' % (position, crc32(payload, crc32(position)), payload)
    return [*lines[:index], line, *lines[index + 1 :]]


def sealed(lines: list[bytes]) -> list[bytes]:
    """The lines with a last one that fits them."""

    digest = sha256(b"".join(lines[:-1])).hexdigest()
    return [*lines[:-1], b'{"events":%d,"sha256":"%s"}\n' % (len(lines) - 2, digest.encode())]
