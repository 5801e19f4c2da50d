"""Changes to a model's YAML that leave everything else of it as its author wrote it, comments included."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Sequence
from pathlib import Path

import yaml

from core.config.document import DocumentError, parse_document
from core.errors import StoreError
from core.store.disk import explained_disk_errors


def replace_comment(text: str, first: str, lines: Sequence[str]) -> str:
    """`text` with the comment `first` and indented `lines` below it at its end, instead of an earlier one that began
    with the same words up to a colon."""
    head = f"# {first.partition(':')[0]}:"
    kept, within = [], False
    for line in text.splitlines():
        within = line.startswith(head) or (within and line.startswith("#   "))
        if not within:
            kept.append(line)
    return "\n".join([*kept, f"# {first}", *(f"#   {line}" for line in lines)]) + "\n"


def replace_model(text: str, name: str, model: str) -> str:
    """`text` with another `parameters.model` for the model `name`. Raises StoreError where that does not stand in it as
    a plain value."""
    node = _model_node(text, name)
    if node is None or node.style in ("|", ">"):
        raise StoreError(f"parameters.model of {name} is no plain value in its YAML: write `model: {model}` there")
    changed = text[: node.start_mark.index] + json.dumps(model, ensure_ascii=False) + text[node.end_mark.index :]
    if _model_node(changed, name) is None:
        raise StoreError(f"the YAML of {name} cannot be changed safely: write `model: {model}` into it")
    return changed


def _model_node(text: str, name: str) -> yaml.ScalarNode | None:
    try:
        parse_document(text)
        top = yaml.compose(text, yaml.SafeLoader)
    except (DocumentError, yaml.YAMLError):
        return None
    entries = top.value if isinstance(top, yaml.SequenceNode) else [top]
    for entry in entries:
        found = _child(entry, "name")
        if (isinstance(found, yaml.ScalarNode) and found.value == name) or len(entries) == 1:
            model = _child(_child(entry, "parameters"), "model")
            return model if isinstance(model, yaml.ScalarNode) else None
    return None


def _child(node: yaml.Node | None, key: str) -> yaml.Node | None:
    if not isinstance(node, yaml.MappingNode):
        return None
    return next((value for name, value in node.value if name.value == key), None)


def rewrite(path: Path, text: str) -> None:
    """Put `text` into the file at `path`, all of it or nothing. Raises StoreError."""
    target = path.resolve()
    part = target.with_name(f".{target.name}.{os.getpid()}.tmp")
    with explained_disk_errors(target.parent):
        try:
            part.write_text(text, "utf-8")
            shutil.copymode(target, part)
            os.replace(part, target)
        finally:
            part.unlink(missing_ok=True)
