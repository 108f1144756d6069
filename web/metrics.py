"""Metrics: what the server counts, for Prometheus, by the official client library."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Final

from prometheus_client import CollectorRegistry, Counter, Histogram, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.exposition import CONTENT_TYPE_LATEST
from prometheus_client.registry import Collector
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from web.live import Live

_METHODS: Final = frozenset({"GET", "HEAD", "POST", "DELETE"})
"""All others are counted together: a client may send any word."""


class Metrics:
    """The figures of one server, in a registry of its own."""

    def __init__(self, live: Live) -> None:
        self.registry = CollectorRegistry()
        self._answers = Counter(
            "tt_serve_answers", "Requests that were answered.", ["method", "status"], registry=self.registry
        )
        self._seconds = Histogram(
            "tt_serve_answer_seconds",
            "Time from a request to the beginning of its answer, s.",
            ["method"],
            registry=self.registry,
        )
        self.registry.register(_LiveFigures(live))

    def answered(self, method: str, status: int, seconds: float) -> None:
        """An answer has begun."""
        named = method if method in _METHODS else "other"
        self._answers.labels(named, status).inc()
        self._seconds.labels(named).observe(seconds)

    def route(self) -> Route:
        """Where the figures are fetched."""

        async def answer(_: Request) -> Response:
            return Response(generate_latest(self.registry), media_type=CONTENT_TYPE_LATEST)

        return Route("/metrics", answer, methods=["GET"])


class Measured:
    """Counts the answers of an application."""

    def __init__(self, app: ASGIApp, metrics: Metrics) -> None:
        self._app = app
        self._metrics = metrics

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        began = time.monotonic()

        async def send_counted(message: Message) -> None:
            if message["type"] == "http.response.start":
                self._metrics.answered(scope["method"], message["status"], time.monotonic() - began)
            await send(message)

        await self._app(scope, receive, send_counted if scope["type"] == "http" else send)


class _LiveFigures(Collector):
    """What the live streams count themselves, read when somebody asks."""

    def __init__(self, live: Live) -> None:
        self._live = live

    def collect(self) -> Iterator[Metric]:
        streams = GaugeMetricFamily("tt_serve_streams", "Live streams that are open.", labels=["town"])
        for town, listeners in self._live.listeners.items():
            streams.add_metric([town], listeners)
        yield streams
        yield CounterMetricFamily("tt_serve_events_sent", "Events read for live streams.", value=self._live.sent)
        yield CounterMetricFamily(
            "tt_serve_streams_cut_off", "Live streams whose reader was too slow.", value=self._live.cut_off
        )
