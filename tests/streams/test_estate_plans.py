"""Coverage, rollout and qualification on the command line, of the city package alone: no server is asked."""

import json
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from streams.cli import cli
from tests.processors.test_qualification import GOOD

VENUE = "21.0007,105.8404"


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("CITYOPS_HOME", str(tmp_path / "home"))
    return tmp_path


def command(*words: str) -> Result:
    return CliRunner().invoke(cli, ["estate", *words], env={"COLUMNS": "120"})


def whole(*words: str) -> dict[str, Any]:
    told: dict[str, Any] = json.loads(command("coverage", "--package-only", "--json", *words).stdout)
    return told


def test_coverage_is_told_as_json_as_a_table_and_as_a_map(tmp_path: Path) -> None:
    told = whole()
    assert 0 < told["whole"]["street_share"] < 1
    assert len(told["units"]) == 126
    svg = tmp_path / "map.svg"
    shown = command("coverage", "--package-only", "--limit", "3", "--svg", str(svg))
    assert f"{told['whole']['street_share']:.1%}" in shown.stdout
    assert "126 units, 3 shown" in shown.stdout
    assert svg.read_text(encoding="utf-8").startswith("<svg")


def test_planned_cameras_count_as_if_registered(tmp_path: Path) -> None:
    offer = tmp_path / "offer.csv"
    offer.write_text(f"camera_id,lat,lon,range\nNEW-1,{VENUE},3000\n")
    before, after = whole(), whole("--planned", str(offer))
    assert after["whole"]["cameras"] == before["whole"]["cameras"] + 1
    assert after["whole"]["street_seen_m"] > before["whole"]["street_seen_m"] + 3_000
    offer.write_text("camera_id,lat,lon,range\nNEW-1,,,\n")
    refused = command("coverage", "--package-only", "--planned", str(offer))
    assert "line 2: NEW-1: has no place" in str(refused.exception)


def test_rollout_is_overdue_after_its_day() -> None:
    def standings(day: str) -> set[str]:
        told = json.loads(command("rollout", "--package-only", "--json", "--at", day).stdout)
        (urban,) = [one for one in told if one["id"] == "urban"]
        return {one["standing"] for one in urban["progress"]}

    assert standings("2027-12-31") == {"missing", "nothing known to cover"}
    assert standings("2028-01-01") == {"overdue", "nothing known to cover"}
    assert "Urban wards, all streets" in command("rollout", "--package-only").stdout


def test_a_refused_camera_is_not_in_the_device_file_and_fails_the_command(tmp_path: Path) -> None:
    declared, out = tmp_path / "declared.json", tmp_path / "cameras.csv"
    declared.write_text(json.dumps([GOOD, GOOD | {"camera_id": "HOME-2", "codec": "MJPEG"}]))
    found = command("qualify", str(declared), "--at", "2026-11-23", "--out", str(out))
    assert found.exit_code == 1
    assert "1 qualified, 0 conditional, 1 refused by checklist 2026-11" in found.stdout
    assert [line.split(",")[:3] for line in out.read_text().splitlines()[1:]] == [["MALL-1", "yes", "2027-11-23"]]
    told = json.loads(command("qualify", str(declared), "--at", "2026-11-23", "--json").stdout)
    assert [one["verdict"] for one in told["cameras"]] == ["qualified", "refused"]
    assert told["cameras"][1]["failing"][0]["item"] == "codec"


def test_a_checklist_does_not_hold_before_its_first_day(tmp_path: Path) -> None:
    declared = tmp_path / "declared.json"
    declared.write_text(json.dumps([GOOD]))
    refused = command("qualify", str(declared), "--at", "2026-10-31")
    assert "holds from 2026-11-01 on, not on 2026-10-31" in str(refused.exception)
