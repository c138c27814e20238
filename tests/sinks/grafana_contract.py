"""A small HTTP server that answers like Grafana where `cityops grafana apply` asks it, by its documented HTTP API.

Status codes and messages are those of Grafana's manual ("Data source API", "Folder API", "Dashboard API") and of its
plugin's health check. Like a newer Grafana it reads a dashboard back with more than was written: migrated panels, a
later schemaVersion, ids of its own.
"""

import copy
import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from sinks.grafana.board import TYPE

Body = dict[str, Any]
Answer = tuple[int, Body]
ADMIN = "glsa_admin"
VIEWER = "glsa_viewer"


class GrafanaContract:
    """What such a Grafana holds. `requests` lists method and path of all that was asked."""

    def __init__(self, prefix: str = "") -> None:
        self.prefix = prefix
        self.url = ""
        self.plugins = {TYPE}
        self.clickhouse_password = "pass"
        self.data_sources: dict[str, Body] = {}
        self.folders: dict[str, Body] = {}
        self.dashboards: dict[str, Body] = {}
        self.requests: list[str] = []
        self.instead: tuple[int, str] | None = None
        """Status and content of every answer of a server that is no Grafana, or a broken one."""
        self.before_writing: Callable[[], None] = lambda: None
        """Somebody else's change, between our reading and our writing."""

    @property
    def written(self) -> list[str]:
        return [request for request in self.requests if not request.startswith("GET")]

    def answer(self, method: str, path: str, token: str, body: Body) -> Answer:
        """Answer one request."""
        self.requests.append(f"{method} {path}")
        if token not in (ADMIN, VIEWER):
            return 401, {"message": "Invalid API key", "messageId": "api-key.invalid", "statusCode": 401}
        if method != "GET":
            self.before_writing()
            if token == VIEWER:
                return 403, {"message": "You'll need additional permissions to perform this action.", "title": "Denied"}
        match (method, path.strip("/").split("/")[1:]):
            case "GET", ["plugins", plugin, "settings"]:
                missing = {"message": "Plugin not found, no installed plugin with that id"}
                return (200, {"id": plugin}) if plugin in self.plugins else (404, missing)
            case "GET", ["datasources", "uid", uid]:
                return self._shown(self.data_sources.get(uid), "Data source not found")
            case "GET", ["datasources", "uid", uid, "health"]:
                return self._health(uid)
            case "POST", ["datasources"]:
                return self._create_data_source(body)
            case "PUT", ["datasources", "uid", uid]:
                return self._update_data_source(uid, body)
            case "GET", ["folders", uid]:
                return self._shown(self.folders.get(uid), "folder not found")
            case "POST", ["folders"]:
                return self._create_folder(body)
            case "PUT", ["folders", uid]:
                return self._rename_folder(uid, body)
            case "GET", ["dashboards", "uid", uid]:
                return self._shown(self.dashboards.get(uid), "Dashboard not found")
            case "POST", ["dashboards", "db"]:
                return self._save_dashboard(body)
        return 404, {"message": "Not found"}

    def _shown(self, held: Body | None, missing: str) -> Answer:
        if held is None:
            return 404, {"message": missing}
        return 200, {key: value for key, value in copy.deepcopy(held).items() if key != "secureJsonData"}

    def _health(self, uid: str) -> Answer:
        source = self.data_sources.get(uid)
        if source is None:
            return 404, {"message": "Data source not found"}
        if source["secureJsonData"]["password"] != self.clickhouse_password:
            return 400, {"status": "ERROR", "message": "Authentication failed: password is incorrect"}
        return 200, {"status": "OK", "message": "Data source is working"}

    def _create_data_source(self, body: Body) -> Answer:
        if any(body["name"] == held["name"] for held in self.data_sources.values()):
            return 409, {"message": "data source with the same name already exists"}
        held = {"id": len(self.data_sources) + 1, "orgId": 1, "version": 1, "readOnly": False, "url": "", **body}
        self.data_sources[body["uid"]] = {**held, "secureJsonFields": dict.fromkeys(body["secureJsonData"], True)}
        return 200, {"id": held["id"], "name": body["name"], "message": "Datasource added"}

    def _update_data_source(self, uid: str, body: Body) -> Answer:
        held = self.data_sources.get(uid)
        if held is None:
            return 404, {"message": "Data source not found"}
        if held["readOnly"]:
            return 403, {"message": "Cannot update read-only data source"}
        if body.get("version", held["version"]) != held["version"]:
            return 409, {"message": "Datasource has already been updated by someone else. Please reload and try again"}
        self.data_sources[uid] = {**held, **body, "version": held["version"] + 1}
        return 200, {"message": "Datasource updated"}

    def _create_folder(self, body: Body) -> Answer:
        if body["uid"] in self.folders or any(body["title"] == held["title"] for held in self.folders.values()):
            return 409, {"message": "a folder with the same name already exists"}
        self.folders[body["uid"]] = {"id": 1, "version": 1, **body}
        return 200, self.folders[body["uid"]]

    def _rename_folder(self, uid: str, body: Body) -> Answer:
        held = self.folders.get(uid)
        if held is None:
            return 404, {"message": "folder not found"}
        if not body.get("overwrite") and body.get("version") != held["version"]:
            return 412, {"status": "version-mismatch", "message": "the folder has been changed by someone else"}
        self.folders[uid] = {**held, "title": body["title"], "version": held["version"] + 1}
        return 200, self.folders[uid]

    def _save_dashboard(self, body: Body) -> Answer:
        model, folder = copy.deepcopy(body["dashboard"]), body.get("folderUid", "")
        if folder and folder not in self.folders:
            return 400, {"message": "folder not found"}
        held = self.dashboards.get(model["uid"])
        others = [one for uid, one in self.dashboards.items() if uid != model["uid"]]
        if any(one["dashboard"]["title"] == model["title"] and one["meta"]["folderUid"] == folder for one in others):
            said = "A dashboard with the same name in the folder already exists"
            return 412, {"status": "name-exists", "message": said}
        if held is not None and held["meta"]["provisioned"]:
            return 400, {"message": "Cannot save provisioned dashboard"}
        now = held["dashboard"]["version"] if held is not None else 0
        if held is not None and not body.get("overwrite") and model.get("version") != now:
            return 412, {"status": "version-mismatch", "message": "The dashboard has been changed by someone else"}
        self.dashboards[model["uid"]] = {
            "meta": {"folderUid": folder, "provisioned": False, "type": "db"},
            "dashboard": _migrated(model, now + 1),
        }
        return 200, {"uid": model["uid"], "status": "success", "version": now + 1}


def _migrated(model: Body, version: int) -> Body:
    for panel in model["panels"]:
        panel["pluginVersion"] = "12.4.0"
        panel["fieldConfig"]["defaults"].setdefault("mappings", [])
    return {**model, "id": 7, "version": version, "schemaVersion": 42, "fiscalYearStartMonth": 0, "weekStart": ""}


@contextmanager
def serving(contract: GrafanaContract) -> Iterator[GrafanaContract]:
    """Serve it on loopback."""

    class Handler(BaseHTTPRequestHandler):
        def _serve(self) -> None:
            length = int(self.headers.get("Content-Length", 0))
            body = json.loads(self.rfile.read(length) or b"null") or {}
            path = self.path.removeprefix(contract.prefix)
            token = self.headers.get("Authorization", "").removeprefix("Bearer ")
            if contract.instead is not None:
                self._send(contract.instead[0], "text/html", contract.instead[1].encode())
            elif path.startswith("/api/") and self.path.startswith(contract.prefix):
                status, answer = contract.answer(self.command, path, token, body)
                self._send(status, "application/json", json.dumps(answer).encode())
            else:
                self._send(200, "text/html", b"<html>a page</html>")

        do_GET = do_POST = do_PUT = _serve  # noqa: N815 (names that http.server looks for)

        def _send(self, status: int, kind: str, content: bytes) -> None:
            self.send_response(status)
            self.send_header("Content-Type", kind)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, format: str, *args: Any) -> None:
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
    thread.start()
    contract.url = f"http://127.0.0.1:{server.server_port}{contract.prefix}"
    try:
        yield contract
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
