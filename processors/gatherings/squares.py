"""Subjects for gatherings of what is near: squares of the ground, each with a margin that its neighbours share."""

from dataclasses import dataclass

from processors.geo import Plane


@dataclass(frozen=True, slots=True)
class GatherSquares:
    """Squares of `side_m` on a plane, which see everything up to `margin_m` around them.

    What a gathering says at a place comes from the square that holds it alone.
    """

    plane: Plane
    side_m: float
    margin_m: float

    def holding(self, latitude_deg: float, longitude_deg: float) -> str:
        """Return the name of the square that holds a place."""
        x_m, y_m = self._xy(latitude_deg, longitude_deg)
        return f"{int(x_m // self.side_m)}:{int(y_m // self.side_m)}"

    def seeing(self, latitude_deg: float, longitude_deg: float) -> list[str]:
        """Return the names of the squares that see a place: the one that holds it and those within the margin."""
        x_m, y_m = self._xy(latitude_deg, longitude_deg)
        return [f"{column}:{row}" for column in self._indices(x_m) for row in self._indices(y_m)]

    def _xy(self, latitude_deg: float, longitude_deg: float) -> tuple[float, float]:
        x_m, y_m = self.plane.xy(latitude_deg, longitude_deg)
        return float(x_m), float(y_m)

    def _indices(self, value_m: float) -> range:
        return range(int((value_m - self.margin_m) // self.side_m), int((value_m + self.margin_m) // self.side_m) + 1)
