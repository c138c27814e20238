"""Listens to MQTT topics; a message is acknowledged to the broker (QoS 1) once Kafka has its records."""

import asyncio
from typing import Any, Final

import paho.mqtt.client as paho
from paho.mqtt.enums import CallbackAPIVersion

from schemas.errors import CityopsError
from streams.sources.config import MqttSource
from streams.sources.intake import Intake

QOS: Final = 1
KEEPALIVE_S: Final = 30
CONNECT_WITHIN_S: Final = 15.0
WAITING: Final = 1_000
"""Messages that may wait here; beyond it the broker waits for acknowledgements."""


class Listener:
    """One broker that is listened to."""

    def __init__(self, source: MqttSource, intake: Intake) -> None:
        self._source, self._intake = source, intake
        self._password = None if source.password is None else source.password.value()

    async def run(self) -> None:
        """Listen for ever. Raises CityopsError when the connection is refused or ends."""
        loop = asyncio.get_running_loop()
        messages: asyncio.Queue[paho.MQTTMessage | str] = asyncio.Queue()
        client = self._client()

        def tell(what: paho.MQTTMessage | str) -> None:
            loop.call_soon_threadsafe(messages.put_nowait, what)

        def connected(_: Any, __: Any, ___: Any, reason: Any, ____: Any) -> None:
            if reason.is_failure:
                tell(f"the broker refuses: {reason}")
                return
            client.subscribe([(topic, QOS) for topic in self._source.topics])
            loop.call_soon_threadsafe(self._intake.goes, "running")

        client.on_connect = connected
        client.on_message = lambda _, __, message: tell(message)
        client.on_disconnect = lambda _, __, ___, reason, ____: tell(f"the connection ended: {reason}")
        try:
            await asyncio.to_thread(client.connect, self._source.host, self._source.port, KEEPALIVE_S)
        except (OSError, ValueError) as error:
            raise CityopsError(f"cannot connect to {self._source.host}:{self._source.port}: {error}") from error
        client.loop_start()
        try:
            while True:
                await self._take(client, await messages.get())
        finally:
            client.on_disconnect = None
            client.disconnect()
            await asyncio.to_thread(client.loop_stop)

    def _client(self) -> paho.Client:
        source = self._source
        client = paho.Client(
            CallbackAPIVersion.VERSION2,
            client_id=f"cityops-{source.name}",
            clean_session=False,  # the broker keeps what comes while we are away
            manual_ack=True,
            reconnect_on_failure=False,  # who runs the sources tries again, visibly
        )
        client.max_inflight_messages_set(WAITING)
        if source.username:
            client.username_pw_set(source.username, self._password)
        if source.tls:
            client.tls_set(ca_certs=source.ca_file or None)
        return client

    async def _take(self, client: paho.Client, what: paho.MQTTMessage | str) -> None:
        if isinstance(what, str):
            raise CityopsError(what)
        await self._intake.take(bytes(what.payload), what.topic)
        await self._intake.settled()
        client.ack(what.mid, what.qos)
