"""What ends an answer in a model's own chat template, and whether generation ends there by itself."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from core.gguf import GgufHeader, iter_tokens, token_texts

_PROBE = "Which river is it?", "It is the Danube.", "How long is it?"
_MARKER = re.compile(r"<[^<>\s]{1,60}>|\[[^\[\]\s]{1,60}\]")
_END_KEYS = tuple(f"tokenizer.ggml.{name}_token_id" for name in ("eos", "eot", "eom"))

KNOWN_END_TOKENS = frozenset(
    {
        *("<|eot_id|>", "<|im_end|>", "<|end|>", "<|return|>", "<|call|>", "<|flush|>", "<|calls|>", "<end_of_turn>"),
        *("<|endoftext|>", "</s>", "<|eom_id|>", "<EOT>", "_<EOT>", "[EOT]", "[EOS]", "<|end_of_text|>", "<eos>"),
        *("<end_of_utterance>", "<turn|>", "<|tool_response>", "<\uff5cend\u2581of\u2581sentence\uff5c>", "[e~["),
    }
)
"""llama.cpp ends generation at these wherever a vocabulary has them, whatever the header says."""


@dataclass(frozen=True)
class TurnEnd:
    """`text` follows an answer; if it is no end token of the model, it has to be a stop string."""

    text: str
    is_end_token: bool


def find_turn_end(path: Path, header: GgufHeader) -> TurnEnd | None:
    """None where nothing follows an answer. Raises CoreError if the template in the weights cannot be used."""
    # Imports jinja2, for which only adding a model has a use here.
    from core.prompt.chat_template import ChatTemplate

    ids = {token for key in (*_END_KEYS, "tokenizer.ggml.bos_token_id") if (token := header.integer(key)) is not None}
    texts = token_texts(path, header, ids)
    bos, eos = (texts.get(-1 if token is None else token, "") for token in (header.bos_id, header.eos_id))
    template = ChatTemplate(header.chat_template or "", bos_token=bos, eos_token=eos)
    roles = ("user", "assistant", "user")
    prompt = template.render([{"role": role, "content": text} for role, text in zip(roles, _PROBE, strict=True)])
    between = prompt.partition(_PROBE[1])[2].partition(_PROBE[2])[0].strip()
    if not between:
        return None
    marker = _MARKER.match(between)
    text = marker.group() if marker else between.splitlines()[0]
    ends = {texts[token] for key in _END_KEYS if (token := header.integer(key)) in texts}
    return TurnEnd(text, text in ends or (text in KNOWN_END_TOKENS and text.encode() in iter_tokens(path, header)))
