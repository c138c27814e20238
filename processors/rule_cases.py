"""Cases beside the rules of a city: given these claims, then these incidents. Read, checked and run without a stack.

A file `cases/<rule id>.yaml` in the folder of the rules holds those of one rule; docs/rules.md, "Cases", says what each
key means.
"""

import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Annotated, Final
from zoneinfo import ZoneInfo

from pydantic import Field, model_validator

from processors.city import City
from processors.geo import EARTH_RADIUS_M
from processors.incidents.rules import RuleSet
from processors.observation_kinds import OBSERVATION_KINDS
from processors.yaml_files import Entry, Mistakes, YamlFile, did_you_mean, read_yaml
from schemas.errors import UsageError
from schemas.records import Decision, IncidentState, Severity, VehicleClass

FOLDER: Final = "cases"
START: Final = "2026-11-23 10:00"
"""Local time of second 0 where a file does not say: a Monday morning."""
METRE_DEG: Final = math.degrees(1 / EARTH_RADIUS_M)

Name = Annotated[str, Field(min_length=1, max_length=120)]
Seconds = Annotated[float, Field(ge=-86_400, le=604_800)]
Metres = Annotated[float, Field(ge=-100_000, le=100_000)]


class CasesInvalid(UsageError):
    """The cases of a rule folder have mistakes; the message lists every one with file and line."""


class Anchor(Entry):
    """A place: a stop, venue or zone (its middle) by id or name, or degrees."""

    stop: Name | None = None
    venue: Name | None = None
    zone: Name | None = None
    lat: float | None = Field(default=None, ge=-90, le=90)
    lon: float | None = Field(default=None, ge=-180, le=180)

    @model_validator(mode="after")
    def _is_one_place(self) -> "Anchor":
        told = [self.stop, self.venue, self.zone, None if self.lat is None else str(self.lat)]
        if sum(one is not None for one in told) != 1 or (self.lat is None) != (self.lon is None):
            raise ValueError("a place is one of stop, venue, zone, or lat and lon")
        return self


class Given(Entry):
    """One claim, or `times` of them, `every_s` apart.

    at: seconds from the start. comes, withdrawn: when it arrives and when it is taken back, seconds from the start.
    place: instead of the file's anchor; north_m and east_m go on from there.
    """

    at: Seconds
    kind: Name
    by: Name
    witness: Name | None = None
    place: Anchor | None = None
    north_m: Metres = 0.0
    east_m: Metres = 0.0
    score: float = Field(default=0.9, ge=0, le=1)
    value: float = 0.0
    subject: str = ""
    line: str = ""
    direction: int = Field(default=-1, ge=-1, le=1)
    along_m: float = Field(default=-1.0, ge=-1)
    vehicle_class: Annotated[VehicleClass, Field(strict=False)] | None = None
    comes: Seconds | None = None
    withdrawn: Seconds | None = None
    times: int = Field(default=1, ge=1, le=10_000)
    every_s: float = Field(default=1.0, gt=0, le=86_400)


class Acted(Entry):
    """What an operator decides about the newest incident of the rule."""

    at: Seconds
    decision: Annotated[Decision, Field(strict=False)]
    operator: Name = "Lan"


class Expected(Entry):
    """What stands at a second: so many incidents of the rule, each with what else is given; `none: true` = none does.

    Withdrawn incidents do not stand, resolved and closed ones do. lines: these are among the affected ones.
    within_m: of the anchor. revisions: published so far of each.
    """

    at: Seconds
    none: bool = False
    incidents: int = Field(default=1, ge=1, le=100)
    state: Annotated[IncidentState, Field(strict=False)] | None = None
    severity: Annotated[Severity, Field(strict=False)] | None = None
    witnesses: int | None = None
    revisions: int | None = None
    score: float | None = None
    lines: Annotated[tuple[Name, ...], Field(strict=False)] = ()
    within_m: float | None = Field(default=None, gt=0)

    @model_validator(mode="after")
    def _is_none_or_some(self) -> "Expected":
        if self.none and self.model_fields_set - {"at", "none"}:
            raise ValueError("none: true stands alone")
        return self


class Case(Entry):
    """One case: claims and decisions, and what they lead to. anchor, start: instead of the file's."""

    case: Name
    anchor: Anchor | None = None
    start: str | None = None
    given: Annotated[tuple[Given, ...], Field(strict=False)]
    actions: Annotated[tuple[Acted, ...], Field(strict=False)] = ()
    then: Annotated[tuple[Expected, ...], Field(strict=False, min_length=1)]


class CaseEntries(Entry):
    """What a file of cases holds."""

    anchor: Anchor
    start: str = START
    cases: Annotated[tuple[Case, ...], Field(strict=False, min_length=1)]


@dataclass(frozen=True, slots=True)
class CaseFile:
    """The cases of one rule. anchors: of each case, latitude and longitude; starts_ms: its second 0."""

    path: Path
    rule_id: str
    entries: CaseEntries
    yaml: YamlFile
    anchors: tuple[tuple[float, float], ...]
    starts_ms: tuple[int, ...]

    def line(self, *place: str | int) -> int:
        """Return the line of a place in the file."""
        return self.yaml.line("cases", *place) or 1


def load_cases(folder: Path, rules: RuleSet, city: City) -> tuple[CaseFile, ...]:
    """Read all files of cases beside the rules in a folder.

    Raises CasesInvalid with every mistake: file, line, what is wrong.
    """
    mistakes, found = Mistakes(), []
    for path in sorted((folder / FOLDER).glob("*.yaml")):
        yaml = read_yaml(path, mistakes)
        entries = None if yaml is None else yaml.validated(CaseEntries, mistakes)
        if yaml is None or entries is None:
            continue
        known = [one.id for one in rules.rules]
        if path.stem not in known:
            mistakes.add(path.name, None, f"there is no rule {path.stem}{did_you_mean(path.stem, known)}")
        for place, message in _unknown(entries, city):
            mistakes.add(path.name, yaml.line(*place), message)
        anchors = [place_of(one.anchor or entries.anchor, city) for one in entries.cases]
        starts = [_start_ms(one.start or entries.start, city) for one in entries.cases]
        if None not in anchors and None not in starts:
            places = tuple(one for one in anchors if one is not None)
            times = tuple(one for one in starts if one is not None)
            found.append(CaseFile(path, path.stem, entries, yaml, places, times))
    if mistakes.found:
        told = "\n".join(mistakes.found)
        raise CasesInvalid(f"{folder / FOLDER}: mistakes in the cases\n{told}")
    return tuple(found)


def without_cases(rules: RuleSet, files: Iterable[CaseFile]) -> tuple[str, ...]:
    """Return the ids of the rules that have none."""
    return tuple(sorted({one.id for one in rules.rules} - {file.rule_id for file in files}))


def place_of(anchor: Anchor, city: City) -> tuple[float, float] | None:
    """Return latitude and longitude of a place in degrees; None where the city has no such place."""
    if anchor.lat is not None and anchor.lon is not None:
        return anchor.lat, anchor.lon
    for zone in city.zones if anchor.zone is not None else ():
        if anchor.zone in (zone.zone_id, zone.name):
            corners = zone.corners
            return math.fsum(a for a, _ in corners) / len(corners), math.fsum(b for _, b in corners) / len(corners)
    for venue in city.venues if anchor.venue is not None else ():
        if anchor.venue in (venue.venue_id, venue.name):
            return venue.latitude_deg, venue.longitude_deg
    for stop in city.stops if anchor.stop is not None else ():
        if anchor.stop in (stop.stop_id, stop.name):
            return stop.latitude_deg, stop.longitude_deg
    return None


def moved(place: tuple[float, float], north_m: float, east_m: float) -> tuple[float, float]:
    """Return a place so many metres farther north and east."""
    latitude_deg = place[0] + north_m * METRE_DEG
    return latitude_deg, place[1] + east_m * METRE_DEG / math.cos(math.radians(place[0]))


def _start_ms(text: str, city: City) -> int | None:
    try:
        local = datetime.fromisoformat(text)
    except ValueError:
        return None
    return round(local.replace(tzinfo=ZoneInfo(city.time_zone)).timestamp() * 1000)


def _unknown(entries: CaseEntries, city: City) -> Iterator[tuple[Sequence[str | int], str]]:
    """Yield places of a file that name what nobody knows, and what is wrong with them."""
    yield from _unknown_place(("anchor",), entries.anchor, city)
    yield from _unknown_start(("start",), entries.start, city)
    for number, case in enumerate(entries.cases):
        here = ("cases", number)
        if case.anchor is not None:
            yield from _unknown_place((*here, "anchor"), case.anchor, city)
        if case.start is not None:
            yield from _unknown_start((*here, "start"), case.start, city)
        for row, one in enumerate(case.given):
            if one.kind not in OBSERVATION_KINDS:
                hint = did_you_mean(one.kind, OBSERVATION_KINDS)
                yield (*here, "given", row, "kind"), f"nobody makes {one.kind}{hint}"
            if one.place is not None:
                yield from _unknown_place((*here, "given", row, "place"), one.place, city)


def _unknown_place(place: Sequence[str | int], anchor: Anchor, city: City) -> Iterator[tuple[Sequence[str | int], str]]:
    if place_of(anchor, city) is None:
        name = anchor.stop or anchor.venue or anchor.zone or ""
        known = {word for one in city.stops for word in (one.stop_id, one.name)} if anchor.stop is not None else set()
        known |= (
            {word for one in city.venues for word in (one.venue_id, one.name)} if anchor.venue is not None else set()
        )
        known |= {word for one in city.zones for word in (one.zone_id, one.name)} if anchor.zone is not None else set()
        yield place, f"the city has no {name}{did_you_mean(name, known)}"


def _unknown_start(place: Sequence[str | int], text: str, city: City) -> Iterator[tuple[Sequence[str | int], str]]:
    if _start_ms(text, city) is None:
        yield place, f"start must look like {START}, is {text}"
