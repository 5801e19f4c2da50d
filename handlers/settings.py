"""Environment -> Settings: LocalAI's variables, and some of ours. What cannot be read is an error, never a default.

Of LocalAI's each may be written with LOCALAI_ in front; where both spellings are set, that one counts, as in LocalAI.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, MutableMapping
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Any, get_args

from core.config.defaults import FolderDefaults
from core.config.model import Compat, Profile
from core.config.scalars import MAX_INT32, MAX_THREADS
from core.errors import CoreError

LONG = "LOCALAI_"
OFF = ("", "0", "false", "no", "off")
DEFAULT_DRAIN = 25
"""Most hosts kill 30 seconds after SIGTERM; Cloud Run after 10."""
TIME_LIMITS = ("CLOUD_RUN_TIMEOUT_SECONDS", "WARMFN_EXECUTION_TIMEOUT")
"""Functions-framework reads the first one too; no other host tells its limit, so the second is for whoever knows it."""
DEFAULT_ADDRESS = ("127.0.0.1", 8080)


class BadSetting(CoreError):
    """A variable of the environment, or the option that stands for it, cannot be read."""

    code = "bad_setting"

    def __init__(self, name: str, value: str, remedy: str) -> None:
        super().__init__(f"{name}={value!r} cannot be read: {remedy}")


@dataclass(frozen=True)
class Settings:
    """`preload` names models to load at once; None means all that have a YAML, an empty tuple none.

    `installs` is LocalAI's other form of PRELOAD_MODELS, a name for each URL that LocalAI would install at start: what
    is here already is loaded. `address` is for `warmfn serve`. Without `api_keys` everybody may ask.

    `pull` names models of the folder's gallery that are fetched at start where they are not here.
    `time_limits` has the seconds after which the host gives a request up, by the name of the variable that says so.
    `drain_seconds` is how long running replies may go on after SIGTERM.
    """

    models: Path
    preload: tuple[str, ...] | None
    debug: bool
    installs: Mapping[str, str] = field(default_factory=dict)
    address: tuple[str, int] = DEFAULT_ADDRESS
    api_keys: tuple[str, ...] = ()
    folder_defaults: FolderDefaults = field(default_factory=FolderDefaults)
    pull: tuple[str, ...] = ()
    time_limits: Mapping[str, float] = field(default_factory=dict)
    drain_seconds: int = DEFAULT_DRAIN

    @classmethod
    def from_environ(cls, environ: Mapping[str, str] = os.environ) -> Settings:
        """Raises BadSetting, which names the variable."""
        preload, installs = _preload(*spelled(environ, "PRELOAD_MODELS"))
        return cls(
            models=models_path(environ),
            preload=preload,
            debug=spelled(environ, "DEBUG")[1].lower() not in OFF,
            installs=installs,
            address=_address(*spelled(environ, "ADDRESS")),
            api_keys=_names(spelled(environ, "API_KEY")[1]),
            folder_defaults=FolderDefaults(
                threads=_count(environ, "THREADS", most=MAX_THREADS),
                context_size=_count(environ, "CONTEXT_SIZE"),
                compat=_choice(environ, "WARMFN_COMPAT", get_args(Compat)),
                defaults=_choice(environ, "WARMFN_DEFAULTS", get_args(Profile)),
            ),
            pull=_names(environ.get("PULL_MODELS", "")),
            drain_seconds=_count(environ, "WARMFN_DRAIN_SECONDS") or DEFAULT_DRAIN,
            time_limits={name: seconds for name in TIME_LIMITS if (seconds := _count(environ, name))},
        )


def spelled(environ: Mapping[str, str], name: str) -> tuple[str, str]:
    """How the variable is spelled here, and its value: "" where it is not set."""
    long = f"{LONG}{name}"
    value = environ.get(long, "").strip()
    return (long, value) if value else (name, environ.get(name, "").strip())


def models_path(environ: Mapping[str, str] = os.environ) -> Path:
    return Path(spelled(environ, "MODELS_PATH")[1] or "models")


def override(values: Mapping[str, str], environ: MutableMapping[str, str] = os.environ) -> None:
    """Set these variables, however they were spelled before."""
    for name, value in values.items():
        environ.pop(f"{LONG}{name}", None)
        environ[name] = value


def _count(environ: Mapping[str, str], name: str, *, most: int = MAX_INT32) -> int | None:
    name, text = spelled(environ, name)
    if text in ("", "0"):
        return None
    if not text.isdecimal() or len(text) > len(str(most)) or int(text) > most:
        raise BadSetting(name, text, f"give a whole number from 1 to {most}, or 0 to leave it open")
    return int(text)


def _choice(environ: Mapping[str, str], name: str, choices: tuple[Any, ...]) -> Any:
    text = environ.get(name, "").strip().lower()
    if text and text not in choices:
        raise BadSetting(name, text, f"give {' or '.join(choices)}, or nothing")
    return text or None


def _address(name: str, text: str) -> tuple[str, int]:
    """`:8080` is every interface, as in LocalAI; `[::1]:8080` is IPv6."""
    if not text:
        return DEFAULT_ADDRESS
    host, colon, port = text.rpartition(":")
    if not (colon and port.isdecimal() and int(port) < 2**16):
        raise BadSetting(name, text, "give HOST:PORT or :PORT, such as 0.0.0.0:8080")
    return host.strip("[]") or "0.0.0.0", int(port)


def _preload(name: str, text: str) -> tuple[tuple[str, ...] | None, dict[str, str]]:
    if text.startswith("["):
        return (), _installs(name, text)
    if text in ("", "all"):
        return None, {}
    if text == "none":
        return (), {}
    return _names(text), {}


def _names(text: str) -> tuple[str, ...]:
    return tuple(name.strip() for name in text.split(",") if name.strip())


def _installs(variable: str, text: str) -> dict[str, str]:
    """Name -> URL of LocalAI's `[{"url": ..., "name": ...}]`; without a name the URL's last part says it."""
    try:
        items = json.loads(text)
    except ValueError as error:
        raise BadSetting(variable, text, f"it begins as a JSON list and is none ({error})") from error
    installs: dict[str, str] = {}
    for item in items:
        url = (item.get("url") or item.get("id")) if isinstance(item, dict) else item
        if not isinstance(url, str):
            raise BadSetting(variable, text, 'give names with commas, or [{"url": "...", "name": "..."}]')
        name = item.get("name") if isinstance(item, dict) else None
        installs[str(name or PurePosixPath(url.rpartition("@")[2]).stem)] = url
    return installs
