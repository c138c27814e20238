"""Polls a URL: conditional GET, and a body that is the same as before is not read again."""

import asyncio
import hashlib
from typing import Final

import aiohttp

from schemas.errors import CityopsError
from streams.sources.config import PollSource, SecretRef
from streams.sources.intake import Intake

TIMEOUT_S: Final = 30.0
BODY_LIMIT: Final = 67_108_864
NOT_MODIFIED: Final = 304
CHUNK: Final = 262_144


class Poller:
    """One polled source."""

    def __init__(self, source: PollSource, intake: Intake) -> None:
        self._source, self._intake = source, intake
        self._headers = {
            name: one.value() if isinstance(one, SecretRef) else one for name, one in source.headers.items()
        }
        self._conditions: dict[str, str] = {}
        self._digest = b""

    async def run(self) -> None:
        """Ask at the interval, for ever. Raises CityopsError when the source cannot be read now."""
        async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=TIMEOUT_S), trust_env=True) as session:
            loop = asyncio.get_running_loop()
            while True:
                began_s = loop.time()
                await self.ask(session)
                await asyncio.sleep(max(0.0, began_s + self._source.every_s - loop.time()))

    async def ask(self, session: aiohttp.ClientSession) -> None:
        """Ask once and take what is new."""
        try:
            async with session.get(self._source.url, headers={**self._headers, **self._conditions}) as answer:
                if answer.status == NOT_MODIFIED:
                    self._unchanged()
                    return
                if answer.status != 200:
                    raise CityopsError(f"answered {answer.status} {answer.reason or ''}".strip())
                body = await _limited(answer)
                validators = {"If-None-Match": "etag", "If-Modified-Since": "last-modified"}
                conditions = {
                    asked: answer.headers[told] for asked, told in validators.items() if told in answer.headers
                }
        except TimeoutError as error:
            raise CityopsError(f"no answer within {TIMEOUT_S:.0f} s") from error
        except aiohttp.ClientError as error:
            raise CityopsError(f"cannot be read: {error}") from error
        digest = hashlib.blake2b(body, digest_size=16).digest()
        if digest == self._digest:
            self._unchanged()
        else:
            await self._intake.take(body, self._source.url)
            await self._intake.settled()
            self._intake.goes("running")
        self._digest, self._conditions = digest, conditions  # last: what was not taken is asked for again

    def _unchanged(self) -> None:
        self._intake.state.unchanged += 1
        self._intake.goes("running")


async def _limited(answer: aiohttp.ClientResponse) -> bytes:
    body = bytearray()
    async for chunk in answer.content.iter_chunked(CHUNK):
        body += chunk
        if len(body) > BODY_LIMIT:
            raise CityopsError(f"the answer is longer than {BODY_LIMIT:,} bytes")
    return bytes(body)
