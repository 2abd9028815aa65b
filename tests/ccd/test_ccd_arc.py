"""The ARC controller as a device: its boards, video chain and commands for experts, over the simulated one's socket."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from astropy.io import fits

from devices.ccd.arc_controller import ArcController
from devices.core.errors import (
    BadValueError,
    BusyError,
    ConfigurationError,
    ProtocolError,
    RangeError,
    RefusedError,
)
from devices.drivers.arc_commands import word
from devices.simulators.arc import ArcSimulator
from tests.ccd.camera import Camera
from tests.ccd.controllers import ARC, bench
from tests.support.running import running, until

PROGRAMS = Path(__file__).parents[2] / "dbconfig" / "ccd"
GIVEN = {"link": "tcp://127.0.0.1:2405", "timing_file": str(PROGRAMS / "arc-timing.lod")}


def with_device(
    test: Callable[[ArcController, ArcSimulator], Awaitable[None]], options: dict[str, Any] | None = None, **given: Any
) -> None:
    """Run a test with a device whose controller was reset."""

    async def work() -> None:
        async with ArcSimulator(**{"columns": 120, "rows": 80, "sweep_s": 0.0, **(options or {})}) as simulator:
            link = f"tcp://127.0.0.1:{simulator.port}"
            device = ArcController("ccd/1/controller", {**GIVEN, "link": link, "timeout": "1.0", **given})
            async with running(device):
                await until(lambda: device.connected, "the controller is connected")
                await done(device, "reset")
                await test(device, simulator)

    asyncio.run(work())


async def done(device: ArcController, name: str, **arguments: Any) -> None:
    identity = str(await device.run(name, arguments))
    await until(lambda: device.operations.status(identity)["state"] in ("DONE", "FAILED", "ABORTED"), name)
    assert device.operations.status(identity)["state"] == "DONE", device.operations.status(identity)


def test_the_boards_stand_in_attributes_and_can_be_said_anew() -> None:
    async def test(device: ArcController, simulator: ArcSimulator) -> None:
        assert "generation 3" in device.identity.value
        assert (device.timing_board.value, device.utility_board.value) == ("arc22", "")
        assert tuple(device.video_boards.value) == ("arc45", "arc45")
        assert device.is_reset.value
        await device.run("set_boards", {"timing": "gen2", "clocks": ["gen2"], "utility": "gen2"})
        assert (device.timing_board.value, device.utility_board.value) == ("gen2", "gen2")
        assert tuple(device.video_boards.value) == ("arc45", "arc45")
        assert not device.is_reset.value
        with pytest.raises(BadValueError, match="timing_board = 'arc99' is none of gen1, gen2, gen3, arc22"):
            await device.run("set_boards", {"timing": "arc99"})

    with_device(test, video_boards=["arc45", "arc45"])


def test_gain_and_speed_of_the_video_boards_are_put() -> None:
    async def test(device: ArcController, simulator: ArcSimulator) -> None:
        await device.put("video_gain", 10)
        await device.put("video_speed", 0)
        assert (simulator.controller.gain, simulator.controller.speed) == (10, 0)
        assert (device.video_gain.value, device.video_speed.value) == (10, 0)
        with pytest.raises(RangeError, match=r"gain = 3, speed = 0: gains are \(1, 2, 5, 10\)"):
            await device.put("video_gain", 3)
        await done(device, "reset")  # which keeps what was put
        assert (simulator.controller.gain, simulator.controller.speed) == (10, 0)

    with_device(test, video_gain="2")


@pytest.mark.parametrize(("board", "order"), [("arc45", (3, 7, "VID", 2000)), ("arc48", (3, "VID", 7, 2000))])
def test_a_bias_has_its_words_in_the_order_of_its_board(board: str, order: tuple[int | str, ...]) -> None:
    async def test(device: ArcController, simulator: ArcSimulator) -> None:
        await device.run("set_bias", {"slot": 3, "dac": 7, "kind": "vid", "value": 2000})
        sent = [word(each) if isinstance(each, str) else each for each in order]
        assert simulator.controller.settings_made == [("SBN", sent)]
        if board == "arc48":
            await device.run("set_video_offset", {"slot": 3, "dac": 1, "value": 900})
            assert simulator.controller.settings_made[-1] == ("SVO", [3, 1, 900])
        else:
            with pytest.raises(RefusedError, match="set_video_offset is a command of arc48 boards"):
                await device.run("set_video_offset", {"slot": 3, "dac": 1, "value": 900})
        await device.run("set_mux", {"slot": 2, "first": 4, "second": 5})
        assert simulator.controller.settings_made[-1] == ("SMX", [2, 4, 5])
        with pytest.raises(BadValueError, match="kind = 'BIA' is neither VID nor CLK"):
            await device.run("set_bias", {"slot": 3, "dac": 7, "kind": "BIA", "value": 1})

    with_device(test, video_boards=[board])


def test_memory_power_idling_and_any_command() -> None:
    async def test(device: ArcController, simulator: ArcSimulator) -> None:
        await device.run("write_memory", {"space": "Y", "board": "TIMING", "address": 0x16, "value": 0xABCDE})
        assert await device.run("read_memory", {"space": "Y", "board": "TIMING", "address": 0x16}) == 0xABCDE
        await device.run("test_datalink", {"board": "PCI"})
        simulator.controller.timing.spoils_link = True
        with pytest.raises(ProtocolError, match="data link of the TIMING board"):
            await device.run("test_datalink", {})
        await device.run("set_power", {"on": False})
        await device.run("set_idling", {"on": False})
        assert not simulator.controller.power and not simulator.controller.idling
        assert await device.run("board_command", {"name": "sbv"}) == "DON"
        with pytest.raises(RefusedError, match="XYZ"):
            await device.run("board_command", {"name": "XYZ"})
        device.claim("ccd/1/exposure")
        with pytest.raises(BusyError, match="set_power is refused: ccd/1/exposure has the controller"):
            await device.run("set_power", {"on": True})

    with_device(test)


def test_properties_that_cannot_be_are_all_named() -> None:
    with pytest.raises(ConfigurationError) as raised:
        ArcController("ccd/1/controller", {**GIVEN, "timing_board": "arc1", "utility_board": "gen9"})
    assert "timing_board = 'arc1'" in str(raised.value) and "utility_board = 'gen9'" in str(raised.value)
    with pytest.raises(ConfigurationError, match="curves"):
        ArcController("ccd/1/controller", {**GIVEN, "curves": ["1", "2"]})
    with pytest.raises(ConfigurationError, match="not an absolute path"):
        ArcController("ccd/1/controller", {**GIVEN, "timing_file": "tim.lod"})


def test_a_camera_takes_the_synthetic_image_and_cools(tmp_path: Path) -> None:
    async def test(camera: Camera, simulator: ArcSimulator) -> None:
        device = camera.controller
        await camera.done("expose", seconds=0.0, image_type="zero")
        await device.put("synthetic_image", True)
        result = await camera.done("expose", seconds=0.0, image_type="zero")
        with fits.open(result["file"]) as file:
            amps = len(file) - 1
            for number, unit in enumerate(file[1:]):
                ramp = (np.arange(unit.data.size) * amps + number) % 65536
                np.testing.assert_array_equal(unit.data.ravel(), ramp)
            assert file[0].header["TIMFILE"] == "arc-timing.lod"
            assert (file[0].header["VIDGAIN"], file[0].header["VIDSPEED"]) == (1, 1)
        await device.put("synthetic_image", False)
        # The boards answer between exposures alone.
        await until(lambda: camera.tempcon.camera_temperature.reading.value is not None, "temperatures")
        await camera.tempcon.put("control_temperature", -60.0)
        assert simulator.controller.camera.cryostat.target_c == pytest.approx(-60.0, abs=0.5)

    async def work() -> None:
        async with bench(ARC, tmp_path, {}) as found:
            assert isinstance(found.simulator, ArcSimulator)
            await test(found.camera, found.simulator)

    asyncio.run(work())
