"""Versions of the database: an ordered list that only grows, and what brings a database to its end.

Migration 1 makes what schemas/tables.py lists without the tables and columns that later migrations add, so its text,
whose checksum every database keeps, does not change when one is added. To add one: list it in schemas/tables.py and,
with the next version, in ADDED; other changes are statements there.
"""

from dataclasses import dataclass
from hashlib import blake2b
from typing import Final

from clickhouse_driver import Client

from schemas.errors import UsageError
from schemas.tables import INCIDENT_LOG, TABLES
from sinks.clickhouse.connection import connect, errors_of, is_somebodys, quoted_database
from sinks.clickhouse.ddl import (
    AGED,
    DEVICES,
    LINE_HOURS,
    REAL_MINUTES,
    REPEAT_PLACES,
    STATES,
    add_column,
    add_table,
    age,
    create_tables,
    stored_columns,
    ttl_of,
)
from sinks.clickhouse.sensor_views import FIRE_PANELS, SENSOR_MINUTES


@dataclass(frozen=True, slots=True)
class Added:
    """A column of schemas/tables.py that came after version 1."""

    version: int
    table: str
    column: str


@dataclass(frozen=True, slots=True)
class AddedTable:
    """A table of schemas/tables.py that came after version 1."""

    version: int
    table: str


@dataclass(frozen=True, slots=True)
class Altered:
    """Statements of a version that changes views."""

    version: int
    name: str
    statements: tuple[str, ...]


Step = Added | AddedTable | Altered


@dataclass(frozen=True, slots=True)
class Migration:
    """One step; every statement does no harm when it is run again."""

    version: int
    name: str
    statements: tuple[str, ...]

    @property
    def checksum(self) -> str:
        """Return 32 hex digits of what it does."""
        return blake2b("\n;\n".join(self.statements).encode(), digest_size=16).hexdigest()


ADDED: Final[tuple[Step, ...]] = (
    AddedTable(2, "device_log"),
    Altered(3, "devices", DEVICES),
    Altered(4, "minutes without exercises", REAL_MINUTES),
    AddedTable(5, "actions"),
    Added(6, "incident_log", "exercise"),
    Added(7, "incident_log", "decision"),
    Added(8, "incident_log", "decided_by"),
    Added(9, "incident_log", "acknowledged_by"),
    Added(10, "incident_log", "action_ids"),
    Added(11, "positions", "source_index"),
    Added(12, "duplicates", "source_index"),
    Added(13, "rejected", "source_index"),
    Added(14, "observations", "direction_id"),
    Added(15, "observations", "value"),
    Added(16, "observations", "subject"),
    Altered(17, "repeat places", REPEAT_PLACES),
    Altered(18, "line hours", LINE_HOURS),
    Altered(19, "sensor minutes", SENSOR_MINUTES),
    Altered(20, "fire panels", FIRE_PANELS),
    Added(21, "actions", "assignee"),
    Added(22, "incident_log", "assigned_to"),
)


def plan(added: tuple[Step, ...] = ADDED) -> tuple[Migration, ...]:
    """Return every migration in order, given what came later, in the order of the versions."""
    columns = tuple((step.table, step.column) for step in added if isinstance(step, Added))
    tables = tuple(step.table for step in added if isinstance(step, AddedTable))
    first = Migration(1, "tables", create_tables(columns, tables))
    return (first, *(_migration(step, added[index + 1 :]) for index, step in enumerate(added)))


def _migration(step: Step, later: tuple[Step, ...]) -> Migration:
    columns = tuple((one.table, one.column) for one in later if isinstance(one, Added))
    match step:
        case Added(version, table, column):
            return Migration(version, f"{table}.{column}", add_column(TABLES[table], column, columns))
        case AddedTable(version, table):
            return Migration(version, table, add_table(TABLES[table], columns))
        case Altered(version, name, statements):
            return Migration(version, name, statements)


def migrate(url: str, database: str, ttl_days: int | None) -> tuple[int, ...]:
    """Create a database or bring it up to date; return the versions applied, () when there was nothing to do.

    ttl_days: rows older than that are dropped; None keeps them (isolated runs, recorded input of any age).
    Running it again, or in several processes at once, does no harm.
    Raises UsageError for a database that a newer cityops made, that was changed by hand, or that refuses the login;
    Retryable for a server that does not answer now.
    """
    with errors_of(url, UsageError, is_somebodys):
        with connect(url) as client:
            client.execute(f"CREATE DATABASE IF NOT EXISTS {quoted_database(database)}")
        with connect(url, database) as client:
            applied = apply(client, database, plan())
            check_columns(client, database)
            _age_tables(client, database, ttl_days)
    return applied


def drop_database(url: str, database: str) -> None:
    """Drop the database of a run and everything in it, if it is there."""
    with errors_of(url, UsageError, is_somebodys), connect(url) as client:
        client.execute(f"DROP DATABASE IF EXISTS {quoted_database(database)} SYNC")


def apply(client: Client, database: str, migrations: tuple[Migration, ...]) -> tuple[int, ...]:
    """Apply to a client's database what it lacks, in order, and return those versions.

    Raises UsageError for a database ahead of these migrations, or made by others with the same numbers.
    """
    client.execute(
        "CREATE TABLE IF NOT EXISTS schema_migrations (version UInt32, name String, checksum String, "
        "applied_at DateTime64(3, 'UTC') DEFAULT now64(3)) ENGINE = ReplacingMergeTree ORDER BY version"
    )
    held = dict(client.execute("SELECT version, checksum FROM schema_migrations"))
    if held and max(held) > migrations[-1].version:
        raise UsageError(
            f"ClickHouse database {database} is at version {max(held)}, this cityops knows up to "
            f"{migrations[-1].version}: install the newer cityops again or use another run name"
        )
    for migration in migrations:
        if held.get(migration.version, migration.checksum) != migration.checksum:
            raise UsageError(
                f"migration {migration.version} ({migration.name}) is not the one that made ClickHouse database "
                f"{database}: list new columns in ADDED of sinks/clickhouse/migrations.py, or drop the database"
            )
    missing = tuple(migration for migration in migrations if migration.version not in held)
    for migration in missing:
        for statement in migration.statements:
            client.execute(statement)
        client.execute(
            "INSERT INTO schema_migrations (version, name, checksum) VALUES",
            [(migration.version, migration.name, migration.checksum)],
        )
    return tuple(migration.version for migration in missing)


def check_columns(client: Client, database: str) -> None:
    """Compare the tables of a client's database with schemas/tables.py. Raises UsageError that names every drift."""
    wanted = {
        (name, column.name): column.stored_as
        for name, table in {**TABLES, STATES: INCIDENT_LOG}.items()
        for column in stored_columns(table)
    }
    rows = client.execute(
        "SELECT table, name, type FROM system.columns WHERE database = %(database)s AND table IN %(tables)s",
        {"database": database, "tables": tuple({table for table, _ in wanted})},
    )
    stored = {(table, name): kind for table, name, kind in rows}
    drifts = [
        f"{table}.{name} is {stored.get((table, name), 'absent')} instead of {wanted.get((table, name), 'absent')}"
        for table, name in sorted(wanted.keys() | stored.keys())
        if wanted.get((table, name)) != stored.get((table, name))
    ]
    if drifts:
        raise UsageError(f"ClickHouse database {database} differs from schemas/tables.py: {'; '.join(drifts)}")


def _age_tables(client: Client, database: str, ttl_days: int | None) -> None:
    rows = client.execute(
        "SELECT name, create_table_query FROM system.tables WHERE database = %(database)s AND name IN %(tables)s",
        {"database": database, "tables": tuple(AGED)},
    )
    for name, text in sorted(rows):
        held = " TTL " in text
        right = f" TTL {ttl_of(name, ttl_days)}" in text if ttl_days is not None else not held
        if not right:
            client.execute(age(name, ttl_days))
