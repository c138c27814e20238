"""Subscriptions: who is told of what. The record is on subscriptions.v1, its signing secret in the data folder."""

import base64
import os
import secrets
from collections.abc import Iterable
from pathlib import Path
from typing import Final

from confluent_kafka import Producer

from schemas.codec import Codec
from schemas.errors import Retryable, UsageError
from schemas.records import Subscription
from streams import topics
from streams.outbox import producer_settings
from streams.settings import Settings
from streams.tail import Tail
from streams.watching import ERRORS_ONLY

SECRET_BYTES: Final = 32
SENT_WITHIN_S: Final = 20.0


def new_secret() -> str:
    """Return a fresh signing secret in the form of Standard Webhooks."""
    return "whsec_" + base64.b64encode(secrets.token_bytes(SECRET_BYTES)).decode()


def keep_secret(settings: Settings, name: str, secret: str) -> str:
    """Write a secret that its user alone can read and return the reference to it."""
    path = _folder(settings) / name
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    with open(path, "w", encoding="ascii", opener=lambda file, flags: os.open(file, flags, 0o600)) as out:
        out.write(secret)
    return f"file:{name}"


def secret_of(settings: Settings, reference: str) -> str:
    """Return the secret that a reference means. Raises UsageError when it is not there."""
    where, _, name = reference.partition(":")
    if where == "env":
        found = os.environ.get(name, "")
        if not found:
            raise UsageError(f"the signing secret in the variable {name} is not set on this worker")
        return found
    path = _folder(settings) / Path(name).name
    try:
        return path.read_text(encoding="ascii").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"the signing secret {path} cannot be read: {error}") from error


def forget_secret(settings: Settings, reference: str) -> None:
    """Remove the file of a secret."""
    where, _, name = reference.partition(":")
    if where == "file":
        (_folder(settings) / Path(name).name).unlink(missing_ok=True)


def newest(found: Iterable[Subscription]) -> dict[str, Subscription]:
    """Return what counts of the records of a topic, by subscription id."""
    return {one.subscription_id: one for one in found}


def read_subscriptions(settings: Settings, codec: Codec) -> dict[str, Subscription]:
    """Return every subscription that stands, by id. Raises Retryable when Kafka does not answer."""
    with Tail(settings, codec, topics.SUBSCRIPTIONS, Subscription) as tail:
        return {name: one for name, one in newest(tail.catch_up()).items() if one.removed_at_ms == 0}


def write_subscription(settings: Settings, codec: Codec, subscription: Subscription) -> None:
    """Put a subscription on its topic. Raises Retryable when Kafka does not take it."""
    producer = Producer(producer_settings(settings.kafka) | {"log_level": ERRORS_ONLY})
    producer.produce(
        settings.topic(topics.SUBSCRIPTIONS), codec.encode(subscription), subscription.subscription_id.encode()
    )
    if producer.flush(SENT_WITHIN_S):
        raise Retryable(f"Kafka at {settings.kafka_bootstrap_servers} did not take the subscription")


def _folder(settings: Settings) -> Path:
    return settings.home / "secrets" / "webhooks"
