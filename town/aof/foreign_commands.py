"""Whether append-only files only change data: a server that loads them runs every command in them.

It lists what is allowed, not what is dangerous: the next version of a server may know new commands. RESTORE is not on
the list, because it makes the server read a binary value of the writer's choosing.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Final

from msgspec import Struct

from town.aof.format import SINGLE_FILE, AofDamage, AofFolder, AofKind, CommandReader
from town.errors import FileDamagedError

FOREIGN_COMMANDS_COUNT_MAX: Final = 100
"""How many are kept for display; the others are only counted."""
_WORDS_SHOWN_MAX: Final = 4
_WORD_BYTES_MAX: Final = 40

DATA_COMMANDS: Final = {
    # What an append-only file itself is made of. The numbers are the fewest arguments, the name included.
    b"SELECT": 2, b"MULTI": 1, b"EXEC": 1, b"SWAPDB": 3, b"FLUSHALL": 1, b"FLUSHDB": 1,
    # Keys of any type.
    b"DEL": 2, b"UNLINK": 2, b"EXPIRE": 3, b"PEXPIRE": 3, b"EXPIREAT": 3, b"PEXPIREAT": 3, b"PERSIST": 2,
    b"RENAME": 3, b"RENAMENX": 3, b"MOVE": 3, b"COPY": 3, b"SORT": 2,
    # Strings.
    b"SET": 3, b"SETNX": 3, b"SETEX": 4, b"PSETEX": 4, b"MSET": 3, b"MSETNX": 3, b"MSETEX": 4, b"GETSET": 3,
    b"GETDEL": 2, b"GETEX": 2, b"DELIFEQ": 3, b"APPEND": 3, b"SETRANGE": 4, b"SETBIT": 4, b"BITFIELD": 2, b"BITOP": 4,
    b"INCR": 2, b"INCRBY": 3, b"INCRBYFLOAT": 3, b"DECR": 2, b"DECRBY": 3,
    # Hashes.
    b"HSET": 4, b"HMSET": 4, b"HSETNX": 4, b"HDEL": 3, b"HINCRBY": 4, b"HINCRBYFLOAT": 4, b"HSETEX": 6, b"HGETDEL": 5,
    b"HGETEX": 5, b"HEXPIRE": 6, b"HPEXPIRE": 6, b"HEXPIREAT": 6, b"HPEXPIREAT": 6, b"HPERSIST": 5,
    # Lists.
    b"LPUSH": 3, b"RPUSH": 3, b"LPUSHX": 3, b"RPUSHX": 3, b"LPOP": 2, b"RPOP": 2, b"LSET": 4, b"LTRIM": 4, b"LREM": 4,
    b"LINSERT": 5, b"LMOVE": 5, b"RPOPLPUSH": 3, b"LMPOP": 4,
    # Sets.
    b"SADD": 3, b"SREM": 3, b"SMOVE": 4, b"SPOP": 2, b"SINTERSTORE": 3, b"SUNIONSTORE": 3, b"SDIFFSTORE": 3,
    # Sorted sets.
    b"ZADD": 4, b"ZREM": 3, b"ZINCRBY": 4, b"ZPOPMIN": 2, b"ZPOPMAX": 2, b"ZMPOP": 4, b"ZREMRANGEBYSCORE": 4,
    b"ZREMRANGEBYRANK": 4, b"ZREMRANGEBYLEX": 4, b"ZRANGESTORE": 5, b"ZUNIONSTORE": 4, b"ZINTERSTORE": 4,
    b"ZDIFFSTORE": 4, b"GEOADD": 5, b"GEORADIUS": 6, b"GEORADIUSBYMEMBER": 5, b"GEOSEARCHSTORE": 8,
    # Streams.
    b"XADD": 5, b"XDEL": 3, b"XTRIM": 4, b"XSETID": 3, b"XGROUP": 2, b"XACK": 4, b"XCLAIM": 6, b"XAUTOCLAIM": 6,
    # Counts of distinct things.
    b"PFADD": 2, b"PFMERGE": 2,
}  # fmt: skip
"""Commands that change data and do nothing else: name -> fewest arguments."""

FIXED_COMMANDS: Final = frozenset({
    b"SELECT", b"MULTI", b"EXEC", b"SWAPDB", b"PERSIST", b"RENAME", b"RENAMENX", b"MOVE", b"SETNX", b"SETEX", b"PSETEX",
    b"GETSET", b"GETDEL", b"DELIFEQ", b"APPEND", b"SETRANGE", b"SETBIT", b"INCR", b"INCRBY", b"INCRBYFLOAT", b"DECR",
    b"DECRBY", b"HSETNX", b"HINCRBY", b"HINCRBYFLOAT", b"LSET", b"LTRIM", b"LREM", b"LINSERT", b"LMOVE", b"RPOPLPUSH",
    b"SMOVE", b"ZINCRBY", b"ZREMRANGEBYSCORE", b"ZREMRANGEBYRANK", b"ZREMRANGEBYLEX",
})  # fmt: skip
"""Commands with a fixed number of arguments: a server that finds more in its files ends."""


class ForeignCommand(Struct, frozen=True):
    """A command that does more than change data; `words` are its first arguments, shortened, with other bytes than plain ones escaped."""

    file: str
    offset: int
    words: str


class LoadedCommands(Struct, frozen=True):
    """What a server would run if it loaded a town's files: the commands that do more than change data, and unread
    files.

    `commands` counts all; of the foreign ones the first FOREIGN_COMMANDS_COUNT_MAX are kept.
    """

    commands: int
    foreign: tuple[ForeignCommand, ...]
    foreign_count: int
    unread: tuple[AofDamage, ...]

    @property
    def only_change_data(self) -> bool:
        """Whether every byte that a server would load was read and only changes data.

        A server does not load an end that is cut short.
        """
        return not self.foreign_count and all(each.is_cut_short for each in self.unread)


def foreign_commands(data: Path) -> LoadedCommands:
    """Read all that a server would load from the data folder `data` (a town's `.tt`). Runs nothing, changes nothing.

    Reports damaged files, missing files and links as unread. FolderRefusedError if the system refuses.
    """
    foreign: list[ForeignCommand] = []
    unread: list[AofDamage] = []
    commands = foreign_count = 0
    for reader in _readers(data, unread):
        for offset, arguments in reader:
            commands += 1
            if not is_data_command(arguments):
                foreign_count += 1
                if len(foreign) < FOREIGN_COMMANDS_COUNT_MAX:
                    foreign.append(ForeignCommand(reader.name, offset, _in_short(arguments)))
        if reader.damage is not None:
            unread.append(reader.damage)
    return LoadedCommands(commands, tuple(foreign), foreign_count, tuple(unread))


def is_data_command(arguments: list[bytes]) -> bool:
    """Whether a command is known to change data only, and has a valid number of arguments."""
    fewest = DATA_COMMANDS.get(arguments[0]) or DATA_COMMANDS.get(arguments[0].upper())
    return fewest is not None and len(arguments) >= fewest


def _readers(data: Path, unread: list[AofDamage]) -> Iterator[CommandReader]:
    """A reader for each file that a server would load, one after another."""
    try:
        with AofFolder(data) as folder:
            with folder.opened_single() as descriptor:
                if descriptor is not None:
                    yield CommandReader(descriptor, SINGLE_FILE)
            if not folder.names():
                return
            # Without a manifest a server does not load the files and overwrites them, so they are not trusted silently.
            for file in folder.read_manifest():
                if file.kind is not AofKind.HISTORY:
                    with folder.opened(file.name) as descriptor:
                        yield CommandReader(descriptor, file.name)
    except FileDamagedError as error:
        unread.append(AofDamage(error.path.name, 0, error.problem))


def _in_short(arguments: list[bytes]) -> str:
    words = [
        ascii(word[:_WORD_BYTES_MAX].decode("latin-1"))[1:-1] + ("…" if len(word) > _WORD_BYTES_MAX else "")
        for word in arguments[:_WORDS_SHOWN_MAX]
    ]
    return " ".join(words) + (" …" if len(arguments) > _WORDS_SHOWN_MAX else "")
