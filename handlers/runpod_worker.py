"""The RunPod queue worker, `python -m handlers.runpod_worker`: every model is loaded before the first job is taken."""

from __future__ import annotations

import argparse
import logging
import math
import os
import signal
import sys
import time
from collections.abc import Collection
from typing import Any

from core.config.defaults import DEFAULT_SLOTS
from core.errors import CoreError, ModelUnusable
from core.service import Service
from handlers import boot
from handlers.runpod_jobs import create_handler
from handlers.settings import BadSetting, Settings

logger = logging.getLogger("warmfn.runpod")

JOBS_PER_SLOT = 3
"""Jobs taken for each seat of a text model: a worker that is full looks for more only once a second."""

EMBEDDING_JOBS = 300
"""Jobs taken by a worker that only embeds: they are short, and are computed together."""

CONCURRENCY = "WARMFN_RUNPOD_CONCURRENCY"

SAY_EVERY = 5.0
"""Seconds between two lines in the log while models load."""

EPILOGUE = f"""\
environment:
  MODELS_PATH, PULL_MODELS, PRELOAD_MODELS, THREADS, CONTEXT_SIZE, DEBUG   as for `warmfn serve`
  WARMFN_EXECUTION_TIMEOUT    the endpoint's, in seconds: replies end before it
  {CONCURRENCY}   jobs taken at once (default: by the models' slots)
  RUNPOD_LOG_LEVEL            of RunPod's SDK (default: INFO; DEBUG would log every prompt and every reply)

Where there is no RunPod, --rp_serve_api answers POST /runsync with {{"input": {{...}}}}; it shows a stream only when it
has ended, and has no /openai routes. --test_input and test_input.json are refused: the SDK never runs a streaming
handler with them, and reports success all the same.
"""


def main() -> int:
    """The process; its exit status. What is on the command line besides ours is the SDK's."""
    _check_command_line()
    os.environ.setdefault("RUNPOD_LOG_LEVEL", os.environ.get("RUNPOD_DEBUG_LEVEL") or "INFO")
    try:
        return _run(Settings.from_environ())
    except CoreError as error:
        print(f"warmfn: {error.message}", file=sys.stderr)
        return 1


def wait_for_models(service: Service, required: Collection[str]) -> None:
    """Return once nothing is loading; say in the log how long it takes. Raises ModelUnusable if one of `required`
    failed, or all that there are."""
    started = said = time.monotonic()
    while loading := _in_state(service, "loading"):
        if time.monotonic() > said + SAY_EVERY:
            said = time.monotonic()
            logger.info("loading for %.0f s: %s", said - started, ", ".join(model["id"] for model in loading))
        time.sleep(0.05)
    failed = {model["id"]: model["error"] for model in _in_state(service, "failed")}
    is_ready, _ = service.catalog.readiness()
    if not is_ready or failed.keys() & set(required):
        errors = "; ".join(f"{name}: {error}" for name, error in failed.items())
        raise ModelUnusable(f"no job is taken, since models cannot be loaded: {errors}")


def job_limit(service: Service) -> int:
    """How many jobs to hold at once: more than are computed, so that the next is here when one ends.

    Jobs are taken unseen. Where there are models of both kinds, all of them may turn out to be chats, which would wait
    here while another worker has nothing to do: so embeddings add no more places than the texts have. And no more jobs
    are taken than a text model has seats and places in its queue, since a job that is refused has failed. Raises
    BadSetting.
    """
    if chosen := os.environ.get(CONCURRENCY, "").strip():
        if not chosen.isdecimal() or not int(chosen):
            raise BadSetting(CONCURRENCY, chosen, "give a whole number of at least 1, or nothing")
        return int(chosen)
    models = _in_state(service, "ready")
    texts = [model for model in models if model["kind"] == "text"]
    if not models:
        return JOBS_PER_SLOT * DEFAULT_SLOTS  # each will be loaded by its first job
    if not texts:
        return EMBEDDING_JOBS
    wanted = JOBS_PER_SLOT * sum(int(model["slots"]) for model in texts) * (2 if len(models) > len(texts) else 1)
    return min(wanted, *(int(model["slots"] + model["max_queue"]) for model in texts))


def answer_one_token(service: Service) -> None:
    """Raises CoreError unless each text model answers a job; `warm` has done it already, but not by this way."""
    for model in _in_state(service, "ready"):
        if model["kind"] == "text":
            list(service.open("completions", {"model": model["id"], "prompt": "Hello", "max_tokens": 1}))


def _run(settings: Settings) -> int:
    """Take jobs until SIGTERM; those that were taken are finished."""
    service = boot.service(patience=math.inf)  # nobody sends a job again that was told to come back
    from runpod import serverless  # here, since it takes seconds, and the models load meanwhile

    if settings.api_keys:
        logger.warning("API_KEY has no effect here: RunPod checks its own keys, and headers do not reach a worker")
    wait_for_models(service, {*(settings.preload or ()), *settings.pull})
    num_jobs = job_limit(service)
    logger.info("up to %d jobs at once", num_jobs)

    @serverless.register_fitness_check  # type: ignore[untyped-decorator]
    def models_answer() -> None:
        answer_one_token(service)

    config = {
        "handler": create_handler(service, settings.time_limits, serverless.progress_update),
        "return_aggregate_stream": True,
        "concurrency_modifier": lambda _: num_jobs,  # were it not constant, no job would be taken until all are done
    }
    # The development API's uvicorn raises the signal again when it is done. Python must end by itself even so, since a
    # heartbeat that outlives it would go on to tell that this worker is alive.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    try:
        serverless.start(config)
    finally:
        service.close()
    return 0


def _in_state(service: Service, state: str) -> list[dict[str, Any]]:
    return [model for model in service.catalog.models()["data"] if model["state"] == state]


def _check_command_line() -> None:
    parser = argparse.ArgumentParser(
        prog="python -m handlers.runpod_worker",
        description="Serve a models folder as a RunPod queue worker.",
        epilog=EPILOGUE,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    parser.add_argument("--rp_serve_api", action="store_true", help="serve the SDK's development API instead")
    parser.add_argument("--rp_api_host", metavar="HOST", help="where: localhost by default")
    parser.add_argument("--rp_api_port", metavar="PORT", help="8000 by default")
    parser.add_argument("--test_input", help=argparse.SUPPRESS)
    arguments, _ = parser.parse_known_args()
    if arguments.test_input:
        parser.error("--test_input would run nothing and report success; use --rp_serve_api")
    if not arguments.rp_serve_api and "RUNPOD_WEBHOOK_GET_JOB" not in os.environ:
        parser.error("RUNPOD_WEBHOOK_GET_JOB is not set, so this is no RunPod worker; try it with --rp_serve_api")


if __name__ == "__main__":
    sys.exit(main())
