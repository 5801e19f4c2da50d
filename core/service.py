"""A request's way through the house: route and payload -> validated request -> runner -> reply. Knows no transport."""

from __future__ import annotations

import logging
from collections.abc import Callable
from concurrent.futures import Future
from functools import partial
from typing import TYPE_CHECKING, Any, cast

from core.config.folder import ModelsFolder
from core.config.model import ModelConfig
from core.engine.sequence import Sequence, Update
from core.errors import CoreError, InvalidRequest, ShuttingDown, UnknownRoute
from core.inbox import Inbox
from core.metrics import Metrics
from core.registry import Registry, Runner
from core.reply import Chunks, Form, FutureReply, Reply, TextReply, Whole
from core.runners.backends import load_runner
from core.schema import replies
from core.schema.requests import ChatRequest, CompletionRequest, EmbeddingRequest, Generation

if TYPE_CHECKING:
    from core.runners.embedding import Embedded, EmbeddingRunner
    from core.runners.text import TextRunner

logger = logging.getLogger("warmfn.service")

STREAM_REST = 0.05
"""Seconds between two chunks of a stream after the first: what comes faster is sent together."""


class Service:
    """All models of one folder. Methods may be called from any thread; `open` may block while a model loads."""

    def __init__(
        self,
        folder: ModelsFolder,
        *,
        load: Callable[[ModelConfig], Runner] = load_runner,
        patience: float = 30.0,
    ) -> None:
        """`load` makes a config's runner; `patience` is how many seconds a request waits for its model."""
        self.folder = folder
        self._load_runner = load
        self.metrics = Metrics()
        self.registry = Registry(folder, self._load, patience=patience)
        self._draining = False
        self._routes: dict[str, Callable[[object], Reply]] = {
            "chat/completions": self._chat,
            "completions": self._completions,
            "embeddings": self._embeddings,
            "models": lambda _: _immediate(self.models()),
        }
        for problem in folder.problems:
            logger.warning("%s", problem)

    def open(self, route: str, payload: object = None) -> Reply:
        """Begin a request: `route` as in the URL, with or without `/v1`. Raises CoreError if it is not accepted."""
        route = route.strip("/").removeprefix("v1/")
        model = payload.get("model") if isinstance(payload, dict) else None
        status = "500"
        try:
            if self._draining:
                raise ShuttingDown("the service is shutting down", retry_after=5)
            reply = self._open(route, payload)
            status = "200"
            return reply
        except CoreError as error:
            status = str(error.status)
            raise
        finally:
            known = isinstance(model, str) and model in self.folder.configs
            self.metrics.count_request(route if route in self._routes else "", str(model) if known else "", status)

    def models(self) -> dict[str, Any]:
        """OpenAI's list, with each model's state and limits beside its name, and what is wrong with the folder."""
        data = [self.model(name) for name in self.folder.configs]
        return {"object": "list", "data": data, "problems": [str(problem) for problem in self.folder.problems]}

    def model(self, name: str) -> dict[str, Any]:
        """Raises UnknownModel."""
        config = self.registry.config(name)
        created = int(config.source.stat().st_mtime) if config.source and config.source.exists() else 0
        heading = {"id": name, "object": "model", "created": created, "owned_by": "warmfn"}
        status = self.registry.status(name)
        if status.runner:
            return heading | {"state": status.state, "kind": status.runner.kind} | status.runner.facts
        return heading | {"state": status.state} | ({"error": status.error} if status.error else {})

    def readiness(self) -> tuple[bool, dict[str, str]]:
        """Whether traffic may come, and each model's state."""
        return self.registry.is_ready, {name: self.registry.status(name).state for name in self.folder.configs}

    def drain(self) -> None:
        """Refuse new requests; what is running goes on."""
        self._draining = True

    def close(self) -> None:
        """Refuse what comes, end what is running with ShuttingDown, free every model."""
        self.registry.close()

    def _open(self, route: str, payload: object) -> Reply:
        if route.startswith("models/"):
            return _immediate(self.model(route.removeprefix("models/")))
        if route not in self._routes:
            raise UnknownRoute(f"there is no route {route!r}; there are: {', '.join(self._routes)}")
        return self._routes[route](payload)

    def _chat(self, payload: object) -> Reply:
        request = ChatRequest.parse(payload)
        runner = self._text_runner(request.model)
        prompt = runner.chat_prompt([message.as_template_sees_it() for message in request.messages])
        return self._generate(request, runner, [prompt], replies.Heading("chat.completion", request.model))

    def _completions(self, payload: object) -> Reply:
        request = CompletionRequest.parse(payload)
        runner = self._text_runner(request.model)
        prompts = [runner.text_prompt(p) if isinstance(p, str) else runner.token_prompt(p) for p in request.prompts()]
        return self._generate(request, runner, prompts, replies.Heading("text_completion", request.model))

    def _generate(
        self, request: Generation, runner: TextRunner, prompts: list[list[int]], heading: replies.Heading
    ) -> Reply:
        stream = bool(request.stream)
        inbox: Inbox[tuple[int, Update]] = Inbox(rest=STREAM_REST if stream else None)
        seqs: list[Sequence] = []
        sampling = request.sampling()
        try:
            for index, prompt in enumerate(prompts):
                seqs.append(runner.submit(prompt, partial(_put, inbox, index), **sampling))
        except CoreError:
            for seq in seqs:
                runner.engine.cancel(seq)
            raise
        include_usage = bool(request.stream_options and request.stream_options.include_usage)
        form: Form = Chunks(heading, include_usage=include_usage) if stream else Whole(heading, len(prompts))
        return TextReply(
            form,
            seqs,
            inbox,
            stream=stream,
            warnings=self._warn(request.warnings),
            cancel=runner.engine.cancel,
            on_end=partial(self.metrics.observe, runner.name),
        )

    def _embeddings(self, payload: object) -> Reply:
        request = EmbeddingRequest.parse(payload)
        runner = self._embedding_runner(request.model)
        future = runner.embed(request.inputs(), dimensions=request.dimensions)

        def body(embedded: Embedded) -> dict[str, Any]:
            count = sum(embedded.num_tokens)
            return replies.embeddings(request.model, embedded.vectors, count, request.encoding_format)

        return FutureReply(future, body, self._warn(request.warnings))

    # The runners' modules import llama.cpp and numpy, so they are known here by their kind and not by their class.

    def _text_runner(self, name: str) -> TextRunner:
        runner = self.registry.get(name)
        if runner.kind != "text":
            raise InvalidRequest(f"{name} is an embedding model; it cannot generate text", param="model")
        return cast("TextRunner", runner)

    def _embedding_runner(self, name: str) -> EmbeddingRunner:
        runner = self.registry.get(name)
        if runner.kind != "embedding":
            raise InvalidRequest(f"{name} generates text; it cannot embed", param="model")
        return cast("EmbeddingRunner", runner)

    def _load(self, config: ModelConfig) -> Runner:
        runner = self._load_runner(config)
        if runner.kind == "text":
            engine = cast("TextRunner", runner).engine
            self.metrics.watch(config.name, lambda: engine.num_running, lambda: engine.num_waiting)
        return runner

    def _warn(self, warnings: list[str]) -> list[str]:
        for warning in warnings:
            logger.warning("%s", warning)
        return warnings


def _put(inbox: Inbox[tuple[int, Update]], index: int, update: Update) -> None:
    inbox.put((index, update), urgent=update.is_last)


def _immediate(body: dict[str, Any]) -> Reply:
    future: Future[dict[str, Any]] = Future()
    future.set_result(body)
    return FutureReply(future, lambda result: result, [])
