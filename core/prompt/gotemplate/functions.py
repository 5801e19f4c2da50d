"""Every function a template may call, by name."""

from __future__ import annotations

from core.prompt.gotemplate.builtins import BUILTINS
from core.prompt.gotemplate.sprig_data import DATA_FUNCTIONS
from core.prompt.gotemplate.sprig_text import TEXT_FUNCTIONS

FUNCTIONS = BUILTINS | TEXT_FUNCTIONS | DATA_FUNCTIONS
