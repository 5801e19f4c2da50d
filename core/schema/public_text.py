"""Texts for clients, who need not know where on the server the models folder lies."""

from __future__ import annotations

import os
import re
from pathlib import Path


def public_text(text: str, folder: Path) -> str:
    """`text` with paths below `folder` as they are seen from it. Log and command line tell the whole path."""
    places = {os.path.abspath(folder), os.path.realpath(folder)} - {os.sep}
    for place in sorted(places, key=len, reverse=True):
        # Not within a word or a longer path: /v1/models is not below /models.
        whole = rf"(?<![\w.~/-]){re.escape(place)}"
        text = re.sub(rf"{whole}/(?=[^\s/])", "", text)
        text = re.sub(rf"{whole}(?![\w.~-]*[\w~-])", "the models folder", text)
    return text
