"""Offline starts, mirrors and proxies: a folder of parts is checked, and downloads go where they are told to go."""

import hashlib
import io
import subprocess
import tarfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from schemas.errors import CityopsError, UsageError
from streams.settings import Settings, reach_loopback_directly
from streams.stack import start_stack
from streams.stack.downloads import REGISTRY_JAR, Origin, Step, registry_archive
from streams.stack.offline import parts_in, write_parts, write_sums

ARCHIVE = "/io/apicurio/apicurio-registry-app/3.0.9/apicurio-registry-app-3.0.9-all.tar.gz"


@dataclass(slots=True)
class Mirror:
    """A Maven repository under /maven2 that is a plain proxy too: what it was asked, word by word."""

    port: int = 0
    files: dict[str, bytes] = field(default_factory=dict)
    asked: list[str] = field(default_factory=list)


@contextmanager
def serving(mirror: Mirror) -> Iterator[Mirror]:
    class Answers(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            mirror.asked.append(self.path)
            body = mirror.files.get(urlsplit(self.path).path.removeprefix("/maven2"))
            self.send_response(404 if body is None else 200)
            self.send_header("Content-Length", str(len(body or b"")))
            self.end_headers()
            self.wfile.write(body or b"")

        def log_message(self, *_: object) -> None:
            """Stay silent."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Answers) as server:
        mirror.port = server.server_address[1]
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield mirror
        server.shutdown()


def packed() -> bytes:
    """Return an archive that has what the registry's has, and nothing in it."""
    file = io.BytesIO()
    with tarfile.open(fileobj=file, mode="w:gz") as tar:
        tar.addfile(tarfile.TarInfo(REGISTRY_JAR))
    return file.getvalue()


@pytest.fixture
def mirror(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Mirror]:
    """A mirror with the registry's archive; this user has downloaded nothing yet, and no proxy is set."""
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY", "ALL_PROXY"):
        monkeypatch.setenv(name, "")
        monkeypatch.setenv(name.lower(), "")
    monkeypatch.setenv("HOME", str(tmp_path / "user"))
    monkeypatch.setenv("M2_REPO", str(tmp_path / "user" / "m2"))
    body = packed()
    files = {ARCHIVE: body, f"{ARCHIVE}.sha1": hashlib.sha1(body).hexdigest().encode()}
    with serving(Mirror(files=files)) as running:
        yield running


def test_a_mirror_is_asked_instead_of_maven_central(mirror: Mirror) -> None:
    steps: list[Step] = []
    origin = Origin(maven_url=f"http://127.0.0.1:{mirror.port}/maven2")
    archive = registry_archive(steps.append, origin)
    assert archive.read_bytes() == mirror.files[ARCHIVE]
    assert mirror.asked == [f"/maven2{ARCHIVE}", f"/maven2{ARCHIVE}.sha1"]
    assert steps[-1].done_bytes == steps[-1].total_bytes == len(mirror.files[ARCHIVE])

    assert registry_archive(steps.append, origin) == archive
    assert len(mirror.asked) == 2


def test_what_a_mirror_damaged_is_refused(mirror: Mirror) -> None:
    mirror.files[ARCHIVE] = mirror.files[ARCHIVE][:-20]
    with pytest.raises(CityopsError, match="the schema registry could not be downloaded"):
        registry_archive(lambda step: None, Origin(maven_url=f"http://127.0.0.1:{mirror.port}/maven2"))


def test_a_proxy_is_asked_but_never_for_this_machine(
    mirror: Mirror, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("http_proxy", f"http://127.0.0.1:{mirror.port}")
    reach_loopback_directly()
    registry_archive(lambda step: None, Origin(maven_url="http://repo.example/maven2"))
    assert mirror.asked == [f"http://repo.example/maven2{ARCHIVE}", f"http://repo.example/maven2{ARCHIVE}.sha1"]

    monkeypatch.setenv("M2_REPO", str(tmp_path / "another"))
    with serving(Mirror(files=mirror.files)) as here:
        registry_archive(lambda step: None, Origin(maven_url=f"http://127.0.0.1:{here.port}/maven2"))
        assert here.asked == [f"/maven2{ARCHIVE}", f"/maven2{ARCHIVE}.sha1"]
    assert len(mirror.asked) == 2


@pytest.fixture
def parts(tmp_path: Path) -> Path:
    """A folder of parts as `cityops stack fetch` fills it, with small files."""
    for name in ("a.jar", "b.jar", "registry.tar.gz"):
        (tmp_path / name).write_bytes(name.encode() * 1000)
    folder = tmp_path / "parts"
    write_parts(folder, [tmp_path / "b.jar", tmp_path / "a.jar"], tmp_path / "registry.tar.gz")
    (folder / "wheels").mkdir()
    (folder / "wheels" / "x.whl").touch()
    assert write_sums(folder) == 4
    return folder


def test_a_whole_folder_of_parts(parts: Path) -> None:
    jars = (parts / "kafka" / "a.jar", parts / "kafka" / "b.jar")
    assert parts_in(parts) == (jars, parts / "registry" / "registry.tar.gz")
    subprocess.run(["sha256sum", "--check", "--strict", "SHA256SUMS"], cwd=parts, check=True, capture_output=True)


@pytest.mark.parametrize("name", ["kafka/b.jar", "registry/registry.tar.gz"])
def test_a_damaged_or_missing_part_is_named(parts: Path, name: str) -> None:
    whole = (parts / name).read_bytes()
    (parts / name).write_bytes(whole[:500] + b"?" + whole[501:])
    with pytest.raises(UsageError, match=rf"{name} is missing or damaged: fetch it again with `cityops stack fetch"):
        parts_in(parts)
    (parts / name).unlink()
    with pytest.raises(UsageError, match=rf"{name} is missing or damaged"):
        parts_in(parts)


def test_a_folder_that_is_none_is_told(parts: Path, tmp_path: Path, stackless: Settings) -> None:
    with pytest.raises(UsageError, match=r"has no SHA256SUMS: CITYOPS_STACK_PARTS names a folder that `cityops"):
        start_stack(replace(stackless, stack_parts=tmp_path / "nothing"))
    (parts / "SHA256SUMS").write_text("")
    with pytest.raises(UsageError, match="holds no whole stack"):
        parts_in(parts)
