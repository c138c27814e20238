"""The data source: Grafana's own plugin for ClickHouse, by the native protocol."""

from dataclasses import dataclass
from typing import Final
from urllib.parse import parse_qs, unquote, urlsplit

from schemas.errors import UsageError
from sinks.grafana.board import TYPE, Subject
from sinks.grafana.looks import Json

PLAIN_PORT: Final = 9000
TLS_PORT: Final = 9440
TRUE: Final = ("1", "true", "yes", "on")


@dataclass(frozen=True, slots=True)
class Address:
    """Where Grafana finds ClickHouse, and as whom."""

    host: str
    port: int
    secure: bool
    user: str
    password: str


def address_of(url: str) -> Address:
    """Return the parts of clickhouse://user:password@host:port?secure=true. Raises UsageError for anything else."""
    try:
        split = urlsplit(url)
        port = split.port
    except ValueError:
        split, port = urlsplit(""), None
    if split.scheme not in ("clickhouse", "clickhouses") or not split.hostname:
        raise UsageError("ClickHouse's address must look like clickhouse://user:password@host:9000")
    secure = split.scheme == "clickhouses" or parse_qs(split.query).get("secure", [""])[-1].lower() in TRUE
    return Address(
        host=split.hostname,
        port=port or (TLS_PORT if secure else PLAIN_PORT),
        secure=secure,
        user=unquote(split.username or "default"),
        password=unquote(split.password or ""),
    )


def source_json(subject: Subject, address: Address) -> Json:
    """Return the data source without its password, which Grafana never shows again."""
    return {
        "uid": subject.uid(),
        "name": subject.uid(),
        "type": TYPE,
        "access": "proxy",
        "jsonData": {
            "host": address.host,
            "port": address.port,
            "protocol": "native",
            "secure": address.secure,
            "username": address.user,
            "defaultDatabase": subject.database,
        },
    }
