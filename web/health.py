"""Health: whether the servers of all towns answer."""

from __future__ import annotations

from typing import Final

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from ledger import LedgerError
from web.problems import RETRY_SECONDS, Problem
from web.towns import Towns

HEALTH: Final = "/healthz"
"""It needs no token, so its answer names no town."""


def health_route(towns: Towns) -> Route:
    async def answer(_: Request) -> Response:
        names = towns.names
        silent = [name for name in names if not await _answers(towns, name)]
        if silent:
            raise Problem(
                503,
                "The server is not available",
                f"The servers of {len(silent):,} of {len(names):,} towns do not answer. `tt status` in their folders says why.",
                headers={"Retry-After": str(RETRY_SECONDS)},
            )
        return Response("ok\n", media_type="text/plain")

    return Route(HEALTH, answer, methods=["GET"])


async def _answers(towns: Towns, name: str) -> bool:
    served = towns.get(name)
    assert served is not None, "a name of the list has its town"
    try:
        await towns.ask(served, lambda town: town.end())
    except LedgerError:
        return False
    return True
