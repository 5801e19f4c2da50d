"""Deploy files: well-formed, and about things that are there: settings that are read, routes, models, slots."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import httpx
import pytest
import yaml
from pydantic import ValidationError

from core.config.folder import read_folder
from core.engine.deadline import Deadline
from core.service import Service
from core.store.gallery import read_gallery
from handlers import start
from handlers.runpod_input import route_and_payload
from handlers.runpod_worker import CONCURRENCY
from handlers.settings import Settings
from tests.deploy_schemas import Container, Hub, HubTest, HubTests, KnativeService, RevisionSpec
from tests.serving import FakeService, Server

ROOT = Path(__file__).parents[1]
QUEUE, LOAD_BALANCER = ROOT / ".runpod/hub.json", ROOT / "deploy/runpod_load_balancer.json"
READ_BY_OTHERS = {
    "HEALTH_CHECK_PATH": "RunPod's load balancer",
    "PORT_HEALTH": "RunPod's load balancer",
}


class Recorder(Mapping[str, str]):
    """An empty environment that remembers what it was asked for."""

    def __init__(self) -> None:
        self.asked: set[str] = set()

    def __getitem__(self, name: str) -> str:
        self.asked.add(name)
        raise KeyError(name)

    def __iter__(self) -> Iterator[str]:
        return iter(())

    def __len__(self) -> int:
        return 0


def variables_we_read() -> set[str]:
    environ = Recorder()
    Settings.from_environ(environ)
    start.mode(environ)
    start.address(environ)
    return environ.asked | {CONCURRENCY}


def hub(path: Path) -> Hub:
    return Hub.model_validate(json.loads(path.read_text()))


def hub_tests() -> HubTests:
    return HubTests.model_validate(json.loads((ROOT / ".runpod/tests.json").read_text()))


def revision() -> RevisionSpec:
    file = yaml.safe_load((ROOT / "deploy/cloudrun.yaml").read_text())
    return KnativeService.model_validate(file).spec.template.spec


def container() -> Container:
    [only] = revision().containers
    return only


def values(path: Path) -> dict[str, str]:
    """The environment of a worker whose owner leaves everything as it is."""
    pairs = ((each.key, each.value if each.input is None else each.input.default) for each in hub(path).config.env)
    return {key: str(value).lower() if isinstance(value, bool) else str(value) for key, value in pairs}


@pytest.mark.parametrize(
    "names",
    [
        values(QUEUE),
        values(LOAD_BALANCER),
        [each.key for each in hub_tests().config.env],
        [each.name for each in container().env],
        *(preset.defaults for preset in hub(QUEUE).config.presets),
    ],
)
def test_every_variable_is_one_that_somebody_reads(names: Any) -> None:
    assert set(names) <= variables_we_read() | READ_BY_OTHERS.keys()


@pytest.mark.parametrize("path", [QUEUE, LOAD_BALANCER])
def test_the_defaults_of_a_hub_entry_can_be_read(path: Path) -> None:
    environ = values(path)
    settings = Settings.from_environ(environ)
    assert start.mode(environ) == environ["MODE"]
    assert settings.preload is None
    assert settings.models == Path("/models")


def test_presets_fill_inputs_in() -> None:
    inputs = {each.key: each.input for each in hub(QUEUE).config.env if each.input}
    for preset in hub(QUEUE).config.presets:
        assert preset.defaults.keys() <= inputs.keys()
        assert all(type(value) is type(inputs[key].default) for key, value in preset.defaults.items())


def test_models_to_fetch_are_in_the_gallery() -> None:
    named = [values(QUEUE)["PULL_MODELS"], values(LOAD_BALANCER)["PULL_MODELS"]]
    named += [str(preset.defaults["PULL_MODELS"]) for preset in hub(QUEUE).config.presets]
    named += [each.value for each in hub_tests().config.env if each.key == "PULL_MODELS"]
    wanted = {name for names in named for name in names.split(",") if name}
    assert wanted <= read_gallery(ROOT / "models/gallery.yaml").entries.keys()


@pytest.mark.weights
@pytest.mark.parametrize("test", hub_tests().tests, ids=lambda test: test.name)
def test_the_hubs_tests_are_jobs_that_get_an_answer(test: HubTest, real_service: Service) -> None:
    fetched = next(each.value for each in hub_tests().config.env if each.key == "PULL_MODELS")
    assert set(fetched.split(",")) == real_service.folder.configs.keys()
    assert list(real_service.open(*route_and_payload({"id": "1", "input": test.input})))


def test_the_queue_worker_and_the_load_balancer_differ_where_the_platform_does() -> None:
    assert hub(QUEUE).config.endpointType is None
    assert hub(LOAD_BALANCER).config.endpointType == "LB"
    assert (values(QUEUE)["MODE"], values(LOAD_BALANCER)["MODE"]) == ("runpod", "http")
    ports = {start.address(values(LOAD_BALANCER)), f":{values(LOAD_BALANCER)['PORT_HEALTH']}"}
    assert ports == {":8080"}


def test_what_the_hub_looks_for_is_there() -> None:
    assert (ROOT / ".runpod/Dockerfile").resolve() == ROOT / "Dockerfile.gpu"
    assert (ROOT / ".runpod/handler.py").is_file()
    assert (ROOT / "README.md").is_file()


def test_probes_ask_routes_that_answer() -> None:
    paths = [container().startupProbe.httpGet.path, container().livenessProbe.httpGet.path]
    paths.append(values(LOAD_BALANCER)["HEALTH_CHECK_PATH"])
    service = FakeService()
    with Server(service) as server, service.registry.using("fake"):
        assert [httpx.get(server.url + path).status_code for path in paths] == [200, 200, 200]
    service.close()


def test_the_port_is_the_one_that_an_image_listens_on() -> None:
    [port] = container().ports
    probes = [container().startupProbe, container().livenessProbe]
    assert {start.address({}), *(f":{probe.httpGet.port}" for probe in probes)} == {f":{port.containerPort}"}


def test_the_startup_probe_waits_no_longer_than_cloud_run_allows() -> None:
    probe = container().startupProbe
    assert probe.periodSeconds * probe.failureThreshold <= 240


def test_a_reply_ends_before_the_platform_ends_it() -> None:
    settings = Settings.from_environ({each.name: each.value for each in container().env})
    assert settings.time_limits == {"CLOUD_RUN_TIMEOUT_SECONDS": revision().timeoutSeconds}
    assert Deadline.after(revision().timeoutSeconds, "test").left < revision().timeoutSeconds


def test_an_instance_is_sent_what_its_slots_take_and_a_small_queue() -> None:
    model = read_folder(ROOT / "models").configs["smollm2-135m-instruct"]
    assert model.slots is not None
    assert model.slots < revision().containerConcurrency <= 2 * model.slots


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"colour": "red"}, "colour"),
        ({"type": "pod"}, "type"),
        ({"config": {"runsOn": "TPU", "containerDiskInGb": 1}}, "runsOn"),
        ({"config": {"runsOn": "GPU", "containerDiskInGb": 1, "gpuIds": "ADA_12"}}, "ADA_12"),
        ({"config": {"runsOn": "GPU", "containerDiskInGb": 1, "env": [{"key": "A"}]}}, "give a value or an input"),
    ],
)
def test_the_schema_refuses_what_is_not_documented(change: dict[str, Any], words: str) -> None:
    with pytest.raises(ValidationError, match=words):
        Hub.model_validate(json.loads(QUEUE.read_text()) | change)
