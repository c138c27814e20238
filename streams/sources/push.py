"""Takes POSTs: 202 once Kafka has the records, 400 with every reason for what is refused."""

import asyncio
import hmac
from typing import Final

from aiohttp import web

from processors.sources.contract import MESSAGE_LIMIT
from schemas.errors import CityopsError
from streams.sources.config import PushSource
from streams.sources.intake import Intake

BODY_LIMIT: Final = 8 * MESSAGE_LIMIT
SETTLED_WITHIN_S: Final = 10.0
SHOWN_REASONS: Final = 20


class PushServer:
    """One address that takes messages, at any path."""

    def __init__(self, source: PushSource, intake: Intake) -> None:
        self._source, self._intake = source, intake
        self._token = None if source.token is None else source.token.value().encode()

    async def run(self) -> None:
        """Serve for ever. Raises CityopsError when the address cannot be taken."""
        app = web.Application(client_max_size=BODY_LIMIT)
        app.router.add_post("/{path:.*}", self._post)
        runner = web.AppRunner(app, access_log=None)
        await runner.setup()
        try:
            await web.TCPSite(runner, *self._source.address).start()
            self._intake.goes("running")
            await asyncio.Event().wait()
        except OSError as error:
            raise CityopsError(f"cannot listen on {self._source.listen}: {error.strerror}") from error
        finally:
            await runner.cleanup()

    async def _post(self, request: web.Request) -> web.Response:
        if not self._is_allowed(request.headers.get("authorization", "")):
            return web.json_response({"error": "send the token as Authorization: Bearer TOKEN"}, status=401)
        taken = await self._intake.take(await request.read(), f"push from {request.remote}")
        if not await self._intake.settled(SETTLED_WITHIN_S):
            return web.json_response(
                {"error": "Kafka takes nothing now: send it again"}, status=503, headers={"retry-after": "5"}
            )
        reasons = [{"message": one.line, "errors": list(one.errors)} for one in taken.refused[:SHOWN_REASONS]]
        body = {"records": taken.records, "refused": len(taken.refused), "reasons": reasons}
        return web.json_response(body, status=400 if taken.refused and not taken.records else 202)

    def _is_allowed(self, header: str) -> bool:
        if self._token is None:
            return True
        kind, _, token = header.partition(" ")
        return kind.lower() == "bearer" and hmac.compare_digest(token.strip().encode(), self._token)
