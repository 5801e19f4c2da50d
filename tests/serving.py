"""The HTTP surface on a real socket, and a service whose models are fakes."""

from __future__ import annotations

import socket
import threading
import time
from pathlib import Path
from types import TracebackType
from typing import Any

import uvicorn

from core.config.folder import ModelsFolder
from core.config.model import ModelConfig
from core.errors import InvalidRequest
from core.llama.threads import Threads
from core.runners.text import TextRunner
from core.runners.text_limits import Limits
from core.service import Service
from handlers.asgi import create_app
from tests.fakes import END, VOCABULARY, FakeDecoder

LIMITS = Limits(
    context_size=120,
    slots=2,
    holders=2,
    kv="unified",
    kv_tokens=400,
    min_copy=1,
    max_batch=16,
    max_scores=None,
    max_drafted=0,
    default_max_tokens=10,
    max_queue=2,
)


class Server:
    """uvicorn in a thread, on a free port of 127.0.0.1."""

    def __init__(self, service: Service, **options: Any) -> None:
        self.service = service
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self._listener.getsockname()[1]}"
        app = create_app(lambda: service, **options)
        self._uvicorn = uvicorn.Server(uvicorn.Config(app, log_level="warning", lifespan="off"))
        self._thread = threading.Thread(target=self._uvicorn.run, args=([self._listener],))

    def __enter__(self) -> Server:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._uvicorn.should_exit = True
        self._thread.join()
        self._listener.close()


class FakeModel:
    """One token for each byte of text."""

    can_cut_memory = True
    attention_window = None
    adds_bos = True
    bos = 999
    end_tokens = frozenset({END})

    def tokenize(self, text: str, *, add_special: bool, parse_special: bool) -> list[int]:
        return [1 + byte for byte in text.encode()]

    def token_text(self, token: int) -> str:
        return "<s>" if token == self.bos else chr(token - 1)

    def check_tokens(self, tokens: Any, *, param: str) -> None:
        for token in tokens:
            if not 0 <= token < VOCABULARY:
                raise InvalidRequest(f"{param}: token id {token} is not in 0..{VOCABULARY - 1}", param=param)

    def close(self) -> None: ...


class FakeTemplate:
    def render(self, messages: Any) -> str:
        return "".join(f"{message['role'][0]}:{message['content']};" for message in messages)


class SlowDecoder(FakeDecoder):
    """Every step waits for the gate, which a test may shut."""

    def __init__(self, **options: int) -> None:
        super().__init__(**options)
        self.threads = Threads(2, 2, governed=True, name="fake")
        self.gate = threading.Event()
        self.gate.set()

    def decode(self, batch: Any) -> list[list[int]]:
        self.gate.wait(10)
        return super().decode(batch)

    def free(self) -> None: ...


def fake_config(name: str, **values: Any) -> ModelConfig:
    return ModelConfig(name=name, root=Path("/nowhere"), **values)


class FakeService(Service):
    """One text model, `fake`, on `decoder`."""

    def __init__(self, *, limits: Limits = LIMITS, patience: float = 5.0, **values: Any) -> None:
        self.decoder = SlowDecoder(num_cells=limits.kv_tokens, max_batch=limits.max_batch)
        config = fake_config("fake", **values)
        super().__init__(ModelsFolder(Path("/nowhere"), {"fake": config}, []), load=self._make, patience=patience)
        self._fake_limits = limits

    def _make(self, config: ModelConfig) -> TextRunner:
        return TextRunner(config, FakeModel(), self.decoder, self._fake_limits, FakeTemplate())

    @property
    def runner(self) -> TextRunner:
        with self.registry.using("fake") as runner:
            assert isinstance(runner, TextRunner)
            return runner


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return int(listener.getsockname()[1])


def eventually(condition: Any, seconds: float = 5.0) -> bool:
    """Whether `condition()` becomes true; for what another thread does on its own."""
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.005)
    return True
