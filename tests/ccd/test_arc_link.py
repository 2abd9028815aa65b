"""Exposures with an ARC controller: the link against the simulated one, over its socket."""

from __future__ import annotations

import asyncio
import dataclasses
import math
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from devices.ccd.arc_link import ArcLink
from devices.ccd.arc_settings import ArcSettings, BoardSet, Download
from devices.ccd.controller_link import Layout, RawImage
from devices.core.errors import (
    BadValueError,
    NotAllowedError,
    NotConnectedError,
    ProtocolError,
    RangeError,
    RefusedError,
    TimeoutError,
)
from devices.drivers.arc_commands import Board, Space, TimingWord
from devices.drivers.lod_file import read_lod
from devices.pipelines.ccd.deinterlace import amplifiers
from devices.pipelines.ccd.detector import FocalPlane, Format, Geometry, Roi
from devices.pipelines.ccd.geometry import make_geometry, whole
from devices.simulators._ccd.detector import test_pattern as pattern
from devices.simulators.arc import ArcSimulator
from devices.simulators.arc.boards import PROGRAM_BEGINS

PROGRAMS = Path(__file__).parents[2] / "dbconfig" / "ccd"
TIMING, UTILITY = PROGRAMS / "arc-timing.lod", PROGRAMS / "arc-utility.lod"

#: Four amplifiers of 60 x 50 pixels, each with 4 prescan and 6 overscan columns.
FORMAT = Format(columns=120, serial_predark=4, serial_underscan=4, serial_overscan=6, rows=100)
PLANE = FocalPlane(1, 1, 2, 2, (0, 1, 2, 3))
FLAT: dict[str, object] = {"scene": "flat", "flat_e_s": 10_000.0, "gain_e_adu": 2.0, "cold_c": 20.0, "dark_e_s": 0.0}


def geometry(roi: Roi | None = None) -> Geometry:
    return make_geometry(FORMAT, PLANE, roi or whole(FORMAT))


def link_to(simulator: ArcSimulator, **changes: Any) -> ArcLink:
    settings = ArcSettings(
        "127.0.0.1",
        simulator.port,
        BoardSet(utility="gen3"),
        timing_file=TIMING,
        utility_file=UTILITY,
        timeout=1.0,
        frame_timeout=0.5,
    )
    return ArcLink(dataclasses.replace(settings, **changes))


@asynccontextmanager
async def controller(
    changes: dict[str, Any] | None = None, **options: object
) -> AsyncIterator[tuple[ArcSimulator, ArcLink]]:
    """A detector of 120 x 100 pixels, a simulated controller, a link that is connected."""
    options = {"columns": 120, "rows": 100, "prescan": 4, "scene": "test", "pixel_rate_hz": 1e7, "sweep_s": 0} | options
    async with ArcSimulator(**options) as simulator:
        link = link_to(simulator, **changes or {})
        await link.connect()
        try:
            yield simulator, link
        finally:
            await link.close()


def using(
    test: Callable[[ArcSimulator, ArcLink], Awaitable[None]], changes: dict[str, Any] | None = None, **options: object
) -> None:
    """Run a test with a controller that was reset and knows the whole detector."""

    async def run() -> None:
        async with controller(changes, **options) as (simulator, link):
            await link.reset()
            await link.set_geometry(geometry())
            await test(simulator, link)

    asyncio.run(run())


async def over(link: ArcLink) -> None:
    while (left := await link.remaining()) > 0.0:  # noqa: ASYNC110
        await asyncio.sleep(left)


async def exposed(link: ArcLink, seconds: float, opens_shutter: bool = True) -> RawImage:
    await link.start_exposure(seconds, opens_shutter)
    await over(link)
    return await link.read_image(lambda pixels: None)


def electrons(image: RawImage, wanted: Geometry) -> NDArray[Any]:
    """Mean of each amplifier above its overscan, e- (the gain is 2 e-/adu)."""
    amps = amplifiers(image.pixels, wanted, image.layout.name, image.order).astype(float)
    under, data = wanted.columns.underscan, wanted.columns.data
    found: NDArray[Any] = 2.0 * (
        amps[:, :, under : under + data].mean((1, 2)) - amps[:, :, under + data :].mean((1, 2))
    )
    return found


def test_every_pixel_of_every_amplifier_arrives_in_the_order_of_reading() -> None:
    async def test(simulator: ArcSimulator, link: ArcLink) -> None:
        left: list[int] = []
        await link.start_exposure(0.0, False)
        image = await link.read_image(left.append)
        assert image.layout is Layout.INTERLEAVED
        amps = amplifiers(image.pixels, geometry(), "INTERLEAVED")
        for amp in range(4):
            np.testing.assert_array_equal(amps[amp], pattern(amp, 50, 70))
        assert (left[0], left[-1]) == (4 * 50 * 70, 0)
        assert sorted(left, reverse=True) == left
        assert not image.pixels.flags.writeable

    using(test)


def test_a_stream_in_another_order_of_amplifiers_is_put_right_by_the_data_order() -> None:
    async def test(simulator: ArcSimulator, link: ArcLink) -> None:
        image = await exposed(link, 0.0)
        amps = amplifiers(image.pixels, geometry(), "INTERLEAVED", (2, 0, 3, 1))
        for amp in range(4):
            np.testing.assert_array_equal(amps[amp], pattern(amp, 50, 70))

    using(test, order="2,0,3,1")


def test_a_reset_loads_powers_and_sets_up_in_the_order_of_the_hardware() -> None:
    async def test(simulator: ArcSimulator, link: ArcLink) -> None:
        sent = simulator.controller.commands
        names = [_name(each) for each in sent]
        first = names.index("ResetController")
        steps = [each for each in names[first:] if each not in ("WRM", "RDM")]
        uploads = ["cmd", "LoadFile", "cmd"]
        links = 3 * 5 * ["TDL"]
        assert steps[: len(links) + 14] == [
            "ResetController", *links, *uploads, *uploads, "SBV", "CSH", "PON", "IDL", "SGN", "SGN", "Set",
        ]  # fmt: skip
        assert simulator.controller.power and simulator.controller.idling
        assert simulator.controller.files == {}
        for board, path in ((Board.TIMING, TIMING), (Board.UTILITY, UTILITY)):
            held = simulator.controller.boards[board].memory
            program = [each for each in read_lod(path).words() if each[0] == "P"]
            assert all(held[Space[space], address] == value for space, address, value in program)
        assert (simulator.controller.gain, simulator.controller.speed) == (5, 0)

    using(test, {"video_gain": 5, "video_speed": 0})


def test_programs_can_be_loaded_word_by_word() -> None:
    async def test(simulator: ArcSimulator, link: ArcLink) -> None:
        assert not any(each.startswith("LoadFile") for each in simulator.controller.commands)
        held = simulator.controller.timing.memory
        words = [each for each in read_lod(TIMING).words() if each[0] == "P"]
        assert len(words) == 200
        assert all(held[Space.P, address] == value for _, address, value in words)

    using(test, {"download": Download.WORDS})


def test_a_board_without_its_program_knows_its_boot_memory_alone() -> None:
    async def run() -> None:
        async with controller() as (_, link):
            await link.driver.test_data_link(Board.TIMING)
            await link.driver.write(Board.TIMING, Space.X, 3, 0xABCDEF)
            assert await link.driver.read(Board.TIMING, Space.X, 3) == 0xABCDEF
            with pytest.raises(RefusedError, match=r"PON \(TIMING board\): the board refused it"):
                await link.driver.do("PON", Board.TIMING)
            await link.abort()  # which is no error then
            await link.driver.write(Board.TIMING, Space.P, PROGRAM_BEGINS, 0x0C0C0C)
            await link.driver.do("PON", Board.TIMING)

    asyncio.run(run())


def test_a_data_link_that_spoils_words_stops_the_reset_before_anything_is_loaded() -> None:
    async def run() -> None:
        async with controller(faults="bad_link") as (simulator, link):
            with pytest.raises(ProtocolError, match="data link of the PCI board: 0x000000 came back as 0x000010"):
                await link.reset()
            assert not simulator.controller.timing.has_program

    asyncio.run(run())


def test_a_file_that_is_no_program_is_found_before_anything_moves(tmp_path: Path) -> None:
    async def run() -> None:
        (tmp_path / "tim.lod").write_text("_START TIM\n_DATA P 0040\n")
        async with controller({"timing_file": tmp_path / "tim.lod"}) as (simulator, link):
            with pytest.raises(BadValueError, match="no _END"):
                await link.reset()
            assert [_name(each) for each in simulator.controller.commands] == ["Get"]

    asyncio.run(run())


@pytest.mark.parametrize(
    ("roi", "rows", "columns"),
    [(Roi(1, 120, 1, 100, 2, 3), 16, 2 + 30 + 3), (Roi(11, 110, 21, 80), 30, 4 + 50 + 6)],
)
def test_a_window_and_binning_are_words_of_the_timing_board(roi: Roi, rows: int, columns: int) -> None:
    async def test(simulator: ArcSimulator, link: ArcLink) -> None:
        wanted = geometry(roi)
        await link.set_geometry(wanted)
        y = simulator.controller.timing.y
        assert (y(TimingWord.NSBIN), y(TimingWord.NPBIN)) == (roi.col_bin, roi.row_bin)
        assert y(TimingWord.NSDATA) == wanted.columns.data
        assert (y(TimingWord.NPSKIP), y(TimingWord.NSAMPS), y(TimingWord.NPAMPS)) == (roi.first_row - 1, 2, 2)
        assert y(TimingWord.NPIMAGE) == 2 * wanted.rows.read
        image = await exposed(link, 0.1)
        assert image.pixels.size == wanted.pixels
        amps = amplifiers(image.pixels, wanted, "INTERLEAVED")
        assert amps.shape[1:] == wanted.amp_shape[1:]
        level = 10_000 * 0.1 * roi.col_bin * roi.row_bin
        assert electrons(image, wanted) == pytest.approx([level] * 4, rel=0.25)

    using(test, **FLAT)


def test_words_that_stand_there_are_not_written_again() -> None:
    async def test(simulator: ArcSimulator, link: ArcLink) -> None:
        before = len(simulator.controller.commands)
        await link.set_geometry(geometry())
        assert simulator.controller.commands[before:] == [f"Set NumberPixelsImage {4 * 50 * 70}"]
        await link.set_geometry(geometry(Roi(1, 120, 1, 100, 1, 2)))
        changed = [
            int(each.split()[3]) & 0xFFFF for each in simulator.controller.commands[before:-1] if "Set" not in each
        ]
        assert changed == [TimingWord.NPDATA, TimingWord.NPBIN, TimingWord.NPIMAGE]

    using(test)


def test_the_shutter_opens_for_the_exposures_that_want_light() -> None:
    async def test(simulator: ArcSimulator, link: ArcLink) -> None:
        assert electrons(await exposed(link, 0.2), geometry()) == pytest.approx([2000.0] * 4, rel=0.2)
        assert np.abs(electrons(await exposed(link, 0.2, False), geometry())).max() < 10.0
        assert electrons(await exposed(link, 0.1), geometry()) == pytest.approx([1000.0] * 4, rel=0.2)
        await link.set_shutter(True)
        assert simulator.controller.camera.light.open
        await link.set_shutter(False)
        assert not simulator.controller.camera.light.open

    using(test, **FLAT)


def test_a_first_generation_has_power_and_shutter_on_its_utility_board() -> None:
    async def test(simulator: ArcSimulator, link: ArcLink) -> None:
        sent = [each for each in simulator.controller.commands if _name(each) in ("PON", "CSH")]
        assert [each.split()[2] for each in sent] == ["3", "3"]
        assert electrons(await exposed(link, 0.2), geometry()) == pytest.approx([2000.0] * 4, rel=0.2)
        assert np.abs(electrons(await exposed(link, 0.2, False), geometry())).max() < 10.0

    using(test, {"boards": BoardSet("gen1", ("gen1",), ("gen1",), "gen1")}, generation=1, **FLAT)


def test_a_pause_takes_neither_time_nor_light() -> None:
    async def test(simulator: ArcSimulator, link: ArcLink) -> None:
        await link.start_exposure(0.3, True)
        await asyncio.sleep(0.1)
        await link.pause()
        left = await link.remaining()
        await asyncio.sleep(0.3)
        assert await link.remaining() == left
        await link.resume()
        await over(link)
        image = await link.read_image(lambda pixels: None)
        assert electrons(image, geometry()) == pytest.approx([3000.0] * 4, rel=0.2)
        with pytest.raises(NotAllowedError, match="nothing to pause"):
            await link.pause()

    using(test, **FLAT)


def test_an_exposure_that_is_ended_has_the_light_and_the_time_until_then() -> None:
    async def test(simulator: ArcSimulator, link: ArcLink) -> None:
        await link.start_exposure(60.0, True)
        await asyncio.sleep(0.2)
        await link.end_exposure()
        assert await link.remaining() == 0.0
        await asyncio.sleep(0.2)  # the shutter is shut
        image = await link.read_image(lambda pixels: None)
        assert image.seconds == pytest.approx(0.2, abs=0.1)
        assert electrons(image, geometry()) == pytest.approx([1e4 * image.seconds] * 4, rel=0.25)

    using(test, **FLAT)


def test_an_abort_ends_the_integration_or_the_read_out_and_the_next_exposure_is_its_own() -> None:
    async def test(simulator: ArcSimulator, link: ArcLink) -> None:
        await link.start_exposure(60.0, True)
        await link.abort()
        assert not simulator.controller.camera.integrating and not simulator.controller.camera.light.open
        await link.start_exposure(0.0, True)
        reading = asyncio.create_task(link.read_image(lambda pixels: None))
        while not simulator.controller.camera.reading:  # noqa: ASYNC110
            await asyncio.sleep(0.001)
        reading.cancel()
        await asyncio.gather(reading, return_exceptions=True)
        await link.abort()
        assert not simulator.controller.camera.reading
        simulator.settings.__dict__["pixel_rate_hz"] = 1e8
        assert electrons(await exposed(link, 0.1), geometry()) == pytest.approx([1000.0] * 4, rel=0.2)

    using(test, **FLAT, pixel_rate_hz=2e3)


def test_rows_are_shifted_and_the_image_moves_with_them() -> None:
    async def test(simulator: ArcSimulator, link: ArcLink) -> None:
        plain = amplifiers((await exposed(link, 0.3)).pixels, geometry(), "INTERLEAVED").astype(float)
        await link.start_exposure(0.3, True)
        await over(link)
        await link.shift_rows(7)
        await link.shift_rows(-2)
        image = await link.read_image(lambda pixels: None)
        moved = amplifiers(image.pixels, geometry(), "INTERLEAVED").astype(float)
        alike = np.corrcoef(plain[0, 5:, 4:64].ravel(), moved[0, :-5, 4:64].ravel())[0, 1]
        assert alike > 0.9

    using(test, scene="stars", stars_per_mpix=10_000.0)


def test_a_row_delay_makes_the_read_out_so_much_longer() -> None:
    async def test(simulator: ArcSimulator, link: ArcLink) -> None:
        await link.set_row_delay(0.002)
        assert simulator.controller.timing.y(TimingWord.LINE_DELAY) == 2000
        await link.start_exposure(0.0, False)
        loop = asyncio.get_running_loop()
        began = loop.time()
        await link.read_image(lambda pixels: None)
        assert loop.time() - began >= 50 * 0.002
        with pytest.raises(RangeError, match=r"row delay = 20.0 s is outside"):
            await link.set_row_delay(20.0)

    using(test)


def test_a_synthetic_image_is_the_ramp_of_the_timing_board() -> None:
    async def test(simulator: ArcSimulator, link: ArcLink) -> None:
        await link.set_synthetic(True)
        image = await exposed(link, 0.0)
        np.testing.assert_array_equal(image.pixels, np.arange(4 * 50 * 70, dtype=np.uint16))
        await link.set_synthetic(False)
        assert not np.array_equal((await exposed(link, 0.0)).pixels, image.pixels)

    using(test)


def test_a_flush_clears_as_often_as_it_is_told() -> None:
    async def test(simulator: ArcSimulator, link: ArcLink) -> None:
        await link.flush(3)
        assert simulator.controller.camera.clears == 3

    using(test)


@pytest.mark.parametrize("curve", [0, 1, 2, 3])
def test_temperatures_follow_the_set_point_on_every_curve(curve: int) -> None:
    async def test(simulator: ArcSimulator, link: ArcLink) -> None:
        found = {each.name: each.celsius for each in await link.temperatures()}
        assert list(found) == ["CAMTEMP", "DEWTEMP", "DIODE"]
        assert found["DEWTEMP"] == pytest.approx(-140.0, abs=0.5)
        assert found["DIODE"] == pytest.approx(20.0, abs=0.5)
        await link.set_temperature(-100.0)
        assert simulator.controller.camera.cryostat.target_c == pytest.approx(-100.0, abs=0.5)
        await link.set_temperature(None)
        assert not simulator.controller.camera.cryostat.heats
        with pytest.raises(RangeError, match=r"temperature = 400.0 C is outside"):
            await link.set_temperature(400.0)

    using(test, {"curves": (curve,) * 3}, curve=curve)


def test_boards_are_not_asked_for_temperatures_while_they_expose() -> None:
    async def test(simulator: ArcSimulator, link: ArcLink) -> None:
        before = await link.temperatures()
        await link.start_exposure(60.0, False)
        asked = len(simulator.controller.commands)
        assert await link.temperatures() == before
        assert len(simulator.controller.commands) == asked
        await link.abort()
        await link.set_calibrations([1])
        assert link.sensors.curves == (1, 0, 0)
        with pytest.raises(BadValueError, match="curves"):
            await link.set_calibrations([7])

    using(test)


def test_without_a_utility_board_there_are_no_temperatures() -> None:
    async def test(simulator: ArcSimulator, link: ArcLink) -> None:
        assert await link.temperatures() == []
        with pytest.raises(NotAllowedError, match="without a utility board"):
            await link.set_temperature(-100.0)

    using(test, {"boards": BoardSet(), "utility_file": None})


@pytest.mark.parametrize(
    ("fault", "error", "text"),
    [
        ("no_image", TimeoutError, "and no more in 0.5 s"),
        ("short_image", TimeoutError, "and no more in 0.5 s"),
        ("stall_in_image", TimeoutError, "in 0.5 s"),
        ("drop_in_image", NotConnectedError, "closed by the server"),
    ],
)
def test_an_image_that_does_not_come_is_an_error_and_the_next_one_comes(
    fault: str, error: type[Exception], text: str
) -> None:
    async def test(simulator: ArcSimulator, link: ArcLink) -> None:
        setattr(simulator.faults, fault, True)
        await link.start_exposure(0.0, False)
        with pytest.raises(error, match=text):
            await link.read_image(lambda pixels: None)
        await link.abort()
        setattr(simulator.faults, fault, False)
        amps = amplifiers((await exposed(link, 0.0)).pixels, geometry(), "INTERLEAVED")
        np.testing.assert_array_equal(amps[3], pattern(3, 50, 70))

    using(test)


def test_a_server_in_demo_mode_is_no_controller() -> None:
    async def run() -> None:
        async with ArcSimulator(columns=120, rows=100, controller_type=0) as simulator:
            with pytest.raises(RefusedError, match="demo mode"):
                await link_to(simulator).connect()

    asyncio.run(run())


def test_power_that_does_not_come_and_commands_before_a_reset_are_refused() -> None:
    async def run() -> None:
        async with controller(faults="no_power") as (_, link):
            with pytest.raises(RefusedError, match=r"PON \(TIMING board\)"):
                await link.reset()
            await link.set_geometry(geometry())
            with pytest.raises(RefusedError, match="the power is off"):
                await link.start_exposure(0.0, False)
            with pytest.raises(RangeError, match="outside"):
                await link.start_exposure(math.inf, False)

    asyncio.run(run())


def test_boards_that_do_not_exist_are_all_named() -> None:
    with pytest.raises(BadValueError) as raised:
        BoardSet("arc23", ("arc32", "arc33"), ("gen2",), "gen4")
    for part in ("timing_board = 'arc23'", "clock_boards = 'arc33'", "utility_board = 'gen4'"):
        assert part in str(raised.value)
    with pytest.raises(BadValueError, match="power and shutter on its utility_board"):
        BoardSet("gen1", ("gen1",), ("gen1",))


def _name(command: str) -> str:
    words = command.split()
    return int(words[1]).to_bytes(3, "big").decode() if words[0] == "BoardCommand" else words[0]
