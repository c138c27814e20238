"""The city package as it is written in YAML; docs/city-package.md describes every key."""

from datetime import date
from typing import Annotated, Final, Literal, Self

from pydantic import Field, field_validator, model_validator

from processors.timetable import seconds_of
from processors.yaml_files import Entry

Text = Annotated[str, Field(min_length=1)]
Latitude = Annotated[float, Field(ge=-90, le=90)]
Longitude = Annotated[float, Field(ge=-180, le=180)]
Weekday = Literal["mon", "tue", "wed", "thu", "fri", "sat", "sun"]
WEEKDAYS: Final[tuple[Weekday, ...]] = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
Point = Annotated[list[float], Field(min_length=2, max_length=2)]


LimitedClass = Literal[
    "UNKNOWN", "BUS", "BRT", "METRO", "TAXI", "RIDE_HAILING", "COACH", "RENTAL", "OTHER"
]  # fmt: skip
"""The classes of vehicles, as positions tell them."""


class BoundsEntry(Entry):
    """The rectangle that records must lie in, margin included."""

    south: Latitude
    west: Longitude
    north: Latitude
    east: Longitude


class CityEntry(Entry):
    """city.yaml."""

    name: Text
    time_zone: Text
    bounds: BoundsEntry
    outline: Annotated[list[Point], Field(min_length=3)] | None = None
    unit_reach: Annotated[float, Field(gt=0)] = 3.0
    speed_limits_kmh: dict[LimitedClass, Annotated[float, Field(gt=0)]] = Field(default_factory=dict)
    stopped_vehicles: Literal["by_speed", "linear_road"] = "by_speed"


class UnitEntry(Entry):
    """One administrative area."""

    code: Text
    name: Text
    kind: Text
    lat: Latitude
    lon: Longitude
    area_km2: Annotated[float, Field(gt=0)]


class UnitsEntry(Entry):
    """units.yaml."""

    units: list[UnitEntry]


class StopEntry(Entry):
    """One stop or station."""

    id: Text
    name: Text
    lat: Latitude
    lon: Longitude


class StopsEntry(Entry):
    """stops.yaml."""

    stops: list[StopEntry]


class HeadwayEntry(Entry):
    """A departure every so many minutes in a period of the day."""

    from_: Annotated[str, Field(alias="from")]
    to: str
    every_min: Annotated[float, Field(gt=0)]

    @field_validator("from_", "to")
    @classmethod
    def _is_time(cls, text: str) -> str:
        seconds_of(text)
        return text


class LineEntry(Entry):
    """One line: each direction is a list of stop ids, with [lat, lon] where it bends between stops."""

    id: Text
    name: Text
    mode: Literal["bus", "brt", "metro"]
    colour: Annotated[str, Field(pattern=r"^#[0-9A-Fa-f]{6}$")] = "#808080"
    headways: list[HeadwayEntry] = Field(default_factory=list)
    exclusive_lane: bool = False
    directions: Annotated[list[list[str | Point]], Field(min_length=1, max_length=2)]


class LinesEntry(Entry):
    """lines.yaml."""

    lines: list[LineEntry]


class VenueEntry(Entry):
    """One place that people know."""

    id: Text
    name: Text
    kind: Text
    lat: Latitude
    lon: Longitude


class VenuesEntry(Entry):
    """venues.yaml."""

    venues: list[VenueEntry]


class CircleEntry(Entry):
    """A place and what lies around it."""

    lat: Latitude
    lon: Longitude
    radius_m: Annotated[float, Field(gt=0)]


class ZoneEntry(Entry):
    """One zone: a polygon of [lat, lon] corners or a circle."""

    id: Text
    name: Text
    kind: Text
    polygon: Annotated[list[Point], Field(min_length=3)] | None = None
    circle: CircleEntry | None = None
    classes: list[LimitedClass] = Field(default_factory=list)
    limit_kmh: Annotated[float, Field(gt=0)] | None = None

    @model_validator(mode="after")
    def _has_one_shape(self) -> Self:
        if (self.polygon is None) == (self.circle is None):
            raise ValueError("a zone is either a polygon or a circle")
        if self.kind in {"speed_limit", "speed_section"} and self.limit_kmh is None:
            raise ValueError(f"a zone of kind {self.kind} needs limit_kmh")
        return self


class ZonesEntry(Entry):
    """zones.yaml."""

    zones: list[ZoneEntry]


class DaysEntry(Entry):
    """A span of days, the last one included."""

    from_: Annotated[date, Field(alias="from")]
    to: date

    @model_validator(mode="after")
    def _has_days(self) -> Self:
        if self.to < self.from_:
            raise ValueError("from must not be after to")
        return self


class CalendarEntry(Entry):
    """One calendar: single days, and spans of days of which some weekdays count."""

    id: Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]*$")]
    days: list[date] = Field(default_factory=list)
    spans: list[DaysEntry] = Field(default_factory=list)
    weekdays: list[Weekday] = Field(default_factory=lambda: list(WEEKDAYS))
    without: list[date] = Field(default_factory=list)


class CalendarsEntry(Entry):
    """calendars.yaml."""

    calendars: list[CalendarEntry]


class SensorRuleEntry(Entry):
    """A sensor at every n-th place of a rule; with `count`, as many evenly on a circle of `radius_m` around it."""

    prefix: Text
    quantities: Annotated[list[Text], Field(min_length=1)]
    every: Annotated[int, Field(ge=1)] = 1
    on_camera: bool = False
    count: Annotated[int, Field(ge=1)] = 1
    radius_m: Annotated[float, Field(ge=0)] = 0.0

    @model_validator(mode="after")
    def _is_spread_out(self) -> Self:
        if self.count > 1 and (self.radius_m == 0 or self.on_camera):
            raise ValueError("several sensors at a place need a radius_m and cannot be on its camera")
        return self


class PlaceRuleEntry(Entry):
    """Devices at every n-th place: a camera if `camera` names its prefix, and sensors.

    spacing_m: a place this near to one already taken by an earlier place of any rule is left out.
    """

    every: Annotated[int, Field(ge=1)] = 1
    spacing_m: Annotated[float, Field(ge=0)] = 0.0
    camera: Text | None = None
    sensors: list[SensorRuleEntry] = Field(default_factory=list)


class StopRuleEntry(PlaceRuleEntry):
    """Devices at the stops of lines."""

    lines: Annotated[list[Text], Field(min_length=1)]


class KindRuleEntry(PlaceRuleEntry):
    """Devices at the centres of units, or at the venues, of some kinds."""

    kinds: Annotated[list[Text], Field(min_length=1)]


class DeviceEntry(Entry):
    """One device by itself."""

    id: Text
    kind: Literal["camera", "sensor"]
    lat: Latitude
    lon: Longitude
    quantities: list[Text] = Field(default_factory=list)
    host_camera: str = ""


class EstateEntry(Entry):
    """estate.yaml."""

    at_stops: list[StopRuleEntry] = Field(default_factory=list)
    at_units: list[KindRuleEntry] = Field(default_factory=list)
    at_venues: list[KindRuleEntry] = Field(default_factory=list)
    devices: list[DeviceEntry] = Field(default_factory=list)
