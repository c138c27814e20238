"""Builds the Faust app of a worker: its settings, its life cycle, its ticker and its pages."""

import asyncio
import logging
import sys
import time
from contextlib import suppress
from typing import Final, NoReturn

import faust
import mode.loop

from schemas import records
from schemas.errors import UsageError
from streams import garbage, heap, topics
from streams.admin import ensure_topics
from streams.engine import Engine
from streams.kafka_access import faust_credentials
from streams.new_baselines import LOOK_S, NewBaselines
from streams.outbox import Deliveries
from streams.reach import wait_answering
from streams.settings import Settings, exposed_secrets, reach_loopback_directly, settings_from_env
from streams.stack import endpoints
from streams.transport import BatchApp, QuietMonitor
from streams.web import application_options, mount
from streams.workers import REFUSED, TOLD

TICK_MS: Final = 250
SESSION_TIMEOUT_S: Final = 10.0
BULK: Final = (topics.POSITIONS, topics.FRAMES, topics.ROWS)
"""What comes after detections, readings and actions where there is much of everything."""
GIVE_BACK_S: Final = 5.0

log = logging.getLogger(__name__)


class PromptWorker(faust.Worker):
    """Faust's worker without the second that mode sleeps at the end of every stop."""

    async def _sentinel_task(self) -> None:
        return

    def execute_from_commandline(self) -> NoReturn:
        """Run until a signal; a worker that refused to go on says why, last of all."""
        try:
            raise super().execute_from_commandline()
        finally:
            if self.app.engine.refused is not None:
                print(f"{TOLD}{self.app.engine.refused}", file=sys.stderr)
                sys.exit(REFUSED)


class CityApp(BatchApp):
    """A worker: topics and engine before Faust's consumer, the engine's queue after it."""

    engine: Engine

    async def on_first_start(self) -> None:
        """Create what is missing, then start; a dependency that is away is waited for."""
        self.conf.datadir.mkdir(parents=True, exist_ok=True)  # Faust makes the last folder only
        await asyncio.get_running_loop().run_in_executor(None, ensure_topics, self.engine.settings)
        await self.engine.start()
        await super().on_first_start()

    async def on_stop(self) -> None:
        """Send what is queued."""
        await super().on_stop()
        await self.engine.stop()


def build_worker() -> tuple[CityApp, Engine]:
    """Return the app and its engine; a user's mistake ends the process with one sentence."""
    reach_loopback_directly()
    _tune()
    try:
        settings = endpoints(settings_from_env())
        for sentence in exposed_secrets():
            log.warning(sentence)
        app = _build_app(settings)
        engine = Engine(settings, app)
        wait_answering(settings)
    except UsageError as error:
        sys.exit(f"cityops: {error}")
    app.engine = app.positions = engine
    mount(app, engine)
    garbage.set_aside()  # the city, the rules, the modules: they stay
    app.timer(interval=GIVE_BACK_S)(_give_back)
    app.timer(interval=garbage.SWEEP_S)(_sweep)
    app.timer(interval=LOOK_S)(NewBaselines(engine.city, settings.city).look)
    if settings.ticker:
        app.timer(interval=TICK_MS / 1000)(_Ticker(engine).tick)
    return app, engine


def _tune() -> None:
    """Set what holds for the whole process, before Faust makes an event loop."""
    garbage.tune()
    heap.keep_pages()
    heap.share_arenas()
    with suppress(ModuleNotFoundError):  # no wheel for this machine: asyncio's own loop does it too
        mode.loop.use("uvloop")


async def _give_back() -> None:
    heap.give_back()


async def _sweep() -> None:
    garbage.sweep()


def _build_app(settings: Settings) -> CityApp:
    app = CityApp(
        settings.group,
        Monitor=QuietMonitor,
        broker=[f"kafka://{address}" for address in settings.kafka_bootstrap_servers.split(",")],
        broker_credentials=faust_credentials(settings.kafka),
        autodiscover=False,
        Worker=PromptWorker,
        datadir=settings.home / "faust" / (settings.run or "live"),
        topic_disable_leader=True,
        table_standby_replicas=0,  # no tables: aiokafka's own assignor, whose members may change their address
        topic_allow_declare=False,
        consumer_auto_offset_reset="earliest",
        consumer_group_instance_id=settings.worker_id,
        consumer_max_fetch_size=1_048_576,  # a partition; a larger message comes alone
        broker_max_poll_interval=86_400.0,  # an agent that waits for ClickHouse is no dead worker
        broker_session_timeout=SESSION_TIMEOUT_S,
        broker_heartbeat_interval=3.0,
        broker_commit_interval=1.0,
        stream_buffer_maxsize=32,
        stream_wait_empty=False,
        web_bind=settings.web_bind,
        web_host=settings.web_bind,
        web_port=settings.web_port,
        web_enabled=True,
        web_application_options=application_options(settings),
    )
    app.bulk = frozenset(settings.topic(topic) for topic in BULK)
    return app


class _Ticker:
    """Appends the time to every input partition, from the one worker that concludes incidents."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._last_ms = 0
        self._deliveries = Deliveries()

    async def tick(self) -> None:
        """Append one tick, strictly after the last."""
        if not self._engine.leads:
            return
        now_ms = time.time_ns() // 1_000_000
        at_ms = max(now_ms - now_ms % TICK_MS, self._last_ms + TICK_MS)
        self._last_ms = at_ms
        value = self._engine.codec.encode(records.Tick(at_ms=at_ms))
        for topic in topics.INPUTS:
            for partition in range(topic.partitions):
                await self._engine.outbox.send(
                    self._engine.name(topic), b"tick", value, self._deliveries, partition=partition
                )
