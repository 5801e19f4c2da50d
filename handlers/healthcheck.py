"""An image's HEALTHCHECK: exit status 0 while the server that `handlers.start` became answers."""

from __future__ import annotations

import os
import sys
from http.client import HTTPConnection, HTTPException

from handlers.start import address, mode

TIMEOUT_S = 4


def main() -> int:
    """A queue worker serves no HTTP: it is well for as long as it runs."""
    if mode(os.environ) == "runpod":
        return 0
    port = int(address(os.environ).rpartition(":")[2])
    # Not urllib, which would ask a proxy of the environment.
    connection = HTTPConnection("127.0.0.1", port, timeout=TIMEOUT_S)
    try:
        connection.request("GET", "/health")
        return int(connection.getresponse().status != 200)
    except (OSError, HTTPException) as error:
        print(f"127.0.0.1:{port} does not answer: {error}", file=sys.stderr)
        return 1
    finally:
        connection.close()


if __name__ == "__main__":
    sys.exit(main())
