"""docs/adding-a-rule.md on the real stack: a city with one more rule file makes a new kind of incident everywhere."""

import json
import re
import shutil
import urllib.request
from pathlib import Path
from typing import Any, Final

import pytest
from click.testing import CliRunner

from processors.city import City
from processors.simulate import Sent
from schemas.codec import Codec
from schemas.records import CameraDetection, Incident, IncidentState
from sinks.clickhouse.queries import query
from streams import topics
from streams.cli import cli
from streams.reading import reading
from streams.settings import PROJECT, Settings
from streams.workers import environment
from tests.processors.builders import detection
from tests.streams.running import START_MS, Wire, finish, make_ready, run_settings, working

pytestmark = pytest.mark.stack

PAGE: Final = PROJECT / "docs" / "adding-a-rule.md"
KIND: Final = "blocked_hospital"
TITLE: Final = "Way to a hospital blocked"
SEEN_S: Final = 300
EVERY_S: Final = 5
CAMERAS: Final = {"CAM-bv-viet-duc": ("illegal_parking", "car"), "CAM-bv-phu-san-tw": ("vending", "person")}


@pytest.fixture
def settings(stack_with_registry: Settings, tmp_path: Path) -> Settings:
    """A run in a copy of Hà Nội with the rule file of the page and nothing else new."""
    folder = tmp_path / "hanoi"
    shutil.copytree(PROJECT / "cities" / "hanoi", folder)
    (written,) = re.findall(rf"`cities/hanoi/rules/{KIND}\.yaml`.*?```yaml\n(.*?)```", PAGE.read_text(), re.DOTALL)
    (folder / "rules" / f"{KIND}.yaml").write_text(written)
    return run_settings(stack_with_registry, "newkind", city=folder, rules=None)


def looks(city: City, at_ms: int) -> list[Sent]:
    """What two cameras at a hospital see: a parked vehicle, and a vendor 40 m away."""
    hospital = next(one for one in city.venues if one.venue_id == "bv-viet-duc")
    place = {"latitude_deg": hospital.latitude_deg, "longitude_deg": hospital.longitude_deg}
    seen: list[CameraDetection] = [
        detection(camera_id, at_ms, kind=kind, track_id="7", object_class=object_class, **place)
        for camera_id, (kind, object_class) in CAMERAS.items()
    ]
    return [Sent(topics.DETECTIONS.name, one.camera_id, one) for one in seen]


def answer(settings: Settings, path: str) -> Any:
    with urllib.request.urlopen(f"{settings.web_url}{path}", timeout=30) as told:
        return json.load(told)


def incidents_topic(settings: Settings, codec: Codec) -> list[Incident]:
    with reading(settings) as log:
        values = [one.value or b"" for one in log.read(topics.INCIDENTS, {}, log.end([topics.INCIDENTS]))]
    return [codec.read(value, Incident) for value in values]


def test_one_rule_file_makes_a_new_kind_from_kafka_to_the_page(settings: Settings, codec: Codec, city: City) -> None:
    make_ready(settings)
    wire = Wire(settings, codec)
    wire.tick(START_MS)
    for second in range(0, SEEN_S, EVERY_S):
        at_ms = START_MS + second * 1000
        wire.records(looks(city, at_ms))
        wire.tick(at_ms + 1_000)
    wire.close()
    with working(settings) as worker:
        finish(settings, worker)
        listed = answer(settings, "/api/incidents")["incidents"]
        titles = {one["kind"]: one["title"] for one in answer(settings, "/api/rules")}

    newest = {one.incident_id: one for one in incidents_topic(settings, codec)}
    (incident,) = (one for one in newest.values() if one.kind == KIND)
    assert (incident.rule_id, incident.state, incident.witnesses) == (KIND, IncidentState.SUSPECTED, 2)
    assert {one.kind for one in incident.evidence} == {"camera_illegal_parking", "camera_street_vending"}
    assert {one.device_id for one in incident.evidence} == set(CAMERAS)
    assert "Việt Đức" in incident.place

    assert query(
        settings.clickhouse_url,
        settings.database,
        f"SELECT incident_id, state, place FROM incidents WHERE kind = '{KIND}'",
    ).rows == ((incident.incident_id, "SUSPECTED", incident.place),)

    assert titles[KIND] == TITLE
    assert [one["incident_id"] for one in listed if one["kind"] == KIND] == [incident.incident_id]

    command = ["incidents", "list", "--kind", KIND, "--run", settings.run, "--json"]
    told = CliRunner().invoke(cli, command, env=environment(settings))
    assert told.exit_code == 0, told.output
    assert [one["incident_id"] for one in json.loads(told.output)] == [incident.incident_id]
