"""Free ports on loopback."""

import socket
from typing import Final

LOOPBACK: Final = "127.0.0.1"


def free_port(wanted: int | None = None) -> int:
    """Return `wanted` where nothing holds it, otherwise a free port of the system's choice."""
    for port in (wanted, 0):
        if port is None:
            continue
        with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind((LOOPBACK, port))
            except OSError:
                continue
            return int(probe.getsockname()[1])
    raise OSError("no free port on 127.0.0.1")
