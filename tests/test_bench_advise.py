"""Advice: each setting from the measurement that it rests on, and what to run where there is none."""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

import pytest
import yaml

from bench import cli
from bench.advise.advice import Advice, advise
from bench.advise.evidence import Evidence, gather
from bench.advise.fragment import fragment
from bench.context.parts import ContextPart, Ladder
from bench.errors import BenchError
from bench.limits.result import BatchRate, LimitsPart, ThreadRate
from bench.result import Result, StageResult
from bench.session import INCOMPLETE, Session
from bench.slo import Slo
from bench.stages import Closed, Prompts
from bench.stats import Distribution
from core.config.folder import read_folder
from tests.small_gguf import write_gguf
from tests.test_bench_cost import cost, measured
from tests.test_limits import measured as limits_of

SLO = Slo(ttft_ms=2000, itl_ms=100)
GIB = 2**30


def tail(p50: float, p95: float | None) -> Distribution:
    return Distribution(n=9, mean=p50, sd=0, min=p50, p50=p50, p90=None, p95=p95, p99=None, max=p50, p_supported=50)


def stage(clients: int, ttft: float, itl: float, **values: Any) -> StageResult:
    load = Closed(name=f"c{clients}", prompts=Prompts(isl=64, osl=64), concurrency=clients, requests=9)
    metrics = {"ttft_ms": tail(1, ttft), "itl_ms": tail(itl, None)}
    known = {"stage": load.name, "load": load, "metrics": metrics, "validity": []}
    return measured().stages[0].model_copy(update=known | values)


@pytest.fixture
def limits(tmp_path: Path) -> LimitsPart:
    """Steps of 1 and 2 sequences, 200 tokens deep, take 40 ms each."""
    return LimitsPart(
        file=None,
        limits=limits_of(write_gguf(tmp_path / "m.gguf")),
        threads=[ThreadRate(threads=n, prefill_tok_s=100.0 * n, decode_tok_s=10.0 * n) for n in (1, 2, 3, 4)],
        batches=[BatchRate(batch=256, prefill_tok_s=410.0)],
        slots=4,
        kv_bytes_per_token=1 << 20,
        weight_bytes=GIB,
        context_train=8192,
    )


def evidence(**values: Any) -> Evidence:
    known: dict[str, Any] = dict.fromkeys(("limits", "context", "cost", "memory")) | {"stages": []}
    return Evidence(**{"model": "m", "slo": SLO} | known | values)


def by_key(found: Evidence) -> dict[str, Advice]:
    return {one.key: one for one in advise(found)}


def test_without_measurements_every_setting_says_what_to_run() -> None:
    found = by_key(evidence())
    assert {one.value for one in found.values()} == {None}
    assert all("not measured: run `warmfn bench " in one.basis for one in found.values())
    assert "bench context m" in found["context_size"].basis


def test_slots_are_the_most_clients_that_are_served_in_time() -> None:
    served = [stage(1, 100, 10), stage(4, 1900, 90), stage(8, 2100, 90), stage(16, 1000, 150)]
    assert by_key(evidence(stages=served))["slots"].value == 4
    assert "TTFT 1900 ms, ITL 90 ms" in by_key(evidence(stages=served))["slots"].basis
    assert by_key(evidence(stages=[stage(8, 10, 10, validity=[INCOMPLETE]), stage(2, 10, 10)]))["slots"].value == 2
    late = by_key(evidence(stages=[stage(2, 9000, 10)]))["slots"]
    assert late.value is None
    assert "not even 2 clients" in late.basis


def test_without_a_load_slots_come_from_the_time_of_a_step(limits: LimitsPart) -> None:
    found = by_key(evidence(limits=limits))["slots"]
    assert found.value == 2
    assert "200 tokens deep, takes 40 ms" in found.basis
    strict = by_key(evidence(limits=limits, slo=Slo(ttft_ms=2000, itl_ms=30)))["slots"]
    assert strict.value is None


@pytest.mark.parametrize(("memory", "kv"), [(1 + 8, "split"), (1 + 7.9, "unified")])
def test_the_cache_is_split_if_every_slot_fits(limits: LimitsPart, memory: float, kv: str) -> None:
    """2 slots of 4096 tokens of a MiB each, beside a GiB of weights."""
    assert by_key(evidence(limits=limits, memory=int(memory * GIB)))["kv"].value == kv


def test_threads_and_batch_are_the_fastest_with_their_rates(limits: LimitsPart) -> None:
    found = by_key(evidence(limits=limits))
    assert [found[key].value for key in ("threads", "threads_batch", "batch")] == [3, 4, 256]
    assert "30.0 decode tok/s" in found["threads"].basis
    assert "400.0 prefill tok/s" in found["threads_batch"].basis


def test_the_context_is_the_usable_one_and_says_what_binds() -> None:
    ladder = Ladder(limits={}, usable=3000, binding="latency", verdict="")
    fields = dict.fromkeys(("memory", "latency", "effective", "overflow", "reuses_prefixes"))
    context = ContextPart(seed=7, ladder=ladder, lengths=[], wall_s=1.0, **fields)
    found = by_key(evidence(context=context))["context_size"]
    assert found.value == 3000
    assert "latency limit" in found.basis


def test_the_idle_timeout_is_set_at_the_platform_and_no_key_of_the_yaml() -> None:
    found = by_key(evidence(cost=cost(per_hour=60.0)))["idle timeout"]
    assert str(found.value).endswith(" s")
    assert not found.in_yaml
    assert by_key(evidence(cost=cost()))["idle timeout"].value is None


def test_the_fragment_is_a_models_yaml(limits: LimitsPart, tmp_path: Path) -> None:
    text = fragment("m", advise(evidence(limits=limits, memory=99 * GIB, cost=cost(per_hour=60.0))))
    assert yaml.safe_load(text)["parameters"] == {"batch": 256}
    (tmp_path / "m.yaml").write_text(text.replace("parameters:", "name: m\nparameters:\n  model: m.gguf"))
    folder = read_folder(tmp_path)
    assert folder.problems == []
    config = folder.configs["m"]
    assert (config.slots, config.kv, config.threads, config.threads_batch) == (2, "split", 3, 4)
    assert config.parameters.batch == 256


def result(**values: Any) -> Result:
    return Session("limits", "limits").result(complete=True, **values)


def test_the_newest_of_each_kind_counts_and_only_what_may_be_believed(limits: LimitsPart) -> None:
    older = result(model_name="m", limits=limits.model_copy(update={"slots": 1}))
    newer = result(model_name="m", limits=limits)
    doubted = result(model_name="m", limits=limits.model_copy(update={"slots": 9}), validity=[INCOMPLETE])
    found = gather([older, newer, doubted], SLO, None).limits
    assert found
    assert found.slots == 4


@pytest.mark.parametrize("names", [("a", "b"), (None,)])
def test_advice_is_for_one_model(names: tuple[str | None, ...]) -> None:
    with pytest.raises(BenchError, match="advice is for one model"):
        gather([result(model_name=name) for name in names], SLO, None)


def test_the_command_ends_with_a_json_object(
    limits: LimitsPart, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    result(model_name="m", limits=limits).write(tmp_path)
    parser = argparse.ArgumentParser()
    cli.add_arguments(parser)
    assert cli.run_command(parser.parse_args(["advise", str(tmp_path), "--memory", "99", "--slo", "itl=50ms"])) == 0
    printed = capsys.readouterr().out
    assert "slots: 2  # a step of so many sequences" in printed
    assert json.loads(printed.splitlines()[-1])["threads"] == 3
