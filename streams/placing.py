"""`--placement FILE`: where the devices are whose messages don't say."""

from pathlib import Path
from typing import Final

from rich.console import Console

from processors.placement import read_placement
from schemas.errors import UsageError
from schemas.records import DeviceKind, DeviceRegistration

SHOWN_REFUSED: Final = 5


def read_placement_file(path: Path, console: Console) -> tuple[DeviceRegistration, ...]:
    """Return the devices of a file, as registered before everything; lines that are none are told.

    A device whose kind is not told is a camera. Raises UsageError in one sentence when there is not one device.
    """
    try:
        lines = path.read_text(encoding="utf-8-sig").splitlines(keepends=True)
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"{path} cannot be read: {error}") from error
    listed, refused = read_placement(lines, default_kind=DeviceKind.CAMERA)
    for one in refused[:SHOWN_REFUSED]:
        console.print(f"  line {one.line} of {path}: {one.reason}", style="yellow", markup=False)
    if not listed:
        raise UsageError(f"{path} places no device: {refused[0].reason if refused else 'it is empty'}")
    kept = f", {len(refused):,} lines refused" if refused else ""
    console.print(f"{len(listed):,} devices placed by {path}{kept}")
    return tuple(one.registration for one in listed)
