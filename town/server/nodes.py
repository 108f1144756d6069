"""Nodes: all servers that have towns, of a cluster, of sentinels or a single one, and which of them has a key.

Unlike `routes`, which follow one town, this is for programs that look at many.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any, Final, Protocol

import redis
from redis.crc import REDIS_CLUSTER_HASH_SLOTS, key_slot

from ledger import StoreUnavailableError, redis_errors
from town.home.passwords import shown_url, with_password
from town.server.bounded_client import client_of_url
from town.server.routed_client import options_of
from town.server.routes import ClusterRoute, SentinelRoute
from town.trust.url_rules import SCHEMES, Address, GroupUrl, is_group_url, read_group_url, refuse_unfit_url

_ONLY: Final[Address] = ("", 0)
IsOver = Callable[[], bool]


def _never() -> bool:
    return False


class Nodes(Protocol):
    """Servers, and which of them has a key."""

    where: str

    def look(self) -> None:
        """Find out anew which server has what. StoreUnavailableError."""
        ...

    def owner(self, key: str) -> Address:
        """The server that has the key, by the last look."""
        ...

    def client(self, address: Address, *, is_over: IsOver = _never) -> redis.Redis:
        """A client of that server alone. The caller closes it.

        A wait for a reply ends once `is_over` says so, or another server has taken over from one that does not answer.
        """
        ...


def nodes_of(url: str) -> Nodes:
    """The servers at a URL that the user has named. Connects to nothing yet. StoreUnavailableError."""
    refuse_unfit_url(url)
    url = with_password(url)
    if not is_group_url(url):
        return _Single(url)
    group = read_group_url(url)
    return _Primary(group, shown_url(url)) if group.service is not None else _Cluster(group, shown_url(url))


class _Single:
    """One server has everything."""

    def __init__(self, url: str) -> None:
        self.where = shown_url(url)
        scheme, _, rest = url.partition("://")
        self._url = f"{SCHEMES[scheme]}://{rest}"

    def look(self) -> None:
        """There is nothing to find out."""

    def owner(self, key: str) -> Address:  # noqa: ARG002 - whatever the key
        return _ONLY

    def client(self, address: Address, *, is_over: IsOver = _never) -> redis.Redis:  # noqa: ARG002 - there is one
        try:
            client = client_of_url(self._url)
        except ValueError as error:
            raise StoreUnavailableError(self.where, "has a URL that cannot be read", "Correct it.") from error
        client.connection_pool.connection_kwargs["still_there"] = partial(_require, is_over, _never)
        return client


class _Group:
    """What the servers of a cluster and of sentinels have in common."""

    def __init__(self, url: GroupUrl, where: str) -> None:
        self.where = where
        self._options = options_of(url)
        self._plain_options = options_of(url, has_user=False)
        self._url = url

    def client(self, address: Address, *, is_over: IsOver = _never) -> redis.Redis:
        options: dict[str, Any] = self._options | {"db": self._url.db}
        options["still_there"] = partial(_require, is_over, partial(self._was_replaced, address))
        return redis.Redis.from_pool(redis.ConnectionPool(host=address[0], port=address[1], **options))

    def _was_replaced(self, address: Address) -> bool:
        """Whether another server has what that one had, as far as anybody knows. What the last look has found stays."""
        raise NotImplementedError


class _Primary(_Group):
    """The primary that sentinels watch."""

    def __init__(self, url: GroupUrl, where: str) -> None:
        super().__init__(url, where)
        self._route = SentinelRoute(url.hosts, url.service or "", self._options, self._plain_options)
        self._known = _ONLY

    def look(self) -> None:
        self._route.forget()
        with redis_errors(self.where):
            self._known = self._route.address()

    def owner(self, key: str) -> Address:  # noqa: ARG002 - whatever the key
        return self._known

    def _was_replaced(self, address: Address) -> bool:
        self._route.forget(address)
        try:
            return self._route.address() != address
        except redis.RedisError:
            return False


class _Cluster(_Group):
    """The primaries of a cluster, each with a part of the slots."""

    def __init__(self, url: GroupUrl, where: str) -> None:
        super().__init__(url, where)
        self._route = ClusterRoute(url.hosts, "", self._options)
        self._owners: list[Address] = []

    def look(self) -> None:
        with redis_errors(self.where):
            found = self._route.slots()
            if len(found) < REDIS_CLUSTER_HASH_SLOTS:
                raise redis.ConnectionError("not all slots of the cluster are served")
        self._owners = [found[slot] for slot in range(REDIS_CLUSTER_HASH_SLOTS)]

    def owner(self, key: str) -> Address:
        return self._owners[key_slot(key.encode())]

    def _was_replaced(self, address: Address) -> bool:
        self._route.forget(address)
        try:
            return address not in self._route.slots().values()
        except redis.RedisError:
            return False


def _require(is_over: IsOver, was_replaced: IsOver) -> None:
    """redis-py's ConnectionError if a reply is not to be waited for any longer."""
    if is_over():
        raise redis.ConnectionError("it was to stop")
    if was_replaced():
        raise redis.ConnectionError("another server has taken over, and this one does not answer")
