"""The end of a process that serves: nothing new is accepted, running replies get their time, then the rest ends with an
error.

The host's own handler still ends the host. uvicorn, which every host runs us on, sets it when it begins to serve, in a
forked worker too: so ours comes with the first request, before which there is nothing to drain.
"""

from __future__ import annotations

import signal
import threading
from types import FrameType

from handlers import boot


def drain_on_signals(seconds: float) -> None:
    """SIGTERM and SIGINT drain this process's service and `seconds` later close it, beside what they did before.

    Does nothing off the main thread, where no signal can be handled: uvicorn leaves them to others there, too.
    """
    if threading.current_thread() is threading.main_thread():
        for number in (signal.SIGTERM, signal.SIGINT):
            _put_in_front(number, seconds)


def _put_in_front(number: signal.Signals, seconds: float) -> None:
    end_host = signal.getsignal(number)
    if not callable(end_host):
        return  # the process ends at once, or not by this signal

    def drain(number: int, frame: FrameType | None) -> None:
        if service := boot.started():
            service.drain()
            patience = threading.Timer(seconds, service.close)
            patience.daemon = True
            patience.start()
        end_host(number, frame)

    signal.signal(number, drain)
