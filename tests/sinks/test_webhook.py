"""Webhooks: what is posted, and where nothing is posted to."""

import asyncio
import socket
import time
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from aiohttp import web
from standardwebhooks.webhooks import Webhook, WebhookVerificationError

from schemas.errors import UsageError
from sinks.webhook import Attempt, WebhookCaller, checked_url, is_public, signed_headers

SECRET = "whsec_" + "c2VjcmV0" * 4
BODY = '{"type":"incident.opened","data":{"place":"Láng"}}'.encode()
NOW_S = 1_772_409_600


async def posted_to(
    answer: Callable[[web.Request], Awaitable[web.StreamResponse]],
    *,
    path: str = "/",
    host: str = "127.0.0.1",
    allow_private: bool = True,
) -> Attempt:
    app = web.Application()
    app.router.add_route("*", "/{any:.*}", answer)
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    port = runner.addresses[0][1]
    try:
        async with WebhookCaller() as caller:
            return await caller.post(
                f"http://{host}:{port}{path}", "n-1", BODY, SECRET, NOW_S, allow_private=allow_private
            )
    finally:
        await runner.cleanup()


def test_a_receiver_gets_the_body_and_headers_it_can_verify() -> None:
    seen: list[tuple[bytes, dict[str, str]]] = []

    async def answer(request: web.Request) -> web.Response:
        seen.append((await request.read(), dict(request.headers)))
        return web.Response(status=204)

    assert asyncio.run(posted_to(answer)) == Attempt(204, "")
    ((body, headers),) = seen
    assert body == BODY
    low = {name.lower(): value for name, value in headers.items()}
    assert low["webhook-id"] == "n-1"
    assert low["content-type"] == "application/json"
    assert low["webhook-timestamp"] == str(NOW_S)
    # The library refuses timestamps of long ago, so what it verifies is signed as of now.
    now_s = int(time.time())
    assert Webhook(SECRET).verify(BODY, signed_headers(SECRET, "n-1", now_s, BODY))["type"] == "incident.opened"
    with pytest.raises(WebhookVerificationError):
        Webhook(SECRET).verify(BODY + b" ", signed_headers(SECRET, "n-1", now_s, BODY))
    assert low["webhook-signature"] == signed_headers(SECRET, "n-1", NOW_S, BODY)["webhook-signature"]


def test_redirects_are_not_followed() -> None:
    calls: list[str] = []

    async def answer(request: web.Request) -> web.StreamResponse:
        calls.append(request.path)
        raise web.HTTPTemporaryRedirect("/elsewhere")

    assert asyncio.run(posted_to(answer)) == Attempt(307, "answered 307 Temporary Redirect")
    assert calls == ["/"]


def test_a_refusal_says_its_status_and_when_to_come_again() -> None:
    async def answer(_: web.Request) -> web.Response:
        return web.Response(status=503, headers={"retry-after": "17"})

    assert asyncio.run(posted_to(answer)) == Attempt(503, "answered 503 Service Unavailable", 17.0)


def test_a_name_that_leads_to_a_private_address_is_not_called() -> None:
    called: list[str] = []

    async def answer(request: web.Request) -> web.Response:
        called.append(request.path)
        return web.Response()

    # A name may lead anywhere, which its URL does not show: this machine's own leads to loopback or its network.
    attempt = asyncio.run(posted_to(answer, host=socket.gethostname(), allow_private=False))
    assert attempt.status_code == 0
    assert "private address" in attempt.error
    assert called == []


def test_nobody_there_is_said_in_words() -> None:
    async def post() -> Attempt:
        async with WebhookCaller() as caller:
            return await caller.post("http://127.0.0.1:1/", "n-1", BODY, SECRET, NOW_S, allow_private=True)

    attempt = asyncio.run(post())
    assert attempt.status_code == 0
    assert "refused" in attempt.error.lower()


@pytest.mark.parametrize(
    "address",
    ["127.0.0.1", "10.1.2.3", "172.16.0.1", "192.168.1.1", "169.254.169.254", "100.64.0.1", "0.0.0.0", "224.0.0.1",
     "::1", "fe80::1", "fc00::1", "::ffff:127.0.0.1", "::"],
)  # fmt: skip
def test_addresses_that_are_not_public(address: str) -> None:
    assert not is_public(address)


@pytest.mark.parametrize("address", ["1.1.1.1", "2606:4700::1111", "::ffff:8.8.8.8"])
def test_addresses_that_are_public(address: str) -> None:
    assert is_public(address)


@pytest.mark.parametrize(
    ("url", "words"),
    [
        ("ftp://example.org/", "give an http"),
        ("https://", "give an http"),
        ("https://u:p@example.org/", "user or password"),
        ("http://127.0.0.1:9000/", "private address"),
        ("http://[::1]/", "private address"),
        ("http://localhost/", "private address"),
        ("http://localhost.:1/", "private address"),
        ("http://2130706433/", "uncommon form"),
        ("http://0x7f.0.0.1/", "uncommon form"),
        ("http://127.1/", "uncommon form"),
        ("http://[::1/", "is not a URL"),
        ("http://example.org:99999/", "is not a URL"),
        ("https://example.org/" + "x" * 2000, "give an http"),
    ],
)
def test_urls_that_cannot_be_posted_to(url: str, words: str) -> None:
    with pytest.raises(UsageError, match=words):
        checked_url(url, allow_private=False)


def test_a_secret_that_is_none_is_a_mistake() -> None:
    bad: Any = "whsec_"
    with pytest.raises(UsageError, match="whsec_"):
        signed_headers(bad, "n-1", NOW_S, BODY)
