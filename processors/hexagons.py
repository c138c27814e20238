"""The H3 cells of the points of one rectangle: exactly those of the h3 library, computed for whole arrays.

Within one face of H3's icosahedron the cells are the hexagons of a regular lattice on a gnomonic plane, and one
gnomonic plane is a projective image of another. So the lattice coordinates of a point are found from its place on the
plane through the rectangle's centre; the eight coefficients come from cells of the library itself. A point within
`_DOUBT_M` of an edge, or in a hexagon that the table does not name, is put to the library.
"""

import math
from typing import Final

import h3
import numpy as np
import numpy.typing as npt

from processors.batches import BoolArray, FloatArray, IntArray
from processors.network import Bounds

_h3: Final = h3.api.basic_int

RESOLUTION: Final = 9
"""H3 resolution of the aggregates: hexagons of about 0.1 km²."""

CellArray = npt.NDArray[np.uint64]

_DOUBT_M: Final = 0.2
"""The library's own rounding is centimetres at most."""

_WIDEST_DEG: Final = 1.5
"""Half the greatest side of a rectangle that is computed; its table then takes some 20 MB, Hanoi's takes 1.5."""

_POLAR_DEG: Final = 85.0
"""Nearer to the poles the meridians run together."""

_PARENT: Final = 5
"""Resolution of the coarse cells from which the fine ones are named, 8 km from their middle to a side."""

_PARENT_STEP_DEG: Final = 0.05
_SAMPLES: Final = 9
_PROBES: Final = 5


class Hexagons:
    """The cells of a rectangle."""

    def __init__(self, bounds: Bounds) -> None:
        """Fit the lattice and name its hexagons; where that fails (poles, pentagons, two faces) all is looked up."""
        self._middle_deg = (bounds.south_deg + bounds.north_deg) / 2, (bounds.west_deg + bounds.east_deg) / 2
        self._half_deg = (bounds.north_deg - bounds.south_deg) / 2, (bounds.east_deg - bounds.west_deg) / 2
        self._sine, self._cosine = (turn(math.radians(self._middle_deg[0])) for turn in (math.sin, math.cos))
        self._cells: CellArray = np.zeros(0, np.uint64)
        if max(self._half_deg) <= _WIDEST_DEG and abs(self._middle_deg[0]) <= _POLAR_DEG:
            try:
                self._fit(bounds)
            except h3.H3BaseException:
                self._cells = self._cells[:0]

    def cells(self, latitude_deg: FloatArray, longitude_deg: FloatArray) -> CellArray:
        """Return the cells of n points."""
        if not len(self._cells):
            return cells_of(latitude_deg, longitude_deg)
        north_deg, east_deg = latitude_deg - self._middle_deg[0], longitude_deg - self._middle_deg[1]
        inside = (np.abs(north_deg) <= self._half_deg[0]) & (np.abs(east_deg) <= self._half_deg[1])
        if inside.all():
            found, open_ = self._computed(north_deg, east_deg)
        else:
            found, open_ = np.empty(len(inside), np.uint64), ~inside
            found[inside], open_[inside] = self._computed(north_deg[inside], east_deg[inside])
        row = np.flatnonzero(open_)
        if len(row):
            found[row] = cells_of(latitude_deg[row], longitude_deg[row])
        return found

    def _computed(self, north_deg: FloatArray, east_deg: FloatArray) -> tuple[CellArray, BoolArray]:
        """Return the cells of n points within the rectangle, and which of them are open to doubt."""
        x, y = self._lattice(north_deg, east_deg)
        # x, y and z = -x - y are cube coordinates: within a hexagon no two differ by more than 1 from its middle's.
        xy = x - y
        yz = y + y
        yz += x
        zx = -(xy + yz)
        a, b, c = np.floor(xy), np.floor(yz), np.floor(zx)
        place = np.rint((a - c) * (1.0 / 3.0))
        place *= self._height
        place += np.rint((b - a) * (1.0 / 3.0))
        place -= self._corner
        found: CellArray = self._cells.take(place.astype(np.int64))
        for off, whole in ((xy, a), (yz, b), (zx, c)):
            off -= whole
            off -= 0.5
            np.abs(off, out=off)
        np.maximum(xy, yz, out=xy)
        np.maximum(xy, zx, out=xy)
        return found, (xy > self._sure) | (found == 0)

    def _gnomonic(self, north_deg: FloatArray, east_deg: FloatArray) -> tuple[FloatArray, ...]:
        """Return x (east), y (north) and the depth by which both are divided on the plane through the middle."""
        north, east = _sine(north_deg * math.radians(1.0)), _sine(east_deg * math.radians(1.0))
        depth = np.sqrt(1.0 - north * north)
        parallel = self._cosine * depth - self._sine * north
        bow = (1.0 - np.sqrt(1.0 - east * east)) * parallel
        return parallel * east, north + self._sine * bow, depth - self._cosine * bow

    def _lattice(self, north_deg: FloatArray, east_deg: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Return the first two cube coordinates of n points, in degrees from the middle."""
        x, y, depth = self._gnomonic(north_deg, east_deg)
        (a, b, c), (d, e, f), (g, h) = self._rows
        below = g * x + h * y + depth
        return (a * x + b * y + c * depth) / below, (d * x + e * y + f * depth) / below

    def _fit(self, bounds: Bounds) -> None:
        """Find the coefficients from cells all over the rectangle, its corners too, and name its hexagons."""
        latitude_deg, longitude_deg = (side.ravel() for side in np.meshgrid(
            np.linspace(bounds.south_deg, bounds.north_deg, _SAMPLES),
            np.linspace(bounds.west_deg, bounds.east_deg, _SAMPLES),
        ))  # fmt: skip
        cells = cells_of(latitude_deg, longitude_deg).tolist()
        origin = cells[len(cells) // 2]
        centres = self._centres(cells)
        column, row = _columns_and_rows(origin, cells)
        x, y, depth = self._gnomonic(*centres)
        none = np.zeros_like(x)
        equations = np.concatenate([
            np.stack([x, y, depth, none, none, none, -column * x, -column * y], axis=1),
            np.stack([none, none, none, x, y, depth, -row * x, -row * y], axis=1),
        ])  # fmt: skip
        scale = np.abs(equations).max(axis=0)
        found, *_ = np.linalg.lstsq(equations / scale, np.concatenate([column * depth, row * depth]), rcond=None)
        a, b, c, d, e, f, g, h = (found / scale).tolist()
        self._rows = (a, b, c), (d, e, f), (g, h)
        edge_m = _h3.average_hexagon_edge_length(RESOLUTION, unit="m")
        # Across a hexagon of edge e, sqrt(3) e wide, the difference of two cube coordinates goes from -1 to 1.
        self._sure = 0.5 - _DOUBT_M / (edge_m * math.sqrt(0.75))
        if np.abs(np.stack(self._lattice(*centres)) - (column, row)).max() > 1e-5:
            return
        x, y = self._lattice(*self._sides())
        self._west, self._south = math.floor(x.min()) - 1, math.floor(y.min()) - 1
        self._height = math.ceil(y.max()) + 2 - self._south
        self._corner = self._west * self._height + self._south
        self._cells = np.zeros((math.ceil(x.max()) + 2 - self._west) * self._height, np.uint64)
        self._name(_parents(bounds))

    def _name(self, parents: list[int]) -> None:
        """Enter the descendants of some coarse cells; they lie alike within nearly all of them."""
        if not parents:
            return
        known: list[tuple[IntArray, IntArray]] = []
        below = np.array(_h3.cell_to_children(parents[0], RESOLUTION), np.uint64)
        below -= below[0]
        probes = np.linspace(0, len(below) - 1, _PROBES).astype(np.int64)
        for parent in parents:
            children = below + np.uint64(_h3.cell_to_center_child(parent, RESOLUTION))
            place = self._places(children[probes])
            for columns, rows in known:
                if _alike(place, (columns[probes], rows[probes])):
                    break
            else:
                columns, rows = self._places(children)
                columns, rows = columns - columns[0], rows - rows[0]
                known.append((columns, rows))
            columns, rows = columns + place[0][0], rows + place[1][0]
            place = columns * self._height + rows
            inside = (rows >= 0) & (rows < self._height) & (place >= 0) & (place < len(self._cells))
            self._cells[place[inside]] = children[inside]

    def _places(self, cells: CellArray) -> tuple[IntArray, IntArray]:
        """Return column and row in the table of cells, from where they are."""
        column, row = self._lattice(*self._centres(cells.tolist()))
        return np.rint(column - self._west).astype(np.int64), np.rint(row - self._south).astype(np.int64)

    def _centres(self, cells: list[int]) -> tuple[FloatArray, FloatArray]:
        """Return where the centres of cells are, in degrees from the middle."""
        centres = np.array([_h3.cell_to_latlng(cell) for cell in cells]) - self._middle_deg
        return centres[:, 0], (centres[:, 1] + 180.0) % 360.0 - 180.0

    def _sides(self) -> tuple[FloatArray, FloatArray]:
        """Return points along the sides of the rectangle, in degrees from the middle."""
        north_deg, east_deg = (np.linspace(-half_deg, half_deg, _SAMPLES) for half_deg in self._half_deg)
        ends = np.repeat(np.array([-1.0, 1.0]), _SAMPLES)
        return (
            np.concatenate([north_deg, north_deg, self._half_deg[0] * ends]),
            np.concatenate([self._half_deg[1] * ends, east_deg, east_deg]),
        )


def cells_of(latitude_deg: FloatArray, longitude_deg: FloatArray) -> CellArray:
    """Return the H3 cells of n points anywhere on Earth, one by one."""
    pairs = zip(latitude_deg.tolist(), longitude_deg.tolist(), strict=True)
    return np.array([_h3.latlng_to_cell(latitude, longitude, RESOLUTION) for latitude, longitude in pairs], np.uint64)


def _columns_and_rows(origin: int, cells: list[int]) -> tuple[IntArray, IntArray]:
    """Return the first two cube coordinates of cells; h3's own two axes lie 120 degrees apart."""
    found = np.array([_h3.cell_to_local_ij(origin, cell) for cell in cells], np.int64)
    return found[:, 0], -found[:, 1]


def _alike(place: tuple[IntArray, IntArray], other: tuple[IntArray, IntArray]) -> bool:
    """Tell whether two constellations of cells differ by a shift only."""
    return all(np.array_equal(one - one[0], two - two[0]) for one, two in zip(place, other, strict=True))


def _parents(bounds: Bounds) -> list[int]:
    """Return the coarse cells on and around a rectangle, without the few pentagons that there are on Earth."""
    step = _PARENT_STEP_DEG
    found = sorted({
        _h3.latlng_to_cell(latitude_deg, longitude_deg, _PARENT)
        for latitude_deg in np.arange(bounds.south_deg - step, bounds.north_deg + 2 * step, step).tolist()
        for longitude_deg in np.arange(bounds.west_deg - step, bounds.east_deg + 2 * step, step).tolist()
    })  # fmt: skip
    return [cell for cell in found if not _h3.is_pentagon(cell)]


def _sine(angle: FloatArray) -> FloatArray:
    """Return the sine of small angles by its series."""
    square = angle * angle
    return angle * (1.0 - square * (1 / 6 - square * (1 / 120 - square * (1 / 5040 - square / 362880))))
