"""Files that a user names: what cannot be read is told with its path."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml

from bench.errors import BenchError


def read_bytes(path: Path) -> bytes:
    """Raises BenchError."""
    try:
        return path.read_bytes()
    except OSError as error:
        raise BenchError(f"{path}: cannot be read: {error.strerror}") from error


def read_text(path: Path) -> str:
    """Raises BenchError."""
    try:
        return read_bytes(path).decode("utf-8")
    except UnicodeDecodeError as error:
        raise BenchError(f"{path}: cannot be read: byte {error.start} is not UTF-8") from error


def read_yaml(path: Path) -> Any:
    """Raises BenchError."""
    try:
        return yaml.safe_load(read_text(path))
    except yaml.YAMLError as error:
        raise BenchError(f"{path}: not valid YAML: {error}") from error
