"""Connections to ClickHouse: its address, its time-outs, and what its errors mean."""

import logging
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, Final
from urllib.parse import parse_qsl, urlencode, urlsplit

from clickhouse_driver import Client
from clickhouse_driver.errors import Error, ErrorCodes, ServerException

from schemas.errors import CityopsError, Retryable, UsageError

TIMEOUTS_S: Final = {"connect_timeout": 3, "send_receive_timeout": 10, "sync_request_timeout": 3}
"""Used where the address does not say otherwise (`?send_receive_timeout=60`)."""

NEVER: Final = frozenset(
    {
        ErrorCodes.THERE_IS_NO_COLUMN,
        ErrorCodes.NO_SUCH_COLUMN_IN_TABLE,
        ErrorCodes.UNKNOWN_IDENTIFIER,
        ErrorCodes.TYPE_MISMATCH,
        ErrorCodes.UNKNOWN_TABLE,
        ErrorCodes.SYNTAX_ERROR,
        ErrorCodes.UNKNOWN_DATABASE,
        ErrorCodes.UNKNOWN_FUNCTION,
    }
)
"""Codes of what no later attempt at an insert can change; every other error of a server may pass."""

PASSING: Final = frozenset(
    {
        ErrorCodes.TIMEOUT_EXCEEDED,
        ErrorCodes.TOO_MANY_SIMULTANEOUS_QUERIES,
        ErrorCodes.SOCKET_TIMEOUT,
        ErrorCodes.NETWORK_ERROR,
        ErrorCodes.ABORTED,
        ErrorCodes.MEMORY_LIMIT_EXCEEDED,
        ErrorCodes.TABLE_IS_READ_ONLY,
        ErrorCodes.NOT_ENOUGH_SPACE,
        ErrorCodes.TOO_MANY_PARTS,
        ErrorCodes.UNFINISHED,
        517,  # CANNOT_ASSIGN_ALTER, which clickhouse-driver does not name
        ErrorCodes.KEEPER_EXCEPTION,
    }
)
"""Codes of what a later attempt at a query or a migration may get past; every other is somebody's mistake."""

LOGIN: Final = frozenset(
    {
        ErrorCodes.UNKNOWN_USER,
        ErrorCodes.WRONG_PASSWORD,
        ErrorCodes.REQUIRED_PASSWORD,
        497,  # ACCESS_DENIED, which clickhouse-driver does not name
        516,  # AUTHENTICATION_FAILED, likewise
    }
)

# The driver logs a traceback for every refused connection; Retryable says it once, in a sentence.
logging.getLogger("clickhouse_driver.connection").setLevel(logging.CRITICAL)

_NAME: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,127}")


def quoted_database(database: str) -> str:
    """Return a database's name for use in SQL. Raises UsageError for a name that is not plain letters and digits."""
    if not _NAME.fullmatch(database):
        raise UsageError(f"{database!r} cannot name a ClickHouse database: use letters, digits and underscores")
    return f"`{database}`"


def address_of(url: str) -> str:
    """Return host and port of an address, for messages: never its user or password."""
    parts = _parsed(url)
    return f"{parts[0]}:{parts[1]}"


def connect(url: str, database: str = "", kind: type[Client] = Client) -> Any:
    """Return a client, not yet connected, of clickhouse://user:password@host:port/?secure=...; its path is ignored.

    One client serves one thread; it connects, and connects again after an error, with its next query.
    """
    _parsed(url)
    if database:
        quoted_database(database)
    split = urlsplit(url)
    query = {**{name: str(seconds) for name, seconds in TIMEOUTS_S.items()}, **dict(parse_qsl(split.query))}
    if query.get("compression") == "lz4":
        query.setdefault("network_compression_method", "LZ4")  # otherwise a newer server answers in zstd
    return kind.from_url(split._replace(path=f"/{database}", query=urlencode(query)).geturl())


def is_final(code: int) -> bool:
    """Tell whether an insert that failed with this code can never succeed."""
    return code in NEVER


def is_somebodys(code: int) -> bool:
    """Tell whether a query or migration that failed with this code is a mistake to be told."""
    return code not in PASSING


@contextmanager
def errors_of(url: str, mistake: type[CityopsError], is_mistake: Callable[[int], bool]) -> Iterator[None]:
    """Turn a server's and a network's errors into `mistake` where its code is one, otherwise into Retryable."""
    try:
        yield
    except ServerException as error:
        said = f"ClickHouse at {address_of(url)} says {_first_line(error.message)} (code {error.code})"
        if is_mistake(error.code):
            raise mistake(said) from error
        raise Retryable(said, retry_after_s=5.0 if error.code in LOGIN else 1.0) from error
    except (Error, OSError, EOFError) as error:
        raise Retryable(f"ClickHouse at {address_of(url)} does not answer: {_first_line(str(error))}") from error


def _parsed(url: str) -> tuple[str, int]:
    try:
        split = urlsplit(url)
        port = split.port
    except ValueError:
        split, port = urlsplit(""), None
    if split.scheme not in ("clickhouse", "clickhouses") or not split.hostname:
        raise UsageError("CLICKHOUSE_URL must look like clickhouse://user:password@host:9000 (the native protocol)")
    return split.hostname, port or (9440 if split.scheme == "clickhouses" else 9000)


def _first_line(message: str) -> str:
    return message.strip().split("\n", 1)[0].split(". Stack trace", 1)[0][:400]
