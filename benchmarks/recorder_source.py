"""A Channel Access server of many numbers that all change once a second: an IOC in C, which costs little."""

from __future__ import annotations

import json
import sys


def main() -> None:
    """Told how many PVs; the ports are in the environment; changes values until its input ends."""
    from softioc import builder, softioc
    from softioc.asyncio_dispatcher import AsyncioDispatcher

    for number in range(int(sys.argv[1])):
        builder.records.calc(
            f"R{number}", SCAN="1 second", CALC="(77000+FLOOR(RNDM*5000))/1000", EGU="K", PREC=3, HIGH=81.9, HSV="MINOR"
        )
    builder.LoadDatabase()
    softioc.iocInit(AsyncioDispatcher())
    print(json.dumps({"ready": True}), flush=True)
    sys.stdin.read()


if __name__ == "__main__":
    main()
