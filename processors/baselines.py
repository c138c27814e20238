"""Baselines: how many claims of a kind a unit expects in each hour of the week, as daily snapshots tell it."""

from bisect import bisect_right
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Annotated, Final
from zoneinfo import ZoneInfo

from pydantic import AwareDatetime, Field, ValidationError

from processors.yaml_files import Entry, Mistakes

HOURS: Final = 168
"""Of a week, from Monday 0:00 local time."""

Hourly = Annotated[tuple[Annotated[float, Field(ge=0)], ...], Field(min_length=HOURS, max_length=HOURS)]


class Snapshot(Entry):
    """One file. hourly: kind -> unit code -> claims expected in each hour of the week."""

    valid_from: AwareDatetime
    hourly: dict[str, dict[str, Hourly]]


@dataclass(frozen=True, slots=True)
class Baselines:
    """Snapshots by the time from which each holds, rising."""

    valid_from_ms: tuple[int, ...] = ()
    hourly: tuple[Mapping[str, Mapping[str, Sequence[float]]], ...] = ()

    def expected(self, kind: str, unit_code: str, at_ms: int, zone: ZoneInfo) -> float | None:
        """Return how many claims of a kind the hour around a time expects in a unit; None = nobody has told.

        The newest snapshot that holds at that time tells it.
        """
        number = bisect_right(self.valid_from_ms, at_ms) - 1
        hourly = None if number < 0 else self.hourly[number].get(kind, {}).get(unit_code)
        if hourly is None:
            return None
        local = datetime.fromtimestamp(at_ms / 1000, zone)
        return hourly[local.weekday() * 24 + local.hour]


def read_baselines(paths: Sequence[Path], mistakes: Mistakes) -> Baselines:
    """Read snapshots (JSON)."""
    found: list[tuple[int, Snapshot]] = []
    for path in paths:
        try:
            snapshot = Snapshot.model_validate_json(path.read_bytes())
            found.append((round(snapshot.valid_from.timestamp() * 1000), snapshot))
        except ValidationError as error:
            for detail in error.errors(include_url=False):
                where = " ".join(str(part) for part in detail["loc"])
                mistakes.add(path.name, None, f"{where}: {detail['msg']}" if where else detail["msg"])
    found.sort(key=lambda one: one[0])
    return Baselines(tuple(at_ms for at_ms, _ in found), tuple(one.hourly for _, one in found))
