"""What the models of a scenario file have in common."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field

UNITS = {"s": 1.0, "m": 60.0, "h": 3600.0}


class Strict(BaseModel):
    """Unknown keys are errors: a misspelt one would silently measure something else."""

    model_config = ConfigDict(frozen=True, extra="forbid")


def seconds(value: Any) -> Any:
    """`90`, `"90s"`, `"1.5m"` or `"1h"`; what is none of these is left for the number's own check to refuse."""
    if isinstance(value, str) and value[-1:] in UNITS:
        try:
            return float(value[:-1]) * UNITS[value[-1]]
        except ValueError:
            return value
    return value


Seconds = Annotated[float, BeforeValidator(seconds), Field(gt=0, le=86_400, allow_inf_nan=False)]
"""Always finite: nothing in a bench may last for ever."""
