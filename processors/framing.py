"""Framing: positions of many vehicles become columnar frames, each of one virtual shard, of so many rows or so old.

docs/frames.md describes the bytes.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from processors.frame_columns import DTYPES, read, widths_of, written
from schemas.codec import Codec
from schemas.dictionary import storable
from schemas.errors import Rejected
from schemas.ids import shard_of
from schemas.records import Switch, VehicleClass, VehicleFrame, VehiclePosition

FRAME_BYTES: Final = 900_000
"""A frame is closed before it holds more: Kafka takes messages of about 1 MB."""

ROW_BYTES: Final = 57
"""Of a row in all columns at most, its texts aside."""

MOST_AFTER_MS: Final = 2**32 - 1
"""The latest time of a frame after its base_ms, where times are narrow."""

DICTIONARIES: Final = {f"{name}_index": name for name in ("vehicle", "line", "trip", "operator")}
"""Column of indices -> what its words are of: NAME_words holds them, each NAME_width bytes wide."""

_CLASSES: Final = tuple(VehicleClass)
_SWITCHES: Final = tuple(Switch)
_CLASS_INDEX: Final = {item: index for index, item in enumerate(VehicleClass)}
_SWITCH_INDEX: Final = {item: index for index, item in enumerate(Switch)}

shard_kept: Final = lru_cache(maxsize=262_144)(shard_of)


@dataclass(frozen=True, slots=True)
class FramingRule:
    """When a frame is sent: at so many rows, or so long after its first one came."""

    rows: int = 500
    hold_ms: int = 250


@dataclass(slots=True)
class _Open:
    """A frame that still takes positions."""

    since_ms: int
    bytes: int
    positions: list[VehiclePosition]


class Framer:
    """Gathers positions by virtual shard; time is what the caller says."""

    def __init__(self, rule: FramingRule, gateway_id: str = "") -> None:
        """gateway_id: goes along in every frame."""
        self._rule, self._gateway_id = rule, gateway_id
        self._open: dict[int, _Open] = {}

    @property
    def waiting(self) -> int:
        """Return how many positions are in no frame yet."""
        return sum(len(one.positions) for one in self._open.values())

    def add(self, position: VehiclePosition, now_ms: int) -> list[VehicleFrame]:
        """Take a position; return the frame that is full with it, or that it did not fit into."""
        shard, size = shard_kept(position.vehicle_id), _size(position)
        closed = []
        held = self._open.get(shard)
        if held is not None and held.bytes + size > FRAME_BYTES:
            closed.append(self._close(shard))
            held = None
        if held is None:
            held = self._open[shard] = _Open(now_ms, 0, [])
        held.positions.append(position)
        held.bytes += size
        if len(held.positions) >= self._rule.rows:
            closed.append(self._close(shard))
        return closed

    def due(self, now_ms: int) -> list[VehicleFrame]:
        """Return the frames that have waited long enough, the oldest first."""
        old = [shard for shard, one in self._open.items() if now_ms - one.since_ms >= self._rule.hold_ms]
        return [self._close(shard) for shard in old]

    def close(self) -> list[VehicleFrame]:
        """Return all that is left."""
        return [self._close(shard) for shard in list(self._open)]

    def _close(self, shard: int) -> VehicleFrame:
        return frame_of(self._open.pop(shard).positions, self._gateway_id)


def frame_of(positions: Sequence[VehiclePosition], gateway_id: str = "") -> VehicleFrame:
    """Return one or more positions, which must be of one virtual shard, as a frame.

    A column that says nothing of any of them is left empty, and every other is as narrow as its values allow. A
    direction_id beyond a byte becomes the nearest that is one: it is out of range all the same.
    """
    assert positions
    texts = {
        column: _indices([getattr(one, f"{name}_id") for one in positions], name)
        for column, name in DICTIONARIES.items()
    }
    numbers: dict[str, Sequence[float]] = {
        name: [getattr(one, name) for one in positions]
        for name in ("at_ms", "latitude_deg", "longitude_deg", "speed_mps", "bearing_deg", "accuracy_m")
    }
    numbers["direction_id"] = [min(max(one.direction_id, -128), 127) for one in positions]
    numbers["vehicle_class"] = [_CLASS_INDEX[one.vehicle_class] for one in positions]
    for name in ("ignition", "door", "sos"):
        numbers[name] = [_SWITCH_INDEX[getattr(one, name)] for one in positions]
    with np.errstate(over="ignore"):  # what no float32 can hold becomes infinite, which is refused
        columns = {name: np.array(told, DTYPES[name]) for name, told in numbers.items()}
    columns |= {column: index for column, (index, _) in texts.items()}
    base_ms = base_of([one.at_ms for one in positions])
    columns["at_ms"] -= base_ms
    fields: dict[str, Any] = {"rows": len(positions), "gateway_id": gateway_id, "base_ms": base_ms}
    for column, (_, words) in texts.items():
        fields |= packed_words(DICTIONARIES[column], words)
    fields |= {name: written(name, values) for name, values in columns.items()}
    return VehicleFrame(**fields)


def base_of(at_ms: Sequence[int]) -> int:
    """Return the base_ms of a frame of those times: the first one; 0 where they are too far apart to be narrow."""
    first = min(at_ms)
    return first if max(at_ms) - first <= MOST_AFTER_MS else 0


def positions_of(frame: VehicleFrame) -> list[VehiclePosition]:
    """Return the positions of a sound frame, one of `frame_of` for example."""
    columns = {name: read(name, [getattr(frame, name)], [frame.rows], [frame.base_ms]) for name in DTYPES}
    texts = {f"{name}_id": _texts(columns.pop(column), words_of(frame, name)) for column, name in DICTIONARIES.items()}
    classes = [_CLASSES[index] for index in columns.pop("vehicle_class").tolist()]
    switches = {
        name: [_SWITCHES[index] for index in columns.pop(name).tolist()] for name in ("ignition", "door", "sos")
    }
    values: dict[str, list[Any]] = {name: column.tolist() for name, column in columns.items()}
    every = {**values, **texts, **switches, "vehicle_class": classes}
    return [VehiclePosition(**dict(zip(every, row, strict=True))) for row in zip(*every.values(), strict=True)]


def row_of(frame: VehicleFrame, row: int) -> VehicleFrame:
    """Return the frame of one row of a well-formed frame, every value as its bytes were."""
    told: dict[str, Any] = {"rows": 1, "gateway_id": frame.gateway_id, "base_ms": frame.base_ms}
    for name in DTYPES:
        width = len(getattr(frame, name)) // frame.rows
        value = getattr(frame, name)[row * width : (row + 1) * width]
        if name in DICTIONARIES:
            at = int.from_bytes(value, "little", signed=name != "vehicle_index") if value else -1
            told |= packed_words(
                DICTIONARIES[name], words_of(frame, DICTIONARIES[name])[at : at + 1] if at >= 0 else ()
            )
            value = bytes(width) if at >= 0 else value
        told[name] = value
    return VehicleFrame(**told)


def rows_in(codec: Codec, value: bytes | None) -> int:
    """Return how many positions a message holds; 1 for what is no frame, or one whose times are not as many."""
    try:
        frame = codec.read(value or b"", VehicleFrame)
    except Rejected:
        return 1
    whole = frame.rows > 0 and len(frame.at_ms) in [width * frame.rows for width in widths_of("at_ms")]
    return frame.rows if whole else 1


def key_of(frame: VehicleFrame) -> str:
    """Return the key of a well-formed frame: the id of its first vehicle."""
    width = len(frame.vehicle_index) // frame.rows
    return words_of(frame, "vehicle")[int.from_bytes(frame.vehicle_index[:width], "little")]


def packed_words(name: str, words: Sequence[str]) -> dict[str, Any]:
    """Return the fields NAME_words and NAME_width of a frame that hold m distinct texts."""
    packed = np.array([storable(word.encode()) for word in words], np.bytes_)
    return {f"{name}_words": packed.tobytes(), f"{name}_width": packed.itemsize} if len(packed) else {}


def words_of(frame: VehicleFrame, name: str) -> tuple[str, ...]:
    """Return the texts (m,) of a well-formed frame that are of vehicles, lines, trips or operators."""
    width = getattr(frame, f"{name}_width")
    packed = np.frombuffer(getattr(frame, f"{name}_words"), f"S{width}") if width else ()
    return tuple(word.decode() for word in packed)


def _indices(items: Sequence[str], name: str) -> tuple[npt.NDArray[Any], tuple[str, ...]]:
    """Return indices (n,) into the distinct texts, in the order they first come; only a vehicle id may be empty."""
    numbers: dict[str, int] = {} if name == "vehicle" else {"": -1}
    first = len(numbers)
    index = [numbers.setdefault(item, len(numbers) - first) for item in items]
    dtype = "<u4" if name == "vehicle" else "<i4"
    return np.array(index, dtype), tuple(numbers)[first:]


def _texts(index: npt.NDArray[Any], words: Sequence[str]) -> list[str]:
    return [words[at] if at >= 0 else "" for at in index.tolist()]


def _size(position: VehiclePosition) -> int:
    """Return at least the bytes that a position may add to a frame."""
    texts = position.vehicle_id, position.line_id, position.trip_id, position.operator_id
    return ROW_BYTES + sum(3 + len(text.encode()) for text in texts)


def frames_of(positions: Sequence[VehiclePosition], rule: FramingRule, gateway_id: str = "") -> Iterator[VehicleFrame]:
    """Yield many positions, in their order within a shard, as frames."""
    framer = Framer(rule, gateway_id)
    for position in positions:
        yield from framer.add(position, 0)
    yield from framer.close()
