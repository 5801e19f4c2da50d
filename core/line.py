"""A line of threads that go on one after the other, once each is ready to."""

from __future__ import annotations

import threading


class Line:
    """The order is that in which they were started, but one that is ready waits no more than `patience` seconds for one
    before it that is not, and then passes it."""

    def __init__(self, patience: float) -> None:
        self._patience = patience
        self._changed = threading.Condition()
        self._started: list[threading.Thread] = []
        self._ready: list[threading.Thread] = []

    def start(self, thread: threading.Thread) -> None:
        with self._changed:
            self._started = [other for other in self._started if other.is_alive()]
            self._ready = [other for other in self._ready if other.is_alive()]
            self._started.append(thread)
            thread.start()

    def wait(self) -> None:
        """Called by a thread that is ready: until those before it have ended. A second time it need not wait."""
        this = threading.current_thread()
        with self._changed:
            if this not in self._ready:
                earlier = self._started[: self._started.index(this)]
                self._changed.wait_for(lambda: all(map(self._needs_no_patience, earlier)), self._patience)
                self._ready.append(this)
                self._changed.notify_all()
            before = self._ready[: self._ready.index(this)]
        for thread in before:
            thread.join()

    def _needs_no_patience(self, thread: threading.Thread) -> bool:
        return thread in self._ready or not thread.is_alive()
