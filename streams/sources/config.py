"""sources.yaml: which sources there are, how to reach them, and where their secrets are (never the secrets)."""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Final, Literal
from urllib.parse import urlsplit

from pydantic import Field, field_validator, model_validator

from processors.sources.contract import Format
from processors.yaml_files import Entry, Mistakes, read_yaml
from schemas.errors import UsageError

NAME: Final = r"^[a-z0-9][a-z0-9-]{0,39}$"
LOOPBACK: Final = frozenset({"127.0.0.1", "::1", "localhost"})
MessageFormat = Literal["gtfs-rt", "deepstream", "frigate", "ufms", "jsonl"]
"""CSV is not among them: its messages are lines of a file with a header."""


class SecretRef(Entry):
    """Where a secret is: a variable of this process, or a file."""

    env: str = ""
    file: str = ""

    @model_validator(mode="after")
    def _one_of_both(self) -> "SecretRef":
        if bool(self.env) == bool(self.file):
            raise ValueError("must name a variable (env) or a file (file), one of them")
        return self

    def value(self) -> str:
        """Return the secret. Raises UsageError when it is not there."""
        if self.env:
            found = os.environ.get(self.env, "")
            if not found:
                raise UsageError(f"the variable {self.env} is not set")
            return found
        try:
            found = Path(self.file).expanduser().read_text(encoding="utf-8").rstrip("\r\n")
        except OSError as error:
            raise UsageError(f"the secret's file {self.file} cannot be read: {error.strerror}") from error
        except UnicodeDecodeError as error:
            raise UsageError(f"the secret's file {self.file} is not text in UTF-8") from error
        if not found:
            raise UsageError(f"the secret's file {self.file} is empty")
        return found


class _Source(Entry):
    name: Annotated[str, Field(pattern=NAME)]
    format: MessageFormat

    @property
    def form(self) -> Format:
        """Return the format of its messages."""
        return Format(self.format)


class PollSource(_Source):
    """Asked by GET again and again; an answer that has not changed is not read again."""

    type: Literal["poll"]
    url: str
    every_s: Annotated[float, Field(ge=1, le=3600)] = 15.0
    headers: Mapping[str, str | SecretRef] = Field(default_factory=dict)

    @field_validator("url")
    @classmethod
    def _is_http(cls, url: str) -> str:
        parts = urlsplit(url)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise ValueError("must be an http:// or https:// URL")
        if parts.password is not None:
            raise ValueError("must not hold a password: give it as a header with env or file")
        return url


class KafkaSource(_Source):
    """Messages of somebody's Kafka topic; without servers of its own, of the city's."""

    type: Literal["kafka"]
    topic: Annotated[str, Field(min_length=1)]
    bootstrap_servers: str = ""
    group: Annotated[str, Field(min_length=1)] = "cityops-sources"
    from_beginning: bool = False


class PushSource(_Source):
    """Takes POSTs; a token is needed, except on loopback where it may be left out."""

    type: Literal["push"]
    listen: str
    token: SecretRef | None = None

    @property
    def address(self) -> tuple[str, int]:
        """Return host and port."""
        host, _, port = self.listen.rpartition(":")
        return host.strip("[]"), int(port)

    @model_validator(mode="after")
    def _is_guarded(self) -> "PushSource":
        host, _, port = self.listen.rpartition(":")
        if not host or not port.isdigit() or not 0 < int(port) < 65_536:
            raise ValueError("listen must be HOST:PORT, such as 127.0.0.1:9100")
        if self.token is None and self.address[0] not in LOOPBACK:
            raise ValueError(f"listens on {host}, so it needs a token (env or file)")
        return self


class MqttSource(_Source):
    """Messages of MQTT topics, such as Frigate's events."""

    type: Literal["mqtt"]
    host: Annotated[str, Field(min_length=1)]
    port: Annotated[int, Field(gt=0, lt=65_536)] = 1883
    topics: Annotated[list[str], Field(min_length=1)]
    username: str = ""
    password: SecretRef | None = None
    tls: bool = False
    ca_file: str = ""


Source = PollSource | KafkaSource | PushSource | MqttSource


class _SourcesFile(Entry):
    sources: Annotated[list[Annotated[Source, Field(discriminator="type")]], Field(min_length=1)]


def load_sources(path: Path) -> tuple[Source, ...]:
    """Return the sources of a file. Raises UsageError with every mistake and its line."""
    mistakes = Mistakes()
    file = read_yaml(path, mistakes)
    content = file.validated(_SourcesFile, mistakes) if file is not None else None
    if content is not None and file is not None:
        seen: set[str] = set()
        for index, one in enumerate(content.sources):
            if one.name in seen:
                mistakes.add(file.name, file.line("sources", index, "name"), f"the name {one.name} is taken twice")
            seen.add(one.name)
    if mistakes.found or content is None:
        raise UsageError("\n".join(mistakes.found))
    return tuple(content.sources)


def missing_secret(source: Source) -> str:
    """Return in words which secret of a source is not there, "" = none."""
    match source:
        case PollSource():
            found = [one for one in source.headers.values() if isinstance(one, SecretRef)]
        case PushSource():
            found = [] if source.token is None else [source.token]
        case MqttSource():
            found = [] if source.password is None else [source.password]
        case KafkaSource():
            found = []
    try:
        for one in found:
            one.value()
    except UsageError as error:
        return str(error)
    return ""
