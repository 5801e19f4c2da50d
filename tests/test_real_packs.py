"""Packs of the default chat model, made by the command and read by another process."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from core.config.folder import read_folder
from core.packs.folder import PackFolder
from handlers.cli import main

pytestmark = pytest.mark.weights

WEIGHTS = "SmolLM2-135M-Instruct.Q4_1.gguf"
SYSTEM = "You answer questions about the planets. " + " ".join(
    f"Planet {number} has {number * 3} moons and takes {number * 100} days." for number in range(1, 13)
)
QUESTION = [{"role": "system", "content": SYSTEM}, {"role": "user", "content": "How many moons has planet 4?"}]

FIRST_REQUEST = """
import json, sys
from pathlib import Path
from core.config.folder import read_folder
from core.service import Service

service = Service(read_folder(Path(sys.argv[1])))
[reply] = service.open("chat/completions", {"model": "m", "messages": json.loads(sys.argv[2]), "max_tokens": 12})
print(json.dumps(reply))
service.close()
"""


@pytest.fixture
def folder(models_folder: Path, tmp_path: Path) -> Path:
    (tmp_path / WEIGHTS).symlink_to(models_folder / WEIGHTS)
    prefix = json.dumps([{"role": "system", "content": SYSTEM}])
    text = f"name: m\nslots: 2\ncontext_size: 1024\nkv: split\nparameters: {{model: {WEIGHTS}, temperature: 0}}\n"
    (tmp_path / "m.yaml").write_text(f"{text}prefixes: [{{messages: {prefix}}}]\n")
    return tmp_path


def first_request(folder: Path) -> tuple[str, int, str]:
    """(text, cached tokens, log) of a process of its own."""
    command = [sys.executable, "-c", FIRST_REQUEST, str(folder), json.dumps(QUESTION)]
    found = subprocess.run(command, cwd=Path(__file__).parents[1], capture_output=True, text=True, check=True)
    reply = json.loads(found.stdout)
    cached = reply["usage"]["prompt_tokens_details"]["cached_tokens"]
    return reply["choices"][0]["message"]["content"], cached, found.stderr


def test_a_pack_serves_the_first_request_of_a_fresh_process_and_a_damaged_one_does_not(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["pack", "m", "--models", str(folder)]) == 0
    assert "computed in" in capsys.readouterr().out
    [pack] = PackFolder(read_folder(folder).configs["m"]).packs()[0]
    text, cached, _ = first_request(folder)
    assert cached == len(pack.tokens) > 200

    data = bytearray(pack.path.read_bytes())
    data[len(data) // 2] ^= 1
    pack.path.write_bytes(data)
    fresh, cached, log = first_request(folder)
    assert cached < 10
    assert f"{pack.path.name}: this pack is damaged" in log
    assert main(["doctor", "m", "--models", str(folder)]) == 0
    assert "this pack is damaged" in capsys.readouterr().out
    assert text[:8] == fresh[:8], "near-ties may part them later; tests/parity holds the odds to a bound"
