"""Baselines of a city: made from what ClickHouse keeps of past days, and kept as files beside the city's own."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from pathlib import Path
from typing import Final
from zoneinfo import ZoneInfo

from processors.baseline_days import BaselineRule, HourSpeed, UsualDays, snapshot_of
from processors.baselines import FOLDER, Snapshot, read_snapshots, snapshot_paths
from processors.city import City
from processors.incidents.rules import RuleSet
from processors.yaml_files import Mistakes
from schemas.errors import UsageError
from sinks.clickhouse.usual_days import LocalDays

SETTLED: Final = timedelta(minutes=30)
"""After midnight, until the records of a day are stored: they may come 10 min late."""

MARGIN: Final = timedelta(days=1)
"""From the last day that a snapshot rests on to the day from which it holds: on it, it is made and read."""

RULE: Final = BaselineRule()


@dataclass(frozen=True, slots=True)
class Made:
    """A snapshot and its file. is_new: whether it was not there before."""

    snapshot: Snapshot
    path: Path
    is_new: bool


def days_before(day: date, count: int) -> tuple[date, ...]:
    """Return the days on which the snapshot of a day rests, in order."""
    return tuple(day - MARGIN - timedelta(days=back) for back in range(count, 0, -1))


def check_days(first: date, last: date, zone: ZoneInfo, now: datetime) -> None:
    """Raise UsageError where snapshots that hold from these days on cannot be made yet."""
    if first > last:
        raise UsageError(f"{first} is after {last}: give the first day first")
    ready = datetime.combine(last - MARGIN, time(), zone) + SETTLED
    if now < ready:
        raise UsageError(
            f"the baseline of {last} rests on the days up to {last - MARGIN - timedelta(days=1)}: "
            f"it can be made from {ready:%Y-%m-%d %H:%M} on"
        )


class BaselineBuilder:
    """Makes the snapshots of a city; what a day said is asked once."""

    def __init__(self, city: City, rules: RuleSet, days: LocalDays) -> None:
        """rules: the claims of the kinds that they weigh are counted."""
        self._lines = frozenset(line.line_id for line in city.lines if line.mode != "metro")
        self._kinds = frozenset(kind for rule in rules.rules for kind in rule.evidence)
        self._days = days
        self._speeds: dict[date, list[HourSpeed]] = {}

    def snapshot(self, day: date, count: int, advance: Callable[[date], None]) -> Snapshot:
        """Return the snapshot that holds from a day on. Raises UsageError where too few days were stored.

        count: of days that it rests on, at most. advance: is told each day that was read.
        """
        rests_on = days_before(day, count)
        heard = self._days.heard(rests_on)
        known = max(sum(heard[hour::24]) for hour in range(24))
        if known < RULE.least_days:
            raise UsageError(
                f"ClickHouse database {self._days.database} holds records of {known} of the {count} days before "
                f"{rests_on[-1] + timedelta(days=1)}: a baseline needs {RULE.least_days}"
            )
        for one in rests_on:
            if one not in self._speeds:
                self._speeds[one] = self._days.speeds(one, self._lines)
            advance(one)
        claims = self._days.claims(rests_on, self._kinds)
        usual = UsualDays({one: self._speeds[one] for one in rests_on}, claims, heard)
        return snapshot_of(day, self._days.zone, usual, RULE)


def keep_snapshot(city_folder: Path, snapshot: Snapshot) -> Made:
    """Write a snapshot under a city's folder. Raises UsageError for one that is there and says something else."""
    folder = city_folder / FOLDER
    path = folder / f"{snapshot.valid_from.date()}.json"
    text = snapshot.model_dump_json() + "\n"
    if path.exists():
        if path.read_text(encoding="utf-8") == text:
            return Made(snapshot, path, is_new=False)
        raise UsageError(
            f"{path} is there already and says something else: a snapshot is never changed, since incidents were "
            "judged by it; remove it first if nothing was"
        )
    folder.mkdir(exist_ok=True)
    beside = path.with_suffix(".new")
    beside.write_text(text, encoding="utf-8")
    beside.replace(path)  # nobody reads half a file
    return Made(snapshot, path, is_new=True)


def forget_snapshots(city_folder: Path, before: date) -> list[Path]:
    """Remove the snapshots made for days before one, and return their files; those written by hand stay."""
    found = [
        path
        for path, snapshot in kept_snapshots(city_folder)
        if snapshot.version and snapshot.valid_from.date() < before
    ]
    for path in found:
        path.unlink()
    return found


def kept_snapshots(city_folder: Path) -> list[tuple[Path, Snapshot]]:
    """Return the snapshots of a city with their files, in the order of these. Raises UsageError for a broken one."""
    mistakes = Mistakes()
    snapshots = read_snapshots(city_folder / FOLDER, mistakes)
    if mistakes.found:
        raise UsageError(f"{city_folder / FOLDER}: {'; '.join(mistakes.found)}")
    return list(zip(snapshot_paths(city_folder / FOLDER), snapshots, strict=True))


def tomorrow(zone: ZoneInfo) -> date:
    """Return the next local day."""
    return datetime.now(UTC).astimezone(zone).date() + timedelta(days=1)
