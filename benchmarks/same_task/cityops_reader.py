"""cityops' own reading of positions, single ones and frames alike: batches from the transport, columns, numpy."""

import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from benchmarks.answer import MINUTE_MS, digest
from benchmarks.same_task.batch_app import run
from benchmarks.same_task.child import Clock, Job, given_job, tell_and_end
from processors.batches import Float32Array, FloatArray, IntArray
from processors.domain import Unread
from processors.frames_in import FramePositions
from processors.position_rows import shards_of_words
from processors.positions_in import SinglePositions
from processors.records_in import RawRecord
from schemas.codec import local_codec
from schemas.dictionary import Dictionary, DictionaryArray, IndexArray
from streams.transport import Poll


@dataclass(frozen=True, slots=True)
class Reports:
    """What the task needs of n positions."""

    at_ms: IntArray
    latitude_deg: FloatArray
    longitude_deg: FloatArray
    speed_mps: Float32Array
    vehicle_id: DictionaryArray
    line_id: DictionaryArray


Read = Callable[[Sequence[RawRecord]], Reports]


class Columns:
    """The task over columns.

    Last positions by vehicle number as (m, 3): at_ms, latitude_deg, longitude_deg, so that one is written in one place.
    Counts and sums of speeds by line number as (2, lines) for each minute; by line when the reader numbers anew.
    """

    def __init__(self, vehicles: Dictionary) -> None:
        self._vehicles, self._lines = vehicles, Dictionary()
        self._last = np.zeros((0, 3))
        self._minutes: dict[int, npt.NDArray[np.float64]] = {}
        self._sums: dict[tuple[str, int], tuple[int, float]] = {}

    def add_up(self, batch: Reports) -> None:
        """Keep the last position of each vehicle, add up each line and minute."""
        missing = len(self._vehicles) - len(self._last)
        if missing > 0:
            self._last = np.pad(self._last, ((0, max(missing, len(self._last))), (0, 0)))
        row = np.empty((len(batch.at_ms), 3))
        row[:, 0], row[:, 1], row[:, 2] = batch.at_ms, batch.latitude_deg, batch.longitude_deg
        self._last[batch.vehicle_id.numbers] = row  # of several the last one stays
        if batch.line_id.dictionary is not self._lines:
            self._fold()
            self._lines = batch.line_id.dictionary
        line = batch.line_id.numbers
        minute = batch.at_ms // MINUTE_MS
        first, last = int(minute.min()), int(minute.max())
        if first == last:
            self._add_minute(first, line, batch.speed_mps)
            return
        for one in range(first, last + 1):
            rows = minute == one
            self._add_minute(one, line[rows], batch.speed_mps[rows])

    def _add_minute(self, minute: int, line: IndexArray, speed_mps: Float32Array) -> None:
        lines = len(self._lines)
        found = self._minutes.get(minute)
        if found is None:
            found = self._minutes[minute] = np.zeros((2, lines))
        elif found.shape[1] < lines:
            found = self._minutes[minute] = np.pad(found, ((0, 0), (0, lines - found.shape[1])))
        found[0] += np.bincount(line, minlength=lines)
        found[1] += np.bincount(line, weights=speed_mps, minlength=lines)

    def _fold(self) -> None:
        for minute, found in self._minutes.items():
            for number in np.flatnonzero(found[0]).tolist():
                key = self._lines.word(number), minute
                count, speed = self._sums.get(key, (0, 0.0))
                self._sums[key] = count + int(found[0, number]), speed + float(found[1, number])
        self._minutes = {}

    def answer(self) -> str:
        """Return the digest of what was added up."""
        self._fold()
        last = {
            self._vehicles.word(slot): (
                int(self._last[slot, 0]),
                float(self._last[slot, 1]),
                float(self._last[slot, 2]),
            )
            for slot in np.flatnonzero(self._last[:, 0]).tolist()
        }
        return digest(last, self._sums)


def reader_of(form: str, vehicles: Dictionary) -> Read:
    """Return the project's reader of one form of positions; nothing of the benchmark's own log may be refused."""
    codec, shards = local_codec(), shards_of_words(vehicles)
    singles, frames = SinglePositions(), FramePositions()

    def read_singles(records: Sequence[RawRecord]) -> Reports:
        batch, _, unread = singles.read(records, codec, vehicles)
        none_refused(unread)
        return Reports(
            batch.at_ms, batch.latitude_deg, batch.longitude_deg, batch.speed_mps, batch.vehicle_id, batch.line_id
        )

    def read_frames(records: Sequence[RawRecord]) -> Reports:
        """A columnar message lets a reader make the columns that it needs and no others; all frames are checked."""
        found, unread = frames.sound(records, codec, vehicles, shards)
        none_refused(unread)
        return Reports(
            found.column("at_ms"),
            found.column("latitude_deg"),
            found.column("longitude_deg"),
            found.column("speed_mps"),
            found.texts("vehicle"),
            found.texts("line"),
        )

    return read_frames if form == "frames" else read_singles


def none_refused(unread: Unread) -> None:
    """Raise SystemExit where a message of the benchmark's own log was refused."""
    if unread.by_record:
        raise SystemExit(f"refused: {unread.by_record}")


def main(job: Job, form: str) -> None:
    """Read polls until all positions are added up."""
    vehicles = Dictionary()
    read, columns, clock = reader_of(form, vehicles), Columns(vehicles), Clock()

    def add_up(poll: Poll) -> None:
        batch = read(poll.records)
        columns.add_up(batch)
        if clock.count(len(batch.at_ms)) == job.positions:
            tell_and_end(clock, columns.answer)

    run(job, add_up)


if __name__ == "__main__":
    main(given_job(), sys.argv[2])
