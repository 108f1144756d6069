"""Starts a cluster of real servers on loopback, moves slots, and stops, kills and starts its nodes."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack, closing, contextmanager, suppress
from pathlib import Path
from typing import Any, Final

import redis
from redis.crc import key_slot

from tests.support.network import Proxy
from tests.support.tls import TlsDoor, TlsFiles
from tests.support.waiting import wait_until
from town.server.own_server import find_binary

SLOTS: Final = 16_384
NODE_TIMEOUT_MS: Final = 1_000
START_SECONDS_MAX: Final = 30
_AT_ONCE: Final = ("--repl-diskless-sync-delay", "0", "--repl-ping-replica-period", "1")
"""Options with which a replica is in step soon after it is started."""


def free_port() -> int:
    """A port of this machine that nobody listens on."""
    with closing(socket.socket()) as found:
        found.bind(("127.0.0.1", 0))
        return int(found.getsockname()[1])


class Node:
    """A server process of a cluster, or one beside others, with data in a folder of its own.

    With a `proxy` clients reach it by that; what tests ask goes to the server itself.
    """

    def __init__(
        self,
        folder: Path,
        *options: str,
        port: int | None = None,
        program: str | None = None,
        proxy: Proxy | TlsDoor | None = None,
    ) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.folder = folder
        self.port = free_port() if port is None else port
        self.proxy = proxy
        if proxy is not None:
            proxy.upstream = self.port
        self._options = options
        self._program = str(find_binary(program))
        self.process: subprocess.Popen[bytes] | None = None
        self.start()

    @property
    def client_port(self) -> int:
        """Where clients reach it."""
        return self.port if self.proxy is None else self.proxy.port

    @property
    def address(self) -> str:
        return f"127.0.0.1:{self.client_port}"

    def client(self, **options: Any) -> redis.Redis:
        """A client of this node alone, without retries."""
        return redis.Redis("127.0.0.1", self.port, socket_timeout=10, **options)

    def ask(self, *command: Any) -> Any:
        """The reply to one command. For those that speak of the cluster, not of keys."""
        with closing(self.client()) as client:
            return client.execute_command(*command)  # type: ignore[no-untyped-call]

    def start(self) -> None:
        """Start it, and wait until it answers."""
        log = (self.folder / "log").open("ab")
        with log:
            self.process = subprocess.Popen(
                [
                    *(self._program, *self._arguments()),
                    *("--port", str(self.port), "--bind", "127.0.0.1", "--dir", str(self.folder)),
                ],
                stdout=log,
                stderr=log,
                stdin=subprocess.DEVNULL,
                start_new_session=True,
            )
        wait_until(self.answers, seconds_max=START_SECONDS_MAX)

    def _arguments(self) -> list[str]:
        return ["--save", "", "--appendonly", "yes", "--appendfsync", "always", *_AT_ONCE, *self._options]

    def answers(self) -> bool:
        """Whether it answers."""
        with closing(self.client()) as client, suppress(redis.RedisError):
            return bool(client.ping())
        return False

    def signal(self, number: int) -> None:
        """Send it a signal."""
        assert self.process is not None
        os.kill(self.process.pid, number)

    def pause(self) -> None:
        """Stop it from answering, as a machine does that hangs."""
        self.signal(signal.SIGSTOP)

    def go_on(self) -> None:
        """End a pause."""
        self.signal(signal.SIGCONT)

    def kill(self) -> None:
        """End it without warning."""
        assert self.process is not None
        with suppress(ProcessLookupError):
            self.signal(signal.SIGCONT)
            self.signal(signal.SIGKILL)
        self.process.wait()


class Cluster:
    """Primaries with a replica each."""

    def __init__(self, nodes: Sequence[Node]) -> None:
        self.nodes = nodes

    @property
    def url(self) -> str:
        """The URL of the cluster, with all of its nodes."""
        return f"redis+cluster://{','.join(node.address for node in self.nodes)}"

    def primary_of(self, town: str) -> Node:
        """The node that has the town, as the first node that answers knows it."""
        return self.owner_of(f"{{{town}}}")

    def owner_of(self, key: str) -> Node:
        """The node that has the key, as the first node that answers knows it."""
        slot = key_slot(key.encode())
        for first, last, (_, port, *_), *_ in self._slots():
            if first <= slot <= last:
                return self.at(port)
        raise AssertionError("nobody has the slot")

    def at(self, port: int) -> Node:
        """The node that clients reach at that port, or whose own it is."""
        return next(node for node in self.nodes if port in (node.port, node.client_port))

    def primaries(self) -> list[Node]:
        """The nodes that have slots."""
        return [self.at(port) for port in dict.fromkeys(entry[2][1] for entry in self._slots())]

    def move(self, town: str, to: Node) -> None:
        """Give the town's slot to another primary, key by key, as older programs do it. Returns when all nodes know."""
        slot, source = key_slot(f"{{{town}}}".encode()), self.primary_of(town)
        source_id, to_id = (node.ask("CLUSTER MYID") for node in (source, to))
        to.ask("CLUSTER SETSLOT", slot, "IMPORTING", source_id)
        source.ask("CLUSTER SETSLOT", slot, "MIGRATING", to_id)
        while keys := source.ask("CLUSTER GETKEYSINSLOT", slot, 10):
            source.ask("MIGRATE", "127.0.0.1", to.port, "", 0, 10_000, "KEYS", *keys)
        for node in (to, *self.primaries()):
            node.ask("CLUSTER SETSLOT", slot, "NODE", to_id)
        # If it is moved on before, a late message may make a node take an older owner for the newer one, and delete its keys.
        wait_until(lambda: len({_epoch(node, to.client_port) for node in self.nodes} - {None}) == 1)
        wait_until(lambda: all(_owner(node, slot) in (None, to.client_port) for node in self.nodes))

    def move_at_once(self, town: str, to: Node) -> None:
        """Give the town's slot to another primary as servers since Valkey 9 do it by themselves. Returns when all nodes know."""
        slot = key_slot(f"{{{town}}}".encode())
        move_slot_at_once(slot, self.primary_of(town), to)
        wait_until(lambda: all(_owner(node, slot) in (None, to.client_port) for node in self.nodes))

    def is_whole(self) -> bool:
        """Whether every node that answers sees all slots served, by a primary with a replica."""
        alive = [node for node in self.nodes if node.process is not None and node.process.poll() is None]
        try:
            return all(
                node.ask("CLUSTER INFO")["cluster_state"] == "ok"
                and sum(last - first + 1 for first, last, *_ in node.ask("CLUSTER SLOTS")) == SLOTS
                for node in alive
            )
        except redis.RedisError:
            return False

    def has_settled(self) -> bool:
        """Whether all nodes answer and see the same, and each replica follows its primary."""
        try:
            views = {repr(sorted(node.ask("CLUSTER SLOTS"))) for node in self.nodes}
            roles = [node.ask("ROLE") for node in self.nodes]
        except redis.RedisError:
            return False
        return (
            len(views) == 1
            and self.is_whole()
            and all(role[3] == b"connected" for role in roles if role[0] == b"slave")
            and all(role[2] for role in roles if role[0] == b"master")
        )

    def _slots(self) -> list[Any]:
        for node in self.nodes:
            with suppress(redis.RedisError):
                return list(node.ask("CLUSTER SLOTS"))
        raise AssertionError("no node answers")


@contextmanager
def running_cluster(
    folder: Path,
    *,
    primaries: int = 3,
    replicas: int = 1,
    options: Sequence[str] = (),
    is_proxied: bool = False,
    tls: TlsFiles | None = None,
) -> Iterator[Cluster]:
    """A cluster whose primaries have as many replicas each.

    Each node is behind a proxy if it `is_proxied`, and behind a door that speaks TLS if there are files for it. Its processes
    are gone at the end.
    """

    def proxy_of(number: int) -> Proxy | TlsDoor | None:
        return TlsDoor(tls.server, tls.authority) if tls is not None else Proxy(seed=number) if is_proxied else None

    nodes: list[Node] = []
    with ExitStack() as proxies:
        try:
            # Each is kept before the next one is started, so that all of them are ended.
            for number in range(primaries * (1 + replicas)):
                proxy = proxy_of(number)
                if proxy is not None:
                    proxies.enter_context(closing(proxy))
                nodes.append(_node(folder / str(number), options, proxy))
            _join(nodes, primaries)
            yield Cluster(nodes)
        finally:
            _end(folder, nodes)


def move_slot_at_once(slot: int, source: Node, to: Node) -> None:
    """Have `source` give the slot to `to`, with all keys in one step, and return when it has."""
    source.ask("CLUSTER MIGRATESLOTS", "SLOTSRANGE", slot, slot, "NODE", to.ask("CLUSTER MYID"))

    def is_over() -> bool:
        [newest, *_] = (dict(zip(job[::2], job[1::2], strict=True)) for job in source.ask("CLUSTER GETSLOTMIGRATIONS"))
        assert newest[b"state"] not in (b"failed", b"canceled"), newest
        return bool(newest[b"state"] == b"success")

    wait_until(is_over)


def _end(folder: Path, nodes: Iterable[Node]) -> None:
    for node in nodes:
        node.kill()
    shutil.rmtree(folder, ignore_errors=True)


def _owner(node: Node, slot: int) -> int | None:
    """The port of the slot's primary, as the node knows it; None if the node does not answer."""
    try:
        return next((entry[2][1] for entry in node.ask("CLUSTER SLOTS") if entry[0] <= slot <= entry[1]), 0)
    except redis.RedisError:
        return None


def _epoch(node: Node, port: int) -> str | None:
    """The number of the last change of the node at `port`, as `node` knows it; None if that does not answer."""
    try:
        known = node.ask("CLUSTER NODES")
    except redis.RedisError:
        return None
    return next((str(each["epoch"]) for address, each in known.items() if address.endswith(f":{port}")), "")


def _node(folder: Path, options: Sequence[str], proxy: Proxy | TlsDoor | None) -> Node:
    # Only clients are told of the proxy; nodes, and whoever moves keys, go to each other.
    announced = () if proxy is None else ("--cluster-announce-client-port", str(proxy.port))
    return Node(
        folder,
        *("--cluster-enabled", "yes", "--cluster-node-timeout", str(NODE_TIMEOUT_MS)),
        *("--cluster-port", str(free_port()), "--cluster-replica-validity-factor", "0"),
        *announced,
        *options,
        proxy=proxy,
    )


def _join(nodes: Sequence[Node], primaries: int) -> None:
    share = SLOTS // primaries
    for number, node in enumerate(nodes):
        node.ask("CLUSTER SET-CONFIG-EPOCH", number + 1)
        if number < primaries:
            last = SLOTS - 1 if number == primaries - 1 else (number + 1) * share - 1
            node.ask("CLUSTER ADDSLOTSRANGE", number * share, last)
    for node in nodes[1:]:
        bus = int(node.ask("CONFIG GET", "cluster-port")["cluster-port"])
        nodes[0].ask("CLUSTER MEET", "127.0.0.1", node.port, bus)
    wait_until(
        lambda: all(len(node.ask("CLUSTER NODES")) == len(nodes) for node in nodes),
        seconds_max=START_SECONDS_MAX,
    )
    for number, node in enumerate(nodes[primaries:]):
        node.ask("CLUSTER REPLICATE", nodes[number % primaries].ask("CLUSTER MYID"))
    wait_until(lambda: Cluster(nodes).is_whole(), seconds_max=START_SECONDS_MAX)
    wait_until(lambda: all(_is_linked(node) for node in nodes[primaries:]), seconds_max=START_SECONDS_MAX)


def _is_linked(node: Node) -> bool:
    return bool(node.ask("INFO", "replication").get("master_link_status") == "up")


class Watched:
    """A primary with replicas, watched by sentinels under the name `main`."""

    def __init__(self, servers: Sequence[Node], sentinels: Sequence[Node]) -> None:
        self.servers = servers
        self.sentinels = sentinels

    @property
    def url(self) -> str:
        """The URL of the primary, by its sentinels."""
        return f"redis+sentinel://{','.join(node.address for node in self.sentinels)}/main"

    def primary(self) -> Node:
        """The server that the first sentinel which answers takes for the primary."""
        for sentinel in self.sentinels:
            with suppress(redis.RedisError):
                _, port = sentinel.ask("SENTINEL GET-MASTER-ADDR-BY-NAME", "main")
                return next(node for node in self.servers if node.client_port == int(port))
        raise AssertionError("no sentinel answers")


@contextmanager
def running_sentinels(
    folder: Path, *, replicas: int = 2, sentinels: int = 3, options: Sequence[str] = (), is_proxied: bool = False
) -> Iterator[Watched]:
    """A primary and its replicas, and sentinels that agree by majority. Their processes are gone at the end.

    If they are proxied, replicas and sentinels reach a server as clients do.
    """
    servers: list[Node] = []
    watchers: list[Node] = []
    with ExitStack() as proxies:
        try:
            for number in range(1 + replicas):
                proxy = proxies.enter_context(closing(Proxy(seed=number))) if is_proxied else None
                announced = () if proxy is None else ("--replica-announce-port", str(proxy.port))
                replica_of = ("--replicaof", f"127.0.0.1 {servers[0].client_port}") if servers else ()
                servers.append(Node(folder / str(number), *announced, *replica_of, *options, proxy=proxy))
            wait_until(lambda: all(_is_linked(each) for each in servers[1:]), seconds_max=START_SECONDS_MAX)
            watchers += (Sentinel(folder / f"sentinel-{each}", servers[0], sentinels) for each in range(sentinels))
            wait_until(
                lambda: all(_knows(each, replicas, sentinels) for each in watchers), seconds_max=START_SECONDS_MAX
            )
            yield Watched(servers, watchers)
        finally:
            _end(folder, (*watchers, *servers))


class Sentinel(Node):
    """A process that watches a primary."""

    def __init__(self, folder: Path, primary: Node, sentinels: int) -> None:
        folder.mkdir(parents=True)
        lines = [
            f"sentinel monitor main 127.0.0.1 {primary.client_port} {sentinels // 2 + 1}",
            f"sentinel down-after-milliseconds main {NODE_TIMEOUT_MS}",
            "sentinel failover-timeout main 1000",
        ]
        self._file = folder / "sentinel.conf"
        self._file.write_text("\n".join(lines) + "\n", encoding="utf-8")
        super().__init__(folder)

    def _arguments(self) -> list[str]:
        return [str(self._file), "--sentinel"]


def _knows(sentinel: Node, replicas: int, sentinels: int) -> bool:
    [told] = sentinel.ask("SENTINEL MASTERS").values()
    return bool(told["num-slaves"] == replicas and told["num-other-sentinels"] == sentinels - 1)
