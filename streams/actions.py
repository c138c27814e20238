"""Sends what an operator decided and finds the revision that folds it in; command line and page both use it."""

import time
from typing import Final

from confluent_kafka import KafkaException, Producer

from processors.actions import new_action
from schemas.codec import Codec
from schemas.errors import CityopsError, Rejected, Retryable
from schemas.records import Decision, IncidentChange, OperatorAction
from schemas.records import Rejected as Reject
from streams import topics
from streams.outbox import producer_settings
from streams.reading import Vector, reading
from streams.settings import Settings
from streams.tick_index import newest_tick_ms
from streams.watching import ERRORS_ONLY

SEND_TIMEOUT_MS: Final = 10_000
OTHER_CLOCK_MS: Final = 30_000
"""A run whose newest tick is farther from now goes by a clock of its own."""
ASK_AGAIN_S: Final = 0.1


def submit(
    settings: Settings,
    codec: Codec,
    incident_id: str,
    decision: Decision,
    operator: str,
    note: str = "",
    assignee: str = "",
) -> OperatorAction:
    """Append an action to operator.actions.v1 and return it once the brokers have it.

    incident_id: a whole id; whether there is such an incident is not looked at: actions wait for theirs. assignee: of
    ASSIGN alone.
    Raises UsageError that names what is wrong with it, Retryable when Kafka does not take it.
    """
    action = new_action(incident_id, decision, operator, note, decision_ms(settings, codec), assignee)
    own = {"message.timeout.ms": SEND_TIMEOUT_MS, "log_level": ERRORS_ONLY}
    producer = Producer(producer_settings(settings.kafka) | own)
    failed: list[str] = []
    producer.produce(
        settings.topic(topics.ACTIONS),
        codec.encode(action),
        action.incident_id.encode(),
        partition=0,
        on_delivery=lambda error, _: failed.append(str(error)) if error is not None else None,
    )
    try:
        left = producer.flush(SEND_TIMEOUT_MS / 1000 + 1)
    except KafkaException as error:
        raise Retryable(f"Kafka does not take the action: {error}") from error
    if left or failed:
        why = failed[0] if failed else "it does not answer"
        raise Retryable(f"Kafka at {settings.kafka_bootstrap_servers} does not take the action: {why}")
    return action


def published_so_far(settings: Settings) -> Vector:
    """Return where changes and rejects end now: what an action leads to stands behind."""
    with reading(settings) as log:
        return log.end([topics.CHANGES, topics.REJECTED])


def wait_folded(
    settings: Settings, codec: Codec, action: OperatorAction, begin: Vector, within_s: float
) -> IncidentChange | None:
    """Return the first revision that lists the action; None = there is none yet after `within_s`.

    begin: `published_so_far`, from before it was sent. Raises CityopsError when it was refused, with the reasons.
    """
    give_up_at_s = time.monotonic() + within_s
    with reading(settings) as log:
        while True:
            end = log.end([topics.CHANGES, topics.REJECTED])
            for message in log.read(topics.CHANGES, begin, end):
                change = codec.read(message.value or b"", IncidentChange)
                if action in change.incident.actions:
                    return change
            for message in log.read(topics.REJECTED, begin, end):
                _raise_if_refused(codec, codec.read(message.value or b"", Reject), action)
            begin = end
            if time.monotonic() >= give_up_at_s:
                return None
            time.sleep(ASK_AGAIN_S)


def _raise_if_refused(codec: Codec, reject: Reject, action: OperatorAction) -> None:
    if reject.source_topic != topics.ACTIONS.name or reject.value is None:
        return
    try:
        refused = codec.read(reject.value, OperatorAction)
    except Rejected:
        return
    if refused == action:
        raise CityopsError(f"the action was refused ({reject.reason}): {'; '.join(reject.errors)}")


def decision_ms(settings: Settings, codec: Codec) -> int:
    """Return the time of a decision made now: the wall's, in an isolated run with another clock that of its ticks."""
    now_ms = time.time_ns() // 1_000_000
    if not settings.run:
        return now_ms
    tick_ms = newest_tick_ms(settings, codec, topics.ACTIONS, 0)
    return now_ms if tick_ms is None or abs(now_ms - tick_ms) <= OTHER_CLOCK_MS else tick_ms
