"""Webhooks: one signed POST (Standard Webhooks 1.0: webhook-id, webhook-timestamp, webhook-signature)."""

import ipaddress
import os
import re
import socket
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final, Self
from urllib.parse import urlsplit

import aiohttp
from aiohttp.abc import AbstractResolver, ResolveResult
from standardwebhooks.webhooks import EmptyWebhookSecretError, Webhook

from schemas.errors import UsageError

TIMEOUT_S: Final = 15.0
CONNECT_TIMEOUT_S: Final = 5.0
CONNECTIONS: Final = 100
USER_AGENT: Final = "cityops-webhooks/1"
URL_CHARACTERS: Final = 2_000
ODD_ADDRESS: Final = re.compile(r"(0x[0-9a-f]*|[0-9]+)(\.(0x[0-9a-f]*|[0-9]+))*")
"""Numbers that resolvers take for addresses: 2130706433 and 0x7f.1 are loopback."""


@dataclass(frozen=True, slots=True)
class Attempt:
    """What came of one POST. status_code: 0 = no answer. error: "" when it was taken."""

    status_code: int
    error: str
    retry_after_s: float | None = None


class PrivateAddress(OSError):
    """The receiver's name leads to an address that is not public."""


def checked_url(url: str, *, allow_private: bool) -> str:
    """Return a URL that can be posted to.

    Raises UsageError: not http(s), with a password in it, too long, or a literal address that is not public.
    """
    try:
        parts = urlsplit(url)
        host, _ = (parts.hostname or "").rstrip("."), parts.port
    except ValueError as error:
        raise UsageError(f"{url!r} is not a URL: {error}") from None
    if parts.scheme not in ("http", "https") or not host or len(url) > URL_CHARACTERS:
        raise UsageError(f"{url!r} cannot be posted to: give an http:// or https:// URL")
    if parts.username is not None or parts.password is not None:
        raise UsageError(
            "a URL with a user or password in it would be shown in lists: let the receiver check signatures"
        )
    if ODD_ADDRESS.fullmatch(host) and not _is_address(host):
        raise UsageError(f"{host!r} is an address in an uncommon form: write it with dots, or a name")
    if not allow_private and (host == "localhost" or (_is_address(host) and not is_public(host))):
        raise UsageError(f"{host} is a private address: --allow-private lets this subscription call it")
    return url


def is_public(address: str) -> bool:
    """Tell whether an IP address is one of the public Internet."""
    ip = ipaddress.ip_address(address.partition("%")[0])
    if isinstance(ip, ipaddress.IPv6Address) and ip.ipv4_mapped is not None:
        ip = ip.ipv4_mapped
    return ip.is_global and not ip.is_multicast


class _PublicOnly(AbstractResolver):
    """Resolves names to public addresses alone; what is connected to is what was checked."""

    def __init__(self) -> None:
        self._resolver = aiohttp.ThreadedResolver()

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_UNSPEC
    ) -> list[ResolveResult]:
        """Return the addresses of a name. Raises PrivateAddress when one of them is not public."""
        found = await self._resolver.resolve(host, port, family)
        for one in found:
            if not is_public(one["host"]):
                raise PrivateAddress(f"{host} is at {one['host']}, a private address")
        return found

    async def close(self) -> None:
        """Let go."""
        await self._resolver.close()


class WebhookCaller:
    """Posts; redirects are not followed, answers are not read beyond their status."""

    def __init__(self) -> None:
        timeout = aiohttp.ClientTimeout(total=TIMEOUT_S, connect=CONNECT_TIMEOUT_S)
        jar = aiohttp.DummyCookieJar()
        headers = {"user-agent": USER_AGENT}
        self._public = aiohttp.ClientSession(
            timeout=timeout,
            cookie_jar=jar,
            headers=headers,
            connector=aiohttp.TCPConnector(limit=CONNECTIONS, resolver=_PublicOnly(), force_close=True),
        )
        self._any = aiohttp.ClientSession(
            timeout=timeout,
            cookie_jar=jar,
            headers=headers,
            connector=aiohttp.TCPConnector(limit=CONNECTIONS, force_close=True),
        )

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    async def close(self) -> None:
        """Let go of the connections."""
        await self._public.close()
        await self._any.close()

    async def post(
        self, url: str, notification_id: str, payload: bytes, secret: str, at_s: int, *, allow_private: bool
    ) -> Attempt:
        """Post one signed body; at_s: the time of the attempt, in the signature. Never raises for what goes wrong."""
        try:
            checked_url(url, allow_private=allow_private)
            headers = signed_headers(secret, notification_id, at_s, payload)
            session = self._any if allow_private else self._public
            async with session.post(url, data=payload, headers=headers, allow_redirects=False) as answer:
                error = "" if answer.ok and answer.status < 300 else f"answered {answer.status} {answer.reason or ''}"
                return Attempt(answer.status, error.strip(), _retry_after_s(answer.headers.get("retry-after", "")))
        except UsageError as error:
            return Attempt(0, str(error))
        except TimeoutError:
            return Attempt(0, f"no answer within {TIMEOUT_S:.0f} s")
        except (aiohttp.ClientError, OSError) as error:
            return Attempt(0, _in_words(error))


def signed_headers(secret: str, notification_id: str, at_s: int, payload: bytes) -> dict[str, str]:
    """Return the headers of a body. Raises UsageError for a secret that is none."""
    try:
        signature = Webhook(secret).sign(notification_id, datetime.fromtimestamp(at_s, UTC), payload.decode())
    except (ValueError, RuntimeError, EmptyWebhookSecretError) as error:
        raise UsageError(f"the signing secret is not whsec_ and base64: {error}") from error
    return {
        "content-type": "application/json",
        "webhook-id": notification_id,
        "webhook-timestamp": str(at_s),
        "webhook-signature": signature,
    }


def _is_address(host: str) -> bool:
    try:
        ipaddress.ip_address(host.partition("%")[0])
    except ValueError:
        return False
    return True


def _retry_after_s(text: str) -> float | None:
    return float(text) if text.isdigit() else None


def _in_words(error: BaseException) -> str:
    """Return the innermost cause of a failed connection, the operating system's word for it if it has one."""
    cause = error
    while isinstance(deeper := cause.__cause__ or getattr(cause, "os_error", None), BaseException):
        cause = deeper
    if isinstance(cause, OSError) and cause.errno is not None and cause.errno > 0:
        return os.strerror(cause.errno)
    return str(cause) or type(cause).__name__
