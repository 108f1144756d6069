"""A fleet: all towns on a server or in a cluster, which need no folder on this machine."""

from __future__ import annotations

import threading
from collections import defaultdict
from collections.abc import Callable, Sequence
from contextlib import closing, suppress
from typing import TypeVar

from msgspec import Struct

from ledger import TOWNS_KEY, Keys, LedgerError, TownList
from town.server.ends import End, Ends, Refused
from town.server.nodes import Nodes, nodes_of
from town.trust.url_rules import Address

Answer = TypeVar("Answer")


class ListedTown(Struct, frozen=True):
    """A town on a server: how many events it has, or why that is not known. One without events may be new, or gone."""

    name: str
    events: int | None
    problem: str | None = None


def list_towns(url: str) -> list[ListedTown]:
    """The towns that are listed on the server or the cluster at `url`, by name. StoreUnavailableError.

    Looks at no other keys than the list and the towns' ledgers.
    """
    nodes = nodes_of(url)
    nodes.look()
    towns = read_list(nodes)
    found = dict(read_ends(nodes, towns))
    return [_listed(keys.town, found[keys]) for keys in towns]


def list_town(url: str | None, keys: Keys) -> None:
    """Write the town into the list of the server at `url`; nothing for its own server (None), which has no fleet.

    It is a help: a user without the right to that key, and a server that is away, keep nobody from the town.
    """
    if url is not None:
        _change_list(url, lambda towns: towns.add(keys))


def unlist_town(url: str | None, keys: Keys) -> None:
    """Take the town out of that list, as `list_town` writes it."""
    if url is not None:
        _change_list(url, lambda towns: towns.remove(keys))


def _change_list(url: str, change: Callable[[TownList], None]) -> None:
    with suppress(LedgerError):
        nodes = nodes_of(url)
        nodes.look()
        ask_list(nodes, change)


def read_list(nodes: Nodes) -> list[Keys]:
    """The towns, by name. StoreUnavailableError."""
    return ask_list(nodes, TownList.read)


def ask_list(nodes: Nodes, question: Callable[[TownList], Answer]) -> Answer:
    """The answer of the list of towns."""
    with closing(nodes.client(nodes.owner(TOWNS_KEY))) as client:
        return question(TownList(client, where=nodes.where))


def by_node(nodes: Nodes, towns: Sequence[Keys]) -> dict[Address, list[Keys]]:
    """The towns that each server has."""
    found: dict[Address, list[Keys]] = defaultdict(list)
    for keys in towns:
        found[nodes.owner(keys.ledger)].append(keys)
    return found


def read_ends(nodes: Nodes, towns: Sequence[Keys]) -> list[tuple[Keys, End]]:
    """Each town with its number of events. StoreUnavailableError."""
    stop = threading.Event()
    found: list[tuple[Keys, End]] = []
    for address, those in by_node(nodes, towns).items():
        with closing(nodes.client(address)) as client:
            ends = Ends(client, those, stop=stop, where=nodes.where)
            with closing(ends):
                found += ends.changed()
    return found


def _listed(name: str, end: End) -> ListedTown:
    if isinstance(end, Refused):
        return ListedTown(name, None, end.words)
    return ListedTown(name, end)
