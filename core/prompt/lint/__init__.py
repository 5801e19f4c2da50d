"""What a model's prompts get wrong, told by rendering a few conversations and reading what comes out.

Nothing is computed: a vocabulary is enough. Every check is a generator of findings.
"""

from __future__ import annotations

from core.config.model import ModelConfig
from core.config.problem import Problem
from core.errors import CoreError
from core.prompt.lint.chat import CHAT_CHECKS
from core.prompt.lint.subject import QUESTION, Finding, Subject, Vocabulary
from core.prompt.lint.templates import TEMPLATE_CHECKS
from core.prompt.prompts import OwnTemplate, uses_own_template

__all__ = ["lint"]


def lint(config: ModelConfig, own: OwnTemplate | None, vocabulary: Vocabulary) -> list[Problem]:
    """Everything that the prompts of a text model get wrong, but for templates that the folder's reader has refused
    already. `own` is the template in the weights."""
    subject = Subject(config, own, vocabulary)
    findings: list[Finding] = []
    checks = [*CHAT_CHECKS, *TEMPLATE_CHECKS]
    try:
        subject.chat(QUESTION)
    except CoreError as error:
        checks = [*TEMPLATE_CHECKS]
        if not any(source.problem for source in config.templates.values()):
            is_base_model = own is None and uses_own_template(config)
            findings.append(Finding.refused(error, severity="warning" if is_base_model else "error"))
    findings += [finding for check in checks for finding in check(subject)]
    return [_problem(config, finding) for finding in dict.fromkeys(findings)]


def _problem(config: ModelConfig, finding: Finding) -> Problem:
    source = config.templates.get(finding.kind)
    if source is None and finding.kind == "chat" and not uses_own_template(config):
        source = config.templates["chat_message"]
    line, message = None, finding.message
    if source is None:
        file, key = str(config.root / (config.parameters.model or config.name)), "tokenizer.chat_template"
    elif source.origin.endswith(".tmpl"):
        file, key, line = source.origin, f"template.{finding.kind}", finding.line
    else:
        file, key = str(config.source), f"template.{finding.kind}"
        message = message if finding.line is None else f"line {finding.line}: {message}"
    return Problem(file, line, key, message, finding.severity, config.name)
