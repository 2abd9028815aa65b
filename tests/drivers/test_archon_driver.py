"""The Archon driver against the simulated controller, over real sockets, with everything that can go wrong."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import numpy as np
import pytest

from devices.core.errors import (
    BadValueError,
    NotConnectedError,
    ProtocolError,
    RangeError,
    RefusedError,
    TimeoutError,
)
from devices.drivers import archon as archon_module
from devices.drivers.archon import ArchonDriver
from devices.drivers.archon_config import ArchonConfiguration, read_configuration_file
from devices.drivers.archon_status import BLOCK, Buffer, Power
from devices.simulators._ccd.detector import test_pattern as pattern
from devices.simulators.archon import ArchonSimulator

ACF = Path(__file__).parents[2] / "dbconfig" / "ccd" / "archon.acf"
LINES, PIXELS, TAPS = 50, 70, 4

Bench = tuple[ArchonSimulator, ArchonDriver]


@asynccontextmanager
async def controller(**options: object) -> AsyncIterator[Bench]:
    """A simulator that shows its test pattern, and a driver that is connected to it."""
    options = {"columns": 120, "rows": 100, "prescan": 4, "scene": "test", "pixel_rate_hz": 1e7} | options
    async with ArchonSimulator(**options) as simulator:
        driver = ArchonDriver("127.0.0.1", simulator.port, timeout=1.0)
        await driver.connect()
        try:
            yield simulator, driver
        finally:
            await driver.close()


def using(test: Callable[[ArchonSimulator, ArchonDriver], Awaitable[None]], **options: object) -> None:
    async def run() -> None:
        async with controller(**options) as (simulator, driver):
            await test(simulator, driver)

    asyncio.run(run())


async def until(holds: Callable[[], bool]) -> None:
    end = asyncio.get_running_loop().time() + 5.0
    while not holds() and asyncio.get_running_loop().time() < end:  # noqa: ASYNC110
        await asyncio.sleep(0)
    assert holds()


async def ready(driver: ArchonDriver, **changes: str) -> ArchonConfiguration:
    """Load, apply, power on."""
    configuration = read_configuration_file(ACF)
    changes = {"LINECOUNT": str(LINES), "PIXELCOUNT": str(PIXELS)} | changes
    for key, value in changes.items():
        configuration.set(key, value)
    await driver.apply(await driver.load_configuration(configuration))
    await driver.set_power(True)
    await driver.set_parameters(configuration, {"Lines": LINES, "Pixels": 64})
    return configuration


async def frame(driver: ArchonDriver, milliseconds: int = 0) -> Buffer:
    """Expose and wait for the frame."""
    known = {buffer.number: buffer.frame for buffer in (await driver.frame()).buffers if buffer.complete}
    await driver.load_parameter("IntMS", milliseconds)
    await driver.hold_timing()
    await driver.load_parameter("Exposures", 1)
    await driver.load_parameter("ReadOut", 1)
    await driver.release_timing()
    return await driver.wait_frame(known, asyncio.get_running_loop().time() + milliseconds / 1000, 2.0)


def test_a_frame_comes_as_the_controller_has_it() -> None:
    async def test(simulator: ArchonSimulator, driver: ArchonDriver) -> None:
        await ready(driver)
        seen: list[int] = []
        image = await driver.fetch(await frame(driver), seen.append)
        assert image.shape == (LINES, TAPS * PIXELS)
        assert image.dtype == np.uint16
        for tap in range(TAPS):
            np.testing.assert_array_equal(image[:, tap * PIXELS : (tap + 1) * PIXELS], pattern(tap, LINES, PIXELS))
        assert seen[-1] == LINES * TAPS * PIXELS * 2
        assert (await driver.frame()).read_buffer == 0
        # 70 x 4 x 50 pixels of 2 bytes are 27.3 blocks of 1024 bytes.
        assert simulator.controller.commands[-4:-1] == ["LOCK1", "FETCHA00000000000001C", "LOCK0"]

    using(test)


def test_samples_of_32_bits_and_taps_from_the_right_and_from_below() -> None:
    async def test(simulator: ArchonSimulator, driver: ArchonDriver) -> None:
        await ready(driver, SAMPLEMODE="1", FRAMEMODE="2", TAPLINE1="AD2R, 1.0, 0", BIGBUF="1")
        image = await driver.fetch(await frame(driver))
        assert image.shape == (2 * LINES, 2 * PIXELS)
        assert image.dtype == np.uint32
        np.testing.assert_array_equal(image[:LINES, PIXELS:], pattern(1, LINES, PIXELS)[:, ::-1])
        np.testing.assert_array_equal(image[LINES:, :PIXELS], pattern(2, LINES, PIXELS)[::-1])
        assert len((await driver.frame()).buffers) == 2

    using(test)


def test_a_preallocated_buffer_is_used_and_one_that_is_too_small_refused() -> None:
    async def test(simulator: ArchonSimulator, driver: ArchonDriver) -> None:
        await ready(driver)
        buffer = await frame(driver)
        into = np.zeros(40 * BLOCK, np.uint8)
        image = await driver.fetch(buffer, into=into)
        assert image.base is not None
        assert np.shares_memory(image, into)
        with pytest.raises(BadValueError, match="into has 1024 bytes, less than the 28672"):
            await driver.fetch(buffer, into=into[:BLOCK])

    using(test)


def test_frames_fill_the_three_buffers_in_turn_and_spare_a_locked_one() -> None:
    async def test(simulator: ArchonSimulator, driver: ArchonDriver) -> None:
        await ready(driver)
        numbers = [(await frame(driver)).number for _ in range(2)]
        async with driver.locked(3):
            numbers += [(await frame(driver)).number for _ in range(3)]
        assert numbers == [1, 2, 1, 2, 1]
        newest = (await driver.frame()).newest
        assert newest is not None
        assert newest.frame == 5

    using(test)


def test_the_integration_is_timed_by_the_controllers_clock() -> None:
    async def test(simulator: ArchonSimulator, driver: ArchonDriver) -> None:
        await ready(driver)
        buffer = await frame(driver, 150)
        assert 0.150 <= buffer.exposure_seconds < 0.4
        assert buffer.timestamp >= buffer.falling > buffer.rising
        assert await driver.timer() > buffer.timestamp

    using(test)


def test_the_same_configuration_is_not_written_twice() -> None:
    async def test(simulator: ArchonSimulator, driver: ArchonDriver) -> None:
        configuration = await ready(driver)
        upload = await driver.load_configuration(configuration)
        assert (upload.lines, upload.changed, upload.anew) == (len(configuration), (), False)
        configuration.set("MOD10/HEATERATARGET", "-95.5")
        simulator.controller.commands.clear()
        upload = await driver.load_configuration(configuration)
        assert upload.changed == ("MOD10/HEATERATARGET",)
        await driver.apply(upload)
        sent = [command for command in simulator.controller.commands if not command.startswith("RCONFIG")]
        line = configuration.line_number("MOD10/HEATERATARGET")
        assert sent == ["POLLOFF", f"WCONFIG{line:04X}MOD10/HEATERATARGET=-95.5", "POLLON", "APPLYMOD10"]
        assert (await driver.status()).power is Power.ON  # a new temperature costs no power cycle

    using(test)


def test_a_shorter_configuration_leaves_nothing_of_the_one_before() -> None:
    async def test(simulator: ArchonSimulator, driver: ArchonDriver) -> None:
        await ready(driver)
        upload = await driver.load_configuration(ArchonConfiguration([("LINECOUNT", "5"), ("BIGBUF", "0")]))
        assert upload.anew
        assert await driver.read_lines(4) == ["LINECOUNT=5", "BIGBUF=0", "", ""]

    using(test)


def test_a_full_memory_of_16384_lines_is_written_and_read() -> None:
    async def test(simulator: ArchonSimulator, driver: ArchonDriver) -> None:
        configuration = ArchonConfiguration((f"LINE{n}", f"X{n}") for n in range(16384))
        upload = await driver.load_configuration(configuration)
        assert len(upload.changed) == 16384
        assert simulator.controller.memory.read(4096) == "LINE4096=X4096"  # no line is folded upon another
        assert simulator.controller.memory.read(0) == "LINE0=X0"

    using(test)


def test_a_line_that_was_kept_wrong_is_found() -> None:
    async def test(simulator: ArchonSimulator, driver: ArchonDriver) -> None:
        simulator.faults.wrong_lines.add(2)
        with pytest.raises(ProtocolError, match=r"configuration line 2: .* was written, .* is held"):
            await driver.load_configuration(read_configuration_file(ACF))
        assert simulator.controller.commands[-1] == "POLLON"

    using(test)


def test_parameters_reach_memory_and_script() -> None:
    async def test(simulator: ArchonSimulator, driver: ArchonDriver) -> None:
        configuration = await ready(driver)
        await driver.set_parameters(configuration, {"NoIntMS": 777})
        assert simulator.controller.timing.value("NoIntMS") == 777
        assert simulator.controller.memory.parameters["NOINTMS"] == 777
        with pytest.raises(RefusedError, match="refused FASTLOADPARAM Nonsense 1"):
            await driver.load_parameter("Nonsense", 1)
        with pytest.raises(RangeError, match=r"IntMS = 1048576 is outside \[0, 1048575\]"):
            await driver.load_parameter("IntMS", 1 << 20)

    using(test)


def test_power_cannot_come_on_before_a_configuration() -> None:
    async def test(simulator: ArchonSimulator, driver: ArchonDriver) -> None:
        assert (await driver.status()).power is Power.NOT_CONFIGURED
        with pytest.raises(RefusedError, match="POWERON"):
            await driver.set_power(True)

    using(test)


def test_bad_power_is_told_with_its_state() -> None:
    async def test(simulator: ArchonSimulator, driver: ArchonDriver) -> None:
        await ready(driver)
        await driver.set_power(False)
        simulator.faults.power_bad = True
        with pytest.raises(TimeoutError, match=r"power is INTERMEDIATE \(bad\), not ON, after 0.3 s"):
            await driver.set_power(True, timeout=0.3)

    using(test)


def test_the_log_is_fetched_to_its_end() -> None:
    async def test(simulator: ArchonSimulator, driver: ArchonDriver) -> None:
        await ready(driver)
        assert await driver.log_lines() == ["Power off", "Power intermediate", "Power on"]
        assert await driver.log_lines() == []
        assert (await driver.status()).log_lines == 0

    using(test)


def test_a_refusal_names_the_command_and_the_link_goes_on() -> None:
    async def test(simulator: ArchonSimulator, driver: ArchonDriver) -> None:
        simulator.faults.refused = {"APPLYCDS"}
        with pytest.raises(RefusedError, match="the controller refused APPLYCDS"):
            await driver.apply_cds()
        assert await driver.timer() > 0

    using(test)


def test_of_many_messages_at_once_each_gets_its_own_reply() -> None:
    async def test(simulator: ArchonSimulator, driver: ArchonDriver) -> None:
        configuration = await ready(driver)
        lines = configuration.lines
        answers = await asyncio.gather(*(driver.message(f"RCONFIG{n:04X}") for n in range(len(lines))))
        assert answers == lines

    using(test)


def test_a_command_without_answer_ends_in_time_and_its_number_is_not_used_again() -> None:
    async def test(simulator: ArchonSimulator, driver: ArchonDriver) -> None:
        with pytest.raises(TimeoutError, match=r"no answer to NONSENSE within 0.1 s"):
            await driver.message("NONSENSE", 0.1)
        for _ in range(300):  # the 255 other reference numbers and again
            assert await driver.timer() > 0

    using(test)


def test_a_late_reply_is_not_taken_for_another() -> None:
    async def test(simulator: ArchonSimulator, driver: ArchonDriver) -> None:
        simulator.faults.delay_s = 0.2
        with pytest.raises(TimeoutError):
            await driver.message("SYSTEM", 0.05)
        simulator.faults.delay_s = 0.0
        assert await driver.timer() > 0
        assert (await driver.system()).version == "1.0.1252"

    using(test)


def test_a_controller_that_answers_nobody_ends_every_question_in_time() -> None:
    async def test(simulator: ArchonSimulator, driver: ArchonDriver) -> None:
        simulator.faults.mute = True
        for _ in range(3):
            with pytest.raises(TimeoutError):
                await driver.message("STATUS", 0.05)
        simulator.faults.mute = False
        assert (await driver.status()).valid

    using(test)


def test_a_dropped_connection_ends_what_waits_and_the_next_connection_works() -> None:
    async def test(simulator: ArchonSimulator, driver: ArchonDriver) -> None:
        simulator.faults.delay_s = 5.0
        waiting = asyncio.create_task(driver.status())
        await asyncio.sleep(0)
        simulator.faults.mute = True
        await until(lambda: bool(simulator._clients))
        simulator.drop_connections()
        with pytest.raises(NotConnectedError, match=r"closed by the controller \(after STATUS\)"):
            await waiting
        assert not driver.connected
        with pytest.raises(NotConnectedError, match="not sent: TIMER"):
            await driver.timer()
        simulator.faults.delay_s, simulator.faults.mute = 0.0, False
        await driver.connect()
        assert await driver.timer() > 0

    using(test)


def test_nobody_listening_is_told_at_once() -> None:
    async def run() -> None:
        async with ArchonSimulator(columns=8, rows=8) as simulator:
            port = simulator.port
        driver = ArchonDriver("127.0.0.1", port)
        with pytest.raises(NotConnectedError, match=f"archon://127.0.0.1:{port}"):
            await driver.connect()
        with pytest.raises(NotConnectedError, match="not connected"):
            await driver.status()

    asyncio.run(run())


def test_a_reboot_ends_the_connection_and_forgets_the_configuration() -> None:
    async def test(simulator: ArchonSimulator, driver: ArchonDriver) -> None:
        await ready(driver)
        with pytest.raises(NotConnectedError):
            await driver.message("REBOOT")
        await driver.connect()
        assert (await driver.status()).power is Power.NOT_CONFIGURED
        assert await driver.read_lines(1) == [""]

    using(test)


def test_a_fetch_that_stalls_ends_in_time_and_the_buffer_is_free_after_reconnecting(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(archon_module, "STALL_TIMEOUT", 0.2)

    async def test(simulator: ArchonSimulator, driver: ArchonDriver) -> None:
        await ready(driver)
        buffer = await frame(driver)
        simulator.faults.stall_in_fetch = True
        with pytest.raises(TimeoutError, match="no answer to FETCH"):
            await driver.fetch(buffer)
        assert not driver.connected  # what follows in the stream belongs to nothing
        simulator.faults.stall_in_fetch = False
        await driver.connect()
        assert (await driver.fetch(buffer))[3, 5] == 3 * 31 + 5

    using(test)


def test_a_connection_lost_in_a_fetch_is_told_and_the_frame_is_still_there() -> None:
    async def test(simulator: ArchonSimulator, driver: ArchonDriver) -> None:
        await ready(driver)
        buffer = await frame(driver)
        simulator.faults.drop_in_fetch = True
        with pytest.raises(NotConnectedError, match="FETCH"):
            await driver.fetch(buffer)
        simulator.faults.drop_in_fetch = False
        await driver.connect()
        assert (await driver.fetch(buffer)).shape == (LINES, TAPS * PIXELS)

    using(test)


def test_a_refused_fetch_unlocks_the_buffer() -> None:
    async def test(simulator: ArchonSimulator, driver: ArchonDriver) -> None:
        await ready(driver)
        buffer = await frame(driver)
        simulator.faults.refused = {"FETCH"}
        with pytest.raises(RefusedError, match="FETCH"):
            await driver.fetch(buffer)
        assert (await driver.frame()).read_buffer == 0

    using(test)


def test_a_cancelled_fetch_leaves_the_link_usable() -> None:
    async def test(simulator: ArchonSimulator, driver: ArchonDriver) -> None:
        await ready(driver)
        buffer = await frame(driver)
        taken = asyncio.create_task(driver.fetch(buffer))
        await until(lambda: simulator.controller.commands[-1].startswith("LOCK1"))
        taken.cancel()
        with pytest.raises(asyncio.CancelledError):
            await taken
        assert (await driver.frame()).read_buffer == 0
        assert (await driver.fetch(buffer))[0, PIXELS] == 4096

    using(test)


def test_questions_during_a_long_fetch_wait_for_it_without_failing() -> None:
    async def test(simulator: ArchonSimulator, driver: ArchonDriver) -> None:
        await ready(driver, LINECOUNT="2000", PIXELCOUNT="1500")
        buffer = await frame(driver)
        fetched = asyncio.create_task(driver.fetch(buffer))
        await until(lambda: simulator.controller.commands[-1].startswith("FETCH"))
        status = await driver.status()
        assert status.valid
        assert (await fetched).shape == (2000, 6000)

    using(test)


def test_a_frame_that_never_comes_ends_in_time() -> None:
    async def test(simulator: ArchonSimulator, driver: ArchonDriver) -> None:
        await ready(driver)
        simulator.faults.no_frame = True
        known: dict[int, int] = {}
        await driver.load_parameter("ReadOut", 1)
        with pytest.raises(TimeoutError, match=r"no frame is complete 0.2 s after"):
            await driver.wait_frame(known, asyncio.get_running_loop().time(), 0.2)

    using(test)


def test_a_command_of_two_lines_is_not_sent() -> None:
    async def test(simulator: ArchonSimulator, driver: ArchonDriver) -> None:
        with pytest.raises(BadValueError, match="cannot be sent"):
            await driver.message("TIMER\n>00POWEROFF")
        assert simulator.controller.commands == []

    using(test)
