"""The load as Kafka messages, without a Python step a column: single positions and frames, detections, readings, ticks.

Everything here is what schemas/codec.py would write, byte for byte (tests/benchmarks holds it).
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from benchmarks.load import Claim, Fixes, Fleet
from processors.batches import IntArray
from processors.frame_columns import written
from processors.framing import base_of
from schemas import records
from schemas.codec import HEADER_BYTES, Codec
from schemas.ids import shard_of
from schemas.records import Tick

MODEL: Final = "load-1"
ACCURACY_M: Final = 5.0
FRAME_ROWS: Final = 500
TIME_BYTES: Final = 6
"""Of a time between 1970 and 2039 in Avro."""

POSITION: Final = np.dtype(
    [
        ("head", f"V{HEADER_BYTES}"), ("at_ms", "u1", TIME_BYTES), ("latitude_deg", "<f8"), ("longitude_deg", "<f8"),
        ("speed_mps", "<f4"), ("bearing_deg", "<f4"), ("accuracy_m", "<f4"), ("vehicle_class", "u1"),
        ("switches", "u1", 3), ("direction_id", "u1"),
    ]
)  # fmt: skip
DETECTION: Final = np.dtype(
    [
        ("head", f"V{HEADER_BYTES}"), ("at_ms", "u1", TIME_BYTES), ("latitude_deg", "<f8"), ("longitude_deg", "<f8"),
        ("confidence", "<f4"), ("speed_mps", "<f4"), ("bearing_deg", "<f4"), ("box", "<f4", 4),
    ]
)  # fmt: skip
READING: Final = np.dtype(
    [
        ("head", f"V{HEADER_BYTES}"), ("at_ms", "u1", TIME_BYTES), ("latitude_deg", "<f8"), ("longitude_deg", "<f8"),
        ("value", "<f8"),
    ]
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Messages:
    """Messages of one partition in order: keys and values."""

    keys: list[bytes]
    values: list[bytes]


@dataclass(frozen=True, slots=True)
class _Gateway:
    """What is the same in every frame of a gateway.

    name: in Avro. line, trip: of each place, -1 = none. words: its vehicles by their place, lines, trips, operators.
    """

    name: bytes
    line: npt.NDArray[np.int32]
    trip: npt.NDArray[np.int32]
    words: bytes


class Wire:
    """Writes a fleet's positions, and claims, for so many partitions a topic."""

    def __init__(self, codec: Codec, fleet: Fleet, partitions: int) -> None:
        self._codec, self._fleet, self._partitions = codec, fleet, partitions
        self._heads: dict[str, bytes] = {}
        self._keys = [name.encode() for name in fleet.vehicle_id]
        self._names = [_string(name) for name in fleet.vehicle_id]
        ends = zip(self._names, fleet.line_id, fleet.trip_id, strict=True)
        self._ends = [name + _string(line) + _string(trip) + _string("") for name, line, trip in ends]
        self._partition = fleet.shard % partitions
        self._gateways: dict[int, _Gateway] = {}
        self._devices: dict[str, tuple[int, bytes]] = {}

    def tick(self, at_ms: int) -> bytes:
        """Return the value of a tick."""
        return self._codec.encode(Tick(at_ms=at_ms))

    def singles(self, fixes: Fixes) -> Iterator[tuple[int, Messages]]:
        """Yield (partition, its messages), one message a position."""
        table = np.zeros(len(fixes), POSITION)
        table["head"] = np.void(self._head("VehiclePosition"))
        table["at_ms"] = _times(fixes.at_ms)
        table["latitude_deg"], table["longitude_deg"] = fixes.latitude_deg, fixes.longitude_deg
        table["speed_mps"], table["bearing_deg"] = fixes.speed_mps, fixes.bearing_deg
        table["accuracy_m"] = ACCURACY_M
        table["vehicle_class"] = self._fleet.vehicle_class[fixes.vehicle] * 2
        table["direction_id"] = np.array([1, 0, 2], np.uint8)[fixes.direction_id + 1]
        partition = self._partition[fixes.vehicle]
        for one in range(self._partitions):
            rows = np.flatnonzero(partition == one)
            beginnings, vehicles = _items(table[rows]), fixes.vehicle[rows].tolist()
            values = [start + self._ends[vehicle] for start, vehicle in zip(beginnings, vehicles, strict=True)]
            yield one, Messages([self._keys[vehicle] for vehicle in vehicles], values)

    def frames(self, fixes: Fixes) -> Iterator[tuple[int, Messages]]:
        """Yield (partition, its messages), one message up to FRAME_ROWS positions of a gateway."""
        gateway = self._fleet.gateway[fixes.vehicle]
        order = np.argsort(gateway, kind="stable")
        starts = np.flatnonzero(np.diff(gateway[order], prepend=-1))
        found: dict[int, Messages] = {}
        for begin, end in zip(starts.tolist(), [*starts[1:].tolist(), len(order)], strict=True):
            for first in range(begin, end, FRAME_ROWS):
                rows = order[first : min(first + FRAME_ROWS, end)]
                vehicle = int(fixes.vehicle[rows[0]])
                messages = found.setdefault(int(self._partition[vehicle]), Messages([], []))
                messages.keys.append(self._keys[vehicle])
                messages.values.append(self._frame(fixes.take(rows), int(gateway[rows[0]])))
        yield from found.items()

    def _frame(self, fixes: Fixes, gateway: int) -> bytes:
        known = self._gateways.get(gateway)
        if known is None:
            known = self._gateways[gateway] = self._gateway(gateway)
        place = self._fleet.place[fixes.vehicle]
        base_ms = base_of(fixes.at_ms.tolist())
        told = {
            "at_ms": (fixes.at_ms - base_ms).astype("<i8"),
            "latitude_deg": fixes.latitude_deg.astype("<f8"),
            "longitude_deg": fixes.longitude_deg.astype("<f8"),
            "speed_mps": fixes.speed_mps.astype("<f4"),
            "bearing_deg": fixes.bearing_deg.astype("<f4"),
            "vehicle_class": self._fleet.vehicle_class[fixes.vehicle],
            "vehicle_index": place.astype("<u4"),
            "line_index": known.line[place],
        }
        return b"".join(
            (
                self._head("VehicleFrame"),
                _number(len(fixes)),
                *(_column(name, values) for name, values in told.items()),
                known.name,
                _column("direction_id", fixes.direction_id.astype("i1")),
                _column("accuracy_m", np.full(len(fixes), ACCURACY_M, "<f4")),
                b"\0\0\0",  # ignition, door, sos: unknown
                _column("trip_index", known.trip[place]),
                b"\0",  # operators: unknown
                known.words,
                _number(base_ms),
            )
        )

    def _gateway(self, number: int) -> "_Gateway":
        fleet = self._fleet
        vehicles = np.flatnonzero(fleet.gateway == number).tolist()
        line, lines = _indices([fleet.line_id[vehicle] for vehicle in vehicles])
        trip, trips = _indices([fleet.trip_id[vehicle] for vehicle in vehicles])
        names = [fleet.vehicle_id[vehicle] for vehicle in vehicles]
        words = b"".join(_dictionary(one) for one in (names, lines, trips, ()))
        return _Gateway(_string(f"gateway-{number:04d}"), line, trip, words)

    def detections(self, claims: Sequence[Claim]) -> Iterator[tuple[int, Messages]]:
        """Yield (partition, its messages)."""
        table = np.zeros(len(claims), DETECTION)
        self._place(table, "CameraDetection", claims)
        table["confidence"] = [claim.value for claim in claims]
        table["speed_mps"] = table["bearing_deg"] = np.nan
        table["box"] = (0.2, 0.3, 0.4, 0.5)
        ends = [
            self._device(claim.device_id)[1] + _string(claim.kind) + _string("1") + _string(claim.what) + _MODEL
            for claim in claims
        ]
        yield from self._split(claims, table, ends)

    def readings(self, claims: Sequence[Claim]) -> Iterator[tuple[int, Messages]]:
        """Yield (partition, its messages)."""
        table = np.zeros(len(claims), READING)
        self._place(table, "SensorReading", claims)
        table["value"] = [claim.value for claim in claims]
        ends = [
            self._device(claim.device_id)[1] + _string(claim.kind) + _string(claim.what) + b"\0" for claim in claims
        ]
        yield from self._split(claims, table, ends)

    def _place(self, table: npt.NDArray[np.void], name: str, claims: Sequence[Claim]) -> None:
        table["head"] = np.void(self._head(name))
        table["at_ms"] = _times(np.array([claim.at_ms for claim in claims], np.int64))
        table["latitude_deg"] = [claim.latitude_deg for claim in claims]
        table["longitude_deg"] = [claim.longitude_deg for claim in claims]

    def _head(self, name: str) -> bytes:
        """Return the five bytes before the body of a record."""
        if name not in self._heads:
            self._heads[name] = self._codec.encode(_EMPTY[name])[:HEADER_BYTES]
        return self._heads[name]

    def _device(self, device_id: str) -> tuple[int, bytes]:
        """Return the partition of a device and its id in Avro."""
        known = self._devices.get(device_id)
        if known is None:
            known = self._devices[device_id] = shard_of(device_id) % self._partitions, _string(device_id)
        return known

    def _split(
        self, claims: Sequence[Claim], table: npt.NDArray[np.void], ends: Sequence[bytes]
    ) -> Iterator[tuple[int, Messages]]:
        found: dict[int, Messages] = {}
        for claim, start, end in zip(claims, _items(table), ends, strict=True):
            messages = found.setdefault(self._device(claim.device_id)[0], Messages([], []))
            messages.keys.append(claim.device_id.encode())
            messages.values.append(start + end)
        yield from found.items()


def _items(table: npt.NDArray[np.void]) -> list[bytes]:
    """Return the bytes of each row."""
    width, joined = table.dtype.itemsize, table.tobytes()
    return [joined[at : at + width] for at in range(0, len(joined), width)]


def _times(at_ms: IntArray) -> npt.NDArray[np.uint8]:
    """Return n times as Avro's longs, uint8 (n, 6)."""
    zigzag = at_ms.astype(np.uint64) * np.uint64(2)
    digits = (zigzag[:, None] >> np.arange(0, 7 * TIME_BYTES, 7, dtype=np.uint64)) & np.uint64(0x7F)
    digits[:, :-1] |= np.uint64(0x80)
    return digits.astype(np.uint8)


def _number(value: int) -> bytes:
    """Return an Avro int or long."""
    zigzag = value * 2 if value >= 0 else -value * 2 - 1
    out = bytearray()
    while zigzag > 0x7F:
        out.append(zigzag & 0x7F | 0x80)
        zigzag >>= 7
    out.append(zigzag)
    return bytes(out)


def _column(name: str, values: npt.NDArray[np.generic]) -> bytes:
    return _bytes(written(name, values))


def _bytes(content: bytes) -> bytes:
    return _number(len(content)) + content


def _string(text: str) -> bytes:
    content = text.encode()
    return _number(len(content)) + content


def _indices(items: Sequence[str]) -> tuple[npt.NDArray[np.int32], list[str]]:
    """Return the index of each text among the distinct ones that are not empty, -1 = empty, and those."""
    words = list(dict.fromkeys(item for item in items if item))
    numbers = {word: number for number, word in enumerate(words)} | {"": -1}
    return np.array([numbers[item] for item in items], "<i4"), words


def _dictionary(words: Sequence[str]) -> bytes:
    """Return the words of a frame, padded to one width, and that width."""
    padded = np.array([word.encode() for word in words], np.bytes_)
    return _bytes(padded.tobytes()) + _number(padded.itemsize) if words else b"\0\0"


_MODEL: Final = _string(MODEL) + _string("") + _string("")
_EMPTY: Final[dict[str, object]] = {
    "VehiclePosition": records.VehiclePosition(
        at_ms=0, latitude_deg=0, longitude_deg=0, speed_mps=0, bearing_deg=0, accuracy_m=0, vehicle_id=""
    ),
    "VehicleFrame": records.VehicleFrame(
        rows=0,
        at_ms=b"",
        latitude_deg=b"",
        longitude_deg=b"",
        speed_mps=b"",
        bearing_deg=b"",
        vehicle_class=b"",
        vehicle_index=b"",
        line_index=b"",
    ),
    "CameraDetection": records.CameraDetection(
        at_ms=0,
        latitude_deg=0,
        longitude_deg=0,
        confidence=0,
        speed_mps=0,
        bearing_deg=0,
        box_left=0,
        box_top=0,
        box_right=0,
        box_bottom=0,
        camera_id="",
        kind="",
    ),
    "SensorReading": records.SensorReading(
        at_ms=0, latitude_deg=0, longitude_deg=0, value=0, sensor_id="", quantity="", measure_unit=""
    ),
}
