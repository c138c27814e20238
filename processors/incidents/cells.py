"""Finding what is near: observations by cells of space and time."""

import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import product
from typing import Final

from processors.incidents.clusters import METRES_PER_DEG
from schemas.records import Observation

Cell = tuple[int, int, int]
"""Column, row and time slot."""

Linked = Callable[[Observation, Observation], bool]

_AROUND: Final = tuple(product((-1, 0, 1), repeat=3))


class CellIndex:
    """Observations by cell; what is up to `reach_m` and `reach_s` apart is in the same or in adjacent cells.

    latitude_deg: the latitude farthest from the equator that observations may have; nearer ones get wider cells.
    """

    def __init__(self, reach_m: float, reach_s: int, latitude_deg: float) -> None:
        self._row_deg = reach_m * 1.001 / METRES_PER_DEG
        self._column_deg = self._row_deg / math.cos(math.radians(latitude_deg))
        self._slot_ms = reach_s * 1000
        self._cells: dict[Cell, dict[str, Observation]] = {}

    def add(self, one: Observation) -> None:
        """Put an observation in."""
        self._cells.setdefault(self._cell(one), {})[one.observation_id] = one

    def remove(self, one: Observation) -> None:
        """Take one out that was put in."""
        cell = self._cell(one)
        del self._cells[cell][one.observation_id]
        if not self._cells[cell]:
            del self._cells[cell]

    def near(self, one: Observation) -> Iterator[Observation]:
        """Yield everything in the cell of an observation and in those around it."""
        for cell in self.cells_around(one):
            yield from self._cells[cell].values()

    def cells_around(self, one: Observation) -> list[Cell]:
        """Return the cell of an observation and those around it, the empty ones left out."""
        column, row, slot = self._cell(one)
        around = [(column + x, row + y, slot + t) for x, y, t in _AROUND]
        return [cell for cell in around if cell in self._cells]

    def content(self, cell: Cell) -> list[Observation]:
        """Return what is in a cell."""
        return list(self._cells[cell].values())

    def _cell(self, one: Observation) -> Cell:
        return (
            math.floor(one.longitude_deg / self._column_deg),
            math.floor(one.latitude_deg / self._row_deg),
            one.at_ms // self._slot_ms,
        )


def component(indexes: Sequence[CellIndex], starts: Iterable[Observation], linked: Linked) -> dict[str, Observation]:
    """Return everything that is reached from some observations by links, by id.

    starts: need not be in the indexes (any more), and are in the answer only if they are.
    linked: true only for observations within the reach of the indexes.
    """
    found: dict[str, Observation] = {}
    unseen: list[dict[Cell, list[Observation]]] = [{} for _ in indexes]
    todo = list(starts)
    while todo:
        one = todo.pop()
        for index, rest in zip(indexes, unseen, strict=True):
            for cell in index.cells_around(one):
                there = rest[cell] if cell in rest else index.content(cell)
                reached = [other for other in there if linked(one, other)]
                rest[cell] = [other for other in there if other not in reached] if reached else there
                found.update((other.observation_id, other) for other in reached)
                todo += reached
    return found
