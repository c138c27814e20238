"""Finding what is near: observations by cells of space and time."""

import math
from collections.abc import Callable, Iterable, Sequence
from itertools import product
from typing import Final

from processors.incidents.clusters import METRES_PER_DEG
from schemas.records import Observation

Cell = int
"""Column, row and time slot in one number; where two cells share one, more is looked at than need be."""

Linked = Callable[[Observation, Observation], bool]

_ROW: Final = 1 << 24
_SLOT: Final = 1 << 48
_CORNERS: Final = tuple(x + y * _ROW + t * _SLOT for x, y, t in product((0, 1), repeat=3))


class CellIndex:
    """Observations by cell. Cells are twice as wide and long as the reach: two a side hold all that is in reach.

    latitude_deg: the latitude farthest from the equator that observations may have; nearer ones get wider cells.
    """

    def __init__(self, reach_m: float, reach_s: int, latitude_deg: float) -> None:
        self._rows_per_deg = METRES_PER_DEG / (2 * reach_m * 1.001)
        self._columns_per_deg = self._rows_per_deg * math.cos(math.radians(latitude_deg))
        self._reach_ms = reach_s * 1000
        self._cells: dict[Cell, list[Observation]] = {}

    def add(self, one: Observation) -> None:
        """Put an observation in."""
        self._cells.setdefault(self._cell(one), []).append(one)

    def remove(self, one: Observation) -> None:
        """Take one out that was put in."""
        cell = self._cell(one)
        rest = [other for other in self._cells[cell] if other is not one]
        if rest:
            self._cells[cell] = rest
        else:
            del self._cells[cell]

    def near(self, one: Observation) -> list[Observation]:
        """Return everything within reach of an observation, and what else is in those cells."""
        found: list[Observation] = []
        for _, content in self.cells_around(one):
            found += content
        return found

    def cells_around(self, one: Observation) -> list[tuple[Cell, Sequence[Observation]]]:
        """Return the cells that hold all within reach of an observation, the empty ones left out, and their content."""
        first = self._number(
            math.floor(one.longitude_deg * self._columns_per_deg - 0.5),
            math.floor(one.latitude_deg * self._rows_per_deg - 0.5),
            (one.at_ms - self._reach_ms) // (2 * self._reach_ms),
        )
        cells = self._cells
        return [(first + corner, cells[first + corner]) for corner in _CORNERS if first + corner in cells]

    def between(self, one: Observation, reach_m: float, from_ms: int, until_ms: int) -> list[Observation]:
        """Return everything up to `reach_m` from an observation that is of that time, and what else is in its cells."""
        rows = reach_m * 1.001 / METRES_PER_DEG * self._rows_per_deg
        x, y = one.longitude_deg * self._columns_per_deg, one.latitude_deg * self._rows_per_deg
        cells = product(
            range(math.floor(x - rows), math.floor(x + rows) + 1),
            range(math.floor(y - rows), math.floor(y + rows) + 1),
            range(from_ms // (2 * self._reach_ms), until_ms // (2 * self._reach_ms) + 1),
        )
        return [other for cell in cells for other in self._cells.get(self._number(*cell), ())]

    def _cell(self, one: Observation) -> Cell:
        return self._number(
            math.floor(one.longitude_deg * self._columns_per_deg),
            math.floor(one.latitude_deg * self._rows_per_deg),
            one.at_ms // (2 * self._reach_ms),
        )

    @staticmethod
    def _number(column: int, row: int, slot: int) -> Cell:
        return column + row * _ROW + slot * _SLOT


def component(indexes: Sequence[CellIndex], starts: Iterable[Observation], linked: Linked) -> dict[str, Observation]:
    """Return everything that is reached from some observations by links, by id.

    starts: need not be in the indexes (any more), and are in the answer only if they are.
    linked: true only for observations within the reach of the indexes.
    """
    found: dict[str, Observation] = {}
    unseen: list[dict[Cell, Sequence[Observation]]] = [{} for _ in indexes]
    todo = list(starts)
    while todo:
        one = todo.pop()
        for index, rest in zip(indexes, unseen, strict=True):
            for cell, content in index.cells_around(one):
                there = rest.get(cell, content)
                reached = {other.observation_id: other for other in there if linked(one, other)}
                rest[cell] = [other for other in there if other.observation_id not in reached] if reached else there
                found |= reached
                todo += reached.values()
    return found
