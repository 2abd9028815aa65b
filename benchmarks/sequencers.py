"""What the run engine spends on a point over CA, PVA and Tango, beside ophyd-async's own signals without a network.

A point: one signal is set with completion, a command that does nothing is run, five signals are read.
"""

from __future__ import annotations

import statistics
import tempfile
import time
from pathlib import Path
from typing import Any

from benchmarks.figure import Figure
from tests.clients.bench import DEVICE, PREFIX, bench
from tests.clients.process import ClientProcess

POINTS = 100
ROUNDS = 3
READ = ("temperature", "counts", "fast", "a_bool", "an_int64")


def run() -> list[Figure]:
    """ms for a point, medians of the rounds."""
    with tempfile.TemporaryDirectory() as folder, bench(Path(folder) / "files", Path(folder) / "state") as facility:
        for attribute in READ:  # ophyd-async describes no attribute that is INVALID
            facility.publish(attribute, 1)
        clients = {name: ClientProcess(facility.environment) for name in ("soft", "ca", "pva", "tango")}
        try:
            for name, client in clients.items():
                client(_begin, name, facility.environment["TANGO_HOST"], seconds=60.0)
            rounds = [{name: client(_points, seconds=120.0) for name, client in clients.items()} for _ in range(ROUNDS)]
        finally:
            for client in clients.values():
                client.close()
    median = {name: statistics.median(each[name] for each in rounds) for name in clients}
    return [
        Figure(f"Bluesky point: set, trigger, read of 5; {name}", median[name], "ms", peer=median["soft"])
        for name in ("ca", "pva", "tango")
    ]


kept: dict[str, Any] = {}  # in the client's process


def _begin(name: str, tango_host: str) -> None:
    from bluesky import RunEngine
    from ophyd_async.core import StandardReadable, init_devices, soft_signal_rw
    from ophyd_async.epics.core import epics_signal_r, epics_signal_rw_rbv, epics_triggerable_command
    from ophyd_async.tango.core import tango_signal_r, tango_signal_rw, tango_triggerable_command

    types = {"temperature": float, "counts": int, "fast": float, "a_bool": bool, "an_int64": int}
    pvs = {"temperature": "Temperature", "counts": "Counts", "fast": "Fast", "a_bool": "ABool", "an_int64": "AnInt64"}
    trl = f"tango://{tango_host}/{DEVICE}"

    def signal(attribute: str) -> Any:
        if name == "soft":
            return soft_signal_rw(types[attribute])
        if name == "tango":
            form = tango_signal_rw if attribute == "temperature" else tango_signal_r
            return form(types[attribute], f"{trl}/{attribute}")
        form = epics_signal_rw_rbv if attribute == "temperature" else epics_signal_r
        return form(types[attribute], f"{name}://{PREFIX}{pvs[attribute]}")

    def command() -> Any:
        if name == "tango":
            return tango_triggerable_command(f"{trl}/nothing")
        return epics_triggerable_command(f"{name}://{PREFIX}Nothing")

    class Point(StandardReadable):
        def __init__(self) -> None:
            with self.add_children_as_readables():
                for attribute in READ:
                    setattr(self, attribute, signal(attribute))
            if name != "soft":
                self.nothing = command()
            super().__init__()

        def trigger(self) -> Any:
            return self.nothing.trigger() if name != "soft" else self.fast.set(1.0)

    engine = RunEngine()
    with init_devices(timeout=20.0):
        point = Point()
    kept.update(engine=engine, point=point)


def _points() -> float:
    """ms for a point."""
    import bluesky.plan_stubs as bps

    point = kept["point"]

    def plan() -> Any:
        yield from bps.open_run()
        for number in range(POINTS):
            yield from bps.mv(point.temperature, 90.0 + number % 7)
            yield from bps.trigger_and_read([point])
        yield from bps.close_run()

    began = time.perf_counter()
    kept["engine"](plan())
    return (time.perf_counter() - began) / POINTS * 1e3
