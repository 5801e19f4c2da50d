"""A config's Go templates: each `template.<kind>` resolved to its source text, and what is wrong with it.

A value names a .tmpl file of the folder, or a template of the gallery definition it stands in, or is the template
itself. LocalAI takes a name without a file for the template, so that the prompt becomes that name: an error here,
unless the config says `compat: strict`. What is wrong with one template leaves the others usable.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Literal, get_args

from core.config.problem import Severity
from core.config.scalars import brief
from core.config.template_fields import offered, unknown_reads
from core.prompt.gotemplate import GoTemplate, TemplateError

if TYPE_CHECKING:
    from core.prompt.gotemplate.reads import FieldRead

TemplateKind = Literal["chat", "chat_message", "completion", "edit", "function", "multimodal"]
KINDS: tuple[TemplateKind, ...] = get_args(TemplateKind)
IMPLICIT: tuple[TemplateKind, ...] = ("chat", "completion", "edit")
"""Kinds for which a .tmpl file beside the weights counts where the YAML names none."""

MAX_TEMPLATE_BYTES = 256 * 1024


@dataclass(frozen=True)
class TemplateSource:
    """`origin` is the .tmpl file's path or "<yaml path>: template.<kind>"; `problem` is why it cannot be used."""

    text: str
    origin: str
    problem: str | None = None


@dataclass(frozen=True)
class Written:
    """A text in the YAML, and the line on which it begins, if it is a block whose lines are the file's."""

    text: str
    first_line: int | None = None


@dataclass(frozen=True)
class Finding:
    """What to know about one template. `file` is the .tmpl it stands in, None for the YAML; `line` is a line of it."""

    kind: TemplateKind
    message: str
    severity: Severity
    file: Path | None = None
    line: int | None = None


@dataclass(frozen=True)
class TemplateFolder:
    """Where names are looked up: `named` holds a gallery definition's own templates, which come before files.

    `yaml` is the file that names them; `beside` are the weights' names in `root`, for `<weights>.tmpl`.
    """

    root: Path
    yaml: str
    named: Mapping[str, Written] = field(default_factory=dict)
    beside: tuple[str, ...] = ()
    is_strict: bool = False

    def resolve(
        self, values: Mapping[TemplateKind, Written]
    ) -> tuple[dict[TemplateKind, TemplateSource], list[Finding]]:
        """The config's templates, of those kinds that have one."""
        sources: dict[TemplateKind, TemplateSource] = {}
        findings: list[Finding] = []
        for kind in KINDS:
            if (text := self._find(kind, values.get(kind))) is None:
                continue
            found = list(self._judge(kind, text))
            findings += [finding for finding in found if not _is_told(finding, findings)]
            problem = next((finding.message for finding in found if finding.severity == "error"), None)
            sources[kind] = TemplateSource(text.source, text.origin, problem)
        return sources, findings

    def _find(self, kind: TemplateKind, value: Written | None) -> _Text | None:
        if not value or not value.text:
            files = (self._file(name) for name in self.beside) if kind in IMPLICIT else ()
            file = next((file for file in files if file), None)
            return _read(file) if file else None
        if named := self.named.get(value.text):
            return _Text(named.text, f"{self.yaml}: prompt_templates: {value.text}", named.first_line)
        if file := self._file(value.text):
            return _read(file)
        # A name without a file: LocalAI takes it for the template itself.
        is_name = "\n" not in value.text.strip()
        return _Text(value.text, f"{self.yaml}: template.{kind}", value.first_line, is_name=is_name)

    def _file(self, name: str) -> Path | None:
        """`<name>.tmpl` below the root; links are followed, `..` is not."""
        path = PurePosixPath(f"{name}.tmpl")
        if path.is_absolute() or ".." in path.parts:
            return None
        file = self.root / path
        return file if os.path.isfile(file) else None  # which is False, too, for a whole template taken for a name

    def _judge(self, kind: TemplateKind, text: _Text) -> Iterator[Finding]:
        if text.flaw:
            yield Finding(kind, text.flaw, text.flaw_severity, text.file)
            if text.flaw_severity == "error":
                return
        if "{{" not in text.source:
            message = self._missing(text.source) if text.is_name else _CONSTANT
            yield self._fault(kind, text, message, "the prompt is this text, whatever is asked")
            return
        try:
            template = GoTemplate(text.source)
        except TemplateError as error:
            message = f"this is no Go template: {error.message if text.first_line else error}: correct it"
            yield self._fault(kind, text, message, _PASSED_OVER, text.line(error.line))
        else:
            yield from (self._unknown(kind, text, read) for read in unknown_reads(kind, template))

    def _unknown(self, kind: TemplateKind, text: _Text, read: FieldRead) -> Finding:
        """A field that does not exist fails once the template comes to it, which under a condition may be never."""
        line = text.line(text.source.count("\n", 0, read.position) + 1)
        message = f"there is no .{read.name}: write one of {', '.join(f'.{name}' for name in offered(kind))}"
        if read.always:
            return self._fault(kind, text, message, _PASSED_OVER, line)
        return Finding(kind, f"{message}; it fails where the template comes to it", "warning", text.file, line)

    def _fault(
        self, kind: TemplateKind, text: _Text, message: str, consequence: str, line: int | None = None
    ) -> Finding:
        """An error, unless the config wants to go on as LocalAI does."""
        if self.is_strict:
            return Finding(kind, f"{message} (compat: strict: {consequence})", "warning", text.file, line)
        return Finding(kind, message, "error", text.file, line)

    def _missing(self, name: str) -> str:
        if ".." in PurePosixPath(name).parts or name.startswith("/"):
            return f"{brief(name)} leads outside the models folder: put it into {self.root} and name it from there"
        if name.endswith(".tmpl"):
            is_there = self._file(name.removesuffix(".tmpl"))
            first = "" if is_there else f"there is no file {brief(name)} in {self.root}: put it there, and "
            return f"{first}leave out .tmpl in {brief(name)}, it is added to what is written here"
        return (
            f"there is no file {brief(f'{name}.tmpl')} in {self.root}, and the name itself would be the prompt: "
            "put that file there, or write the template here, with {{.Input}} in it"
        )


def _is_told(finding: Finding, earlier: list[Finding]) -> bool:
    """Whether the same is known of the same file, which may serve several kinds."""
    return finding.file is not None and any(
        (finding.file, finding.message) == (each.file, each.message) for each in earlier
    )


_PASSED_OVER = "this template is passed over"
_CONSTANT = "it has no {{...}} in it, so its prompt is always the same: write {{.Input}} ({{.Content}} for a message)"


@dataclass(frozen=True)
class _Text:
    source: str
    origin: str
    first_line: int | None = None
    file: Path | None = None
    flaw: str = ""
    flaw_severity: Severity = "error"
    is_name: bool = False

    def line(self, number: int) -> int | None:
        """The line of the file for one of the text's."""
        return self.first_line + number - 1 if self.first_line else None


def _read(file: Path) -> _Text:
    try:
        with file.open("rb") as stream:
            data = stream.read(MAX_TEMPLATE_BYTES + 1)
    except OSError as error:
        return _Text("", str(file), None, file, f"cannot be read: {error.strerror}: make the file readable")
    if len(data) > MAX_TEMPLATE_BYTES:
        flaw = f"is longer than {MAX_TEMPLATE_BYTES} bytes: a prompt template is a short text, name another file"
        return _Text("", str(file), None, file, flaw)
    try:
        return _Text(data.decode(), str(file), 1, file)
    except UnicodeDecodeError as error:
        flaw = f"is not UTF-8 (byte {error.start}) and is read with replacement characters: save it as UTF-8"
        return _Text(data.decode(errors="replace"), str(file), 1, file, flaw, "warning")
