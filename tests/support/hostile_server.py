"""A server that means harm: a real one's answers, but for one command, which it answers as a test wants.

So a hostile answer is met wherever the program asks, not only by its first question.
"""

from __future__ import annotations

import contextlib
import socket
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO, Final

from tests.support.wire import read_command, write_command

Reply = bytes | list["Reply"]
"""A reply as it came: a list of replies, or the bytes of anything else."""
Answer = Callable[[socket.socket, bytes, "Callable[[], Reply]"], None]
"""Sends something to the client, given the name of its command and a way to ask what the real server says."""

DRIP_SECONDS: Final = 0.02
_FLOOD_BYTES_MAX: Final = 400 * 1024 * 1024
_PIECE: Final = 256 * 1024


class HostileServer:
    """Answers as the server at `upstream`, but each command named `name` from its `first` time on with `answer`."""

    def __init__(self, upstream: Path, path: Path) -> None:
        self._upstream = upstream
        self._listener = socket.socket(socket.AF_UNIX)
        self._listener.bind(str(path))
        self._listener.listen(64)
        self.url = f"unix://{path}"
        self.asked: Counter[bytes] = Counter()
        self._attacked: tuple[bytes, int, Answer] | None = None
        threading.Thread(target=self._accept, daemon=True).start()

    def attack(self, name: bytes, first: int, answer: Answer) -> None:
        """From now on; what was asked before counts no more."""
        self.asked.clear()
        self._attacked = (name, first, answer)

    def be_honest(self) -> None:
        self.asked.clear()
        self._attacked = None

    def close(self) -> None:
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()

    def _accept(self) -> None:
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            threading.Thread(target=self._serve, args=(connection,), daemon=True).start()

    def _serve(self, client: socket.socket) -> None:
        with contextlib.suppress(OSError, ValueError), client, socket.socket(socket.AF_UNIX) as upstream:
            upstream.connect(str(self._upstream))
            with client.makefile("rb") as requests, upstream.makefile("rb") as replies:
                while command := read_command(requests):
                    self._answer(client, command, upstream, replies)

    def _answer(self, client: socket.socket, command: list[bytes], upstream: socket.socket, replies: BinaryIO) -> None:
        def ask() -> Reply:
            upstream.sendall(write_command(command))
            return read_reply(replies)

        name = command[0].upper()
        self.asked[name] += 1
        if self._attacked is not None and self._attacked[0] == name and self.asked[name] > self._attacked[1]:
            self._attacked[2](client, name, ask)
        else:
            client.sendall(as_bytes(ask()))


@contextmanager
def hostile_server(upstream: Path, path: Path) -> Iterator[HostileServer]:
    """One in front of the real server at `upstream`, which listens at `path`."""
    server = HostileServer(upstream, path)
    try:
        yield server
    finally:
        server.close()


def read_reply(replies: BinaryIO) -> Reply:
    """The next reply of RESP2."""
    head = replies.readline()
    kind, size = head[:1], head[1:-2]
    if kind == b"*" and size != b"-1":
        return [read_reply(replies) for _ in range(int(size))]
    if kind == b"$" and size != b"-1":
        return head + replies.read(int(size) + 2)
    return head


def as_bytes(reply: Reply) -> bytes:
    if isinstance(reply, bytes):
        return reply
    return b"*%d\r\n" % len(reply) + b"".join(map(as_bytes, reply))


# --- what it answers ---------------------------------------------------------------------------------------------


def _say(words: bytes) -> Answer:
    return lambda client, _, __: client.sendall(words)


def _flood(start: bytes, piece: bytes) -> Answer:
    """`start`, then `piece` without an end, or until it is clear that nobody stops it."""

    def answer(client: socket.socket, _: bytes, __: Callable[[], Reply]) -> None:
        client.sendall(start)
        many = piece * (_PIECE // len(piece))
        for _number in range(_FLOOD_BYTES_MAX // len(many)):
            client.sendall(many)

    return answer


def _drip(client: socket.socket, _: bytes, __: Callable[[], Reply]) -> None:
    client.sendall(b"$100000\r\n")
    while True:
        client.sendall(b"x")
        time.sleep(DRIP_SECONDS)


def _stay_silent(words: bytes) -> Answer:
    def answer(client: socket.socket, _: bytes, __: Callable[[], Reply]) -> None:
        client.sendall(words)
        # Until the client goes.
        while client.recv(_PIECE):
            pass

    return answer


def _break_off(client: socket.socket, _: bytes, ask: Callable[[], Reply]) -> None:
    words = as_bytes(ask())
    client.sendall(words[: len(words) // 2])
    client.shutdown(socket.SHUT_RDWR)


def _half(client: socket.socket, name: bytes, ask: Callable[[], Reply]) -> None:
    words = as_bytes(ask())
    _stay_silent(words[: len(words) // 2])(client, name, ask)


def _twice(client: socket.socket, _: bytes, ask: Callable[[], Reply]) -> None:
    client.sendall(as_bytes(ask()) * 2)


def _altered(place: float, alter: Callable[[Reply], list[Reply]]) -> Answer:
    """The real answer, but for one of its parts, which is replaced by what `alter` makes of it."""

    def answer(client: socket.socket, _: bytes, ask: Callable[[], Reply]) -> None:
        reply = ask()
        parts = list(_parts(reply))
        if not parts:
            client.sendall(b"".join(map(as_bytes, alter(reply))))
            return
        holder, index = parts[round(place * (len(parts) - 1))]
        holder[index : index + 1] = alter(holder[index])
        client.sendall(as_bytes(reply))

    return answer


def _parts(reply: Reply) -> Iterator[tuple[list[Reply], int]]:
    """Every part of a reply, however deep, with the list it is in."""
    if isinstance(reply, list):
        for index, part in enumerate(reply):
            yield reply, index
            yield from _parts(part)


_WRONG: Final[Mapping[str, bytes]] = {
    "nil": b"$-1\r\n",
    "nil list": b"*-1\r\n",
    "number": b":1\r\n",
    "zero": b":0\r\n",
    "negative number": b":-5\r\n",
    "huge number": b":9223372036854775807\r\n",
    "status": b"+OK\r\n",
    "text": b"$3\r\nabc\r\n",
    "empty text": b"$0\r\n\r\n",
    "text that is no UTF-8": b"$3\r\n\xff\xfe\x80\r\n",
    "status that is no UTF-8": b"+\xff\xfe\r\n",
    "empty list": b"*0\r\n",
    "list of nils": b"*3\r\n$-1\r\n$-1\r\n$-1\r\n",
    "list of numbers": b"*2\r\n:1\r\n:2\r\n",
    "list of texts": b"*2\r\n$1\r\na\r\n$1\r\nb\r\n",
    "list of lists": b"*2\r\n*2\r\n$1\r\na\r\n*2\r\n$1\r\nb\r\n$1\r\nc\r\n*0\r\n",
    "list of an error": b"*1\r\n-ERR inside\r\n",
    "list of a loading error": b"*1\r\n-LOADING inside\r\n",
    "cursor that goes on": b"*2\r\n$1\r\n7\r\n*0\r\n",
    "cursor that is no number": b"*2\r\n$1\r\nx\r\n*0\r\n",
    "deep list": b"*1\r\n" * 5_000 + b":1\r\n",
    "error": b"-ERR something\r\n",
    "error without words": b"-\r\n",
    "error that is no UTF-8": b"-\xff\xfe \xff\r\n",
    "error of type": b"-WRONGTYPE Operation against a key\r\n",
    "error of a cluster": b"-MOVED 1 127.0.0.1:1\r\n",
    "error of a cluster, cut off": b"-ASK\r\n",
    "error of a transaction": b"-EXECABORT no\r\n",
    "error of a script": b"-NOSCRIPT no\r\n",
    "error of rights": b"-NOPERM no\r\n",
    "error of a key": b"-ERR no such key\r\n",
    "loading": b"-LOADING\r\n",
    "RESP3 map": b"%1\r\n$1\r\na\r\n$1\r\nb\r\n",
    "RESP3 map of lists": b"%1\r\n*0\r\n:1\r\n",
    "RESP3 set": b"~2\r\n:1\r\n:2\r\n",
    "RESP3 push": b">2\r\n$1\r\na\r\n$1\r\nb\r\n" * 2_000,
    "RESP3 double": b",1.5\r\n",
    "RESP3 not a number": b",nan\r\n",
    "RESP3 truth": b"#t\r\n",
    "RESP3 null": b"_\r\n",
    "RESP3 big number": b"(" + b"9" * 5_000 + b"\r\n",
    "RESP3 attribute": b"|1\r\n+a\r\n+b\r\n:1\r\n",
    "RESP3 verbatim text": b"=5\r\ntxt:a\r\n",
    "negative length": b"$-7\r\n",
    "length that is no number": b"$x\r\n",
    "list of a streamed length": b"*?\r\n",
    "number that is too large": b":99999999999999999999999\r\n",
    "web page": b"HTTP/1.1 400 Bad Request\r\n\r\n",
    "noise": b"\x00\x01\x02\r\n\r\n",
}

_ALTERATIONS: Final[Mapping[str, Callable[[Reply], list[Reply]]]] = {
    "a number": lambda _: [b":7\r\n"],
    "nil": lambda _: [b"$-1\r\n"],
    "a wild text": lambda _: [b"$2\r\n\xff\n\r\n"],
    "a list": lambda _: [[b":1\r\n", []]],
    "a part left out": lambda _: [],
    "a part twice": lambda part: [part, part],
}

FLOODS: Final[Mapping[str, Answer]] = {
    "endless text": _flood(b"$1300000000\r\n", b"x" * 1024),
    "endless line": _flood(b"+", b"x" * 1024),
    "endless error": _flood(b"-ERR ", b"x" * 1024),
    "endless number": _flood(b":", b"9" * 1024),
    "endless list of numbers": _flood(b"*200000\r\n", b":12345678\r\n"),
    "endless list of empty lists": _flood(b"*99\r\n", b"*0\r\n"),
    "endless lists in lists": _flood(b"*1\r\n", b"*1\r\n"),
    "endless lists in lists of some": _flood(b"*9\r\n", b":1\r\n*9\r\n"),
    "endless lists of many": _flood(b"*99\r\n", b"*99\r\n"),
    "endless lists of thousands": _flood(b"*9999\r\n", b"*9999\r\n"),
    "endless maps": _flood(b"%9\r\n", b":1\r\n%9\r\n"),
    "endless replies": _flood(b"", b":1\r\n"),
    "huge count": _stay_silent(b"*2000000000\r\n"),
    "huge count of a map": _stay_silent(b"%2000000000\r\n"),
    "huge count of a set": _stay_silent(b"~2000000000\r\n"),
    "huge counts in a huge count": _flood(b"*1000000\r\n", b"*1000000\r\n"),
    "whole text of 23 MiB": _say(b"$24117248\r\n" + b"x" * 24117248 + b"\r\n"),
    "whole list of 290,000 texts": _say(b"*140000\r\n" + b"$2\r\nab\r\n" * 140_000),
}
"""Answers that want memory."""

WAITS: Final[Mapping[str, Answer]] = {
    "drip": _drip,
    "silence": _stay_silent(b""),
    "half, then silence": _half,
}
"""Answers that want time."""

ANSWERS: Final[Mapping[str, Answer]] = {
    **{name: _say(words) for name, words in _WRONG.items()},
    **{
        f"real, but {what} {where}": _altered(place, alter)
        for where, place in {"at its beginning": 0.0, "in its middle": 0.5, "at its end": 1.0}.items()
        for what, alter in _ALTERATIONS.items()
    },
    "closed in the middle": _break_off,
    "real, but twice": _twice,
    **FLOODS,
    **WAITS,
}
"""All of them, by name."""
