"""The whole camera on a simulated Archon, over its socket."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from astropy.io import fits

from devices.ccd.archon_controller import ArchonController
from devices.ccd.exposure_state import ExposureState
from devices.core.errors import ConfigurationError
from devices.drivers.send_image_receiver import ImageReceiver
from devices.simulators.archon import ArchonSimulator
from tests.ccd.camera import Camera, camera
from tests.support.running import until

ACF = Path(__file__).parents[2] / "dbconfig" / "ccd" / "archon.acf"
#: Four taps around a detector of 120 x 80, which see light behind 16 columns of prescan.
DETECTOR = '{"format": [120, 16, 16, 8, 80, 0, 0, 0, 0], "focalplane": [1, 1, 2, 2, [0, 1, 2, 3]]}'


@asynccontextmanager
async def archon_camera(folder: Path, simulator: ArchonSimulator, **properties: Any) -> AsyncIterator[Camera]:
    controller = ArchonController(
        "ccd/1/controller",
        {
            "link": f"tcp://127.0.0.1:{simulator.port}",
            "configuration": str(ACF),
            "timeout": "1.0",
            "frame_timeout": "1.5",
            "power_timeout": "0.5",
            "shown_telemetry": ["P5V_V", "BACKPLANE_TEMP_C"],
        },
    )
    async with camera(folder / "data", controller=controller, detector=DETECTOR, **properties) as found:
        yield found


def on_archon(folder: Path, test: Any, simulator: dict[str, Any] | None = None, **properties: Any) -> None:
    async def work() -> None:
        options = {"columns": 120, "rows": 80, "pixel_rate_hz": 1e6, "sweep_s": 0.0, **(simulator or {})}
        async with ArchonSimulator(**options) as archon, archon_camera(folder, archon, **properties) as found:
            await test(found, archon)

    asyncio.run(work())


def test_what_an_archon_measures_of_itself_is_shown_and_stands_in_files(tmp_path: Path) -> None:
    async def test(camera: Camera, archon: ArchonSimulator) -> None:
        await until(lambda: camera.tempcon.camera_temperature.reading.value is not None, "temperatures")
        result = await camera.done("expose", seconds=0.1, image_type="HeNeAr")
        with fits.open(result["file"], checksum=True) as file:
            file.verify("exception")
            assert (file[0].header["NEXTEND"], len(file)) == (5, 6)
            table = {row["Keyword"]: (row["Value"], row["Unit"]) for row in file["CONPARS"].data}
            assert table["P5V_V"] == (pytest.approx(5.0, abs=0.5), "V")
            assert table["BACKPLANE_TEMP_C"] == (pytest.approx(20.0, abs=30.0), "deg C")
            assert -150.0 < file[0].header["CCDTEMP1"] < 25.0
        assert camera.controller.attributes["p5v"].value == pytest.approx(5.0, abs=0.5)
        assert camera.controller.attributes["backplane_temp"].spec.unit == "degC"

    on_archon(tmp_path, test, add_extensions="true")


@pytest.mark.parametrize("fault", ["drop_in_fetch", "stall_in_fetch", "wrong_frame", "no_frame"])
def test_an_archon_that_fails_in_mid_readout_is_brought_back(tmp_path: Path, fault: str) -> None:
    async def test(camera: Camera, archon: ArchonSimulator) -> None:
        await camera.done("expose", seconds=0.0, image_type="zero")
        setattr(archon.faults, fault, True)
        status = await camera.run("expose", seconds=0.0, image_type="zero")
        assert status["state"] == "FAILED"
        setattr(archon.faults, fault, False)
        await camera.reaches(ExposureState.IDLE)
        await until(lambda: camera.controller.connected, "the controller is connected again", 15.0)
        result = await camera.done("expose", seconds=0.0, image_type="zero")
        assert Path(result["file"]).name == "a.0002.fits"

    on_archon(tmp_path, test)


def test_power_that_is_bad_is_told_and_no_exposure_begins(tmp_path: Path) -> None:
    async def test(camera: Camera, archon: ArchonSimulator) -> None:
        archon.faults.power_bad = True
        status = await camera.run("expose", seconds=0.0, image_type="zero")
        assert status["state"] == "FAILED"
        assert "power" in status["error"].casefold()
        archon.faults.power_bad = False
        await camera.done("expose", seconds=0.0, image_type="zero")

    on_archon(tmp_path, test)


def test_a_restart_of_the_server_leaves_the_archon_as_it_is(tmp_path: Path) -> None:
    async def test(camera: Camera, archon: ArchonSimulator) -> None:
        assert not [each for each in archon.controller.commands if each.startswith(("WCONFIG", "POWER", "APPLY"))]
        await camera.done("reset")
        assert not camera.controller.is_reset.value  # the exposure's tools_reset names none
        await camera.controller.run("reset")
        await until(lambda: camera.controller.is_reset.value, "the controller is reset", 15.0)

    on_archon(tmp_path, test)


def test_an_exposure_resets_the_tools_that_it_is_told_to(tmp_path: Path) -> None:
    async def test(camera: Camera, archon: ArchonSimulator) -> None:
        await camera.done("reset")
        assert camera.controller.is_reset.value

    on_archon(tmp_path, test, tools_reset="controller")


def test_the_set_point_goes_to_the_heater_of_the_archon(tmp_path: Path) -> None:
    async def test(camera: Camera, archon: ArchonSimulator) -> None:
        await camera.controller.run("reset")
        await until(lambda: camera.controller.is_reset.value, "the controller is reset", 15.0)
        await camera.tempcon.put("control_temperature", -95.5)
        assert any("HEATERATARGET=-95.5" in each for each in archon.controller.commands)

    on_archon(tmp_path, test)


def test_images_are_sent_to_another_host_after_they_are_written(tmp_path: Path) -> None:
    here, there = tmp_path / "data" / "a.0001.fits", tmp_path / "there" / "a.0001.fits"
    there.parent.mkdir()

    async def work() -> None:
        async with (
            ImageReceiver(there.parent, port=0) as receiver,
            camera(
                tmp_path / "data", remote_imageserver_flag="true", remote_imageserver_port=str(receiver.port),
                server_type="azcam",
            ) as found,
        ):  # fmt: skip
            result = await found.done("expose", seconds=0.0, image_type="zero")
            assert result["problems"] == []
            # The receiver of azcam answers before it has the file.
            await until(there.exists, "the image at the other host")
            assert there.read_bytes() == here.read_bytes()
            # One that does not want it costs nothing but a word.
            await found.exposure.put("image_number", 1)
            here.unlink()
            result = await found.done("expose", seconds=0.0, image_type="zero")
            assert result["problems"][0].startswith("sending: RefusedError: the image server refuses")
            assert here.exists()

    asyncio.run(work())


def test_wrong_properties_of_an_archon_are_all_told() -> None:
    with pytest.raises(ConfigurationError, match=r"link = 'udp://a'.*sensors = .*NAME=KEY"):
        ArchonController("ccd/1/controller", {"link": "udp://a", "configuration": str(ACF), "sensors": ["CCD"]})
    with pytest.raises(ConfigurationError, match="not an absolute path"):
        ArchonController("ccd/1/controller", {"link": "tcp://127.0.0.1:4242", "configuration": "archon.acf"})


def test_the_times_of_the_timing_script_in_a_header_are_of_its_own_exposure(tmp_path: Path) -> None:
    async def test(camera: Camera, archon: ArchonSimulator) -> None:
        for seconds, name, times in ((0.2, "flat", (200, 10)), (0.3, "dark", (0, 300)), (0.0, "zero", (0, 0))):
            header = fits.getheader((await camera.done("expose", seconds=seconds, image_type=name))["file"])
            assert (header["INTMS"], header["NOINTMS"]) == times

    on_archon(tmp_path, test)
