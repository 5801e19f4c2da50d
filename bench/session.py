"""What every measuring command notes of itself, so that its numbers can be judged and repeated."""

from __future__ import annotations

import dataclasses
import hashlib
import os
import time
import uuid
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from bench.calibrate.calibration import Calibration
from bench.calibrate.measure import calibrate
from bench.deployment import Deployment
from bench.doubts.machine import doubts_of_builds
from bench.doubts.numbers import doubts_of_client
from bench.environment import read_environment
from bench.result import Clock, Flag, Load, ModelFile, Result
from bench.target_spec import TargetSpec

INCOMPLETE = Flag(code="incomplete", severity="invalid", text="the run was stopped before its end")


class Session:
    """Opened before the first measurement; `result` closes it with what was measured."""

    def __init__(self, command: str, name: str) -> None:
        """`command` is the bench's subcommand, `name` what was measured in its user's words."""
        self.id = uuid.uuid4().hex
        self._command = command
        self._name = name
        self._loadavg = os.getloadavg()
        self.calibration: Calibration | None = None

    async def calibrate(self, folder: Path) -> None:
        """Of a command whose numbers are the client's: before it measures. A log goes into `folder`."""
        self.calibration = await calibrate(folder)

    def result(
        self,
        *,
        complete: bool,
        model_name: str | None = None,
        deployment: Deployment | None = None,
        weights: Path | None = None,
        targets: Sequence[TargetSpec] = (),
        validity: list[Flag] | None = None,
        **parts: Any,
    ) -> Result:
        """`parts` are the fields of `Result` that this command fills. Hashes the weights, the deployment's if none are
        given, so not while anything is measured."""
        measured = weights or (Path(deployment.weights) if deployment else None)
        environment = read_environment()
        builds = doubts_of_builds(environment.llama_cpp_features, targets)
        doubts = [*doubts_of_client(self.calibration), *(validity or []), *builds]
        return Result(
            id=self.id,
            command=self._command,
            name=self._name,
            model_name=model_name or (deployment.name if deployment else None),
            created=Clock(wall=datetime.now(UTC).isoformat(), perf_ns=time.perf_counter_ns()),
            complete=complete,
            environment=environment,
            host_load=Load(loadavg_before=self._loadavg, loadavg_after=os.getloadavg()),
            model=_model_file(measured) if measured else None,
            server_config=deployment and dataclasses.replace(deployment, weights=Path(deployment.weights).name),
            targets=list(targets),
            calibration=self.calibration,
            validity=doubts if complete else [INCOMPLETE, *doubts],
            **parts,
        )


def _model_file(path: Path) -> ModelFile:
    with path.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    return ModelFile(file=path.name, sha256=digest, size_bytes=path.stat().st_size)
