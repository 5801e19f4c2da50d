"""Sources as they may be written down: an address may carry somebody's key."""

from __future__ import annotations

import hashlib
import re

_LOGIN = re.compile(r"(?<=://)[^/@]*@")
_HASH_DIGITS = 16


def shown(source: str) -> str:
    """`source` without a login; of what follows a question mark only a hash, which still tells two apart."""
    if not source.startswith(("http:", "https:")):
        return source
    address, _, query = _LOGIN.sub("", source).partition("?")
    return f"{address}?{hashlib.sha256(query.encode()).hexdigest()[:_HASH_DIGITS]}" if query else address
