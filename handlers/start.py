"""The main process of an image: MODE=http serves over HTTP, MODE=runpod takes jobs of a RunPod queue.

It becomes that program, so that signals reach the one that serves; it imports nothing of ours, since every import here
would be paid twice at a cold start.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping

PROGRAMS = {"http": ("handlers.cli", "serve"), "runpod": ("handlers.runpod_worker",)}


def mode(environ: Mapping[str, str]) -> str:
    """Ends the process where MODE is none that there is."""
    chosen = environ.get("MODE") or "http"
    if chosen not in PROGRAMS:
        sys.exit(f"MODE={chosen!r} cannot be read: give {' or '.join(PROGRAMS)}")
    return chosen


def address(environ: Mapping[str, str]) -> str:
    """Where MODE=http listens: platforms say PORT, LocalAI's users ADDRESS. By default on every interface."""
    port = environ.get("PORT")
    return f":{port}" if port else environ.get("LOCALAI_ADDRESS") or environ.get("ADDRESS") or ":8080"


def main() -> None:
    program = PROGRAMS[mode(os.environ)]
    os.environ["LOCALAI_ADDRESS"] = address(os.environ)  # the spelling that counts before the other
    os.execv(sys.executable, [sys.executable, "-m", *program, *sys.argv[1:]])


if __name__ == "__main__":
    main()
