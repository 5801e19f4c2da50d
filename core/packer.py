"""Makes the packs of a model's `prefixes:`: loads it, computes each prefix once, and keeps it in a file."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from core.config.backends import check_weights
from core.config.model import ModelConfig
from core.config.problem import ConfigFault
from core.packs.folder import PackFolder
from core.runners.packs import Made
from core.runners.text import TextRunner
from core.runners.text_llama import UNCUT, load


def make_packs(config: ModelConfig, out: Path | None = None) -> Iterator[Made]:
    """Each pack as soon as it is there, in the folder where the model's are or in `out`.

    Raises ConfigFault where there is nothing to pack or a prefix is of no use, ModelUnusable, StoreError, DecodeFailed.
    """
    if not config.prefixes:
        raise ConfigFault(config.place, "prefixes", "there are none: write the beginnings of prompts that come often")
    if check_weights(config) != "llama-text":
        raise ConfigFault(config.place, "prefixes", "only a model that writes text reads prompts: remove them")
    if out:
        config = config.model_copy(update={"prompt_cache_path": str(out.absolute())})
    PackFolder(config).require_writable()  # before all that takes time
    with ThreadPoolExecutor(1) as loading:  # a thread that ends with it, for the reason that `Loader.start` tells
        runner = loading.submit(load, config).result()
    try:
        yield from _make(config, runner)
    finally:
        runner.close()


def _make(config: ModelConfig, runner: TextRunner) -> Iterator[Made]:
    if runner.packs is None:
        raise ConfigFault(config.place, "prefixes", f"they cannot be kept: {UNCUT}")
    runner.packs.declared = runner.prefixes()
    runner.engine.compute(next(iter(runner.packs.declared.values()))[:2])  # pages the weights in, which is not timed
    for key, tokens in runner.packs.declared.items():
        yield runner.packs.make(key, tokens)
