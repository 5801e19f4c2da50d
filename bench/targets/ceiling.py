"""The bare decode loop in a process of its own: `python -m bench.targets.ceiling JSON`, JSON being a `Deployment`.

One job per line of standard input: `{"prompts": [...], "concurrency": B, "num_tokens": N}`. The answer is one line: the
runs it took, B prompts at a time. An empty line is answered when the model is ready.
"""

from __future__ import annotations

import dataclasses
import json
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from bench.deployment import Deployment
from bench.workload import Prompt, messages
from core.config.folder import read_folder


@dataclasses.dataclass(frozen=True)
class LockstepRun:
    """One run of several sequences: prompt lengths in tokens, and perf_counter_ns at the start and after each step."""

    prompt_lengths: list[int]
    times: list[int]


class Ceiling:
    def __init__(self, deployment: Deployment) -> None:
        from core.llama.bare import BareLoop
        from core.llama.model import open_model
        from core.runners.gpu import free_for_cache
        from core.runners.planning import context_settings, plan_limits
        from core.runners.text_llama import chat_template

        config = read_folder(Path(deployment.models)).configs[deployment.name]
        self._model = open_model(config)
        self._template = chat_template(self._model)
        limits = plan_limits(config, self._model, free_for_cache(self._model))
        self._loop = BareLoop(self._model, context_settings(config, self._model, limits))

    def runs(self, prompts: Sequence[Prompt], concurrency: int, num_tokens: int) -> Iterator[LockstepRun]:
        tokens = [self._tokens(prompt) for prompt in prompts]
        for start in range(0, len(tokens), concurrency):
            group = tokens[start : start + concurrency]
            yield LockstepRun([len(prompt) for prompt in group], self._loop.run(group, num_tokens))

    def _tokens(self, prompt: Prompt) -> list[int]:
        """As many tokens as a server has to compute: the prompt in the model's chat template."""
        text = self._template.render(messages(prompt)) if self._template else prompt
        return self._model.tokenize(str(text), add_special=True, parse_special=True)

    def close(self) -> None:
        self._loop.close()
        self._model.close()

    def answer(self, line: str) -> list[dict[str, Any]]:
        job = json.loads(line) if line.strip() else {"prompts": [], "concurrency": 1, "num_tokens": 1}
        return [dataclasses.asdict(run) for run in self.runs(**job)]


def main() -> None:
    ceiling = Ceiling(Deployment.from_json(sys.argv[1]))
    for line in sys.stdin:
        print(json.dumps(ceiling.answer(line)), flush=True)


if __name__ == "__main__":
    main()
