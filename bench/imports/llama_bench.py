"""`llama-bench -o json` or `-o jsonl`: prefill and decode in the bare loop, each repetition a round.

`tg` decodes without a prompt, one token a step, so its rate is decode_tok_s and out_tok_s as well; `pp` is
prefill_tok_s; of `pg`, which does both, only out_tok_s is known.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict

from bench.errors import BenchError
from bench.imports.convert import Imported, documents, stage, validated
from bench.result import Rates, RoundResult, StageResult
from bench.stats import median_or_none

TOOL = "llama-bench"
NOTES = ("llama-bench: no HTTP, no tokenizer, no sampler, random tokens: a ceiling of what is served",)
MEASURED = (
    "n_prompt", "n_gen", "n_depth", "test_time",
    "avg_ns", "stddev_ns", "avg_ts", "stddev_ts", "samples_ns", "samples_ts",
)  # fmt: skip
RATES = ("out_tok_s", "decode_tok_s", "prefill_tok_s")


class Test(BaseModel):
    """The other keys are settings."""

    model_config = ConfigDict(extra="allow", protected_namespaces=())

    model_filename: str
    n_prompt: int
    n_gen: int
    n_depth: int = 0
    test_time: str
    samples_ns: list[int]
    cpu_info: str | None = None
    build_commit: str | None = None

    @property
    def name(self) -> str:
        parts = [f"{kind}{count}" for kind, count in (("pp", self.n_prompt), ("tg", self.n_gen)) if count]
        return "+".join(parts) + (f" @ d{self.n_depth}" if self.n_depth else "")


def read(path: Path, target: str = TOOL) -> Imported:
    tests = [validated(Test, document, path, TOOL) for document in documents(path)]
    models = sorted({test.model_filename for test in tests})
    if len(models) != 1:
        raise BenchError(f"{path}: measures {len(models)} models ({', '.join(models)}): make one file for each")
    names = _names(tests)
    return Imported(
        tool=TOOL,
        when=tests[0].test_time,
        model=Path(models[0]).name,
        stages=[_stage(test, name, target) for test, name in zip(tests, names, strict=True)],
        notes=NOTES,
        cpu=tests[0].cpu_info,
        commit=tests[0].build_commit,
    )


def _names(tests: Sequence[Test]) -> list[str]:
    """With the settings in which the tests differ."""
    settings: list[dict[str, Any]] = [
        {key: value for key, value in test.model_dump().items() if key not in MEASURED} for test in tests
    ]
    varied = [key for key in settings[0] if len({str(setting.get(key)) for setting in settings}) > 1]
    return [
        " ".join([test.name, *(f"{key}={setting.get(key)}" for key in varied)])
        for test, setting in zip(tests, settings, strict=True)
    ]


def _stage(test: Test, name: str, target: str) -> StageResult:
    rounds = [_round(test, number, ns) for number, ns in enumerate(test.samples_ns)]
    medians = {rate: median_or_none([getattr(done, rate) for done in rounds]) for rate in RATES}
    return stage(name, target, rates=Rates(ttft_p50_ms=None, **medians), rounds=rounds)


def _round(test: Test, number: int, ns: int) -> RoundResult:
    generated = 1e9 * test.n_gen / ns if test.n_gen else None
    return RoundResult(
        round=number,
        wall_s=ns / 1e9,
        out_tok_s=generated,
        decode_tok_s=None if test.n_prompt else generated,
        prefill_tok_s=None if test.n_gen else 1e9 * test.n_prompt / ns,
        ttft_p50_ms=None,
        host=None,
    )
