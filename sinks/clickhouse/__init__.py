"""ClickHouse: tables, migrations, writer, and the embedded server."""

import os

# Read by clickhouse-driver when it is imported: otherwise it keeps a table of every day for 400 years, 26 MB.
os.environ.setdefault("CLICKHOUSE_DRIVER_LASY_DATE_LUT", "on demand")
