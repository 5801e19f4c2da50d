"""Server-sent events from network blocks, whatever the blocks cut in two: a line, a character, an event.

Works on bytes up to the line's end, so a split UTF-8 character is whole again before it is decoded. OpenAI streams hold
one `data:` line per event, so a line is an event.
"""

from __future__ import annotations


class EventLines:
    def __init__(self) -> None:
        self._rest = b""

    def feed(self, block: bytes) -> list[str]:
        """The data of every line that this block completes."""
        *lines, self._rest = (self._rest + block).split(b"\n")
        return [data for line in lines if (data := _data(line)) is not None]

    def end(self) -> list[str]:
        """The data of a last line that the server did not end."""
        return self.feed(b"\n")


def _data(line: bytes) -> str | None:
    if not line.startswith(b"data:"):
        return None
    return line.removeprefix(b"data:").strip().decode("utf-8", "replace")
