"""The areas of units as rings to be drawn: cells of a power diagram cut out of the outline, or the polygons given."""

from collections.abc import Iterator
from typing import Final

import numpy as np

from processors.areas import Areas, Polygons, PowerDiagram
from processors.batches import FloatArray

CIRCLE_CORNERS: Final = 48
SMALLEST_RING: Final = 3

Ring = tuple[FloatArray, FloatArray]
"""Corners x_m, y_m of a closed ring; the first is not repeated at the end."""


def rings_of(areas: Areas) -> list[list[Ring]]:
    """Return the rings of each area, in its order; an empty list = nothing to draw. Holes are rings like others."""
    if isinstance(areas, PowerDiagram):
        return [_cell(areas, index) for index in range(len(areas.x_m))]
    assert isinstance(areas, Polygons)
    found: list[list[Ring]] = [[] for _ in range(areas.areas)]
    for index, x_m, y_m in areas.rings:
        found[index].append((x_m, y_m))
    return found


def nested(rings: list[Ring]) -> list[list[Ring]]:
    """Return polygons, each its outer ring and then its holes, from rings that do not cross.

    A ring inside an odd number of others is a hole of the smallest that contains it.
    """
    inside = [[other for other in range(len(rings)) if other != one and _holds(rings[other], rings[one])]
              for one in range(len(rings))]  # fmt: skip
    outer = [one for one in range(len(rings)) if len(inside[one]) % 2 == 0]
    found = {one: [rings[one]] for one in outer}
    for one in range(len(rings)):
        if one not in found:
            holders = [other for other in inside[one] if other in found]
            found[max(holders, key=lambda other: len(inside[other]))].append(rings[one])
    return list(found.values())


def _cell(diagram: PowerDiagram, index: int) -> list[Ring]:
    """Return one cell: the outline, or a circle where there is none, cut by every bisector and by the reach."""
    centre_x_m, centre_y_m = diagram.x_m[index], diagram.y_m[index]
    circle_x_m, circle_y_m = _circle(centre_x_m, centre_y_m, float(np.sqrt(diagram.limit_m2[index])))
    if diagram.outline is None:
        ring: Ring | None = (circle_x_m, circle_y_m)
    else:
        _, outline_x_m, outline_y_m = diagram.outline.rings[0]
        ring = (outline_x_m, outline_y_m)
    for normal_x, normal_y, limit in _half_planes(diagram, index, (circle_x_m, circle_y_m)):
        if ring is None:
            return []
        ring = _cut(ring, normal_x, normal_y, limit)
    return [] if ring is None else [ring]


def _half_planes(diagram: PowerDiagram, index: int, circle: Ring) -> Iterator[tuple[float, float, float]]:
    """Yield (normal x, normal y, limit): a point belongs to the cell where normal * point <= limit, nearest first."""
    x_m, y_m = diagram.x_m - diagram.x_m[index], diagram.y_m - diagram.y_m[index]
    power = diagram.x_m**2 + diagram.y_m**2 - diagram.weight_m2
    limits = (power - power[index]) / 2  # from equal powers of two centres
    for other in np.argsort(x_m**2 + y_m**2, kind="stable").tolist():
        if other != index:
            yield float(x_m[other]), float(y_m[other]), float(limits[other])
    middle_x_m, middle_y_m = (circle[0] + np.roll(circle[0], -1)) / 2, (circle[1] + np.roll(circle[1], -1)) / 2
    for at_x_m, at_y_m in zip(middle_x_m.tolist(), middle_y_m.tolist(), strict=True):
        normal_x, normal_y = at_x_m - float(diagram.x_m[index]), at_y_m - float(diagram.y_m[index])
        yield normal_x, normal_y, normal_x * at_x_m + normal_y * at_y_m


def _cut(ring: Ring, normal_x: float, normal_y: float, limit: float) -> Ring | None:
    """Cut a ring by a half-plane (Sutherland and Hodgman 1974); None = nothing is left."""
    x_m, y_m = ring
    over = normal_x * x_m + normal_y * y_m - limit
    kept = over <= 0.0
    if kept.all():
        return ring
    if not kept.any():
        return None
    next_x_m, next_y_m, next_over = np.roll(x_m, -1), np.roll(y_m, -1), np.roll(over, -1)
    crossing = kept != (next_over <= 0.0)
    share = np.divide(over, over - next_over, out=np.zeros_like(over), where=crossing)
    corners = (
        np.stack([x_m, x_m + share * (next_x_m - x_m)], axis=1),
        np.stack([y_m, y_m + share * (next_y_m - y_m)], axis=1),
    )
    chosen = np.stack([kept, crossing], axis=1)
    cut = corners[0][chosen], corners[1][chosen]
    return cut if len(cut[0]) >= SMALLEST_RING else None


def _circle(x_m: float, y_m: float, radius_m: float) -> Ring:
    angle = np.arange(CIRCLE_CORNERS) * (2 * np.pi / CIRCLE_CORNERS)
    return x_m + radius_m * np.cos(angle), y_m + radius_m * np.sin(angle)


def _holds(outer: Ring, inner: Ring) -> bool:
    """Tell by crossing parity whether a ring contains the first corner of another."""
    x_m, y_m = outer
    to_x_m, to_y_m = np.roll(x_m, -1), np.roll(y_m, -1)
    at_x_m, at_y_m = inner[0][0], inner[1][0]
    crossed = (y_m <= at_y_m) != (to_y_m <= at_y_m)
    height = np.where(crossed, to_y_m - y_m, 1.0)
    left = x_m + (at_y_m - y_m) * (to_x_m - x_m) / height
    return bool((crossed & (at_x_m < left)).sum() % 2)
