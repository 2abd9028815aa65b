"""A loop detector that shares the name of the bridge in DCSS, and comes back when the bridge does."""

from __future__ import annotations

import asyncio
import time
from pathlib import Path

import pytest

from devices.core.peers import Peers
from devices.dcss.bridge import Bridge
from devices.dcss.bridge_device import DcssBridge
from devices.dcss.loop_device import LoopDetector
from devices.simulators.dcss import DcssSimulator
from tests.dcss.loop_station import database, greys, picture

__all__ = ["greys"]
pytestmark = pytest.mark.usefixtures("greys")


def test_operations_of_the_detector_are_those_of_the_bridge(tmp_path: Path) -> None:
    async def run() -> None:
        mapping = tmp_path / "mapping.yaml"
        mapping.write_text("{}\n")
        async with DcssSimulator(database("bl1")) as dcss:
            peers = Peers()
            bridge = DcssBridge(
                "dcss/bridge/1", {"dcss": f"127.0.0.1:{dcss.port}", "dhs_name": "bl1", "mapping": str(mapping)}
            )
            loop = LoopDetector("dcss/loop/1", {"executor": "thread", "bridge": "DCSS/bridge/1", "fresh_seconds": 60.0})
            for device in (bridge, loop):
                device.peers = peers
                peers.add(device)
                await device.start()
            try:
                await dcss.online("bl1")
                loop.frames.take(picture(64))

                async def answer() -> str:
                    await dcss.online("bl1")
                    run = await dcss.engine.completed(dcss.engine.start_operation("getLoopTip"), 5.0)
                    return f"{run.status} {run.result}"

                async def served_by(other_than: Bridge | None) -> Bridge:
                    deadline = time.monotonic() + 10.0
                    while True:
                        now = bridge.bridge
                        if now is not None and now is not other_than and "getLoopTip" in now.operations.names:
                            return now
                        assert time.monotonic() < deadline
                        await asyncio.sleep(0.05)

                async def online() -> None:
                    deadline = time.monotonic() + 10.0
                    while await answer() != "normal 0.25000 0.50000":
                        assert time.monotonic() < deadline
                        await dcss.online("bl1")

                first = await served_by(None)
                await online()
                bridge.lost(ConnectionError("as if its mapping had changed"))
                second = await served_by(first)
                await online()
                await loop.stop()
                assert second.operations.names == frozenset()
            finally:
                await loop.stop()
                await bridge.stop()

    asyncio.run(run())
