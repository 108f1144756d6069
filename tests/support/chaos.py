"""What a storm does to a cluster or to a primary with replicas: one thing at a time, by chance, written down as faults.

After each, it waits until the servers agree again and every replica follows, so that one copy of everything acknowledged lives.
"""

from __future__ import annotations

import re
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import closing, contextmanager, suppress
from datetime import UTC, datetime
from random import Random
from typing import Any, Final

import redis
from redis.backoff import NoBackoff
from redis.crc import key_slot
from redis.retry import Retry

from tests.support.clusters import SLOTS, Cluster, Node, Watched, move_slot_at_once
from tests.support.network import Proxy, Way, can_tell_clients_apart
from tests.support.records import Fault
from tests.support.waiting import wait_until

SETTLE_SECONDS_MAX: Final = 60.0
_ANSWER_SECONDS: Final = 1.0
_POLL_SECONDS: Final = 0.15
_QUIET_SECONDS: Final = 0.5
"""Between two faults, so that not every command meets one."""
_BETWEEN_KEYS_SECONDS: Final = 0.02
_MIGRATE_MS_MAX: Final = 10_000
_DROPS: Final = 20
_DROPS_SECONDS_MAX: Final = 3.0
_BETWEEN_DROPS_SECONDS: Final = 0.07
_ALONE_SECONDS: Final = 0.7
_WAY_SECONDS: Final = 1.5
"""How long clients cannot reach a server as they should."""
STORM_OPTIONS: Final = ("--enable-debug-command", "yes", "--repl-diskless-sync-delay", "0")
"""What servers need for a storm: DEBUG cuts them off, and replicas follow at once."""
_FROM_NOBODY: Final = re.compile(
    r"(\d+ \w{3} \d{4} \d\d:\d\d:\d\d\.\d{3}) [*#] (?:Failover election won|\+switch-master)"
)
_UNPLANNED_SECONDS: Final = 6.0

Slot = tuple[range, int, tuple[int, ...]]
"""Slots, the port of their primary, those of its replicas."""


class Chaos(ABC):
    """Does things to servers that have `towns`, each behind a proxy. `faults` are what was done so far.

    `clients` are the processes of clients, some of which may be cut off from a server that others reach.
    """

    def __init__(self, nodes: Sequence[Node], towns: Iterable[str], chance: Random) -> None:
        self.nodes = nodes
        self.towns = tuple(towns)
        self.chance = chance
        self.faults: list[Fault] = []
        self.moved = 0
        self.clients: Sequence[int] = ()

    def rage(self, seconds: float, *, look: Callable[[], object]) -> None:
        """Do everything that can be done once, in an order of chance, then again until `seconds` are over; `look` after each."""
        deadline = time.monotonic() + seconds
        is_first = True
        while is_first or time.monotonic() < deadline:
            kinds = list(self.kinds())
            self.chance.shuffle(kinds)
            for act in kinds:
                if is_first or time.monotonic() < deadline:
                    act()
                    self.settle()
                    time.sleep(_QUIET_SECONDS)
                    look()
            is_first = False

    @abstractmethod
    def kinds(self) -> Sequence[Callable[[], None]]:
        """What can be done."""

    @abstractmethod
    def settle(self) -> None:
        """Return once all servers agree, and each replica follows its primary."""

    @abstractmethod
    def primary(self) -> tuple[Node, frozenset[str]]:
        """A primary, by chance, and the towns that it has."""

    @abstractmethod
    def is_deposed(self, node: Node) -> bool:
        """Whether another server has taken over, as the others see it."""

    def kill(self) -> None:
        """End a primary without warning; start it again when its replica has taken over."""
        with self._fault("killed") as node:
            node.kill()
            self._wait_until_deposed(node)
            node.start()

    def kill_alone(self) -> None:
        """A primary goes on for a while without its replicas, then dies: what it acknowledged alone is gone."""
        with self._fault("killed after its replicas had lost it") as node:
            node.ask("ACL SETUSER", "default", "-psync", "-sync")
            node.ask("CLIENT KILL", "TYPE", "replica")
            time.sleep(_ALONE_SECONDS)
            node.kill()
            self._wait_until_deposed(node)
            node.start()

    def drop(self) -> None:
        """Close all connections to a primary again and again: requests get lost, and replies of what was carried out."""
        node, _ = self.primary()
        began = time.monotonic()
        deadline = began + _DROPS_SECONDS_MAX
        for _ in range(_DROPS):
            if time.monotonic() > deadline:
                break
            # In one go with commands of others, whose replies wait for the disk.
            node.ask("CLIENT KILL", "TYPE", "normal", "SKIPME", "yes")
            time.sleep(_BETWEEN_DROPS_SECONDS)
        self.faults.append(Fault(words=f"{node.port} closed its connections", began=began, ended=time.monotonic()))

    def pause(self) -> None:
        """A primary hangs until its replica has taken over, and then goes on where it was."""
        with self._fault("paused") as node:
            node.pause()
            self._wait_until_deposed(node)
            node.go_on()

    def lose_requests(self) -> None:
        """Requests to a primary get lost on their way, every other one, and the clients' connections with them."""
        self._turn(Way.REQUEST_LOST, "lost requests")

    def lose_replies(self) -> None:
        """A primary carries out what it is asked, and every other client never hears of it."""
        self._turn(Way.REPLY_LOST, "lost replies")

    def split(self) -> None:
        """Some clients are cut off from a primary that others reach."""
        if can_tell_clients_apart():
            self._turn(Way.CUT, "was cut off from some clients", [self.chance.choice(self.clients)])

    def _turn(self, way: Way, words: str, processes: Sequence[int] = ()) -> None:
        node, _ = self.primary()
        began = time.monotonic()
        with self._turned(node, way, processes):
            time.sleep(_WAY_SECONDS)
        self.settle()
        self.faults.append(Fault(words=f"{node.port} {words}", began=began, ended=time.monotonic()))

    @contextmanager
    def _turned(self, node: Node, way: Way, processes: Sequence[int] = ()) -> Iterator[None]:
        assert isinstance(node.proxy, Proxy), "servers in a storm have proxies"
        node.proxy.turn(way, processes=processes)
        yield
        node.proxy.turn(Way.OPEN)

    @contextmanager
    def _fault(self, words: str) -> Iterator[Node]:
        node, towns = self.primary()
        began = time.monotonic()
        yield node
        self.settle()
        self.faults.append(
            Fault(words=f"{node.port} was {words}", began=began, ended=time.monotonic(), towns=frozenset(towns))
        )

    def _wait_until_deposed(self, node: Node) -> None:
        _slowly(lambda: self.is_deposed(node))

    def add_unplanned(self, *logs: Node) -> None:
        """Add the failovers that nobody meant, as their logs tell: a busy machine takes a node for a dead one."""
        wall = time.time() - time.monotonic()
        for node in logs:
            for told in _FROM_NOBODY.findall((node.folder / "log").read_text(errors="replace")):
                at = datetime.strptime(told, "%d %b %Y %H:%M:%S.%f").replace(tzinfo=UTC).timestamp() - wall
                # A fault that takes no primary away may meet such a failover, and does not explain it.
                if not any(fault.towns and fault.began <= at <= fault.ended for fault in self.faults):
                    span = {"began": at - _UNPLANNED_SECONDS, "ended": at + _UNPLANNED_SECONDS}
                    words = f"{node.port} took over by itself"
                    self.faults.append(Fault(words=words, towns=frozenset(self.towns), **span))


class ClusterChaos(Chaos):
    """Moves slots, kills, pauses and cuts off primaries of a cluster. Its nodes take DEBUG."""

    def __init__(self, cluster: Cluster, towns: Iterable[str], chance: Random) -> None:
        super().__init__(cluster.nodes, towns, chance)
        self._cluster = cluster

    def kinds(self) -> Sequence[Callable[[], None]]:
        of_servers = [self.kill, self.move, self.pause, self.kill_alone, self.move_at_once, self.cut, self.hand_over]
        of_clients = [self.drop, self.reset, self.hush, self.lose_requests, self.lose_replies, self.split, self.isolate]
        return of_servers + of_clients

    def move(self) -> None:
        """Move the slot of a town to another primary while it is used: slowly, so that commands meet a town in two places."""
        slot, source, to, primaries = self._choose_move()
        keys_each = self.chance.choice((1, 3, 10))
        source_id, to_id = (node.ask("CLUSTER MYID") for node in (source, to))
        to.ask("CLUSTER SETSLOT", slot, "IMPORTING", source_id)
        source.ask("CLUSTER SETSLOT", slot, "MIGRATING", to_id)
        while keys := source.ask("CLUSTER GETKEYSINSLOT", slot, keys_each):
            source.ask("MIGRATE", "127.0.0.1", to.port, "", 0, _MIGRATE_MS_MAX, "KEYS", *keys)
            time.sleep(_BETWEEN_KEYS_SECONDS)
        for port in (to.port, source.port, *primaries):
            self._cluster.at(port).ask("CLUSTER SETSLOT", slot, "NODE", to_id)
        self.moved += 1

    def move_at_once(self) -> None:
        """Move the slot of a town to another primary in one step, as servers since Valkey 9 do it by themselves."""
        slot, source, to, _ = self._choose_move()
        move_slot_at_once(slot, source, to)
        self.moved += 1

    def _choose_move(self) -> tuple[int, Node, Node, set[int]]:
        """The slot of a town, the primary that has it, another one, and the ports of all others."""
        slot, view = _slot(self.chance.choice(self.towns)), self._view(self.nodes)
        source = next(self._cluster.at(port) for slots, port, _ in view if slot in slots)
        primaries = {port for _, port, _ in view} - {source.port}
        return slot, source, self.chance.choice([node for node in self.nodes if node.port in primaries]), primaries

    def cut(self) -> None:
        """Cut a primary off from the other nodes, but not from clients, nor its replica: it goes on until it notices."""
        with self._fault("cut off") as node:
            node.ask("DEBUG", "DROP-CLUSTER-PACKET-FILTER", "-2")
            self._wait_until_deposed(node)
            node.ask("DEBUG", "DROP-CLUSTER-PACKET-FILTER", "-1")

    def reset(self) -> None:
        """Cut a primary off from clients, and from them alone: no other takes over."""
        self._turn(Way.CUT, "reset its clients")

    def hush(self) -> None:
        """Nothing is heard between a primary and its clients for a while. What they sent arrives afterwards."""
        self._turn(Way.SILENT, "was not heard")

    def isolate(self) -> None:
        """Cut a primary off from clients and nodes; what clients sent to it arrives when another has taken over."""
        with self._fault("isolated") as node, self._turned(node, Way.SILENT):
            node.ask("DEBUG", "DROP-CLUSTER-PACKET-FILTER", "-2")
            self._wait_until_deposed(node)
            node.ask("DEBUG", "DROP-CLUSTER-PACKET-FILTER", "-1")

    def hand_over(self) -> None:
        """Have a replica take over in good order. That loses nothing."""
        node, _ = self.primary()
        replicas = next(replicas for _, port, replicas in self._view(self.nodes) if port == node.port)
        began = time.monotonic()
        self._cluster.at(replicas[0]).ask("CLUSTER FAILOVER")
        self._wait_until_deposed(node)
        self.settle()
        self.faults.append(Fault(words=f"{node.port} handed over", began=began, ended=time.monotonic()))

    def primary(self) -> tuple[Node, frozenset[str]]:
        view = self._view(self.nodes)
        with_towns = {port for slots, port, _ in view for town in self.towns if _slot(town) in slots}
        node = self.chance.choice([node for node in self.nodes if node.port in with_towns])
        mine = {town for slots, port, _ in view for town in self.towns if port == node.port and _slot(town) in slots}
        return node, frozenset(mine)

    def is_deposed(self, node: Node) -> bool:
        others = [other for other in self.nodes if other is not node]
        view = self._view(others)
        return node.port not in {port for _, port, _ in view} and sum(len(slots) for slots, _, _ in view) == SLOTS

    def settle(self) -> None:
        _slowly(self._agrees)

    def _agrees(self) -> bool:
        try:
            views = {self._settled_view(node) for node in self.nodes}
        except redis.RedisError:
            return False
        return len(views) == 1 and None not in views

    def _settled_view(self, node: Node) -> tuple[Slot, ...] | None:
        """The cluster as the node sees it; None if it is not ready, or has not settled as a primary or replica."""
        role, info, slots = _ask_all(node, "ROLE", "CLUSTER INFO", "CLUSTER SLOTS")
        # A replica follows; somebody follows a primary.
        is_linked = bool(role[2]) if role[0] == b"master" else role[3] == b"connected"
        if not is_linked or info["cluster_state"] != "ok":
            return None
        return tuple(sorted(self._read_view(slots), key=lambda slot: slot[0].start))

    def _view(self, nodes: Sequence[Node]) -> list[Slot]:
        """The cluster as the first of the nodes sees it that answers."""
        for node in nodes:
            with suppress(redis.RedisError):
                return self._ask_view(node)
        return []

    def _ask_view(self, node: Node) -> list[Slot]:
        return self._read_view(_ask(node, "CLUSTER SLOTS"))

    def _read_view(self, told: Sequence[Any]) -> list[Slot]:
        return [
            (range(first, last + 1), self._port(primary), tuple(sorted(map(self._port, replicas))))
            for first, last, primary, *replicas in told
        ]

    def _port(self, told: Sequence[Any]) -> int:
        """The own port of the node of which clients are told this."""
        return self._cluster.at(told[1]).port


class SentinelChaos(Chaos):
    """Kills and pauses a primary that sentinels watch, and cuts it off."""

    def __init__(self, group: Watched, towns: Iterable[str], chance: Random) -> None:
        super().__init__(group.servers, towns, chance)
        self._group = group

    def kinds(self) -> Sequence[Callable[[], None]]:
        # Sentinels take 10 s to have a primary follow again that was replaced while it lived.
        replaced = self.chance.choice([self.pause, self.isolate])
        return [self.kill_alone, replaced, self.drop, self.lose_requests, self.lose_replies, self.split]

    def isolate(self) -> None:
        """Cut a primary off from clients, replicas and sentinels; what was sent to it arrives when another has taken over."""
        with self._fault("isolated") as node, self._turned(node, Way.SILENT):
            self._wait_until_deposed(node)

    def primary(self) -> tuple[Node, frozenset[str]]:
        return self._group.primary(), frozenset(self.towns)

    def is_deposed(self, node: Node) -> bool:
        return self._group.primary() is not node

    def settle(self) -> None:
        _slowly(self._agrees)

    def _agrees(self) -> bool:
        try:
            primary = {int(_ask(each, "SENTINEL GET-MASTER-ADDR-BY-NAME", "main")[1]) for each in self._group.sentinels}
            roles = {node.client_port: _ask(node, "ROLE") for node in self.nodes}
        except redis.RedisError:
            return False
        primaries = {port for port, role in roles.items() if role[0] == b"master"}
        followers = [role for role in roles.values() if role[0] != b"master"]
        return (
            len(primary) == 1
            and primaries == primary
            and all(role[2] in primary and role[3] == b"connected" for role in followers)
        )


def _ask(node: Node, *command: Any) -> Any:
    """As `Node.ask`, of a node that may hang."""
    with closing(_client(node)) as it:
        return it.execute_command(*command)  # type: ignore[no-untyped-call]


def _ask_all(node: Node, *commands: str) -> list[Any]:
    """The replies to several commands, which are asked at once."""
    with closing(_client(node)) as it:
        pipeline = it.pipeline(transaction=False)
        for command in commands:
            pipeline.execute_command(command)  # type: ignore[no-untyped-call]
        return pipeline.execute()


def _client(node: Node) -> redis.Redis:
    once = Retry(NoBackoff(), 0)
    # Looked for often, so it says nothing of itself.
    return redis.Redis(
        "127.0.0.1", node.port, socket_timeout=_ANSWER_SECONDS, retry=once, lib_name=None, lib_version=None
    )


def _slot(town: str) -> int:
    return int(key_slot(f"{{{town}}}".encode()))


def _slowly(condition: Callable[[], bool]) -> None:
    """As `wait_until`, but asking seldom: the servers need the machine."""

    def look() -> bool:
        if condition():
            return True
        time.sleep(_POLL_SECONDS)
        return False

    wait_until(look, seconds_max=SETTLE_SECONDS_MAX)
