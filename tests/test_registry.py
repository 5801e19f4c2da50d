"""Loading once, and replacing what was edited without cutting anybody off."""

from __future__ import annotations

import contextlib
import threading
import traceback
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Literal

import pytest

from core.config.folder import ModelsFolder
from core.config.model import ModelConfig
from core.config.problem import Problem
from core.config.weight_files import WeightsState
from core.errors import ModelUnusable, ShuttingDown, UnknownModel
from core.registry import Registry
from tests.serving import eventually


class FakeRunner:
    kind: Literal["text"] = "text"
    facts: dict[str, Any] = {}  # noqa: RUF012
    problems: Sequence[Problem] = ()

    def __init__(self, config: ModelConfig) -> None:
        self.config = config
        self.is_idle = True
        self.is_closed = False
        self.may_adopt = threading.Event()
        self.may_adopt.set()

    def warm(self) -> None: ...

    def adopt(self, config: ModelConfig) -> bool:
        if (config.context_size, config.weights_state) != (self.config.context_size, self.config.weights_state):
            return False
        if config.system_prompt == "bad":
            raise ModelUnusable("a bad prompt")
        self.may_adopt.wait(5)
        assert not self.is_closed, "it works on what was freed"
        self.config = config
        return True

    def close(self) -> None:
        self.is_closed = True


class Models:
    """A registry of fake models, and every runner it made. A context of 13 cannot be loaded."""

    def __init__(self, **options: float) -> None:
        self.made: list[FakeRunner] = []
        self.before_load: Callable[[], object] = lambda: None
        self.registry = Registry(folder(), self._load, **options)

    def _load(self, config: ModelConfig) -> FakeRunner:
        self.before_load()
        if config.context_size == 13:
            raise ModelUnusable("13 is too much")
        self.made.append(FakeRunner(config))
        return self.made[-1]

    def use(self, name: str = "a") -> FakeRunner:
        with self.registry.using(name) as runner:
            assert isinstance(runner, FakeRunner)
            return runner

    def uses(self, context_size: int) -> bool:
        return self.use().config.context_size == context_size


def folder(*configs: ModelConfig) -> ModelsFolder:
    return ModelsFolder(Path("/nowhere"), {config.name: config for config in configs}, [])


def model(name: str = "a", **values: Any) -> ModelConfig:
    return ModelConfig(name=name, root=Path("/nowhere"), **values)


@pytest.fixture
def models() -> Models:
    models = Models(patience=5)
    models.registry.update(folder(model(context_size=10)))
    return models


def test_a_model_is_loaded_once(models: Models) -> None:
    assert models.use() is models.use()


def test_a_change_of_manners_needs_no_load(models: Models) -> None:
    runner = models.use()
    models.registry.update(folder(model(context_size=10, system_prompt="Be brief.")))
    assert eventually(lambda: models.use().config.system_prompt == "Be brief.")
    assert models.use() is runner


def test_requests_come_and_go_while_a_model_takes_on_new_manners(models: Models) -> None:
    runner = models.use()
    runner.may_adopt.clear()
    models.registry.update(folder(model(context_size=10, system_prompt="Be brief.")))
    assert eventually(lambda: models.registry._adopting.locked())
    assert models.use() is runner
    assert models.registry.status("a").state == "ready"
    closing = threading.Thread(target=models.registry.close)
    closing.start()
    closing.join(0.1)
    assert not runner.is_closed
    runner.may_adopt.set()
    closing.join(5)
    assert runner.is_closed
    assert runner.config.system_prompt == "Be brief."


def test_an_idle_model_is_replaced_and_the_old_one_closed(models: Models) -> None:
    old = models.use()
    models.registry.update(folder(model(context_size=20)))
    assert eventually(lambda: models.uses(20))
    assert old.is_closed


def test_a_busy_model_goes_on_until_it_is_idle(models: Models) -> None:
    old = models.use()
    old.is_idle = False
    models.registry.update(folder(model(context_size=20)))
    assert not eventually(lambda: models.uses(20), seconds=0.3)
    assert not old.is_closed
    old.is_idle = True
    assert eventually(lambda: models.uses(20))
    assert old.is_closed


def test_a_model_is_not_replaced_while_a_request_is_being_opened_on_it(models: Models) -> None:
    with models.registry.using("a") as old:
        models.registry.update(folder(model(context_size=20)))
        assert not eventually(lambda: models.uses(20), seconds=0.3)
        assert isinstance(old, FakeRunner)
        assert not old.is_closed
    assert eventually(lambda: models.uses(20))


def test_a_model_that_is_never_idle_makes_new_requests_wait_for_its_successor() -> None:
    models = Models(patience=5, reload_patience=0)
    models.registry.update(folder(model(context_size=10)))
    old = models.use()
    old.is_idle = False
    models.registry.update(folder(model(context_size=20)))
    assert eventually(lambda: models.registry.status("a").state == "loading")
    assert not old.is_closed
    old.is_idle = True
    assert models.uses(20)
    assert old.is_closed


def test_what_cannot_be_loaded_leaves_the_version_before(models: Models) -> None:
    models.use()
    models.registry.update(folder(model(context_size=13)))
    assert eventually(lambda: models.registry.status("a").error)
    status = models.registry.status("a")
    assert status.state == "ready"
    assert "13 is too much" in str(status.error)
    assert models.uses(10)


def test_the_complaint_goes_with_the_next_good_edit(models: Models) -> None:
    models.use()
    models.registry.update(folder(model(context_size=13)))
    assert eventually(lambda: models.registry.status("a").error)
    models.registry.update(folder(model(context_size=10)))
    assert eventually(lambda: not models.registry.status("a").error)
    models.registry.update(folder(model(context_size=20)))
    assert eventually(lambda: models.uses(20))


def test_a_model_that_failed_is_tried_again_when_the_folder_changes(models: Models) -> None:
    models.registry.update(folder(model(context_size=13)))
    with pytest.raises(ModelUnusable, match="too much"):
        models.use()
    models.registry.update(folder(model(context_size=20)))
    assert eventually(lambda: models.registry.status("a").state == "ready")
    assert models.uses(20)


def test_each_request_to_a_model_that_failed_has_an_error_of_its_own(models: Models) -> None:
    """A shared one would keep every request that it was raised for, as the frames of its traceback."""
    models.registry.update(folder(model(context_size=13)))
    errors = []
    for _ in range(3):
        with pytest.raises(ModelUnusable, match="too much") as raised:
            models.use()
        errors.append(raised.value)
    lengths = [len(list(traceback.walk_tb(error.__traceback__))) for error in errors]
    assert len({id(error) for error in errors}) == 3
    assert lengths == lengths[:1] * 3


def test_a_preload_that_names_no_model_loads_nothing(models: Models) -> None:
    with pytest.raises(UnknownModel, match="nobody"):
        models.registry.preload(["a", "nobody"])
    assert models.registry.status("a").state == "unloaded"


def test_a_removed_model_is_unknown_at_once_and_closed_when_idle(models: Models) -> None:
    old = models.use()
    old.is_idle = False
    models.registry.update(folder())
    with pytest.raises(UnknownModel):
        models.use()
    assert not old.is_closed
    old.is_idle = True
    assert eventually(lambda: old.is_closed)


def test_an_edit_that_is_undone_changes_nothing(models: Models) -> None:
    old = models.use()
    old.is_idle = False
    models.registry.update(folder(model(context_size=20)))
    models.registry.update(folder(model(context_size=10)))
    old.is_idle = True
    assert not eventually(lambda: old.is_closed, seconds=0.3)
    assert models.use() is old


def test_closing_ends_a_replacement_that_waits(models: Models) -> None:
    old = models.use()
    old.is_idle = False
    models.registry.update(folder(model(context_size=20)))
    models.registry.close()
    assert old.is_closed
    with pytest.raises(ShuttingDown):
        models.use()


def test_only_the_first_preload_is_waited_for() -> None:
    models = Models(patience=5)
    gate = threading.Event()
    models.before_load = gate.wait
    models.registry.update(folder(model(context_size=10), model("b")))
    models.registry.preload(["a"])
    assert not models.registry.is_ready
    gate.set()
    models.use()
    assert models.registry.is_ready
    gate.clear()
    models.registry.preload(["b"])
    assert models.registry.status("b").state == "loading"
    assert models.registry.is_ready
    gate.set()


def test_a_runner_that_refuses_new_settings_goes_on_with_the_old(models: Models) -> None:
    old = models.use()
    models.registry.update(folder(model(context_size=10, system_prompt="bad")))
    assert eventually(lambda: "cannot be used" in str(models.registry.status("a").error))
    assert models.use() is old
    assert not old.config.system_prompt
    models.registry.update(folder(model(context_size=10)))
    assert eventually(lambda: not models.registry.status("a").error)


def test_many_edits_at_once_end_with_the_last_and_no_thread_is_left(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("core.registry.POLL_SECONDS", 0.0005)
    models = Models(patience=5, reload_patience=0)
    for size in range(20, 60):
        models.registry.update(folder(*([model(context_size=size)] if size % 3 else [])))
        with contextlib.suppress(UnknownModel):
            models.registry.preload(["a"])
    assert eventually(lambda: models.uses(59))
    assert eventually(lambda: not [thread for thread in threading.enumerate() if thread.name == "reload-a"])


def test_weights_that_were_pulled_before_the_load_are_not_loaded_again(models: Models) -> None:
    old = models.use()
    here, other = WeightsState(5, 1), WeightsState(6, 2)
    models.registry.update(folder(model(context_size=10, weights_state=here)))
    assert not eventually(lambda: models.use() is not old, seconds=0.3)
    models.registry.update(folder(model(context_size=10, weights_state=other)))
    assert eventually(lambda: models.use() is not old)
