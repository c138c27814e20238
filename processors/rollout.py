"""Rollout: how far the camera estate is with each phase of a city's plan, unit by unit."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Final, Literal

import numpy as np
from pydantic import Field

from processors.areas import polygons
from processors.batches import BoolArray, FloatArray, IntArray
from processors.city import City
from processors.city_files import CityInvalid
from processors.coverage import Samples, Views, plane_of, sample_streets, seen_by, views_of
from processors.geo import haversine_m
from processors.network import Unit
from processors.yaml_files import Entry, Mistakes, read_yaml
from processors.zones import Zone
from schemas.records import DeviceRegistration

FILE: Final = "phases.yaml"
FESTIVAL: Final = "festival"
"""The kind of zone that is a festival area."""
GRID_M: Final = 20.0
"""An area is asked for at points so far apart: each stands for the square around it."""

Text = Annotated[str, Field(min_length=1)]
Extent = Literal["streets", "centre", "festival_areas"]


class PhaseEntry(Entry):
    """One phase: which units, what of them is to be covered, which share of it, and by when.

    units and unit_kinds: a unit in either; none of both = all. radius_m: of `centre`, around the unit's centre.
    """

    id: Text
    title: Text
    units: list[Text] = Field(default_factory=list)
    unit_kinds: list[Text] = Field(default_factory=list)
    cover: Extent
    radius_m: Annotated[float, Field(gt=0)] = 800.0
    share: Annotated[float, Field(gt=0, le=1)]
    due: date


class PhasesEntry(Entry):
    """phases.yaml."""

    phases: Annotated[list[PhaseEntry], Field(min_length=1)]


class Standing(StrEnum):
    """How a unit stands in a phase."""

    REACHED = "reached"
    MISSING = "missing"
    OVERDUE = "overdue"
    NOTHING = "nothing known to cover"


@dataclass(frozen=True, slots=True)
class UnitProgress:
    """One unit in one phase. extent: metres of street, or square metres of festival areas; seen: of these."""

    unit_code: str
    name: str
    extent: float
    seen: float
    standing: Standing

    @property
    def share(self) -> float | None:
        """Return the share that is seen, 0 to 1; None = nothing known to cover."""
        return self.seen / self.extent if self.extent else None


@dataclass(frozen=True, slots=True)
class PhaseProgress:
    """A phase and its units, in the order of the package."""

    phase: PhaseEntry
    units: tuple[UnitProgress, ...]

    def count(self, standing: Standing) -> int:
        """Return how many units stand so."""
        return sum(one.standing is standing for one in self.units)


def read_phases(path: Path, city: City) -> tuple[PhaseEntry, ...]:
    """Return the phases of a plan. Raises CityInvalid with every mistake, such as units that the city does not have."""
    mistakes = Mistakes()
    file = read_yaml(path, mistakes)
    entry = None if file is None else file.validated(PhasesEntry, mistakes)
    if file is not None and entry is not None:
        known = {
            "units": {unit.unit_code for unit in city.units},
            "unit_kinds": {unit.kind for unit in city.units},
        }
        for number, phase in enumerate(entry.phases):
            for key, names in (("units", phase.units), ("unit_kinds", phase.unit_kinds)):
                for name in sorted(set(names) - known[key]):
                    mistakes.add(file.name, file.line("phases", number, key), f"{key}: {city.name} has no {name!r}")
    if entry is None or mistakes.found:
        raise CityInvalid(path.name, mistakes.found)
    return tuple(entry.phases)


def progress(
    city: City, phases: Sequence[PhaseEntry], cameras: Sequence[DeviceRegistration], today: date
) -> tuple[PhaseProgress, ...]:
    """Return how far working cameras bring each phase as of a day; a phase is overdue after its due day."""
    views, _ = views_of(cameras, city)
    streets = _Extents(city, sample_streets(city), views)
    areas = _Extents(city, festival_samples(city), views)
    return tuple(
        PhaseProgress(phase, tuple(_unit(phase, unit, streets, areas, today) for unit in _units(phase, city, areas)))
        for phase in phases
    )


def festival_samples(city: City) -> Samples:
    """Return points of a grid in the city's festival areas, each for its square metres; where two overlap, once."""
    zones = [zone for zone in city.zones if zone.kind == FESTIVAL]
    plane = plane_of(city)
    points = [_grid(zone, city) for zone in zones]
    x_m, y_m = (np.concatenate([point[axis] for point in points] or [np.zeros(0)]) for axis in (0, 1))
    whole = np.unique(np.round(np.stack([x_m, y_m]), 3), axis=1)
    places = [plane.degrees(*point) for point in whole.T.tolist()]
    latitude_deg, longitude_deg = np.array(places, np.float64).reshape(-1, 2).T
    return Samples(latitude_deg, longitude_deg, np.full(len(places), GRID_M * GRID_M))


class _Extents:
    """Samples of what is to be covered, by unit, and which of them are seen."""

    def __init__(self, city: City, samples: Samples, views: Views) -> None:
        self._samples = samples
        self._seen = seen_by(views, *plane_of(city).xy(samples.latitude_deg, samples.longitude_deg))
        codes = city.locate_units(samples.latitude_deg, samples.longitude_deg) if len(self._seen) else np.zeros(0, "U1")
        order = np.argsort(codes, kind="stable")
        names, starts = np.unique(np.asarray(codes)[order], return_index=True)
        parts = np.split(order, starts[1:])
        self.of: Mapping[str, IntArray] = dict(zip(map(str, names.tolist()), parts, strict=True)) if len(names) else {}

    def sums(self, unit: Unit, within_m: float | None) -> tuple[float, float]:
        """Return the extent of a unit and what of it is seen; within_m: of its centre, None = everywhere."""
        rows = self.of.get(unit.unit_code)
        if rows is None:
            return 0.0, 0.0
        found = self._samples
        extent, seen = found.length_m[rows], self._seen[rows]
        if within_m is not None:
            away_m = haversine_m(
                unit.latitude_deg, unit.longitude_deg, found.latitude_deg[rows], found.longitude_deg[rows]
            )
            near: BoolArray = away_m <= within_m
            extent, seen = extent[near], seen[near]
        return float(extent.sum()), float(extent[seen].sum())


def _units(phase: PhaseEntry, city: City, areas: _Extents) -> list[Unit]:
    """Return the units of a phase; of festival areas only those that have one."""
    named = bool(phase.units or phase.unit_kinds)
    found = [
        unit
        for unit in city.units
        if not named or unit.unit_code in phase.units or unit.kind in phase.unit_kinds
    ]  # fmt: skip
    return [unit for unit in found if phase.cover != "festival_areas" or unit.unit_code in areas.of]


def _unit(phase: PhaseEntry, unit: Unit, streets: _Extents, areas: _Extents, today: date) -> UnitProgress:
    if phase.cover == "festival_areas":
        extent, seen = areas.sums(unit, None)
    else:
        extent, seen = streets.sums(unit, phase.radius_m if phase.cover == "centre" else None)
    if not extent:
        standing = Standing.NOTHING
    elif seen / extent >= phase.share:
        standing = Standing.REACHED
    else:
        standing = Standing.OVERDUE if today > phase.due else Standing.MISSING
    return UnitProgress(unit.unit_code, unit.name, extent, seen, standing)


def _grid(zone: Zone, city: City) -> tuple[FloatArray, FloatArray]:
    """Return the points of the city's grid in a zone, on its plane."""
    plane = plane_of(city)
    x_m, y_m = plane.xy(*np.array(zone.corners, np.float64).T)
    columns, rows = (
        (np.arange(np.floor(axis.min() / GRID_M), np.ceil(axis.max() / GRID_M)) + 0.5) * GRID_M for axis in (x_m, y_m)
    )
    across, up = (axis.ravel() for axis in np.meshgrid(columns, rows))
    inside = polygons([(0, x_m, y_m)]).containing(across, up) >= 0
    return across[inside], up[inside]
