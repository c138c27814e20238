"""ClickHouse: tables, migrations, writer, and the embedded server."""
