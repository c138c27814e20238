"""The city of engine measurements: as many lines as Hanoi has, each on roads of its own."""

from pathlib import Path

import pytest

from benchmarks.city import COPIES, SOURCE, write_city
from processors.city import City, load_city


@pytest.fixture(scope="module")
def city(tmp_path_factory: pytest.TempPathFactory) -> City:
    return load_city(write_city(tmp_path_factory.mktemp("bench") / "city"))


def test_every_line_is_there_six_times_and_nowhere_twice(city: City) -> None:
    source = load_city(SOURCE)
    assert len(city.lines) == COPIES * len(source.lines) == 138
    courses = {line.patterns[0].stop_ids for line in city.lines}
    assert len(courses) == len(city.lines)
    places = {(stop.latitude_deg, stop.longitude_deg) for stop in city.stops}
    assert len(places) == COPIES * len({(stop.latitude_deg, stop.longitude_deg) for stop in source.stops})


def test_what_was_written_before_is_replaced(tmp_path: Path) -> None:
    (tmp_path / "city").mkdir()
    (tmp_path / "city" / "left.yaml").write_text("- of another version\n")
    assert not (write_city(tmp_path / "city") / "left.yaml").exists()
    assert (tmp_path / "city" / "rules" / "crash.yaml").is_file()
