"""A child of the facility ends when its supervisor does, even when that was killed.

Every child holds the reading end of a pipe whose writing end only the supervisor has: the kernel closes it however the
supervisor ends. A program that is not ours is started through ``python -m servers.facility.leash COMMAND``, which asks
the kernel for SIGTERM at the death of the parent (a setting that survives exec) and becomes COMMAND.
"""

from __future__ import annotations

import ctypes
import os
import select
import signal
import sys
import threading
from collections.abc import Sequence
from typing import Final

FD_VARIABLE: Final = "DIPTYCH_LEASH_FD"

# A stop must be over 10 s after the supervisor's death, with a margin for the kernel and a busy machine.
GRACE_SECONDS: Final = 5.0

_PR_SET_PDEATHSIG: Final = 1


def is_held() -> bool:
    """Whether a supervisor started this process (before `attach`)."""
    return FD_VARIABLE in os.environ


def attach() -> None:
    """End this process (SIGTERM, after 5 s its whole process group by SIGKILL) when the supervisor ends.

    Without a supervisor this does nothing.
    """
    fd = os.environ.pop(FD_VARIABLE, None)
    if fd is not None:
        threading.Thread(target=_end_with_supervisor, args=(int(fd),), name="leash", daemon=True).start()


def wait_until_cut() -> None:
    """Wait for the end of the supervisor."""
    _is_cut(int(os.environ.pop(FD_VARIABLE)), None)


def _end_with_supervisor(fd: int) -> None:
    _is_cut(fd, None)
    os.kill(os.getpid(), signal.SIGTERM)
    threading.Event().wait(GRACE_SECONDS)
    if os.getpgrp() == os.getpid():
        os.killpg(0, signal.SIGKILL)
    os._exit(1)


def _is_cut(fd: int, milliseconds: int | None) -> bool:
    """Whether the writing end is closed, which nobody ever writes to; waits for it, for ever with None.

    The pipe is one for all children, so none of them may change its settings (to non-blocking, say).
    """
    end = select.poll()
    end.register(fd, select.POLLIN)
    return bool(end.poll(milliseconds))


def become(command: Sequence[str]) -> None:
    """Turn this process into ``command``, which the kernel ends with the parent."""
    fd = int(os.environ.pop(FD_VARIABLE, "-1"))
    ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)
    if fd >= 0:
        if _is_cut(fd, 0):
            raise SystemExit(1)  # the supervisor died before the kernel was asked
        os.close(fd)
    try:
        os.execvp(command[0], list(command))  # noqa: S606 - an argument list, and no shell is wanted  # nosec B606
    except OSError as error:
        raise SystemExit(f"cannot start {command[0]}: {error.strerror}") from error


if __name__ == "__main__":
    become(sys.argv[1:])
