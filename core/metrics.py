"""The Prometheus series, all in one place."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, disable_created_metrics, generate_latest

from core.coldstart import Phases
from core.engine.engine import Engine
from core.engine.sequence import Sequence
from core.llama.threads import Threads

disable_created_metrics()  # type: ignore[no-untyped-call]

SECONDS = (0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 25, 50, 100)


class Metrics:
    """One service's series; each service has a registry of its own. `starts` tells the ledger of each model's load; ""
    stands for the process."""

    def __init__(self, starts: Callable[[], Mapping[str, Phases]] = dict) -> None:
        self._starts = starts
        self._registry = CollectorRegistry()
        self._requests = self._counter("requests", "Requests by outcome", "route", "model", "status")
        self._prompt_tokens = self._counter("prompt_tokens", "Prompt tokens computed", "model")
        self._cached_tokens = self._counter("cached_tokens", "Prompt tokens taken from a cached prefix", "model")
        self._completion_tokens = self._counter("completion_tokens", "Tokens generated", "model")
        self._drafted = self._counter("drafted_tokens", "Draft tokens computed on trial", "model")
        self._accepted = self._counter("accepted_tokens", "Draft tokens that came true, each a step saved", "model")
        self._queue = self._histogram("queue_seconds", "From acceptance to a seat")
        self._first_token = self._histogram("first_token_seconds", "From acceptance to the first token")
        self._running = self._gauge("running_sequences", "Sequences that have a seat", "model")
        self._waiting = self._gauge("waiting_sequences", "Accepted sequences without a seat", "model")
        self._threads = self._gauge("threads", "Threads that a step has at most, as the machine allows", "model")
        self._thread_changes = self._counter("thread_changes", "Times the governor chose others", "model")
        self._cold_start = self._gauge("cold_start_seconds", "Phases of the start and of each load", "model", "phase")

    def text(self) -> bytes:
        for model, phases in self._starts().items():
            for phase, seconds in list(phases.items()):
                self._cold_start.labels(model, phase).set(seconds)
        return generate_latest(self._registry)

    def count_request(self, route: str, model: str, status: str) -> None:
        self._requests.labels(route, model, status).inc()

    def observe(self, model: str, seq: Sequence) -> None:
        """An ended sequence, complete or not."""
        self._prompt_tokens.labels(model).inc(max(min(seq.num_computed, seq.num_prompt) - seq.num_cached, 0))
        self._cached_tokens.labels(model).inc(seq.num_cached)
        self._completion_tokens.labels(model).inc(seq.num_generated)
        self._drafted.labels(model).inc(seq.num_drafted)
        self._accepted.labels(model).inc(seq.num_accepted)
        if seq.admitted_at:
            self._queue.labels(model).observe(seq.admitted_at - seq.submitted_at)
        if seq.first_token_at:
            self._first_token.labels(model).observe(seq.first_token_at - seq.submitted_at)

    def watch(self, model: str, engine: Engine, threads: Threads) -> None:
        """Read the gauges of what runs and waits, and with how many threads, whenever the series are scraped."""
        self._running.labels(model).set_function(lambda: engine.num_running)
        self._waiting.labels(model).set_function(lambda: engine.num_waiting)
        self._threads.labels(model).set_function(lambda: threads.now)
        threads.on_change = self._thread_changes.labels(model).inc

    def _counter(self, name: str, text: str, *labels: str) -> Counter:
        return Counter(f"warmfn_{name}", text, labels, registry=self._registry)

    def _gauge(self, name: str, text: str, *labels: str) -> Gauge:
        return Gauge(f"warmfn_{name}", text, labels, registry=self._registry)

    def _histogram(self, name: str, text: str) -> Histogram:
        return Histogram(f"warmfn_{name}", text, ("model",), registry=self._registry, buckets=SECONDS)
