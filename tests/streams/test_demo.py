"""What a new user does: the demo, simulated and with recorded data, as commands, on the real stack."""

import json
import signal
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import pandas as pd
import psutil
import pytest

from schemas.errors import UsageError
from schemas.tables import TABLES
from sinks.clickhouse.queries import query
from streams.session import alone
from streams.settings import PROJECT, Settings, settings_from_env
from tests.streams.commands import FinishedDemo, cityops, finished

pytestmark = [pytest.mark.stack, pytest.mark.timeout(400)]

CAPMETRO = PROJECT.parent / "shared" / "data" / "capmetro" / "2015-09-06.csv"
HANOI_GTFS = PROJECT.parent / "shared" / "data" / "hanoi_gtfs" / "central_complete"
MPH_IN_MPS = 0.44704


def test_five_minutes_of_the_city_balance_and_hold_25_kinds(minutes_of_the_city: FinishedDemo) -> None:
    report: dict[str, Any] = json.loads(minutes_of_the_city.report)
    assert report["balances"] is True
    for quiet in ("operator.actions.v1", "vehicle.frames.v1"):  # nobody decides, and the vehicles send single positions
        assert report["records"].pop(quiet)["in"] == 0
    for topic, count in report["records"].items():
        parts = count["used"] + count["duplicate"] + count["rejected"] + count["forwarded"]
        assert count["in"] == parts > 0, topic
        assert count["used"] / count["in"] > 0.95, topic
    assert set(report["clickhouse"]) == set(TABLES)
    assert all(table["written"] == table["stored"] for table in report["clickhouse"].values())
    assert report["clickhouse"]["positions"]["stored"] == report["records"]["vehicle.positions.v1"]["used"]
    crash, fire = report["incidents"]["crash"], report["incidents"]["fire"]
    assert crash["truth"] >= 3
    assert crash["detected"] >= 2
    assert fire["truth"] >= 3
    assert fire["detected"] == fire["truth"]
    assert fire["median_time_to_detect_s"] < 30
    assert report["latency_ms"]["changes"] > 100
    kinds = report["kinds"]
    assert len(kinds["played"]) >= 27
    assert len(kinds["detected"]) >= 25, kinds
    assert {*kinds["detected"], *kinds["missed"], *kinds["not_judged"]} == set(kinds["played"])
    assert kinds["not_played"]["noise"] == "takes up to 60 min"
    assert f"kinds: {len(kinds['played'])} played, {len(kinds['detected'])} detected" in minutes_of_the_city.output
    assert "confirmed" in minutes_of_the_city.output
    assert " · lines " in minutes_of_the_city.output


def test_recorded_positions_agree_with_a_plain_computation(stack_with_registry: Settings, tmp_path: Path) -> None:
    if not CAPMETRO.exists():
        pytest.skip("the recorded day of Austin's buses is not part of the repository")
    report_path = tmp_path / "report.json"
    process = cityops(
        *("demo", "--input", str(CAPMETRO), "--format", "csv", "--run", "capmetro", "--report", str(report_path)),
        *("--map", "vehicle_id=vehicle_id,at=timestamp,lat=latitude,lon=longitude,speed=speed,line=route_id"),
        *("--speed-unit", "mph", "--time-zone", "America/Chicago"),
        stack=stack_with_registry,
    )
    finished(process, 380)

    report = json.loads(report_path.read_text())
    positions = report["records"]["vehicle.positions.v1"]
    assert report["balances"] is True
    assert positions["in"] + report["recorded"]["refused"] == 53_569
    assert (positions["used"] + positions["duplicate"]) / 53_569 >= 0.95

    rows = query(
        stack_with_registry.clickhouse_url,
        "cityops_capmetro",
        "SELECT key, toUnixTimestamp(toStartOfHour(minute)) AS hour, sum(speeds), "
        "sum(speed_sum_mm_s) / sum(speeds) / 1000 "
        "FROM minutes WHERE dimension = 'line' GROUP BY key, hour HAVING sum(speeds) > 0",
    ).rows
    stored = {(row[0], row[1]): (row[2], row[3]) for row in rows}

    plain = pd.read_csv(CAPMETRO, dtype={"vehicle_id": str, "route_id": str})
    at = pd.to_datetime(plain["timestamp"], utc=True)
    plain["at_ms"] = at.astype("int64") // (10**6 if at.dtype == "datetime64[ns, UTC]" else 10**3)
    plain["hour"] = plain["at_ms"] // 3_600_000 * 3600
    plain = plain.drop_duplicates(["vehicle_id", "at_ms"])
    plain["speed_mps"] = plain["speed"] * MPH_IN_MPS
    by_hand = (
        plain.dropna(subset=["route_id", "speed"]).groupby(["route_id", "hour"])["speed_mps"].agg(["count", "mean"])
    )

    assert len(stored) == len(by_hand) > 500
    for (route, hour), row in by_hand.iterrows():
        count, mean = stored[route, hour]
        assert count == row["count"], (route, hour)
        assert mean == pytest.approx(row["mean"], abs=0.001), (route, hour)


def test_a_gtfs_feed_replaces_the_network(stack_with_registry: Settings, tmp_path: Path) -> None:
    if not HANOI_GTFS.exists():
        pytest.skip("the GTFS feed of Hanoi is not part of the repository")
    report_path = tmp_path / "report.json"
    process = cityops(
        *("demo", "--for", "15s", "--speed", "2", "--run", "gtfs", "--vehicles", "300", "--gtfs", str(HANOI_GTFS)),
        *("--report", str(report_path)),
        stack=stack_with_registry,
    )
    finished(process, 150)

    assert json.loads(report_path.read_text())["balances"] is True
    lines = query(
        stack_with_registry.clickhouse_url,
        "cityops_gtfs",
        "SELECT DISTINCT matched_line_id FROM positions WHERE matched_line_id != ''",
    ).rows
    assert "01_1" in {row[0] for row in lines}


def test_ctrl_c_stops_everything_within_five_seconds(tmp_path: Path) -> None:
    process = cityops("demo", "--vehicles", "100", home=tmp_path / "home")
    log = tmp_path / "home" / "logs" / "worker-live.log"
    until = time.monotonic() + 120
    while not log.exists():
        assert process.poll() is None, process.communicate()[0]
        assert time.monotonic() < until
        time.sleep(0.2)
    time.sleep(8)
    children = psutil.Process(process.pid).children(recursive=True)
    assert len(children) >= 4  # Kafka, registry, ClickHouse, worker and who supervises them

    process.send_signal(signal.SIGINT)
    began = time.monotonic()
    process.communicate(timeout=20)

    assert time.monotonic() - began < 5
    _, alive = psutil.wait_procs(children, timeout=0.5)
    assert [child for child in alive if runs(child)] == []


def runs(process: psutil.Process) -> bool:
    """Whether it does; one that ended and whose parent has not asked for it yet does not."""
    try:
        return process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["worker"], "run `cityops stack up` or set KAFKA_BOOTSTRAP_SERVERS"),
        (["incidents", "list"], "run `cityops stack up` or set KAFKA_BOOTSTRAP_SERVERS"),
        (["demo", "--input", "README.md", "--map", "vehicle_id=nowhere"], "nowhere"),
        (["demo", "--for", "soon"], "is not a length of time"),
        (["replay", "--from", "yesterday"], "is not a time"),
        (["city", "check", "docs"], "city.yaml is missing"),
        (["demo", "--for", "5s", "--report", "nowhere/report.json"], "there is no folder"),
        (["demo", "--for", "5s", "--run", "../x"], "cannot name a run"),
        (["demo", "--for", "5s", "--city", "nowhere"], "city.yaml is missing"),
        (["replay", "--into", "live"], "cannot name a run"),
        (["replay", "--from", "2000", "--to", "1000", "--into", "x"], "--from is not before --to"),
    ],
)
def test_a_mistake_gets_one_sentence(tmp_path: Path, arguments: list[str], told: str) -> None:
    process = cityops(*arguments, home=tmp_path)
    output, _ = process.communicate(timeout=60)
    assert process.returncode in (1, 2), output
    assert told in output
    assert "Traceback" not in output


@pytest.mark.parametrize(
    "arguments",
    [["simulate", "--for", "3s"], ["replay", "--into", "x"], ["incidents", "list"], ["demo", "--for", "5s"]],
)
def test_missing_servers_get_one_sentence(tmp_path: Path, arguments: list[str]) -> None:
    nobody = replace(
        settings_from_env(),
        home=tmp_path,
        kafka_bootstrap_servers="127.0.0.1:1",
        schema_registry_url="http://127.0.0.1:1",
        clickhouse_url="clickhouse://somebody@127.0.0.1:1",
    )
    process = cityops(*arguments, stack=nobody)
    output, _ = process.communicate(timeout=60)
    assert process.returncode == 2, output
    assert "no Kafka answers at 127.0.0.1:1" in output
    assert "Traceback" not in output


def test_a_home_that_cannot_be_written_gets_one_sentence() -> None:
    process = cityops("stack", "up", home=Path("/proc/nowhere"))
    output, _ = process.communicate(timeout=60)
    assert process.returncode == 1, output
    assert "/proc/nowhere" in output
    assert "Traceback" not in output


def test_one_run_at_a_time(tmp_path: Path) -> None:
    settings = replace(settings_from_env(), home=tmp_path).with_run("demo", "demo")
    with alone(settings):
        with pytest.raises(UsageError, match="the run 'demo' is under way"), alone(settings):
            pass
        with alone(settings.with_run("other", "other")):
            pass
    with alone(settings):
        pass
