"""Sends rejected records again, byte for byte, to the topic they came from.

`choose` finds them and says what is known beforehand; `resend` sends, waits for the worker's verdict if told to, and
accounts for every one. docs/replay.md says what the policies mean. A copy carries the header RESENT_FROM, which names
the place of the first reject, however often it is sent again; records.resent.v1 keeps what was sent where.
"""

import time
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from processors.actions import action_domain
from processors.camera import camera_domain
from processors.city import City
from processors.domain import Domain
from processors.fleet import fleet_domain, frame_domain
from processors.ingest import IngestRule
from processors.recheck import Refusal, device_of, refusals, right_partition, was_cut
from processors.records_in import RawRecord
from processors.sensors import sensor_domain
from schemas.codec import Codec, schema_id_of
from schemas.errors import UsageError
from schemas.records import Rejected, Resent
from streams import topics
from streams.admin import ensure_topics
from streams.log_facts import Place, place_of
from streams.reading import Vector, reading
from streams.registry import fetch_schema
from streams.resend_wire import Arrival, Copy, send_copies
from streams.settings import Settings
from streams.span import load_span
from streams.tick_index import newest_tick_ms
from streams.topics import Topic
from streams.verdicts import NO_VERDICTS, Verdicts, verdicts_of

RESENT_FROM: Final = "cityops-resent-from"
AT_ONCE: Final = 500
"""With --policy stop: so many are sent before their verdicts are waited for."""

DOMAINS: Final[dict[str, tuple[Topic, Callable[[], Domain]]]] = {
    topics.POSITIONS.name: (topics.POSITIONS, fleet_domain),
    topics.FRAMES.name: (topics.FRAMES, frame_domain),
    topics.DETECTIONS.name: (topics.DETECTIONS, camera_domain),
    topics.READINGS.name: (topics.READINGS, sensor_domain),
    topics.ACTIONS.name: (topics.ACTIONS, action_domain),
}


class Policy(StrEnum):
    """What becomes of a record that would be refused again."""

    STOP = "stop"
    REPARK = "repark"
    DROP = "drop"


class Fate(StrEnum):
    """What became of a chosen record."""

    USED = "used"
    DUPLICATE = "duplicate"
    REFUSED = "refused again"
    WAITING = "sent, no verdict yet"
    READY = "would be sent"
    DROPPED = "not sent: would be refused"
    CUT = "not sent: only its beginning was kept"
    LEFT = "not sent: stopped before it"
    FAILED = "not sent: Kafka did not take it"


STOPS: Final = frozenset({Fate.REFUSED, Fate.DROPPED, Fate.CUT, Fate.FAILED, Fate.LEFT})
"""With --policy stop, what ends the sending."""


@dataclass(frozen=True, slots=True)
class Choice:
    """Which rejected records to send again.

    since_ms: what the broker got before (its own clock) is not looked at; None = everything that is kept.
    again: also those that were sent again before.
    """

    wanted: Callable[[Rejected], bool]
    since_ms: int | None = None
    again: bool = False


@dataclass(frozen=True, slots=True)
class Candidate:
    """A chosen record, the partition it goes to, and why it would be refused again (None = nothing speaks for it)."""

    reject: Rejected
    partition: int
    refusal: Refusal | None

    @property
    def place(self) -> Place:
        """Where the reject stands."""
        return place_of(self.reject)


@dataclass(frozen=True, slots=True)
class Plan:
    """What was chosen, in the order of rejection. sent_before: left out because they were sent again already."""

    candidates: tuple[Candidate, ...]
    sent_before: int


@dataclass(frozen=True, slots=True)
class Sent:
    """One chosen record and its fate. to: where its copy stands. refusal: why it was, or would be, refused."""

    place: Place
    fate: Fate
    to: Place | None = None
    refusal: Refusal | None = None
    error: str = ""


def choose(settings: Settings, codec: Codec, city: City, choice: Choice) -> Plan:
    """Find the rejected records that are wanted and judge each as if it came now.

    Raises UsageError for a replay, which has no input of its own, and what `reading` raises.
    """
    if load_span(settings.home, settings.run) is not None:
        raise UsageError(f"{settings.run} is a replay and has no input of its own: send again in the run that it read")
    ensure_topics(settings, (topics.RESENT,))
    known = {} if choice.again else read_resent(settings, codec)
    found = find_rejected(settings, codec, choice)
    fresh = [one for one in found if place_of(one) not in known]
    return Plan(tuple(_judge(settings, codec, city, fresh)), len(found) - len(fresh))


def find_rejected(settings: Settings, codec: Codec, choice: Choice) -> list[Rejected]:
    """Return the wanted rejects, each once, in the order in which they were rejected."""
    found: dict[Place, Rejected] = {}
    with reading(settings) as log:
        begin = {} if choice.since_ms is None else log.since(choice.since_ms, [topics.REJECTED])
        for message in log.read(topics.REJECTED, begin, log.end([topics.REJECTED])):
            one = codec.read(message.value or b"", Rejected)
            if choice.wanted(one):
                found.setdefault(place_of(one), one)
    return list(found.values())


def read_resent(settings: Settings, codec: Codec) -> dict[Place, Place]:
    """Return where the newest copy of each reject that was sent again stands, by the place of the reject."""
    copies: dict[Place, Place] = {}
    with reading(settings) as log:
        for message in log.read(topics.RESENT, {}, log.end([topics.RESENT])):
            one = codec.read(message.value or b"", Resent)
            place = Place(one.source_topic, one.source_partition, one.source_offset, one.source_index)
            copies[place] = Place(one.source_topic, one.to_partition, one.to_offset)
    return copies


def resend(
    settings: Settings,
    codec: Codec,
    plan: Plan,
    policy: Policy,
    wait_s: float = 0.0,
    on_progress: Callable[[int], None] = lambda sent: None,
    *,
    dry_run: bool = False,
) -> list[Sent]:
    """Send what the policy lets through and return the fate of every candidate, in their order.

    wait_s: how long the worker's verdicts are waited for; 0 = not at all, and what is sent is WAITING.
    on_progress: called with how many are sent. Raises Retryable when Kafka does not answer.
    """
    held = {one.place: fate for one in plan.candidates if (fate := _held(one, policy)) is not None}
    sending = list(_let_through(plan.candidates, held, policy))
    sent: dict[Place, Sent] = {}
    at_once = AT_ONCE if policy is Policy.STOP else max(1, len(sending))
    for start in range(0, len(sending), at_once):
        part = sending[start : start + at_once]
        if dry_run:
            fates = [Sent(one.place, Fate.READY) for one in part]
        else:
            fates = _send(settings, codec, part, wait_s, lambda count: on_progress(len(sent) + count))
        sent.update((one.place, one) for one in fates)
        on_progress(len(sent))
        unsure = wait_s > 0 and any(one.fate is Fate.WAITING for one in fates)
        if policy is Policy.STOP and (unsure or any(one.fate in STOPS for one in fates)):
            break
    return list(_account(plan.candidates, sent, held, policy))


def _judge(settings: Settings, codec: Codec, city: City, rejects: Sequence[Rejected]) -> list[Candidate]:
    """Find the right partition of each reject and, where a fresh engine would refuse it there, why."""
    _learn(settings, codec, rejects)
    domains = {name: build() for name, (_, build) in DOMAINS.items()}
    partition = [
        right_partition(
            device_of(domains[one.source_topic], codec, one.value),
            DOMAINS[one.source_topic][0].partitions,
            one.source_partition,
        )
        for one in rejects
    ]
    groups: dict[tuple[str, int], list[int]] = defaultdict(list)
    for number, one in enumerate(rejects):
        groups[one.source_topic, partition[number]].append(number)
    rule = IngestRule(lateness_ms=settings.lateness_ms, future_ms=settings.future_ms)
    tick_ms = {name: _tick_ms(settings, codec, DOMAINS[name][0]) for name in {name for name, _ in groups}}
    refusal: dict[int, Refusal] = {}
    for (name, target), numbers in groups.items():
        raws = [RawRecord(0, one.key, one.value, _headers(one)) for one in (rejects[number] for number in numbers)]
        topic = DOMAINS[name][0]
        why = refusals(name, target, topic.partitions, domains[name], codec, city, rule, tick_ms[name], raws)
        refusal.update({numbers[at]: found for at, found in why.items()})
    return [Candidate(one, partition[number], refusal.get(number)) for number, one in enumerate(rejects)]


def _learn(settings: Settings, codec: Codec, rejects: Sequence[Rejected]) -> None:
    """Ask the registry for the schemas that it did not know, or we did not, when the records came."""
    ids = {schema_id_of(one.value) for one in rejects if one.value is not None}
    for schema_id in sorted(one for one in ids if one is not None and not codec.knows(one)):
        text = fetch_schema(settings, schema_id)
        if text is not None:
            codec.learn(schema_id, text)


def _tick_ms(settings: Settings, codec: Codec, topic: Topic) -> int:
    """Return the tick behind which a record would stand: of the live run at least the time of now."""
    newest_ms = newest_tick_ms(settings, codec, topic, 0) or 0
    return newest_ms if settings.run else max(newest_ms, time.time_ns() // 1_000_000)


def _held(one: Candidate, policy: Policy) -> Sent | None:
    """Return the fate of a candidate that this policy does not send; None = it is sent."""
    if was_cut(one.reject):
        return Sent(one.place, Fate.CUT)
    if one.refusal is not None and policy is not Policy.REPARK:
        return Sent(one.place, Fate.DROPPED, refusal=one.refusal)
    return None


def _let_through(candidates: Iterable[Candidate], held: dict[Place, Sent], policy: Policy) -> Iterator[Candidate]:
    for one in candidates:
        if one.place not in held:
            yield one
        elif policy is Policy.STOP:
            return


def _send(
    settings: Settings, codec: Codec, part: Sequence[Candidate], wait_s: float, on_sent: Callable[[int], None]
) -> list[Sent]:
    begin: Vector = {}
    if wait_s > 0:
        with reading(settings) as log:
            begin = log.end([topics.REJECTED, topics.ROWS])
    copies = [Copy(one.place, one.partition, one.reject.key, one.reject.value, _headers(one.reject)) for one in part]
    arrivals = send_copies(settings, codec, copies, on_sent)
    arrived = [one.to for one in arrivals if one.to is not None]
    verdicts = verdicts_of(settings, codec, begin, arrived, wait_s) if wait_s > 0 else NO_VERDICTS
    return [_fate_of(one, verdicts) for one in arrivals]


def _fate_of(one: Arrival, verdicts: Verdicts) -> Sent:
    if one.to is None:
        return Sent(one.place, Fate.FAILED, error=one.error)
    if one.to in verdicts.refused:
        return Sent(one.place, Fate.REFUSED, one.to, verdicts.refused[one.to])
    if one.to in verdicts.duplicates:
        return Sent(one.place, Fate.DUPLICATE, one.to)
    return Sent(one.place, Fate.USED if one.to in verdicts.decided else Fate.WAITING, one.to)


def _account(
    candidates: Iterable[Candidate], sent: dict[Place, Sent], held: dict[Place, Sent], policy: Policy
) -> Iterator[Sent]:
    """Yield one fate a candidate; with `stop` nothing behind the first refusal but what was under way with it."""
    stopped = False
    for one in candidates:
        left = Sent(one.place, Fate.LEFT)
        fate = sent.get(one.place) or (left if stopped else held.get(one.place, left))
        stopped = stopped or (policy is Policy.STOP and fate.fate in STOPS)
        yield fate


def _headers(reject: Rejected) -> tuple[tuple[str, bytes | None], ...]:
    """Return the headers of a copy: the original ones and where the first reject stands."""
    given = tuple((header.name, header.value) for header in reject.headers)
    if any(name == RESENT_FROM for name, _ in given):
        return given
    return (*given, (RESENT_FROM, str(place_of(reject)).encode()))
