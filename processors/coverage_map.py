"""A map of coverage as SVG: units coloured by the share of their streets that is seen, streets, and views."""

import math
from collections.abc import Sequence
from html import escape
from typing import Final

import numpy as np

from processors.batches import FloatArray
from processors.city import City
from processors.coverage import Coverage, UnitCoverage, plane_of, views_of
from processors.geo import Plane
from schemas.records import DeviceRegistration

WIDTH: Final = 1_200
MARGIN_M: Final = 1_000.0
LEVELS: Final = ((0.8, "#2a7f3f"), (0.5, "#8bbf5a"), (0.2, "#f0c04a"), (0.0, "#d9603b"))
"""The least share of street length of each colour; a viewer who sees no colours has the titles and the table."""
NO_STREET: Final = "#e4e4e4"
"""A unit without known streets."""

SEEN: Final = "#1d4ed8"
UNSEEN: Final = "#6b7280"

_STYLE: Final = (
    f"path.u{{stroke:#fff;stroke-width:.8;fill-opacity:.55}}path.s{{stroke:{SEEN};stroke-width:1.8;fill:none}}"
    f"path.d{{stroke:{UNSEEN};stroke-width:.7;fill:none}}path.v{{fill:{SEEN};fill-opacity:.18}}"
    "text{font:14px sans-serif}"
)


def colour_of(share: float | None) -> str:
    """Return the colour of a share of street length, 0 to 1; None = no street is known."""
    if share is None:
        return NO_STREET
    return next(colour for least, colour in LEVELS if share >= least)


def coverage_svg(city: City, coverage: Coverage, cameras: Sequence[DeviceRegistration]) -> str:
    """Return a map of a city, north up: units with titles, samples of streets seen or not, and views."""
    plane = plane_of(city)
    scale = _Scale(city, plane)
    shares = {one.unit_code: one for one in coverage.units}
    units = [
        f'<path class="u" fill="{colour_of(one.street_share)}" d="{outline}"><title>{_words(one)}</title></path>'
        for unit, polygons in zip(city.units, city.unit_polygons(), strict=True)
        if (one := shares.get(unit.unit_code)) is not None
        and (outline := "".join(scale.ring(ring) for polygon in polygons for ring in polygon.rings))
    ]
    x_m, y_m = plane.xy(coverage.samples.latitude_deg, coverage.samples.longitude_deg)
    streets = [
        f'<path class="{name}" d="{scale.dots(x_m[rows], y_m[rows])}"/>'
        for name, rows in (("d", ~coverage.seen), ("s", coverage.seen))
    ]
    views, _ = views_of(cameras, city)
    sectors = "".join(
        scale.sector(*one)
        for one in zip(
            *(column.tolist() for column in (views.x_m, views.y_m, views.bearing_rad, views.half_rad, views.range_m)),
            strict=True,
        )
    )
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {scale.height + 30:.0f}">'
        f'<style>{_STYLE}</style><rect width="100%" height="100%" fill="#fff"/>'
        f'{"".join(units)}{"".join(streets)}<path class="v" d="{sectors}"/>{_legend(scale.height)}</svg>\n'
    )


class _Scale:
    """From the city's plane to the picture; what it frames are the units' corners, or the city without any."""

    def __init__(self, city: City, plane: Plane) -> None:
        corners = [
            corner
            for polygons in city.unit_polygons()
            for polygon in polygons
            for ring in polygon.rings
            for corner in ring
        ]
        corners = corners or [(city.south_deg, city.west_deg), (city.north_deg, city.east_deg)]
        x_m, y_m = plane.xy(*np.array(corners).T)
        self._plane = plane
        self._west_m, self._north_m = float(x_m.min()) - MARGIN_M, float(y_m.max()) + MARGIN_M
        self._a_metre = WIDTH / (float(x_m.max()) + MARGIN_M - self._west_m)
        self.height = (self._north_m - float(y_m.min()) + MARGIN_M) * self._a_metre

    def point(self, x_m: float, y_m: float) -> str:
        return f"{(x_m - self._west_m) * self._a_metre:.2f} {(self._north_m - y_m) * self._a_metre:.2f}"

    def ring(self, corners: Sequence[tuple[float, float]]) -> str:
        x_m, y_m = self._plane.xy(*np.array(corners).T)
        return f"M{'L'.join(map(self.point, x_m.tolist(), y_m.tolist()))}Z"

    def dots(self, x_m: FloatArray, y_m: FloatArray) -> str:
        """Return a dash for every sixth sample: 30 m, the least that a picture of a city shows."""
        places = zip(x_m.tolist()[::6], y_m.tolist()[::6], strict=True)
        return "".join(f"M{self.point(*place)}h1" for place in places)

    def sector(self, x_m: float, y_m: float, bearing_rad: float, half_rad: float, range_m: float) -> str:
        whole = half_rad >= math.pi
        steps = 12
        turns = [bearing_rad - half_rad + 2 * half_rad * step / steps for step in range(steps + 1)]
        rim = [self.point(x_m + range_m * math.sin(turn), y_m + range_m * math.cos(turn)) for turn in turns]
        return f"M{'L'.join(rim if whole else [self.point(x_m, y_m), *rim])}Z"


def _words(one: UnitCoverage) -> str:
    if one.street_share is None:
        return escape(f"{one.name}: no street with a line")
    return escape(
        f"{one.name}: {one.street_share:.1%} of {one.street_m:,.0f} m".replace("%", " %")
        + f", {one.venues_seen} of {one.venues} venues, {one.cameras} cameras"
    )


def _legend(height: float) -> str:
    words = [(colour, f"{least:.0%} and more".replace("%", " %")) for least, colour in LEVELS[:-1]]
    words += [(LEVELS[-1][1], "less"), (NO_STREET, "no street with a line")]
    words += [(SEEN, "street that is seen"), (UNSEEN, "street that is not")]
    return "".join(
        f'<rect x="{10 + 168 * at}" y="{height + 6:.0f}" width="14" height="14" fill="{colour}"/>'
        f'<text x="{30 + 168 * at}" y="{height + 18:.0f}">{text}</text>'
        for at, (colour, text) in enumerate(words)
    )
