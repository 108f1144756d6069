"""A worker's figures for Prometheus, on loopback, by the official client library."""

from __future__ import annotations

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, start_http_server

from projections import BatchOutcome
from town import WorkerMetrics


class PrometheusMetrics(WorkerMetrics):
    """Serves the figures of all towns at `http://127.0.0.1:<port>/metrics`, by town."""

    def __init__(self, port: int) -> None:
        registry = CollectorRegistry()
        self._events = Counter("tt_events_projected", "Events projected.", ["town"], registry=registry)
        self._commits = Counter("tt_commits", "Batches committed.", ["town"], registry=registry)
        self._lost = Counter(
            "tt_commits_lost", "Batches that another projector committed first.", ["town"], registry=registry
        )
        self._lag_events = Gauge("tt_lag_events", "Events that are not projected yet.", ["town"], registry=registry)
        self._lag_seconds = Gauge(
            "tt_lag_seconds",
            "Time from the last event projected to the last one in the ledger, s.",
            ["town"],
            registry=registry,
        )
        self._stopped = Gauge(
            "tt_stopped", "1 where damage has stopped the worker, else 0.", ["town"], registry=registry
        )
        self._seconds = Histogram(
            "tt_batch_seconds", "Time of a batch, from reading to commit, s.", ["town"], registry=registry
        )
        server, _ = start_http_server(port, addr="127.0.0.1", registry=registry)
        self.port: int = server.server_port

    def batch(self, town: str, outcome: BatchOutcome, *, events: int, seconds: float) -> None:
        if outcome is BatchOutcome.COMMITTED:
            self._events.labels(town).inc(events)
            self._commits.labels(town).inc()
            self._seconds.labels(town).observe(seconds)
        elif outcome is BatchOutcome.LOST:
            self._lost.labels(town).inc()

    def lag(self, town: str, *, events: int, seconds: float) -> None:
        self._lag_events.labels(town).set(events)
        self._lag_seconds.labels(town).set(seconds)

    def stopped(self, town: str, *, is_stopped: bool) -> None:
        self._stopped.labels(town).set(int(is_stopped))
