#!/bin/bash
# Start the server with its users' passwords, which are files, in the environment that users.xml reads them from.
set -euo pipefail
ENGINE_PASSWORD="$(< /run/secrets/clickhouse_password)"
GRAFANA_PASSWORD="$(< /run/secrets/grafana_clickhouse_password)"
export ENGINE_PASSWORD GRAFANA_PASSWORD
exec /entrypoint.sh "$@"
