"""`warmfn optimize`: what is chosen, what is kept, and what it writes; on random weights, and once on real ones."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from core.config.folder import read_folder
from core.forms import form_name
from core.gguf import read_header
from core.llama import perplexity, rates
from core.llama import quantize as quantizer
from core.llama.measures import Quality, Rates
from core.optimize import Form, choose
from handlers.cli import main
from tests.tiny_llama import write_tiny_llama

SAME = Quality(1000, 20.0, 1.0, 20.0, 1.0, 0.001, 0.001, 0.004, 0.0001, 0.95)
ORIGINAL = Form(Path("o.gguf"), "Q4_1", 100, False, Rates(100, 10, 40))


def form(speed: float, quality: Quality | None = SAME) -> Form:
    return Form(Path(f"{speed}.gguf"), "Q8_0", 100, True, Rates(100 * speed, 10 * speed, 40 * speed), quality)


def test_the_fastest_form_without_measurable_loss_is_chosen() -> None:
    worse = replace(SAME, log_ratio=0.003)  # more than two standard errors
    other = replace(SAME, divergence=0.02)
    assert choose(ORIGINAL, [form(1.2), form(1.5), form(2.0, worse), form(3.0, other), form(4.0, None)]) == form(1.5)


def test_the_original_stays_where_nothing_is_gained() -> None:
    assert choose(ORIGINAL, []) is ORIGINAL
    assert choose(ORIGINAL, [form(1.04), form(0.5)]) is ORIGINAL


def test_a_better_perplexity_is_no_loss() -> None:
    better = replace(SAME, log_ratio=-0.5)
    assert choose(ORIGINAL, [form(1.2, better)]) == form(1.2, better)


def test_the_gain_weighs_the_three_kinds_of_work_alike() -> None:
    assert Rates(200, 10, 40).gain_over(Rates(100, 10, 40)) == pytest.approx(2 ** (1 / 3))
    assert Rates(200, 5, 40).gain_over(Rates(100, 10, 40)) == pytest.approx(1)


@pytest.mark.parametrize(
    ("source", "target"),
    [
        ("Model.Q4_1.gguf", "Model.Q8_0.gguf"),
        ("model-q4_k_m.gguf", "model.Q8_0.gguf"),
        ("model-F16-00001-of-00003.gguf", "model.Q8_0.gguf"),
        ("phi-2.gguf", "phi-2.Q8_0.gguf"),
        ("IQ-test.gguf", "IQ-test.Q8_0.gguf"),
    ],
)
def test_a_form_is_named_by_its_quantization(source: str, target: str) -> None:
    assert form_name(Path("models") / source, "Q8_0") == target


@pytest.fixture(autouse=True)
def short_text(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """So that quality on random weights, a token for each byte, takes moments."""
    if "models_folder" not in request.fixturenames:
        text = perplexity.sample_text()[:1500]
        monkeypatch.setattr(perplexity, "sample_text", lambda: text)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A model, and one that is to be made of it."""
    write_tiny_llama(tmp_path / "tiny.F16.gguf")
    (tmp_path / "tiny.yaml").write_text("# Mine.\nname: tiny\nparameters:\n  model: tiny.F16.gguf   # large\n")
    (tmp_path / "fast.yaml").write_text("name: fast\noptimized_from: tiny\nparameters: {model: tiny.fast.gguf}\n")
    return tmp_path


@pytest.fixture
def speeds(monkeypatch: pytest.MonkeyPatch) -> dict[str, float]:
    """Tokens per second by quantization, instead of measured ones."""
    found = {"F16": 1.0, "Q8_0": 2.0, "Q4_0": 3.0}

    def compare_rates(paths: list[Path], _: object) -> list[Rates]:
        return [Rates(*[found[read_header(path).quant or ""]] * 3) for path in paths]

    monkeypatch.setattr(rates, "compare_rates", compare_rates)
    return found


def weights(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir() if path.suffix != ".yaml")


def run(folder: Path, *arguments: str) -> int:
    return main(["optimize", *arguments, "--models", str(folder)])


def test_auto_measures_real_files_and_writes_the_table_into_the_yaml(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(folder, "tiny") == 0
    printed, text = capsys.readouterr().out, (folder / "tiny.yaml").read_text()
    for row in printed.splitlines():
        assert f"#   {row}\n" in text
    for type in ("F16", "Q8_0", "Q4_0"):
        assert f"tiny.{type}.gguf" in printed
    assert text.startswith(
        "# Mine.\nname: tiny\nparameters:\n  model: tiny.F16.gguf   # large\n# `warmfn optimize tiny`: "
    )
    assert set(weights(folder)) <= {"tiny.F16.gguf", "tiny.Q8_0.gguf"}, "random weights as Q4_0 are not the same"


def test_what_is_not_chosen_is_removed_and_the_config_changes_only_when_asked(
    folder: Path, speeds: dict[str, float]
) -> None:
    assert run(folder, "tiny") == 0
    assert weights(folder) == ["tiny.F16.gguf", "tiny.Q8_0.gguf"]
    assert read_folder(folder).configs["tiny"].parameters.model == "tiny.F16.gguf"
    assert run(folder, "tiny", "--apply") == 0
    assert read_folder(folder).configs["tiny"].parameters.model == "tiny.Q8_0.gguf"
    assert (folder / "tiny.yaml").read_text().count("`warmfn optimize tiny`") == 1


def test_a_type_that_is_asked_for_is_kept_and_applied_whatever_it_costs(folder: Path, speeds: dict[str, float]) -> None:
    speeds["Q4_0"] = 0.1
    assert run(folder, "tiny", "--to", "q4_0", "--apply") == 0
    assert weights(folder) == ["tiny.F16.gguf", "tiny.Q4_0.gguf"]
    assert read_folder(folder).configs["tiny"].parameters.model == "tiny.Q4_0.gguf"


def test_a_form_that_is_there_is_measured_and_never_removed(folder: Path, speeds: dict[str, float]) -> None:
    quantizer.quantize(folder / "tiny.F16.gguf", folder / "tiny.Q4_0.gguf", "Q4_0")
    before = (folder / "tiny.Q4_0.gguf").stat().st_mtime_ns
    assert run(folder, "tiny") == 0
    assert (folder / "tiny.Q4_0.gguf").stat().st_mtime_ns == before


def test_another_models_file_of_that_name_is_refused(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    shutil.copy(folder / "tiny.F16.gguf", folder / "tiny.Q8_0.gguf")
    assert run(folder, "tiny") == 1
    assert "is no Q8_0 of tiny.F16.gguf: move it away" in capsys.readouterr().err


@pytest.mark.parametrize("moment", ["measure the speed", "measure the quality"])
def test_an_interrupt_keeps_nothing_half_made(
    folder: Path,
    speeds: dict[str, float],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    moment: str,
) -> None:
    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    if moment == "measure the speed":
        monkeypatch.setattr(rates, "compare_rates", interrupt)
    else:
        monkeypatch.setattr(perplexity, "measure_quality", interrupt)
    before = (folder / "tiny.yaml").read_text()
    assert run(folder, "tiny") == 130
    assert "nothing is kept" in capsys.readouterr().err
    assert weights(folder) == ["tiny.F16.gguf"]
    assert (folder / "tiny.yaml").read_text() == before


def test_a_model_made_from_another_waits_for_optimize_and_then_serves_the_best_form(
    folder: Path, speeds: dict[str, float], capsys: pytest.CaptureFixture[str]
) -> None:
    [problem] = read_folder(folder).problems
    assert problem.is_pending
    assert "run `warmfn optimize fast` once tiny is there" in problem.message
    before = {path.name: path.read_text() for path in folder.glob("*.yaml")}
    assert run(folder, "fast") == 0
    assert weights(folder) == ["tiny.F16.gguf", "tiny.fast.gguf"]
    assert read_header(folder / "tiny.fast.gguf").quant == "Q8_0"
    assert {path.name: path.read_text() for path in folder.glob("*.yaml")} == before
    assert run(folder, "fast") == 0
    assert "is there already" in capsys.readouterr().out


def test_where_the_original_is_the_best_a_model_made_from_it_is_a_link_to_it(
    folder: Path, speeds: dict[str, float]
) -> None:
    speeds["F16"] = 100.0
    assert run(folder, "fast") == 0
    assert (folder / "tiny.fast.gguf").readlink() == Path("tiny.F16.gguf")
    assert weights(folder) == ["tiny.F16.gguf", "tiny.fast.gguf"]
    assert not read_folder(folder).problems


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["nobody"], "there is no model 'nobody'"),
        (["tiny", "--to", "f16"], "is F16 already"),
        (["tiny", "--to", "q9_9"], "'Q9_9' is no quantization"),
        (["fast", "--apply"], "--apply is for models without"),
        (["tiny.F16.gguf", "--apply"], "there is no model"),
    ],
)
def test_what_cannot_be_done_is_told(
    folder: Path, capsys: pytest.CaptureFixture[str], arguments: list[str], words: str
) -> None:
    assert run(folder, *arguments) == 1
    assert words in capsys.readouterr().err
    assert weights(folder) == ["tiny.F16.gguf"]


def test_loose_weights_are_measured_and_have_no_yaml_to_change(
    folder: Path, speeds: dict[str, float], capsys: pytest.CaptureFixture[str]
) -> None:
    for file in folder.glob("*.yaml"):
        file.unlink()
    assert run(folder, "tiny.F16.gguf", "--apply") == 1
    assert "`warmfn add` writes one" in capsys.readouterr().err
    assert run(folder, "tiny.F16.gguf") == 0
    assert weights(folder) == ["tiny.F16.gguf", "tiny.Q8_0.gguf"]


@pytest.mark.weights
@pytest.mark.extended
def test_smollm2_loses_nothing_as_q8_0_and_much_as_q4_0(models_folder: Path, tmp_path: Path) -> None:
    """The bound between the two: 0.005 and 0.27 nats."""
    source = models_folder / "SmolLM2-135M-Instruct.Q4_1.gguf"
    found = {}
    for type in ("Q8_0", "Q4_0"):
        quantizer.quantize(source, tmp_path / f"{type}.gguf", type)
        found[type] = replace(ORIGINAL, quality=perplexity.compare_files(source, tmp_path / f"{type}.gguf"))
    assert found["Q8_0"].is_lossless
    assert not found["Q4_0"].is_lossless
