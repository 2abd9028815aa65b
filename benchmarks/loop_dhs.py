"""The loop detector at a simulated DCSS: a camera posts 90 pictures in 3 s; how soon the last row is there.

Camera, DCSS and the search share the machine; no peer can be installed (loop-dhs is on no package index).
"""

from __future__ import annotations

import asyncio
import statistics

from benchmarks.figure import Figure
from devices.dcss.loop_device import LoopDetector
from devices.simulators.axis import AxisCameraSettings, AxisSimulator
from devices.simulators.dcss import Database, DcssSimulator
from servers.axis.receiver import AxisReceiver, AxisSettings

NAMES = ["collectLoopImages", "stopCollectLoopImages"]
DATABASE = {"hosts": {"loop": {}}, "devices": [{"kind": "operation", "names": NAMES, "host": "loop"}]}
ROUNDS = 3
FRAMES = 90


def run() -> list[Figure]:
    return asyncio.run(_run())


async def _run() -> list[Figure]:
    async with DcssSimulator(Database.of(DATABASE)) as dcss:
        properties = {"dcss": f"127.0.0.1:{dcss.port}", "dhs_name": "loop", "frame_seconds": 60.0}
        device = LoopDetector("dcss/loop/1", properties)
        receiver = AxisReceiver(device.frames, AxisSettings(port=0))
        await receiver.start()
        await device.start()
        url = f"http://127.0.0.1:{receiver.address[1]}/"
        try:
            async with AxisSimulator(AxisCameraSettings(receiver=url, level="medium")) as camera:
                await camera.prepare(camera.view.steps)
                await dcss.online("loop")
                while not device.warmed:
                    assert not device.status.startswith("pictures cannot"), device.status
                    await asyncio.sleep(0.1)
                found = [await _rotation(dcss, camera, device) for _ in range(ROUNDS)]
        finally:
            await device.stop()
            await receiver.stop()
    delays, rows = zip(*found, strict=True)
    return [
        Figure("loop DHS: pictures of 90 in 3 s answered in order, worst", min(rows), "rows", above=FRAMES),
        Figure("loop DHS: last row after the last picture", statistics.median(delays) * 1e3, "ms", below=300.0),
    ]


async def _rotation(dcss: DcssSimulator, camera: AxisSimulator, device: LoopDetector) -> tuple[float, int]:
    """From the arrival of the last picture until its row, s; and how many rows came in order."""
    run = dcss.engine.start_operation("collectLoopImages")
    await dcss.engine.until(lambda: bool(run.updates), 10.0, "start")
    await camera.rotate(FRAMES)
    await dcss.engine.until(lambda: len(run.updates) > FRAMES, 120.0, "rows")
    dcss.engine.stop_operation("collectLoopImages")
    await dcss.engine.completed(run)
    return device.row_delay.value / 1e3, sum(
        update.split()[1:3] == [str(index), "normal"] for index, update in enumerate(run.updates[1:])
    )
