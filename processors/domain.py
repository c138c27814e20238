"""What one input topic is made of: its record types, and how each is read, remembered, stored and judged."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, Generic, Protocol, TypeVar

import numpy as np
import numpy.typing as npt

from processors.batches import Batch, BoolArray, HashArray, IntArray
from processors.city import City
from processors.key_blocks import SlotArray
from processors.records_in import RawRecord
from processors.rows import Columns
from processors.tracks import Track
from processors.watches.contract import WatchMaker
from schemas.codec import Codec
from schemas.dictionary import Dictionary
from schemas.errors import Reason
from schemas.records import DeviceKind

KEY_SEPARATOR: Final = "\x1f"
"""Parts the device id from the rest of a history key; no valid id holds a control character."""


B = TypeVar("B", bound=Batch)


@dataclass(frozen=True, slots=True)
class Message:
    """A record and the fields that its bytes say."""

    raw: RawRecord
    fields: dict[str, Any]


@dataclass(frozen=True, slots=True)
class Mistakes:
    """What is wrong with n records of one batch, by row."""

    by_row: dict[int, list[tuple[Reason, str]]] = field(default_factory=dict)

    def note(self, rows: npt.NDArray[Any], reason: Reason, words: Callable[[int], str]) -> None:
        """Note a mistake of the rows in a mask (n,); words(row) says what is wrong."""
        for row in rows.nonzero()[0].tolist():
            self.by_row.setdefault(row, []).append((reason, words(row)))


@dataclass(frozen=True, slots=True)
class Unread:
    """Records that gave no row at all, by their number: the reason and every mistake in words."""

    by_record: dict[int, tuple[Reason, tuple[str, ...]]] = field(default_factory=dict)

    def note(self, record: int, reason: Reason, *errors: str) -> None:
        """Note why a record cannot be read."""
        self.by_record[record] = (reason, errors)


@dataclass(frozen=True, slots=True)
class Rows(Generic[B]):
    """n rows that were read from records, not judged yet.

    record: which record each came from, ascending. shard: of its device, -1 = the device's id is not sound.
    index: its place in its record, None where a record is one row.
    """

    batch: B
    record: IntArray
    shard: IntArray
    mistakes: Mistakes
    unread: Unread
    index: IntArray | None = None


@dataclass(frozen=True, slots=True)
class Findings:
    """What a detector claims: rows of a track, what of each and how sure (0 to 1).

    value: what was measured, in the unit that docs/observations.md gives for the kind; None = nothing.
    subject: what is claimed about where it is not the device; None = the device or the place.
    """

    row: IntArray
    kind: tuple[str, ...]
    score: npt.NDArray[np.float64]
    value: npt.NDArray[np.float64] | None = None
    subject: tuple[str, ...] | None = None


class Form(Protocol[B]):
    """One record type of a topic. Everything is a function of the arguments, row by row."""

    @property
    def record(self) -> str:
        """Short name of the record."""

    @property
    def table(self) -> str:
        """The table that its used records go to."""

    @property
    def device_field(self) -> str:
        """The field that names the device; it decides the shard."""

    @property
    def remembered(self) -> Mapping[str, Any]:
        """Columns that its detectors need of the past, with their dtypes (DictionaryArray = text)."""

    @property
    def whole_ms(self) -> int:
        """How far back of a record that needs the whole history of its key any record may count."""

    def read(self, records: Sequence[RawRecord], codec: Codec, keys: Dictionary, city: City) -> Rows[B]:
        """Turn records into rows and note what is wrong with them; rows with a mistake are not used.

        keys: those of the form's history, which only grow here.
        """

    def slots(self, batch: B, keys: Dictionary) -> SlotArray:
        """Return the numbers (n,) of what each row is about: the device, and what of it has a history of its own."""

    def ties(self, batch: B) -> HashArray:
        """Return what tells rows of one key and time apart, 0 where there can be one only."""

    def place(self, batch: B, city: City) -> tuple[Columns, Columns]:
        """Return the table's columns and the remembered columns of n used rows."""

    def needs_whole(self, batch: B) -> BoolArray:
        """Tell which rows need the whole history of their key; the others need its DEPTH newest records."""

    def candidates(self, batch: B, remembered: Columns) -> BoolArray:
        """Tell at which of n used rows something may be claimed.

        remembered: as `place` gives it, and what History.recent knows of what came before each row in order.
        """

    def detect(self, track: Track) -> Findings:
        """Return what is claimed at the anchors of a track: a function of each key's records alone."""


@dataclass(frozen=True, slots=True)
class Domain:
    """The record types of one topic, by short name, and the kind of device that is registered on it (None = none).

    watches: what makes the watches beside their histories, for each partition its own. publishes: whether rule sets
    enter the log here. in_city: makes it what a city's settings say, None = they say nothing about it.
    """

    forms: Mapping[str, Form[Any]]
    devices: DeviceKind | None = None
    watches: tuple[WatchMaker, ...] = ()
    publishes: bool = False
    in_city: Callable[[City], "Domain"] | None = None


def domain_of(*forms: Form[Any], devices: DeviceKind | None = None, watches: Sequence[WatchMaker] = ()) -> Domain:
    """Return the domain of those record types, that kind of device and those watches."""
    return Domain({form.record: form for form in forms}, devices, tuple(watches))
