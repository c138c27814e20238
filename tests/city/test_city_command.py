import json
from pathlib import Path

from click.testing import CliRunner

from streams.cli.city import city
from tests.city.builders import HANOI, write_files


def test_check_says_what_a_package_holds() -> None:
    result = CliRunner().invoke(city, ["check", str(HANOI)])
    assert result.exit_code == 0
    assert "Hà Nội" in result.output
    assert "126 (commune 75, ward 51)" in result.output


def test_check_reports_json() -> None:
    result = CliRunner().invoke(city, ["check", str(HANOI), "--json"])
    report = json.loads(result.output)
    assert (report["mistakes"], report["units"]) == ([], {"ward": 51, "commune": 75})


def test_check_lists_every_mistake_and_exits_1(tmp_path: Path) -> None:
    files = {"city.yaml": "name: X\ntime_zone: Nowhere/At_All\nbounds: {south: 1, west: 1, north: 0, east: 2}\n"}
    folder = write_files(tmp_path, files)
    result = CliRunner().invoke(city, ["check", str(folder)])
    assert result.exit_code == 1
    assert "has 2 mistakes:" in result.output
    assert "city.yaml line 2: time_zone" in result.output
    assert "city.yaml line 3: bounds" in result.output
    report = json.loads(CliRunner().invoke(city, ["check", str(folder), "--json"]).output)
    assert len(report["mistakes"]) == 2


def test_check_of_no_folder_exits_1_with_a_sentence(tmp_path: Path) -> None:
    result = CliRunner().invoke(city, ["check", str(tmp_path / "none")])
    assert result.exit_code == 1
    assert "city.yaml is missing" in result.output


def test_help_shows_an_example() -> None:
    assert "Example: cityops city check" in CliRunner().invoke(city, ["check", "--help"]).output
