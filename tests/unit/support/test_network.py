"""The proxies of a storm: what each way does to a client, and what the server behind sees of it."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import closing, suppress

import pytest

from tests.support.network import HOST, Proxy, Way, can_tell_clients_apart
from tests.support.waiting import wait_until

SCRIPT = b"EVALSHA some script\n"
ATTEMPTS_MAX = 40
"""Every other script is lost, by chance."""


class Echo:
    """A server that answers each line with it, and keeps what it was sent."""

    def __init__(self) -> None:
        self._listener = socket.create_server((HOST, 0))
        self.port = int(self._listener.getsockname()[1])
        self.seen = b""
        self._threads = [threading.Thread(target=self._accept)]
        self._threads[0].start()

    def close(self) -> None:
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        for thread in self._threads:
            thread.join()

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                client, _ = self._listener.accept()
                self._threads.append(threading.Thread(target=self._answer, args=(client,)))
                self._threads[-1].start()

    def _answer(self, client: socket.socket) -> None:
        with client, suppress(OSError):
            while piece := client.recv(4_096):
                self.seen += piece
                client.sendall(piece)


@pytest.fixture
def server() -> Iterator[Echo]:
    with closing(Echo()) as echo:
        yield echo


@pytest.fixture
def proxy(server: Echo) -> Iterator[Proxy]:
    with closing(Proxy()) as before:
        before.upstream = server.port
        yield before


def connected(proxy: Proxy) -> socket.socket:
    client = socket.create_connection((HOST, proxy.port))
    client.settimeout(10)
    return client


def ask(client: socket.socket, words: bytes) -> bytes | None:
    """The reply; None if the connection was reset instead."""
    try:
        client.sendall(words)
        return client.recv(4_096) or None
    except ConnectionError:
        return None


def ask_until_lost(proxy: Proxy) -> int:
    """How many scripts were answered before one was lost."""
    for answered in range(ATTEMPTS_MAX):
        with connected(proxy) as client:
            if ask(client, SCRIPT) is None:
                return answered
    raise AssertionError("no script was lost")


def test_open_way_passes_on_both_directions(proxy: Proxy) -> None:
    """And goes on for as long as the connection does."""
    with connected(proxy) as client:
        assert [ask(client, word) for word in (b"one\n", b"two\n", SCRIPT)] == [b"one\n", b"two\n", SCRIPT]


def test_cut_resets_old_and_new_connections(proxy: Proxy, server: Echo) -> None:
    """The server sees nothing of what is sent meanwhile; afterwards new connections work."""
    with connected(proxy) as old:
        assert ask(old, b"before\n")
        proxy.turn(Way.CUT)
        assert ask(old, b"never\n") is None
        with connected(proxy) as new:
            assert ask(new, b"never\n") is None
    proxy.turn(Way.OPEN)
    with connected(proxy) as client:
        assert ask(client, b"after\n") == b"after\n"
    assert server.seen == b"before\nafter\n"


def test_silent_way_keeps_back_what_arrives_later(proxy: Proxy, server: Echo) -> None:
    """Also what a client has sent that is gone by then, and of connections that were made meanwhile."""
    with connected(proxy) as patient, connected(proxy) as gone:
        assert ask(patient, b"1\n")
        assert ask(gone, b"2\n")
        proxy.turn(Way.SILENT)
        patient.sendall(b"3\n")
        gone.sendall(b"4\n")
        gone.close()
        with connected(proxy) as new:
            new.sendall(b"5\n")
            new.settimeout(0.05)
            with pytest.raises(TimeoutError):
                new.recv(4_096)
            assert server.seen == b"1\n2\n"
            proxy.turn(Way.OPEN)
            assert patient.recv(4_096) == b"3\n"
            new.settimeout(10)
            assert new.recv(4_096) == b"5\n"
        wait_until(lambda: b"4\n" in server.seen)


def test_request_is_lost_before_it_arrives(proxy: Proxy, server: Echo) -> None:
    """The server never sees the script; what is no script passes."""
    proxy.turn(Way.REQUEST_LOST)
    answered = ask_until_lost(proxy)
    assert (server.seen, proxy.lost) == (SCRIPT * answered, 1)
    with connected(proxy) as client:
        assert ask(client, b"no script\n") == b"no script\n"


def test_reply_is_lost_after_it_was_carried_out(proxy: Proxy, server: Echo) -> None:
    """The server has seen the script that its client hears nothing of."""
    proxy.turn(Way.REPLY_LOST)
    answered = ask_until_lost(proxy)
    assert (server.seen, proxy.lost) == (SCRIPT * (answered + 1), 1)


@pytest.mark.skipif(not can_tell_clients_apart(), reason="this system does not say which process has a connection")
def test_some_clients_are_cut_off_that_others_are_not(proxy: Proxy) -> None:
    """By their process, on connections that there are and on new ones."""
    with (
        subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as other,
        connected(proxy) as client,
    ):
        assert ask(client, b"before\n")
        proxy.turn(Way.CUT, processes=[other.pid])
        assert ask(client, b"not meant\n")
        with connected(proxy) as new:
            assert ask(new, b"not meant\n")
        proxy.turn(Way.CUT, processes=[os.getpid()])
        assert ask(client, b"meant\n") is None
        with connected(proxy) as new:
            assert ask(new, b"meant\n") is None
        other.communicate(b"\n")


def test_server_that_is_not_there_ends_the_connection(proxy: Proxy, server: Echo) -> None:
    """As a refused connection does, and the client can come again."""
    proxy.upstream = 1
    with connected(proxy) as client:
        assert ask(client, b"nobody\n") is None
    proxy.upstream = server.port
    with connected(proxy) as client:
        assert ask(client, b"somebody\n") == b"somebody\n"
