"""Finding what is near: observations by spans of time, in each by squares of the ground."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from copy import copy
from itertools import product
from math import cos, floor, radians
from typing import Final

from processors.incidents.clusters import METRES_PER_DEG
from schemas.records import Observation

Square = int | str
"""A square of the ground, or a subject."""

Cell = tuple[int, Square]
"""Span and square."""

SubjectOf = Callable[[Observation], str]

Linked = Callable[[Observation, Observation], bool]

_ROW: Final = 1 << 24
"""A square is column + row x this; where two share a number, more is looked at than need be."""


class CellIndex:
    """Observations by span and square, both twice as long as the reach: two spans of four squares hold all within it.

    latitude_deg: the latitude farthest from the equator that observations may have; nearer ones get wider squares.
    subject_of: what belongs together wherever it is; if given, a subject takes the place of a square.
    """

    def __init__(self, reach_m: float, reach_s: int, latitude_deg: float, subject_of: SubjectOf | None = None) -> None:
        self._subject_of = subject_of
        self._rows_per_deg = METRES_PER_DEG / (2 * reach_m * 1.001)
        self._columns_per_deg = self._rows_per_deg * cos(radians(latitude_deg))
        self._reach_ms, self._span_ms = reach_s * 1000, 2 * reach_s * 1000
        # Spans first: what is asked for is mostly new, so few squares are looked up again and again.
        self._spans: dict[int, dict[Square, list[Observation]]] = {}
        self._newest_ms = 0

    def empty(self) -> "CellIndex":
        """Return another one that is like it, with nothing in it."""
        other = copy(self)
        other._spans, other._newest_ms = {}, 0
        return other

    def add(self, one: Observation) -> None:
        """Put an observation in."""
        squares = self._spans.setdefault(one.at_ms // self._span_ms, {})
        squares.setdefault(self._square(one), []).append(one)
        if one.at_ms > self._newest_ms:
            self._newest_ms = one.at_ms

    def remove(self, one: Observation) -> None:
        """Take one out that was put in."""
        span, square = one.at_ms // self._span_ms, self._square(one)
        squares = self._spans[span]
        squares[square] = [other for other in squares[square] if other is not one]
        if not squares[square]:
            del squares[square]
            if not squares:
                del self._spans[span]

    def near(self, one: Observation) -> list[Observation]:
        """Return everything within reach of an observation, and what else is in those cells."""
        found: list[Observation] = []
        first_span = (one.at_ms - self._reach_ms) // self._span_ms
        spans = self._spans.get(first_span), self._spans.get(first_span + 1)
        if spans == (None, None):
            return found
        around = self._around(one)
        for squares in spans:
            if squares is not None:
                for square in around:
                    if square in squares:
                        found += squares[square]
        return found

    def cells_around(self, one: Observation) -> list[Cell]:
        """Return the cells that hold all within reach of an observation, the empty ones left out."""
        span = (one.at_ms - self._reach_ms) // self._span_ms
        cells = product((span, span + 1), self._around(one))
        return [(span, square) for span, square in cells if square in self._spans.get(span, ())]

    def content(self, cell: Cell) -> Sequence[Observation]:
        """Return everything in a cell that is not empty."""
        return self._spans[cell[0]][cell[1]]

    def between(self, one: Observation, reach_m: float, from_ms: int, until_ms: int) -> Iterator[Observation]:
        """Yield everything up to `reach_m` from an observation that is of that time, and some others."""
        if from_ms > self._newest_ms:
            return
        around = self._within(one, reach_m)
        for span in self._between(from_ms // self._span_ms, until_ms // self._span_ms):
            squares = self._spans[span]
            for square in around:
                if square in squares:
                    yield from squares[square]

    def _between(self, first: int, last: int) -> list[int]:
        """Return the spans from the first to the last that hold anything."""
        if last - first < len(self._spans):
            return [span for span in range(first, last + 1) if span in self._spans]
        return sorted(span for span in self._spans if first <= span <= last)

    def _within(self, one: Observation, reach_m: float) -> Sequence[Square]:
        """Return the squares that hold all up to `reach_m` from a place."""
        if self._subject_of is not None:
            return (self._subject_of(one),)
        rows = reach_m * 1.001 / METRES_PER_DEG * self._rows_per_deg
        x, y = one.longitude_deg * self._columns_per_deg, one.latitude_deg * self._rows_per_deg
        columns = range(floor(x - rows), floor(x + rows) + 1)
        return [column + row * _ROW for column, row in product(columns, range(floor(y - rows), floor(y + rows) + 1))]

    def _around(self, one: Observation) -> Sequence[Square]:
        """Return the squares that hold all within reach of a place."""
        if self._subject_of is not None:
            return (self._subject_of(one),)
        column = floor(one.longitude_deg * self._columns_per_deg - 0.5)
        first = column + floor(one.latitude_deg * self._rows_per_deg - 0.5) * _ROW
        return first, first + 1, first + _ROW, first + _ROW + 1

    def _square(self, one: Observation) -> Square:
        if self._subject_of is not None:
            return self._subject_of(one)
        return floor(one.longitude_deg * self._columns_per_deg) + floor(one.latitude_deg * self._rows_per_deg) * _ROW


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
            for cell in index.cells_around(one):
                there = rest[cell] if cell in rest else index.content(cell)
                reached = {other.observation_id: other for other in there if linked(one, other)}
                if reached:
                    rest[cell] = [other for other in there if other.observation_id not in reached]
                    found |= reached
                    todo += reached.values()
    return found
