"""The whole flow, top to bottom: what comes in, who judges it, what goes out.

devices.v1 -> register_devices -> the four topics of devices below
rules.v1 -> carry_rules -> operator.actions.v1

vehicle.positions.v1  -> watch_fleet   -+
vehicle.frames.v1     -> watch_frames  -+
camera.detections.v1  -> watch_cameras -+-> observations.v1 -> conclude_incidents -> incidents.v1, incident.changes.v1
sensor.readings.v1    -> watch_sensors -+
operator.actions.v1   -> watch_actions -+
                                        +-> records.rejected.v1
                                        +-> rows.v1 (conclude_incidents too) -> write_rows -> ClickHouse

incident.changes.v1 -> raise_alerts -> notifications.v1 -> deliver_notifications -> webhooks
"""

from collections.abc import AsyncIterator

from processors.actions import action_domain
from processors.camera import camera_domain
from processors.fleet import fleet_domain, frame_domain
from processors.sensors import sensor_domain
from streams import topics
from streams.transport import Poll
from streams.worker import build_worker

app, engine = build_worker()

engine.domain(topics.POSITIONS, fleet_domain)
engine.domain(topics.FRAMES, frame_domain)
engine.domain(topics.DETECTIONS, camera_domain)
engine.domain(topics.READINGS, sensor_domain)
engine.domain(topics.ACTIONS, action_domain)


@app.agent(app.polls(engine.name(topics.DEVICES)))
async def register_devices(polls: AsyncIterator[Poll]) -> None:
    """Devices of the estate: from their next tick on, the records of each are placed by its registration."""
    async for poll in polls:
        await engine.register(poll)


@app.agent(app.polls(engine.name(topics.RULES)))
async def carry_rules(polls: AsyncIterator[Poll]) -> None:
    """Published rule sets: into the log of what people decide, where ticks say since when each is known."""
    async for poll in polls:
        await engine.carry_rules(poll)


@app.agent(app.polls(engine.name(topics.POSITIONS)))
async def watch_fleet(polls: AsyncIterator[Poll]) -> None:
    """Positions of vehicles: hard stops and stationary vehicles."""
    async for poll in polls:
        await engine.observe(poll)


@app.agent(app.polls(engine.name(topics.FRAMES)))
async def watch_frames(polls: AsyncIterator[Poll]) -> None:
    """Frames, each many positions of one gateway's vehicles: what watch_fleet finds."""
    async for poll in polls:
        await engine.observe(poll)


@app.agent(app.polls(engine.name(topics.DETECTIONS)))
async def watch_cameras(polls: AsyncIterator[Poll]) -> None:
    """Detections of cameras: crash, smoke and fire claims."""
    async for poll in polls:
        await engine.observe(poll)


@app.agent(app.polls(engine.name(topics.READINGS)))
async def watch_sensors(polls: AsyncIterator[Poll]) -> None:
    """Readings of sensors: impact sounds, smoke, heat, fire panels."""
    async for poll in polls:
        await engine.observe(poll)


@app.agent(app.polls(engine.name(topics.ACTIONS)))
async def watch_actions(polls: AsyncIterator[Poll]) -> None:
    """Actions of operators: carried to the incidents they are about, in the order of the ticks."""
    async for poll in polls:
        await engine.observe(poll)


@app.agent(app.polls(engine.name(topics.OBSERVATIONS)))
async def conclude_incidents(polls: AsyncIterator[Poll]) -> None:
    """Observations of all partitions, merged by tick: incidents and their revisions."""
    async for poll in polls:
        await engine.conclude(poll)


@app.agent(app.polls(engine.name(topics.ROWS)))
async def write_rows(polls: AsyncIterator[Poll]) -> None:
    """Row frames of everything above: ClickHouse, under offsets of its own."""
    async for poll in polls:
        await engine.store(poll)


@app.agent(app.polls(engine.name(topics.CHANGES)))
async def raise_alerts(polls: AsyncIterator[Poll]) -> None:
    """Revisions of incidents: a notification for every subscription that asks for them."""
    async for poll in polls:
        await engine.alert(poll)


@app.agent(app.polls(engine.name(topics.NOTIFICATIONS)))
async def deliver_notifications(polls: AsyncIterator[Poll]) -> None:
    """Notifications to their receivers, each at its own pace."""
    async for poll in polls:
        await engine.deliver(poll)
