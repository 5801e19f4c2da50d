"""What a paid target charges: by the token, or by the second of a worker."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

from bench.cost.prices import Price, read_price
from bench.forecast.per_target import in_and_out


@dataclass(frozen=True)
class TokenPrice:
    """US dollars for a million tokens."""

    per_m_in: float
    per_m_out: float

    verified = True
    """By whoever gives it."""

    @property
    def words(self) -> str:
        return f"${self.per_m_in:g} for 1M tokens in and ${self.per_m_out:g} out, as given"


AnyPrice: TypeAlias = TokenPrice | Price


def usd(price: AnyPrice, *, requests: int, tokens_in: int, tokens_out: int, seconds: float, pauses: int) -> float:
    """Of a worker: one, billed for all of the seconds and after each stage (`pauses`) until its idle timeout."""
    if isinstance(price, TokenPrice):
        return (tokens_in * price.per_m_in + tokens_out * price.per_m_out) / 1e6
    billed = seconds + (pauses * price.idle_timeout_s if price.bills_idle else 0.0)
    return billed * price.usd_per_second + requests * price.usd_per_request


def parse_price(text: str, file: Path) -> AnyPrice:
    """`SKU`, in the price file, or `IN:OUT`, US dollars for a million tokens. Raises ValueError or BenchError."""
    return TokenPrice(*in_and_out(text)) if ":" in text else read_price(file, text)
