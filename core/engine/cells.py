"""Counts the cells of the unified KV pool, which sequences share where they share a prefix.

llama.cpp marks a cell with every sequence that reads it and frees it with the last one; this mirrors that.
"""

from __future__ import annotations

from collections.abc import Sequence


class Cells:
    """`num_cells` places; a cell's number here is our own, not llama.cpp's."""

    def __init__(self, num_cells: int) -> None:
        self._free = list(range(num_cells - 1, -1, -1))
        self._readers = [0] * num_cells

    @property
    def num_free(self) -> int:
        return len(self._free)

    def take(self, count: int) -> list[int]:
        assert count <= len(self._free), "admission reserves cells, so they cannot run out"
        cells = [self._free.pop() for _ in range(count)]
        for cell in cells:
            self._readers[cell] = 1
        return cells

    def share(self, cells: Sequence[int]) -> None:
        for cell in cells:
            self._readers[cell] += 1

    def drop(self, cells: Sequence[int]) -> None:
        for cell in cells:
            self._readers[cell] -= 1
            if not self._readers[cell]:
                self._free.append(cell)
