"""The web side of a worker: plain aiohttp handlers on Faust's own aiohttp app, behind one set of access rules."""

from faust import App
from faust.web.base import BlueprintManager

from streams.engine import Engine
from streams.settings import Settings
from streams.web.access import MOST_BODY_BYTES, access_of, add_headers, guard
from streams.web.page import add_page
from streams.web.site import Site

__all__ = ["application_options", "mount"]


def application_options(settings: Settings) -> dict[str, object]:
    """Return what Faust shall make its aiohttp application with: nothing is answered before the rules are asked."""
    return {"middlewares": [guard(access_of(settings))], "client_max_size": MOST_BODY_BYTES}


def mount(app: App, engine: Engine) -> None:
    """Put every handler on the app's web server; Faust's own pages (/, /router, /table) are left out."""
    app.web.blueprints = BlueprintManager([])
    site = Site(engine)
    server = app.web.web_app
    server.on_response_prepare.append(add_headers)

    async def close(_: object) -> None:
        site.live.close()

    server.on_shutdown.append(close)
    router = server.router
    router.add_get("/healthz", site.healthz)
    router.add_get("/readyz", site.readyz)
    router.add_get("/status", site.status)
    router.add_get("/metrics", site.metrics)
    add_page(router)
    router.add_get("/api/city", site.city)
    router.add_get("/api/rules", site.rules)
    router.add_get("/api/incidents", site.incidents)
    router.add_get("/api/incidents/{incident_id}", site.incident)
    router.add_post("/api/incidents/{incident_id}/actions", site.decide)
    router.add_get("/api/stream", site.stream)
    router.add_get("/api/alerts/stream", site.alerts)
    router.add_get("/api/alerts/schema.json", site.alert_schema)
    router.add_get("/gtfs-rt/feed.pb", site.feed_protobuf)
    router.add_get("/gtfs-rt/feed.json", site.feed_json)
