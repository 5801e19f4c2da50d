"""RunPod's Hub asks for a file of this name; in an image `handlers.start` picks the same worker by MODE=runpod."""

from __future__ import annotations

import sys

from handlers.runpod_worker import main

if __name__ == "__main__":
    sys.exit(main())
