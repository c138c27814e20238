"""A picture of usual speeds, as SVG: a row a segment, a column an hour, the slower the darker."""

from collections.abc import Sequence
from html import escape
from typing import Final

from processors.baselines import Snapshot

Row = tuple[str, tuple[float | None, ...]]
"""direction/segment, and the usual speed in m/s at each hour of the day."""

CELL_WIDE: Final = 26
CELL_HIGH: Final = 16
LABEL: Final = 60
TOP: Final = 22
SLOW_MPS: Final = 2.0
FAST_MPS: Final = 12.0
SLOW_RGB: Final = (122, 28, 28)
FAST_RGB: Final = (226, 240, 236)
UNKNOWN: Final = "#ffffff"
FONT: Final = 'font-family="system-ui, sans-serif" font-size="11"'


def line_speeds(snapshot: Snapshot, line_id: str, *, weekend: bool) -> list[Row]:
    """Return the usual speeds of a line's segments, in the order of direction and segment."""
    hours = slice(24, 48) if weekend else slice(0, 24)
    found = []
    for name, mps in snapshot.normals_mps.items():
        line, direction_id, segment = name.rsplit("/", 2)
        if line == line_id:
            found.append(((int(direction_id), int(segment)), (f"{direction_id}/{segment}", mps[hours])))
    return [row for _, row in sorted(found)]


def speeds_picture(rows: Sequence[Row]) -> str:
    """Return the picture; each cell tells its speed in km/h."""
    wide, high = LABEL + 24 * CELL_WIDE + 4, TOP + len(rows) * CELL_HIGH + 4
    parts = [
        f'<text x="{LABEL + (hour + 0.5) * CELL_WIDE:.0f}" y="14" text-anchor="middle">{hour}</text>'
        for hour in range(24)
    ]
    for row, (name, mps) in enumerate(rows):
        y = TOP + row * CELL_HIGH
        parts.append(f'<text x="{LABEL - 6}" y="{y + 12}" text-anchor="end">{escape(name)}</text>')
        for hour, one in enumerate(mps):
            said = "unknown" if one is None else f"{one * 3.6:.0f} km/h"
            parts.append(
                f'<rect x="{LABEL + hour * CELL_WIDE}" y="{y}" width="{CELL_WIDE - 1}" height="{CELL_HIGH - 1}" '
                f'fill="{_colour(one)}"><title>{escape(name)}, {hour}:00: {said}</title></rect>'
            )
    head = f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {wide} {high}" width="{wide}" {FONT}>'
    return "\n".join([head, *parts, "</svg>", ""])


def _colour(mps: float | None) -> str:
    if mps is None:
        return UNKNOWN
    share = min(1.0, max(0.0, (mps - SLOW_MPS) / (FAST_MPS - SLOW_MPS)))
    mixed = (round(slow + share * (fast - slow)) for slow, fast in zip(SLOW_RGB, FAST_RGB, strict=True))
    return "#" + "".join(f"{part:02x}" for part in mixed)
