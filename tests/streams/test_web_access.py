"""Who may ask what: host names, tokens, headers, files. A real server, without the worker behind it."""

import asyncio
import http.client
from collections.abc import Awaitable, Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from aiohttp import ClientSession, web
from aiohttp.test_utils import TestClient, TestServer

from schemas.errors import UsageError
from streams.settings import checked_bind, settings_from_env
from streams.web.access import MOST_BODY_BYTES, Access, access_of, add_headers, guard
from streams.web.page import add_page

TOKEN = "0123456789abcdef"
LOOPBACK = Access(loopback=True, port=6066, token="")
WITH_TOKEN = Access(loopback=False, port=6066, token=TOKEN)
POST = {"X-Cityops": "1", "Content-Type": "application/json"}

Client = TestClient[web.Request, web.Application]


def ask(access: Access, questions: Callable[[Client], Awaitable[None]], folder: Path = Path("/nowhere")) -> None:
    """Run questions against a server with these rules, a page, a path to read and one to change."""

    async def answer(request: web.Request) -> web.Response:
        body = await request.read()
        return web.Response(text=f"answered {len(body)}")

    async def run() -> None:
        app = web.Application(middlewares=[guard(access)], client_max_size=MOST_BODY_BYTES)
        app.on_response_prepare.append(add_headers)
        add_page(app.router, folder)
        for path in ("/healthz", "/readyz", "/status", "/metrics", "/api/incidents"):
            app.router.add_get(path, answer)
        app.router.add_post("/api/incidents/i-1/actions", answer)
        async with TestClient(TestServer(app)) as client:
            await questions(client)

    asyncio.run(run())


async def code(client: Client, path: str, method: str = "GET", **more: Any) -> int:
    async with client.request(method, path, allow_redirects=False, **more) as response:
        return response.status


@pytest.mark.parametrize(
    ("host", "status"),
    [
        ("127.0.0.1:6066", 200),
        ("localhost:6066", 200),
        ("LOCALHOST", 200),
        ("[::1]:6066", 200),
        ("localhost:8080", 200),  # the other end of a tunnel
        ("evil.example", 403),
        ("evil.example:6066", 403),
        ("127.0.0.1.evil.example", 403),
        ("localhost.evil.example:6066", 403),
        ("127.0.0.1@evil.example", 403),
        ("192.168.1.2:6066", 403),
        ("", 403),
    ],
)
def test_on_loopback_only_this_machine_s_names_are_answered(host: str, status: int) -> None:
    async def questions(client: Client) -> None:
        for path in ("/api/incidents", "/status", "/healthz"):
            assert await code(client, path, headers={"Host": host}) == status

    ask(LOOPBACK, questions)


def test_without_the_token_nothing_but_the_probes_is_answered() -> None:
    async def questions(client: Client) -> None:
        for path in ("/", "/api/incidents", "/status", "/metrics", "/assets/x.js", "/no-such-page"):
            assert await code(client, path) == 401
            assert await code(client, path, headers={"Authorization": "Bearer wrong"}) == 401
            assert await code(client, path, headers={"Authorization": f"Basic {TOKEN}"}) == 401
        assert await code(client, f"/api/incidents?token={TOKEN}") == 401
        assert await code(client, "/api/incidents/i-1/actions", "POST", headers=POST, data="{}") == 401
        assert await code(client, "/healthz", "POST", headers=POST, data="{}") == 401
        assert await code(client, "/healthz") == 200
        assert await code(client, "/readyz", headers={"Host": "10.0.0.7:6066"}) == 200
        assert await code(client, "/status", headers={"Authorization": f"Bearer {TOKEN}"}) == 200

    ask(WITH_TOKEN, questions)


def test_the_address_with_the_token_gives_a_cookie_and_goes_away() -> None:
    async def questions(client: Client) -> None:
        async with client.get(f"/?token={TOKEN}&unit=00004", allow_redirects=False) as response:
            assert response.status == 303
            assert response.headers["Location"] == "/?unit=00004"
            cookie = response.headers["Set-Cookie"]
        assert "HttpOnly" in cookie
        assert "SameSite=Strict" in cookie
        assert TOKEN not in cookie
        held = cookie.split(";")[0]
        async with ClientSession() as bare:
            url = client.make_url("/api/incidents")
            async with bare.get(url, headers={"Cookie": held}) as response:
                assert response.status == 200
            async with bare.get(url, headers={"Cookie": held[:-1]}) as response:
                assert response.status == 401
            async with bare.get(client.make_url("/?token=wrong")) as response:
                assert response.status == 401

    ask(WITH_TOKEN, questions)


def test_a_token_on_loopback_is_asked_for_too() -> None:
    async def questions(client: Client) -> None:
        assert await code(client, "/status") == 401
        assert await code(client, "/status", headers={"Authorization": f"Bearer {TOKEN}"}) == 200
        both = {"Authorization": f"Bearer {TOKEN}", "Host": "evil.example"}
        assert await code(client, "/status", headers=both) == 403

    ask(Access(loopback=True, port=6066, token=TOKEN), questions)


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        (POST, 200),
        ({**POST, "Content-Type": "application/json; charset=utf-8"}, 200),
        ({"Content-Type": "application/json"}, 403),
        ({**POST, "X-Cityops": "0"}, 403),
        ({**POST, "Content-Type": "text/plain"}, 415),
        ({**POST, "Content-Type": "application/x-www-form-urlencoded"}, 415),
    ],
)
def test_what_a_foreign_form_can_send_changes_nothing(headers: dict[str, str], status: int) -> None:
    async def questions(client: Client) -> None:
        assert await code(client, "/api/incidents/i-1/actions", "POST", headers=headers, data=b"{}") == status

    ask(LOOPBACK, questions)


def test_long_bodies_are_refused_with_and_without_a_length() -> None:
    async def pieces() -> Any:
        for _ in range(20):
            yield b"x" * 10_000

    async def questions(client: Client) -> None:
        path = "/api/incidents/i-1/actions"
        assert await code(client, path, "POST", headers=POST, data=b"x" * MOST_BODY_BYTES) == 200
        assert await code(client, path, "POST", headers=POST, data=b"x" * (MOST_BODY_BYTES + 1)) == 413
        assert await code(client, path, "POST", headers=POST, data=pieces()) == 413

    ask(LOOPBACK, questions)


def test_every_answer_carries_the_security_headers() -> None:
    async def questions(client: Client) -> None:
        for path in ("/", "/api/incidents", "/no-such-page"):
            async with client.get(path) as response:
                assert response.headers["X-Content-Type-Options"] == "nosniff"
                assert response.headers["Referrer-Policy"] == "no-referrer"
                assert "frame-ancestors 'none'" in response.headers["Content-Security-Policy"]
                assert "default-src 'self'" in response.headers["Content-Security-Policy"]
                assert "unsafe" not in response.headers["Content-Security-Policy"]
                assert "aiohttp" not in response.headers["Server"]
                assert "Access-Control-Allow-Origin" not in response.headers
        async with client.options("/api/incidents", headers={"Origin": "https://evil.example"}) as response:
            assert response.status >= 400

    ask(LOOPBACK, questions)


@pytest.fixture
def built(tmp_path: Path) -> Path:
    """A built page, with secrets beside it."""
    dist = tmp_path / "dist"
    (dist / "assets").mkdir(parents=True)
    (dist / "index.html").write_text("<title>page</title>")
    (dist / "assets" / "index-abc123.js").write_text("let page;")
    (dist / "assets" / ".hidden").write_text("secret")
    (tmp_path / "secret.txt").write_text("secret")
    (dist / "assets" / "link.txt").symlink_to(tmp_path / "secret.txt")
    (tmp_path / "dist" / "assets-of-others").mkdir()
    (tmp_path / "dist" / "assets-of-others" / "x.txt").write_text("secret")
    return dist


def test_assets_are_cached_for_ever_and_the_page_is_not(built: Path) -> None:
    async def questions(client: Client) -> None:
        async with client.get("/assets/index-abc123.js") as response:
            assert await response.text() == "let page;"
            assert "immutable" in response.headers["Cache-Control"]
            assert response.content_type in ("text/javascript", "application/javascript")
        async with client.get("/") as response:
            assert await response.text() == "<title>page</title>"
            assert response.headers["Cache-Control"] == "no-cache"

    ask(LOOPBACK, questions, built)


def test_without_a_built_page_one_is_told_how_to_build_it() -> None:
    async def questions(client: Client) -> None:
        async with client.get("/") as response:
            assert response.status == 503
            assert "make page" in await response.text()

    ask(LOOPBACK, questions)


@pytest.mark.parametrize(
    "path",
    [
        "/assets/../../secret.txt",
        "/assets/..%2f..%2fsecret.txt",
        "/assets/%2e%2e/%2e%2e/secret.txt",
        "/assets/..%5c..%5csecret.txt",
        "/assets//etc/passwd",
        "/assets/%2fetc%2fpasswd",
        "/assets/.hidden",
        "/assets/link.txt",
        "/assets/../assets-of-others/x.txt",
        "/assets/..%2fassets-of-others%2fx.txt",
        "/assets/index-abc123.js%00.txt",
        "/assets/",
        "/assets/.",
        "/assets/index-abc123.js/x",
    ],
)
def test_nothing_outside_the_assets_is_given_out(built: Path, path: str) -> None:
    async def questions(client: Client) -> None:
        assert client.port is not None

        def raw() -> tuple[int, bytes]:  # a client that does not tidy the path
            connection = http.client.HTTPConnection("127.0.0.1", client.port or 0, timeout=5)
            connection.putrequest("GET", path)
            connection.endheaders()
            answer = connection.getresponse()
            return answer.status, answer.read()

        status, body = await asyncio.get_running_loop().run_in_executor(None, raw)
        assert status in (403, 404)
        assert b"secret" not in body

    ask(LOOPBACK, questions, built)


@pytest.mark.parametrize(
    ("address", "token", "words"),
    [
        ("0.0.0.0", "", "CITYOPS_WEB_TOKEN"),
        ("10.1.2.3", "", "CITYOPS_WEB_TOKEN"),
        ("::", "", "CITYOPS_WEB_TOKEN"),
        ("centre.example", TOKEN, "IP address"),
        ("0.0.0.0", "short", "16"),
        ("0.0.0.0", "with spaces in it all", "16"),
    ],
)
def test_an_address_beyond_this_machine_needs_a_sound_token(address: str, token: str, words: str) -> None:
    with pytest.raises(UsageError, match=words) as refused:
        checked_bind(address, token)
    assert "\n" not in str(refused.value)


def test_settings_make_the_rules(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    assert checked_bind("::1", "") == "::1"
    (tmp_path / "token").write_text(TOKEN + "\n")
    monkeypatch.setenv("CITYOPS_WEB_TOKEN_FILE", str(tmp_path / "token"))
    monkeypatch.setenv("CITYOPS_WEB_BIND", "0.0.0.0")
    settings = settings_from_env()
    assert access_of(settings) == replace(WITH_TOKEN, port=settings.web_port)
    assert settings.web_url == f"http://127.0.0.1:{settings.web_port}"
    assert TOKEN not in repr(settings)
