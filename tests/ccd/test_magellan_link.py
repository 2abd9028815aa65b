"""Exposures with a Magellan controller: the link against the simulated one."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from devices.ccd.controller_link import Layout, RawImage
from devices.ccd.magellan_link import MagellanLink
from devices.ccd.magellan_settings import MagellanSettings
from devices.core.errors import (
    ConfigurationError,
    NotAllowedError,
    NotConnectedError,
    ProtocolError,
    RangeError,
    RefusedError,
    TimeoutError,
)
from devices.drivers.magellan_commands import Pattern
from devices.pipelines.ccd.deinterlace import amplifiers
from devices.pipelines.ccd.detector import FocalPlane, Format, Geometry, Roi
from devices.pipelines.ccd.geometry import make_geometry, whole
from devices.simulators._ccd.detector import test_pattern as pattern
from devices.simulators.magellan import MagellanSimulator
from tests.support.running import until

PROGRAM = Path(__file__).parents[2] / "dbconfig" / "ccd" / "magellan.s"

#: Two amplifiers of 60 x 50 pixels, each with 4 prescan and 6 overscan columns.
FORMAT = Format(columns=120, serial_predark=4, serial_underscan=4, serial_overscan=6, rows=50)
PLANE = FocalPlane(1, 1, 2, 1, (0, 1))

Test = Callable[[MagellanSimulator, MagellanLink], Awaitable[None]]


def geometry(roi: Roi | None = None) -> Geometry:
    return make_geometry(FORMAT, PLANE, roi or whole(FORMAT))


def settings(port: int, **changes: object) -> MagellanSettings:
    given = MagellanSettings(
        "127.0.0.1",
        PROGRAM,
        port,
        timeout=1.0,
        frame_timeout=0.3,
        interface_seconds=0.05,
        upload_seconds=0.0,
        start_seconds=0.0,
        shutter_seconds=0.0,
        pauses=True,
        reads_early=True,
    )
    return replace(given, **changes)  # type: ignore[arg-type]


@asynccontextmanager
async def camera(
    resets: bool = True, link: dict[str, object] | None = None, **options: object
) -> AsyncIterator[tuple[MagellanSimulator, MagellanLink]]:
    """A detector of 120 x 50 pixels, a controller, a link that was reset and knows the whole detector."""
    given = {
        "columns": 120, "rows": 50, "amplifiers": 2, "prescan": 4, "scene": "test", "pixel_rate_hz": 1e7,
        "sweep_s": 0.01, "dsp_reset_s": 0.02, **options,
    }  # fmt: skip
    async with MagellanSimulator(**given) as simulator:
        found = MagellanLink(settings(simulator.port, **(link or {})))
        await found.connect()
        try:
            if resets:
                await found.reset()
                await found.set_geometry(geometry())
            yield simulator, found
        finally:
            await found.close()


def using(test: Test, resets: bool = True, link: dict[str, object] | None = None, **options: object) -> None:
    async def run() -> None:
        async with camera(resets, link, **options) as (simulator, found):
            await test(simulator, found)

    asyncio.run(run())


async def exposed(link: MagellanLink, seconds: float = 0.0, opens_shutter: bool = False) -> RawImage:
    await link.start_exposure(seconds, opens_shutter)
    return await link.read_image(lambda pixels: None)


def asked(simulator: MagellanSimulator) -> list[str]:
    return [each for each in simulator.controller.commands if not each.startswith("Get ")]


def test_a_reset_opens_the_interface_and_loads_the_program_as_it_stands_in_the_file() -> None:
    async def test(simulator: MagellanSimulator, link: MagellanLink) -> None:
        assert asked(simulator) == []  # connecting leaves the hardware as it is
        loaded: list[bytes] = []
        keep = simulator.controller.keep
        simulator.controller.keep = lambda content: loaded.append(content) or keep(content)  # type: ignore[func-returns-value, method-assign]
        await link.reset()
        words = asked(simulator)
        assert words[:3] == ["CloseInterface", "OpenInterface mag1", f"cmd UploadFile {PROGRAM.stat().st_size}"]
        assert [each.split()[0] for each in words[3:5]] == ["LoadFile", "cmd"]
        assert words[-1] == "MagIO set_shutter 0"
        assert loaded == [PROGRAM.read_bytes()]
        assert simulator.controller.program is not None
        assert (simulator.controller.program.start, simulator.controller.program.size) == (0x40, 144)
        assert simulator.controller.files == {}  # it was deleted
        await link.echo(25)

    using(test, resets=False)


def test_a_program_with_a_wrong_checksum_is_found_before_anything_moves(tmp_path: Path) -> None:
    path = tmp_path / "spoilt.s"
    path.write_text(PROGRAM.read_text().replace("S804000040BB", "S804000041BB"))

    async def test(simulator: MagellanSimulator, link: MagellanLink) -> None:
        with pytest.raises(ConfigurationError, match=r"spoilt\.s: line 7: its checksum is BB, that of its bytes BA"):
            await link.reset()
        assert asked(simulator) == []

    using(test, resets=False, link={"program": path})


def test_a_dsp_that_is_not_ready_refuses_its_program_and_the_file_is_taken_away() -> None:
    async def test(simulator: MagellanSimulator, link: MagellanLink) -> None:
        with pytest.raises(RefusedError, match=r"LoadFile 2 .*the DSP does not answer"):
            await link.reset()
        assert simulator.controller.files == {}
        with pytest.raises(RefusedError, match="the DSP has no program"):
            await link.start_exposure(0.0, False)

    async def run() -> None:
        async with camera(False, dsp_reset_s=30.0) as (simulator, link):
            await link.set_geometry(geometry())
            await test(simulator, link)

    asyncio.run(run())


@pytest.mark.parametrize(
    "roi",
    [whole(FORMAT), Roi(11, 104, 7, 40), Roi(1, 120, 1, 50, 4, 3), Roi(3, 118, 2, 50, 2, 5)],
    ids=["whole", "window", "binned", "window, binned"],
)
def test_every_pixel_of_every_amplifier_arrives_in_the_order_of_reading(roi: Roi) -> None:
    async def test(simulator: MagellanSimulator, link: MagellanLink) -> None:
        wanted = geometry(roi)
        await link.set_geometry(wanted)
        image = await exposed(link)
        assert image.layout is Layout.INTERLEAVED
        assert not image.pixels.flags.writeable
        amps = amplifiers(image.pixels, wanted, "INTERLEAVED", image.order)
        for amp in range(2):
            np.testing.assert_array_equal(amps[amp], pattern(amp, wanted.rows.read, wanted.columns.read))
        first, last, top, bottom, by_x, by_y = (
            roi.first_col, roi.last_col, roi.first_row, roi.last_row, roi.col_bin, roi.row_bin
        )  # fmt: skip
        assert f"SetRoi {first} {last} {top} {bottom} {by_x} {by_y}" in asked(simulator)
        assert "SetFormat 120 4 4 6 50 0 0 0 0" in asked(simulator)
        assert f"Set NumberPixelsImage {wanted.pixels}" in asked(simulator)

    using(test)


def test_the_shutter_is_open_as_long_as_the_integration_and_shut_in_a_dark() -> None:
    async def test(simulator: MagellanSimulator, link: MagellanLink) -> None:
        light = simulator.controller.camera.light
        await link.start_exposure(0.3, True)
        assert light.open
        while await link.remaining() > 0.0:
            assert light.open or await link.remaining() < 0.05
            await asyncio.sleep(0.01)
        # It is shut when the time is over, whenever the read-out follows.
        assert not light.open
        assert 0.3 <= light.seconds < 0.6
        await link.read_image(lambda pixels: None)
        await link.start_exposure(0.05, False)
        assert not light.open
        await link.read_image(lambda pixels: None)
        assert asked(simulator)[-2:] == ["StartExposure", "ReadImage"]
        assert "Set ExposureTime 300" in asked(simulator) and "Set ExposureTime 50" in asked(simulator)

    using(test)


def test_a_controller_that_cannot_pause_or_read_early_is_not_asked_to() -> None:
    async def test(simulator: MagellanSimulator, link: MagellanLink) -> None:
        assert not link.capabilities.pauses and not link.capabilities.reads_early
        assert not link.capabilities.moves_parallel
        await link.start_exposure(30.0, True)
        with pytest.raises(NotAllowedError, match="the property pauses is off"):
            await link.pause()
        with pytest.raises(NotAllowedError, match="the property reads_early is off"):
            await link.end_exposure()
        with pytest.raises(NotAllowedError, match="shifts no rows"):
            await link.shift_rows(4)
        await link.abort()
        assert asked(simulator)[-2:] == ["AbortExposure", "MagIO set_shutter 0"]
        assert await link.remaining() == 0.0

    using(test, link={"pauses": False, "reads_early": False})


def test_times_and_steps_that_make_no_exposure_are_refused() -> None:
    async def test(simulator: MagellanSimulator, link: MagellanLink) -> None:
        before = asked(simulator)
        for seconds in (-1.0, float("nan"), float("inf"), 3e6):
            with pytest.raises(RangeError, match=f"seconds = {seconds}"):
                await link.start_exposure(seconds, True)
        with pytest.raises(NotAllowedError, match="no exposure was begun"):
            await link.read_image(lambda pixels: None)
        with pytest.raises(NotAllowedError, match="no exposure was begun"):
            await link.end_exposure()
        assert asked(simulator) == before

    using(test)


def test_a_flush_waits_for_its_end_however_often() -> None:
    async def test(simulator: MagellanSimulator, link: MagellanLink) -> None:
        clears = simulator.controller.camera.clears
        await link.flush(3)
        assert simulator.controller.camera.clears == clears + 3
        simulator.faults.refused.add("MagIO flush_ccd")
        with pytest.raises(RefusedError, match="flush_ccd"):
            await link.flush(1)

    using(test)


def test_the_temperature_is_that_of_the_detector_and_there_is_none_before_the_program() -> None:
    async def test(simulator: MagellanSimulator, link: MagellanLink) -> None:
        (sensor,) = await link.temperatures()
        assert np.isnan(sensor.celsius)
        await link.reset()
        for celsius in (-120.0, -60.0, 20.15, 35.0):
            simulator.controller.camera.cryostat.cold_c = celsius
            simulator.controller.camera.cryostat._celsius = celsius
            (sensor,) = await link.temperatures()
            assert (sensor.name, sensor.celsius) == ("CCD", pytest.approx(celsius, abs=0.012))  # half a count
        # The DSP is left alone in an exposure.
        await link.set_geometry(geometry())
        await link.start_exposure(20.0, False)
        before = len(simulator.controller.commands)
        assert await link.temperatures() == [sensor]
        assert len(simulator.controller.commands) == before
        with pytest.raises(NotAllowedError, match="controls no temperature"):
            await link.set_temperature(-100.0)

    using(test, resets=False)


@pytest.mark.parametrize("fault", ["drop_in_image", "stall_in_image", "no_image", "short_image"])
def test_a_readout_that_fails_says_so_and_the_next_one_works(fault: str) -> None:
    async def test(simulator: MagellanSimulator, link: MagellanLink) -> None:
        setattr(simulator.faults, fault, True)
        with pytest.raises(NotConnectedError if fault == "drop_in_image" else TimeoutError):
            await exposed(link)
        await link.abort()
        assert asked(simulator)[-1] == "AbortReadout"
        setattr(simulator.faults, fault, False)
        image = await exposed(link)
        np.testing.assert_array_equal(amplifiers(image.pixels, geometry(), "INTERLEAVED")[1], pattern(1, 50, 70))

    using(test)


def test_a_server_that_is_mute_gone_or_without_a_controller_is_told_apart() -> None:
    async def test(simulator: MagellanSimulator, link: MagellanLink) -> None:
        simulator.faults.mute = True
        with pytest.raises(TimeoutError, match="no answer to"):
            await link.flush(1)
        simulator.faults.mute = False
        await link.connect()
        await link.flush(1)
        await simulator.stop()
        with pytest.raises(NotConnectedError):
            await link.flush(1)
        with pytest.raises(NotConnectedError):
            await link.connect()

    using(test, link={"timeout": 0.2, "flush_timeout": 0.2})


def test_a_server_that_goes_in_the_middle_of_a_dark_is_missed_at_once() -> None:
    async def test(simulator: MagellanSimulator, link: MagellanLink) -> None:
        await link.start_exposure(3600.0, False)
        assert await link.remaining() > 3500.0
        simulator.drop_connections()
        await until(lambda: not link.server.connected, "the loss is seen")
        with pytest.raises(NotConnectedError, match="gone in the middle of an integration"):
            await link.remaining()

    using(test)


def test_a_pattern_of_the_fpga_comes_pixel_by_pixel() -> None:
    async def test(simulator: MagellanSimulator, link: MagellanLink) -> None:
        pixels = await link.test_pattern(Pattern.RAMP)
        assert (pixels.size, pixels[-1]) == (2 * 50 * 70, 6999)
        assert set(await link.test_pattern(Pattern.CONSTANT, 4711)) == {4711}
        assert (await link.test_pattern(Pattern.COLUMN_RAMP)).max() == 139
        assert 30_000 < (await link.test_pattern(Pattern.RANDOM)).mean() < 35_500
        simulator.controller._fill = lambda *_: simulator.controller.camera.show(  # type: ignore[method-assign]
            np.r_[np.arange(7), 9, np.arange(8, 7000)].astype(np.uint16)
        )
        with pytest.raises(ProtocolError, match="1 of 7000 px are wrong, the first is px 7: 9, not 7"):
            await link.test_pattern(Pattern.RAMP)

    using(test)


def test_an_aborted_readout_shuts_the_shutter_that_a_ramp_had_opened() -> None:
    async def test(simulator: MagellanSimulator, link: MagellanLink) -> None:
        light = simulator.controller.camera.light
        await link.start_exposure(0.0, False)
        await link.set_shutter(True)
        reading = asyncio.create_task(link.read_image(lambda pixels: None))
        await until(lambda: simulator.controller.camera.pixels_read > 0, "some pixels are read")
        reading.cancel()
        with pytest.raises(asyncio.CancelledError):
            await reading
        await link.abort()
        assert asked(simulator)[-2:] == ["AbortReadout", "MagIO set_shutter 0"]
        assert not light.open
        # The answer of the command that was cancelled is not taken for that of another one.
        await link.echo(17)

    using(test, pixel_rate_hz=1e3)
