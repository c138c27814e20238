"""Who may ask a worker what: by address, host name, token, method and headers. docs/web-api.md says why.

Loopback alone needs no token, but the Host header must be this machine's: a page of the internet whose name is made to
resolve to 127.0.0.1 (DNS rebinding) sends its own name there.
"""

import hmac
import ipaddress
import logging
from dataclasses import dataclass
from hashlib import sha256
from typing import Final
from urllib.parse import urlencode

import msgspec
from aiohttp import web
from aiohttp.typedefs import Handler, Middleware

from streams.settings import Settings

log = logging.getLogger(__name__)

MOST_BODY_BYTES: Final = 65_536
OPEN_PATHS: Final = frozenset({"/healthz", "/readyz"})
"""What orchestrators probe; they tell nothing but whether the worker is well."""
OWN_NAMES: Final = frozenset({"127.0.0.1", "localhost", "[::1]"})
READING: Final = frozenset({"GET", "HEAD"})

HEADERS: Final = {
    "Content-Security-Policy": (
        "default-src 'self'; img-src 'self' data: blob:; worker-src 'self' blob:; object-src 'none'; "
        "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    ),
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Server": "cityops",
}


class Refusal(msgspec.Struct, frozen=True):
    """The body of every refusal: one sentence."""

    error: str


def refusal(status: int, sentence: str, **headers: str) -> web.Response:
    """Return an answer that says no, and why."""
    body = msgspec.json.encode(Refusal(sentence))
    return web.Response(status=status, body=body, content_type="application/json", headers=headers)


@dataclass(frozen=True, slots=True)
class Access:
    """The rules of one worker. token: "" = none is asked for."""

    loopback: bool
    port: int
    token: str

    @property
    def cookie_name(self) -> str:
        """Return the cookie's name; cookies are shared by all ports of a host."""
        return f"cityops_{self.port}"

    @property
    def cookie_value(self) -> str:
        """Return what the cookie holds: a function of the token that does not give it away."""
        return hmac.new(self.token.encode(), b"cityops page", sha256).hexdigest()

    def refused(self, request: web.Request) -> web.Response | None:
        """Return why a request is refused; None = it may pass."""
        if self.loopback and host_name(request.headers.get("Host", "")) not in OWN_NAMES:
            return refusal(403, "This worker answers to 127.0.0.1, localhost and [::1] alone.")
        if request.path in OPEN_PATHS and request.method in READING:
            return None
        if self.token and not self.knows(request):
            return refusal(
                401,
                "A token is needed: send it as `Authorization: Bearer TOKEN`, or open /?token=TOKEN in the browser.",
                **{"WWW-Authenticate": 'Bearer realm="cityops"'},
            )
        if request.method not in READING:
            return _refused_change(request)
        return None

    def knows(self, request: web.Request) -> bool:
        """Tell whether a request brings the token, or the cookie got with it."""
        kind, _, given = request.headers.get("Authorization", "").partition(" ")
        cookie = request.cookies.get(self.cookie_name, "")
        by_header = kind.lower() == "bearer" and _same(given.strip(), self.token)
        return by_header or _same(cookie, self.cookie_value) or self.invited(request)

    def invited(self, request: web.Request) -> bool:
        """Tell whether it is the page opened with the token in its address."""
        given = request.query.get("token", "")
        return bool(self.token) and request.path == "/" and request.method == "GET" and _same(given, self.token)

    def welcome(self, request: web.Request) -> web.Response:
        """Return the cookie and send the browser to the same address without the token."""
        left = urlencode([(name, value) for name, value in request.query.items() if name != "token"])
        answer = web.Response(status=303, headers={"Location": f"/?{left}" if left else "/"})
        answer.set_cookie(
            self.cookie_name, self.cookie_value, path="/", httponly=True, samesite="Strict", secure=request.secure
        )
        return answer


def access_of(settings: Settings) -> Access:
    """Return the rules that the settings make."""
    return Access(ipaddress.ip_address(settings.web_bind).is_loopback, settings.web_port, settings.web_token)


def host_name(host: str) -> str:
    """Return a Host header without its port. The port may be another: a tunnel's end, which no name can forge."""
    name, mark, port = host.rpartition(":")
    return (name if mark and port.isdigit() else host).lower()


def guard(access: Access) -> Middleware:
    """Return the middleware that refuses, and that answers every mistake under /api in JSON."""

    @web.middleware
    async def guarded(request: web.Request, handler: Handler) -> web.StreamResponse:
        no = access.refused(request)
        if no is not None:
            return no
        if access.invited(request):
            return access.welcome(request)
        try:
            return await handler(request)
        except web.HTTPException as error:
            if error.status < 400:
                raise
            return refusal(error.status, f"{error.reason}.")
        except Exception:
            log.exception("%s %s failed", request.method, request.path)
            return refusal(500, "That went wrong here; the worker's log says how.")

    return guarded


async def add_headers(request: web.Request, response: web.StreamResponse) -> None:
    """Add the headers that keep a browser from doing more than the page needs."""
    response.headers.update(HEADERS)
    response.headers.setdefault("Cache-Control", "no-store")


def _refused_change(request: web.Request) -> web.Response | None:
    if request.headers.get("X-Cityops") != "1":
        return refusal(403, "Send the header `X-Cityops: 1`: it tells that no other site's form sent this.")
    if request.content_type != "application/json":
        return refusal(415, "Send JSON: `Content-Type: application/json`.")
    if (request.content_length or 0) > MOST_BODY_BYTES:
        return refusal(413, f"At most {MOST_BODY_BYTES} bytes are taken.")
    return None


def _same(given: str, wanted: str) -> bool:
    return hmac.compare_digest(given.encode(), wanted.encode())
