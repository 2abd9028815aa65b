"""The Channel Access repeater of a facility, on loopback; it hands server beacons on to every client of this host.

``python -m servers.facility.repeater --host 127.0.0.1 --port 5065``. Clients start one of their own when there is none,
and that one would outlive the facility.
"""

from __future__ import annotations

import argparse
import os
import threading
from typing import Final

from servers.facility import leash

RETRY_SECONDS: Final = 1.0


def main() -> None:
    parser = argparse.ArgumentParser(description="Channel Access repeater")
    parser.add_argument("--host", required=True)
    parser.add_argument("--port", type=int, required=True)
    options = parser.parse_args()
    leash.attach()
    os.environ["EPICS_CA_REPEATER_PORT"] = str(options.port)
    from caproto.sync import repeater

    while True:
        repeater.run(options.host)  # returns at once when another repeater has the port, which serves as well
        threading.Event().wait(RETRY_SECONDS)


if __name__ == "__main__":
    main()
