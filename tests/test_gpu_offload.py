"""Which layers go to which card. No card is needed: what is free is given."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import llama_cpp.llama_cpp as lib
import pytest

from core.config.model import ModelConfig
from core.engine.draft import MAX_DRAFTED
from core.errors import ModelUnusable
from core.gguf.footprint import Footprint, Work, measure
from core.gguf.header import ArrayInfo, GgufHeader, TensorInfo
from core.gguf.parse import read_header
from core.llama.devices import Device, devices, gpus, usable_gpus
from core.llama.model import _place
from core.llama.offload import RESERVE, Offload, layers_that_fit, least_work, plan_offload, stay_on_cpu
from tests.small_gguf import write_gguf

MIB = 1 << 20


def card(free: int, name: str = "CUDA0", **values: Any) -> Device:
    return Device(name, values.pop("type", 1), RESERVE + free, 80 << 30, **values)


def config(**values: Any) -> ModelConfig:
    return ModelConfig.model_validate({"name": "m", "root": Path(), "context_size": 1000, **values})


def header(*, blocks: int = 4, block: int = 100 * MIB, output: int = 50 * MIB, tied: bool = False) -> GgufHeader:
    """Blocks of 100 MiB, whose cache takes 4 KiB a token; the table of token embeddings is as large as the output."""
    sizes = {"token_embd.weight": output, "output_norm.weight": 0}
    sizes |= {} if tied else {"output.weight": output}
    for number in range(blocks):
        sizes |= {f"blk.{number}.attn_q.weight": block // 4, f"blk.{number}.ffn_up.weight": block - block // 4}
    tensors = tuple(TensorInfo(name, (1,), "F16", 0, size) for name, size in sizes.items())
    numbers = {"block_count": blocks, "embedding_length": 512, "feed_forward_length": 2048, "context_length": 4096}
    numbers |= {"attention.head_count": 8, "attention.head_count_kv": 8}
    metadata = {"general.architecture": "llama"} | {f"llama.{key}": value for key, value in numbers.items()}
    return GgufHeader(3, metadata, {"tokenizer.ggml.tokens": ArrayInfo("string", 32000, 0)}, tensors, 0)


def test_a_part_is_its_weights_and_its_share_of_the_cache() -> None:
    found = measure(header(), Work(cells=1000, rows=512, outputs=8, flash_attention=True))
    per_block = 8 * (64 + 64) * 2 * 1000
    assert found.parts == (*[100 * MIB + per_block] * 4, 50 * MIB)


def test_the_token_table_is_on_the_card_only_where_it_is_the_output_too() -> None:
    work = Work(cells=0, rows=1, outputs=1, flash_attention=True)
    assert measure(header(tied=True), work).parts[-1] == measure(header(), work).parts[-1] == 50 * MIB


def test_blocks_that_lie_in_another_file_count_as_the_largest_here() -> None:
    whole = header()
    first = GgufHeader(3, whole.metadata, {}, tuple(t for t in whole.tensors if not t.name.startswith("blk.3")), 0)
    work = Work(cells=0, rows=1, outputs=1, flash_attention=True)
    assert measure(first, work).parts == measure(whole, work).parts


@pytest.mark.weights
@pytest.mark.parametrize(
    ("cells", "outputs", "rows", "flash", "taken"),
    [
        (4096, 4, 512, True, 17.51),
        (16384, 8, 512, True, 29.51),
        (4096, 4, 512, False, 86.38),
        (1024, 1, 64, True, 1.81),
    ],
)
def test_a_pass_is_estimated_above_what_llama_cpp_takes_and_not_much(
    models_folder: Path, cells: int, outputs: int, rows: int, flash: bool, taken: float
) -> None:
    """`taken` is the MiB that llama.cpp 0.5.0 said it reserves for SmolLM2 on a CPU."""
    header = read_header(models_folder / "SmolLM2-135M-Instruct.Q4_1.gguf")
    estimate = measure(header, Work(cells=cells, rows=rows, outputs=outputs, flash_attention=flash)).compute / MIB
    assert taken <= estimate <= 1.2 * taken


@pytest.mark.parametrize(
    ("free", "shares", "layers"),
    [
        ([450], (), 5),
        ([449], (), 4),
        ([250], (), 3),
        ([50], (), 1),
        ([49], (), 0),
        ([-500], (), 0),
        ([300, 150], (1, 1), 5),
        ([299, 149], (1, 1), 3),
        ([200, 300], (1, 1), 4),
        ([100, 1000], (0, 1), 5),
        ([1000, 10], (3, 1), 3),
        ([450, -1000], (1, 0), 5),
        ([1000, -1000], (5, 1), 5),
        ([1000, -1000], (3, 1), 3),
    ],
)
def test_layers_fit_as_llama_cpp_deals_them_out(free: list[int], shares: tuple[float, ...], layers: int) -> None:
    """Four blocks of 100 and an output of 50, which is the last card's."""
    cards = [card(size, f"CUDA{index}") for index, size in enumerate(free)]
    assert layers_that_fit(Footprint((100, 100, 100, 100, 50), 0), cards, shares) == layers


def test_every_card_holds_the_buffers_of_a_pass() -> None:
    assert layers_that_fit(Footprint((100, 50), 30), [card(180)]) == 2
    assert layers_that_fit(Footprint((100, 50), 31), [card(180)]) == 1


@pytest.mark.parametrize(
    ("values", "free", "layers", "said"),
    [
        ({}, 600, 5, None),
        ({}, 300, 3, "3 of 5 layers fit on the GPU"),
        ({"gpu_layers": "-1"}, 600, 5, None),
        ({"gpu_layers": "99999999"}, 600, 5, None),
        ({"gpu_layers": "2"}, 600, 2, None),
        ({"gpu_layers": "3"}, 300, 3, None),
        ({"gpu_layers": "99"}, 300, 5, "5 of 5 layers go to the GPU and about 3 fit"),
        ({"context_size": "4096", "kv": "split", "slots": "8"}, 500, 3, "3 of 5"),
    ],
)
def test_unset_takes_what_fits_and_a_number_is_obeyed(
    values: dict[str, str], free: int, layers: int, said: str | None
) -> None:
    plan = plan_offload(config(**values), header(), [card(free * MIB)])
    assert plan.layers == layers
    assert [remark for remark in plan.remarks if said is None or said not in remark] == []
    assert bool(plan.remarks) == (said is not None)


TWO = [card(600 * MIB), card(600 * MIB, "CUDA1")]


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ({}, Offload(5)),
        ({"main_gpu": "0"}, Offload(5)),
        ({"main_gpu": ""}, Offload(5)),
        ({"main_gpu": "1"}, Offload(5, card=1)),
        ({"tensor_split": "3,1"}, Offload(5, shares=(3.0, 1.0))),
        ({"tensor_split": "0, 0"}, Offload(5)),
        ({"tensor_split": ""}, Offload(5)),
        ({"tensor_split": "0,1"}, Offload(5, shares=(0.0, 1.0))),
        ({"tensor_split": "1", "main_gpu": "0"}, Offload(5, shares=(1.0,))),
    ],
)
def test_cards_are_chosen_as_the_yaml_says(values: dict[str, str], expected: Offload) -> None:
    assert plan_offload(config(**values), header(), TWO) == expected


@pytest.mark.parametrize(
    ("free", "layers", "idle"),
    [
        ([600, 600], 5, []),
        ([600, -500], 5, [1]),
        ([-RESERVE // MIB, 600], 5, [0]),
        ([450, 1, 300], 5, [1]),
        ([2000, 50], 5, [1]),
        ([-500, -500], 0, []),
    ],
)
def test_a_card_with_too_little_room_holds_up_no_other(free: list[int], layers: int, idle: list[int]) -> None:
    cards = [card(size * MIB, f"CUDA{index}") for index, size in enumerate(free)]
    plan = plan_offload(config(), header(), cards)
    assert plan.layers == layers
    assert [index for index, share in enumerate(plan.shares) if not share] == idle
    assert [card.name for card in cards if any(f"no layers go to {card.name}" in each for each in plan.remarks)] == [
        f"CUDA{index}" for index in idle
    ]


def test_a_split_that_is_asked_for_is_kept_where_a_card_has_too_little_room() -> None:
    plan = plan_offload(config(tensor_split="1,1"), header(), [card(600 * MIB), card(-500 * MIB)])
    assert (plan.layers, plan.shares) == (1, (1.0, 1.0))
    assert "change tensor_split" in plan.remarks[0]


def test_a_split_that_gives_the_cards_here_nothing_is_passed_over_and_told() -> None:
    plan = plan_offload(config(tensor_split="0,0,1"), header(), TWO)
    assert plan.shares == ()
    assert plan.remarks == ("tensor_split names 3 cards and there are 2: it gives those nothing and is passed over",)


def test_wishes_that_do_not_go_together_are_told() -> None:
    both = plan_offload(config(main_gpu="1", tensor_split="1,1,2"), header(), TWO)
    assert (both.card, both.shares) == (None, (1.0, 1.0))
    assert both.remarks == (
        "main_gpu chooses one card and tensor_split several: tensor_split counts",
        "tensor_split names 3 cards and there are 2: the first count",
    )


def test_a_card_that_is_not_there_is_refused_with_those_that_are() -> None:
    with pytest.raises(ModelUnusable, match=r"m: main_gpu: 2: .*give one of 0 \(CUDA0\), 1 \(CUDA1\)"):
        plan_offload(config(main_gpu="2"), header(), TWO)


@pytest.mark.parametrize(("layers", "told"), [(None, False), ("0", False), ("35", True), ("-1", True)])
def test_without_a_gpu_the_cpu_computes_and_a_yaml_that_wants_one_is_told(layers: str | None, told: bool) -> None:
    plan = stay_on_cpu(config(gpu_layers=layers, main_gpu="3", tensor_split="1,2"))
    assert plan.layers == 0
    assert bool(plan.remarks) == told


def test_a_context_is_held_to_what_it_cannot_do_without(tmp_path: Path) -> None:
    chat = read_header(write_gguf(tmp_path / "chat.gguf"))
    encoder = read_header(write_gguf(tmp_path / "bert.gguf", "bert"))
    assert least_work(config(context_size=None), chat) == Work(
        cells=8192, rows=512, outputs=8 + MAX_DRAFTED, flash_attention=True
    )
    split = config(kv="split", slots="3", holders="1", flash_attention="off", prompt_lookup="off")
    assert least_work(split, chat) == Work(cells=4000, rows=512, outputs=4, flash_attention=False)
    assert least_work(config(), encoder).rows == 1000


def test_llama_cpp_is_told_the_layers_the_card_and_the_shares() -> None:
    params = lib.llama_model_default_params()
    _place(params, Offload(3, card=1))
    assert (params.n_gpu_layers, params.split_mode, params.main_gpu) == (3, lib.LLAMA_SPLIT_MODE_NONE, 1)
    params = lib.llama_model_default_params()
    _place(params, Offload(3, shares=(3.0, 1.0)))
    assert (params.split_mode, params.tensor_split[0], params.tensor_split[1]) == (lib.LLAMA_SPLIT_MODE_LAYER, 3, 1)


def test_a_card_seen_twice_is_one_and_a_built_in_one_steps_back() -> None:
    first, again = card(1, id="0000:01"), card(1, "Vulkan0", id="0000:01")
    second, built_in = card(1, "CUDA1", id="0000:02"), card(1, "Vulkan1", type=2)
    processor = card(1, "CPU", type=0)
    assert usable_gpus([first, second, again, built_in, processor]) == [first, second]
    assert usable_gpus([built_in, processor]) == [built_in]
    assert usable_gpus([processor]) == []


def test_ggml_itself_tells_devices_and_their_memory() -> None:
    found = devices()
    assert [device.name for device in found if device.type == 0] == ["CPU"]
    assert all(0 <= device.free <= device.total for device in found)
    assert gpus() == usable_gpus(found)
