"""What the worker decided about given records: read from the log, once it has committed behind them.

A commit comes after outputs and checkpoint, so by then every reject and every row of a duplicate stands in the log.
"""

import time
from collections import defaultdict
from collections.abc import Collection
from dataclasses import dataclass
from typing import Final

import numpy as np
from confluent_kafka import Consumer, TopicPartition

from processors.recheck import Refusal
from schemas.codec import Codec
from schemas.columns import unpack
from schemas.records import Rejected, RowFrame
from schemas.tables import DUPLICATES, POSITIONS
from streams import topics
from streams.log_facts import Place
from streams.reading import Vector, reading
from streams.settings import Settings
from streams.watching import watcher_settings

ASK_AGAIN_S: Final = 0.2
ANSWER_WITHIN_S: Final = 10.0
_TOPICS: Final = {topic.name: topic for topic in topics.INPUTS}


@dataclass(frozen=True, slots=True)
class Verdicts:
    """Of the records asked about: those decided, and of these the refused and the duplicates; the rest is used.

    A frame of which a position is refused counts as refused, one of which any is used as used.
    """

    decided: frozenset[Place]
    refused: dict[Place, Refusal]
    duplicates: frozenset[Place]


NO_VERDICTS: Final = Verdicts(frozenset(), {}, frozenset())


def verdicts_of(settings: Settings, codec: Codec, begin: Vector, places: Collection[Place], wait_s: float) -> Verdicts:
    """Wait for the worker to decide about records, and return what it decided.

    begin: where records.rejected.v1 and rows.v1 ended before the records were sent.
    wait_s: given up after it; what is not decided by then is in none of the sets.
    """
    committed = await_commits(settings, places, wait_s)
    decided = frozenset(place for place in places if place.offset < committed.get(place[:2], 0))
    if not decided:
        return NO_VERDICTS
    with reading(settings) as log:
        end = log.end([topics.REJECTED, topics.ROWS])
        refused: dict[Place, Refusal] = {}
        for message in log.read(topics.REJECTED, begin, end):
            one = codec.read(message.value or b"", Rejected)
            place = Place(one.source_topic, one.source_partition, one.source_offset)
            if place in decided:
                refused.setdefault(place, Refusal(one.reason, one.errors))
        duplicates, used = set[Place](), set[Place]()
        for message in log.read(topics.ROWS, begin, end):
            frame = codec.read(message.value or b"", RowFrame)
            if frame.table == DUPLICATES.name:
                duplicates |= _places(frame)
            elif (frame.table, frame.source_topic) == (POSITIONS.name, topics.FRAMES.name):
                used |= _places(frame)
    return Verdicts(decided, refused, (decided & duplicates) - used)


def _places(frame: RowFrame) -> set[Place]:
    offsets = np.unique(unpack(frame.columns)["source_offset"]).tolist()
    return {Place(frame.source_topic, frame.source_partition, offset) for offset in offsets}


def await_commits(settings: Settings, places: Collection[Place], wait_s: float) -> dict[tuple[str, int], int]:
    """Return the group's committed offsets once they are behind all the records, or after `wait_s`."""
    last: dict[tuple[str, int], int] = defaultdict(int)
    for place in places:
        last[place[:2]] = max(last[place[:2]], place.offset)
    names = {(settings.topic(_TOPICS[name]), partition): (name, partition) for name, partition in last}
    group = watcher_settings(settings.kafka, group_id=settings.group)
    consumer = Consumer(group)  # it only asks: without a subscription it does not join the group
    give_up_at_s = time.monotonic() + wait_s
    try:
        while True:
            parts = [TopicPartition(*name) for name in names]
            answer = consumer.committed(parts, timeout=ANSWER_WITHIN_S) if parts else []
            committed = {names[one.topic, one.partition]: one.offset for one in answer}
            behind = all(committed.get(source, 0) > offset for source, offset in last.items())
            if behind or time.monotonic() > give_up_at_s:
                return committed
            time.sleep(ASK_AGAIN_S)
    finally:
        consumer.close()
