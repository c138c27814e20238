"""Baselines from the rows that the engine wrote, by the command line, and what detectors make of them."""

import asyncio
import json
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from click.testing import CliRunner, Result

from processors.city import City, load_city
from processors.evaluation.pipeline import Concluder
from processors.fleet import fleet_domain
from processors.incidents.rules import load_rules
from sinks.clickhouse.migrations import drop_database, migrate
from sinks.clickhouse.writer import Writer
from streams.cli import cli
from streams.new_baselines import NewBaselines
from streams.settings import Settings
from tests.city.builders import write_files
from tests.processors.builders import engine, log_of, position, run, tick

ZONE = ZoneInfo("Asia/Ho_Chi_Minh")
RUN = "usual"
FILES = {
    "city.yaml": """\
name: Small
time_zone: Asia/Ho_Chi_Minh
bounds: {south: 20.9, west: 105.7, north: 21.1, east: 105.9}
""",
    "stops.yaml": """\
stops:
  - {id: S1, name: West, lat: 21.0, lon: 105.80}
  - {id: S2, name: East, lat: 21.0, lon: 105.82}
""",
    "lines.yaml": """\
lines:
  - {id: L1, name: Line 1, mode: bus, colour: "#112233", headways: [], directions: [[S1, S2]]}
""",
}
RULE = """\
id: slow
kind: slow
evidence: {slow_progress: 0.5, hard_stop: 0.5}
within: {distance_m: 400, quiet_s: 600, lasts_s: 14400}
suspected:
  score: 0.2
  any_of: [{claims: {slow_progress: 3}, apart_s: 1200, rate: {times: 3, over_s: 1200}}]
confirmed: {score: 0.9, witnesses: 2}
resolve_after_s: 600
severity: {suspected: MINOR, confirmed: MODERATE}
"""


def ms(text: str) -> int:
    return int(datetime.fromisoformat(text).replace(tzinfo=ZONE).timestamp() * 1000)


def drive(at: str, speed_mps: float, city: City, first_offset: int = 0) -> Any:
    """Three buses drive from 519 m on, at that speed, up to 400 m, a report every 10 s."""
    from_ms = ms(at)
    fixes = [
        position(f"bus-{bus}", from_ms + 10_000 * step + bus, east_m=10 * step * speed_mps, speed_mps=speed_mps)
        for step in range(int(40 / speed_mps) + 1)
        for bus in range(3)
    ]
    log = log_of([tick(from_ms - 1000), *fixes, tick(from_ms + 600_000)], first_offset)
    return run(engine(fleet_domain(), city=city), log)


@dataclass(frozen=True, slots=True)
class Town:
    """A city's folder, and a database with four Mondays at 8 (slow) and at 9 (fast)."""

    folder: Path
    stack: Settings

    def command(self, *arguments: str) -> Result:
        env = {"CLICKHOUSE_URL": self.stack.clickhouse_url, "CITYOPS_HOME": str(self.stack.home), "COLUMNS": "200"}
        return CliRunner().invoke(cli, ["baselines", *arguments, "--city", str(self.folder)], env=env)

    def build(self, *arguments: str) -> Result:
        return self.command("build", "--run", RUN, *arguments)


@pytest.fixture
def town(stack: Settings, tmp_path: Path) -> Iterator[Town]:
    folder = write_files(tmp_path / "small", FILES)
    write_files(folder / "rules", {"slow.yaml": RULE})
    city = load_city(folder)
    url, database = stack.clickhouse_url, stack.with_run(RUN, RUN).database
    migrate(url, database, ttl_days=None)
    writer = Writer(url, database)
    for number, day in enumerate(("2026-08-31", "2026-09-07", "2026-09-14", "2026-09-21")):
        for hour, speed_mps in (("08", 2.0), ("09", 10.0)):
            for frame in drive(f"{day}T{hour}:00", speed_mps, city, 1_000 * (2 * number + int(hour) - 8)).frames:
                writer.write(frame)
    yield Town(folder, stack)
    drop_database(url, database)


def slow(at: str, speed_mps: float, city: City) -> set[float]:
    """What share of the usual speed is claimed."""
    return {one.value for one in drive(at, speed_mps, city).observations if one.kind == "slow_progress"}


@pytest.mark.stack
def test_a_baseline_of_stored_days_changes_what_is_slow(town: Town) -> None:
    plain = load_city(town.folder)
    assert slow("2026-09-28T08:05", 2.0, plain) == {0.333}
    assert slow("2026-09-28T09:05", 3.0, plain) == set()
    built = town.build("--from", "2026-09-28", "--days", "28")
    assert built.exit_code == 0, built.output
    assert "segments: 1, kinds: 1" in built.output
    city = load_city(town.folder)
    assert city.version == plain.version
    assert slow("2026-09-28T08:05", 2.0, city) == set(), "as slow as every Monday at 8"
    assert slow("2026-09-28T09:05", 3.0, city) == {0.3}, "10 m/s are usual at 9"
    assert slow("2026-09-27T09:05", 3.0, city) == set(), "the day before"
    ward = city.baselines.expected("slow_progress", "", ms("2026-09-28T08:30"), ZONE)
    assert ward == 3.125, "three on each of four Mondays, and half a claim"
    assert city.baselines.expected("hard_stop", "", ms("2026-09-28T08:30"), ZONE) == 0.125
    again = town.build("--from", "2026-09-28", "--days", "28")
    assert "was there already" in again.output


@pytest.mark.stack
def test_a_rate_is_told_against_what_was_stored(town: Town) -> None:
    assert town.build("--from", "2026-09-28").exit_code == 0
    rules = load_rules(town.folder / "rules")

    def told(at: str, city: City) -> bool:
        blocks = drive(at, 2.0, city).blocks
        return bool(Concluder(rules, city, [("vehicle.positions.v1", 0)]).take(blocks))

    city, unknown = load_city(town.folder), load_city(write_files(town.folder.parent / "other", FILES))
    assert told("2026-09-28T09:05", city), "three, where half a claim in four weeks is expected"
    assert not told("2026-09-28T09:05", unknown), "nobody has told what is usual"
    assert not told("2026-09-21T08:05", city), "no snapshot held then"


@pytest.mark.stack
def test_a_snapshot_is_listed_shown_and_never_changed(town: Town, tmp_path: Path) -> None:
    both = json.loads(town.build("--from", "2026-09-28", "--until", "2026-09-29", "--json").output)
    assert [one["valid_from"] for one in both["snapshots"]] == ["2026-09-28T00:00+07:00", "2026-09-29T00:00+07:00"]
    listed = town.command("show").output
    assert all(one["version"] in listed for one in both["snapshots"])
    picture = tmp_path / "usual.svg"
    shown = town.command("show", "--line", "L1", "--picture", str(picture)).output
    assert shown.splitlines()[1].split() == ["0/1", "7", "36"], "km/h at 8 and at 9"
    assert "0/1, 9:00: 36 km/h" in picture.read_text(encoding="utf-8")
    fewer = town.build("--from", "2026-09-28", "--days", "21")
    assert isinstance(fewer.exception, Exception)
    assert "a snapshot is never changed" in str(fewer.exception)
    later = json.loads(town.build("--from", "2026-10-01", "--days", "31", "--keep", "2", "--json").output)
    assert [Path(path).name for path in later["removed"]] == ["2026-09-28.json"]


@pytest.mark.stack
@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("--from", "2026-11-23"), "holds records of 0 of the 28 days before 2026-11-22: a baseline needs 3"),
        (("--from", "2100-01-01"), "it can be made from 2099-12-31 00:30 on"),
        (("--from", "2026-09-28", "--until", "2026-09-27"), "2026-09-28 is after 2026-09-27"),
    ],
)
def test_what_cannot_be_built_is_said_in_a_sentence(town: Town, arguments: tuple[str, ...], words: str) -> None:
    refused = town.build(*arguments)
    assert refused.exit_code != 0
    assert words in str(refused.exception)


def test_what_cannot_be_shown_is_said_in_a_sentence(tmp_path: Path) -> None:
    folder = write_files(tmp_path / "small", FILES)
    none = CliRunner().invoke(cli, ["baselines", "show", "--city", str(folder)])
    assert "has no baseline: make one with `cityops baselines build`" in str(none.exception)
    write_files(
        folder / "baselines", {"a.json": '{"valid_from": "2026-09-28T00:00:00+07:00", "normals_mps": {"L1": []}}'}
    )
    broken = CliRunner().invoke(cli, ["baselines", "show", "--city", str(folder)])
    assert "a.json: normals_mps L1" in str(broken.exception)


def test_a_worker_takes_what_is_made_while_it_runs(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    folder = write_files(tmp_path / "small", FILES)
    city = load_city(folder)
    watched = NewBaselines(city, folder)
    with_devices = city.with_devices({}, {}, {})
    assert slow("2026-09-28T09:05", 3.0, with_devices) == set()
    told = {"valid_from": "2026-09-28T00:00:00+07:00", "normals_mps": {"L1/0/1": [10.0] * 48}, "elsewhere": [2.0] * 168}
    write_files(folder / "baselines", {"2026-09-28.json": json.dumps(told)})
    asyncio.run(watched.look())
    assert slow("2026-09-28T09:05", 3.0, with_devices) == {0.3}
    assert slow("2026-09-27T09:05", 3.0, with_devices) == set(), "the day before is as it was"
    assert city.baselines.expected("any", "", ms("2026-09-28T09:05"), ZONE) == 2.0
    write_files(folder / "baselines", {"2026-09-29.json": "{}"})
    asyncio.run(watched.look())
    assert "the baselines stay as they were" in caplog.text
    assert slow("2026-09-29T09:05", 3.0, city) == {0.3}
