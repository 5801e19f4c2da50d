"""A request's way through the house: route and payload -> validated request -> runner -> reply. Knows no transport."""

from __future__ import annotations

import logging
import math
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from contextlib import contextmanager
from functools import partial
from typing import TYPE_CHECKING, Any, cast

from core import coldstart
from core.catalog import Catalog
from core.config.folder import ModelsFolder
from core.config.model import ModelConfig
from core.engine.deadline import Deadline
from core.engine.sequence import Sequence, Update
from core.errors import CoreError, InvalidRequest, ShuttingDown, UnknownRoute
from core.inbox import Inbox
from core.loader import Runner
from core.metrics import Metrics
from core.outcome import FAULT, ToldReply
from core.registry import Registry
from core.reply import Chunks, Form, FutureReply, Reply, TextReply, Whole
from core.runners.backends import load_runner
from core.schema import replies
from core.schema.parameters import RequestBody
from core.schema.requests import (
    ChatRequest,
    CompletionRequest,
    EditRequest,
    EmbeddingRequest,
    Generation,
    ModelsQuery,
)

if TYPE_CHECKING:
    from core.runners.embedding import Embedded, EmbeddingRunner
    from core.runners.text import Prompt, TextRunner

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
        prepare: Callable[[ModelConfig], None] = lambda config: None,
        patience: float = 30.0,
    ) -> None:
        """`prepare` and `load` make a config's runner, as `Loader` says; `patience` is how many seconds a request waits
        for its model."""
        self._load_runner = load
        self.registry = Registry(folder, self._load, prepare, patience=patience)
        self.catalog = Catalog(self.registry)
        self.metrics = Metrics(self.catalog.starts)
        self._draining = False
        self._told: dict[str, coldstart.Phases] = {}
        self._routes: dict[str, Callable[[object, Deadline | None], Reply]] = {
            "chat/completions": self._chat,
            "completions": self._completions,
            "edits": self._edits,
            "embeddings": self._embeddings,
            "models": self._list_models,
        }
        for problem in folder.problems:
            if not problem.is_pending:
                logger.warning("%s", problem)

    @property
    def folder(self) -> ModelsFolder:
        """The models as they are served now."""
        return self.registry.folder

    def open(self, route: str, payload: object = None, deadline: Deadline | None = None) -> Reply:
        """Begin a request: `route` as in the URL, with or without `/v1`. Raises CoreError if it is not accepted.

        Generation ends before `deadline`, with what there is then; what cannot even begin until then is refused.
        """
        route = route.strip("/").removeprefix("v1/")
        tell = partial(self._count, route, payload.get("model") if isinstance(payload, dict) else None)
        try:
            if self._draining:
                raise ShuttingDown("the service is shutting down", retry_after=5)
            return ToldReply(self._open(route, payload, deadline), tell, self.catalog.public)
        except CoreError as error:
            error.message = self.catalog.public(error.message)
            tell(error.status)
            raise
        except Exception:
            tell(FAULT)
            raise

    def waits(self, payload: object) -> bool:
        """Whether `open` may have to wait until the model is loaded."""
        named = payload.get("model") if isinstance(payload, dict) else None
        names = [named] if isinstance(named, str) and named else list(self.folder.configs)
        return any(self.registry.status(name).state in ("unloaded", "loading") for name in names)

    def update(self, folder: ModelsFolder) -> None:
        """Go on with what the models folder says now; see `Registry.update`."""
        self.registry.update(folder)

    def drain(self) -> None:
        """Refuse new requests; what is running goes on."""
        self._draining = True

    def close(self) -> None:
        """Refuse what comes, end what is running with ShuttingDown, free every model."""
        self.registry.close()

    def _open(self, route: str, payload: object, deadline: Deadline | None) -> Reply:
        if route.startswith("models/"):
            return _immediate(self.catalog.model(route.removeprefix("models/")))
        if route not in self._routes:
            raise UnknownRoute(f"there is no route {route!r}; there are: {', '.join(self._routes)}")
        return self._routes[route](payload, deadline)

    def _chat(self, payload: object, deadline: Deadline | None) -> Reply:
        request = ChatRequest.parse(payload)
        deadline = request.within(deadline)
        with self._text_runner(request, deadline) as runner:
            prompt = runner.chat_prompt([message.as_template_sees_it() for message in request.messages])
            return self._generate(request, runner, [prompt], replies.Heading("chat.completion", runner.name), deadline)

    def _completions(self, payload: object, deadline: Deadline | None) -> Reply:
        request = CompletionRequest.parse(payload)
        deadline = request.within(deadline)
        with self._text_runner(request, deadline) as runner:
            asked = request.prompts()
            _check_number(len(asked), runner, "prompt")
            prompts = [
                runner.completion_prompt(prompt) if isinstance(prompt, str) else runner.token_prompt(prompt)
                for prompt in asked
            ]
            return self._generate(request, runner, prompts, replies.Heading("text_completion", runner.name), deadline)

    def _edits(self, payload: object, deadline: Deadline | None) -> Reply:
        request = EditRequest.parse(payload)
        deadline = request.within(deadline)
        with self._text_runner(request, deadline) as runner:
            inputs = request.inputs()
            _check_number(len(inputs), runner, "input")
            prompts = [runner.edit_prompt(text, request.instruction) for text in inputs]
            return self._generate(request, runner, prompts, replies.Heading("edit", runner.name), deadline)

    def _list_models(self, payload: object, _: Deadline | None) -> Reply:
        selects = ModelsQuery.parse(payload or {}).selector()
        listed = self.catalog.models()
        return _immediate(listed | {"data": [model for model in listed["data"] if selects(model["id"])]})

    def _generate(
        self,
        request: Generation,
        runner: TextRunner,
        prompts: list[Prompt],
        heading: replies.Heading,
        deadline: Deadline | None,
    ) -> Reply:
        stream = bool(request.stream)
        inbox: Inbox[tuple[int, Update]] = Inbox(rest=STREAM_REST if stream else None)
        seqs: list[Sequence] = []
        sampling = request.sampling()
        try:
            for index, prompt in enumerate(prompts):
                seqs.append(runner.submit(prompt, partial(_put, inbox, index), deadline=deadline, **sampling))
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
            warnings=self._warn(request, runner.name),
            cancel=runner.engine.cancel,
            on_end=partial(self.metrics.observe, runner.name),
            cold_start=partial(self._cold_start, runner.name),
        )

    def _embeddings(self, payload: object, deadline: Deadline | None) -> Reply:
        request = EmbeddingRequest.parse(payload)
        deadline = request.within(deadline)
        with self._embedding_runner(request, deadline) as runner:
            name, submitted_at = runner.name, time.perf_counter()
            future = runner.embed(request.inputs(), dimensions=request.dimensions)

        def body(embedded: Embedded) -> dict[str, Any]:
            count = sum(embedded.num_tokens)
            whole = replies.embeddings(name, embedded.vectors, count, request.encoding_format)
            if load := self._cold_start(name):
                load["first_vectors"] = time.perf_counter() - submitted_at
                whole["timings"] = {"cold_start": coldstart.in_milliseconds(load)}
            return whole

        return FutureReply(future, body, self._warn(request, name), deadline)

    # The runners' modules import llama.cpp and numpy, so they are known here by their kind and not by their class.

    @contextmanager
    def _text_runner(self, request: RequestBody, deadline: Deadline | None) -> Iterator[TextRunner]:
        with self.registry.using(request.model or self.catalog.first(embeds=False), within=_left(deadline)) as runner:
            if runner.kind != "text":
                raise InvalidRequest(f"{request.model} is an embedding model; it cannot generate text", param="model")
            yield cast("TextRunner", runner)

    @contextmanager
    def _embedding_runner(self, request: RequestBody, deadline: Deadline | None) -> Iterator[EmbeddingRunner]:
        with self.registry.using(request.model or self.catalog.first(embeds=True), within=_left(deadline)) as runner:
            if runner.kind != "embedding":
                raise InvalidRequest(f"{request.model} generates text; it cannot embed", param="model")
            yield cast("EmbeddingRunner", runner)

    def _count(self, route: str, model: object, status: int) -> None:
        """Only what there is becomes a label, since a label is kept for ever."""
        name = model if isinstance(model, str) and model in self.folder.configs else ""
        known = "models" if route.startswith("models/") else route if route in self._routes else ""
        self.metrics.count_request(known, name, str(status))

    def _cold_start(self, model: str) -> coldstart.Phases | None:
        """The ledger of the model's load, for the first reply that asks."""
        load = self.registry.status(model).phases
        if load is None or self._told.get(model) is load:
            return None
        self._told[model] = load
        return load

    def _load(self, config: ModelConfig) -> Runner:
        runner = self._load_runner(config)
        if runner.kind == "text":
            text = cast("TextRunner", runner)
            self.metrics.watch(config.name, text.engine, text.threads)
        return runner

    def _warn(self, request: RequestBody, model: str) -> list[str]:
        """What the caller should know, which is logged too."""
        warnings = list(request.warnings)
        if not request.model:
            warnings.append(f"no model was named: {model} answers")
        for warning in warnings:
            logger.warning("%s", warning)
        return warnings


def _check_number(count: int, runner: TextRunner, param: str) -> None:
    """Before any of them is rendered and read, which for millions would take hours."""
    most = runner.limits.slots + runner.limits.max_queue
    if count > most:
        raise InvalidRequest(
            f"{param} has {count} entries, and {runner.name} takes at most {most} at once (its `slots` and "
            "`max_queue`): send them in several requests",
            param=param,
        )


def _left(deadline: Deadline | None) -> float:
    return deadline.left if deadline else math.inf


def _put(inbox: Inbox[tuple[int, Update]], index: int, update: Update) -> None:
    inbox.put((index, update), urgent=update.is_last)


def _immediate(body: dict[str, Any]) -> Reply:
    future: Future[dict[str, Any]] = Future()
    future.set_result(body)
    return FutureReply(future, lambda result: result, [])
