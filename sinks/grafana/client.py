"""Grafana's HTTP API through grafana-api; endpoints newer than that package go by its `api.GET`, `POST` and `PUT`."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Final
from urllib.parse import urlsplit

import requests
from grafana_api.grafana_api import GrafanaClientError, GrafanaException, GrafanaUnauthorizedError
from grafana_api.grafana_face import GrafanaFace

from schemas.errors import CityopsError, UsageError
from sinks.grafana.looks import Json

TIMEOUT_S: Final = 20.0
FORBIDDEN: Final = 403
NOT_FOUND: Final = 404
CONFLICTS: Final = (409, 412)


@dataclass(frozen=True, slots=True)
class DataSourceHealth:
    """Whether Grafana reaches ClickHouse with a data source, in its own words."""

    ok: bool
    said: str


class Grafana:
    """One Grafana server, asked with the token of a service account.

    Every method raises UsageError in one sentence: nobody answers, not a Grafana, token refused, not allowed, in use
    by somebody else; and CityopsError for what Grafana itself fails at.
    """

    def __init__(self, url: str, token: str) -> None:
        """Take http(s)://host:port/path and a token. Raises UsageError for an address that is none."""
        try:
            split = urlsplit(url)
            port = split.port
        except ValueError:
            split, port = urlsplit(""), None
        if split.scheme not in ("http", "https") or not split.hostname:
            raise UsageError(f"{url!r} is not the address of a Grafana: write it like http://localhost:3000")
        self.url: Final = url.rstrip("/")
        path = split.path.strip("/")
        host = f"[{split.hostname}]" if ":" in split.hostname else split.hostname
        self._face = GrafanaFace(
            auth=token,
            host=host,
            port=port,
            url_path_prefix=f"{path}/" if path else "",
            protocol=split.scheme,
            timeout=TIMEOUT_S,
        )
        self._face.api.s.hooks["response"].append(self._check)

    def has_plugin(self, plugin: str) -> bool:
        """Tell whether a plugin is installed."""
        return self._found("read its plugins", f"/plugins/{plugin}/settings") is not None

    def data_source(self, uid: str) -> Json | None:
        """Return one data source, or None."""
        return self._found("read data sources", f"/datasources/uid/{uid}")

    def create_data_source(self, wanted: Json) -> None:
        """Create a data source."""
        with self._told("create data sources", f"it has another data source named {wanted['name']!r}: rename that one"):
            self._face.datasource.create_datasource(wanted)

    def update_data_source(self, wanted: Json, version: int) -> None:
        """Change a data source that still is of this version."""
        with self._told("change data sources", "somebody else changes the data source: apply again"):
            self._face.api.PUT(f"/datasources/uid/{wanted['uid']}", json={**wanted, "version": version})

    def health(self, uid: str) -> DataSourceHealth:
        """Ask Grafana to try a data source."""
        with self._told("try data sources"):
            try:
                answer: Json = self._face.api.GET(f"/datasources/uid/{uid}/health")
            except GrafanaException as error:  # a data source that does not work is answered with 400
                if "status" not in error.response:
                    raise
                answer = error.response
        return DataSourceHealth(answer.get("status") == "OK", str(answer.get("message", "")))

    def folder(self, uid: str) -> Json | None:
        """Return one folder, or None."""
        return self._found("read folders", f"/folders/{uid}")

    def create_folder(self, uid: str, title: str) -> None:
        """Create a folder at the top."""
        with self._told("create folders", f"it has another folder named {title!r}: rename that one"):
            self._face.folder.create_folder(title, uid)

    def rename_folder(self, uid: str, title: str, version: int) -> None:
        """Give a folder its title back."""
        with self._told("change folders", "somebody else changes the folder: apply again"):
            self._face.folder.update_folder(uid, title, version=version)

    def dashboard(self, uid: str) -> Json | None:
        """Return one dashboard with its `meta`, or None."""
        return self._found("read dashboards", f"/dashboards/uid/{uid}")

    def save_dashboard(self, model: Json, folder: str, version: int | None) -> None:
        """Create a dashboard, or replace one that still is of this version."""
        taken = f"somebody else changes the dashboard {model['title']!r}, or another one has its name: apply again"
        dashboard = {**model, "id": None} if version is None else {**model, "version": version}
        body = {"dashboard": dashboard, "folderUid": folder, "overwrite": False, "message": "cityops grafana apply"}
        with self._told("save dashboards", taken):
            self._face.dashboard.update_dashboard(body)

    def _found(self, doing: str, path: str) -> Json | None:
        with self._told(doing):
            try:
                found: Json = self._face.api.GET(path)
            except GrafanaClientError as error:
                if error.status_code != NOT_FOUND:
                    raise
                return None
            return found

    def _check(self, response: requests.Response, **_: object) -> None:
        """Refuse an answer that is not Grafana's, which are JSON objects whatever the status."""
        if response.is_redirect:
            return
        try:
            grafanas = isinstance(response.json(), dict)
        except ValueError:
            grafanas = False
        if not grafanas:
            raise UsageError(
                f"what answered at {self.url} is no Grafana (status {response.status_code}): "
                "check GRAFANA_URL or --url, the address that people open in a browser"
            )

    @contextmanager
    def _told(self, doing: str, conflict: str = "") -> Iterator[None]:
        """Turn what goes wrong into one sentence."""
        try:
            yield
        except GrafanaUnauthorizedError as error:
            raise UsageError(
                f"Grafana at {self.url} refuses the token: give that of a service account with the role Admin"
            ) from error
        except GrafanaException as error:
            if error.status_code == FORBIDDEN:
                raise UsageError(
                    f"the token may not {doing} at {self.url} ({_said(error)}): "
                    "its service account needs the role Admin, and what is provisioned from files stays as it is"
                ) from error
            if error.status_code in CONFLICTS and conflict:
                raise UsageError(f"Grafana at {self.url} says {_said(error)!r}: {conflict}") from error
            kind = UsageError if isinstance(error, GrafanaClientError) else CityopsError
            raise kind(f"Grafana at {self.url} would not {doing}: {_said(error)} ({error.status_code})") from error
        except requests.exceptions.SSLError as error:
            raise UsageError(
                f"the certificate of {self.url} is not trusted: name its authority's file in REQUESTS_CA_BUNDLE"
            ) from error
        except (requests.RequestException, ValueError) as error:  # urllib3 says ValueError of an odd host
            raise UsageError(f"no Grafana answers at {self.url}: check the address (--url, GRAFANA_URL)") from error


def _said(error: GrafanaException) -> str:
    said = str(error.response.get("message") or error.message)
    return " ".join(said.split()).rstrip(".")[:300]
