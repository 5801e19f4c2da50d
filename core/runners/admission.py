"""What a text model can still take: estimates from the work that was accepted and from measured speed."""

from __future__ import annotations

from core.engine.deadline import Deadline
from core.engine.engine import Engine
from core.errors import DeadlineExceeded
from core.speed import Speed


def check_in_time(prompt: list[int], deadline: Deadline, engine: Engine, speed: Speed) -> None:
    """Raise DeadlineExceeded if `prompt` cannot be read before `deadline`.

    The estimate is the least it can take, as if every reply that is being written ended now. With an unknown speed
    nothing is refused.
    """
    rate, left = speed.fresh_prefill, max(deadline.left, 0.0)
    if rate is None or (engine.backlog()[0] + len(prompt)) / rate <= left:
        return
    ahead, own = engine.prompt_tokens_ahead(prompt)  # with a look at the cache, which takes a while where much waits
    seconds = (ahead + own) / rate
    if seconds > left:
        raise DeadlineExceeded(
            f"the first token would take at least {seconds:.1f} s and {left:.1f} s are left of {deadline}: {own} "
            f"prompt tokens, and {ahead} of other requests before them, at {rate:.0f} tokens per second: allow more "
            "time or shorten the prompt",
            retry_after=ahead / rate if own / rate <= deadline.seconds - deadline.margin else None,
            estimated_seconds=round(seconds, 3),
            prompt_tokens=own,
            tokens_ahead=ahead,
        )


def seconds_to_a_place(engine: Engine, speed: Speed) -> float:
    """Time in which all accepted work is done, over the number of requests it frees."""
    requests = engine.num_running + engine.num_waiting
    return speed.seconds(*engine.backlog()) / max(requests, 1)
