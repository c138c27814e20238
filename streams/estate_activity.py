"""What was heard of one device: used records in ClickHouse, and records that wait for a place."""

import time
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

from processors.recheck import device_of
from schemas.codec import Codec
from schemas.errors import CityopsError, Reason
from schemas.records import Rejected
from sinks.clickhouse.queries import query
from streams.resend import DOMAINS, Choice, find_rejected
from streams.settings import Settings

_USED: Final = " UNION ALL ".join(
    f"SELECT count() AS used, max(at_ms) AS at_ms FROM {table} WHERE {column} = %(device_id)s"  # noqa: S608
    for table, column in (
        ("positions", "vehicle_id"),
        ("detections", "camera_id"),
        ("readings", "sensor_id"),
        ("heartbeats", "device_id"),
    )
)
_SQL: Final = f"SELECT sum(used), max(at_ms) FROM ({_USED})"  # noqa: S608


@dataclass(frozen=True, slots=True)
class Activity:
    """used, last_used_ms: of all that ClickHouse holds, None = it does not answer or knows nothing of it.

    unplaced: records of the last minutes (as long as they would not be too late) refused for want of a place.
    """

    used: int | None
    last_used_ms: int | None
    unplaced: int

    @property
    def silent(self) -> bool:
        """Tell whether nothing was heard of it."""
        return not self.used and not self.unplaced


def activity_of(settings: Settings, codec: Codec, device_id: str) -> Activity:
    """Ask ClickHouse and records.rejected.v1. Raises Retryable when Kafka does not answer."""
    domains = {name: build() for name, (_, build) in DOMAINS.items()}

    def waits(reject: Rejected) -> bool:
        domain = domains.get(reject.source_topic)
        return (
            reject.reason == Reason.UNPLACED
            and domain is not None
            and device_of(domain, codec, reject.value) == device_id
        )

    since_ms = time.time_ns() // 1_000_000 - settings.lateness_ms
    unplaced = len(find_rejected(settings, codec, Choice(waits, since_ms)))
    used, last_used_ms = _used(settings, device_id)
    return Activity(used, last_used_ms, unplaced)


def _used(settings: Settings, device_id: str) -> tuple[int | None, int | None]:
    try:
        ((used, at),) = query(settings.clickhouse_url, settings.database, _SQL, {"device_id": device_id}).rows
    except CityopsError:  # without ClickHouse the rest is still worth showing
        return None, None
    assert isinstance(at, datetime)
    return int(used), round(at.replace(tzinfo=UTC).timestamp() * 1000) if used else None
