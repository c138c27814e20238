"""What the commands that show things share."""

from processors.city import City
from schemas.errors import UsageError
from streams.cli.showing import unit_named


def refused(city: City, text: str) -> str:
    try:
        unit_named(city, text)
    except UsageError as error:
        return str(error)
    return ""


def test_a_unit_is_named_by_code_by_name_and_without_its_type(city: City) -> None:
    unit = unit_named(city, "phường Hoàn Kiếm")
    assert unit_named(city, unit.unit_code) == unit
    assert unit_named(city, "hoàn kiếm") == unit


def test_a_unit_that_is_none_is_told_with_near_names(city: City) -> None:
    assert "did you mean phường Hoàn Kiếm" in refused(city, "phường Hoàn Kiem")
    assert refused(city, "Atlantis").startswith("Hà Nội has no unit 'Atlantis'")
