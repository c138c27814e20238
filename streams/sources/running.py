"""Runs every source of sources.yaml, each on its own: one that fails is tried again, ever more slowly, seen by all."""

import asyncio
import logging
import os
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final, Protocol

import aiohttp
import msgspec
import psutil

from schemas.codec import Codec
from schemas.errors import CityopsError, UsageError
from streams.settings import LIVE, Settings
from streams.sources.config import KafkaSource, MqttSource, PollSource, PushSource, Source
from streams.sources.intake import Intake, SourceState
from streams.sources.kafka import TopicReader
from streams.sources.mqtt import Listener
from streams.sources.poll import Poller
from streams.sources.push import PushServer

log = logging.getLogger(__name__)

FIRST_WAIT_S: Final = 1.0
LONGEST_WAIT_S: Final = 60.0
STEADY_S: Final = 30.0
"""A source that went on for so long begins its back-off anew."""
REPORT_S: Final = 1.0
STALE_S: Final = 10.0


class Connector(Protocol):
    """A source at work."""

    async def run(self) -> None:
        """Go on for ever. Raises CityopsError when the source is away."""


class SourcesReport(msgspec.Struct):
    """What `sources run` tells of itself, every second."""

    pid: int
    at_ms: int
    sources: list[SourceState]


def connector_of(source: Source, settings: Settings, intake: Intake) -> Connector:
    """Return what reads a source. Raises UsageError when a secret is missing."""
    match source:
        case PollSource():
            return Poller(source, intake)
        case KafkaSource():
            return TopicReader(source, settings, intake)
        case PushSource():
            return PushServer(source, intake)
        case MqttSource():
            return Listener(source, intake)


async def run_sources(
    settings: Settings, codec: Codec, sources: Sequence[Source], on_report: Callable[[SourcesReport], None]
) -> None:
    """Run sources until cancelled; on_report is told how they are every second."""
    intakes = [Intake(settings, codec, one.name, one.type, one.form) for one in sources]
    tasks = [
        asyncio.create_task(_keep_running(connector_of(source, settings, intake), intake), name=source.name)
        for source, intake in zip(sources, intakes, strict=True)
    ]
    try:
        while True:
            _write(settings, intakes, on_report)
            await asyncio.sleep(REPORT_S)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await asyncio.gather(*(intake.close() for intake in intakes), return_exceptions=True)
        _write(settings, intakes, on_report)


async def try_source(source: Source, settings: Settings, codec: Codec, within_s: float) -> str:
    """Start a source and return "" once it runs, else what is wrong; nothing of an HTTP answer is kept."""
    intake = Intake(settings, codec, source.name, source.type, source.form)
    try:
        connector = connector_of(source, settings, intake)
        if isinstance(connector, Poller):
            async with aiohttp.ClientSession() as session:
                await asyncio.wait_for(connector.ask(session), within_s)
            return ""
        task = asyncio.create_task(connector.run())
        until_s = time.monotonic() + within_s
        while not task.done() and intake.state.state != "running" and time.monotonic() < until_s:
            await asyncio.sleep(0.05)
        task.cancel()
        (outcome,) = await asyncio.gather(task, return_exceptions=True)
        if isinstance(outcome, CityopsError):
            return str(outcome)
        return "" if intake.state.state == "running" else f"nothing came of it within {within_s:.0f} s"
    except TimeoutError:
        return f"nothing came of it within {within_s:.0f} s"
    except CityopsError as error:
        return str(error)
    finally:
        await intake.close()


def read_report(settings: Settings) -> SourcesReport | None:
    """Return what `sources run` told last; None = it never ran."""
    try:
        return msgspec.json.decode(report_path(settings).read_bytes(), type=SourcesReport)
    except (OSError, msgspec.MsgspecError):
        return None


def is_running(report: SourcesReport) -> bool:
    """Tell whether the process that wrote a report goes on."""
    fresh = time.time_ns() // 1_000_000 - report.at_ms < STALE_S * 1000
    return fresh and psutil.pid_exists(report.pid) and any(one.state != "stopped" for one in report.sources)


def report_path(settings: Settings) -> Path:
    """Return where the report is kept."""
    return settings.home / "runs" / (settings.run or LIVE) / "sources" / "status.json"


async def _keep_running(connector: Connector, intake: Intake) -> None:
    failures = 0
    while True:
        began_s = time.monotonic()
        try:
            await connector.run()
        except UsageError:
            raise
        except CityopsError as error:
            why = str(error)
        except Exception as error:
            log.exception("source %s failed", intake.state.name)
            why = f"{type(error).__name__}: {error}"
        failures = 1 if time.monotonic() - began_s > STEADY_S else failures + 1
        wait_s = min(LONGEST_WAIT_S, FIRST_WAIT_S * 2.0 ** (failures - 1))
        intake.goes("waiting", why)
        log.warning("source %s: %s; again in %.0f s", intake.state.name, why, wait_s)
        await asyncio.sleep(wait_s)


def _write(settings: Settings, intakes: Sequence[Intake], on_report: Callable[[SourcesReport], None]) -> None:
    report = SourcesReport(os.getpid(), time.time_ns() // 1_000_000, [intake.report() for intake in intakes])
    path = report_path(settings)
    path.parent.mkdir(parents=True, exist_ok=True)
    fresh = path.with_suffix(".new")
    fresh.write_bytes(msgspec.json.encode(report))
    fresh.replace(path)
    on_report(report)
