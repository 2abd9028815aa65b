"""``pyDHS BEAMLINE loop``: the loop detector by a beamline's configuration file, in a process of its own."""

from __future__ import annotations

import asyncio
import socket
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from devices.pipelines.loop.synthetic import encoded, scene
from devices.simulators.axis.pushing import Pusher
from devices.simulators.axis.settings import AxisCameraSettings
from devices.simulators.dcss import DcssSimulator
from tests.dcss.loop_station import database

BEAMLINE = """
dcss: {host: 127.0.0.1, port: %d}
loopdhs:
  jpeg_receiver: {port: %d}
"""
PYDHS = Path(sys.executable).parent / "pyDHS"


@pytest.mark.long
def test_pydhs_loop_finds_the_tip_in_a_posted_picture_and_ends_at_a_signal(tmp_path: Path) -> None:
    async def test() -> None:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port = probe.getsockname()[1]
        async with DcssSimulator(database()) as dcss:
            (tmp_path / "BL-831.config").write_text(BEAMLINE % (dcss.port, port))
            process = await asyncio.create_subprocess_exec(PYDHS, "BL-831", "loop", "--config", str(tmp_path))
            try:
                await dcss.online("loop", 60.0)
                shown = scene("easy", 11, "nylon").picture(30.0)
                pusher = Pusher(AxisCameraSettings(receiver=f"http://127.0.0.1:{port}/axis"))
                assert await pusher.post(encoded(shown.image)) == 200
                deadline = time.monotonic() + 60.0
                while True:
                    run = await dcss.engine.completed(dcss.engine.start_operation("getLoopTip", "0"), 30.0)
                    if run.status == "normal" or time.monotonic() > deadline:
                        break
                    await pusher.post(encoded(shown.image))
                assert run.status == "normal", run.result
                tip_x, tip_y = (float(word) for word in run.result.split()[:2])
                rows, columns = shown.image.shape[:2]
                off_px = np.hypot((tip_x - shown.truth.tip_x) * columns, (tip_y - shown.truth.tip_y) * rows)
                assert off_px < 5.0, run.result
                pusher.close()
                process.terminate()
                assert await asyncio.wait_for(process.wait(), 20.0) == 0
                assert dcss.violations == []
            finally:
                if process.returncode is None:
                    process.kill()
                    await process.wait()

    asyncio.run(test())
