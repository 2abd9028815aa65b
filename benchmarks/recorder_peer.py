"""A p4p client that receives many PVs and keeps nothing: what Python's PVAccess costs at the least."""

from __future__ import annotations

import json
import sys
import threading
from collections import deque
from functools import partial
from typing import Any

from p4p.client.raw import Context


def main() -> None:
    """Told how many PVs and the ports; runs until its input ends, and answers every line."""
    count, ports = int(sys.argv[1]), json.loads(sys.argv[2])
    configuration = {
        "EPICS_PVA_AUTO_ADDR_LIST": "NO",
        "EPICS_PVA_ADDR_LIST": "127.0.0.1",
        "EPICS_PVA_NAME_SERVERS": f"127.0.0.1:{ports['pva']}",
        "EPICS_PVA_BROADCAST_PORT": str(ports["search"]),
    }
    context = Context("pva", conf=configuration, useenv=False, nt=False)
    noted: deque[int] = deque()
    request = "field(value,alarm,timeStamp)"
    monitors: list[Any] = [context.monitor(f"R{n}", partial(noted.append, n), request=request) for n in range(count)]
    taken = 0
    stop = threading.Event()

    def answer() -> None:
        for _ in sys.stdin:
            print(json.dumps({"written": taken}), flush=True)
        stop.set()

    threading.Thread(target=answer, daemon=True).start()
    while not stop.wait(0.2):
        for _ in range(len(noted)):
            monitor = monitors[noted.popleft()]
            while monitor.pop() is not None:
                taken += 1
    context.close()


if __name__ == "__main__":
    main()
