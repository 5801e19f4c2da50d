"""What stops a bench run: always something that its user can put right."""

from __future__ import annotations

from core.errors import CoreError


class BenchError(CoreError):
    """A scenario that cannot be read, a target that does not start or does not answer as it should."""

    code = "bench_failed"
