"""What a config asks to be packed, and which packs there are for it."""

from __future__ import annotations

from dataclasses import dataclass

from core.config.model import ModelConfig
from core.config.problem import Problem
from core.packs.folder import SERVED, Pack, PackFolder
from core.prompt.prefixes import declared_prefixes
from core.prompt.prompts import Prompts
from core.prompt.tokens import Tokenizer


@dataclass(frozen=True)
class Survey:
    """`declared` are the tokens of the config's prefixes by their key in the YAML; `packs` those to be restored, in
    this order: as declared, then the newest first."""

    declared: dict[str, list[int]]
    packs: list[Pack]
    problems: list[Problem]


def survey(
    folder: PackFolder, config: ModelConfig, prompts: Prompts, tokenizer: Tokenizer, *, thoroughly: bool = False
) -> Survey:
    """Reads the packs' headers and a little of the weights; `thoroughly`, all of the packs."""
    declared, faults = declared_prefixes(config, prompts, tokenizer)
    packs, damaged = folder.packs(thoroughly=thoroughly)
    places = {tuple(tokens): place for place, tokens in enumerate(declared.values())}
    fitting = [pack for pack in packs if tuple(pack.tokens) in places or pack.header.source == SERVED]
    packed = {tuple(pack.tokens) for pack in fitting}
    remedy = f"not packed: run `warmfn pack {config.name}`; until then the first request that begins so computes it"
    faults |= {source: remedy for source, tokens in declared.items() if tuple(tokens) not in packed}
    orphans = [f"{pack}: stale, no prefix makes it any more: remove it" for pack in packs if pack not in fitting]
    of_files = [Problem(config.place, None, None, fault, "warning", config.name) for fault in (*damaged, *orphans)]
    of_keys = [Problem(config.place, None, key, fault, "warning", config.name) for key, fault in faults.items()]
    fitting.sort(key=lambda pack: places.get(tuple(pack.tokens), len(places)))
    return Survey(declared, fitting, [*of_keys, *of_files])
