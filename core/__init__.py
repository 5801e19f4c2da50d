from core import coldstart  # noqa: F401  (reads the clock first)
