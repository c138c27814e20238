"""Settings: every one of them an environment variable with a default that works."""

import ipaddress
import os
import re
import socket
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Final

from schemas.errors import UsageError
from streams.grafana_settings import SECRETS as GRAFANA_SECRETS
from streams.grafana_settings import GrafanaSettings, grafana_settings
from streams.kafka_access import OPEN, KafkaAccess, KafkaSecurity
from streams.secrets import exposed, secret
from streams.server_settings import SECRETS, RegistrySecurity, clickhouse_address, kafka_security, registry_access
from streams.topics import Topic

PROJECT: Final = Path(__file__).resolve().parent.parent
LOOPBACK: Final = "127.0.0.1"
SHORTEST_TOKEN: Final = 16
LIVE: Final = "live"
"""What people call the run without a name."""
RUN_NAME: Final = re.compile(r"(?=.{1,40}$)[a-z0-9]+(-[a-z0-9]+)*")


@dataclass(frozen=True, slots=True)
class Settings:
    """What one process runs with.

    run: name of an isolated run (topic prefix, group, checkpoints, database); empty = live.
    source_run: whose input topics are read; a replay reads the live ones.
    """

    home: Path
    kafka_bootstrap_servers: str
    kafka_security: KafkaSecurity
    schema_registry_url: str
    """Without user and password."""
    schema_registry_security: RegistrySecurity
    clickhouse_url: str = field(repr=False)
    """With the password and all else that a connection needs."""
    stack_parts: Path | None
    """Folder made by `cityops stack fetch`, from which the embedded stack starts without a network."""
    maven_url: str
    """Where the embedded stack's Kafka and registry come from; "" = Maven Central."""
    city: Path
    gtfs: Path | None
    units: Path | None
    rules: Path | None
    run: str
    source_run: str
    web_bind: str
    """Address the worker answers on; any but loopback needs a token."""
    web_port: int
    web_token: str = field(repr=False)
    """"" = none is asked for."""
    worker_id: str
    """Static membership: the same worker is back at once after a crash."""
    ticker: bool
    lateness_ms: int
    future_ms: int
    block_rows: int
    block_ms: int
    checkpoint_ms: int
    provisional_after_ms: int
    """0 = never."""
    ttl_days: int | None
    """Age at which ClickHouse forgets rows; None = never, as in every isolated run."""

    def topic(self, topic: Topic) -> str:
        """Return the topic's name in this run."""
        run = self.source_run if topic.ticked else self.run
        return f"run.{run}.{topic.name}" if run else topic.name

    @property
    def kafka(self) -> KafkaAccess:
        """Return where Kafka is and how one is let in, which every client is made from."""
        return KafkaAccess(self.kafka_bootstrap_servers, self.kafka_security)

    def without_servers(self) -> "Settings":
        """Return the same settings with the embedded stack's servers, whichever the environment names."""
        return replace(
            self,
            kafka_bootstrap_servers="",
            kafka_security=OPEN,
            schema_registry_url="",
            schema_registry_security=RegistrySecurity(),
            clickhouse_url="",
        )

    @property
    def web_url(self) -> str:
        """Return the address at which this machine reaches the worker, without a slash at the end."""
        host = {"0.0.0.0": "127.0.0.1", "::": "[::1]"}.get(self.web_bind, self.web_bind)  # noqa: S104 (is compared)
        return f"http://{f'[{host}]' if ':' in host and not host.startswith('[') else host}:{self.web_port}"

    @property
    def database(self) -> str:
        """Return the ClickHouse database of this run."""
        return f"cityops_{self.run.replace('-', '_')}" if self.run else "cityops"

    @property
    def group(self) -> str:
        """Return the consumer group and Faust app id of this run."""
        return f"cityops-{self.run}" if self.run else "cityops"

    def with_run(self, run: str, source_run: str) -> "Settings":
        """Return the same settings for another run. Raises UsageError for a name that cannot be one."""
        return replace(self, run=checked_run(run), source_run=checked_run(source_run))


def checked_run(run: str) -> str:
    """Return the name of a run, or raise UsageError: it becomes part of topics, a database and folders."""
    if run and (run == LIVE or not RUN_NAME.fullmatch(run)):
        raise UsageError(
            f"{run!r} cannot name a run: take small letters, digits and single hyphens, at most 40, and not {LIVE!r}"
        )
    return run


def checked_bind(address: str, token: str) -> str:
    """Return the address to answer on. Raises UsageError for one beyond this machine without a token."""
    try:
        loopback = ipaddress.ip_address(address).is_loopback
    except ValueError:
        raise UsageError(f"CITYOPS_WEB_BIND is {address!r}: give an IP address, such as 127.0.0.1 or 0.0.0.0") from None
    if not loopback and not token:
        raise UsageError(
            f"CITYOPS_WEB_BIND is {address}, which others can reach: set CITYOPS_WEB_TOKEN (or CITYOPS_WEB_TOKEN_FILE)"
        )
    if token and (len(token) < SHORTEST_TOKEN or not token.isascii() or not token.isprintable() or " " in token):
        raise UsageError(
            f"CITYOPS_WEB_TOKEN must be at least {SHORTEST_TOKEN} printable ASCII characters without spaces: "
            "take what `openssl rand -hex 24` prints"
        )
    return address


def default_home() -> Path:
    """Return `.cityops` in a checkout, otherwise a folder under the user's data folder."""
    if (PROJECT / "pyproject.toml").exists():
        return PROJECT / ".cityops"
    return Path(os.environ.get("XDG_DATA_HOME", Path.home() / ".local" / "share")) / "cityops"


def settings_from_env() -> Settings:
    """Read the settings. Server addresses left empty mean the embedded stack (streams/stack.py fills them in)."""
    env = os.environ.get

    def path(name: str) -> Path | None:
        value = env(name, "")
        return Path(value).expanduser().resolve() if value else None

    def number(name: str, default: int) -> int:
        value = env(name, str(default))
        if not value.isdigit():
            raise UsageError(f"{name} is {value!r}: give a whole number, such as {default}")
        return int(value)

    run = checked_run(env("CITYOPS_RUN", ""))
    web_token = secret(os.environ, "CITYOPS_WEB_TOKEN")
    registry_url, registry_security = registry_access(os.environ)
    return Settings(
        home=path("CITYOPS_HOME") or default_home(),
        kafka_bootstrap_servers=env("KAFKA_BOOTSTRAP_SERVERS", ""),
        kafka_security=kafka_security(os.environ),
        schema_registry_url=registry_url,
        schema_registry_security=registry_security,
        clickhouse_url=clickhouse_address(os.environ),
        stack_parts=path("CITYOPS_STACK_PARTS"),
        maven_url=env("CITYOPS_MAVEN_URL", "").rstrip("/"),
        city=path("CITYOPS_CITY") or PROJECT / "cities" / "hanoi",
        gtfs=path("CITYOPS_GTFS"),
        units=path("CITYOPS_UNITS"),
        rules=path("CITYOPS_RULES"),
        run=run,
        source_run=checked_run(env("CITYOPS_SOURCE_RUN", run)),
        web_bind=checked_bind(env("CITYOPS_WEB_BIND", "") or LOOPBACK, web_token),
        web_port=number("CITYOPS_WEB_PORT", 6066),
        web_token=web_token,
        worker_id=env("CITYOPS_WORKER_ID", f"{socket.gethostname()}-{env('CITYOPS_WEB_PORT', '6066')}"),
        ticker=env("CITYOPS_TICKER", "on") == "on",
        lateness_ms=number("CITYOPS_LATENESS_MS", 600000),
        future_ms=number("CITYOPS_FUTURE_MS", 30000),
        block_rows=number("CITYOPS_BLOCK_ROWS", 20000),
        block_ms=number("CITYOPS_BLOCK_MS", 2000),
        checkpoint_ms=number("CITYOPS_CHECKPOINT_MS", 2000),
        provisional_after_ms=number("CITYOPS_PROVISIONAL_AFTER_MS", 2000),
        ttl_days=None if run else number("CITYOPS_TTL_DAYS", 90),
    )


def grafana_from_env() -> GrafanaSettings:
    """Read the settings of `cityops grafana`. Raises UsageError for a secret that cannot be read."""
    return grafana_settings(os.environ)


def in_ci() -> bool:
    """Tell whether a build server runs this, as they all say by CI."""
    return bool(os.environ.get("CI"))


def exposed_secrets() -> list[str]:
    """Return a sentence for each file with a secret of ours that every user of this machine can read."""
    return exposed(os.environ, (*SECRETS, *GRAFANA_SECRETS))


def reach_loopback_directly() -> None:
    """Keep requests to this machine away from a proxy that HTTP_PROXY names, here and in every child process."""
    said = os.environ.get("no_proxy") or os.environ.get("NO_PROXY") or ""
    told = [part.strip() for part in said.split(",") if part.strip()]
    if "*" not in told:
        told += [host for host in ("127.0.0.1", "localhost") if host not in told]
    os.environ["NO_PROXY"] = os.environ["no_proxy"] = ",".join(told)  # both: some read one, some the other
