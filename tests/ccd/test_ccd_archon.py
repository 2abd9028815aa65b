"""The whole camera on a simulated Archon, over its socket."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import numpy as np
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
PIXELS = 4 * (16 + 60 + 8) * 40


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


def test_an_archon_takes_images_of_all_types(tmp_path: Path) -> None:
    async def test(camera: Camera, archon: ArchonSimulator) -> None:
        means = {}
        await until(lambda: camera.tempcon.camera_temperature.reading.value is not None, "temperatures")
        for name, seconds in (("zero", 0.0), ("dark", 0.1), ("flat", 0.1), ("HeNeAr", 0.1)):
            result = await camera.done("expose", seconds=seconds, image_type=name, title=f"a {name}")
            with fits.open(result["file"], checksum=True) as file:
                file.verify("exception")
                assert [each.data.shape for each in file[1:5]] == [(40, 84)] * 4
                assert (file[0].header["NEXTEND"], len(file)) == (5, 6)
                table = {row["Keyword"]: (row["Value"], row["Unit"]) for row in file["CONPARS"].data}
                assert table["P5V_V"] == (pytest.approx(5.0, abs=0.5), "V")
                assert table["BACKPLANE_TEMP_C"] == (pytest.approx(20.0, abs=30.0), "deg C")
                data, bias = file[1].data[:, 16:76], file[1].data[:, 76:]
                means[name] = float(data.mean()) - float(bias.mean())
                header = file[0].header
                assert header["CONTROLR"] == "Archon"
                assert header["EXPTIME"] == pytest.approx(seconds, abs=0.05)
                assert -150.0 < header["CCDTEMP1"] < 25.0
        # 10 000 e-/s at 1.5 e-/adu.
        assert means["flat"] == pytest.approx(10_000 * 0.1 / 1.5, rel=0.25)
        assert abs(means["zero"]) < 5.0 and abs(means["dark"]) < 5.0
        assert camera.controller.attributes["p5v"].value == pytest.approx(5.0, abs=0.5)
        assert camera.controller.attributes["backplane_temp"].spec.unit == "degC"

    on_archon(tmp_path, test, {"scene": "flat"}, add_extensions="true")


def test_an_exposure_is_paused_read_early_and_aborted_on_an_archon(tmp_path: Path) -> None:
    async def test(camera: Camera, archon: ArchonSimulator) -> None:
        identity = await camera.start("expose", seconds=0.8, image_type="object")
        await camera.reaches(ExposureState.EXPOSING)
        await camera.exposure.run("pause")
        assert camera.exposure.exposure_state.value is ExposureState.PAUSED
        await camera.exposure.run("resume")
        result = (await camera.ended(identity))["result"]
        assert result["exposure_time"] == pytest.approx(0.8, abs=0.1)

        identity = await camera.start("expose", seconds=60.0, image_type="object")
        await until(lambda: 0.0 < camera.exposure.exposure_time_remaining.value < 59.7, "0.3 s")
        await camera.exposure.run("start_readout")
        result = (await camera.ended(identity))["result"]
        assert 0.2 < result["exposure_time"] < 20.0

        identity = await camera.start("expose", seconds=60.0, image_type="object")
        await camera.reaches(ExposureState.EXPOSING)
        await camera.abort()
        assert (await camera.ended(identity))["state"] == "ABORTED"
        assert camera.exposure.exposure_state.value is ExposureState.IDLE
        await camera.done("expose", seconds=0.0, image_type="zero")

    on_archon(tmp_path, test)


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


def test_the_pixels_of_an_archon_lie_where_the_scene_has_them(tmp_path: Path) -> None:
    async def test(camera: Camera, archon: ArchonSimulator) -> None:
        result = await camera.done("expose", seconds=0.0, image_type="zero")
        with fits.open(result["file"]) as file:
            assert len({np.asarray(each.data).tobytes() for each in file[1:]}) == 4
            assert all(each.data.min() != each.data.max() for each in file[1:])

    on_archon(tmp_path, test, {"scene": "test"})


def test_wrong_properties_of_an_archon_are_all_told() -> None:
    with pytest.raises(ConfigurationError, match=r"link = 'udp://a'.*sensors = .*NAME=KEY"):
        ArchonController("ccd/1/controller", {"link": "udp://a", "configuration": str(ACF), "sensors": ["CCD"]})
    with pytest.raises(ConfigurationError, match="not an absolute path"):
        ArchonController("ccd/1/controller", {"link": "tcp://127.0.0.1:4242", "configuration": "archon.acf"})
