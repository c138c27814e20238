"""A folder with all that an offline start needs: Kafka's jars, the registry's archive, wheels, and their checksums.

DIR/kafka/*.jar   DIR/registry/*.tar.gz   DIR/wheels/*.whl   DIR/SHA256SUMS (as sha256sum writes and checks it)
"""

import hashlib
import importlib.metadata
import json
import re
import shutil
import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Final
from urllib.parse import unquote, urlsplit

from schemas.errors import CityopsError, UsageError

SUMS: Final = "SHA256SUMS"
LINE: Final = re.compile(r"([0-9a-f]{64})  (\S.*)")


def parts_in(folder: Path) -> tuple[tuple[Path, ...], Path]:
    """Return Kafka's jars and the registry's archive of a folder, each as it was when it was fetched.

    Raises UsageError in one sentence for a folder that is none, and for a file that is missing or damaged.
    """
    sums = read_sums(folder)
    jars = sorted(name for name in sums if name.startswith("kafka/"))
    archives = [name for name in sums if name.startswith("registry/")]
    if not jars or len(archives) != 1:
        raise UsageError(f"{folder} holds no whole stack: fill it with `cityops stack fetch --to {folder}`")
    damaged = [name for name in (*jars, *archives) if _sum_of(folder / name) != sums[name]]
    if damaged:
        raise UsageError(
            f"{folder / damaged[0]} is missing or damaged: fetch it again with `cityops stack fetch --to {folder}`"
        )
    return tuple(folder / name for name in jars), folder / archives[0]


def read_sums(folder: Path) -> dict[str, str]:
    """Return the checksums of a folder, name -> SHA-256. Raises UsageError where there are none."""
    try:
        lines = (folder / SUMS).read_text(encoding="utf-8").splitlines()
    except OSError as error:
        raise UsageError(
            f"{folder} has no {SUMS}: CITYOPS_STACK_PARTS names a folder that `cityops stack fetch --to` filled"
        ) from error
    return {found[2]: found[1] for line in lines if (found := LINE.fullmatch(line))}


def write_parts(folder: Path, jars: Iterable[Path], archive: Path) -> None:
    """Copy Kafka's jars and the registry's archive into a folder; what an earlier fetch left of them goes."""
    for name, paths in {"kafka": tuple(jars), "registry": (archive,)}.items():
        shutil.rmtree(folder / name, ignore_errors=True)
        (folder / name).mkdir(parents=True)
        for path in paths:
            shutil.copyfile(path, folder / name / path.name)


def write_sums(folder: Path) -> int:
    """Write the checksums of all that is in the folder; return how many files there are."""
    names = sorted(
        path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file() and path.name != SUMS
    )
    text = "".join(f"{_sum_of(folder / name)}  {name}\n" for name in names)
    (folder / SUMS).write_text(text, encoding="utf-8")
    return len(names)


def fetch_wheels(folder: Path, own: Path | None) -> None:
    """Fetch wheels of cityops and all it needs with pip, which obeys its own configuration and shows its own progress.

    own: our wheel; None = built from the checkout, or the file that this one was installed from.
    Raises UsageError where our wheel cannot be had, CityopsError when pip fails.
    """
    wheels = folder / "wheels"
    wheels.mkdir(parents=True, exist_ok=True)
    for old in wheels.glob("cityops-*.whl"):
        old.unlink()
    project = Path(__file__).resolve().parents[2]
    if own is None and (project / "pyproject.toml").exists():
        _pip("wheel", "--no-deps", "--wheel-dir", str(wheels), str(project))
        (own,) = wheels.glob("cityops-*.whl")
    own = own or _installed_from()
    _pip("wheel", "--wheel-dir", str(wheels), f"{own}[embedded]")


def _installed_from() -> Path:
    """Return the wheel that pip installed this cityops from, as its record tells."""
    record = importlib.metadata.distribution("cityops").read_text("direct_url.json")
    path = Path(unquote(urlsplit(json.loads(record)["url"]).path)) if record else Path()
    if path.suffix != ".whl" or not path.is_file():
        raise UsageError("the wheel that cityops was installed from is not here: name it with --wheel FILE")
    return path


def _pip(*arguments: str) -> None:
    if subprocess.run((sys.executable, "-m", "pip", *arguments), stdout=sys.stderr, check=False).returncode != 0:
        raise CityopsError("pip could not fetch the wheels: its own message is above")


def _sum_of(path: Path) -> str:
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError:
        return ""
