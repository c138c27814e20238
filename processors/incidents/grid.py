"""Finding the neighbourhood of a change: observations of one rule by cells of space and time.

Cells are so large that whatever is linked (clusters.linked) lies in the same or in adjacent cells; a neighbourhood is
everything reachable from cell to adjacent cell, so it holds whole components and perhaps some more.
"""

import math
from collections.abc import Iterable, Iterator, Sequence
from itertools import product
from typing import Final

from processors.incidents.clusters import METRES_PER_DEG
from processors.incidents.rules import Rule
from schemas.records import Observation

Cell = tuple[int, int, int]
"""Column, row and time slot."""

_AROUND: Final = tuple(product((-1, 0, 1), repeat=3))


class Grid:
    """Observations of one rule; passing ones in fine cells, which nest in the coarse cells of the firm ones.

    latitude_deg: the latitude farthest from the equator that observations may have; nearer ones get wider cells.
    """

    def __init__(self, rule: Rule, latitude_deg: float) -> None:
        within, passing = rule.within, rule.passing
        fine_m = 2 * within.distance_m if passing is None else passing.distance_m
        fine_s = within.quiet_s if passing is None else passing.quiet_s
        self._rule = rule
        self._row_deg = fine_m * 1.001 / METRES_PER_DEG
        self._column_deg = self._row_deg / math.cos(math.radians(latitude_deg))
        self._slot_ms = fine_s * 1000
        self._wide = math.ceil(2 * within.distance_m / fine_m)
        self._long = math.ceil(within.quiet_s / fine_s)
        self._firm: dict[Cell, dict[str, Observation]] = {}
        self._passing: dict[Cell, dict[str, Observation]] = {}
        self._fine_in: dict[Cell, dict[Cell, None]] = {}

    def add(self, one: Observation) -> None:
        """Put an observation in."""
        fine = self.fine_cell(one)
        coarse = self.coarse_cell(fine)
        if self._rule.is_passing(one.kind):
            self._passing.setdefault(fine, {})[one.observation_id] = one
            self._fine_in.setdefault(coarse, {})[fine] = None
        else:
            self._firm.setdefault(coarse, {})[one.observation_id] = one

    def remove(self, one: Observation) -> None:
        """Take one out that was put in."""
        fine = self.fine_cell(one)
        coarse = self.coarse_cell(fine)
        if not self._rule.is_passing(one.kind):
            del self._firm[coarse][one.observation_id]
            if not self._firm[coarse]:
                del self._firm[coarse]
            return
        del self._passing[fine][one.observation_id]
        if not self._passing[fine]:
            del self._passing[fine]
            del self._fine_in[coarse][fine]
            if not self._fine_in[coarse]:
                del self._fine_in[coarse]

    def fine_cell(self, one: Observation) -> Cell:
        """Return the cell of a passing observation."""
        return (
            math.floor(one.longitude_deg / self._column_deg),
            math.floor(one.latitude_deg / self._row_deg),
            one.at_ms // self._slot_ms,
        )

    def coarse_cell(self, fine: Cell) -> Cell:
        """Return the cell of firm observations that a fine cell lies in."""
        return fine[0] // self._wide, fine[1] // self._wide, fine[2] // self._long

    def firm_around(self, coarse: Cell) -> Iterator[Cell]:
        """Yield the cells at and around a coarse cell that hold firm observations."""
        return (cell for cell in _around(coarse) if cell in self._firm)

    def passing_around(self, fine: Cell) -> Iterator[Cell]:
        """Yield the cells at and around a fine cell that hold passing observations."""
        return (cell for cell in _around(fine) if cell in self._passing)

    def passing_near(self, coarse: Cell) -> Iterator[Cell]:
        """Yield the fine cells with passing observations in and around a coarse cell."""
        return (fine for cell in _around(coarse) for fine in self._fine_in.get(cell, ()))

    def firm_in(self, coarse: Cell) -> Iterable[Observation]:
        """Return the firm observations in a cell."""
        return self._firm.get(coarse, {}).values()

    def passing_in(self, fine: Cell) -> Iterable[Observation]:
        """Return the passing observations in a cell."""
        return self._passing.get(fine, {}).values()


def neighbourhood(grids: Sequence[Grid], starts: Iterable[Observation], rule: Rule) -> dict[str, Observation]:
    """Return what lies in the neighbourhoods of some observations, which need not be in the grids (any more).

    grids: of the same rule and latitude; where two hold the same observation id, the last one's counts.
    """
    firm: set[Cell] = set()
    passing: set[Cell] = set()
    todo: list[tuple[bool, Cell]] = []

    def visit(is_passing: bool, cell: Cell) -> None:
        seen = passing if is_passing else firm
        if cell not in seen:
            seen.add(cell)
            todo.append((is_passing, cell))

    for one in starts:
        fine = grids[0].fine_cell(one)
        is_passing = rule.is_passing(one.kind)
        visit(is_passing, fine if is_passing else grids[0].coarse_cell(fine))
    while todo:
        is_passing, cell = todo.pop()
        coarse = grids[0].coarse_cell(cell) if is_passing else cell
        for grid in grids:
            for near in grid.firm_around(coarse):
                visit(False, near)
            for near in grid.passing_around(cell) if is_passing else grid.passing_near(coarse):
                visit(True, near)
    found: dict[str, Observation] = {}
    for grid in grids:
        for cell in firm:
            found.update((one.observation_id, one) for one in grid.firm_in(cell))
        for cell in passing:
            found.update((one.observation_id, one) for one in grid.passing_in(cell))
    return found


def _around(cell: Cell) -> Iterator[Cell]:
    return ((cell[0] + x, cell[1] + y, cell[2] + t) for x, y, t in _AROUND)
