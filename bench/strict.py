"""What the models of a scenario file have in common."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict


class Strict(BaseModel):
    """Unknown keys are errors: a misspelt one would silently measure something else."""

    model_config = ConfigDict(frozen=True, extra="forbid")
