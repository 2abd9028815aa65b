"""The simulated Alpaca devices as the official client of Python sees them."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from devices.core.errors import ConfigurationError
from devices.simulators.alpaca import AlpacaSettings, AlpacaSimulator

pytest.importorskip("alpaca", reason="alpyca is not installed")

from alpaca.camera import Camera, CameraStates, ImageArrayElementTypes
from alpaca.dome import Dome, ShutterState
from alpaca.exceptions import (
    InvalidOperationException,
    InvalidValueException,
    NotConnectedException,
    NotImplementedException,
)
from alpaca.filterwheel import FilterWheel
from alpaca.focuser import Focuser
from alpaca.management import configureddevices, description
from alpaca.telescope import Telescope


def seen(test: Callable[[str], None], **options: object) -> None:
    """Run a test of a blocking client against a simulator."""

    async def run() -> None:
        async with AlpacaSimulator(**{"columns": 60, "rows": 40, "scene": "test", **options}) as simulator:
            await asyncio.to_thread(test, f"127.0.0.1:{simulator.port}")

    asyncio.run(run())


def until(holds: Callable[[], bool]) -> None:
    end = time.monotonic() + 10.0
    while not holds():
        assert time.monotonic() < end
        time.sleep(0.01)


@pytest.mark.parametrize("image_bytes", [1, 0])
def test_a_camera_exposes_a_window_and_its_picture_has_the_axes_x_and_y(image_bytes: int) -> None:
    def test(address: str) -> None:
        camera = Camera(address, 0)
        with pytest.raises(NotConnectedException):
            camera.CameraState  # noqa: B018
        camera.Connected = True
        assert (camera.CameraXSize, camera.CameraYSize, camera.MaxADU) == (60, 40, 65535)
        camera.BinX, camera.BinY = 2, 3
        camera.StartX, camera.StartY, camera.NumX, camera.NumY = 5, 4, 11, 7
        camera.StartExposure(0.02, True)
        until(lambda: camera.ImageReady)
        assert camera.CameraState is CameraStates.cameraIdle
        assert camera.LastExposureDuration == 0.02
        picture = np.array(camera.ImageArray)
        columns, rows = 10 + 2 * np.arange(11), 12 + 3 * np.arange(7)
        np.testing.assert_array_equal(picture, (1000 * (columns % 8) + columns)[:, np.newaxis] + 31 * rows)
        assert camera.ImageArrayInfo.ImageElementType == ImageArrayElementTypes.Int32.value

    seen(test, image_bytes=image_bytes)


def test_a_camera_refuses_what_it_cannot() -> None:
    def test(address: str) -> None:
        camera = Camera(address, 0)
        camera.Connected = True
        with pytest.raises(InvalidValueException, match=r"BinX = 9 is outside \[1, 4\]"):
            camera.BinX = 9
        with pytest.raises(InvalidOperationException, match="there is no image"):
            camera.ImageArray  # noqa: B018
        with pytest.raises(NotImplementedException):
            camera.PulseGuide(0, 10)
        camera.NumX = 61
        with pytest.raises(InvalidValueException, match="NumX = 61"):
            camera.StartExposure(0.01, True)
        camera.NumX = 60
        camera.StartExposure(30.0, True)
        with pytest.raises(InvalidOperationException, match="the camera is busy: EXPOSING"):
            camera.StartExposure(0.01, True)
        camera.AbortExposure()
        assert camera.CameraState is CameraStates.cameraIdle
        assert not camera.ImageReady

    seen(test)


def test_an_exposure_that_is_stopped_has_lasted_until_then() -> None:
    def test(address: str) -> None:
        camera = Camera(address, 0)
        camera.Connected = True
        camera.StartExposure(30.0, True)
        assert camera.CameraState is CameraStates.cameraExposing
        camera.StopExposure()
        until(lambda: camera.ImageReady)
        assert 0.0 <= camera.LastExposureDuration < 10.0

    seen(test)


def test_light_is_proportional_to_time_and_binned_pixels_add_up() -> None:
    def test(address: str) -> None:
        camera = Camera(address, 0)
        camera.Connected = True

        def mean(seconds: float, light: bool, binning: int) -> float:
            camera.BinX = camera.BinY = binning
            camera.NumX, camera.NumY = 200 // binning, 160 // binning
            camera.StartExposure(seconds, light)
            until(lambda: camera.ImageReady)
            return float(np.mean(camera.ImageArray))

        bias = mean(0.001, False, 1)
        # 10 000 e-/s behind vignetting of 1.67 % on either axis, 2 e-/adu, 0.1 s.
        assert mean(0.1, True, 1) - bias == pytest.approx(0.1 * 10_000 * 0.967 / 2.0, rel=0.02)
        assert mean(0.1, True, 2) - bias == pytest.approx(4 * 0.1 * 10_000 * 0.967 / 2.0, rel=0.02)

    seen(
        test,
        columns=200,
        rows=160,
        scene="flat",
        flat_e_s=10_000.0,
        gain_e_adu=2.0,
        dark_e_s=0.0,
        cosmic_rays_mpix_h=0.0,
    )


def test_the_cooler_works_only_when_it_is_on() -> None:
    def test(address: str) -> None:
        camera = Camera(address, 0)
        camera.Connected = True
        camera.SetCCDTemperature = -15.0
        assert not camera.CoolerOn
        assert camera.CoolerPower == 0.0
        warm = camera.CCDTemperature
        assert warm == pytest.approx(20.0)
        camera.CoolerOn = True
        until(lambda: camera.CCDTemperature < warm - 0.05)
        assert camera.CoolerPower > 0.0

    seen(test)


def test_the_devices_beside_the_camera_move() -> None:
    def test(address: str) -> None:
        assert description(address)["ServerName"] == "Diptych simulator"
        kinds = [each["DeviceType"] for each in configureddevices(address)]
        assert kinds == ["Camera", "Focuser", "FilterWheel", "Telescope", "Dome"]
        devices: list[Any] = [each(address, 0) for each in (Focuser, FilterWheel, Telescope, Dome)]
        focuser, wheel, telescope, dome = devices
        for each in devices:
            each.Connected = True
        focuser.Move(25_200)
        wheel.Position = 2
        telescope.Tracking = True
        telescope.SlewToCoordinatesAsync(telescope.SiderealTime, 40.0)
        dome.SlewToAzimuth(90.0)
        dome.OpenShutter()
        until(lambda: not (focuser.IsMoving or wheel.Position < 0 or telescope.Slewing))
        assert (focuser.Position, wheel.Position, telescope.Declination) == (25_200, 2, 40.0)
        assert dome.ShutterStatus is ShutterState.shutterOpening
        telescope.Park()
        until(lambda: telescope.AtPark)

    seen(test, slew_degrees_s=200.0, filter_s=0.05, focus_steps_s=5000.0)


def test_wrong_options_are_all_named() -> None:
    with pytest.raises(ConfigurationError) as caught:
        AlpacaSettings.of({"most_binning": 0, "faults": "smoke", "lens": 3})
    assert len(caught.value.problems) == 3
