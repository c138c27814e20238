"""Whether a claim is evidence of a rule: its kind, its subject, where it is made and when. Asked once, as it comes."""

from collections.abc import Collection
from datetime import datetime
from typing import Final
from zoneinfo import ZoneInfo

from processors.city import City
from processors.incidents.endings import is_by_own_device
from processors.incidents.place_kinds import Places
from processors.incidents.rule_model import Areas, Rule, When, Where
from processors.timetable import seconds_of
from schemas.records import Observation

UNKNOWN_CLASSES: Final = ("", "UNKNOWN")
DAYS: Final = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")


class Conditions:
    """What one rule asks of a single claim, in one city."""

    def __init__(self, rule: Rule, city: City, places: Places | None = None) -> None:
        """places: the city's, if they are there already."""
        self.places = Places(city) if places is None else places
        self.ending_kinds = frozenset(
            kind for kinds in (rule.resolve_on, *(story.absent.kinds for story in rule.stories if story.absent))
            for kind in kinds
        )  # fmt: skip
        self._ends_own_device = rule.by == "device" or is_by_own_device(rule)
        self._rule, self._city = rule, city
        self._subject_of = rule.parting
        self._zone = ZoneInfo(city.time_zone)
        self._is_conditional = not (rule.where is None and rule.when is None)
        self._hours = [] if rule.when is None else [_seconds(period) for period in rule.when.hours]

    @property
    def kinds(self) -> frozenset[str]:
        """Kinds of all claims that mean anything to the rule."""
        return self.ending_kinds.union(self._rule.evidence)

    def weigh(self, one: Observation) -> bool:
        """Tell whether a claim is evidence."""
        rule = self._rule
        if one.kind not in rule.evidence or not self._has_subject(one):
            return False
        return not self._is_conditional or self._fits(one)

    def may_weigh(self, kind: str, vehicle_class: str, unit_code: str) -> bool:
        """Tell whether a claim of that kind may be evidence, by a vehicle of that class in that unit.

        unit_code: asked for only if `asks_for_unit`.
        """
        where = self._rule.where
        if kind not in self._rule.evidence:
            return False
        if where is None:
            return True
        if not _is_of_class(vehicle_class, where):
            return False
        return not self.asks_for_unit or where.in_ is None or self._is_of(unit_code, where.in_)

    def may_end(self, kind: str, vehicle_class: str) -> bool:
        """Tell whether a claim of that kind may end something, by a vehicle of that class.

        Where nobody but the device that claimed something ends it, a vehicle known to be of a class that the rule does
        not weigh has claimed nothing.
        """
        where = self._rule.where
        if kind not in self.ending_kinds:
            return False
        if where is None or not self._ends_own_device or vehicle_class in UNKNOWN_CLASSES:
            return True
        return _is_of_class(vehicle_class, where)

    @property
    def asks_for_unit(self) -> bool:
        """Tell whether the unit alone rules out claims."""
        areas = None if self._rule.where is None else self._rule.where.in_
        return areas is not None and bool(areas.units or areas.unit_kinds) and not (areas.zones or areas.zone_kinds)

    def _fits(self, one: Observation) -> bool:
        rule = self._rule
        return (rule.where is None or self._is_there(one, rule.where)) and (
            rule.when is None or self._is_then(one.at_ms, rule.when)
        )

    def end(self, one: Observation) -> bool:
        """Tell whether a claim may end an incident or rule out a story, evidence or not."""
        return self.may_end(one.kind, one.vehicle_class) and self._has_subject(one)

    def expected(self, kind: str, at: Observation, over_s: int) -> float | None:
        """Return how many claims of a kind the baseline expects around a claim, in its unit, in so many seconds."""
        unit_code = self.places.unit(at)
        hourly = self._city.baselines.expected(kind, unit_code, at.at_ms, self._zone)
        return None if hourly is None else hourly * over_s / 3600

    def _has_subject(self, one: Observation) -> bool:
        return self._subject_of is None or self._subject_of(one) != ""

    def _is_there(self, one: Observation, where: Where) -> bool:
        if not _is_of_class(one.vehicle_class, where):
            return False
        place = one.latitude_deg, one.longitude_deg
        return (
            (where.near is None or self.places.near(where.near, *place))
            and (where.not_near is None or not self.places.near(where.not_near, *place))
            and (where.in_ is None or self._is_in(one, where.in_))
            and (where.not_in is None or not self._is_in(one, where.not_in))
        )

    def _is_in(self, one: Observation, areas: Areas) -> bool:
        if areas.zones or areas.zone_kinds:
            zones = self._city.zones_at(one.latitude_deg, one.longitude_deg)
            if any(zone.zone_id in areas.zones or zone.kind in areas.zone_kinds for zone in zones):
                return True
        if areas.units or areas.unit_kinds:
            return self._is_of(self.places.unit(one), areas)
        return False

    def _is_of(self, unit_code: str, areas: Areas) -> bool:
        return unit_code in areas.units or self.places.unit_kinds.get(unit_code) in areas.unit_kinds

    def _is_then(self, at_ms: int, when: When) -> bool:
        local = datetime.fromtimestamp(at_ms / 1000, self._zone)
        if when.days and DAYS[local.weekday()] not in when.days:
            return False
        second = local.hour * 3600 + local.minute * 60 + local.second
        if self._hours and not any(_is_within(second, *period) for period in self._hours):
            return False
        if when.calendar and not self._is_day_of(local, when.calendar):
            return False
        return not when.not_calendar or not self._is_day_of(local, when.not_calendar)

    def _is_day_of(self, local: datetime, names: Collection[str]) -> bool:
        calendars = self._city.calendars
        return any(calendars[name].has(local.date()) for name in names if name in calendars)


def _is_of_class(vehicle_class: str, where: Where) -> bool:
    if where.vehicle_class and vehicle_class not in where.vehicle_class:
        return False
    return vehicle_class not in where.not_vehicle_class


def _seconds(period: str) -> tuple[int, int]:
    start, end = period.split("-")
    return seconds_of(start), seconds_of(end)


def _is_within(second: int, start: int, end: int) -> bool:
    """Tell whether a second of the day is in a period, its end not included; over midnight if that ends before."""
    return start <= second < end if start < end else second >= start or second < end
