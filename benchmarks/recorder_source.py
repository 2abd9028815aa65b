"""A PVAccess server of many numbers that all change once a second, evenly over the second; p4p alone."""

from __future__ import annotations

import json
import sys
import threading
import time

from p4p.nt import NTScalar
from p4p.server import Server, StaticProvider
from p4p.server.thread import SharedPV

PERIOD_S = 1.0
PORTIONS = 20


def main() -> None:
    """Told how many PVs and the ports; changes values until its input ends."""
    count, ports = int(sys.argv[1]), json.loads(sys.argv[2])
    kind = NTScalar("d", display=True)
    pvs = [SharedPV(nt=kind, initial={"value": 0.0, "timeStamp.secondsPastEpoch": 1}) for _ in range(count)]
    provider = StaticProvider("many")
    for number, pv in enumerate(pvs):
        provider.add(f"R{number}", pv)
    configuration = {
        "EPICS_PVAS_INTF_ADDR_LIST": "127.0.0.1",
        "EPICS_PVA_SERVER_PORT": str(ports["pva"]),
        "EPICS_PVA_BROADCAST_PORT": str(ports["search"]),
    }
    stop = threading.Event()
    threading.Thread(target=lambda: (sys.stdin.read(), stop.set()), daemon=True).start()
    with Server(providers=[provider], conf=configuration, useenv=False):
        print(json.dumps({"ready": True}), flush=True)
        number, due = 0, time.monotonic()
        while not stop.is_set():
            portion = number % PORTIONS
            stamp = time.time()
            for index in range(portion, count, PORTIONS):
                pvs[index].post(77.0 + 0.001 * ((number * 31 + index) % 5000), timestamp=stamp)
            number += 1
            due = max(due + PERIOD_S / PORTIONS, time.monotonic())
            stop.wait(due - time.monotonic())


if __name__ == "__main__":
    main()
