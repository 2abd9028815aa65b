"""The shipped script of a beamline in one loop: DCSS, bridge, loop detector and camera; cryostat and SAXS stand-ins."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

import pytest

from devices.core.neighbours import Progress
from devices.dcss.bridge import Bridge
from devices.dcss.dhs_link import DhsLink
from devices.dcss.loop_device import LoopDetector
from devices.dcss.mapping import fill, read_mapping
from devices.drivers import tcl_list
from devices.simulators.axis import AxisCameraSettings, AxisSimulator
from devices.simulators.dcss import Database, DcssSimulator
from devices.simulators.dcss.engine import OperationRun
from servers.axis.receiver import AxisReceiver, AxisSettings
from tests.support.beamline import Beamline
from tests.support.serving import ROOT

CRYO, SAXS = "cryo/cryocon/1/", "saxs/detector/1/"


class Hall(Beamline):
    """A cryostat that goes to its set point while its loops control, and a detector that sees the shutter.

    Attributes:
        series: how each series of images ended.
    """

    def __init__(self, dcss: DcssSimulator) -> None:
        super().__init__()
        self.dcss, self.series = dcss, list[str]()
        for address, value in {
            f"{CRYO}setpoint_1": 40.0, f"{CRYO}temperature_a": 20.0, f"{CRYO}control": False,
            f"{CRYO}output_power_1": 0.0, "ca:SAXS1:QPeak": 1.0763, "pva:SAXS1:I0": 212.5,
            "pva:SAXS1:CorrelationLength": 3.25, "ca:SAXS1:ImagesProcessed": 7,
        }.items():  # fmt: skip
            self.show(address, value)
        self.commands = {
            f"{CRYO}control_on": lambda: self.show(f"{CRYO}control", True),
            f"{CRYO}control_off": lambda: self.show(f"{CRYO}control", False),
        }

    async def live(self) -> None:
        """Let the temperature follow, by a fifth of what is left each 20 ms."""
        while True:
            await asyncio.sleep(0.02)
            kelvin = self.values[f"{CRYO}temperature_a"]
            if self.values[f"{CRYO}control"]:
                self.show(f"{CRYO}temperature_a", kelvin + 0.2 * (self.values[f"{CRYO}setpoint_1"] - kelvin))

    async def run(
        self, address: str, arguments: Mapping[str, Any], progress: Progress | None = None, seconds: float | None = None
    ) -> Any:
        if address != f"{SAXS}series":
            return await super().run(address, arguments, progress, seconds)
        assert progress is not None
        progress(0.0, "begun")
        try:
            for image in range(1, arguments["images"] + 1):
                await until(lambda: self.dcss.dcss.devices["shutter"].state == "open", "the shutter is open", 30.0)
                await asyncio.sleep(0.05)
                progress(100.0 * image / arguments["images"], f"{image} images")
        except asyncio.CancelledError:
            self.series.append("ended")
            raise
        self.series.append("complete")
        return {
            "images": arguments["images"],
            "q_peak": 1.0763,
            "i0": 212.5,
            "correlation_length": 3.25,
            "q_peak_sd": 0,
        }


@dataclass
class Station:
    dcss: DcssSimulator
    hall: Hall
    camera: AxisSimulator
    loop: LoopDetector

    @property
    def state(self) -> dict[str, Any]:
        devices = self.dcss.dcss.devices
        return {name: devices[name].state for name in ("shutter", "video_trigger")} | {
            "moving": [name for name, each in devices.items() if getattr(each, "moving", False)],
            "running": [run.name for run in self.dcss.engine.runs.values()],
        }

    def collect(self, text: str) -> OperationRun:
        return self.dcss.engine.start_operation("collectSaxs", text)

    async def ended(self, run: OperationRun) -> OperationRun:
        return await self.dcss.engine.completed(run, 60.0)


SAFE = {"shutter": "closed", "video_trigger": "closed", "moving": [], "running": []}


async def until(reached: Any, what: str, seconds: float = 20.0) -> None:
    deadline = time.monotonic() + seconds
    while not reached():
        assert time.monotonic() < deadline, what
        await asyncio.sleep(0.01)


@contextlib.asynccontextmanager
async def beamline() -> AsyncIterator[Station]:
    folder = ROOT / "dbconfig"
    async with (
        DcssSimulator(Database.read(folder / "beamline.database.yaml")) as dcss,
        contextlib.AsyncExitStack() as on,
    ):
        hall = Hall(dcss)
        bridge = Bridge(hall, logging.getLogger("diptych.test"))
        fill(bridge, read_mapping(folder / "beamline.mapping.yaml"), "mapping")
        link = DhsLink("127.0.0.1", dcss.port, "diptych", bridge)
        loop = LoopDetector("dcss/loop/1", {"executor": "thread:2", "finder": "classical", "dhs_name": "loop",
            "dcss": f"127.0.0.1:{dcss.port}", "video_fps": 10.0, "frame_seconds": 60.0})  # fmt: skip
        receiver = AxisReceiver(loop.frames, AxisSettings(port=0))
        await receiver.start()
        on.push_async_callback(receiver.stop)
        settings = AxisCameraSettings(
            receiver=f"http://127.0.0.1:{receiver.address[1]}/", fps=10.0, step_deg=6.0, kind="nylon", seed=7,
            dcss=f"127.0.0.1:{dcss.gui_port}", spindle="gonio_phi", stage="sample_x,sample_y,sample_z",
        )  # fmt: skip
        camera = await on.enter_async_context(AxisSimulator(settings))
        await camera.prepare(31)
        url = f"http://127.0.0.1:{camera.port}/axis-cgi/jpg/image.cgi"
        loop.properties = replace(loop.properties, snapshot_url=url)
        await loop.start()
        on.push_async_callback(loop.stop)
        bridge.begin()
        await link.start()
        living = asyncio.create_task(hall.live())
        try:
            await dcss.online("diptych")
            await dcss.online("loop")
            await until(lambda: dcss.gui.clients, "the camera hears DCSS")
            await until(lambda: "CONTROL" in dcss.dcss.devices["cryo_status"].contents, "the cryostat is known")
            yield Station(dcss, hall, camera, loop)
        finally:
            living.cancel()
            await bridge.close()
            await link.stop()
        assert dcss.violations == []


@pytest.mark.long
def test_a_collection_warms_centres_takes_images_and_goes_back() -> None:
    async def test() -> None:
        async with beamline() as at:
            run = await at.ended(at.collect("85 3 30 180"))
            assert run.status == "normal", run.result
            words = tcl_list.split(run.result)
            found = dict(zip(words[::2], map(float, words[1::2]), strict=True))
            assert found["TEMPERATURE"] == pytest.approx(85.0, abs=0.5)
            figures = [found[name] for name in ("IMAGES", "Q_PEAK", "I0", "CORRELATION_LENGTH")]
            assert figures == [3.0, 1.0763, 212.5, 3.25]
            assert found["ROWS"] >= 25  # of 30 pictures
            # The loop of the picture is now in its middle, and shows its face.
            _, truth = at.camera.view.at(at.camera.step)
            assert (truth.tip_x, truth.tip_y) == pytest.approx((0.5, 0.5), abs=0.02)
            assert (found["TIP_X"], found["TIP_Y"]) == pytest.approx((truth.tip_x, truth.tip_y), abs=0.01)
            assert [update.split()[0] for update in run.updates[:4]] == ["temperature", "rotation", "rows", "tip"]
            assert [update.split()[1] for update in run.updates[4:]] == [
                "0.000000",
                "33.300000",
                "66.700000",
                "100.000000",
            ]
            assert at.state == SAFE and at.hall.series == ["complete"]
            # Beyond the limits of the mapping; nothing has moved.
            refused = await at.ended(at.collect("400 3"))
            assert (refused.status, at.state) == ("sw_limit", SAFE)
            # The cryostat was off at 40 K.
            assert (float(at.hall.values[f"{CRYO}setpoint_1"]), at.hall.values[f"{CRYO}control"]) == (40.0, False)

    asyncio.run(test())


@pytest.mark.long
@pytest.mark.parametrize("how", ["abort", "stop"])
def test_an_abort_while_images_are_taken_closes_the_shutter_and_holds_the_temperature(how: str) -> None:
    async def test() -> None:
        async with beamline() as at:
            at.hall.show(f"{CRYO}control", True)
            await until(lambda: "CONTROL 1" in at.dcss.dcss.devices["cryo_status"].contents, "the heaters control")
            run = at.collect("60 500 60 120")
            await until(lambda: at.state["shutter"] == "open", f"images are taken: {run.result} {run.updates}", 60.0)
            if how == "abort":
                at.dcss.engine.abort_all()
            else:
                at.dcss.engine.stop_operation("collectSaxs")
            await at.ended(run)
            assert run.status == {"abort": "aborted", "stop": "stopped"}[how]
            await until(lambda: at.state == SAFE and at.hall.series == ["ended"], f"all is safe: {at.state}")
            assert (at.hall.values[f"{CRYO}setpoint_1"], at.hall.values[f"{CRYO}control"]) == (60.0, True)

    asyncio.run(test())
