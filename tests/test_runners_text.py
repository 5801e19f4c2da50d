"""What a request becomes before the engine sees it."""

from __future__ import annotations

import pytest

from tests.serving import LIMITS, FakeService


@pytest.mark.parametrize(("asked", "used"), [(-1, LIMITS.context_size), (10**9, LIMITS.context_size), (7, 7)])
def test_penalties_look_back_no_further_than_the_context(asked: int, used: int) -> None:
    service = FakeService()
    runner = service.runner
    seq = runner.submit(runner.token_prompt([1]), lambda update: None, max_tokens=1, repeat_last_n=asked)
    service.close()
    assert seq.sampling.repeat_last_n == used
