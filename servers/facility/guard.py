"""Ends what is left of a facility whose supervisor was killed: ``python -m servers.facility.guard --record FILE``.

Children end by themselves when the leash is cut. One that hangs, or a helper that a server left behind, cannot; some
seconds later this process ends their process groups by force. It imports nothing large, since it only waits.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import signal
import time
from collections.abc import Iterable
from pathlib import Path

from servers.facility import leash


def main() -> None:
    parser = argparse.ArgumentParser(description="Ends what is left of a facility whose supervisor was killed")
    parser.add_argument("--record", type=Path, required=True, help="what the supervisor wrote of its processes")
    options = parser.parse_args()
    leash.wait_until_cut()
    record = json.loads(options.record.read_text())
    groups = set(record["processes"].values()) - {os.getpid()}
    deadline = time.monotonic() + leash.GRACE_SECONDS
    while (left := _living(groups)) and time.monotonic() < deadline:
        time.sleep(0.1)
    for group in left:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(group, signal.SIGKILL)


def _living(groups: Iterable[int]) -> list[int]:
    living = []
    for group in groups:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(group, 0)
            living.append(group)
    return living


if __name__ == "__main__":
    main()
