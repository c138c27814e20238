"""How the command line reads topics beside the workers: no group, nothing committed, no complaints on the terminal."""

from typing import Any, Final

from streams.kafka_access import KafkaAccess, librdkafka_settings

ERRORS_ONLY: Final = 2
"""librdkafka's log level: what matters comes back as an error."""


def watcher_settings(access: KafkaAccess, **more: Any) -> dict[str, Any]:
    """Return librdkafka settings of a consumer that is told its partitions."""
    return {
        **librdkafka_settings(access),
        "group.id": "unused",
        "enable.auto.commit": False,
        "allow.auto.create.topics": False,
        "fetch.wait.max.ms": 20,
        "fetch.message.max.bytes": 16_000_000,
        "log_level": ERRORS_ONLY,
        **{name.replace("_", "."): value for name, value in more.items()},
    }
