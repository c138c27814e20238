"""Versions of the database, on the real server."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import pytest

from schemas.errors import Retryable, UsageError
from schemas.tables import TABLES
from sinks.clickhouse.connection import connect
from sinks.clickhouse.ddl import AGED
from sinks.clickhouse.migrations import ADDED, Added, AddedTable, apply, check_columns, drop_database, migrate, plan
from sinks.clickhouse.queries import query
from sinks.clickhouse.writer import LATER as LATER_COLUMNS
from sinks.clickhouse.writer import Writer
from tests.sinks.frames import frame

pytestmark = pytest.mark.stack

LATER = (
    Added(2, "positions", "stop_id"),
    Added(3, "incident_log", "rules_version"),
    AddedTable(4, "heartbeats"),
    Added(5, "incident_log", "reasons"),
    *(replace(step, version=step.version + 4) for step in ADDED),
)
VERSIONS = (1, *(step.version for step in ADDED))


@pytest.fixture
def empty(url: str) -> Iterator[str]:
    name = "cityops_migrations"
    drop_database(url, name)
    yield name
    drop_database(url, name)


def created(url: str, database: str) -> dict[str, str]:
    sql = "SELECT name, create_table_query FROM system.tables WHERE database = %(database)s"
    return dict(query(url, database, sql, {"database": database}).rows)


def columns(url: str, database: str) -> set[tuple[str, ...]]:
    sql = "SELECT table, name, type FROM system.columns WHERE database = %(database)s"
    return set(query(url, database, sql, {"database": database}).rows)


def test_migrate_twice_does_it_once(url: str, empty: str) -> None:
    assert migrate(url, empty, ttl_days=90) == VERSIONS
    before = created(url, empty)
    assert migrate(url, empty, ttl_days=90) == ()
    assert created(url, empty) == before
    assert set(TABLES) | {"incidents", "minutes", "schema_migrations"} <= set(before)


def test_migrate_in_several_processes_at_once_does_no_harm(url: str, empty: str) -> None:
    with ThreadPoolExecutor(6) as threads:
        applied = list(threads.map(lambda _: migrate(url, empty, 30), range(6)))
    assert VERSIONS in applied
    held = query(url, empty, "SELECT DISTINCT version FROM schema_migrations ORDER BY version").rows
    assert held == tuple((version,) for version in VERSIONS)
    Writer(url, empty).write(frame("positions", 2))


def test_database_of_a_newer_version_is_refused(url: str, empty: str) -> None:
    migrate(url, empty, ttl_days=None)
    with connect(url, empty) as client:
        client.execute("INSERT INTO schema_migrations (version, name) VALUES", [(99, "from the future")])
    with pytest.raises(UsageError, match=f"{empty} is at version 99, this cityops knows up to {VERSIONS[-1]}: install"):
        migrate(url, empty, ttl_days=None)


def test_migration_that_was_changed_afterwards_is_refused(url: str, empty: str) -> None:
    migrate(url, empty, ttl_days=None)
    with connect(url, empty) as client, pytest.raises(UsageError, match=r"migration 1 \(tables\) is not the one"):
        apply(client, empty, plan((*ADDED, Added(VERSIONS[-1] + 1, "positions", "cell"))))


def test_table_changed_by_hand_is_refused_with_every_difference(url: str, empty: str) -> None:
    migrate(url, empty, ttl_days=None)
    with connect(url, empty) as client:
        client.execute("ALTER TABLE readings DROP COLUMN measure_unit, ADD COLUMN colour UInt8")
        client.execute("ALTER TABLE heartbeats MODIFY COLUMN firmware_version String")
    with pytest.raises(UsageError) as refused:
        migrate(url, empty, ttl_days=None)
    assert str(refused.value) == (
        f"ClickHouse database {empty} differs from schemas/tables.py: "
        "heartbeats.firmware_version is String instead of LowCardinality(String); "
        "readings.colour is UInt8 instead of absent; "
        "readings.measure_unit is absent instead of LowCardinality(String)"
    )


def test_columns_that_came_later_reach_old_and_new_databases(url: str, empty: str, database: str) -> None:
    with connect(url) as client:
        client.execute(f"CREATE DATABASE {empty}")
    with connect(url, empty) as client:
        assert apply(client, empty, plan(LATER)[:1]) == (1,)
        with pytest.raises(UsageError, match=r"incident_log\.reasons is absent"):
            check_columns(client, empty)
        assert apply(client, empty, plan(LATER)) == tuple(step.version for step in LATER)
        assert apply(client, empty, plan(LATER)) == ()
        check_columns(client, empty)
    assert columns(url, empty) == columns(url, database)
    incident = frame("incident_log", 1, incident_id="i", rules_version="v7", reasons="a\nb")
    Writer(url, empty).write(incident)
    assert query(url, empty, "SELECT rules_version, reasons FROM incidents").rows == (("v7", ["a", "b"]),)


def test_frame_that_waited_for_its_updated_worker_is_stored_without_later_columns(url: str, database: str) -> None:
    whole = frame("incident_log", 1, incident_id="i-before", reasons="because")
    old = replace(whole, columns=tuple(one for one in whole.columns if ("incident_log", one.name) not in LATER_COLUMNS))
    assert len(old.columns) == len(whole.columns) - 6
    Writer(url, database).write(old)
    sql = "SELECT reasons, exercise, decision, action_ids FROM incidents WHERE incident_id = 'i-before'"
    assert query(url, database, sql).rows == ((["because"], 0, "", []),)


def test_rows_from_before_source_index_have_its_default(url: str, empty: str) -> None:
    with connect(url) as client:
        client.execute(f"CREATE DATABASE {empty}")
    tables = ("positions", "duplicates", "rejected")
    older = {
        (table, first): replace(whole, columns=tuple(one for one in whole.columns if one.name != "source_index"))
        for table in tables
        for first in (0, 2)
        for whole in [
            frame(table, 2, first_offset=first, line_id="01")
            if table == "positions"
            else frame(table, 2, first_offset=first)
        ]
    }
    with connect(url, empty) as client:
        apply(client, empty, plan()[:10])
    for table in tables:
        Writer(url, empty).write(older[table, 0])
    migrate(url, empty, ttl_days=None)
    for item in older.values():
        Writer(url, empty).write(item)
    for table, index in zip(tables, (0, 0, -1), strict=True):
        stored = query(url, empty, f"SELECT source_offset, source_index FROM {table} ORDER BY source_offset").rows
        assert stored == tuple((offset, index) for offset in range(4))
    assert query(url, empty, "SELECT sum(positions) FROM minutes").rows == ((4,),), "the views know the tokens too"


def test_time_to_live_follows_the_last_migrate(url: str, empty: str) -> None:
    migrate(url, empty, ttl_days=90)
    assert all("toIntervalDay(90)" in created(url, empty)[name] for name in AGED)
    migrate(url, empty, ttl_days=14)
    assert all("toIntervalDay(14)" in created(url, empty)[name] for name in AGED)
    migrate(url, empty, ttl_days=None)
    assert not any(" TTL " in created(url, empty)[name] for name in AGED)


def test_text_of_the_first_migration_stays_as_old_databases_know_it() -> None:
    assert plan()[0].checksum == "94a8dd2711a5d2e4ede750e78803412b"


def test_minutes_leave_out_vehicles_of_an_exercise_also_in_old_databases(url: str, empty: str) -> None:
    with connect(url) as client:
        client.execute(f"CREATE DATABASE {empty}")
    with connect(url, empty) as client:
        apply(client, empty, plan()[:1])
    migrate(url, empty, ttl_days=None)
    ids = ["bus-1", "exercise:bus-1", "bus-2"]
    Writer(url, empty).write(frame("positions", 3, vehicle_id=ids, line_id="01", unit_code="u", cell=7))
    counted = query(url, empty, "SELECT dimension, positions, vehicles FROM minutes ORDER BY dimension").rows
    assert counted == (("cell", 2, 2), ("line", 2, 2), ("unit", 2, 2))
    assert query(url, empty, "SELECT count() FROM vehicles").rows == ((3,),)


def test_devices_show_the_registration_that_counts(url: str, database: str) -> None:
    moments, hashes = [3, 5, 5, 1], [1, 2, 9, 4]
    rows = frame(
        "device_log", 4, device_id=["a", "a", "a", "b"], registered_at_ms=moments, content_hash=hashes,
        owner=["first", "less", "counts", "other"], retired=[0, 0, 1, 0], quantities=["", "", "x\ny", ""],
    )  # fmt: skip
    Writer(url, database).write(rows)
    shown = query(url, database, "SELECT device_id, owner, retired, quantities FROM devices ORDER BY device_id").rows
    assert shown == (("a", "counts", 1, ["x", "y"]), ("b", "other", 0, []))


def test_rows_past_their_time_to_live_go_and_others_stay(url: str, empty: str) -> None:
    migrate(url, empty, ttl_days=30)
    ((now_ms,),) = query(url, empty, "SELECT toUnixTimestamp64Milli(now64(3))").rows
    Writer(url, empty).write(frame("positions", 2, at_ms=[now_ms, now_ms - 32 * 86_400_000], line_id=["new", "old"]))
    with connect(url, empty) as client:
        for table in ("positions", "minute_aggregates"):
            client.execute(f"OPTIMIZE TABLE {table} FINAL")
    assert query(url, empty, "SELECT line_id FROM positions").rows == (("new",),)
    assert query(url, empty, "SELECT key FROM minutes").rows == (("new",),)


def test_wrong_address_and_login_are_told_in_a_sentence(url: str) -> None:
    password = url.split(":")[2].split("@")[0]
    with pytest.raises(UsageError, match="Authentication failed") as refused:
        migrate(url.replace(password, "s3cretw0rd"), "cityops", None)
    assert "s3cretw0rd" not in str(refused.value)
    for wrong in ("http://localhost:8123", "localhost:9000", "clickhouse://h:port", ""):
        with pytest.raises(UsageError, match="must look like clickhouse://"):
            migrate(wrong, "cityops", None)
    with pytest.raises(UsageError, match="cannot name a ClickHouse database"):
        migrate(url, "x`; DROP DATABASE y", None)
    with pytest.raises(Retryable):
        migrate("clickhouse://u:p@127.0.0.1:1", "cityops", None)


def test_drop_database_that_is_not_there_is_no_mistake(url: str) -> None:
    drop_database(url, "cityops_never_made")
    made = query(url, "system", "SELECT count() FROM databases WHERE name = 'cityops_never_made'").rows
    assert made == ((0,),)
