"""A loop detector with its receiver, at a simulated DCSS, in one loop; a camera whose pictures are told by their grey.

A grey picture stands for a loop whose tip is at ``grey / 256`` of the width, so that each row shows which picture it
answers; a black one has no loop, and one of grey 1 takes a long time.
"""

from __future__ import annotations

import asyncio
import contextlib
import io
import time
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from devices.dcss.loop_device import LoopDetector
from devices.pipelines.loop.result import LoopResult
from devices.pipelines.loop.series import RotationFit
from devices.pipelines.loop.settings import LoopSettings
from devices.simulators.axis.pushing import Pusher
from devices.simulators.axis.settings import AxisCameraSettings
from devices.simulators.dcss import Database, DcssSimulator
from servers.axis.receiver import AxisReceiver, AxisSettings

OPERATIONS = (
    "initializeCamera getLoopTip getPinDiameters addImageToList findBoundingBox getVerticalCut getLoopInfo "
    "collectLoopImages stopCollectLoopImages reboxLoopImage getLoopResults getLoopFace"
).split()
ROWS, COLUMNS = 64, 96
SLOW = 1
SLOW_SECONDS = 1.5


def picture(grey: int) -> bytes:
    packed = io.BytesIO()
    Image.new("L", (COLUMNS, ROWS), grey).save(packed, "PNG")
    return packed.getvalue()


def read_grey(image: NDArray[np.uint8], settings: LoopSettings | None = None) -> LoopResult:
    """What stands for the search: the loop whose tip the grey of the picture tells."""
    grey = int(image.flat[0])
    if grey == SLOW:
        time.sleep(SLOW_SECONDS)
    if grey == 0:
        return LoopResult(message="tip_not_in_view")
    edges = np.full((2, COLUMNS), np.nan, np.float32)
    edges[:, :60] = [[20.0], [44.0]]
    edges[:, 60:80] = [[16.0], [48.0]]
    return LoopResult(
        found=True, tip_x=grey / 256, tip_y=0.5, pin_base_x=0.125, loop_width=0.25 + grey / 1024, loop_width_x=0.2,
        box_min_x=grey / 512, box_max_x=grey / 256, box_min_y=0.25, box_max_y=0.75, fiber_width=0.0625, kind="mitegen",
        score=0.875, edges=edges,
    )  # fmt: skip


def no_fit(results: Any, angles_deg: Any) -> RotationFit:
    filled = tuple(results)
    used = tuple(each.found for each in filled)
    return RotationFit(True, 30.0, 120.0, 0.2, 0.1, 0.5, 0.02, 75.0, 0.0, 0.0, used, filled)


@pytest.fixture
def greys(monkeypatch: pytest.MonkeyPatch) -> None:
    """Pictures are told by their grey."""
    monkeypatch.setattr("devices.dcss.loop_picture.detect", read_grey)
    monkeypatch.setattr("devices.dcss.loop_device.fit_rotation", no_fit)


def database(host: str = "loop", *more: dict[str, Any]) -> Database:
    return Database.of(
        {
            "hosts": {host: {}, "self": {"simulated": True}},
            "devices": [
                {"kind": "operation", "names": OPERATIONS, "host": host},
                {
                    "kind": "real_motor",
                    "name": "gonio_phi",
                    "host": "self",
                    "circle": 1,
                    "units": "deg",
                    "speed": 60000,
                },
                {"kind": "shutter", "name": "video_trigger", "host": "self"},
                *more,
            ],
        }
    )


@dataclass
class Station:
    dcss: DcssSimulator
    device: LoopDetector
    receiver: AxisReceiver
    pusher: Pusher

    async def post(self, *greys: int) -> None:
        for grey in greys:
            assert await self.pusher.post(picture(grey)) == 200

    async def answer(self, name: str, text: str = "") -> str:
        """Status and words with which an operation was completed."""
        run = await self.dcss.engine.completed(self.dcss.engine.start_operation(name, text), 20.0)
        return f"{run.status} {run.result}".strip()

    async def until(self, reached: Callable[[], bool], what: str = "", seconds: float = 10.0) -> None:
        deadline = time.monotonic() + seconds
        while not reached():
            assert time.monotonic() < deadline, what or "not in time"
            await asyncio.sleep(0.01)


@contextlib.asynccontextmanager
async def station(**properties: Any) -> AsyncIterator[Station]:
    form = properties.pop("form", "plain")
    async with DcssSimulator(properties.pop("database", None) or database()) as dcss:
        given = {
            "executor": "thread:4", "dcss": f"127.0.0.1:{dcss.port}", "dhs_name": "loop", "linger_seconds": 0.1,
            "fresh_seconds": 60.0, **properties,
        }  # fmt: skip
        device = LoopDetector("dcss/loop/1", given)
        receiver = AxisReceiver(device.frames, AxisSettings(port=0))
        await receiver.start()
        await device.start()
        camera = AxisCameraSettings(receiver=f"http://127.0.0.1:{receiver.address[1]}/", form=form)
        at = Station(dcss, device, receiver, Pusher(camera))
        try:
            await dcss.online("loop")
            await at.until(lambda: device.connected, "the device is not connected")
            yield at
            assert dcss.violations == []
        finally:
            await device.stop()
            await receiver.stop()
