"""Exposures with a camera behind Alpaca: the link against the simulated server."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import replace

import numpy as np
import pytest

from devices.ccd.alpaca_link import AlpacaLink, CameraState
from devices.ccd.alpaca_picture import as_raw
from devices.ccd.alpaca_settings import AlpacaSettings
from devices.ccd.controller_link import Layout, RawImage
from devices.core.errors import (
    NotAllowedError,
    NotConnectedError,
    ProtocolError,
    RangeError,
    RefusedError,
    TimeoutError,
)
from devices.pipelines.ccd.deinterlace import amplifiers
from devices.pipelines.ccd.detector import FocalPlane, Format, Geometry, Roi
from devices.pipelines.ccd.geometry import make_geometry, whole
from devices.simulators.alpaca import AlpacaSimulator
from devices.simulators.alpaca.camera import State

FORMAT = Format(columns=120, serial_predark=0, serial_underscan=0, serial_overscan=0, rows=80)
ONE = FocalPlane()

Test = Callable[[AlpacaSimulator, AlpacaLink], Awaitable[None]]


def geometry(roi: Roi | None = None, plane: FocalPlane = ONE) -> Geometry:
    return make_geometry(FORMAT, plane, roi or whole(FORMAT))


def using(test: Test, settings: AlpacaSettings | None = None, **options: object) -> None:
    """A camera of 120 x 80 pixels whose column x and row y have the value 31 y + 1000 (x % 8) + x, from 0."""

    async def run() -> None:
        given = {"columns": 120, "rows": 80, "scene": "test", "pixel_rate_hz": 1e9, "most_binning": 4} | options
        async with AlpacaSimulator(**given) as simulator:
            link = AlpacaLink(
                replace(settings or AlpacaSettings("127.0.0.1"), port=simulator.port, timeout=0.5, frame_timeout=0.8)
            )
            try:
                await link.connect()
                await link.reset()
                await link.set_geometry(geometry())
                await test(simulator, link)
            finally:
                await link.close()

    asyncio.run(run())


async def over(link: AlpacaLink) -> None:
    while await link.remaining():  # noqa: ASYNC110
        await asyncio.sleep(0.01)


async def exposed(link: AlpacaLink, seconds: float = 0.0, opens_shutter: bool = True) -> RawImage:
    await link.start_exposure(seconds, opens_shutter)
    await over(link)
    return await link.read_image(lambda pixels: None)


def pattern(columns: np.ndarray, rows: np.ndarray) -> np.ndarray:
    return (columns + 1000 * (columns % 8))[np.newaxis] + 31 * rows[:, np.newaxis]


def test_the_whole_picture_comes_row_by_row_and_pixels_left_count_down() -> None:
    async def test(simulator: AlpacaSimulator, link: AlpacaLink) -> None:
        left: list[int] = []
        await link.start_exposure(0.01, True)
        image = await link.read_image(left.append)
        assert image.layout is Layout.ASSEMBLED
        assert image.pixels.dtype == np.uint16
        assert image.seconds == 0.01
        np.testing.assert_array_equal(image.pixels, pattern(np.arange(120), np.arange(80)))
        assert (left[0], left[-1]) == (9600, 0)
        assert sorted(left, reverse=True) == left
        assert "camera/startexposure Duration=0.01 Light=True" in simulator.asked

    using(test)


@pytest.mark.parametrize("flips", [0, 1, 2, 3])
def test_a_window_of_a_flipped_binned_detector_is_that_part_in_the_order_of_reading(flips: int) -> None:
    async def test(simulator: AlpacaSimulator, link: AlpacaLink) -> None:
        # Columns 13 to 60 by 3 and rows 9 to 28 by 4, counted from where the amplifier begins to read.
        window = geometry(Roi(13, 60, 9, 28, 3, 4), FocalPlane(flips=(flips,)))
        await link.set_geometry(window)
        image = await exposed(link)
        read = amplifiers(image.pixels, window, "ASSEMBLED")[0]
        columns, rows = 12 + 3 * np.arange(16), 8 + 4 * np.arange(5)
        # Of each bin the simulator shows the pixel with the lowest number.
        x = 119 - (columns + 2) if flips & 1 else columns
        y = 79 - (rows + 3) if flips & 2 else rows
        np.testing.assert_array_equal(read, pattern(x, y))

    using(test)


def test_a_window_never_begins_within_a_binned_pixel() -> None:
    async def test(simulator: AlpacaSimulator, link: AlpacaLink) -> None:
        with pytest.raises(RangeError, match=r"first_col = 3: binned by 4.* begins at col 1, 5, 9 ..., not at 3"):
            await link.set_geometry(geometry(Roi(3, 60, 1, 80, 4, 1)))
        with pytest.raises(NotAllowedError, match="the window of the image is not set"):
            await link.start_exposure(1.0, True)
        starts = [each for each in simulator.asked if "/startx" in each]
        assert starts == ["camera/startx StartX=0"]

    using(test)


def test_what_the_camera_does_not_have_is_refused_before_it_is_asked() -> None:
    async def test(simulator: AlpacaSimulator, link: AlpacaLink) -> None:
        asked = len(simulator.asked)
        with pytest.raises(NotAllowedError, match="has one amplifier, not 2"):
            await link.set_geometry(geometry(plane=FocalPlane(amps_x=2, flips=(0, 1))))
        with pytest.raises(RangeError, match=r"col_bin = 5 is outside \[1, 4\]"):
            await link.set_geometry(geometry(Roi(1, 120, 1, 80, 5, 5)))
        with pytest.raises(NotAllowedError, match="bins columns and rows alike, not 2 x 1"):
            await link.set_geometry(geometry(Roi(1, 120, 1, 80, 2, 1)))
        with pytest.raises(RangeError, match=r"ends at col 128, outside \[1, 120\]"):
            large = Format(columns=128, serial_predark=0, serial_underscan=0, serial_overscan=0, rows=80)
            await link.set_geometry(make_geometry(large, ONE, whole(large)))
        await link.set_geometry(geometry())
        asked += 6
        with pytest.raises(RangeError, match=r"seconds = 4000 s is outside \[0.01, 3600\] s"):
            await link.start_exposure(4000.0, True)
        with pytest.raises(RangeError, match=r"seconds = 0.002 s is outside"):
            await link.start_exposure(0.002, True)
        assert len(simulator.asked) == asked
        # A bias is as short as it can be.
        assert (await exposed(link, 0.0, False)).seconds == 0.01

    using(test, asymmetric=0, shortest_s=0.01)


def test_an_early_readout_keeps_what_came_and_an_abort_keeps_nothing() -> None:
    async def test(simulator: AlpacaSimulator, link: AlpacaLink) -> None:
        await link.start_exposure(60.0, True)
        assert 59.0 < await link.remaining() <= 60.0
        with pytest.raises(NotAllowedError, match="cannot pause"):
            await link.pause()
        await link.end_exposure()
        assert await link.remaining() == 0.0
        image = await link.read_image(lambda pixels: None)
        assert image.seconds is not None
        assert 0.0 < image.seconds < 10.0
        await link.start_exposure(60.0, True)
        await link.abort()
        assert await link.state() is CameraState.IDLE
        with pytest.raises(NotAllowedError, match="no exposure was begun"):
            await link.read_image(lambda pixels: None)
        await exposed(link)

    using(test)


def test_a_camera_that_cannot_abort_is_stopped_and_one_that_can_do_neither_says_so() -> None:
    async def stops(simulator: AlpacaSimulator, link: AlpacaLink) -> None:
        await link.start_exposure(60.0, True)
        await link.abort()
        assert "camera/stopexposure" in simulator.asked
        assert await link.state() is CameraState.IDLE

    async def neither(simulator: AlpacaSimulator, link: AlpacaLink) -> None:
        assert not link.capabilities.reads_early
        await link.start_exposure(60.0, True)
        with pytest.raises(NotAllowedError, match="can neither abort nor stop"):
            await link.abort()

    using(stops, can_abort=0)
    using(neither, can_abort=0, can_stop=0)


def test_an_exposure_that_somebody_else_aborts_is_an_error_and_not_a_wait() -> None:
    async def test(simulator: AlpacaSimulator, link: AlpacaLink) -> None:
        await link.start_exposure(60.0, True)
        simulator.camera.put_abortexposure()
        with pytest.raises(RefusedError, match="somebody aborted it"):
            async with asyncio.timeout(10.0):
                await over(link)
        simulator.camera.state = State.IDLE
        await link.start_exposure(0.0, True)
        simulator.camera.put_abortexposure()
        with pytest.raises(RefusedError, match="somebody aborted the exposure"):
            await link.read_image(lambda pixels: None)

    using(test)


def test_faults_of_the_readout_end_in_time_and_say_what_they_are() -> None:
    async def test(simulator: AlpacaSimulator, link: AlpacaLink) -> None:
        faults = simulator.faults
        faults.no_image = True
        with pytest.raises(TimeoutError, match=r"is reading and has made no progress in 0.8 s"):
            await exposed(link)
        await link.abort()
        faults.no_image = False
        faults.stall_in_image = True
        with pytest.raises(TimeoutError, match=r"did not answer within 0.5 s"):
            await exposed(link)
        faults.stall_in_image = False
        faults.short_image = True
        assert (await exposed(link)).pixels.size == 119 * 80  # the exposure refuses it, and keeps it
        faults.short_image = False
        faults.error_state = True
        with pytest.raises(RefusedError, match="state ERROR; reset the controller"):
            await exposed(link)
        faults.error_state = False
        await link.reset()
        assert (await exposed(link)).pixels.shape == (80, 120)

    using(test)


def test_a_server_that_was_started_again_has_its_camera_connected_again() -> None:
    async def test(simulator: AlpacaSimulator, link: AlpacaLink) -> None:
        simulator.camera.connected = False
        with pytest.raises(NotConnectedError):
            await link.temperatures()
        await link.close()
        with pytest.raises(NotConnectedError):
            await link.temperatures()
        assert await link.connect() == "Simulated camera, Diptych simulator, 1.0"
        await link.set_geometry(geometry())
        await exposed(link)

    using(test)


def test_the_cooler_follows_the_set_point() -> None:
    async def test(simulator: AlpacaSimulator, link: AlpacaLink) -> None:
        sensors = {each.name: each.celsius for each in await link.temperatures()}
        assert sensors == {"CCD": pytest.approx(20.0, abs=0.5), "HEATSINK": 23.0}
        await link.set_temperature(-15.0)
        assert (simulator.camera.get_cooleron(), simulator.camera.get_setccdtemperature()) == (True, -15.0)
        assert (await link.telemetry())["SETPOINT_C"] == -15.0
        with pytest.raises(RangeError, match=r"SetCCDTemperature = -90 is outside \[-60, 40\]"):
            await link.set_temperature(-90.0)
        await link.set_temperature(None)
        assert simulator.camera.get_cooleron() is False
        assert (await link.telemetry())["COOLER_%"] == 0.0

    async def uncooled(simulator: AlpacaSimulator, link: AlpacaLink) -> None:
        with pytest.raises(NotAllowedError, match="controls no temperature"):
            await link.set_temperature(-15.0)
        assert await link.telemetry() == {}

    using(test)
    using(uncooled, has_cooler=0)


def test_a_reset_sets_gain_offset_and_mode_and_headers_tell_them() -> None:
    async def test(simulator: AlpacaSimulator, link: AlpacaLink) -> None:
        words = {name: value for name, (value, _) in link.keywords().items()}
        assert words["CONTROLR"] == "Alpaca"
        assert (words["CAMGAIN"], words["CAMOFFS"], words["READMODE"]) == (139, 21, "Low noise")
        assert (words["PIXSIZE1"], words["EGAIN"], words["SENSOR"]) == (7.4, 1.5, "SIM-1600")
        with pytest.raises(RangeError, match=r"readout_mode = 'Fast' is none of Normal, Low noise"):
            await link.video.set_mode("Fast")
        with pytest.raises(RangeError, match=r"Gain = 401 is outside \[0, 400\]"):
            await link.video.set_gain(401)

    using(test, AlpacaSettings("127.0.0.1", gain=139, offset=21, readout_mode="Low noise"))


def test_pixels_are_16_bits_wide_where_they_fit() -> None:
    assert as_raw(np.array([[0, 65535]], np.int32)).dtype == np.uint16
    assert as_raw(np.array([[0, 65536]], np.int32)).dtype == np.int32
    assert as_raw(np.array([[-1, 7]], np.int16)).tolist() == [[-1, 7]]
    assert as_raw(np.array([[3]], np.uint32)).dtype == np.uint32
    with pytest.raises(ProtocolError, match="beyond 32 bits"):
        as_raw(np.array([[2**40]], np.int64))
    with pytest.raises(ProtocolError, match="float64"):
        as_raw(np.array([[0.5]]))
