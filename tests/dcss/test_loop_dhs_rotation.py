"""The whole of it with real pictures: DCSS opens the camera's trigger, the camera posts 30 pictures a second of a loop
that turns, and the detector finds it in each, in processes of its own."""

from __future__ import annotations

import asyncio

import numpy as np
import pytest

from devices.simulators.axis import AxisCameraSettings, AxisSimulator
from devices.simulators.dcss import ScriptRunner
from tests.dcss.loop_station import station

FRAMES = 90


@pytest.mark.long
def test_ninety_pictures_in_three_seconds_are_all_answered_in_order_and_the_tip_is_found() -> None:
    async def run() -> None:
        async with station(executor="process:2", frame_seconds=60.0) as at:
            settings = AxisCameraSettings(
                receiver=f"http://127.0.0.1:{at.receiver.address[1]}/axis",
                dcss=f"127.0.0.1:{at.dcss.gui_port}",
                level="easy",
                kind="nylon",
                seed=7,
            )
            async with AxisSimulator(settings) as camera:
                await camera.prepare(FRAMES + 10)
                await at.until(lambda: bool(at.dcss.gui.clients), "the trigger line is not connected")
                # The processes load the search; what they are shown meanwhile waits.
                await at.until(lambda: at.device.warmed, "nothing can be examined", 60.0)
                first = camera.step
                rows = await ScriptRunner(at.dcss.engine).run("loopFast", "180 3")
                posted = camera.posted
                assert camera.refused == camera.unheard == 0
                assert FRAMES - 8 <= posted <= FRAMES + 8
                found = [row.strip("{}").split() for row in rows.split("} {")]
                assert [int(row[0]) for row in found] == list(range(len(found)))
                assert posted - 1 <= len(found) <= posted
                errors = []
                for index, row in enumerate(found):
                    _, truth = camera.view.at(first + index)
                    if row[1] == "normal":
                        errors.append(
                            np.hypot((float(row[2]) - truth.tip_x) * 704, (float(row[3]) - truth.tip_y) * 480)
                        )
                assert len(errors) >= 0.95 * len(found)
                assert np.median(errors) < 5.0  # px
                await at.until(lambda: at.device.rotation_found.value, "no sine fits")
                # Widths of the rows are least at the edge, most a quarter turn from it.
                assert abs(abs(at.device.face_angle.value - at.device.edge_angle.value) - 90.0) < 20.0
                print("row delay", at.device.row_delay.value, "ms; median tip error", np.median(errors))

    asyncio.run(run())
