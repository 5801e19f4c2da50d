"""What a load is told on a command line, for `warmfn bench load` and for the locustfile: arguments of argparse."""

from __future__ import annotations

from typing import Any

from bench.load.adhoc import MOST_PER_CLIENT, OPEN_DURATION, PROBE_REQUESTS, REQUESTS_PER_CLIENT
from bench.slo import grammar

ARRIVALS, ATTAIN = "poisson", 0.95

RATE: dict[str, dict[str, Any]] = {
    "--rate": {"type": float, "metavar": "R", "help": "requests per second, whatever became of the earlier ones"},
    "--ramp": {"metavar": "FROM:TO:STEPS", "help": "rates without a pause, each held for --duration"},
}
SIZE: dict[str, dict[str, Any]] = {
    "--duration": {
        "metavar": "T",
        "help": f"of each stage, as 30s or 5m (default with a rate: {OPEN_DURATION}; with clients at most "
        f"{MOST_PER_CLIENT} requests for each)",
    },
    "--requests": {
        "type": int,
        "metavar": "N",
        "help": f"of each stage (default: {REQUESTS_PER_CLIENT} for each client; {PROBE_REQUESTS} with --goodput)",
    },
    "--drain": {"metavar": "T", "help": "how long the last requests may take (default: 15m)"},
}
WORK: dict[str, dict[str, Any]] = {
    "--model": {"metavar": "NAME", "help": "default: the only one that the server lists"},
    "--kind": {
        "choices": ("url", "ours", "llama-server"),
        "default": "url",
        "help": "`ours` and `llama-server` are asked to ignore the end-of-text token, so that answers are --osl long",
    },
    "--api-key-env": {"metavar": "VAR", "help": "the environment variable with the server's API key"},
    "--isl": {"type": int, "default": 128, "metavar": "N", "help": "tokens of each prompt, about (default: 128)"},
    "--osl": {"type": int, "default": 64, "metavar": "N", "help": "tokens of each answer (default: 64)"},
    "--arrivals": {"choices": ("poisson", "constant"), "default": ARRIVALS, "help": f"of a rate (default: {ARRIVALS})"},
    "--slo": {"metavar": "LIMITS", "help": f"what counts as in time: {grammar()}"},
    "--attain": {
        "type": float,
        "default": ATTAIN,
        "metavar": "SHARE",
        "help": f"that must meet --slo (default: {ATTAIN})",
    },
}
