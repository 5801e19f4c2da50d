"""When an open loop's requests are due: known beforehand, and as random as they claim."""

from __future__ import annotations

from itertools import pairwise
from statistics import fmean, pstdev
from typing import Any

import pytest

from bench.errors import BenchError
from bench.load.arrivals import arrivals
from bench.stages import Constant, Poisson, Prompts, Ramp

PROMPTS = Prompts(isl=16, osl=2)


def poisson(**parts: Any) -> Poisson:
    return Poisson.model_validate({"name": "p", "kind": "poisson", "prompts": PROMPTS, **parts})


def test_the_same_seed_gives_the_same_arrivals_and_another_seed_others() -> None:
    stage = poisson(rate=5, requests=50)
    assert arrivals(stage, "a") == arrivals(stage, "a")
    assert arrivals(stage, "a") != arrivals(stage, "b")


def test_poisson_gaps_are_exponential() -> None:
    due = arrivals(poisson(rate=20, requests=20_000), "7")
    gaps = [later - earlier for earlier, later in pairwise([0.0, *due])]
    assert fmean(gaps) == pytest.approx(1 / 20, rel=0.03)
    assert pstdev(gaps) == pytest.approx(1 / 20, rel=0.03)
    assert sum(gap > 1 / 20 for gap in gaps) / len(gaps) == pytest.approx(0.3679, abs=0.01)


def test_counts_of_a_poisson_process_vary_as_much_as_their_mean() -> None:
    counts = [len(arrivals(poisson(rate=10, duration=10), str(seed))) for seed in range(400)]
    assert fmean(counts) == pytest.approx(100, rel=0.03)
    assert pstdev(counts) ** 2 == pytest.approx(100, rel=0.2)


def test_two_rates_have_one_pattern() -> None:
    slow, fast = (arrivals(poisson(rate=rate, requests=30), "7") for rate in (1, 4))
    assert fast == pytest.approx([moment / 4 for moment in slow])


def test_a_duration_ends_arrivals_and_a_count_does_too() -> None:
    assert all(moment < 3 for moment in arrivals(poisson(rate=50, duration=3), "7"))
    assert len(arrivals(poisson(rate=50, requests=17), "7")) == 17


def test_constant_arrivals_begin_at_once_and_are_even() -> None:
    stage = Constant(name="c", kind="constant", prompts=PROMPTS, rate=4, duration=1)
    assert arrivals(stage, "7") == [0.0, 0.25, 0.5, 0.75]


def ramp(gaps: str) -> Ramp:
    return Ramp.model_validate(
        {
            "name": "r",
            "kind": "ramp",
            "prompts": PROMPTS,
            "from": 10,
            "to": 30,
            "steps": 3,
            "hold": 100,
            "arrivals": gaps,
        }
    )


@pytest.mark.parametrize(("gaps", "tolerance"), [("constant", 0.002), ("poisson", 0.1)])
def test_a_ramp_holds_each_of_its_rates_for_as_long_as_it_says(gaps: str, tolerance: float) -> None:
    due = arrivals(ramp(gaps), "7")
    counts = [sum(start <= moment < start + 100 for moment in due) for start in (0, 100, 200)]
    assert counts == [pytest.approx(expected, rel=tolerance) for expected in (1000, 2000, 3000)]
    assert due == sorted(due)
    assert due[-1] < 300


def test_a_stage_in_which_nothing_arrives_is_refused_by_name() -> None:
    with pytest.raises(BenchError, match=r"load 'p' .* is over before a request arrives"):
        arrivals(poisson(rate=0.001, duration=0.01), "7")
