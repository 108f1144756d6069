"""What sentinels say of a primary: whether it is the one that has the town, and stays it. Without servers."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, cast

import pytest
import redis

from town.server import routes
from town.server.routes import SentinelRoute
from town.trust.url_rules import Address

OLD: Address = ("10.0.0.1", 6379)
NEW: Address = ("10.0.0.2", 6379)
SENTINELS: tuple[Address, ...] = (("s1", 1), ("s2", 2), ("s3", 3))
Told = dict[str, Any]


def told(address: Address = OLD, *, epoch: int = 1, flags: str = "master") -> Told:
    return {
        "ip": address[0],
        "port": address[1],
        "config-epoch": epoch,
        "flags": flags,
        "is_master": True,
        "is_sdown": "s_down" in flags,
        "is_odown": "o_down" in flags,
        "num-other-sentinels": 2,
    }


@pytest.fixture
def route_of(monkeypatch: pytest.MonkeyPatch) -> Callable[..., SentinelRoute]:
    """A route whose sentinels say this, one after the other; None is one that does not answer. `asked` notes whom it asks."""

    def make(*answers: Sequence[Told | None], asked: list[tuple[Address, float | None]] | None = None) -> SentinelRoute:
        rounds = [dict(zip(SENTINELS, each, strict=True)) for each in answers]
        seen: dict[Address, int] = {}

        def ask_one(_: SentinelRoute, sentinel: Address, *, seconds_max: float | None) -> Told:
            if asked is not None:
                asked.append((sentinel, seconds_max))
            turn = seen[sentinel] = seen.get(sentinel, -1) + 1
            answer = rounds[min(turn, len(rounds) - 1)][sentinel]
            if answer is None:
                raise redis.ConnectionError
            return answer

        monkeypatch.setattr(SentinelRoute, "_ask_one", ask_one)
        monkeypatch.setattr(routes, "_POLL_SECONDS", 0.0)
        return SentinelRoute(SENTINELS, "main", {}, {})

    return make


def test_primary_of_all_sentinels_is_confirmed(route_of: Callable[..., SentinelRoute]) -> None:
    """Also if one of them has not heard from it for a moment."""
    assert route_of([told(), told(), told(flags="master,s_down")]).confirms(OLD)


@pytest.mark.parametrize("epoch", [1, 2], ids=["chosen", "done"])
def test_primary_that_one_sentinel_has_replaced_is_not_confirmed(
    route_of: Callable[..., SentinelRoute], epoch: int
) -> None:
    """The others hear of it later. The next connection goes to the new one, whoever is asked first."""
    route = route_of([told(), told(), told(NEW, epoch=epoch)])
    assert route.address() == OLD
    assert not route.confirms(OLD)
    assert route.address() == NEW


@pytest.mark.parametrize(
    ("then", "is_confirmed"), [(told(), True), (told(NEW, epoch=2), False)], ids=["given up", "done"]
)
def test_failover_under_way_is_waited_for(
    route_of: Callable[..., SentinelRoute], then: Told, *, is_confirmed: bool
) -> None:
    """Until then nobody knows."""
    begun = told(flags="master,o_down,failover_in_progress")
    assert route_of([told(), begun, told()], [told(), then, told()]).confirms(OLD) is is_confirmed


def test_failover_that_does_not_end_confirms_nothing(
    route_of: Callable[..., SentinelRoute], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The wait has a bound."""
    monkeypatch.setattr(routes, "REPLACING_SECONDS_MAX", 0.0)
    assert not route_of([told(flags="master,failover_in_progress")] * 3).confirms(OLD)


def test_sentinel_that_is_silent_is_passed_over_for_a_while(route_of: Callable[..., SentinelRoute]) -> None:
    """A command would wait for it each time. If none answers, nothing is confirmed."""
    asked: list[tuple[Address, float | None]] = []
    route = route_of([told(), None, told()], asked=asked)
    assert route.confirms(OLD)
    assert route.confirms(OLD)
    assert [asked.count((each, routes._QUICK_SECONDS)) for each in SENTINELS] == [2, 1, 2]
    assert not route_of([None, None, None]).confirms(OLD)


def test_sentinel_that_hangs_is_waited_for_only_if_no_other_knows(route_of: Callable[..., SentinelRoute]) -> None:
    """Each is asked with a short bound first; those that did not answer in it are asked again, and patiently."""
    first, second, third = SENTINELS
    quick = routes._QUICK_SECONDS
    asked: list[tuple[Address, float | None]] = []
    assert route_of([None, told(), told()], asked=asked).address() == OLD
    assert asked == [(first, quick), (second, quick)]
    asked = []
    down = told(flags="master,o_down")
    assert route_of([None, down, down], [told(NEW), down, down], asked=asked).address() == NEW
    assert asked == [(first, quick), (second, quick), (third, quick), (first, None)]


class _Replacing:
    """A sentinel that is making another server the primary, and has `chosen` it if that is not the old one."""

    def __init__(self, chosen: Address) -> None:
        self._chosen = chosen

    def sentinel_masters(self) -> dict[str, Told]:
        return {"main": told(flags="master,s_down,o_down,failover_in_progress")}

    def execute_command(self, *words: str) -> tuple[bytes, int]:
        assert words == ("SENTINEL GET-MASTER-ADDR-BY-NAME", "main")
        return self._chosen[0].encode(), self._chosen[1]


@pytest.mark.parametrize(("chosen", "flags"), [(OLD, "master,s_down,o_down,failover_in_progress"), (NEW, "master")])
def test_primary_that_a_sentinel_has_chosen_is_the_one_although_others_do_not_follow_it_yet(
    chosen: Address, flags: str
) -> None:
    """It lists the old one until all others follow, which one that cannot be reached puts off for minutes."""
    state: Any = SentinelRoute(SENTINELS, "main", {}, {})._state_from(cast("redis.Redis", _Replacing(chosen)))
    assert (state["ip"], state["flags"], state["is_odown"]) == (chosen[0], flags, chosen is OLD)
