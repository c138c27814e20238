"""Run a program that ends when its parent does: `python -I child.py PARENT_PID COMMAND...`, never imported.

Linux ends the program at once when the supervisor dies, however it dies. Elsewhere the next start finds and ends it.
"""

import ctypes
import os
import signal
import sys

PR_SET_PDEATHSIG = 1


def main(parent_pid: int, command: list[str]) -> None:
    """Become `command`, tied to the life of the parent."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent_pid:  # it died before the line above
        sys.exit(1)
    os.execv(command[0], command)  # noqa: S606 (a fixed argument list of the supervisor)


if __name__ == "__main__":
    main(int(sys.argv[1]), sys.argv[2:])
