"""Advice as a fragment of a model's YAML."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from bench.advise.advice import Advice

IN_PARAMETERS = ("batch",)
"""Keys that stand below `parameters:`."""


def fragment(model: str, advice: Sequence[Advice]) -> str:
    """What is not known, or is no key of a model's YAML, is a comment."""
    return "\n".join([f"# {model}", *_lines(advice), ""])


def _lines(advice: Sequence[Advice]) -> Iterator[str]:
    for one in advice:
        if one.value is None:
            yield f"# {one.key}: {one.basis}"
        elif not one.in_yaml:
            yield f"# {one.key}: {one.value}  # at the platform; {one.basis}"
        elif one.key in IN_PARAMETERS:
            yield "parameters:"
            yield f"  {one.key}: {one.value}  # {one.basis}"
        else:
            yield f"{one.key}: {one.value}  # {one.basis}"
