"""A camera behind Alpaca as a device: gain, mode, cooler, and who may change them when."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import pytest

from devices.ccd.alpaca_controller import AlpacaController
from devices.ccd.alpaca_link import CameraState
from devices.core.errors import BusyError, ConfigurationError, InvalidReadingError, RangeError
from devices.simulators.alpaca import AlpacaSimulator
from tests.support.running import running, until

Test = Callable[[AlpacaSimulator, AlpacaController], Awaitable[None]]


def using(test: Test, refused: str = "", after: Callable[[AlpacaSimulator], None] | None = None) -> None:
    """A camera and its device; `refused` always fails, `after` is checked when the device has ended."""

    async def run() -> None:
        async with AlpacaSimulator(columns=60, rows=40, scene="test") as simulator:
            simulator.faults.refused.add(refused)
            link = f"http://127.0.0.1:{simulator.port}"
            device = AlpacaController("ccd/1/controller", {"link": link, "timeout": "1.0", "gain": "120"})
            async with running(device):
                await until(lambda: device.connected, "the camera is connected")
                await until(lambda: device.readout_mode.reading.value is not None, "the camera is asked")
                await test(simulator, device)
            if after is not None:
                after(simulator)

    asyncio.run(run())


def test_gain_and_mode_are_the_cameras_and_are_not_changed_in_an_exposure() -> None:
    async def test(simulator: AlpacaSimulator, device: AlpacaController) -> None:
        assert device.camera_state.value is CameraState.IDLE
        assert (device.gain.value, device.offset.value, device.readout_mode.value) == (100, 10, "Normal")
        assert device.readout_modes.value == ("Normal", "Low noise")
        await device.reset_now()
        assert simulator.camera.get_gain() == 120
        await device.put("gain", 250)
        await device.put("readout_mode", "Low noise")
        assert (simulator.camera.get_gain(), simulator.camera.get_readoutmode()) == (250, 1)
        assert device.gain.value == 250
        with pytest.raises(RangeError, match=r"Offset = 101 is outside \[0, 100\]"):
            await device.put("offset", 101)
        device.claim("ccd/1/exposure")
        with pytest.raises(BusyError, match="ccd/1/exposure has the controller"):
            await device.put("gain", 10)
        device.release()
        assert simulator.camera.get_gain() == 250

    using(test)


def test_a_camera_without_a_gain_has_none_and_works() -> None:
    async def test(simulator: AlpacaSimulator, device: AlpacaController) -> None:
        with pytest.raises(InvalidReadingError, match="no gain"):
            device.gain.value  # noqa: B018
        assert device.offset.value == 10

    using(test, refused="gain")


def test_the_cooler_is_switched_off_by_hand_and_not_by_the_end_of_the_device() -> None:
    async def cools(simulator: AlpacaSimulator, device: AlpacaController) -> None:
        await device.link.set_temperature(-12.0)
        await until(lambda: device.attributes["setpoint"].reading.value == -12.0, "the set point is read")

    async def switches_off(simulator: AlpacaSimulator, device: AlpacaController) -> None:
        await cools(simulator, device)
        await device.run("cooler_off", {})

    def is_on(simulator: AlpacaSimulator) -> None:
        assert (simulator.camera.connected, simulator.camera.get_cooleron()) == (True, True)

    def is_off(simulator: AlpacaSimulator) -> None:
        assert simulator.camera.get_cooleron() is False

    using(cools, after=is_on)
    using(switches_off, after=is_off)


def test_a_link_that_is_none_is_refused_at_the_start() -> None:
    with pytest.raises(ConfigurationError, match="http://HOST:PORT"):
        AlpacaController("ccd/1/controller", {"link": "tcp://127.0.0.1:4242"})
