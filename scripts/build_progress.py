"""Run a long compilation, keep its output in a log, and show one line of progress instead.

usage: build_progress.py LOG COMMAND [ARGUMENT ...]

The steps are those that ninja ("[57/193]") or make ("[ 29%]") print. On a terminal the line is redrawn at each step;
elsewhere a line is written every ten percent. Whatever ends this script ends the command and its children too.
"""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
from collections import deque
from contextlib import suppress
from pathlib import Path
from types import FrameType
from typing import TextIO

STEP = re.compile(rb"\s*\[\s*(\d+)(?:/(\d+)|%)\]")
TAIL_LINES = 30
PATIENCE_S = 10


class ProgressLine:
    def __init__(self, out: TextIO) -> None:
        self.out = out
        self.started = time.monotonic()
        self.tenths_shown = -1
        self.width = 0

    def show(self, done: int, total: int) -> None:
        percent = 100 * done // total
        text = f"[ {done}/{total} ] {percent} %, {self._minutes()} so far"
        if self.out.isatty():
            self._redraw(text)
        elif percent // 10 > self.tenths_shown:
            print(text, file=self.out, flush=True)
        self.tenths_shown = percent // 10

    def end(self) -> None:
        if self.width:
            self._redraw("")

    def _redraw(self, text: str) -> None:
        print(f"\r{text:<{self.width}}", end="" if text else "\r", file=self.out, flush=True)
        self.width = len(text)

    def _minutes(self) -> str:
        seconds = int(time.monotonic() - self.started)
        return f"{seconds // 60}:{seconds % 60:02} min"


def run(log: Path, command: list[str]) -> int:
    """The exit status of `command`, after showing its progress and, if it failed, the end of its output."""
    line = ProgressLine(sys.stdout)
    tail: deque[bytes] = deque(maxlen=TAIL_LINES)
    # A session of its own, so that the compilers that it starts can be ended with it.
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, start_new_session=True)
    try:
        with log.open("wb") as file:
            for output in process.stdout or ():
                file.write(output)
                tail.append(output)
                if step := STEP.match(output):
                    line.show(int(step[1]), int(step[2] or 100))
        status = process.wait()
    finally:
        line.end()
        end(process)
    if status:
        print("The build failed. The end of its output:\n", file=sys.stderr)
        print(b"".join(shortened(output) for output in tail).decode("utf-8", "replace"), file=sys.stderr)
        print(f"The whole output is in {log}.", file=sys.stderr)
    return status


def shortened(output: bytes) -> bytes:
    """A compiler's command line can fill a screen by itself."""
    return output if len(output) <= 300 else output[:300] + b" ...\n"


def end(process: subprocess.Popen[bytes]) -> None:
    """End what still runs: ask, as Ctrl-C does, so that pip removes its temporary files; then insist."""
    if process.poll() is not None:
        return
    os.killpg(process.pid, signal.SIGINT)
    with suppress(subprocess.TimeoutExpired, KeyboardInterrupt):
        process.wait(PATIENCE_S)
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()


def interrupt(signum: int, frame: FrameType | None) -> None:
    raise KeyboardInterrupt


def main() -> int:
    if len(sys.argv) < 3:
        print(__doc__, file=sys.stderr)
        return 2
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, interrupt)
    try:
        return run(Path(sys.argv[1]), sys.argv[2:])
    except KeyboardInterrupt:
        print("Interrupted.", file=sys.stderr)
        return 130


if __name__ == "__main__":
    sys.exit(main())
