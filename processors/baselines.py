"""Baselines: how many claims a unit expects and how fast a street usually is, as daily snapshots tell it.

docs/baselines.md says what a snapshot holds and how `cityops baselines build` makes one.
"""

from array import array
from bisect import bisect_right
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from hashlib import blake2b
from pathlib import Path
from typing import Annotated, Final, Self
from zoneinfo import ZoneInfo

import numpy as np
from pydantic import AwareDatetime, Field, ValidationError, field_validator, model_validator

from processors.batches import Float32Array
from processors.yaml_files import Entry, Mistakes

FOLDER: Final = "baselines"
"""Of a city, with the snapshots."""

HOURS: Final = 168
"""Of a week, from Monday 0:00 local time."""

DAY_TYPES: Final = 2
"""Monday to Friday, and the weekend: the days that 23 CFR 490.511 keeps apart."""

SPEED_HOURS: Final = DAY_TYPES * 24
"""Usual speeds are told for each hour of a day from Monday to Friday, and of one at the weekend."""

QUARTER_MS: Final = 900_000
"""A day begins at a whole quarter of an hour in every zone."""

Segment = tuple[str, int, int]
"""Line, direction and number of a segment of its course."""

Count = Annotated[float, Field(ge=0)]
Hourly = Annotated[tuple[Count | None, ...], Field(min_length=HOURS, max_length=HOURS)]
SegmentName = Annotated[str, Field(pattern=r"^.+/[01]/\d+$")]
Speed = Annotated[float, Field(gt=0, le=100)]
Speeds = Annotated[tuple[Speed | None, ...], Field(min_length=SPEED_HOURS, max_length=SPEED_HOURS)]


class Snapshot(Entry):
    """One file.

    version: the day and a digest of all else; "" = written by hand.
    days: on which it rests.
    hourly: kind -> unit code -> claims expected in each hour of the week, null = unknown.
    elsewhere: the same for every kind and unit that `hourly` does not tell.
    normals_mps: "line/direction/segment" -> the usual speed at each hour from Monday to Friday, then at the weekend.
    """

    valid_from: AwareDatetime
    version: str = ""
    days: tuple[date, ...] = ()
    elsewhere: Hourly | None = None
    hourly: dict[str, dict[str, Hourly]] = Field(default_factory=dict)
    normals_mps: dict[SegmentName, Speeds] = Field(default_factory=dict)

    @field_validator("valid_from")
    @classmethod
    def _is_a_quarter(cls, valid_from: datetime) -> datetime:
        if valid_from.timestamp() * 1000 % QUARTER_MS:
            raise ValueError("must be a whole quarter of an hour")
        return valid_from

    @model_validator(mode="after")
    def _is_as_it_was_made(self) -> Self:
        if self.version and self.version != self.right_version:
            raise ValueError("was changed after it was made: take the version out, or build it again")
        return self

    @property
    def right_version(self) -> str:
        """Return the version that follows from the content."""
        content = self.model_dump_json(exclude={"version"}).encode()
        return f"{self.valid_from.date()}-{blake2b(content, digest_size=6).hexdigest()}"


@dataclass(frozen=True, slots=True, eq=False)
class Normals:
    """Usual speeds of s segments; mps: float32 (s, 48), NaN = unknown."""

    segments: tuple[Segment, ...]
    mps: Float32Array


@dataclass(frozen=True, slots=True)
class Baselines:
    """Snapshots by the time from which each holds, rising; a column each."""

    valid_from_ms: tuple[int, ...] = ()
    hourly: tuple[Mapping[str, Mapping[str, Sequence[float]]], ...] = ()
    """NaN = unknown"""
    elsewhere: tuple[Sequence[float] | None, ...] = ()
    normals: tuple[Normals, ...] = ()

    def number(self, at_ms: int) -> int:
        """Return the number of the newest snapshot that holds at a time, -1 = none."""
        return bisect_right(self.valid_from_ms, at_ms) - 1

    def expected(self, kind: str, unit_code: str, at_ms: int, zone: ZoneInfo) -> float | None:
        """Return how many claims of a kind the hour around a time expects in a unit; None = nobody has told.

        The newest snapshot that holds at that time tells it.
        """
        number = self.number(at_ms)
        if number < 0:
            return None
        hourly = self.hourly[number].get(kind, {}).get(unit_code)
        if hourly is None and self.elsewhere:
            hourly = self.elsewhere[number]
        if hourly is None:
            return None
        local = datetime.fromtimestamp(at_ms / 1000, zone)
        told = hourly[local.weekday() * 24 + local.hour]
        return None if np.isnan(told) else told


def baselines_of(snapshots: Sequence[Snapshot]) -> Baselines:
    """Return snapshots ready to be asked."""
    ordered = sorted(snapshots, key=lambda one: one.valid_from)
    return Baselines(
        tuple(round(one.valid_from.timestamp() * 1000) for one in ordered),
        tuple({kind: {code: _hours(told) for code, told in units.items()} for kind, units in one.hourly.items()}
              for one in ordered),
        tuple(None if one.elsewhere is None else _hours(one.elsewhere) for one in ordered),
        tuple(_normals(one) for one in ordered),
    )  # fmt: skip


def read_snapshots(folder: Path, mistakes: Mistakes) -> list[Snapshot]:
    """Read the snapshots (JSON) of a folder, in the order of their names; none where there is no folder."""
    found: list[Snapshot] = []
    for path in snapshot_paths(folder):
        try:
            found.append(Snapshot.model_validate_json(path.read_bytes()))
        except ValidationError as error:
            for detail in error.errors(include_url=False):
                where = " ".join(str(part) for part in detail["loc"])
                message = detail["msg"].removeprefix("Value error, ")
                mistakes.add(path.name, None, f"{where}: {message}" if where else message)
    return found


def snapshot_paths(folder: Path) -> list[Path]:
    """Return the files of snapshots in a folder, in the order of their names."""
    return sorted(folder.glob("*.json"))


def _hours(told: Sequence[float | None]) -> "array[float]":
    return array("d", (np.nan if one is None else one for one in told))


def _normals(snapshot: Snapshot) -> Normals:
    names = [name.rsplit("/", 2) for name in snapshot.normals_mps]
    table = np.array(list(snapshot.normals_mps.values()), np.float32).reshape(-1, SPEED_HOURS)
    return Normals(tuple((line_id, int(way), int(segment)) for line_id, way, segment in names), table)
