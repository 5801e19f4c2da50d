"""LocalAI's clean-up of what a model said: cutstrings, extract_regex, trimspace, trimsuffix and reply_prefix.

A stream is cleaned as the whole text would be: what `CleanupStream` gives, put together, is what `Cleanup.apply` gives,
however the text was cut into pieces, and what was given once is never taken back.
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import partial
from typing import Any

from core.config.model import ModelConfig
from core.errors import ModelUnusable
from core.prompt.cleanup_stream import GO_SPACE, CleanupStream, CutStage, HeldStage, Stage, TrimStage
from core.prompt.pattern import Shape, compile_pattern, shape_of


class Cleanup:
    """One model's rules, in LocalAI's order; regular expressions are Go's. Raises ModelUnusable for a wrong one."""

    def __init__(
        self,
        *,
        cutstrings: Iterable[str] = (),
        extract_regex: Iterable[str] = (),
        trimspace: Iterable[str] = (),
        trimsuffix: Iterable[str] = (),
        reply_prefix: str = "",
    ) -> None:
        self._prefix = reply_prefix
        self._cuts = [(_compile("cutstrings", cut), shape_of(cut)) for cut in cutstrings]
        self._extracts = [_compile("extract_regex", extract) for extract in extract_regex]
        self._trims = [*((prefix, "") for prefix in trimspace), *(("", suffix) for suffix in trimsuffix)]

    @property
    def is_neutral(self) -> bool:
        """Whether texts stay as they are."""
        return not (self._prefix or self._cuts or self._extracts or self._trims)

    def apply(self, text: str, *, echo: str = "") -> str:
        """Clean a whole text. `echo` is the prompt, where the reply begins with it: the rules see it too."""
        text = echo + self._prefix + text
        for expression, _ in self._cuts:
            text = _cut(expression, text)
        if self._extracts:
            text = _extract(self._extracts, text)
        for prefix, suffix in self._trims:
            text = _trim(prefix, suffix, text)
        return text

    def stream(self, *, echo: str = "") -> CleanupStream:
        """The same for a text that comes in pieces."""
        stages: list[Stage] = [_cut_stage(expression, shape) for expression, shape in self._cuts]
        if self._extracts:
            stages.append(HeldStage(partial(_extract, self._extracts)))
        stages += [TrimStage(prefix, suffix) for prefix, suffix in self._trims]
        return CleanupStream(stages, echo + self._prefix)


def cleanup_of(config: ModelConfig) -> Cleanup:
    """The rules that a model's YAML gives."""
    return Cleanup(
        cutstrings=config.cutstrings,
        extract_regex=config.extract_regex,
        trimspace=config.trimspace,
        trimsuffix=config.trimsuffix,
        reply_prefix=config.template.reply_prefix or "",
    )


def _compile(key: str, expression: str) -> Any:
    try:
        return compile_pattern(expression)
    except ValueError as error:
        raise ModelUnusable(f"{key}: {error}") from None


def _cut_stage(expression: Any, shape: Shape) -> Stage:
    return HeldStage(partial(_cut, expression)) if shape == Shape() else CutStage(expression, shape)


def _cut(expression: Any, text: str) -> str:
    return str(expression.sub("", text))


def _extract(expressions: list[Any], text: str) -> str:
    """The first match of each, put together; the text itself if nothing matches."""
    matches = (expression.search(text) for expression in expressions)
    return "".join(match[0] for match in matches if match) or text


def _trim(prefix: str, suffix: str, text: str) -> str:
    return text.removeprefix(prefix).removesuffix(suffix).strip(GO_SPACE)
