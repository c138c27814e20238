"""docs/adding-a-rule.md, step by step, in a copy of the city: a YAML file and its cases make a new kind of incident."""

import json
import re
import shutil
from pathlib import Path

import pytest
from click.testing import CliRunner

from processors.city import load_city
from processors.evaluation.pipeline import Concluder, Observers
from processors.incidents.rules import load_rules
from processors.simulate import Sent
from schemas.codec import local_codec
from schemas.records import IncidentChange, IncidentState
from streams.cli import cli
from streams.settings import PROJECT
from tests.processors.builders import detection

PAGE = PROJECT / "docs" / "adding-a-rule.md"
KIND = "blocked_hospital"
START_MS = 1_795_402_800_000
"""2026-11-23 10:00 in Hà Nội."""


@pytest.fixture
def city_folder(tmp_path: Path) -> Path:
    """Copy Hanoi and add the two files of the page."""
    folder = tmp_path / "hanoi"
    shutil.copytree(PROJECT / "cities" / "hanoi", folder)
    written = re.findall(r"`cities/hanoi/(rules/[a-z_/]+\.yaml)`.*?```yaml\n(.*?)```", PAGE.read_text(), re.DOTALL)
    assert [name for name, _ in written] == [f"rules/{KIND}.yaml", f"rules/cases/{KIND}.yaml"]
    for name, text in written:
        (folder / name).write_text(text)
    return folder


def test_page_can_be_followed(city_folder: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("CITYOPS_HOME", str(tmp_path / "home"))
    runner = CliRunner()
    checked = runner.invoke(cli, ["rules", "check", str(city_folder), "--json"])
    assert checked.exit_code == 0, checked.output
    assert KIND in {one["kind"] for one in json.loads(checked.output)["rules"]}
    tested = runner.invoke(cli, ["rules", "test", str(city_folder), "--only", KIND, "--json"])
    assert tested.exit_code == 0, tested.output
    assert [one["failures"] for one in json.loads(tested.output)["cases"]] == [[]] * 4


def test_new_kind_comes_out_of_what_cameras_send(city_folder: Path) -> None:
    """Two cameras at a hospital see a parked vehicle and a vendor for some minutes, every five seconds."""
    city, codec = load_city(city_folder), local_codec()
    rules = load_rules(city_folder / "rules", city)
    observers = Observers(city, codec)
    concluder = Concluder(rules, city, observers.sources)
    hospital = next(one for one in city.venues if one.venue_id == "bv-viet-duc")
    cameras = {"CAM-bv-viet-duc": ("illegal_parking", "car"), "CAM-bv-phu-san-tw": ("vending", "person")}
    found: list[IncidentChange] = []
    for second in range(0, 300, 5):
        at_ms = START_MS + second * 1000
        for camera_id, (kind, object_class) in cameras.items():
            one = detection(
                camera_id,
                at_ms,
                latitude_deg=hospital.latitude_deg,
                longitude_deg=hospital.longitude_deg,
                kind=kind,
                track_id="7",
                object_class=object_class,
            )
            observers.take([Sent("camera.detections.v1", camera_id, one)])
        found += concluder.take(observers.tick(at_ms + 1_000))
    (incident,) = {one.incident.incident_id: one.incident for one in found if one.incident.kind == KIND}.values()
    assert incident.state is IncidentState.SUSPECTED
    assert incident.witnesses == 2
    assert {one.kind for one in incident.evidence} == {"camera_illegal_parking", "camera_street_vending"}
    assert "Việt Đức" in incident.place
