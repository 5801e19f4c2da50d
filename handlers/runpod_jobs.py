"""One RunPod job as the SDK wants it run: an async generator, each of whose yields costs a POST and its answer.

Invariants: whatever is yielded is JSON and within the platform's limits; an error is told as text, without traceback;
however a job ends, its reply is closed.
"""

from __future__ import annotations

import asyncio
import json
import logging
import time
from collections.abc import AsyncGenerator, Callable, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from functools import partial
from typing import Any, TypeAlias

from core.engine.deadline import Deadline, earliest
from core.errors import Busy, CoreError, InvalidRequest
from core.reply import Reply
from core.schema.replies import Object
from core.service import Service
from handlers.runpod_input import route_and_payload
from handlers.sse import DONE, data_event, error_event

logger = logging.getLogger("warmfn.runpod")

Job: TypeAlias = Mapping[str, Any]
Output: TypeAlias = str | Object

OPENERS = 32
"""Threads that parse, template and tokenize, so that the event loop never does."""

MAX_BODY = 20_000_000
"""Bytes of a result that RunPod takes."""

MAX_EVENT = 480_000
"""Bytes of one event: within JSON at most twice as many, and RunPod takes 1 MB of a stream at once."""


class ReplyTooLarge(InvalidRequest):
    """The platform would refuse the reply, and the job would seem to run for ever."""

    status = 413
    code = "reply_too_large"


SAY_EVERY = 10.0
"""Seconds between two words on a job that waits for its model."""


def create_handler(
    service: Service,
    time_limits: Mapping[str, float] | None = None,
    report: Callable[[Job, str], None] = lambda job, words: None,
) -> Callable[[Job], AsyncGenerator[Output, None]]:
    """What the SDK calls with each job: it recognizes only a function that is itself an async generator.

    `time_limits` as in `Settings`. `report` tells whoever asks for a job's status how far it is.
    """
    openers = ThreadPoolExecutor(OPENERS, thread_name_prefix="open")

    def open_reply(job: Job, deadline: Deadline | None) -> Reply:
        return service.open(*route_and_payload(job), deadline)

    async def handle(job: Job) -> AsyncGenerator[Output, None]:
        deadline = earliest(*(Deadline.after(seconds, name) for name, seconds in (time_limits or {}).items()))
        try:
            reply = await _opened(openers.submit(open_reply, job, deadline), partial(_say, job, report))
            _close_after(asyncio.current_task(), reply)
            async for output in _events(reply) if reply.stream else _body(reply):
                yield output
        except CoreError as error:
            yield _failure(error)
        except Exception:  # the process's boundary: the SDK would send its traceback to the client
            logger.exception("job %s failed", job.get("id"))
            yield _failure(CoreError("internal error; the worker's log says more"))

    return handle


def _close_after(task: asyncio.Task[Any] | None, reply: Reply) -> None:
    """The SDK stops a job by cancelling its task, and leaves the generator to the garbage collector: no `finally` in it
    runs soon."""
    assert task
    task.add_done_callback(lambda _: reply.close())


async def _opened(opening: Future[Reply], say: Callable[[float], None]) -> Reply:
    """Says every SAY_EVERY for how many seconds it has taken: a model that is still to be loaded may take long. A job
    that is stopped meanwhile leaves no reply behind."""
    coming, started = asyncio.wrap_future(opening), time.monotonic()
    try:
        while not (await asyncio.wait([coming], timeout=SAY_EVERY))[0]:
            say(time.monotonic() - started)
        return coming.result()
    except asyncio.CancelledError:
        coming.cancel()
        opening.add_done_callback(_close)
        raise


def _say(job: Job, report: Callable[[Job, str], None], seconds: float) -> None:
    logger.info("job %s has waited %.0f s for its model", job.get("id"), seconds)
    # Whether the proxy would take a report for the reply is not known.
    if "openai_route" not in job["input"]:
        report(job, f"waiting for the model to load, {seconds:.0f} s so far")


def _close(opening: Future[Reply]) -> None:
    if not opening.cancelled() and not opening.exception():
        opening.result().close()


async def _body(reply: Reply) -> AsyncGenerator[Output, None]:
    [body] = [part async for part in reply]
    text = json.dumps(body, ensure_ascii=False, allow_nan=False)
    size = len(text.encode())
    if size > MAX_BODY:
        raise ReplyTooLarge(
            f"the reply has {size / 1e6:.1f} MB and RunPod takes {MAX_BODY / 1e6:.0f}: send fewer inputs in one job, "
            'or ask for vectors with "encoding_format": "base64"'
        )
    # A dict with `error`, as of a model that could not be loaded, is a failed job to the SDK, which sends its repr.
    yield text if body.get("error") else body


async def _events(reply: Reply) -> AsyncGenerator[str, None]:
    """Events without text wait for one with text, or for the end.

    No more is needed to pay few acknowledgements: while one is awaited, the reply's text gathers, and comes as one.
    """
    events = ""
    try:
        async for chunk in reply:
            events += _event(chunk)
            if any(choice.get("text") or choice.get("delta", {}).get("content") for choice in chunk["choices"]):
                yield events
                events = ""
        events += DONE
    except CoreError as error:
        events += error_event(error)
    yield events


def _event(chunk: Object) -> str:
    event = data_event(chunk)
    size = len(event.encode())
    if size > MAX_EVENT:
        raise ReplyTooLarge(
            f"a part of the stream has {size / 1e3:.0f} kB and may have {MAX_EVENT / 1e3:.0f}: echo a shorter prompt"
        )
    return event


def _failure(error: CoreError) -> Output:
    """OpenAI's error, and beside it what HTTP has outside the body. As text: of an object the SDK would send a repr."""
    told: Object = {"status": error.status}
    if isinstance(error, Busy):
        told["retry_after"] = error.retry_after
    return {"error": json.dumps({"error": error.body()["error"] | told})}
