"""Append-only files read without a server: every command at its place, and a stop where a server might read otherwise."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support.aof import INCREMENT, encode_command, make_aof
from town import FileDamagedError
from town.aof import format as aof_module
from town.aof.foreign_commands import foreign_commands
from town.aof.format import AofDamage, AofFolder, AofKind, CommandReader

SET = encode_command(b"SET", b"key", b"value")


def read(path: Path) -> tuple[list[tuple[int, list[bytes]]], AofDamage | None]:
    with AofFolder(path.parents[1]) as folder, folder.opened(path.name) as descriptor:
        reader = CommandReader(descriptor, path.name)
        return [(offset, arguments) for offset, arguments in reader], reader.damage


commands = st.lists(st.lists(st.binary(max_size=40), min_size=1, max_size=5), max_size=8)


@pytest.mark.parametrize("window", [32, 1_048_576])
@given(written=commands, cut=st.integers(min_value=0), stamps=st.booleans())
def test_commands_are_read_at_their_offsets(
    tmp_path_factory: pytest.TempPathFactory, window: int, written: list[list[bytes]], cut: int, stamps: bool
) -> None:
    """What was written is read, wherever windows end; a file that is cut anywhere gives all before the cut, and says cut."""
    parts = [(b"#TS:1700000000\r\n" if stamps else b"", encode_command(*each)) for each in written]
    content = b"".join(stamp + command for stamp, command in parts)
    cut %= len(content) + 1
    file = make_aof(tmp_path_factory.mktemp("data"), content[:cut])
    expected, ends, at = [], {0}, 0
    for (stamp, command), arguments in zip(parts, written, strict=True):
        begin, at = at + len(stamp), at + len(stamp) + len(command)
        ends |= {begin, at}
        if at <= cut:
            expected.append((begin, arguments))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(aof_module, "_WINDOW_BYTES", window)
        found, damage = read(file)
    assert found == expected
    assert (damage is None) == (cut in ends)
    assert damage is None or damage.is_cut_short


@given(st.binary(max_size=200))
def test_any_bytes_end_without_an_error(tmp_path_factory: pytest.TempPathFactory, content: bytes) -> None:
    """Whatever the bytes, reading ends; what was read is what stands before the damage."""
    file = make_aof(tmp_path_factory.mktemp("data"), SET + content)
    found, damage = read(file)
    assert found[0] == (0, [b"SET", b"key", b"value"])
    read_bytes = b"".join(encode_command(*arguments) for _, arguments in found)
    assert damage is None or damage.offset <= len(SET + content)
    assert b"#TS:" in content or (SET + content).startswith(read_bytes)


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        (b"*3 \r\n" + SET, "no command begins here"),
        (b"*+3\r\n" + SET, "no command begins here"),
        (b"*03\r\n" + SET, "no command begins here"),
        (b"*0\r\n" + SET, "no command begins here"),
        (b"*-1\r\n" + SET, "no command begins here"),
        (b"*99999999999\r\n" + SET, "no command begins here"),
        (b"SET key value\r\n" + SET, "no command begins here"),
        (b"\0" * 4096, "no command begins here"),
        (b"*2\r\n$03\r\nGET\r\n$1\r\nx\r\n" + SET, "no length of an argument stands here"),
        (b"*1\r\n$-1\r\n" + SET, "no length of an argument stands here"),
        (b"*1\r\n$999999999\r\n" + SET, "no length of an argument stands here"),
        (b"*1\r\n$4\r\nEXEC--" + SET, "an argument does not end here"),
        # A server reads lines of 127 bytes here: the rest of a longer one would be a command of its own.
        (b"#TS:" + b"1" * 123 + SET, "is not an annotation that a server writes"),
        (b"#TS:1\n" + SET * 2, "is not an annotation that a server writes"),
        (b"# a comment\r\n" + SET * 2, "is not an annotation that a server writes"),
    ],
)
def test_what_no_server_writes_is_damage(tmp_path: Path, content: bytes, problem: str) -> None:
    """A server is more lenient: what it would read in another way than we do is not read at all."""
    found, damage = read(make_aof(tmp_path, SET + content))
    assert [offset for offset, _ in found] == [0]
    assert damage == AofDamage(INCREMENT, len(SET), problem)


def test_long_arguments_are_kept_as_their_beginnings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Memory is bounded: of a command longer than is kept, the offsets are right and the arguments cut."""
    monkeypatch.setattr(aof_module, "_WINDOW_BYTES", 64)
    monkeypatch.setattr(aof_module, "ARGUMENT_KEPT_BYTES_MAX", 80)
    monkeypatch.setattr(aof_module, "COMMAND_KEPT_BYTES_MAX", 100)
    long = encode_command(b"MSET", b"x" * 90, b"y" * 90)
    found, damage = read(make_aof(tmp_path, SET + long + SET))
    assert found[1] == (len(SET), [b"MSET", b"x" * 80, b"y" * 16])
    assert [offset for offset, _ in found] == [0, len(SET), len(SET + long)]
    assert damage is None


@pytest.mark.parametrize("magic", [b"REDIS0011", b"VALKEY080"])
def test_binary_base_is_recognised(tmp_path: Path, magic: bytes) -> None:
    """An RDB file is told, and not read."""
    found, damage = read(make_aof(tmp_path, magic + b"\xfa\x09redis-ver" * 9))
    assert found == []
    assert damage is not None
    assert "binary format" in damage.problem


# --- manifest ----------------------------------------------------------------------------------------------------


def test_manifest_is_read_in_the_order_of_the_server(tmp_path: Path) -> None:
    """The base first, then what was appended since, then what is history."""
    make_aof(tmp_path, b"", manifest=b"file i2 seq 2 type i\nfile h1 seq 1 type h\nfile b3 seq 3 type b\n")
    with AofFolder(tmp_path) as folder:
        files = folder.read_manifest()
    assert [(each.name, each.seq, each.kind) for each in files] == [
        ("b3", 3, AofKind.BASE),
        ("i2", 2, AofKind.INCREMENT),
        ("h1", 1, AofKind.HISTORY),
    ]


@pytest.mark.parametrize(
    "manifest",
    [
        b"",
        b"file x seq 1 type i",
        b"\0" * 4096,
        b"file ../x seq 1 type i\n",
        b"file /etc/passwd seq 1 type i\n",
        b"file .. seq 1 type i\n",
        b"file -x seq 1 type i\n",
        b"file a\x1b]0;x\x07 seq 1 type i\n",
        b'file "a\\n*1" seq 1 type i\n',
        b"file x seq 1 type i file y\n",
        b"file x seq -1 type i\n",
        b"file x seq 1 type q\n",
        b"file \xff seq 1 type i\n",
        b"file x seq 2 type i\nfile y seq 1 type i\n",
        b"file x seq 1 type b\nfile y seq 2 type b\n",
        b"file x seq 1 type i\n" * 1_001,
        b"#" + b"x" * 1_048_576 + b"\n",
        b"file " + b"x" * 201 + b" seq 1 type i\n",
    ],
)
def test_manifest_that_no_server_writes_is_refused(tmp_path: Path, manifest: bytes) -> None:
    """No name leads out of the folder, and no form is guessed at. The words hold no byte of it that a terminal obeys."""
    make_aof(tmp_path, SET, manifest=manifest)
    with AofFolder(tmp_path) as folder, pytest.raises(FileDamagedError, match="Nothing was changed") as caught:
        folder.read_manifest()
    assert str(caught.value).isprintable()
    assert not foreign_commands(tmp_path).only_change_data


# --- links and other things that are no files --------------------------------------------------------------------


@pytest.mark.parametrize(
    "place", ["", "appendonlydir", "appendonlydir/appendonly.aof.manifest", f"appendonlydir/{INCREMENT}"]
)
def test_no_link_is_followed(tmp_path: Path, place: str) -> None:
    """Wherever it stands, a link is told as one, also where it leads to a file that is as it should be."""
    data = tmp_path / ".tt"
    make_aof(data, SET)
    (data / place).rename(tmp_path / "elsewhere")
    (data / place).symlink_to(tmp_path / "elsewhere")
    found = foreign_commands(data)
    assert [each.problem for each in found.unread] == ["it is a link"]
    assert not found.only_change_data


@pytest.mark.parametrize("make", [os.mkfifo, os.mkdir], ids=["pipe", "folder"])
def test_what_is_no_file_is_not_waited_for(tmp_path: Path, make: Callable[[Path], None]) -> None:
    """A pipe in the place of a file would keep its reader waiting."""
    make_aof(tmp_path, SET).unlink()
    make(tmp_path / "appendonlydir" / INCREMENT)
    assert [each.problem for each in foreign_commands(tmp_path).unread] == ["it is not a regular file"]


def test_missing_file_is_told(tmp_path: Path) -> None:
    """A file of the manifest that is not there, and a manifest that is not there, are told by name."""
    make_aof(tmp_path, SET).unlink()
    assert foreign_commands(tmp_path).unread == (AofDamage(INCREMENT, 0, "it is missing"),)
    make_aof(tmp_path, SET)
    (tmp_path / "appendonlydir" / "appendonly.aof.manifest").unlink()
    assert foreign_commands(tmp_path).unread == (AofDamage("appendonly.aof.manifest", 0, "it is missing"),)


# --- foreign commands --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "command",
    [
        (b"CONFIG", b"SET", b"port", b"7000"),
        (b"config", b"set", b"dir", b"/tmp"),
        (b"MODULE", b"LOAD", b"/tmp/x.so"),
        (b"EVAL", b"return 1", b"0"),
        (b"FUNCTION", b"LOAD", b"#!lua name=x"),
        (b"SCRIPT", b"LOAD", b"return 1"),
        (b"ACL", b"SETUSER", b"x"),
        (b"DEBUG", b"SEGFAULT"),
        (b"REPLICAOF", b"example.org", b"6379"),
        (b"SLAVEOF", b"example.org", b"6379"),
        (b"CLUSTER", b"MEET", b"example.org", b"6379"),
        (b"SHUTDOWN",),
        (b"BGSAVE",),
        (b"MIGRATE", b"example.org", b"6379", b"key", b"0", b"1"),
        (b"RESTORE", b"key", b"0", b"\x00"),
        (b"MONITOR",),
        (b"CLIENT", b"KILL", b"x"),
        (b"",),
        # A server does not count arguments as it loads.
        (b"XADD", b"tt:town:ledger", b"1-1"),
    ],
    ids=lambda command: command[0].decode(),
)
def test_command_that_does_more_than_change_data_is_told(tmp_path: Path, command: tuple[bytes, ...]) -> None:
    """It is told with its file and place, wherever it stands, also in a transaction."""
    multi = encode_command(b"MULTI")
    make_aof(tmp_path, SET + multi + encode_command(*command) + encode_command(b"EXEC"))
    found = foreign_commands(tmp_path)
    assert [(each.file, each.offset) for each in found.foreign] == [(INCREMENT, len(SET + multi))]
    assert (found.commands, found.foreign_count, found.unread) == (4, 1, ())
    assert not found.only_change_data


def test_single_file_of_an_old_server_is_read_too(tmp_path: Path) -> None:
    """A server takes `.tt/appendonly.aof` over where there is no manifest."""
    (tmp_path / "appendonly.aof").write_bytes(encode_command(b"CONFIG", b"SET", b"dir", b"\x1b[2J" + b"x" * 99, b"y"))
    (found,) = foreign_commands(tmp_path).foreign
    assert found.words.startswith("CONFIG SET dir \\x1b[2Jxxx")
    assert found.words.endswith("… …")


def test_data_folder_without_files_changes_nothing(tmp_path: Path) -> None:
    """A town whose server never ran has nothing that would be loaded."""
    found = foreign_commands(tmp_path)
    assert (found.commands, found.only_change_data) == (0, True)


def test_end_that_is_cut_short_is_no_reason_for_distrust(tmp_path: Path) -> None:
    """A server drops it as it loads the rest; damage before the end is another thing, because nobody knows what it hides."""
    make_aof(tmp_path, SET + SET[:9])
    assert foreign_commands(tmp_path).only_change_data
    make_aof(tmp_path, SET[:9] + SET)
    assert not foreign_commands(tmp_path).only_change_data
