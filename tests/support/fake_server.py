"""A server that answers whatever it is asked with the same bytes, as slowly or as long as a test wants."""

from __future__ import annotations

import contextlib
import socket
import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager

Answer = Callable[[], Iterable[bytes]]


@contextmanager
def fake_server(answer: Answer) -> Iterator[int]:
    """Inside, a server on a port of this machine, which is given; `answer` makes the pieces of each connection's answer."""
    ended = threading.Event()
    listener = socket.create_server(("127.0.0.1", 0))
    listener.settimeout(0.05)

    def serve(connection: socket.socket) -> None:
        with connection, contextlib.suppress(OSError):
            connection.settimeout(5)
            connection.recv(65_536)
            for piece in answer():
                if ended.is_set():
                    return
                connection.sendall(piece)
            ended.wait()

    def accept() -> None:
        while not ended.is_set():
            with contextlib.suppress(TimeoutError):
                connection, _ = listener.accept()
                threading.Thread(target=serve, args=(connection,), daemon=True).start()

    thread = threading.Thread(target=accept, daemon=True)
    thread.start()
    try:
        yield listener.getsockname()[1]
    finally:
        ended.set()
        thread.join()
        listener.close()
