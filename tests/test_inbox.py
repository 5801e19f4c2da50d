from __future__ import annotations

import asyncio
import threading

from core.inbox import Inbox


def test_items_come_in_order_and_the_urgent_one_wakes_a_resting_consumer() -> None:
    inbox: Inbox[int] = Inbox(rest=3600)
    threading.Thread(target=lambda: [inbox.put(n, urgent=n == 99) for n in range(100)]).start()
    found: list[int] = []
    for items in inbox:
        found += items
        if 99 in items:
            break
    assert found == list(range(100))


def test_a_coroutine_gets_what_a_thread_gets() -> None:
    async def run(rest: float | None) -> list[int]:
        inbox: Inbox[int] = Inbox(rest=rest)
        threading.Thread(target=lambda: [inbox.put(n, urgent=n == 99) for n in range(100)]).start()
        found: list[int] = []
        async for items in inbox:
            found += items
            if 99 in items:
                return found
        raise AssertionError("an inbox never ends by itself")

    for rest in (None, 0.001, 3600):
        assert asyncio.run(run(rest)) == list(range(100))


def test_an_item_that_nothing_follows_does_not_wait_for_ever() -> None:
    async def run() -> list[list[str]]:
        inbox: Inbox[str] = Inbox(rest=0.01)
        inbox.put("first", urgent=False)
        seen = []
        async for items in inbox:
            seen.append(items)
            if len(seen) == 2:
                return seen
            inbox.put("second", urgent=False)
            inbox.put("third", urgent=False)
        raise AssertionError("an inbox never ends by itself")

    assert asyncio.run(run()) == [["first"], ["second", "third"]]


def test_put_survives_a_consumer_whose_loop_is_gone() -> None:
    inbox: Inbox[int] = Inbox(rest=0.01)

    async def take_one() -> None:
        async for _ in inbox:
            return

    inbox.put(1, urgent=True)
    asyncio.run(take_one())
    inbox.put(2, urgent=True)
