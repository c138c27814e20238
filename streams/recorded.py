"""Recorded input: read CSV files, put every row in the order of time, send them with ticks of their own.

Everything is read and judged before anything is sent: a mistake in --map or a damaged file leaves Kafka untouched.
"""

import csv
import gzip
import zlib
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import tzinfo
from functools import partial
from io import BufferedReader
from pathlib import Path
from typing import IO, Any, Final, cast

import numpy as np
from confluent_kafka import Producer

from processors.batches import FloatArray
from processors.recorded import (
    Layout,
    RecordedRow,
    Refused,
    SpeedUnit,
    layout_of,
    read_lines,
    tick_times,
    unit_by_name,
)
from schemas.codec import Codec
from schemas.errors import Retryable, UsageError
from schemas.ids import shard_of
from schemas.records import Tick
from streams import topics
from streams.kafka_access import KafkaAccess
from streams.outbox import producer_settings
from streams.settings import Settings
from streams.watching import ERRORS_ONLY

Progress = Callable[[int, int], None]
"""Called with what is done and what there is in all (bytes when reading, rows when sending)."""

BLOCK_MS: Final = 600_000
"""A day in blocks of 2 s would be 43,000 inserts a partition: recorded input is cut every 10 minutes of its time."""

SEND_TIMEOUT_MS: Final = 60_000
HEADER_LIMIT: Final = 1_000_000
PROGRESS_EVERY: Final = 1_000
_GZIP: Final = b"\x1f\x8b"


@dataclass(frozen=True, slots=True)
class RecordedOptions:
    """How the files are to be read.

    given: field -> column name, of --map. unit: None = by the column's name, else m/s. zone: of times without offset.
    """

    given: Mapping[str, str]
    unit: SpeedUnit | None = None
    zone: tzinfo | None = None


@dataclass(frozen=True, slots=True)
class FileRead:
    """One file: its lines behind the header are rows + refused + blank."""

    path: str
    lines: int
    rows: int
    refused: int
    columns: Mapping[str, str]
    unit: SpeedUnit

    @property
    def blank(self) -> int:
        """Return the number of empty lines."""
        return self.lines - self.rows - self.refused


@dataclass(frozen=True, slots=True)
class Skipped:
    """A file of a folder that holds no positions, and why it was taken to be so."""

    path: str
    reason: str


@dataclass(frozen=True, slots=True)
class Recording:
    """Everything that was read; rows are sorted by (time, path, line)."""

    rows: Sequence[RecordedRow]
    refused: Sequence[Refused]
    files: Sequence[FileRead]
    skipped: Sequence[Skipped]
    unit_is_told: bool
    """False = nobody stated the speed's unit."""

    def places(self) -> tuple[FloatArray, FloatArray]:
        """Return latitude and longitude of all rows, in degrees, (n,) each."""
        latitude_deg = np.array([row.position.latitude_deg for row in self.rows])
        return latitude_deg, np.array([row.position.longitude_deg for row in self.rows])

    def speeds_in_words(self) -> str:
        """Say in which unit speeds were read and what came out, so that a wrong unit is seen."""
        units = " and ".join(sorted({str(file.unit) for file in self.files if "speed" in file.columns}))
        speed_mps = np.array([row.position.speed_mps for row in self.rows])
        speed_mps = speed_mps[np.isfinite(speed_mps) & (speed_mps > 0)]
        if not units or not len(speed_mps):
            return "no speeds"
        told = "" if self.unit_is_told else " (nobody stated it: --speed-unit does)"
        median, most = (float(value) for value in np.percentile(speed_mps, (50, 99)))
        return (
            f"speeds read as {units}{told}: "
            f"the median vehicle in motion goes {median:.1f} m/s = {median * 3.6:.0f} km/h, "
            f"99 % are below {most:.1f} m/s = {most * 3.6:.0f} km/h"
        )


@dataclass(frozen=True, slots=True)
class SentSummary:
    """What was put into Kafka: `sent` of `rows`, and `ticks` in every partition of every input topic."""

    rows: int
    sent: int
    refused: int
    first_at_ms: int
    last_at_ms: int
    ticks: int


def recorded_settings(settings: Settings, run: str) -> Settings:
    """Return the settings of an isolated run fed by recorded input: no ticker, blocks and checkpoints every 10 min."""
    own = settings.with_run(run, run)
    return replace(own, ticker=False, block_ms=BLOCK_MS, checkpoint_ms=BLOCK_MS, provisional_after_ms=0)


def read_recorded(inputs: Sequence[Path], options: RecordedOptions, on_progress: Progress) -> Recording:
    """Read files, and the *.csv and *.csv.gz of folders, into rows in the order of (time, path, line).

    In a folder, files whose header has no such columns are skipped and listed. Raises UsageError in one sentence:
    nothing there, no file with the columns, a damaged file, or not one line that could be read.
    """
    layouts, skipped = _layouts(inputs, options.given)
    total_bytes = sum(path.stat().st_size for path in layouts)
    done_bytes = 0
    files: list[FileRead] = []
    rows: list[RecordedRow] = []
    refused: list[Refused] = []
    for path, layout in layouts.items():
        lines = _Lines(path, partial(_progress_of_file, on_progress, done_bytes, total_bytes))
        unit = options.unit or unit_by_name(layout) or SpeedUnit.MPS
        items = list(read_lines(str(path), lines, layout, unit, options.zone))
        rows += (item for item in items if isinstance(item, RecordedRow))
        wrong = [item for item in items if isinstance(item, Refused)]
        refused += wrong
        files.append(FileRead(str(path), lines.count, len(items) - len(wrong), len(wrong), layout.named(), unit))
        done_bytes += path.stat().st_size
    if not rows:
        raise UsageError(_nothing_read(inputs, refused))
    rows.sort(key=lambda row: (row.position.at_ms, row.path, row.line))
    told = options.unit is not None or all(unit_by_name(layout) for layout in layouts.values())
    return Recording(rows, refused, files, skipped, told)


def send_recorded(
    settings: Settings, codec: Codec, rows: Sequence[RecordedRow], refused: int, on_progress: Progress
) -> SentSummary:
    """Send sorted rows to the positions' topic of the run, and ticks to every partition of every input topic.

    refused: number of lines that were not sent, for the summary. Returns when the brokers have acknowledged all.
    Raises Retryable when Kafka does not take a message within a minute.
    """
    sender = _Sender(settings.kafka)
    topic, partitions = settings.topic(topics.POSITIONS), topics.POSITIONS.partitions
    inputs = [(settings.topic(item), number) for item in topics.INPUTS for number in range(item.partitions)]
    partition_of = {device: shard_of(device) % partitions for device in {row.position.vehicle_id for row in rows}}
    at_ms = np.array([row.position.at_ms for row in rows], dtype=np.int64)
    ticks = tick_times(at_ms)
    sent = 0
    for tick_ms, end in zip(ticks.tolist(), np.searchsorted(at_ms, ticks, side="right").tolist(), strict=True):
        for row in rows[sent:end]:
            device = row.position.vehicle_id
            sender.send(topic, partition_of[device], device.encode(), codec.encode(row.position))
        if end // PROGRESS_EVERY > sent // PROGRESS_EVERY:
            on_progress(end, len(rows))
        sent = end
        tick = codec.encode(Tick(at_ms=tick_ms))
        for name, number in inputs:
            sender.send(name, number, None, tick)
    sender.close()
    on_progress(sent, len(rows))
    return SentSummary(len(rows), sent, refused, int(at_ms[0]), int(at_ms[-1]), len(ticks))


def write_refused(settings: Settings, refused: Sequence[Refused]) -> Path:
    """Write every refused line to `runs/<run>/refused.csv` (path, line, errors, text) and return where."""
    target = settings.home / "runs" / settings.run / "refused.csv"
    target.parent.mkdir(parents=True, exist_ok=True)
    with target.open("w", encoding="utf-8", newline="") as out:
        table = csv.writer(out)
        table.writerow(("path", "line", "errors", "text"))
        table.writerows((item.path, item.line, "; ".join(item.errors), item.text) for item in refused)
    return target


class _Sender:
    """An idempotent producer to given partitions that keeps the first failure."""

    def __init__(self, access: KafkaAccess) -> None:
        own = {"linger.ms": 50, "message.timeout.ms": SEND_TIMEOUT_MS, "log_level": ERRORS_ONLY}
        self._producer = Producer(producer_settings(access) | own)
        self._servers = access.bootstrap_servers
        self._failure: str | None = None

    def send(self, topic: str, partition: int, key: bytes | None, value: bytes) -> None:
        """Queue one message, waiting while the queue is full."""
        while True:
            try:
                self._producer.produce(topic, value, key, partition=partition, on_delivery=self._note)
                break
            except BufferError:
                self._producer.poll(0.05)
        self._producer.poll(0)
        self._check()

    def close(self) -> None:
        """Wait until the brokers have acknowledged everything."""
        while self._producer.flush(1.0):
            self._check()
        self._check()

    def _note(self, error: Any, _: Any) -> None:
        if error is not None and self._failure is None:
            self._failure = str(error)

    def _check(self) -> None:
        if self._failure is not None:
            self._producer.purge()
            raise Retryable(f"Kafka at {self._servers} did not take the records: {self._failure}")


class _Lines:
    """The numbered lines of a file, packed with gzip or not, without its header; counts them."""

    def __init__(self, path: Path, on_bytes: Callable[[int], None]) -> None:
        self._path = path
        self._on_bytes = on_bytes
        self.count = 0

    def __iter__(self) -> Iterator[tuple[int, bytes]]:
        try:
            with self._path.open("rb") as raw:
                lines = _unpacked(raw)
                lines.readline()
                for number, line in enumerate(lines, start=2):
                    self.count += 1
                    if self.count % PROGRESS_EVERY == 0:
                        self._on_bytes(raw.tell())
                    yield number, line
        except (OSError, EOFError, zlib.error) as error:
            raise UsageError(f"{self._path} cannot be read behind line {self.count + 1}: {error}") from error


def _layouts(inputs: Sequence[Path], given: Mapping[str, str]) -> tuple[dict[Path, Layout], list[Skipped]]:
    """Return the layout of every file that holds positions, by path in order, and the files of folders that don't."""
    layouts: dict[Path, Layout] = {}
    skipped: list[Skipped] = []
    for path in inputs:
        if not path.is_dir():
            layouts[path] = _layout(path, given)
            continue
        for file in _csv_files(path):
            try:
                layouts[file] = _layout(file, given)
            except UsageError as error:
                skipped.append(Skipped(str(file), str(error)))
    if not layouts:
        raise UsageError(skipped[0].reason if skipped else "no file to read was given")
    return dict(sorted(layouts.items())), skipped


def _csv_files(folder: Path) -> list[Path]:
    files = sorted(path for path in folder.rglob("*") if path.name.lower().endswith((".csv", ".csv.gz")))
    if not files:
        raise UsageError(f"{folder} holds no .csv or .csv.gz file")
    return files


def _layout(path: Path, given: Mapping[str, str]) -> Layout:
    try:
        with path.open("rb") as raw:
            header = _unpacked(raw).readline(HEADER_LIMIT).decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise UsageError(f"{path} is not UTF-8 text: save it as CSV in UTF-8") from error
    except (OSError, EOFError, zlib.error) as error:
        raise UsageError(f"{path} cannot be read: {error}") from error
    if not header.strip() or "\0" in header:
        raise UsageError(f"{path} does not begin with a line of column names")
    return layout_of(str(path), header.rstrip("\r\n"), given)


def _unpacked(raw: BufferedReader) -> IO[bytes]:
    return cast(IO[bytes], gzip.GzipFile(fileobj=raw)) if raw.peek(2)[:2] == _GZIP else raw


def _nothing_read(inputs: Sequence[Path], refused: Sequence[Refused]) -> str:
    what = ", ".join(str(path) for path in inputs)
    if not refused:
        return f"{what} holds no line behind its header"
    (errors, count), *_ = Counter(item.errors for item in refused).most_common(1)
    return f"not one line of {what} could be read; {count} of {len(refused)} because: {'; '.join(errors)}"


def _progress_of_file(on_progress: Progress, before_bytes: int, total_bytes: int, file_bytes: int) -> None:
    on_progress(before_bytes + file_bytes, total_bytes)
