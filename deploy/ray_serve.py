"""The HTTP surface on a Ray cluster of one's own: `pip install 'ray[serve]'`, then `serve run deploy.ray_serve:app`.

Each replica loads the models folder for itself; settings come from the environment, as everywhere. Ray gives a process
OMP_NUM_THREADS and no other bound: `num_cpus` and the variable THREADS must say the same.
"""

from __future__ import annotations

import asyncio

from ray import serve
from starlette.types import ASGIApp

from handlers import boot
from handlers.asgi import create_app
from handlers.settings import Settings

LONGEST_QUEUE = 128
"""Requests that a replica is sent at once: more than the slots of its models, so that its own queue decides."""


def build() -> ASGIApp:
    settings = Settings.from_environ()
    return create_app(boot.service, api_keys=settings.api_keys, time_limits=settings.time_limits)


@serve.deployment(num_replicas=2, ray_actor_options={"num_cpus": 1}, max_ongoing_requests=LONGEST_QUEUE)
@serve.ingress(build)
class Warmfn:
    async def __init__(self) -> None:
        """Ends when every model is loaded: until then Ray sends no requests here."""
        while "loading" in self._states().values():
            await asyncio.sleep(0.1)
        self.check_health()

    def check_health(self) -> None:
        """Ray replaces a replica for which this raises."""
        if not boot.service().catalog.readiness()[0]:
            raise RuntimeError(f"not ready: {self._states()}")

    def _states(self) -> dict[str, str]:
        states: dict[str, str] = boot.service().catalog.readiness()[1]["models"]
        return states


app = Warmfn.bind()
