"""One cold start: prepare the page cache, start the server, ask it twice, end it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from time import perf_counter_ns

from bench.client import Client
from bench.cold.first_request import OUTPUT_TOKENS
from bench.cold.fresh_server import FreshServer, fresh_server
from bench.cold.page_cache import prepare, share_cached
from bench.cold.result import ColdStart
from bench.cold.variant import Variant
from bench.errors import BenchError
from bench.record import RequestRecord
from bench.sample import Readings
from bench.transport.http import HttpTransport

Keep = Callable[[RequestRecord], None]
"""Takes every request that was sent, also one that failed or was cut off."""


async def cold_start(variant: Variant, number: int, run: str, log: Path, keep: Keep) -> ColdStart:
    """In round `number` of the run. Raises BenchError, with the server's last words, if it dies or refuses."""
    server = variant.server
    prepare(server.files, variant.page_cache)
    cached = share_cached(server.files)
    before = Readings.take(0.0, 0.0)
    async with fresh_server(server.spec.name, server.program, log) as fresh:
        first = await ask(fresh, variant, number, 0, run, keep)
        again = await ask(fresh, variant, number, 1, run, keep)
        host = Readings.take(fresh.process.cpu_seconds(), 0.0).use_since(before)
    ledger = (first.server_timings or {}).get("cold_start")
    return ColdStart(
        round=number,
        cached=cached,
        listening_ms=(fresh.listening - fresh.begun) / 1e6,
        ready_ms=(fresh.ready - fresh.begun) / 1e6,
        sent_ms=(_moment(first.t_send) - fresh.begun) / 1e6,
        first_ms=(_answered(first) - fresh.begun) / 1e6,
        again_ms=(_answered(again) - _moment(again.t_send)) / 1e6,
        prompt_tokens=first.isl,
        cached_tokens=first.cached,
        ledger=ledger and {phase.removesuffix("_ms"): ms for phase, ms in ledger.items()},
        host=host,
    )


async def ask(fresh: FreshServer, variant: Variant, number: int, index: int, run: str, keep: Keep) -> RequestRecord:
    """One request, which succeeds."""
    request, spec, model = variant.request, variant.server.spec, variant.server.model
    client = Client(HttpTransport(fresh.base_url), model=model, workload=request.workload, extra=variant.server.extra)
    record = RequestRecord(
        target=spec.name,
        stage=variant.name,
        round=number,
        index=index,
        isl_req=request.num_tokens,
        osl_req=0 if request.embeds else OUTPUT_TOKENS,
        t_sched=perf_counter_ns(),
    )
    try:
        await client.send(request.prompt(run, variant.request.name, number, index), record)
    finally:
        keep(record)
        await client.close()
    if record.err:
        raise BenchError(f"{spec.name}: {variant.name}: {record.err}; its log ends:\n{fresh.process.last_words()}")
    return record


def _answered(record: RequestRecord) -> int:
    """The first token, or the whole of a vector."""
    return _moment(record.t_first_tok or record.t_end)


def _moment(moment: int | None) -> int:
    assert moment is not None, "of a request that was answered"
    return moment
