"""What the bench learned about one model on one host: a file beside the weights, read when the model is loaded.

It holds for exactly these weights on such a host, and for a KV cache of this form. One that was measured otherwise, or
cannot be read, is named in the log and passed over: then the defaults count, and rates are measured while serving.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, PositiveFloat, PositiveInt, ValidationError

from core.config.model import ModelConfig
from core.host import available_cpus, cpu_model
from core.packs.fingerprint import Fingerprint

logger = logging.getLogger("warmfn.limits")

SUFFIX = ".limits.json"


class Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", populate_by_name=True)


class Host(Frozen):
    """By which to tell whether a speed may be expected here: `cards` are the GPUs, `llama_cpp` is the build."""

    cpu: str
    cpus: PositiveInt
    cards: tuple[str, ...]
    llama_cpp: str


class KvForm(Frozen):
    """How keys and values are cached and read, by the YAML's keys: it decides speeds as much as the host does."""

    cache_type_k: str
    cache_type_v: str
    flash_attention: str


class Prefill(Frozen):
    """A prompt of `length` tokens alone was read at `tok_s`."""

    length: PositiveInt
    tok_s: PositiveFloat


class Decode(Frozen):
    """`batch` sequences of `depth` tokens each went on at `tok_s`, all together."""

    batch: PositiveInt
    depth: PositiveInt
    tok_s: PositiveFloat


class MeasuredLimits(Frozen):
    """`threads`, `threads_batch` and `batch` were the fastest, for a server with this `context_size` and `kv`.
    `usable_context`: tokens of the longest request that is answered in memory, in time and by the whole of its prompt,
    where that was measured. `step_seconds`: what a decode call takes by its rows, of which the cost of drafts follows;
    None for a model that takes none."""

    schema_: Literal["warmfn.limits/1"] = Field(default="warmfn.limits/1", alias="schema")
    measured: str = Field(description="when, ISO 8601 UTC")
    host: Host
    model: Fingerprint
    context_size: PositiveInt
    usable_context: PositiveInt | None = None
    kv: Literal["unified", "split"]
    kv_form: KvForm
    threads: PositiveInt
    threads_batch: PositiveInt
    batch: PositiveInt
    prefill: tuple[Prefill, ...] = Field(min_length=1)
    decode: tuple[Decode, ...] = Field(min_length=1)
    step_seconds: dict[PositiveInt, PositiveFloat] | None

    @property
    def prefill_tok_s(self) -> float:
        """All tokens over all seconds."""
        return _pooled([(found.length, found.tok_s) for found in self.prefill])

    @property
    def decode_tok_s(self) -> float:
        """Of the largest batch, over its depths: estimates are asked for when every slot is taken."""
        most = max(found.batch for found in self.decode)
        return _pooled([(1, found.tok_s) for found in self.decode if found.batch == most])

    def fill(self, config: ModelConfig) -> ModelConfig:
        """`config` with what was found best, where it says nothing itself."""
        own = {key: getattr(config, key) or getattr(self, key) for key in ("threads", "threads_batch")}
        if not config.wants_trained_context:
            own["context_size"] = config.context_size or self.usable_context
        if config.threads and not config.threads_batch:
            own["threads_batch"] = config.threads  # the user's word for one counts for both, as without this file
        parameters = config.parameters.model_copy(update={"batch": config.parameters.batch or self.batch})
        return config.model_copy(update={**own, "parameters": parameters})

    def write(self, path: Path) -> None:
        path.write_text(self.model_dump_json(by_alias=True, indent=1) + "\n", encoding="utf-8")


def this_host(cards: Sequence[str], build: str) -> Host:
    return Host(cpu=cpu_model(), cpus=available_cpus(), cards=tuple(cards), llama_cpp=build)


def limits_path(weights: Path) -> Path:
    return weights.with_name(weights.name + SUFFIX)


def read_limits(weights: Path, host: Host, kv_form: KvForm | None) -> MeasuredLimits | None:
    """Those measured for these weights on such a host, with such a cache if that is known; None, and a word in the log,
    where a file is of no use."""
    path = limits_path(weights)
    try:
        found = parse_limits(path)
    except FileNotFoundError:
        return None
    except (OSError, ValueError) as error:
        logger.warning("%s is ignored: %s; run `warmfn bench limits` again", path, _reason(error))
        return None
    if reason := _differs(found, weights, host, kv_form):
        logger.warning("%s is ignored: %s; run `warmfn bench limits` here", path, reason)
        return None
    return found


def parse_limits(path: Path) -> MeasuredLimits:
    """Raises OSError or ValueError."""
    return MeasuredLimits.model_validate_json(path.read_bytes())


def _differs(found: MeasuredLimits, weights: Path, host: Host, kv_form: KvForm | None) -> str | None:
    if difference := _first_difference(found.host, host):
        return f"it was measured on another host: {difference}"
    if kv_form and (difference := _first_difference(found.kv_form, kv_form)):
        return f"it was measured with another KV cache: {difference}"
    return None if found.model.is_of(weights) else "it was measured with other weights"


def _first_difference(there: Frozen, here: Frozen) -> str | None:
    for key, was in there:
        if (found := getattr(here, key)) != was:
            return f"{key} {_shown(was)} there, {_shown(found)} here"
    return None


def _shown(value: Any) -> str:
    return ", ".join(value) or "none" if isinstance(value, tuple) else str(value)


def _reason(error: Exception) -> str:
    """What is wrong, with the place in the file."""
    if isinstance(error, ValidationError):
        first = error.errors()[0]
        return f"{'.'.join(map(str, first['loc'])) or 'the file'}: {first['msg']}"
    return str(error.strerror or error) if isinstance(error, OSError) else str(error)


def _pooled(rates: Sequence[tuple[float, float]]) -> float:
    """Of (amount, rate) pairs."""
    return sum(amount for amount, _ in rates) / sum(amount / rate for amount, rate in rates)
