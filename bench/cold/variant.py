"""What is started: each model on each target, from a warm and a cold page cache, with each kind of first request."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bench.cold.first_request import FirstRequest, first_requests
from bench.cold.result import PageCache
from bench.deployment import read_config, read_deployment
from bench.target_spec import TargetSpec
from bench.targets.make import program_of
from bench.targets.programs import ServerProgram, without_end
from core.config.backends import check_weights
from core.config.model import ModelConfig
from core.config.weight_files import files_of
from core.packs.folder import PackFolder

KINDS = ("ours", "llama-server")
"""Servers that are started here and listen."""


@dataclass(frozen=True, eq=False)
class Server:
    """One model on one target. `extra` are fields of a request that this kind knows; `files` are what it reads at its
    start: the weights, and packs where it has them."""

    model: str
    spec: TargetSpec
    program: ServerProgram
    extra: Mapping[str, Any]
    files: tuple[Path, ...]


@dataclass(frozen=True, eq=False)
class Variant:
    server: Server
    page_cache: PageCache
    request: FirstRequest

    @property
    def name(self) -> str:
        return f"{self.server.model}, {self.page_cache} page cache, {self.request.name}"


def make_variants(
    models: Path, names: Sequence[str], kinds: Sequence[str], caches: Sequence[PageCache], lengths: Sequence[int]
) -> Iterator[Variant]:
    """Raises BenchError for a model that is not there or a server that cannot serve it, ConfigFault for bad weights."""
    for name in names:
        config = read_config(models, name)
        requests = list(first_requests(config, lengths))
        for kind in kinds:
            server = _server(config, kind)
            yield from (Variant(server, cache, request) for cache in caches for request in requests)


def _server(config: ModelConfig, kind: str) -> Server:
    check_weights(config)
    spec = TargetSpec.model_validate({"name": kind, "kind": kind})
    is_ours = kind == "ours"
    deployment = None if is_ours else read_deployment(config.root, config.name)
    packs = [pack.path for pack in PackFolder(config).packs()[0]] if is_ours and config.prefixes else []
    files = (*files_of(config.weights), *packs)
    program = program_of(spec, config.name, config.root, deployment)
    return Server(config.name, spec, program, without_end(spec, deployment), files)
