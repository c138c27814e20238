"""Checks of the servers: reachable, let in, and as this version of cityops wants them."""

import time
import uuid
from collections.abc import Callable, Iterable
from typing import Any, Final

from confluent_kafka import KafkaException, Producer
from confluent_kafka.admin import AdminClient, NewTopic

from schemas.errors import CityopsError
from sinks.clickhouse.connection import address_of
from sinks.clickhouse.queries import query
from streams.admin import TopicState, describe, topic_settings
from streams.checks import Check, Verdict, ok, problem, warning
from streams.kafka_access import librdkafka_settings
from streams.outbox import producer_settings
from streams.reach import SILENT, locked_out, takes_connections
from streams.registry import unfit_subjects
from streams.settings import Settings

OLDEST_CLICKHOUSE: Final = (24, 8)
"""The oldest with long-term support whose SQL we use; tests run on the embedded 26.9."""
SKEW_WARNING_MS: Final = 1000
ANSWER_S: Final = 10.0


def check_servers(settings: Settings) -> Iterable[Check]:
    """Check those of the three servers whose addresses are known."""
    if settings.kafka_bootstrap_servers:
        kafka = _checked("kafka", lambda: check_kafka(settings))
        yield kafka
        if kafka.verdict is Verdict.OK:
            yield _checked("clock", lambda: check_clock(broker_ahead_ms(settings), settings.future_ms))
            try:
                yield from check_topics(describe(settings))
            except CityopsError as error:
                yield problem("topics", str(error), "grant the user Describe and DescribeConfigs on the topics")
    if settings.schema_registry_url:
        yield _checked("registry", lambda: check_registry(settings))
    if settings.clickhouse_url:
        yield _checked("clickhouse", lambda: check_clickhouse(settings))


def _checked(name: str, check: Callable[[], Check]) -> Check:
    """Return what a check says; what its server says instead is a problem."""
    try:
        return check()
    except (CityopsError, KafkaException) as error:
        said, _, remedy = str(error).partition(": check ")
        return problem(name, said, f"check {remedy}" if remedy else "see whether the server runs, and its log")


def check_kafka(settings: Settings) -> Check:
    """Tell whether a broker answers and lets us in."""
    servers = settings.kafka_bootstrap_servers
    if not takes_connections(servers):
        return problem("kafka", f"nothing answers at {servers}", "start it, or correct KAFKA_BOOTSTRAP_SERVERS")
    refusal = locked_out(settings.kafka)
    if refusal is not None:
        said, _, remedy = refusal.reason.partition(": check ")
        return problem("kafka", said, f"check {remedy}")
    return ok("kafka", f"{servers}, {settings.kafka_security.protocol}")


def broker_ahead_ms(settings: Settings) -> float:
    """Return by how much the brokers' clock is ahead of ours, by one record in a topic made and deleted for it."""
    name = f"cityops.doctor.{uuid.uuid4().hex[:8]}"
    admin = AdminClient({**librdkafka_settings(settings.kafka), "log_level": SILENT})
    made = admin.create_topics([NewTopic(name, 1, config={"message.timestamp.type": "LogAppendTime"})])
    made[name].result(ANSWER_S)
    try:
        return _append_ms(settings, name)
    finally:
        admin.delete_topics([name])[name].result(ANSWER_S)


def _append_ms(settings: Settings, name: str) -> float:
    found: list[Any] = []
    producer = Producer({**producer_settings(settings.kafka), "message.timeout.ms": 8000, "log_level": SILENT})
    for _ in range(2):  # the first waits for connections; of the second only the way there and back is unknown
        sent_ms = time.time() * 1000
        producer.produce(name, b"", on_delivery=lambda _, message: found.append(message))
        producer.flush(ANSWER_S)
    came_ms = time.time() * 1000
    if len(found) < 2 or found[-1].error() is not None:
        raise CityopsError("Kafka did not take a record: check that the user may create, write and delete topics")
    return float(found[-1].timestamp()[1] - (sent_ms + came_ms) / 2)


def check_clock(ahead_ms: float, future_ms: int) -> Check:
    """Tell whether our clock and the brokers' agree; future_ms: how far ahead a record may be before it is refused."""
    told = f"the brokers' clock is {abs(ahead_ms) / 1000:.2f} s {'ahead of' if ahead_ms > 0 else 'behind'} ours"
    remedy = "let NTP or chrony set the clock of both"
    if abs(ahead_ms) >= future_ms:
        return problem("clock", f"{told}: records are refused as being of the future", remedy)
    if abs(ahead_ms) >= SKEW_WARNING_MS:
        return warning("clock", told, remedy)
    return ok("clock", told)


def check_topics(states: Iterable[TopicState]) -> Iterable[Check]:
    """Tell what is missing or set otherwise than the catalogue says."""
    states = tuple(states)
    missing = [state.name for state in states if not state.spans]
    well = True
    for state in states:
        if not state.spans:
            continue
        if len(state.spans) != state.topic.partitions:
            well = False
            yield problem(
                "topics",
                f"{state.name} has {len(state.spans)} partitions instead of {state.topic.partitions}",
                "move to a new run as docs/partitions.md says: partition counts never change in place",
            )
        for name, wanted in topic_settings(state.topic).items():
            found = state.settings.get(name)
            if found != wanted:
                well = False
                yield _other_setting(state.name, name, found, wanted)
    if len(missing) == len(states):
        yield ok("topics", "none yet; the first start makes them")
    elif missing:
        yield warning("topics", f"missing: {', '.join(missing)}", "run `cityops topics create`")
    elif well:
        yield ok("topics", f"all {len(states)} as the catalogue says")


def _other_setting(topic: str, name: str, found: str | None, wanted: str) -> Check:
    told = f"{topic}: {name} is {found or 'the broker’s default'} instead of {wanted}"
    remedy = f"run `kafka-configs --alter --entity-type topics --entity-name {topic} --add-config {name}={wanted}`"
    return (problem if name in ("message.timestamp.type", "cleanup.policy") else warning)("topics", told, remedy)


def check_registry(settings: Settings) -> Check:
    """Tell whether the registry answers and would take our schemas."""
    unfit = unfit_subjects(settings)
    if unfit:
        return problem(
            "registry",
            f"{settings.schema_registry_url} holds newer or other schemas of {', '.join(unfit)}",
            "run the version of cityops that registered them, or give this one a registry of its own",
        )
    return ok("registry", f"{settings.schema_registry_url}, every schema of ours fits")


def check_clickhouse(settings: Settings) -> Check:
    """Tell whether ClickHouse answers, lets us in and is new enough."""
    ((version, server_s),) = query(settings.clickhouse_url, "", "SELECT version(), toUnixTimestamp(now())").rows
    told = f"{address_of(settings.clickhouse_url)}, version {version}"
    if tuple(int(part) for part in str(version).split(".")[:2]) < OLDEST_CLICKHOUSE:
        oldest = ".".join(str(part) for part in OLDEST_CLICKHOUSE)
        return problem("clickhouse", told, f"upgrade it to {oldest} or newer")
    if abs(server_s - time.time()) > 2 + SKEW_WARNING_MS / 1000:
        return warning("clickhouse", f"{told}, its clock differs from ours by more than 2 s", "let NTP set both clocks")
    return ok("clickhouse", told)
