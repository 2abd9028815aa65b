"""An Alpaca client that others wrote, alpyca, finds the camera, exposes, and gets its pixels."""

from __future__ import annotations

import asyncio
import re
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from astropy.io import fits

from servers.alpaca.camera import AlpacaCamera
from servers.alpaca.device import AlpacaDevice
from servers.alpaca.filter_wheel import AlpacaFilterWheel
from servers.alpaca.focuser import AlpacaFocuser
from servers.alpaca.telescope import AlpacaTelescope
from tests.alpaca.served import Served, on_server

camera_module = pytest.importorskip("alpaca.camera", reason="PyPI alpyca is not installed")
errors = pytest.importorskip("alpaca.exceptions")
management = pytest.importorskip("alpaca.management")
States = camera_module.CameraStates


@pytest.mark.parametrize("kind", [AlpacaCamera, AlpacaFilterWheel, AlpacaFocuser, AlpacaTelescope])
def test_every_member_that_alpyca_asks_for_is_known(kind: type[AlpacaDevice]) -> None:
    folder = Path(camera_module.__file__).parent
    source = (folder / f"{kind.device_type.lower()}.py").read_text() + (folder / "device.py").read_text()
    asked = {(verb, name) for verb, name in re.findall(r"""self\._(get|put)\(\s*["'](\w+)["']""", source)}
    assert len(asked) > 15
    device = object.__new__(kind)
    assert [each for each in sorted(asked) if device.member(each[1], is_put=each[0] == "put") is None] == []


def with_alpyca(folder: Path, work: Callable[[Any, Served], None]) -> None:
    """Run what blocks, with a connected alpyca camera, beside the loop that serves it."""

    async def test(served: Served) -> None:
        def session() -> None:
            camera = camera_module.Camera(served.service.endpoint, 0)
            camera.Connect()
            assert camera.Connected and not camera.Connecting
            work(camera, served)
            camera.Disconnect()
            assert not camera.Connected

        await asyncio.to_thread(session)

    on_server(folder, test)


def ready(camera: Any) -> None:
    deadline = time.monotonic() + 10.0
    while not camera.ImageReady:
        assert time.monotonic() < deadline, camera.CameraState
        time.sleep(0.01)


def test_an_exposure_comes_as_image_bytes(tmp_path: Path) -> None:
    def work(camera: Any, served: Served) -> None:
        assert camera.CameraState == States.cameraIdle
        with pytest.raises(errors.InvalidOperationException, match="no image"):
            _ = camera.ImageArray
        camera.StartExposure(0.2, True)
        assert camera.CameraState in (States.cameraWaiting, States.cameraExposing)
        assert not camera.ImageReady
        ready(camera)
        assert camera.CameraState == States.cameraIdle and camera.PercentCompleted == 100
        # 2 x 2 amplifiers of 30 x 20 px, read from the corners; pixels are 1000 * amplifier + row, overscan is cut off.
        pixels = np.array(camera.ImageArray)
        info = camera.ImageArrayInfo
        assert (info.Dimension1, info.Dimension2, info.Rank) == (60, 40, 2)
        assert info.ImageElementType == 2 and info.TransmissionElementType == 8
        assert pixels.shape == (60, 40)
        assert pixels[0, 0] == 0 and pixels[59, 0] == 1000 and pixels[0, 39] == 2000 and pixels[59, 39] == 3000
        assert pixels[29, 19] == 19 and pixels[30, 20] == 3019
        assert camera.LastExposureDuration == pytest.approx(0.2)
        assert camera.LastExposureStartTime.startswith(time.strftime("%Y-", time.gmtime()))
        assert served.camera.exposure.last_number.value == 1, "the camera has written its own file, too"
        assert served.camera.exposure.image_type.value == "object"

    with_alpyca(tmp_path, work)


def test_title_and_type_of_an_image_are_actions(tmp_path: Path) -> None:
    def work(camera: Any, served: Served) -> None:
        assert camera.Action("Image_Title", "M42") == "M42"
        assert camera.Action("image_type", "FLAT") == "flat"
        camera.StartExposure(0.01, True)
        ready(camera)
        camera.StartExposure(0.0, False)
        ready(camera)
        with pytest.raises(errors.InvalidValueException, match="quartz2"):
            camera.Action("image_type", "quartz2")
        assert camera.Action("image_type", "") == "object"
        camera.StartExposure(0.01, True)
        ready(camera)
        headers = [fits.getheader(path) for path in sorted((tmp_path / "data").glob("*.fits"))]
        assert [each["IMAGETYP"] for each in headers] == ["flat", "zero", "object"]
        assert {each["OBJECT"] for each in headers} == {"M42"}

    with_alpyca(tmp_path, work)


def test_facts_of_sensor_and_abilities(tmp_path: Path) -> None:
    def work(camera: Any, served: Served) -> None:
        assert (camera.CameraXSize, camera.CameraYSize) == (60, 40)
        assert (camera.PixelSizeX, camera.PixelSizeY) == (9.0, 13.5)
        assert camera.SensorName == "STA1600" and camera.SensorType.value == 0
        assert (camera.MaxADU, camera.FullWellCapacity, camera.ElectronsPerADU) == (65535, 80_000.0, 1.75)
        assert (camera.ExposureMin, camera.ExposureMax, camera.ExposureResolution) == (0.0, 86400.0, 0.001)
        assert (camera.MaxBinX, camera.MaxBinY) == (30, 20), "no more than an amplifier has"
        assert camera.HasShutter and camera.CanAbortExposure and camera.CanStopExposure and camera.CanAsymmetricBin
        assert not (camera.CanPulseGuide or camera.CanFastReadout or camera.CanGetCoolerPower)
        assert camera.InterfaceVersion == 4 and camera.SupportedActions == ["image_title", "image_type"]
        assert camera.Name == "ccd/1/exposure" and "tests" in camera.Description
        assert camera.ReadoutModes == ["normal"] and camera.ReadoutMode == 0
        for missing in (
            "BayerOffsetX BayerOffsetY CoolerPower FastReadout HeatSinkTemperature SubExposureDuration IsPulseGuiding "
            "Gain GainMin GainMax Gains Offset OffsetMin OffsetMax Offsets"
        ).split():
            with pytest.raises(errors.NotImplementedException):
                getattr(camera, missing)
        with pytest.raises(errors.NotImplementedException):
            camera.PulseGuide(camera_module.GuideDirections.guideNorth, 100)
        with pytest.raises(errors.ActionNotImplementedException, match="no action 'dance'"):
            camera.Action("dance", "fast")
        states = {each["Name"]: each["Value"] for each in camera.DeviceState}
        assert states.keys() == {"CameraState", "CCDTemperature", "ImageReady", "PercentCompleted", "TimeStamp"}
        assert states["CCDTemperature"] == -101.5 and not states["ImageReady"]

    with_alpyca(tmp_path, work)


def test_a_window_across_amplifiers_is_read_binned(tmp_path: Path) -> None:
    def work(camera: Any, served: Served) -> None:
        camera.BinX, camera.BinY = 2, 5
        # 30 x 8 binned pixels are all; the window has pixels of all four amplifiers.
        camera.StartX, camera.StartY, camera.NumX, camera.NumY = 10, 2, 11, 3
        camera.StartExposure(0.0, False)
        ready(camera)
        pixels = np.array(camera.ImageArray)
        assert pixels.shape == (11, 3)
        # Each amplifier reads its binned rows 2 and 3, which the controller of the tests numbers 0 and 1; the upper
        # ones are read downwards, so row 4 of the picture is their row 3. From column 15 on it is the right ones'.
        assert (pixels[:5] == [0, 1, 2001]).all() and (pixels[5:] == [1000, 1001, 3001]).all()
        assert served.camera.exposure.image_type.value == "zero"
        roi = served.camera.exposure.setup.roi
        assert (roi.col_bin, roi.row_bin, roi.first_row, roi.first_col) == (2, 5, 11, 19)
        for name, value in (("NumX", 31), ("NumY", 9), ("StartX", 20), ("StartY", 6)):
            before = getattr(camera, name)
            setattr(camera, name, value)
            with pytest.raises(errors.InvalidValueException, match=f"{name} = {value} px is outside"):
                camera.StartExposure(0.0, False)
            setattr(camera, name, before)
        for name, value in (("BinX", 31), ("BinY", 0), ("NumX", 0), ("StartY", -1)):
            with pytest.raises(errors.InvalidValueException, match=f"{name} = {value} px is outside"):
                setattr(camera, name, value)
        with pytest.raises(errors.InvalidValueException, match="Duration"):
            camera.StartExposure(-0.1, True)
        with pytest.raises(errors.InvalidValueException, match="Duration"):
            camera.StartExposure(1e6, True)

    with_alpyca(tmp_path, work)


def test_exposures_are_aborted_and_stopped(tmp_path: Path) -> None:
    def work(camera: Any, served: Served) -> None:
        camera.StopExposure()
        camera.AbortExposure()
        with pytest.raises(errors.InvalidOperationException, match="no image"):
            _ = camera.LastExposureDuration
        camera.StartExposure(60.0, True)
        deadline = time.monotonic() + 5.0
        while camera.CameraState != States.cameraExposing:
            assert time.monotonic() < deadline
        assert 0 <= camera.PercentCompleted < 50
        with pytest.raises(errors.InvalidOperationException, match="under way"):
            camera.StartExposure(1.0, True)
        camera.AbortExposure()
        while camera.CameraState != States.cameraIdle:
            assert time.monotonic() < deadline
        assert not camera.ImageReady and camera.PercentCompleted == 0
        camera.StartExposure(60.0, False)
        deadline = time.monotonic() + 5.0
        while camera.CameraState != States.cameraExposing:
            assert time.monotonic() < deadline
        camera.StopExposure()
        ready(camera)
        assert 0.0 <= camera.LastExposureDuration < 5.0, "an integration that is stopped is read out"
        assert len(camera.ImageArray) == 60

    with_alpyca(tmp_path, work)


def test_the_cooler_is_the_temperature_controller(tmp_path: Path) -> None:
    def work(camera: Any, served: Served) -> None:
        assert camera.CCDTemperature == -101.5 and camera.CanSetCCDTemperature
        assert not camera.CoolerOn
        with pytest.raises(errors.ValueNotSetException):
            _ = camera.SetCCDTemperature
        camera.SetCCDTemperature = -95.0
        assert camera.CoolerOn and camera.SetCCDTemperature == -95.0
        with pytest.raises(errors.InvalidValueException, match=r"-200.0 degC is outside \[-150"):
            camera.SetCCDTemperature = -200.0
        camera.CoolerOn = False
        assert not camera.CoolerOn
        camera.CoolerOn = True
        assert camera.CoolerOn and camera.SetCCDTemperature == -95.0
        asked = [each for each in served.camera.link.asked if each.startswith("set_temperature")]
        assert asked == ["set_temperature -95.0", "set_temperature None", "set_temperature -95.0"]

    with_alpyca(tmp_path, work)


def test_management_tells_what_there_is(tmp_path: Path) -> None:
    def work(camera: Any, served: Served) -> None:
        endpoint = served.service.endpoint
        assert management.apiversions(endpoint) == [1]
        assert management.description(endpoint)["ServerName"] == "Diptych"
        found = management.configureddevices(endpoint)
        kinds = [(each["DeviceType"], each["DeviceNumber"], each["DeviceName"]) for each in found]
        assert ("Camera", 0, "ccd/1/exposure") in kinds and ("FilterWheel", 0, "ccd/1/instrument") in kinds
        assert ("Focuser", 0, "ccd/1/instrument") in kinds and ("Telescope", 0, "ccd/1/telescope") in kinds
        assert len({each["UniqueID"] for each in found}) == len(found)
        assert [each["UniqueID"] for each in management.configureddevices(endpoint)] == [
            each["UniqueID"] for each in found
        ]

    with_alpyca(tmp_path, work)
