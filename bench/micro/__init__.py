"""Small parts of a server, timed alone by pytest-benchmark: `warmfn bench micro MODEL`, or pytest on this folder."""
