"""A scenario made from a few words on the command line, for a deployment that runs already."""

from __future__ import annotations

import argparse
from typing import Any
from urllib.parse import urlsplit

import httpx
import yaml

from bench.errors import BenchError
from bench.request import authorization
from bench.scenario import Scenario, make_scenario
from bench.slo import parse_slo
from bench.target_spec import TargetSpec

REQUESTS_PER_CLIENT = 20
MOST_PER_CLIENT = 1000
"""Of a closed loop that a duration ends."""
OPEN_DURATION = "60s"
PROBE_REQUESTS = 150
"""Enough to prove 95 % with one or two misses."""


def adhoc_scenario(args: argparse.Namespace) -> Scenario:
    """From the options of `warmfn bench load`. Raises BenchError naming the option at fault."""
    target = TargetSpec(name="target", kind=args.kind, url=base_url(args.url), api_key_env=args.api_key_env)
    content = {
        "schema": "bench.scenario/1",
        "name": "load",
        "model": args.model or served_model(target),
        "targets": [target.model_dump(exclude_defaults=True)],
        "load": [_load(args) | _common(args)],
        "measure": {"rounds": args.rounds, "warmup": args.warmup},
    }
    if args.slo:
        content["slo"] = parse_slo(args.slo).model_dump(exclude_none=True)
    return make_scenario(content, origin="bench load")


def as_yaml(scenario: Scenario) -> str:
    """A file for `warmfn bench run` that measures the same."""
    content = scenario.model_dump(mode="json", by_alias=True, exclude_defaults=True)
    return yaml.safe_dump(content, sort_keys=False)


def base_url(url: str) -> str:
    """With /v1 where no path is given, as OpenAI's clients want it."""
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https") or not parts.netloc:
        raise BenchError(f"{url!r} is not a URL: write http://HOST:PORT or https://HOST/PATH")
    return url.rstrip("/") + ("/v1" if parts.path in ("", "/") else "")


def served_model(target: TargetSpec) -> str:
    """The only model there, or a BenchError that lists them."""
    base, headers = target.url, authorization(target.api_key())
    try:
        answer = httpx.get(f"{base}/models", headers=headers, timeout=30)
        answer.raise_for_status()
        names = [str(model["id"]) for model in answer.json()["data"]]
    except (httpx.HTTPError, ValueError, KeyError, TypeError) as error:
        raise BenchError(f"{base}/models does not tell which models there are ({error}): give --model") from error
    if len(names) != 1:
        raise BenchError(f"{base} serves {', '.join(names) or 'no model'}: choose one with --model")
    return names[0]


def _common(args: argparse.Namespace) -> dict[str, Any]:
    common: dict[str, Any] = {"name": "load", "prompts": {"isl": args.isl, "osl": args.osl}}
    return common | ({"drain": args.drain} if args.drain else {})


def _load(args: argparse.Namespace) -> dict[str, Any]:
    if args.rate is not None:
        return {"kind": args.arrivals, "rate": args.rate} | _end(args)
    if args.ramp:
        return _ramp(args)
    if args.goodput:
        low, high = _numbers("--goodput", args.goodput, "LO:HI", 2)
        searched = {"search": "goodput", "lo": low, "hi": high, "attain": args.attain}
        return {"kind": "poisson", "rate": searched} | _end(args, requests=PROBE_REQUESTS)
    if args.sweep:
        return _sweep(args)
    return {"kind": "closed", "concurrency": args.concurrency} | _closed_end(args, args.concurrency)


def _end(args: argparse.Namespace, requests: int | None = None) -> dict[str, Any]:
    """Of an open loop: what is asked for, else so many requests, else so many seconds."""
    chosen = {"requests": args.requests, "duration": args.duration}
    given = {name: value for name, value in chosen.items() if value is not None}
    return given or ({"requests": requests} if requests else {"duration": OPEN_DURATION})


def _closed_end(args: argparse.Namespace, clients: int) -> dict[str, Any]:
    per_client = REQUESTS_PER_CLIENT if args.duration is None else MOST_PER_CLIENT
    end = {"requests": per_client * clients if args.requests is None else args.requests}
    return end | ({"duration": args.duration} if args.duration is not None else {})


def _ramp(args: argparse.Namespace) -> dict[str, Any]:
    start, end, steps = _numbers("--ramp", args.ramp, "FROM:TO:STEPS", 3)
    if args.requests is not None:
        raise BenchError("--ramp lasts as long as --duration says, which is for each step: leave --requests out")
    hold = args.duration or OPEN_DURATION
    return {"kind": "ramp", "from": start, "to": end, "steps": steps, "hold": hold, "arrivals": args.arrivals}


def _sweep(args: argparse.Namespace) -> dict[str, Any]:
    what, _, text = args.sweep.partition("=")
    values = text.split(",")
    if what == "rate":
        return {"kind": "sweep", "rate": values, "arrivals": args.arrivals} | _end(args)
    if what == "clients":
        most = int(values[-1]) if values[-1].isdigit() else 1
        return {"kind": "sweep", "concurrency": values} | _closed_end(args, most)
    raise BenchError(f"--sweep {args.sweep}: write clients=1,2,4,8 or rate=0.5,1,2")


def _numbers(option: str, text: str, form: str, count: int) -> list[str]:
    parts = text.split(":")
    if len(parts) != count:
        raise BenchError(f"{option} {text}: write {option} {form}")
    return parts
