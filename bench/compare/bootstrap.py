"""How far a percentile may be off, found by measuring again what was measured: the hierarchical bootstrap.

Requests of one round have much in common, and rounds of one run too. So runs are drawn first, then rounds within them,
then requests within those, each with replacement (Davison & Hinkley, Bootstrap Methods and their Application, 3.8). The
percentile of what was drawn, many times over, spreads as a repetition of the whole measurement would.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
DRAWS = 1000
CELLS = 2_000_000
"""Values drawn at once at most, so that large runs need no more memory than small ones."""


def redrawn_percentiles(runs: Sequence[Sequence[Sequence[float]]], p: float, rng: np.random.Generator) -> Floats:
    """`DRAWS` of them. `runs` hold rounds, rounds hold values; none is empty. As many rounds and values are drawn as
    the shortest of each has: never more than there were, so the spread is not underestimated."""
    rounds = [np.asarray(values, dtype=float) for run in runs for values in run]
    counts = np.array([len(run) for run in runs])
    first = np.concatenate(([0], np.cumsum(counts)[:-1]))
    lengths = np.array([len(values) for values in rounds])
    table = np.stack([np.resize(values, lengths.max()) for values in rounds])
    shape = (len(runs), counts.min(), lengths.min())
    batch = max(1, CELLS // int(np.prod(shape)))
    found = []
    for done in range(0, DRAWS, batch):
        size = min(batch, DRAWS - done)
        run = _below(rng, np.full((size, shape[0]), len(runs)))[..., None]
        chosen = first[run] + _below(rng, np.broadcast_to(counts[run], (size, *shape[:2])))
        value = _below(rng, np.broadcast_to(lengths[chosen][..., None], (size, *shape)))
        drawn = table[chosen[..., None], value].reshape(size, -1)
        found.append(np.percentile(drawn, p, axis=1))
    return np.concatenate(found)


def _below(rng: np.random.Generator, limits: NDArray[np.int_]) -> NDArray[np.int_]:
    """A whole number from 0 up to each limit, the limit left out."""
    return (rng.random(limits.shape) * limits).astype(np.int_)
