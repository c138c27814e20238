"""Secrets: from the variable NAME, or from the file that NAME_FILE names, as Docker and Kubernetes hand them out."""

import stat
from collections.abc import Mapping
from pathlib import Path

from schemas.errors import UsageError


def secret(env: Mapping[str, str], name: str) -> str:
    """Return a secret, "" when it is not given; one line break at the end of a file does not count.

    Raises UsageError when it is given twice or its file cannot be read or is empty.
    """
    value, file = env.get(name, ""), env.get(f"{name}_FILE", "")
    if value and file:
        raise UsageError(f"{name} and {name}_FILE are both set: keep one of them")
    return _content(f"{name}_FILE", Path(file).expanduser()) if file else value


def handed_on(env: Mapping[str, str], name: str, value: str) -> dict[str, str]:
    """Return the two variables that give a child process the secret; one that came from a file stays in its file."""
    file = env.get(f"{name}_FILE", "")
    if file and secret(env, name) == value:
        return {name: "", f"{name}_FILE": str(Path(file).expanduser().resolve())}
    return {name: value, f"{name}_FILE": ""}


def exposed(env: Mapping[str, str], names: tuple[str, ...]) -> list[str]:
    """Return a sentence for each secret's file that every user of this machine can read."""
    files = {name: Path(env[f"{name}_FILE"]).expanduser().resolve() for name in names if env.get(f"{name}_FILE")}
    return [
        f"{name}_FILE {path} can be read by every user of this machine: chmod 600 it"
        for name, path in files.items()
        if _open_to_others(path)
    ]


def _content(name: str, path: Path) -> str:
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not text"
        raise UsageError(f"{name} is {path}, which cannot be read: {reason}") from error
    value = text.removesuffix("\n").removesuffix("\r")
    if not value:
        raise UsageError(f"{name} is {path}, which is empty")
    return value


def _open_to_others(path: Path) -> bool:
    try:
        readable = path.stat().st_mode & stat.S_IROTH
        return bool(readable) and all(folder.stat().st_mode & stat.S_IXOTH for folder in path.parents)
    except OSError:
        return False
