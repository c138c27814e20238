"""Registry and exercises on the real stack: unplaced, imported, sent again, used, with a kill -9 in between."""

import json
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from schemas.codec import Codec
from schemas.errors import Reason
from schemas.ids import shard_of
from sinks.clickhouse.queries import query
from streams import topics
from streams.cli import cli
from streams.estate import read_registry
from streams.estate_before import load_before, registered_before, save_before
from streams.reading import reading
from streams.resend import Choice, find_rejected, read_resent
from streams.settings import Settings
from streams.span import Span, save_span
from streams.workers import WorkerProcess
from tests.processors.builders import detection
from tests.streams.running import READY_S, Wire, balance, make_ready, run_settings, wait_until

pytestmark = [pytest.mark.stack, pytest.mark.timeout(120)]

RUN = "estate"
CAMERA, SENSOR = "gate-7", "gate-7-sound"
WAIT_S = 40.0
FILE = f"""camera_id;lat;lon;owner
{CAMERA};21,0285;105,8542;Cửa Nam ward
far-away;10.0;106.0;nobody
"""


@dataclass
class Site:
    """A run at work, told the time by its worker, whose camera nobody knows at first."""

    settings: Settings
    codec: Codec
    wire: Wire
    worker: WorkerProcess
    sent_ms: list[int] = field(default_factory=list)

    def see(self, age_s: float, **fields: float) -> None:
        """Let the camera see a crash so long ago."""
        at_ms = int((time.time() - age_s) * 1000)
        partition = shard_of(CAMERA) % topics.DETECTIONS.partitions
        value = self.codec.encode(detection(CAMERA, at_ms, **fields))
        self.wire.raw(topics.DETECTIONS.name, partition, value, CAMERA.encode())
        assert self.wire.producer.flush(10) == 0
        self.sent_ms.append(at_ms)

    def unplaced(self) -> int:
        """Count the records that were refused for want of a place."""
        return len(find_rejected(self.settings, self.codec, Choice(lambda one: one.reason == Reason.UNPLACED)))

    def rows(self, sql: str) -> tuple[tuple[Any, ...], ...]:
        return query(self.settings.clickhouse_url, self.settings.database, sql).rows

    def used_ms(self) -> list[int]:
        sql = f"SELECT toUnixTimestamp64Milli(at_ms) FROM detections WHERE camera_id = '{CAMERA}' ORDER BY at_ms"
        return [at_ms for (at_ms,) in self.rows(sql)]

    def kill(self) -> None:
        self.worker.kill()
        self.worker = WorkerProcess(self.settings)

    def command(self, *arguments: str) -> Result:
        env = {
            "CITYOPS_HOME": str(self.settings.home),
            "KAFKA_BOOTSTRAP_SERVERS": self.settings.kafka_bootstrap_servers,
            "SCHEMA_REGISTRY_URL": self.settings.schema_registry_url,
            "CLICKHOUSE_URL": self.settings.clickhouse_url,
            "COLUMNS": "160",
        }
        run = () if "--run" in arguments else ("--run", RUN)
        return CliRunner(env=env).invoke(cli, [*arguments, *run])


@pytest.fixture(scope="module")
def site(stack_with_registry: Settings, codec: Codec) -> Iterator[Site]:
    settings = run_settings(stack_with_registry, RUN, ticker=True)
    make_ready(settings)
    site = Site(settings, codec, Wire(settings, codec), WorkerProcess(settings))
    site.worker.wait_ready(READY_S)
    yield site
    site.worker.stop()


@pytest.fixture(scope="module")
def placed(site: Site, tmp_path_factory: pytest.TempPathFactory) -> Site:
    """The same, after the camera was unplaced, imported, and the worker killed before it had seen to that."""
    site.see(age_s=30.0)
    site.see(age_s=28.0)
    wait_until(lambda: site.unplaced() == 2, WAIT_S, "the records of the unknown camera are not unplaced")
    file = tmp_path_factory.mktemp("estate") / "cameras.csv"
    file.write_text(FILE, encoding="utf-8")
    assert "1 would be imported" in site.command("estate", "import", str(file), "--dry-run").output
    assert read_registry(site.settings, site.codec) == {}
    told = site.command("estate", "import", str(file))
    assert told.exit_code == 1, told.output
    assert "1 imported, 0 unchanged, 1 refused of 2 devices" in told.output
    assert "line 3: far-away: (10.00000, 106.00000) is outside" in told.output
    site.kill()
    site.see(age_s=0.0)
    wait_until(lambda: site.used_ms() == site.sent_ms, WAIT_S, f"not all used: {site.sent_ms}")
    return site


def test_import_takes_effect_and_what_waited_is_used_once(placed: Site, codec: Codec) -> None:
    assert placed.used_ms() == placed.sent_ms
    assert placed.unplaced() >= 2
    assert len(read_resent(placed.settings, codec)) == placed.unplaced()
    wait_until(
        lambda: placed.rows("SELECT count() FROM observations WHERE kind = 'camera_crash'") == ((1,),),
        WAIT_S,
        "two detections of one camera that were sent again are a claim",
    )
    ((unit_code, latitude_deg),) = placed.rows("SELECT DISTINCT unit_code, latitude_deg FROM detections")
    assert (unit_code != "", latitude_deg) == (True, 21.0285)
    devices = placed.rows("SELECT device_id, kind, owner, unit_code, retired FROM devices")
    assert devices == ((CAMERA, "CAMERA", "Cửa Nam ward", unit_code, 0),)


def test_import_again_changes_nothing(placed: Site, tmp_path: Path) -> None:
    (tmp_path / "again.csv").write_text(FILE, encoding="utf-8")
    told = json.loads(placed.command("estate", "import", str(tmp_path / "again.csv"), "--json").stdout)
    assert told["fates"] == {"unchanged": 1, "refused": 1}
    assert [(line["line"], line["fate"]) for line in told["lines"]] == [(2, "unchanged"), (3, "refused")]


def test_list_and_show_tell_package_and_registry(placed: Site) -> None:
    listed = json.loads(placed.command("estate", "list", "--json", "--kind", "camera").stdout)
    origins = {one["device_id"]: one["origin"] for one in listed}
    assert origins.pop(CAMERA) == "registry"
    assert len(origins) > 300
    assert set(origins.values()) == {"city package"}
    shown = json.loads(placed.command("estate", "show", CAMERA, "--json").stdout)
    assert (shown["records_used"], shown["last_used_ms"]) == (3, max(placed.sent_ms))


def test_a_replay_begins_with_what_counted_before_its_span(placed: Site, codec: Codec, tmp_path: Path) -> None:
    registered_ms = read_registry(placed.settings, codec)[CAMERA].registered_at_ms
    assert registered_before(placed.settings, codec, registered_ms) == ()
    (one,) = ones = registered_before(placed.settings, codec, registered_ms + 1)
    assert (one.device_id, one.latitude_deg) == (CAMERA, 21.0285)
    save_before(tmp_path, "again", ones)
    assert load_before(tmp_path, "again") == ones
    assert load_before(tmp_path, "another") == load_before(tmp_path, "") == ()
    save_span(placed.settings.home, "estate-replay", Span(0, 1, []))
    refused = placed.command("estate", "retire", CAMERA, "--run", "estate-replay").exception
    assert "is a replay and has no estate of its own" in str(refused)


def test_an_exercise_is_confirmed_and_marked(placed: Site) -> None:
    dry = placed.command("simulate", "inject", "fire", "--at", "21.0285,105.8542", "--dry-run")
    assert "records would be sent" in dry.output
    outside = placed.command("simulate", "inject", "fire", "--at", "10.77,106.70").exception
    assert "is outside" in str(outside)
    told = placed.command("simulate", "inject", "crash", "--at", "21.0285,105.8542", "--json")
    assert told.exit_code == 0, told.output
    played = json.loads(told.output[told.output.index("{") :])
    last = played["changes"][-1]["incident"]
    assert (last["kind"], last["state"], last["exercise"]) == ("crash", "CONFIRMED", True)
    assert {one["device_id"][:9] for one in last["evidence"]} == {"exercise:"}
    vehicles = "SELECT count() FROM positions WHERE startsWith(vehicle_id, 'exercise:')"
    wait_until(lambda: placed.rows(vehicles) == ((6,),), WAIT_S, "not all positions of the exercise are stored")
    assert placed.rows("SELECT count() FROM minutes") == ((0,),)
    with reading(placed.settings) as log:
        assert log.end([topics.TRUTH]) == {(topics.TRUTH.name, 0): 0}


def test_a_retired_camera_has_no_place_and_all_is_accounted_for(placed: Site, codec: Codec) -> None:
    before = placed.unplaced()
    assert placed.command("estate", "retire", CAMERA).exit_code == 0
    wait_until(
        lambda: placed.rows("SELECT retired FROM devices") == ((1,),), WAIT_S, "the retirement does not take effect"
    )
    placed.see(age_s=0.0)
    wait_until(lambda: placed.unplaced() == before + 1, WAIT_S, "a retired camera still has its place")
    refused = "SELECT count() FROM rejected WHERE reason = 'unplaced'"
    wait_until(lambda: placed.rows(refused) == ((before + 1,),), WAIT_S, "the last block is not stored")
    balance(placed.settings, codec)


def test_a_revoked_camera_is_refused_even_with_a_place_of_its_own(placed: Site, codec: Codec) -> None:
    before = placed.unplaced()
    ((logged,),) = placed.rows("SELECT count() FROM device_log")
    assert placed.command("estate", "revoke", CAMERA).output == f"revoked: {CAMERA}\n"
    wait_until(
        lambda: placed.rows("SELECT count() FROM device_log") == ((logged + 1,),), WAIT_S, "it is not revoked"
    )  # fmt: skip
    placed.see(age_s=0.0, latitude_deg=21.0285, longitude_deg=105.8542)
    wait_until(lambda: placed.unplaced() == before + 1, WAIT_S, "a revoked camera is still used")
    (shown,) = json.loads(placed.command("estate", "list", "--retired", "--json", "--kind", "camera").stdout)[-1:]
    assert (shown["device_id"], shown["retired"], shown["revoked"]) == (CAMERA, True, True)
    refused = "SELECT count() FROM rejected WHERE reason = 'unplaced'"
    wait_until(lambda: placed.rows(refused) == ((before + 1,),), WAIT_S, "the last block is not stored")
    balance(placed.settings, codec)
