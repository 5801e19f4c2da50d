"""One context loaded in a process of its own, as a server would: `python -m bench.context.memory_probe JSON`.

JSON is `{"models": DIR, "name": MODEL, "context": N, "unified": BOOL}`; the answer is one line of JSON, the bytes that
the process holds once everything it set aside is really there.
"""

from __future__ import annotations

import ctypes
import json
import re
import sys
from pathlib import Path

from bench.errors import BenchError
from core.config.folder import read_folder

SELF = Path("/proc/self")
MADV_POPULATE_READ, MADV_POPULATE_WRITE = 22, 23
"""Since Linux 5.14."""
MIN_POPULATED = 1 << 20
"""Bytes; smaller mappings are the interpreter's own and there already."""


def main() -> None:
    from core.errors import CoreError

    try:
        print(json.dumps({"bytes": measure(**json.loads(sys.argv[1]))}))
    except CoreError as error:
        print(json.dumps({"error": error.message}))


def measure(models: str, name: str, context: int, unified: bool) -> int:
    """Bytes resident with the model loaded, a context open, a few tokens computed and all memory set aside touched: the
    cache and the buffers of a pass are filled bit by bit as a context grows, and count from the beginning here."""
    from core.llama.bare import BareLoop
    from core.llama.model import open_model
    from core.runners.planning import context_settings, plan_limits

    layout = {"kv": "unified", "kv_tokens": context} if unified else {"kv": "split", "kv_tokens": None}
    config = read_folder(Path(models)).configs[name].model_copy(update={"context_size": context, **layout})
    model = open_model(config)
    if model.is_offloaded:
        raise BenchError("a GPU holds layers of this model, whose memory is not told by a process's own")
    loop = BareLoop(model, context_settings(config, model, plan_limits(config, model, None)))
    loop.run([model.tokenize("Hello there", add_special=True, parse_special=False)], 2)
    populate(model.path)
    held = _resident()
    loop.close()
    model.close()
    return held


def populate(weights: Path) -> None:
    """Make every page of the weights and of the private memory of this process resident. A kernel that cannot leaves
    some out."""
    libc = ctypes.CDLL(None, use_errno=True)
    for line in (SELF / "maps").read_text().splitlines():
        found = re.match(r"([0-9a-f]+)-([0-9a-f]+) (\S+) \S+ \S+ \S+ *(.*)", line)
        if not found:
            continue
        start, end = int(found[1], 16), int(found[2], 16)
        if end - start >= MIN_POPULATED and found[4] == str(weights.resolve()):
            libc.madvise(ctypes.c_void_p(start), ctypes.c_size_t(end - start), MADV_POPULATE_READ)
        elif end - start >= MIN_POPULATED and found[4] in ("", "[heap]") and found[3].startswith("rw"):
            libc.madvise(ctypes.c_void_p(start), ctypes.c_size_t(end - start), MADV_POPULATE_WRITE)


def _resident() -> int:
    found = re.search(r"VmRSS:\s+(\d+) kB", (SELF / "status").read_text())
    assert found, "Linux tells the resident size of every process"
    return int(found[1]) * 1024


if __name__ == "__main__":
    main()
