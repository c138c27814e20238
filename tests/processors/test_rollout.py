"""Rollout: phases of a plan against what cameras see, unit by unit."""

from datetime import date
from pathlib import Path

import numpy as np
import pytest

from processors.areas import power_diagram
from processors.city import Bounds, City, Line, Unit, Zone, load_city, pattern_along
from processors.city_files import CityInvalid
from processors.rollout import FILE, PhaseEntry, Standing, UnitProgress, progress, read_phases
from processors.zones import circle
from tests.processors.test_coverage import HANOI, PLANE, SOUTH_DEG, WEST_DEG, camera, place

BEFORE, AFTER = date(2026, 12, 31), date(2027, 1, 1)


def city() -> City:
    """A street of a kilometre through two units; a festival area of 100 m around its eastern quarter's middle."""
    ends = np.array([place(0, 0), place(1_000, 0)]).T
    units = (
        Unit("w", "West", "ward", *place(250, 0), 1.0),
        Unit("e", "East", "commune", *place(750, 0), 1.0),
        Unit("n", "North", "commune", *place(250, 1_500), 1.0),
    )
    centres = PLANE.xy(*np.array([(one.latitude_deg, one.longitude_deg) for one in units]).T)
    return City(
        name="Street",
        version="1",
        time_zone="UTC",
        bounds=Bounds(SOUTH_DEG, WEST_DEG, 21.1, 105.9),
        lines=(Line("A", "A", "bus", "", (), (pattern_along(0, ends[0], ends[1], {}),)),),
        units=units,
        areas=power_diagram(*centres, np.full(3, 1e6), 3.0),
        zones=(Zone("f", "Fair", "festival", circle(*place(750, 0), 100.0)),),
    )


def phase(**fields: object) -> PhaseEntry:
    return PhaseEntry.model_validate(
        {"id": "p", "title": "P", "cover": "streets", "share": 0.8, "due": BEFORE, **fields}
    )


def found(one: PhaseEntry, *cameras: tuple[int, int], today: date = BEFORE) -> dict[str, UnitProgress]:
    """Progress by unit; cameras as (east_m, range_m), each looking all around."""
    made = [camera(east, range_m=reach) for east, reach in cameras]
    (told,) = progress(city(), [one], made, today)
    return {unit.name: unit for unit in told.units}


def test_streets_of_the_units_of_a_kind_are_asked_for() -> None:
    wards = found(phase(unit_kinds=["ward"]), (250, 210))
    assert list(wards) == ["West"]
    assert wards["West"].extent == pytest.approx(500)
    assert wards["West"].share == pytest.approx(0.84, abs=0.01)
    assert wards["West"].standing is Standing.REACHED


def test_what_is_not_reached_is_missing_until_its_day_has_passed() -> None:
    one = phase(unit_kinds=["ward"])
    assert found(one, (250, 190))["West"].standing is Standing.MISSING
    assert found(one, (250, 190), today=AFTER)["West"].standing is Standing.OVERDUE
    assert found(one, (250, 210), today=AFTER)["West"].standing is Standing.REACHED


def test_a_unit_without_known_streets_is_neither_reached_nor_missing() -> None:
    north = found(phase(units=["n"]), today=AFTER)["North"]
    assert (north.standing, north.share) == (Standing.NOTHING, None)


def test_of_a_centre_only_what_is_near_counts() -> None:
    east = found(phase(unit_kinds=["commune"], cover="centre", radius_m=100.0), (750, 85))["East"]
    assert east.extent == pytest.approx(200, abs=10)
    assert east.standing is Standing.REACHED


def test_festival_areas_are_asked_for_by_their_square_metres() -> None:
    seen = found(phase(cover="festival_areas"), (750, 50))
    assert list(seen) == ["East"]
    assert seen["East"].extent == pytest.approx(np.pi * 100**2, rel=0.05)
    assert seen["East"].share == pytest.approx(0.25, abs=0.04)
    assert found(phase(cover="festival_areas"), (750, 110))["East"].standing is Standing.REACHED


def test_the_plan_of_hanoi_fits_its_units_and_festival_areas() -> None:
    hanoi = load_city(HANOI)
    phases = read_phases(HANOI / FILE, hanoi)
    told = {one.phase.id: one for one in progress(hanoi, phases, [], date(2026, 11, 23))}
    assert len(told["urban"].units) == sum(unit.kind == "ward" for unit in hanoi.units)
    assert told["festivals"].count(Standing.OVERDUE) == len(told["festivals"].units) > 0
    assert told["urban"].count(Standing.OVERDUE) == told["urban"].count(Standing.REACHED) == 0


def test_a_plan_of_other_units_is_refused_with_its_line(tmp_path: Path) -> None:
    file = tmp_path / "p.yaml"
    file.write_text(
        "phases:\n  - {id: a, title: A, cover: streets, share: 0.5, due: 2027-01-01,\n"
        "     units: [w, x], unit_kinds: [town]}\n"
    )
    with pytest.raises(CityInvalid) as caught:
        read_phases(file, city())
    assert [one.partition(": ")[2] for one in caught.value.mistakes] == [
        "units: Street has no 'x'",
        "unit_kinds: Street has no 'town'",
    ]
