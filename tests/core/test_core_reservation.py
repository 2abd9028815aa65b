"""Reservations: one client writes, all read, everybody may stop."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import pytest

from devices.core.client import asked_by
from devices.core.errors import BadValueError, NotAllowedError, RangeError
from tests.support.everything import Everything
from tests.support.running import running, until

BLUESKY, PANEL = "tango 10.1.2.3 4711", "tango 10.1.2.9 99"


def with_device(test: Callable[[Everything], Awaitable[None]]) -> None:
    async def run() -> None:
        async with running(Everything("test/everything/1")) as device:
            await until(lambda: device.connected, "it is connected")
            await test(device)

    asyncio.run(run())


async def reserve(device: Everything, client: str, name: str = "bluesky", seconds: float = 60.0) -> None:
    with asked_by(client):
        await device.run("reserve", {"name": name, "seconds": seconds})


def test_others_write_nothing_and_run_nothing_and_are_told_who_has_it() -> None:
    async def test(device: Everything) -> None:
        await reserve(device, BLUESKY)
        assert device.reserved_by.value == "bluesky"
        assert "reserved by bluesky until" in device.status
        with asked_by(PANEL):
            with pytest.raises(NotAllowedError, match="a_float64: test/everything/1 is reserved by bluesky until"):
                await device.put("a_float64", 2.5)
            with pytest.raises(NotAllowedError, match="nothing: test/everything/1 is reserved by bluesky"):
                await device.run("nothing")
            with pytest.raises(NotAllowedError, match="expose: "):
                await device.run("expose", {"seconds": 0.1})
            assert "test/everything/1" not in await device.run("describe")  # it reads only
        with asked_by(BLUESKY):
            await device.put("a_float64", -1.25)
        assert device.a_float64.setpoint is not None and device.a_float64.setpoint.value == -1.25

    with_device(test)


def test_everybody_may_abort_what_the_holder_began() -> None:
    async def test(device: Everything) -> None:
        await reserve(device, BLUESKY)
        with asked_by(BLUESKY):
            identity = await device.run("expose", {"seconds": 30.0})
        with asked_by(PANEL):
            await device.run("abort", {"id": identity})
        await until(lambda: device.operations.status(identity)["state"] == "ABORTED", "it is aborted")

    with_device(test)


def test_what_the_device_does_by_itself_goes_on() -> None:
    async def test(device: Everything) -> None:
        await reserve(device, BLUESKY)
        await device.put("a_float64", 7.5)
        before = device.temperature.reading.timestamp
        await until(lambda: device.temperature.reading.timestamp > before, "it polls")

    with_device(test)


def test_it_ends_after_its_time_and_is_prolonged_by_its_client_only() -> None:
    async def test(device: Everything) -> None:
        await reserve(device, BLUESKY, seconds=0.2)
        with pytest.raises(NotAllowedError, match="reserve: test/everything/1 is reserved by bluesky"):
            await reserve(device, PANEL, "panel")
        await reserve(device, BLUESKY, "the same in another name", seconds=60.0)
        assert device.reserved_by.value == "the same in another name"
        await reserve(device, BLUESKY, seconds=0.05)
        await until(lambda: device.reserved_by.value == "", "it ends")
        await reserve(device, PANEL, "panel")
        assert device.reserved_by.value == "panel"

    with_device(test)


def test_its_client_releases_it_and_others_only_by_its_name() -> None:
    async def test(device: Everything) -> None:
        await reserve(device, BLUESKY)
        with asked_by(PANEL):
            with pytest.raises(NotAllowedError, match="who ends it for others gives that name, not ''"):
                await device.run("release")
            await device.run("release", {"name": "bluesky"})
        assert device.reserved_by.value == ""
        await reserve(device, BLUESKY)
        with asked_by(BLUESKY):
            await device.run("release")
            await device.run("release")  # free already
        assert device.reserved_by.value == "" and "reserved" not in device.status

    with_device(test)


@pytest.mark.parametrize("name", ["", " x", "a\nb", "n" * 40])
def test_a_name_that_cannot_be_shown_is_refused(name: str) -> None:
    async def test(device: Everything) -> None:
        with pytest.raises((BadValueError, RangeError), match="name"):
            await reserve(device, BLUESKY, name)
        assert device.reserved_by.value == ""

    with_device(test)


@pytest.mark.parametrize("seconds", [0.0, -1.0, 86_401.0, float("nan"), float("inf")])
def test_a_time_of_no_use_is_refused(seconds: float) -> None:
    async def test(device: Everything) -> None:
        with pytest.raises((RangeError, BadValueError), match="seconds"):
            await reserve(device, BLUESKY, seconds=seconds)
        assert device.reserved_by.value == ""

    with_device(test)


def test_operations_of_a_client_reach_other_devices_as_that_client() -> None:
    async def test(device: Everything) -> None:
        async with running(Everything("test/everything/2")) as other:
            await until(lambda: other.connected, "it is connected")
            await reserve(other, BLUESKY)

            async def sequence() -> None:
                await other.put("a_float64", 1.0)

            with asked_by(PANEL):
                task = asyncio.create_task(sequence())
            with pytest.raises(NotAllowedError, match="test/everything/2 is reserved by bluesky"):
                await task

    with_device(test)
