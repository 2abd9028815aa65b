"""Exposures with an Archon: the link against the simulated controller."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from devices.ccd.archon_link import ArchonLink
from devices.ccd.archon_settings import ArchonSettings
from devices.ccd.controller_link import Layout, RawImage
from devices.core.errors import (
    ConfigurationError,
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
from devices.simulators._ccd.detector import test_pattern as pattern
from devices.simulators.archon import ArchonSimulator

ACF = Path(__file__).parents[2] / "dbconfig" / "ccd" / "archon.acf"

#: Four amplifiers of 60 x 50 pixels, each with 4 prescan and 6 overscan columns.
FORMAT = Format(columns=120, serial_predark=4, serial_underscan=4, serial_overscan=6, rows=100)
PLANE = FocalPlane(1, 1, 2, 2, (0, 1, 2, 3))
FLAT: dict[str, object] = {"scene": "flat", "flat_e_s": 10_000.0, "gain_e_adu": 2.0, "cold_c": 20.0, "dark_e_s": 0.0}

Bench = tuple[ArchonSimulator, ArchonLink]


def geometry(roi: Roi | None = None) -> Geometry:
    return make_geometry(FORMAT, PLANE, roi or whole(FORMAT))


@asynccontextmanager
async def camera(acf: Path = ACF, **options: object) -> AsyncIterator[Bench]:
    """A detector of 120 x 100 pixels, an Archon, a link that was reset and knows the whole detector."""
    options = {"columns": 120, "rows": 100, "prescan": 4, "scene": "test", "pixel_rate_hz": 1e7} | options
    async with ArchonSimulator(**options) as simulator:
        settings = ArchonSettings("127.0.0.1", acf, simulator.port, frame_timeout=0.5, power_timeout=1.0)
        link = ArchonLink(settings)
        await link.connect()
        try:
            await link.reset()
            await link.set_geometry(geometry())
            yield simulator, link
        finally:
            await link.close()


def using(test: Callable[[ArchonSimulator, ArchonLink], Awaitable[None]], acf: Path = ACF, **options: object) -> None:
    async def run() -> None:
        async with camera(acf, **options) as (simulator, link):
            await test(simulator, link)

    asyncio.run(run())


async def exposed(link: ArchonLink, seconds: float, opens_shutter: bool = True) -> RawImage:
    await link.start_exposure(seconds, opens_shutter)
    await asyncio.sleep(await link.remaining())
    return await link.read_image(lambda pixels: None)


async def until(holds: Callable[[], bool]) -> None:
    end = asyncio.get_running_loop().time() + 5.0
    while not holds() and asyncio.get_running_loop().time() < end:  # noqa: ASYNC110
        await asyncio.sleep(0)
    assert holds()


def electrons(image: RawImage, link_geometry: Geometry) -> NDArray[Any]:
    """Mean of each amplifier above its overscan, e- (the gain is 2 e-/adu)."""
    amps = amplifiers(image.pixels, link_geometry, image.layout.name, image.order).astype(float)
    under, data = link_geometry.columns.underscan, link_geometry.columns.data
    bias = amps[:, :, under + data :].mean((1, 2))
    found: NDArray[Any] = 2.0 * (amps[:, :, under : under + data].mean((1, 2)) - bias)
    return found


def test_every_pixel_of_every_amplifier_arrives_in_the_order_of_reading() -> None:
    async def test(simulator: ArchonSimulator, link: ArchonLink) -> None:
        left: list[int] = []
        await link.start_exposure(0.0, False)
        image = await link.read_image(left.append)
        assert image.layout is Layout.TAPS
        amps = amplifiers(image.pixels, geometry(), "TAPS", image.order)
        for amp in range(4):
            np.testing.assert_array_equal(amps[amp], pattern(amp, 50, 70))
        assert (left[0], left[-1]) == (4 * 50 * 70, 0)
        assert sorted(left, reverse=True) == left

    using(test)


@pytest.mark.parametrize(
    "changes",
    [
        {"FRAMEMODE": "2"},
        {"FRAMEMODE": "1", "TAPLINE0": '"AD1R, 1.0, 0"'},
        {"FRAMEMODE": "2", "TAPLINE3": '"AD4R, 1.0, 0"', "SAMPLEMODE": "1", "BIGBUF": "1"},
    ],
)
def test_split_frames_taps_from_the_right_and_32_bits_give_the_same_amplifiers(
    changes: dict[str, str], tmp_path: Path
) -> None:
    async def test(simulator: ArchonSimulator, link: ArchonLink) -> None:
        image = await exposed(link, 0.0, False)
        amps = amplifiers(image.pixels, geometry(), "TAPS", image.order)
        for amp in range(4):
            np.testing.assert_array_equal(amps[amp], pattern(amp, 50, 70))
        assert image.pixels.dtype == (np.uint32 if "SAMPLEMODE" in changes else np.uint16)

    using(test, edited(tmp_path, changes))


def test_the_charge_is_proportional_to_the_time_with_the_shutter_open() -> None:
    async def test(simulator: ArchonSimulator, link: ArchonLink) -> None:
        image = await exposed(link, 0.4)
        assert image.seconds is not None
        assert image.seconds >= 0.4  # by the controller's clock, late by what the computer was late
        # 10 000 e-/s, 1.7 % less on average by vignetting of 5 % (x^2 + y^2) of a third each.
        np.testing.assert_allclose(electrons(image, geometry()), 10_000.0 * image.seconds * 0.967, rtol=0.02)
        dark = await exposed(link, 0.2, opens_shutter=False)
        assert dark.seconds == 0.2
        np.testing.assert_allclose(electrons(dark, geometry()), 0.0, atol=2.0)

    using(test, **FLAT)


def test_a_pause_shuts_the_shutter_and_its_time_counts_nowhere() -> None:
    async def test(simulator: ArchonSimulator, link: ArchonLink) -> None:
        light = simulator.controller.timing.light
        await link.start_exposure(0.4, True)
        await until(lambda: light.seconds > 0.1)
        await link.pause()
        left = await link.remaining()
        assert 0.0 < left < 0.35
        assert not light.open
        await asyncio.sleep(0.5)
        assert await link.remaining() == left
        await link.pause()  # twice is once
        await link.resume()
        assert light.open
        await asyncio.sleep(await link.remaining())
        image = await link.read_image(lambda pixels: None)
        assert image.seconds == pytest.approx(0.4, abs=0.15)
        np.testing.assert_allclose(electrons(image, geometry()), 10_000.0 * 0.4 * 0.967, rtol=0.3)

    using(test, **FLAT)


def test_an_early_read_out_keeps_what_was_collected() -> None:
    async def test(simulator: ArchonSimulator, link: ArchonLink) -> None:
        await link.start_exposure(60.0, True)
        await until(lambda: simulator.controller.timing.light.seconds > 0.2)
        await link.end_exposure()
        assert await link.remaining() == 0.0
        image = await link.read_image(lambda pixels: None)
        assert image.seconds is not None
        assert 0.2 <= image.seconds < 5.0
        np.testing.assert_allclose(electrons(image, geometry()), 10_000.0 * image.seconds * 0.967, rtol=0.03)

    using(test, **FLAT)


def test_a_paused_exposure_can_be_ended_early() -> None:
    async def test(simulator: ArchonSimulator, link: ArchonLink) -> None:
        await link.start_exposure(60.0, True)
        await until(lambda: simulator.controller.timing.light.seconds > 0.05)
        await link.pause()
        await link.end_exposure()
        image = await link.read_image(lambda pixels: None)
        assert image.seconds is not None
        assert image.seconds < 5.0

    using(test, **FLAT)


async def _integrating(simulator: ArchonSimulator, link: ArchonLink) -> None:
    await link.start_exposure(60.0, True)
    await until(lambda: simulator.controller.timing.light.open)


async def _paused(simulator: ArchonSimulator, link: ArchonLink) -> None:
    await _integrating(simulator, link)
    await link.pause()


async def _reading(simulator: ArchonSimulator, link: ArchonLink) -> None:
    await link.start_exposure(0.0, True)
    reading = asyncio.create_task(link.read_image(lambda pixels: None))
    await until(lambda: simulator.controller.timing.state == "READING")
    reading.cancel()
    with pytest.raises(asyncio.CancelledError):
        await reading


async def _fetching(simulator: ArchonSimulator, link: ArchonLink) -> None:
    await link.start_exposure(0.0, True)
    reading = asyncio.create_task(link.read_image(lambda pixels: None))
    await until(lambda: any(command.startswith("LOCK1") for command in simulator.controller.commands))
    reading.cancel()
    with pytest.raises(asyncio.CancelledError):
        await reading


async def _flushing(simulator: ArchonSimulator, link: ArchonLink) -> None:
    flushing = asyncio.create_task(link.flush(1000))
    await until(lambda: simulator.controller.timing.state == "SWEEPING")
    flushing.cancel()


async def _idle(simulator: ArchonSimulator, link: ArchonLink) -> None:
    pass


@pytest.mark.parametrize("stage", [_idle, _integrating, _paused, _reading, _fetching, _flushing])
def test_an_abort_at_any_stage_leaves_it_idle_and_the_next_exposure_works(
    stage: Callable[[ArchonSimulator, ArchonLink], Awaitable[None]],
) -> None:
    async def test(simulator: ArchonSimulator, link: ArchonLink) -> None:
        await stage(simulator, link)
        await link.abort()
        timing = simulator.controller.timing
        await until(lambda: timing.state == "IDLE")
        assert not timing.light.open
        assert not timing.held
        assert await link.remaining() == 0.0
        assert timing.resets >= 2  # the first was that of reset
        image = await exposed(link, 0.0, False)
        np.testing.assert_array_equal(amplifiers(image.pixels, geometry(), "TAPS")[2], pattern(2, 50, 70))

    using(test, pixel_rate_hz=2e4 if stage is _reading else 1e7)


def test_an_abort_stops_the_exposure_also_when_the_controller_refuses_a_part_of_it() -> None:
    async def test(simulator: ArchonSimulator, link: ArchonLink) -> None:
        await _integrating(simulator, link)
        simulator.faults.refused = {"FASTLOADPARAM"}
        with pytest.raises(RefusedError, match="FASTLOADPARAM Exposures 0"):
            await link.abort()
        assert not simulator.controller.timing.light.open

    using(test)


def test_a_flush_sweeps_the_detector() -> None:
    async def test(simulator: ArchonSimulator, link: ArchonLink) -> None:
        await link.flush(2)
        await until(lambda: simulator.controller.timing.sweeps == 2)
        with pytest.raises(RangeError, match=r"cycles = -1 is outside"):
            await link.flush(-1)

    using(test, sweep_s=0.01)


def test_rows_are_shifted_between_integrations_of_one_image() -> None:
    """As a focus run does: a flat, 20 rows on, a flat again; where both lie is twice as bright."""

    async def test(simulator: ArchonSimulator, link: ArchonLink) -> None:
        await link.start_exposure(0.2, True)
        await asyncio.sleep(await link.remaining())
        await until(lambda: simulator.controller.timing.state == "IDLE")
        await link.shift_rows(20)
        await until(lambda: simulator.controller.timing.value("ShiftLines") == 0)
        assert simulator.controller.timing.exposure.shifted_rows == 20
        await link.shift_rows(-5)
        await until(lambda: simulator.controller.timing.exposure.shifted_rows == 15)
        image = await link.read_image(lambda pixels: None)
        lines = amplifiers(image.pixels, geometry(), "TAPS").astype(float)[0, :, 4:64].mean(1)
        # The last 15 of 50 rows were shifted out at the far end: nothing but bias is read there.
        assert lines[:35].min() > lines[35:].max() + 500

    using(test, **FLAT)


def test_the_shutter_moves_outside_an_exposure() -> None:
    async def test(simulator: ArchonSimulator, link: ArchonLink) -> None:
        await link.set_shutter(True)
        assert simulator.controller.timing.light.open
        await link.set_shutter(False)
        assert not simulator.controller.timing.light.open

    using(test)


def test_a_scan_reads_its_rows_as_slowly_as_it_is_told() -> None:
    async def test(simulator: ArchonSimulator, link: ArchonLink) -> None:
        await link.set_row_delay(0.0075)
        began = time.monotonic()
        await exposed(link, 0.0)
        assert time.monotonic() - began >= 0.0075 * 40
        with pytest.raises(RangeError, match=r"row delay = 2\.0 s is outside \[0, 1\.048575\] s"):
            await link.set_row_delay(2.0)

    using(test)


def test_windows_and_binning_collect_the_charge_of_their_pixels() -> None:
    async def test(simulator: ArchonSimulator, link: ArchonLink) -> None:
        window = geometry(Roi(11, 90, 5, 44, 2, 3))
        await link.set_geometry(window)
        image = await exposed(link, 0.3)
        assert image.pixels.shape == (window.rows.read, 4, window.columns.read)
        assert image.seconds is not None
        # Six pixels make one; near the middle of the detector, where vignetting is small.
        np.testing.assert_allclose(electrons(image, window), 6 * 10_000.0 * image.seconds * 0.97, rtol=0.03)
        parameters = simulator.controller.timing.value
        assert (parameters("HorizontalBinning"), parameters("VerticalBinning")) == (2, 3)
        # The underscan is read first, then ten columns are skipped: only a script with UnderscanPixels can.
        assert (parameters("UnderscanPixels"), parameters("PreSkipPixels"), parameters("PreSkipLines")) == (4, 10, 4)

    using(test, **FLAT)


def test_a_script_that_reads_by_itself_is_used_as_it_is(tmp_path: Path) -> None:
    acf = edited(tmp_path, {"PARAMETER7": "Spare=0", "PARAMETER8": "Spare2=0"})  # ReadOut, AbortExposure

    async def test(simulator: ArchonSimulator, link: ArchonLink) -> None:
        image = await exposed(link, 0.2)
        np.testing.assert_array_equal(amplifiers(image.pixels, geometry(), "TAPS")[3], pattern(3, 50, 70))
        await link.start_exposure(60.0, True)
        await until(lambda: simulator.controller.timing.light.open)
        await link.end_exposure()
        assert (await link.read_image(lambda pixels: None)).seconds is not None

    using(test, acf)


def test_what_a_script_cannot_do_is_declared_and_refused(tmp_path: Path) -> None:
    changes = {f"PARAMETER{n}": f"Spare{n}=0" for n in (6, 8, 9, 10, 15, 16, 20, 21)}
    acf = edited(tmp_path, changes, drop=("TRIGOUTFORCE",))

    async def test(simulator: ArchonSimulator, link: ArchonLink) -> None:
        can = link.capabilities
        assert not (
            can.pauses or can.reads_early or can.moves_parallel or can.flushes or can.has_shutter or can.windows
        )
        with pytest.raises(NotAllowedError, match="no parameter ShiftLines"):
            await link.shift_rows(1)
        with pytest.raises(NotAllowedError, match="TRIGOUTFORCE"):
            await link.set_shutter(True)
        with pytest.raises(NotAllowedError, match=r"no parameter DoFlush"):
            await link.flush(1)
        with pytest.raises(NotAllowedError, match="no parameter PreSkipLines, which this window wants to be 4"):
            await link.set_geometry(geometry(Roi(1, 120, 5, 44)))
        await link.start_exposure(60.0, True)
        with pytest.raises(NotAllowedError, match="TRIGOUTFORCE"):
            await link.pause()
        with pytest.raises(NotAllowedError, match="StopExposure"):
            await link.end_exposure()
        await link.abort()

    using(test, acf)


def test_temperatures_have_names_and_the_heater_follows_its_set_point() -> None:
    async def test(simulator: ArchonSimulator, link: ArchonLink) -> None:
        sensors = {sensor.name: sensor.celsius for sensor in await link.temperatures()}
        assert sensors.keys() == {"CCD", "COLDHEAD", "BACKPLANE"}
        assert sensors["COLDHEAD"] == pytest.approx(-140.0, abs=0.5)
        await link.set_temperature(-95.0)
        assert simulator.controller.housekeeping.cryostat.target_c is not None
        assert simulator.controller.housekeeping.cryostat.target_c == -95.0
        await link.set_temperature(None)
        assert simulator.controller.housekeeping.cryostat.target_c is None
        with pytest.raises(RangeError, match=r"temperature = 400.0 C is outside"):
            await link.set_temperature(400.0)

    using(test)


def test_telemetry_has_units_in_its_names() -> None:
    async def test(simulator: ArchonSimulator, link: ArchonLink) -> None:
        told = await link.telemetry()
        assert told["N17V_V"] == pytest.approx(-17.0, rel=0.02)
        assert told["P5V_A"] == pytest.approx(2.9, rel=0.1)
        assert -150.0 < told["MOD10_TEMPA_C"] < 25.0
        assert link.keywords()["DSPFILE"][0] == "archon.acf"

    using(test)


def test_long_exposures_are_split_into_two_parameters() -> None:
    async def test(simulator: ArchonSimulator, link: ArchonLink) -> None:
        await link.start_exposure(3600.0, True)
        value = simulator.controller.timing.value
        assert value("IntMS") * value("IntMul") == 3_600_000
        assert link.keywords()["INTMS"][0] == 3_600_000
        assert 3500.0 < await link.remaining() <= 3600.0
        await link.abort()

    using(test)


@pytest.mark.parametrize("seconds", [-1.0, float("nan"), float("inf"), 2e9])
def test_a_time_that_is_none_is_refused_before_anything_moves(seconds: float) -> None:
    async def test(simulator: ArchonSimulator, link: ArchonLink) -> None:
        simulator.controller.commands.clear()
        with pytest.raises(RangeError, match="outside"):
            await link.start_exposure(seconds, True)
        assert simulator.controller.commands == []

    using(test)


def test_bad_power_and_heat_are_refused_before_the_shutter_opens() -> None:
    async def test(simulator: ArchonSimulator, link: ArchonLink) -> None:
        simulator.faults.overheat = True
        with pytest.raises(NotAllowedError, match="overheated"):
            await link.start_exposure(1.0, True)
        simulator.faults.overheat = False
        simulator.faults.power_bad = True
        with pytest.raises(NotAllowedError, match=r"power is ON \(bad\)"):
            await link.start_exposure(1.0, True)
        with pytest.raises(TimeoutError, match=r"power is INTERMEDIATE \(bad\)"):
            await link.reset()
        simulator.faults.power_bad = False
        await link.reset()
        assert (await exposed(link, 0.0)).pixels.size == geometry().pixels

    using(test)


def test_a_frame_of_another_size_is_no_image() -> None:
    async def test(simulator: ArchonSimulator, link: ArchonLink) -> None:
        simulator.faults.wrong_frame = True
        with pytest.raises(ProtocolError, match=r"the frame has 276 x 50 px, not 280 x 50 px"):
            await exposed(link, 0.0)
        simulator.faults.wrong_frame = False
        await link.abort()
        assert (await exposed(link, 0.0)).pixels.size == geometry().pixels

    using(test)


def test_a_frame_that_never_comes_ends_in_time() -> None:
    async def test(simulator: ArchonSimulator, link: ArchonLink) -> None:
        simulator.faults.no_frame = True
        with pytest.raises(TimeoutError, match="no frame is complete"):
            await exposed(link, 0.0)
        simulator.faults.no_frame = False
        await link.abort()
        assert (await exposed(link, 0.0)).pixels.size == geometry().pixels

    using(test)


def test_a_controller_that_goes_in_mid_read_out_comes_back_without_a_download() -> None:
    async def test(simulator: ArchonSimulator, link: ArchonLink) -> None:
        simulator.faults.drop_in_fetch = True
        with pytest.raises(NotConnectedError):
            await exposed(link, 0.0)
        simulator.faults.drop_in_fetch = False
        simulator.controller.commands.clear()
        await link.connect()
        assert not any(command.startswith(("WCONFIG", "APPLY", "POWER")) for command in simulator.controller.commands)
        assert (await exposed(link, 0.0)).pixels.size == geometry().pixels

    using(test)


def test_a_controller_that_lost_its_power_wants_a_reset() -> None:
    async def test(simulator: ArchonSimulator, link: ArchonLink) -> None:
        simulator.controller.reboot()
        await link.connect()
        with pytest.raises(NotAllowedError, match="not loaded; reset"):
            await link.start_exposure(0.0, True)
        await link.reset()
        assert (await exposed(link, 0.0)).pixels.size == geometry().pixels  # the geometry was set again, too

    using(test)


def test_a_reset_that_changes_nothing_leaves_the_power_on() -> None:
    async def test(simulator: ArchonSimulator, link: ArchonLink) -> None:
        await link.set_temperature(-100.0)
        simulator.controller.commands.clear()
        await link.reset()
        assert "APPLYALL" not in simulator.controller.commands
        assert "POWERON" not in simulator.controller.commands
        assert "RESETTIMING" in simulator.controller.commands

    using(test)


def test_what_does_not_fit_the_configuration_is_refused(tmp_path: Path) -> None:
    async def test(simulator: ArchonSimulator, link: ArchonLink) -> None:
        with pytest.raises(RangeError, match="8 amplifiers, the Archon's configuration 4 taps"):
            await link.set_geometry(make_geometry(FORMAT, FocalPlane(1, 1, 4, 2, (0,) * 8), whole(FORMAT)))
        for call in (link.pause, link.resume, link.end_exposure):
            with pytest.raises(NotAllowedError, match="no exposure runs"):
                await call()
        with pytest.raises(NotAllowedError, match="no exposure was begun"):
            await link.read_image(lambda pixels: None)

    using(test)
    bad = edited(tmp_path, {"PARAMETER2": "Spare=0"})
    with pytest.raises(ConfigurationError, match="no parameter IntMS"):
        using(test, bad)


def test_a_burst_of_exposures_gives_each_its_own_frame() -> None:
    async def test(simulator: ArchonSimulator, link: ArchonLink) -> None:
        for number in range(20):
            await exposed(link, 0.0)
            assert simulator.controller.frames.frame == number + 1

    using(test)


def edited(folder: Path, changes: dict[str, str], drop: tuple[str, ...] = ()) -> Path:
    """The shipped configuration with other values, or without some keys."""
    lines = []
    for line in ACF.read_text().splitlines():
        key = line.partition("=")[0]
        if key not in drop:
            value = changes.get(key)
            lines.append(line if value is None else f"{key}={value}")
    (folder / "edited.acf").write_text("\n".join(lines))
    return folder / "edited.acf"
