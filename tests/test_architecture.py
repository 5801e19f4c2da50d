"""The house's import rules: who may know whom."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parents[1]
PACKAGES = ("core", "handlers", "bench")

ONLY_IN = {
    "llama_cpp": ("core.llama",),
    "sentence_transformers": ("core.runners.embedding_torch",),
    "torch": ("core.runners.embedding_torch",),
    "gguf": ("core.store.bert_gguf", "bench.plan.synthetic"),
    "safetensors": ("core.store.bert_gguf", "core.runners.embedding_torch"),
    "jinja2": ("core.prompt",),
    "runpod": ("handlers.runpod_worker",),
    "functions_framework": ("handlers.cloud_function",),
    "starlette": ("handlers",),
    "uvicorn": ("handlers",),
    "xllamacpp": ("bench",),
    "locust": ("bench.locustfile", "bench.swarm"),
    "gevent": ("bench.locustfile", "bench.swarm"),
}
"""Library -> the modules that may import it."""

LAYERS = [
    ("core.errors",),
    ("core.coldstart", "core.engine", "core.host", "core.compute", "core.gguf", "core.line", "core.readahead"),
    (
        "core.config",
        "core.limits",
        "core.packs",
        "core.prompt",
        "core.store",
        "core.speed",
        "core.inbox",
        "core.schema",
    ),
    ("core.llama", "core.coalesce", "core.metrics"),
    ("core.loader", "core.outcome", "core.registry", "core.reply", "core.runners", "core.watch"),
    ("core.catalog",),
    ("core.service", "core.doctor", "core.embedding_form", "core.forms", "core.optimize", "core.packer"),
    ("handlers", "bench"),
]
"""From the ground up: a module imports its own layer and those below."""


def modules() -> dict[str, Path]:
    files = [path for package in PACKAGES for path in (ROOT / package).rglob("*.py")]
    return {".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__"): path for path in files}


def imports(path: Path) -> Iterator[str]:
    """Every module named in an import statement, within functions and for types too."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield node.module
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def own_imports() -> dict[str, set[str]]:
    known = modules()
    return {name: {i for i in imports(path) if i in known} - {name} for name, path in known.items()}


def belongs(module: str, places: tuple[str, ...]) -> bool:
    return any(module == place or module.startswith(place + ".") for place in places)


def test_a_library_is_imported_only_where_it_belongs() -> None:
    wrong = [
        f"{name} imports {library}"
        for name, path in modules().items()
        for library, places in ONLY_IN.items()
        if library in {imported.split(".")[0] for imported in imports(path)} and not belongs(name, places)
    ]
    assert wrong == []


def test_no_arrow_points_upwards() -> None:
    def layer(module: str) -> int:
        return next(i for i, places in enumerate(LAYERS) if belongs(module, places))

    packages = {"core", *PACKAGES}
    wrong = [
        f"{name} imports {imported}"
        for name, found in own_imports().items()
        for imported in found
        if imported not in packages and name not in packages and layer(imported) > layer(name)
    ]
    assert wrong == []


def test_the_engine_knows_nothing_but_errors() -> None:
    for name, found in own_imports().items():
        if belongs(name, ("core.engine",)):
            assert all(belongs(imported, ("core.engine", "core.errors")) for imported in found), name


def test_the_core_and_the_handlers_stay_below_the_bench() -> None:
    for name, found in own_imports().items():
        wrong = {imported for imported in found if belongs(imported, ("bench",)) and not belongs(name, ("bench",))}
        assert not wrong or name == "handlers.commands.bench"


def test_there_is_no_import_circle() -> None:
    graph = own_imports()
    done: set[str] = set()

    def visit(module: str, trail: tuple[str, ...]) -> None:
        assert module not in trail, " -> ".join((*trail, module))
        if module not in done:
            for imported in graph[module]:
                visit(imported, (*trail, module))
            done.add(module)

    for module in graph:
        visit(module, ())


def test_importing_the_service_loads_no_heavy_library() -> None:
    heavy = ("llama_cpp", "torch", "sentence_transformers", "transformers", "numpy", "jinja2")
    code = f"import sys, core.service; print([name for name in {heavy} if name in sys.modules])"
    found = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    assert found.strip() == "[]"
