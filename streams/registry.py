"""The schema registry: registers our schemas, gives out their ids, fetches those of others."""

import hashlib
import importlib
import logging
import time
import warnings
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, Final

import msgspec

from schemas.codec import NAMESPACE, Codec, schema_text
from schemas.errors import Retryable, UsageError
from streams.server_settings import RegistrySecurity
from streams.settings import Settings
from streams.topics import CATALOGUE

with warnings.catch_warnings():
    importlib.import_module("authlib.deprecate")  # insists on showing its warnings, so it comes before the filter
    warnings.simplefilter("ignore")  # what it says of httpx is for confluent-kafka's authors, not for ours
    from confluent_kafka.schema_registry import Schema, SchemaRegistryClient
    from confluent_kafka.schema_registry.error import SchemaRegistryError

COMPATIBILITY: Final = "BACKWARD_TRANSITIVE"
WAIT_S: Final = 90.0
TELL_AFTER_S: Final = 20.0
"""The embedded registry needs about as long: that is no news."""
ASK_AGAIN_S: Final = 0.5
ANSWER_WITHIN_S: Final = 10.0
NOT_FOUND: Final = 404
INCOMPATIBLE: Final = frozenset({409, 422})
LOCKED_OUT: Final = frozenset({401, 403})
SERVER_FAULT: Final = 500
NOBODY: Final = RegistrySecurity()

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class SchemaIds:
    """What the registry gave out: short record name -> id to write with, id -> schema text."""

    ids: dict[str, int]
    writers: dict[int, str]

    def current(self) -> bool:
        """Tell whether these are the ids of the schemas as our files say them now."""
        wanted = {record for _, record in subjects().values()}
        return wanted == set(self.ids) and all(
            self.writers.get(number) == schema_text(record) for record, number in self.ids.items()
        )


def subjects() -> dict[str, tuple[str, str]]:
    """Return subject -> (base topic, short record name), under TopicRecordNameStrategy; runs share the subjects."""
    return {
        f"{topic.name}-{NAMESPACE}.{record}": (topic.name, record) for topic in CATALOGUE for record in topic.records
    }


def register_all(settings: Settings) -> SchemaIds:
    """Register every record of the catalogue, set its compatibility, and return the ids.

    Raises UsageError when the registry refuses a schema, Retryable when it does not answer.
    """
    client = _client(settings)
    ids: dict[str, int] = {}
    writers: dict[int, str] = {}
    known = set(_asked(settings, client.get_subjects))
    for subject, (_, record) in subjects().items():
        text = schema_text(record)
        if subject in known:  # the rule first, so that it judges what follows; a new subject takes it after its first
            _asked(settings, client.set_compatibility, subject, COMPATIBILITY)
        number = int(_asked(settings, client.register_schema, subject, Schema(text, "AVRO")))
        if subject not in known:
            _asked(settings, client.set_compatibility, subject, COMPATIBILITY)
        ids.setdefault(record, number)
        writers[number] = text
    return SchemaIds(ids, writers)


def unfit_subjects(settings: Settings) -> list[str]:
    """Return the subjects whose registered schemas ours is not compatible with; nothing is registered.

    Raises UsageError when the registry refuses us, Retryable when it does not answer.
    """
    client = _client(settings)
    known = set(_asked(settings, client.get_subjects))
    return [
        subject
        for subject, (_, record) in subjects().items()
        if subject in known
        and not _asked(settings, client.test_compatibility, subject, Schema(schema_text(record), "AVRO"))
    ]


def fetch_schema(settings: Settings, schema_id: int) -> str | None:
    """Return the text of a schema by its id, or None when the registry does not know it.

    Raises Retryable when the registry does not answer.
    """
    try:
        schema = _asked(settings, _client(settings).get_schema, schema_id)
    except _Refused as refused:
        if refused.status == NOT_FOUND:
            return None
        raise
    return schema.schema_str if schema.schema_type in ("AVRO", None) else None


def load_codec(settings: Settings, wait_s: float = WAIT_S) -> Codec:
    """Return a codec with the registry's ids.

    While the registry is not there (the embedded one needs ten seconds more than Kafka) the ids of an earlier start
    serve, if our schemas are still the same. Without them it waits up to `wait_s`.
    Raises UsageError when the registry refuses a schema or does not answer in time.
    """
    kept = kept_path(settings)
    began_s = time.monotonic()
    told = False
    while True:
        try:
            fresh = register_all(settings)
        except Retryable as error:
            earlier = _read_kept(kept)
            if earlier is not None and earlier.current():
                log.info("%s; starting with the schema ids of the last start", error)
                return Codec(earlier.ids, earlier.writers)
            waited_s = time.monotonic() - began_s
            if waited_s > wait_s:
                raise UsageError(f"{error}: check SCHEMA_REGISTRY_URL or run `cityops stack status`") from error
            if not told and waited_s > TELL_AFTER_S:
                log.warning("%s; waiting", error)
                told = True
            time.sleep(ASK_AGAIN_S)
        else:
            kept.parent.mkdir(parents=True, exist_ok=True)
            kept.write_bytes(msgspec.json.encode(fresh))
            return Codec(fresh.ids, fresh.writers)


def kept_codec(settings: Settings) -> Codec | None:
    """Return a codec with the ids of the last start, without asking the registry; None when they do not serve."""
    kept = _read_kept(kept_path(settings))
    return Codec(kept.ids, kept.writers) if kept is not None and kept.current() else None


class _Refused(UsageError):
    """The registry answered, and said no."""

    def __init__(self, message: str, status: int) -> None:
        super().__init__(message)
        self.status = status


def _asked(settings: Settings, question: Any, *arguments: Any) -> Any:
    """Call the client; every failure becomes one of ours."""
    try:
        return question(*arguments)
    except SchemaRegistryError as error:
        if error.http_status_code in INCOMPATIBLE:
            raise _Refused(f"the registry refuses {arguments[0]}: {error.error_message}", 409) from error
        if error.http_status_code in LOCKED_OUT:
            user = settings.schema_registry_security.user
            raise _Refused(
                f"the registry at {settings.schema_registry_url} refuses user {user!r}: "
                "check SCHEMA_REGISTRY_USER and SCHEMA_REGISTRY_PASSWORD",
                error.http_status_code,
            ) from error
        if error.http_status_code < SERVER_FAULT:
            raise _Refused(f"the registry answered: {error.error_message}", error.http_status_code) from error
        raise Retryable(f"the registry at {settings.schema_registry_url} is not ready", ASK_AGAIN_S) from error
    except Exception as error:  # whatever httpx raises: refused, reset, timed out
        if "CERTIFICATE_VERIFY_FAILED" in str(error):
            raise UsageError(
                f"the registry at {settings.schema_registry_url} shows a certificate that we do not trust or that "
                "names another host: check SCHEMA_REGISTRY_CA_FILE and SCHEMA_REGISTRY_URL"
            ) from error
        raise Retryable(f"no schema registry answers at {settings.schema_registry_url}", ASK_AGAIN_S) from error


def _client(settings: Settings) -> SchemaRegistryClient:
    if not settings.schema_registry_url:
        raise UsageError("no schema registry is set: run `cityops stack up` or set SCHEMA_REGISTRY_URL")
    return client_of(settings.schema_registry_url, settings.schema_registry_security)


@cache
def client_of(url: str, security: RegistrySecurity = NOBODY) -> SchemaRegistryClient:
    """Return Confluent's client of the registry at `url`; one a process, safe to share between threads."""
    logging.getLogger("httpx").setLevel(logging.WARNING)  # it logs every request at INFO
    named: dict[str, Any] = {"url": url, "max.retries": 0, "timeout": ANSWER_WITHIN_S}
    if security.user:
        named["basic.auth.user.info"] = f"{security.user}:{security.password}"
    if security.ca_file is not None:
        named["ssl.ca.location"] = str(security.ca_file)
    return SchemaRegistryClient(named)


def kept_path(settings: Settings) -> Path:
    """Return where the ids are kept: beside the embedded servers, so that who removes those removes these."""
    digest = hashlib.sha256(settings.schema_registry_url.encode()).hexdigest()[:12]
    return settings.home / "stack" / f"schema-ids-{digest}.json"


def _read_kept(path: Path) -> SchemaIds | None:
    try:
        return msgspec.json.decode(path.read_bytes(), type=SchemaIds)
    except (OSError, msgspec.MsgspecError):
        return None
