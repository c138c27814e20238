"""Settings of `cityops grafana`: which Grafana, and how that one reaches ClickHouse."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final
from urllib.parse import quote, urlsplit

from streams.secrets import secret

SECRETS: Final = ("GRAFANA_TOKEN", "GRAFANA_CLICKHOUSE_PASSWORD")


@dataclass(frozen=True, slots=True)
class GrafanaSettings:
    """Where Grafana is, its token, and ClickHouse's address as Grafana sees it; empty = not given."""

    url: str
    token: str = field(repr=False)
    clickhouse_url: str = field(repr=False)


def grafana_settings(env: Mapping[str, str]) -> GrafanaSettings:
    """Read them. Raises UsageError for a secret that is given twice or cannot be read."""
    clickhouse_url = env.get("GRAFANA_CLICKHOUSE_URL", "")
    password = secret(env, "GRAFANA_CLICKHOUSE_PASSWORD")
    if clickhouse_url and password:
        clickhouse_url = _with_password(clickhouse_url, password)
    return GrafanaSettings(env.get("GRAFANA_URL", ""), secret(env, "GRAFANA_TOKEN"), clickhouse_url)


def _with_password(url: str, password: str) -> str:
    split = urlsplit(url)
    login, _, place = split.netloc.rpartition("@")
    user = login.partition(":")[0] or "default"
    return split._replace(netloc=f"{user}:{quote(password, safe='')}@{place}").geturl()
