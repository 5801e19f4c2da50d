"""Scenario files and the prompts made from them."""

from __future__ import annotations

from pathlib import Path

import pytest

from bench.chosen_targets import with_targets
from bench.errors import BenchError
from bench.scenario import Scenario, read_scenario
from bench.target_spec import TargetSpec

SCENARIOS = Path(__file__).parents[1] / "bench/scenarios"
GOOD = """\
schema: bench.scenario/1
name: tiny
model: m
targets: [{name: a, kind: url, url: "http://127.0.0.1:1/v1"}, {name: b, kind: bare}]
load: [{name: one, concurrency: 1, requests: 2, prompts: {isl: 30, osl: 4}}]
"""


def read(tmp_path: Path, text: str) -> Scenario:
    path = tmp_path / "tiny.yaml"
    path.write_text(text)
    return read_scenario(path)


@pytest.mark.parametrize("path", sorted(SCENARIOS.glob("*.yaml")), ids=lambda path: path.name)
def test_every_committed_scenario_is_valid(path: Path) -> None:
    assert read_scenario(path).name == path.stem


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ("name: tiny", "name: tiny\ncolour: red", "colour: Extra inputs"),
        ("bench.scenario/1", "bench.scenario/9", "schema: Input should be"),
        ("requests: 2", "requests: 0", "load.0.requests: "),
        ("osl: 4", "osl: four", "load.0.prompts.osl: "),
        ("kind: bare", "kind: gpu", "targets.1.kind: "),
        ("kind: bare", "kind: url", "targets.1: Value error, target 'b': kind url needs a `url`"),
        ("kind: bare", "kind: in-process, url: x", "target 'b': kind in-process has no `url`"),
        ("kind: bare", "kind: ours, transport: poll", "only kind runpod can be polled"),
        ("kind: bare", "kind: ours, api_key_env: K", "`api_key_env` is for targets with a `url`"),
        ("isl: 30", "isl: 3", "`isl` must be at least 16"),
        ("osl: 4", "osl: 1", "stage 'one': `osl` must be at least 2"),
        ("isl: 30", "isl: 30, batch: 2", "`batch` is for embeddings"),
        ("isl: 30", "isl: 30, kind: shared-document", "say `cache: warm`"),
        ("isl: 30", "isl: 30, kind: quote, cache: warm", "say `cache: cold`"),
        ("isl: 30", "isl: 30, cache: {warm: 0.7}", "kind unique is cold by construction"),
        ("isl: 30", "isl: 30, kind: shared-document, cache: {warm: 1}", "Input should be less than 1"),
        ("isl: 30", "isl: 30, kind: shared-document, cache: {warmth: 1}", "warmth: Extra inputs"),
        ("isl: 30", "kind: file, file: absent.jsonl, cache: {warm: 0.7}", "a mix of warm and cold is for kind shared"),
        ("isl: 30", "kind: file", "`kind: file` and `file` belong together"),
        ("isl: 30", "kind: file, file: absent.jsonl", "absent.jsonl cannot be read"),
        ("model: m", "model: m\nworkload: {api: embeddings}", "embeddings have no `osl`"),
        ("isl: 30", "isl: 30, isl_to: 90", "`isl_to` is for embeddings"),
        ("osl: 4}}]", "isl_to: 20}}]\nworkload: {api: embeddings}", "`isl_to` must be more than `isl` (30)"),
        ("name: b", "name: a", "two entries have the same name"),
        ("model: m\n", "", "model: Field required"),
        ("name: one,", "name: one, kind: wave,", "load.0: Input tag 'wave'"),
        ("concurrency: 1, requests: 2", "kind: poisson, rate: 0, requests: 2", "load.0.rate: Input should be greater"),
        ("concurrency: 1, requests: 2", "kind: poisson, rate: 1", "'one': give either `duration` or `requests`"),
        (
            "concurrency: 1, requests: 2",
            "kind: constant, rate: 1, duration: 25h",
            "load.0.duration: Input should be less",
        ),
        ("concurrency: 1, requests: 2", "kind: constant, rate: 1, duration: .inf", "load.0.duration: Input should be"),
        ("concurrency: 1, requests: 2", "kind: constant, rate: 1, duration: soon", "load.0.duration: Input should be"),
        ("concurrency: 1, requests: 2", "kind: poisson, rate: 1, requests: 2", "the bare loop 'b' knows no arrivals"),
        ("concurrency: 1, requests: 2", "kind: sweep, requests: 2", "give either `concurrency` or `rate`"),
        ("concurrency: 1, requests: 2", "kind: sweep, concurrency: [4, 1], requests: 2", "from low to high"),
        ("requests: 2", "requests: 2, drain: 0", "load.0.drain: Input should be greater"),
        ("name: tiny", "name: tiny\nslo: {}", "slo: Value error, set at least one of"),
        ("name: tiny", "name: tiny\nslo: {preset: fast}", "slo.preset: "),
        (GOOD.splitlines()[4], "load: []", "load: ask for something"),
    ],
)
def test_a_fault_is_told_with_file_and_key(tmp_path: Path, old: str, new: str, words: str) -> None:
    with pytest.raises(BenchError) as raised:
        read(tmp_path, GOOD.replace(old, new))
    assert "tiny.yaml: " in raised.value.message
    assert words in raised.value.message


def test_what_cannot_be_read_is_told_by_name(tmp_path: Path) -> None:
    with pytest.raises(BenchError, match=r"tiny\.yaml: not valid YAML"):
        read(tmp_path, "a: [")
    with pytest.raises(BenchError, match=r"absent\.yaml: cannot be read"):
        read_scenario(tmp_path / "absent.yaml")
    (tmp_path / "latin.yaml").write_bytes("name: café".encode("latin-1"))
    with pytest.raises(BenchError, match=r"latin\.yaml: cannot be read: byte 9 is not UTF-8"):
        read_scenario(tmp_path / "latin.yaml")


def test_the_hash_covers_values_and_not_layout(tmp_path: Path) -> None:
    scenario = read(tmp_path, GOOD)
    assert read(tmp_path, "# a comment\n" + GOOD).hash == scenario.hash
    assert read(tmp_path, GOOD.replace("osl: 4", "osl: 5")).hash != scenario.hash
    assert scenario.with_rounds(1).hash != scenario.hash


def test_targets_can_be_chosen_and_unknown_ones_are_named(tmp_path: Path) -> None:
    scenario = read(tmp_path, GOOD)
    assert [target.name for target in with_targets(scenario, ["b"]).targets] == ["b"]
    with pytest.raises(BenchError, match="no target c in scenario 'tiny'; it has a, b"):
        with_targets(scenario, ["c"])
    with pytest.raises(BenchError, match="at least 1"):
        scenario.with_rounds(0)


def test_an_address_replaces_a_targets_or_adds_one(tmp_path: Path) -> None:
    scenario = with_targets(read(tmp_path, GOOD), ["a=http://127.0.0.1:2/v1", "c=http://127.0.0.1:3/v1"], "KEY")
    assert [(target.name, target.kind, target.url, target.api_key_env) for target in scenario.targets] == [
        ("a", "url", "http://127.0.0.1:2/v1", "KEY"),
        ("b", "bare", None, None),
        ("c", "url", "http://127.0.0.1:3/v1", "KEY"),
    ]
    only = with_targets(scenario, ["c=http://127.0.0.1:4/v1", "a"])
    assert [target.name for target in only.targets] == ["c", "a"]
    with pytest.raises(BenchError, match=r"--target b=x: .*kind bare has no `url`"):
        with_targets(scenario, ["b=x"])


def test_an_api_key_comes_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    spec = TargetSpec(name="r", kind="runpod", url="http://127.0.0.1:1", transport="poll")
    monkeypatch.delenv("RUNPOD_API_KEY", raising=False)
    with pytest.raises(BenchError, match="RUNPOD_API_KEY should hold its API key"):
        spec.api_key()
    monkeypatch.setenv("RUNPOD_API_KEY", "secret")
    assert spec.api_key() == "secret"
    assert "secret" not in spec.model_dump_json()
