"""Routes: which server has a town, asked from the nodes of a cluster or from sentinels.

redis-py reads what they say (`NodesManager`, `Sentinel`). A town lies in one slot, so its route leads to one server at a time;
it may lead to another one after a failover, or after the slot was moved.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Sequence
from contextlib import closing
from typing import Any, Final, cast

import redis
from redis.cluster import ClusterNode, NodesManager
from redis.crc import key_slot
from redis.exceptions import MovedError, RedisClusterException, SlotNotCoveredError
from redis.sentinel import Sentinel
from redis.utils import str_if_bytes

from town.trust.url_rules import Address

KNOWN_SECONDS: Final = 1.0
"""How long an answer of sentinels is taken for true. A primary that was replaced while it hung, or that starts again, takes
writes until sentinels tell it so, about 10 s later; all of them are lost."""
REPLACING_SECONDS_MAX: Final = 5.0
"""How long a confirmation waits for a failover that is under way."""
_POLL_SECONDS: Final = 0.1
_QUICK_SECONDS: Final = 0.5
"""How long a sentinel is waited for at first, and for a confirmation: one that hangs costs a command little more."""
_SILENT_SECONDS: Final = 10.0
"""How long a sentinel that did not answer is not asked for a confirmation."""
_REFUSALS: Final = redis.AuthenticationError, redis.ResponseError
"""What a host answers that is there, and does not say where the town is."""
_NOBODY: Final = "none of the hosts in its URL answered"


SentinelState = dict[str, Any]
"""What a sentinel says of the primary that it watches, as redis-py reads it."""


class Route:
    """Where a town is. All methods may be called by several threads."""

    def __init__(self) -> None:
        self.was_found = False
        """Whether an address was known once: if it is unknown now, a failover may be under way."""
        self._known: Address | None = None
        self._lock = threading.Lock()

    def address(self) -> Address:
        """Host and port of the server that has the town; asked for if it is not known. redis-py's ConnectionError."""
        with self._lock:
            if self._known is None:
                self._known = self._ask()
                self.was_found = True
            return self._known

    def forget(self, wrong: Address | None = None) -> None:  # noqa: ARG002 - for those that choose whom to ask
        """Ask again next time; not first at `wrong`, which did not answer or is not the one."""
        with self._lock:
            self._known = None

    def expire(self) -> None:
        """Ask again next time if what is known is old, and its server would not say that another one has the town."""

    def confirms(self, address: Address) -> bool:  # noqa: ARG002 - as above
        """Whether what this server and a replica of it have is there to stay, as those say who choose the primary.

        A cluster is not asked: its nodes tell each other of a new primary at once, and its replicas follow that.
        """
        return True

    def moved(self, error: MovedError) -> None:
        """Note where a server says that the town is."""
        raise NotImplementedError

    def _ask(self) -> Address:
        raise NotImplementedError


class ClusterRoute(Route):
    """The primary of the slot of `key`. `options` are those of connections to nodes."""

    def __init__(self, nodes: Sequence[Address], key: str, options: dict[str, Any]) -> None:
        super().__init__()
        self._nodes = list(nodes)
        self._options = options
        self._slot = key_slot(key.encode())

    def forget(self, wrong: Address | None = None) -> None:
        with self._lock:
            self._known = None
            if wrong in self._nodes:
                self._nodes.remove(wrong)
                self._nodes.append(wrong)

    def moved(self, error: MovedError) -> None:
        with self._lock:
            host = error.host or (self._known or self._nodes[0])[0]
            self._known = host, error.port

    def _ask(self) -> Address:
        try:
            found = self._look().get_node_from_slot(self._slot)
        except SlotNotCoveredError as error:
            raise redis.ConnectionError("no node of the cluster has the town's slot") from error
        return found.host, found.port

    def slots(self) -> dict[int, Address]:
        """Slot -> the primary that has it, as the first node says that answers. redis-py's ConnectionError."""
        found = cast("dict[int, list[ClusterNode]]", self._look().slots_cache)
        return {slot: (primary.host, primary.port) for slot, (primary, *_) in found.items()}

    def _look(self) -> NodesManager:
        try:
            nodes = [ClusterNode(*each) for each in self._nodes]  # type: ignore[no-untyped-call]
            manager = NodesManager(nodes, from_url=True, **self._options)
        except RedisClusterException as error:
            cause = error.__cause__ if isinstance(error.__cause__, redis.RedisError) else None
            if cause is None and "mode is not enabled" in str(error):
                raise redis.ResponseError("it is no node of a cluster") from error
            if isinstance(cause, _REFUSALS):
                raise cause from error
            raise redis.ConnectionError(_NOBODY if cause is None else f"{_NOBODY} ({cause})") from error
        manager.close()
        # All of them may be asked next time: those in the URL may be gone by then.
        others = [(node.host, node.port) for node in cast("dict[str, ClusterNode]", manager.nodes_cache).values()]
        self._nodes += [each for each in others if each not in self._nodes]
        return manager


class SentinelRoute(Route):
    """The primary that sentinels watch under the name `service`.

    Each is asked without a password, and if it wants one with that of the URL: `options` are those of connections to the
    primary, `plain_options` the same without user and password.
    """

    def __init__(
        self, sentinels: Sequence[Address], service: str, options: dict[str, Any], plain_options: dict[str, Any]
    ) -> None:
        super().__init__()
        self._sentinels = list(sentinels)
        self._expires_at = 0.0
        self._silent_until: dict[Address, float] = {}
        self._service = service
        self._ways = [plain_options] if options == plain_options else [plain_options, options]

    def expire(self) -> None:
        with self._lock:
            if time.monotonic() > self._expires_at:
                self._known = None
                self._expires_at = time.monotonic() + KNOWN_SECONDS

    def confirms(self, address: Address) -> bool:
        """Whether all sentinels that answer take this server for the primary. Waits while they replace it.

        A primary that was replaced while it hung goes on until they reach it, and so does a replica that still follows it: both
        lose then what they have.
        """
        deadline = time.monotonic() + REPLACING_SECONDS_MAX
        while True:
            told = self._ask_all()
            if not any(_is_replaced(state) for state in told) or time.monotonic() > deadline:
                break
            time.sleep(_POLL_SECONDS)
        if told and all(_address_in(state) == address and not _is_replaced(state) for state in told):
            return True
        with self._lock:
            # The first one that is asked may not have heard yet.
            newest = max(told, key=lambda state: (state["config-epoch"], _address_in(state) != address), default=None)
            self._known = None if newest is None else _address_in(newest)
            self._expires_at = time.monotonic() + KNOWN_SECONDS
        return False

    def moved(self, error: MovedError) -> None:
        raise redis.ResponseError("it is a node of a cluster, and has a URL of sentinels") from error

    def _ask_all(self) -> list[SentinelState]:
        """What each sentinel says of the primary, of those that answer and watch it."""
        told = []
        with self._lock:
            sentinels = tuple(self._sentinels)
        for sentinel in sentinels:
            if time.monotonic() < self._silent_until.get(sentinel, 0.0):
                continue
            try:
                state = self._ask_one(sentinel, seconds_max=_QUICK_SECONDS)
            except redis.RedisError:
                self._silent_until[sentinel] = time.monotonic() + _SILENT_SECONDS
                continue
            told += [] if state is None else [state]
        return told

    def _ask(self) -> Address:
        answered = False
        last: redis.RedisError | None = None
        unheard = tuple(self._sentinels)
        # One that hangs is waited for only if no other knows.
        for seconds_max in (_QUICK_SECONDS, None):
            silent = []
            for sentinel in unheard:
                try:
                    found = self._ask_one(sentinel, seconds_max=seconds_max)
                except redis.RedisError as error:
                    last = error
                    silent.append(sentinel)
                    continue
                answered = True
                # redis-py's own rule for which states count.
                if found is not None and Sentinel([]).check_master_state(found, self._service):  # type: ignore[no-untyped-call]
                    # The next time, too.
                    self._sentinels.remove(sentinel)
                    self._sentinels.insert(0, sentinel)
                    return _address_in(found)
            unheard = tuple(silent)
        if isinstance(last, _REFUSALS):
            raise redis.ResponseError("it is no sentinel") if "unknown command" in str(last) else last
        if answered:
            raise redis.ConnectionError(f"its sentinels know no primary that is up and called {self._service!r}")
        raise redis.ConnectionError(f"{_NOBODY} ({last})") from last

    def _ask_one(self, sentinel: Address, *, seconds_max: float | None = None) -> SentinelState | None:
        """What one sentinel says of the primary; None if it watches none of that name. Each step takes up to `seconds_max`."""
        for way in self._ways:
            # Always redis-py's, unlike a `client` elsewhere.
            asked = redis.Redis.from_pool(
                redis.ConnectionPool(host=sentinel[0], port=sentinel[1], seconds_max=seconds_max, **way)
            )
            with closing(asked):
                try:
                    return self._state_from(asked)
                except redis.AuthenticationError:
                    if way is self._ways[-1]:
                        raise
        return None

    def _state_from(self, sentinel: redis.Redis) -> SentinelState | None:
        state = cast("SentinelState | None", sentinel.sentinel_masters().get(self._service))  # type: ignore[no-untyped-call]
        if state is None or not _is_replaced(state):
            return state
        # redis-py's own method gives an option on that its reader of the reply does not take.
        chosen: Any = sentinel.execute_command("SENTINEL GET-MASTER-ADDR-BY-NAME", self._service)  # type: ignore[no-untyped-call]
        promoted = None if chosen is None else {"ip": str_if_bytes(chosen[0]), "port": int(chosen[1])}
        if promoted is None or _address_in(promoted) == _address_in(state):
            return state
        # The new primary is there. The sentinel goes on until all others follow it, and until then lists the old one.
        return state | promoted | {"flags": "master", "is_sdown": False, "is_odown": False}


def _address_in(state: SentinelState) -> Address:
    return str(state["ip"]), int(state["port"])


def _is_replaced(state: SentinelState) -> bool:
    """Whether the sentinel is making another server the primary."""
    return "failover_in_progress" in str(state["flags"]).split(",")
