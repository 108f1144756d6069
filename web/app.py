"""The application: every endpoint as a route, behind the check who may ask."""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable, Collection
from functools import partial
from typing import Final

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route
from starlette.types import ASGIApp

from ledger import LedgerError
from town import Town
from web.access import CALLER, Access, Caller, Right, Tokens
from web.answer_types import Message
from web.answer_types import Towns as TownsAnswer
from web.answers import Answer, encode, response_of
from web.board import BOARD
from web.charts import CHARTS
from web.endpoints import Asked, Endpoint, Given
from web.headers import SafeHeaders
from web.health import HEALTH, health_route
from web.live import EventsGiven, Live
from web.metrics import Measured, Metrics
from web.openapi import PARAMETER_OF_PATH, PATH, document
from web.page_files import page_routes, read_files
from web.problems import Problem, problem_of, problem_response
from web.questions import QUESTIONS
from web.reads import READS
from web.requests import body_of, query_of
from web.timeline import TIMELINE
from web.towns import ServedTown, Towns
from web.writes import WRITES

ROOT: Final = "/api/v1"
ENDPOINTS: Final = (*READS, *QUESTIONS, *BOARD, *TIMELINE, *CHARTS, *WRITES)
_STREAM: Final = "text/event-stream"
_VERSION: Final = re.compile(r'(?P<quote>"?)(?P<number>[0-9]{1,15})(?P=quote)')
_Handler = Callable[[Request], Awaitable[Response]]


def make_app(
    towns: Towns, *, hosts: Collection[str] | None, tokens: Tokens | None = None, is_read_only: bool = False
) -> ASGIApp:
    """An ASGI application for these towns. `hosts` and `tokens` are as for `Access`."""
    routes: list[BaseRoute] = [
        Route(f"{ROOT}/towns", _list_towns(towns), methods=["GET"]),
        Route(ROOT + PATH, _document(), methods=["GET"]),
        health_route(towns),
    ]
    live = Live(towns)
    metrics = Metrics(live)
    routes.append(metrics.route())
    for below in (ROOT, f"{ROOT}/towns/{{town}}"):
        routes += [
            Route(below + path, _handler(towns, endpoint), methods=[endpoint.method])
            for endpoint in ENDPOINTS
            for path in {endpoint.path, endpoint.path.rstrip("/")}
        ]
        routes.append(Route(f"{below}/events", _events(towns, live), methods=["GET"]))
    files = read_files()
    routes += page_routes(files)
    app = Starlette(
        routes=routes, exception_handlers={HTTPException: _http_error, Problem: _problem, Exception: _unexpected}
    )
    app.router.redirect_slashes = False
    # The page itself asks for the token.
    open_paths = {HEALTH, "/", *(f"/{name}" for name in files)}
    guarded = Access(app, hosts=hosts, tokens=tokens, is_read_only=is_read_only, open_paths=open_paths)
    return SafeHeaders(Measured(guarded, metrics))


def _answer_elsewhere(_: Asked, __: object) -> Answer:
    raise AssertionError("it has a route of its own")


DOCUMENTED: Final = (
    *ENDPOINTS,
    Endpoint("GET", "/towns", Given, _answer_elsewhere, "The towns that are served.", answer=TownsAnswer),
    Endpoint(
        "GET",
        "/events",
        EventsGiven,
        _answer_elsewhere,
        "The events that are appended from now on, or from behind a moment, as server-sent events.",
        answer=Message,
        media=_STREAM,
    ),
)
"""All that the OpenAPI document tells of."""


def _document() -> _Handler:
    content: list[bytes] = []

    async def handle(_: Request) -> Response:
        if not content:
            content.append(encode(document(DOCUMENTED)))
        return response_of(Answer(content[0]), known=None)

    return handle


def _handler(towns: Towns, endpoint: Endpoint) -> _Handler:
    async def handle(request: Request) -> Response:
        served = _served(towns, request)
        caller: Caller = request.scope[CALLER]
        given = (
            await body_of(request, endpoint.given)
            if endpoint.is_writing
            else query_of(request.query_params.multi_items(), endpoint.given)
        )
        asked = {
            "task": request.path_params.get("task", ""),
            "may_write": caller.right is Right.WRITE,
            "expected_version": _expected_version(request) if endpoint.is_writing else None,
            "key": _key(request),
        }

        def ask(town: Town) -> Answer:
            question = partial(endpoint.call, Asked(town, served, **asked), given)
            if endpoint.is_writing or getattr(given, "at", None) is not None:
                return question()
            return served.answers.ask(town, (endpoint.path, asked["task"], given), question)

        try:
            answer = await towns.ask(served, ask, actor=caller.actor)
        except LedgerError as error:
            raise problem_of(error) from error
        return response_of(answer, known=request.headers.get("if-none-match"))

    return handle


def _events(towns: Towns, live: Live) -> _Handler:
    async def handle(request: Request) -> Response:
        try:
            return await live.respond(_served(towns, request), request)
        except LedgerError as error:
            raise problem_of(error) from error

    return handle


def _served(towns: Towns, request: Request) -> ServedTown:
    name = request.path_params.get("town")
    found = towns.own if name is None else towns.get(name)
    if found is None:
        raise Problem(404, "There is no such town", f"The towns of this server: {', '.join(towns.names)}.")
    return found


def _expected_version(request: Request) -> int | None:
    """The version that `If-Match` asks for. Problem."""
    texts = request.headers.getlist("if-match")
    if texts and PARAMETER_OF_PATH not in request.path_params:
        raise Problem(400, "If-Match is for a command on one task", "This is none. Leave it out.")
    if not texts or texts == ["*"]:
        return None
    found = _VERSION.fullmatch(texts[0])
    if found is None or len(texts) > 1:
        raise Problem(400, "If-Match is no version", 'Send the version of the task, as in If-Match: "3".')
    return int(found["number"])


def _key(request: Request) -> str | None:
    """The `Idempotency-Key`: a UUID, in quotes or not. Problem if it is given twice; what it is, is checked where it is used."""
    keys = request.headers.getlist("idempotency-key")
    if len(keys) > 1:
        raise Problem(400, "Idempotency-Key is given twice", "Send one for each command.")
    return keys[0].strip().strip('"') if keys else None


def _list_towns(towns: Towns) -> _Handler:
    async def handle(_: Request) -> Response:
        shape = {"towns": [{"town": name, "path": f"{ROOT}/towns/{name}"} for name in towns.names]}
        return response_of(Answer(shape), known=None)

    return handle


def _problem(_: Request, error: Exception) -> Response:
    assert isinstance(error, Problem)
    return problem_response(error)


def _unexpected(_: Request, error: Exception) -> Response:
    """A fault of ours. The client learns its kind and nothing of the inside; the traceback goes where the server logs."""
    return problem_response(
        Problem(
            500,
            "Something unexpected happened",
            "The fault is in this program. Look what was done before you repeat it.",
            error=type(error).__name__,
        )
    )


def _http_error(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    words = {
        404: f"Nothing is at {request.url.path}. /api/v1/openapi.json has all paths.",
        405: f"{request.method} is not for {request.url.path}.",
    }
    headers = dict(error.headers or {})
    return problem_response(
        Problem(error.status_code, error.detail, words.get(error.status_code, error.detail), headers=headers)
    )
