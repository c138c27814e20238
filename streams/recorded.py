"""Recorded input: read everything, put every record in the order of time, send it with ticks of its own.

Everything is read and judged before anything is sent: a mistake in --map or a damaged file leaves Kafka untouched.
"""

import csv
import re
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Final

import numpy as np

from processors.batches import FloatArray
from processors.recorded import counted, tick_times
from processors.sources.contract import (
    Format,
    Found,
    InputRecord,
    Item,
    LeftOut,
    ReadOptions,
    Refused,
    SpeedUnit,
    device_of,
)
from schemas.codec import Codec
from schemas.errors import UsageError
from schemas.records import CameraDetection, DeviceKind, DeviceRegistration, SensorReading, Tick, VehiclePosition
from streams import topics
from streams.inputs import OpenInput, inputs_of
from streams.sending import RecordSender
from streams.settings import Settings

Progress = Callable[[int, int], None]
"""Called with what is done and what there is in all (bytes when reading, rows when sending); 0 in all = not known."""

BLOCK_MS: Final = 600_000
"""A day in blocks of 2 s would be 43,000 inserts a partition: recorded input is cut every 10 minutes of its time."""

SEND_TIMEOUT_MS: Final = 60_000
PROGRESS_EVERY: Final = 1_000


@dataclass(frozen=True, slots=True)
class FileRead:
    """One input and what was in it. lines: the messages in it (lines behind the header, or the whole of it).

    A message may hold several rows, refusals and parts left out; blank ones hold nothing. columns, unit: of CSV.
    """

    path: str
    form: Format
    lines: int
    rows: int
    refused: int
    left_out: int
    blank: int
    columns: Mapping[str, str]
    unit: SpeedUnit | None


@dataclass(frozen=True, slots=True)
class Skipped:
    """A file of a folder that holds nothing that is read, and why it was taken to be so."""

    path: str
    reason: str


@dataclass(frozen=True, slots=True)
class Recording:
    """Everything that was read; rows are sorted by (time, path, line). left_out: reason -> how often."""

    rows: Sequence[Found]
    refused: Sequence[Refused]
    left_out: Mapping[str, int]
    files: Sequence[FileRead]
    skipped: Sequence[Skipped]
    unit_is_told: bool
    """False = nobody stated the speed's unit."""

    def places(self) -> tuple[FloatArray, FloatArray]:
        """Return latitude and longitude of all rows that have a place, in degrees, (n,) each."""
        records = [row.record for row in self.rows]
        placed = [one for one in records if isinstance(one, (VehiclePosition, CameraDetection, SensorReading))]
        latitude_deg = np.array([one.latitude_deg for one in placed], dtype=np.float64)
        longitude_deg = np.array([one.longitude_deg for one in placed], dtype=np.float64)
        known = np.isfinite(latitude_deg) & np.isfinite(longitude_deg)
        return latitude_deg[known], longitude_deg[known]

    def speeds_in_words(self) -> str:
        """Say in which unit speeds were read and what came out, so that a wrong unit is seen."""
        units = " and ".join(sorted({str(file.unit) for file in self.files if "speed" in file.columns}))
        positions = [row.record for row in self.rows if isinstance(row.record, VehiclePosition)]
        speed_mps = np.array([one.speed_mps for one in positions], dtype=np.float64)
        speed_mps = speed_mps[np.isfinite(speed_mps) & (speed_mps > 0)]
        if not len(speed_mps):
            return "no speeds"
        told = "" if self.unit_is_told else " (nobody stated it: --speed-unit does)"
        median, most = (float(value) for value in np.percentile(speed_mps, (50, 99)))
        return (
            f"speeds read as {units or 'the format says'}{told}: "
            f"the median vehicle in motion goes {median:.1f} m/s = {median * 3.6:.0f} km/h, "
            f"99 % are below {most:.1f} m/s = {most * 3.6:.0f} km/h"
        )


@dataclass(frozen=True, slots=True)
class SentSummary:
    """What was put into Kafka: `sent` of `rows`, and `ticks` in every partition of every input topic.

    placed: devices registered before the rows; registrations: their records, of a vehicle one for each of its topics.
    found: what the rows are, counted.
    """

    rows: int
    sent: int
    refused: int
    first_at_ms: int
    last_at_ms: int
    ticks: int
    placed: int = 0
    registrations: int = 0
    left_out: int = 0
    found: Mapping[str, int] = field(default_factory=dict)


def recorded_settings(settings: Settings, run: str) -> Settings:
    """Return the settings of an isolated run fed by recorded input: no ticker, blocks and checkpoints every 10 min."""
    own = settings.with_run(run, run)
    return replace(own, ticker=False, block_ms=BLOCK_MS, checkpoint_ms=BLOCK_MS, provisional_after_ms=0)


def read_recorded(
    inputs: Sequence[str | Path],
    options: ReadOptions,
    on_progress: Progress,
    *,
    form: Format | None = None,
    placement: Sequence[DeviceRegistration] = (),
) -> Recording:
    """Read files, what is readable in folders, URLs and standard input, into rows in the order of (time, path, line).

    form: None = told by the content of each. placement: where devices are; it stands above what messages say.
    In a folder, files that are not understood are skipped and listed. Raises UsageError in one sentence: nothing
    there, no file that is understood, a damaged file, or not one message that could be read.
    """
    sources = sorted(inputs_of(inputs), key=lambda source: source.name)
    total_bytes = sum(source.size_bytes or 0 for source in sources)
    placed = placed_ids(placement)
    gathered = _Gathered()
    done_bytes = 0
    for source in sources:
        try:
            one = OpenInput(source, form, options)
        except UsageError as error:
            if not source.listed:
                raise
            gathered.skipped.append(Skipped(source.name, str(error)))
            continue
        for number, item in enumerate(one):
            gathered.take(item, placed)
            if number % PROGRESS_EVERY == 0:
                on_progress(done_bytes + one.read_bytes, total_bytes)
        gathered.close(one)
        done_bytes += source.size_bytes or 0
        on_progress(done_bytes, total_bytes)
    if not gathered.files:
        raise UsageError(gathered.skipped[0].reason if gathered.skipped else "nothing to read was given")
    return gathered.recording(inputs)


@dataclass(slots=True)
class _Gathered:
    """What is gathered while inputs are read."""

    rows: list[Found] = field(default_factory=list)
    refused: list[Refused] = field(default_factory=list)
    left_out: Counter[str] = field(default_factory=Counter)
    files: list[FileRead] = field(default_factory=list)
    skipped: list[Skipped] = field(default_factory=list)
    unit_is_told: bool = True

    def take(self, item: Item, placed: frozenset[str]) -> None:
        """Keep one item."""
        match item:
            case Found():
                self.rows.append(without_place(item, placed))
            case Refused():
                self.refused.append(item)
            case LeftOut():
                self.left_out[item.reason] += 1

    def close(self, one: OpenInput) -> None:
        """Note an input that was read to its end."""
        rows = len(self.rows) - sum(file.rows for file in self.files)
        refused = len(self.refused) - sum(file.refused for file in self.files)
        left_out = self.left_out.total() - sum(file.left_out for file in self.files)
        columns = one.csv.layout.named() if one.csv is not None else {}
        unit = one.csv.speed_unit if one.csv is not None else None
        count = one.count
        self.unit_is_told &= one.csv is None or one.csv.unit_is_told
        self.files.append(
            FileRead(one.name, one.form, count.messages, rows, refused, left_out, count.blank, columns, unit)
        )

    def recording(self, inputs: Sequence[str | Path]) -> Recording:
        """Return it sorted. Raises UsageError when there is not one row."""
        if not self.rows:
            raise UsageError(_nothing_read(inputs, self.refused, self.left_out))
        self.rows.sort(key=lambda row: (row.record.at_ms, row.path, row.line))
        return Recording(self.rows, self.refused, self.left_out, self.files, self.skipped, self.unit_is_told)


def send_recorded(
    settings: Settings,
    codec: Codec,
    recording: Recording,
    on_progress: Progress,
    *,
    placement: Sequence[DeviceRegistration] = (),
) -> SentSummary:
    """Send the placement, then sorted rows to the topics of the run, and ticks to every partition of every input topic.

    Returns when the brokers have acknowledged all. Raises Retryable when Kafka does not take a message within a minute.
    """
    rows = recording.rows
    sender = RecordSender(settings, codec, timeout_ms=SEND_TIMEOUT_MS)
    sensors = frozenset(one.device_id for one in placement if one.kind is DeviceKind.SENSOR)
    inputs = [(topic, number) for topic in topics.INPUTS for number in range(topic.partitions)]
    at_ms = np.array([row.record.at_ms for row in rows], dtype=np.int64)
    ticks = tick_times(at_ms)
    sent = registrations = 0
    try:
        for one in placement:
            registrations += sender.register(one)
        for tick_ms, end in zip(ticks.tolist(), np.searchsorted(at_ms, ticks, side="right").tolist(), strict=True):
            for row in rows[sent:end]:
                sender.send(row.record, sensors)
            if end // PROGRESS_EVERY > sent // PROGRESS_EVERY:
                on_progress(end, len(rows))
            sent = end
            tick = codec.encode(Tick(at_ms=tick_ms))
            for topic, number in inputs:
                sender.send_to(topic, number, None, tick)
    finally:
        sender.close(None if sent == len(rows) else 0.0)
    on_progress(sent, len(rows))
    return SentSummary(
        rows=len(rows),
        sent=sent,
        refused=len(recording.refused),
        first_at_ms=int(at_ms[0]),
        last_at_ms=int(at_ms[-1]),
        ticks=len(ticks),
        placed=len(placement),
        registrations=registrations,
        left_out=sum(recording.left_out.values()),
        found=counted(row.record for row in rows),
    )


def placed_ids(placement: Sequence[DeviceRegistration]) -> frozenset[str]:
    """Return the devices that a placement gives a place."""
    return frozenset(one.device_id for one in placement)


def without_place(row: Found, placed: frozenset[str]) -> Found:
    """Return the row; the place that a placed camera or sensor states itself is taken out of it.

    What a message says of its camera's place is often a default that nobody set; a placement is somebody's word.
    """
    record: InputRecord = row.record
    if not isinstance(record, (CameraDetection, SensorReading)) or device_of(record) not in placed:
        return row
    return replace(row, record=replace(record, latitude_deg=np.nan, longitude_deg=np.nan))


def refused_path(settings: Settings, name: str = "refused.csv") -> Path:
    """Return where the refused messages of a run go: `runs/<run>/<name>`."""
    return settings.home / "runs" / (settings.run or "live") / name


def write_refused(target: Path, refused: Iterable[Refused]) -> None:
    """Write refused messages as CSV: path, line, errors, text."""
    target.parent.mkdir(parents=True, exist_ok=True)
    with target.open("w", encoding="utf-8", newline="") as out:
        table = csv.writer(out)
        table.writerow(("path", "line", "errors", "text"))
        table.writerows((item.path, item.line, "; ".join(item.errors), item.text) for item in refused)


def _kind_of_refusal(item: Refused) -> tuple[str, ...]:
    """Return its errors without the values they quote, so that lines with one mistake count as one."""
    return tuple(re.sub(r"'[^']*'", "''", error) for error in item.errors)


def _nothing_read(inputs: Sequence[str | Path], refused: Sequence[Refused], left_out: Counter[str]) -> str:
    what = ", ".join(str(path) for path in inputs)
    if refused:
        (kind, count), *_ = Counter(map(_kind_of_refusal, refused)).most_common(1)
        first = next(item for item in refused if _kind_of_refusal(item) == kind)
        told = f"{count} of {len(refused)} because: {'; '.join(first.errors)}"
        return f"not one message of {what} could be read; {told} (line {first.line})"
    if left_out:
        (reason, count), *_ = left_out.most_common(1)
        return f"{what} holds nothing that is taken in: {count} times {reason}"
    return f"{what} holds no line behind its header"
