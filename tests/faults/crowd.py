"""Many PVAccess clients in one process, each subscribed to everything.

``python -m tests.faults.crowd COUNT``, with the PVs on its standard input.
"""

from __future__ import annotations

import sys
import time

from p4p.client.raw import Context


def main() -> None:
    pvs = sys.stdin.read().split()
    clients = [Context("pva") for _ in range(int(sys.argv[1]))]
    monitors = []
    for client in clients:
        for pv in pvs:
            holder: list[object] = []

            def arrived(holder: list[object] = holder) -> None:
                while holder and holder[0].pop() is not None:  # type: ignore[attr-defined]
                    pass

            holder.append(client.monitor(pv, arrived))
            monitors.append(holder)
    while True:
        time.sleep(60.0)


if __name__ == "__main__":
    main()
