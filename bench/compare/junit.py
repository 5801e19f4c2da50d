"""The checks of a gate as JUnit XML, which CI systems show beside the tests."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from xml.etree import ElementTree

from bench.compare.checks import Check


def write_junit(checks: Sequence[Check], path: Path) -> None:
    """A warning counts as skipped: it was looked at, and nothing could be said."""
    counts = {
        "tests": len(checks),
        "failures": sum(check.status == "fail" for check in checks),
        "skipped": sum(check.status == "warn" for check in checks),
    }
    suite = ElementTree.Element("testsuite", {"name": "bench compare"} | {k: str(v) for k, v in counts.items()})
    for check in checks:
        case = ElementTree.SubElement(suite, "testcase", classname=" ".join(check.place), name=check.rule)
        if check.status == "fail":
            ElementTree.SubElement(case, "failure", message=check.words)
        elif check.status == "warn":
            ElementTree.SubElement(case, "skipped", message=check.words)
    ElementTree.ElementTree(suite).write(path, encoding="utf-8", xml_declaration=True)
