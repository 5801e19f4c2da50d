"""A price file (`bench.prices/1`): what a worker costs on each platform, with the date and the source of the figure."""

from __future__ import annotations

from datetime import date
from pathlib import Path
from typing import Literal

from pydantic import Field, NonNegativeFloat, PositiveFloat, ValidationError

from bench.errors import BenchError
from bench.files import read_yaml
from bench.strict import Strict

PRICES = Path(__file__).with_name("prices.yaml")


class Price(Strict):
    """Of one worker. `bills_idle`: whether it is paid for while it waits for the next request, until `idle_timeout_s`.
    `active_usd_per_second`: of a worker that always runs, where the platform has such."""

    sku: str
    platform: str
    usd_per_second: PositiveFloat
    usd_per_request: NonNegativeFloat = 0.0
    active_usd_per_second: PositiveFloat | None = None
    bills_idle: bool
    idle_timeout_s: NonNegativeFloat
    noted: date
    verified: bool
    source: str = Field(min_length=1, description="where the figure stands: an address, a contract")

    @property
    def words(self) -> str:
        per_request = f" and ${self.usd_per_request:.6g} a request" if self.usd_per_request else ""
        active = f", ${self.active_usd_per_second:.6g} a second if always active" if self.active_usd_per_second else ""
        return f"${self.usd_per_second:.6g} a second{per_request}{active} ({self.caveat})"

    @property
    def caveat(self) -> str:
        """To be said beside every figure in dollars that rests on this price."""
        return f"price {'verified' if self.verified else 'NOT VERIFIED'}, noted {self.noted} from {self.source}"


class PriceFile(Strict):
    schema_: Literal["bench.prices/1"] = Field(alias="schema")
    prices: tuple[Price, ...]


def read_price(path: Path, sku: str) -> Price:
    """Raises BenchError naming the file, and the key or the price that is not there."""
    try:
        found = PriceFile.model_validate(read_yaml(path))
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(map(str, first["loc"])) or "the file"
        raise BenchError(f"{path}: not a bench.prices/1 file: {place}: {first['msg']}") from error
    for price in found.prices:
        if price.sku == sku:
            return price
    raise BenchError(f"{path} has no price {sku!r}; it has {', '.join(price.sku for price in found.prices) or 'none'}")
