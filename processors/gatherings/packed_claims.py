"""Claims of one vehicle about one line and direction, packed: some 80 bytes each instead of some 700.

They are kept for hours, since what was derived may change when one of them comes late or is taken back, and there are
millions of them. Everything that a claim says can be had back.
"""

from array import array
from bisect import bisect_left
from collections.abc import Iterator
from struct import Struct
from typing import Final, NamedTuple

from schemas.records import Observation

RECORD: Final = Struct("<QdddddqiHH")
"""Number of the id, place, score, offset on the line, value, source offset and partition, sort, tail."""
BYTES: Final = RECORD.size
TAIL: Final = Struct("<H")
TAIL_AT: Final = BYTES - TAIL.size
MANY_TAILS: Final = 16

_pack = RECORD.pack
_number = Struct("<Q").unpack_from


class Whose(NamedTuple):
    """What all claims of a pack have in common."""

    line_id: str
    direction_id: int
    device_id: str


class Sort(NamedTuple):
    """Where claims of a sort come from, what they claim, and of which class of vehicles."""

    source_topic: str
    kind: str
    vehicle_class: str


class Words:
    """Numbers of what there is little of: beginnings of subjects, and sorts of claims."""

    __slots__ = ("_codes", "_sort_codes", "sorts", "texts")

    def __init__(self) -> None:
        self.texts: list[str] = []
        self.sorts: list[Sort] = []
        self._codes: dict[str, int] = {}
        self._sort_codes: dict[tuple[str, str, str], int] = {}

    def code(self, text: str) -> int:
        """Return the number of a text."""
        found = self._codes.get(text)
        if found is None:
            found = self._codes[text] = len(self.texts)
            self.texts.append(text)
        return found

    def sort_code(self, one: Observation) -> int:
        """Return the number of a claim's sort."""
        sort = one.source_topic, one.kind, one.vehicle_class
        found = self._sort_codes.get(sort)
        if found is None:
            found = self._sort_codes[sort] = len(self.sorts)
            self.sorts.append(Sort(*sort))
        return found


def number_of(observation_id: str) -> int:
    """Return the 64 bits that `schemas.ids.content_id` made an id of; of two, the smaller has the smaller id.

    Raises ValueError for any other id.
    """
    number = int(observation_id[2:], 16)
    if len(observation_id) != 18 or observation_id[:2] != "o-":
        raise ValueError(f"{observation_id!r} is no id of an observation")
    return number


def id_of(number: int) -> str:
    """Return the id of an observation."""
    return f"o-{number:016x}"


class PackedClaims:
    """Claims in the order (time, id).

    at_ms: their times. head: the number of the text that each subject begins with, the whole subject if it has no tail.
    """

    __slots__ = ("_rest", "_tails", "_whole", "_words", "at_ms", "head")

    def __init__(self, words: Words) -> None:
        self.at_ms = array("q")
        self.head = array("I")
        self._words = words
        self._rest = bytearray()
        self._tails: list[str] = []
        self._whole: dict[int, Observation] | None = None

    def __len__(self) -> int:
        return len(self.at_ms)

    def number(self, index: int) -> int:
        """Return the number of the id of a claim."""
        found: int = _number(self._rest, index * BYTES)[0]
        return found

    def place(self, at_ms: int, number: int) -> int:
        """Return how many claims are before a place in the order."""
        times, index = self.at_ms, bisect_left(self.at_ms, at_ms)
        while index < len(times) and times[index] == at_ms and self.number(index) < number:
            index += 1
        return index

    def holds(self, index: int, at_ms: int, number: int) -> bool:
        """Tell whether the claim of that time and id is the one at an index."""
        return index < len(self.at_ms) and self.at_ms[index] == at_ms and self.number(index) == number

    def insert(self, index: int, one: Observation, number: int, head: int, tail: str | None) -> None:
        """Put a claim at its index; its subject is head, "/" and tail, or the head alone."""
        tails = self._tails
        if tail is None:
            of_tail = 0
        elif tails and tails[-1] == tail:
            of_tail = len(tails)
        elif tail in tails:
            of_tail = tails.index(tail) + 1
        else:
            tails.append(tail)
            of_tail = len(tails)
        record = _pack(
            number,
            one.latitude_deg,
            one.longitude_deg,
            one.score,
            one.line_offset_m,
            one.value,
            one.source_offset,
            one.source_partition,
            self._words.sort_code(one),
            of_tail,
        )
        if index == len(self.at_ms):
            self.at_ms.append(one.at_ms)
            self.head.append(head)
            self._rest += record
        else:
            self.at_ms.insert(index, one.at_ms)
            self.head.insert(index, head)
            self._rest[index * BYTES : index * BYTES] = record
        if (
            one.snapshot_url
            or one.witness_id != one.device_id
            or (tail is None and one.subject != self._words.texts[head])
        ):
            self._whole = {**(self._whole or {}), number: one}

    def delete(self, index: int) -> None:
        """Leave a claim out."""
        self._drop(index, index + 1)

    def forget(self, oldest_ms: int) -> int:
        """Leave out the claims before a time; return how many there were."""
        if not self.at_ms or self.at_ms[0] >= oldest_ms:
            return 0
        count = bisect_left(self.at_ms, oldest_ms)
        self._drop(0, count)
        if len(self._tails) > MANY_TAILS:
            self._forget_tails()
        return count

    def claim(self, index: int, whose: Whose) -> Observation:
        """Return a claim as it was."""
        number, latitude_deg, longitude_deg, score, line_offset_m, value, offset, partition, of_sort, of_tail = (
            RECORD.unpack_from(self._rest, index * BYTES)
        )
        if self._whole and number in self._whole:
            return self._whole[number]
        head, sort = self._words.texts[self.head[index]], self._words.sorts[of_sort]
        return Observation(
            at_ms=self.at_ms[index],
            latitude_deg=latitude_deg,
            longitude_deg=longitude_deg,
            score=score,
            source_offset=offset,
            source_partition=partition,
            source_topic=sort.source_topic,
            observation_id=id_of(number),
            kind=sort.kind,
            device_id=whose.device_id,
            witness_id=whose.device_id,
            line_id=whose.line_id,
            direction_id=whose.direction_id,
            line_offset_m=line_offset_m,
            value=value,
            subject=f"{head}/{self._tails[of_tail - 1]}" if of_tail else head,
            vehicle_class=sort.vehicle_class,
        )

    def claims(self, whose: Whose) -> Iterator[Observation]:
        """Yield all claims in their order."""
        return (self.claim(index, whose) for index in range(len(self.at_ms)))

    def tail(self, index: int) -> str:
        """Return what the subject of a claim ends with, "" if it has no tail."""
        return self.tail_or_none(index) or ""

    def tail_or_none(self, index: int) -> str | None:
        """Return the same, None if it has no tail."""
        of_tail: int = TAIL.unpack_from(self._rest, index * BYTES + TAIL_AT)[0]
        return self._tails[of_tail - 1] if of_tail else None

    def kind(self, index: int) -> str:
        """Return the kind of a claim."""
        found: int = TAIL.unpack_from(self._rest, index * BYTES + TAIL_AT - TAIL.size)[0]
        return self._words.sorts[found].kind

    def _drop(self, first: int, last: int) -> None:
        if self._whole:
            gone = {self.number(index) for index in range(first, last)}
            self._whole = {number: one for number, one in self._whole.items() if number not in gone} or None
        del self.at_ms[first:last], self.head[first:last], self._rest[first * BYTES : last * BYTES]

    def _forget_tails(self) -> None:
        """Keep the tails that claims have."""
        known, kept = self._tails, list[str]()
        for at in range(TAIL_AT, len(self._rest), BYTES):
            of_tail = TAIL.unpack_from(self._rest, at)[0]
            if of_tail:
                tail = known[of_tail - 1]
                if not kept or kept[-1] != tail:
                    if tail in kept:
                        of_tail = kept.index(tail) + 1
                    else:
                        kept.append(tail)
                        of_tail = len(kept)
                else:
                    of_tail = len(kept)
                TAIL.pack_into(self._rest, at, of_tail)
        self._tails = kept
