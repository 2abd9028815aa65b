"""The devices of a DCSS as attributes of ours: a client that logs in as Blu-Ice does."""

from __future__ import annotations

import asyncio
import contextlib
import json
import time
from collections.abc import AsyncIterator
from typing import Any

import pytest

from devices.core import Quality
from devices.core.errors import NotConnectedError, RangeError, RefusedError, UnknownNameError
from devices.dcss.gui_device import DcssClient
from devices.simulators.dcss import Database, DcssSimulator

DATABASE = {
    "hosts": {"self": {"simulated": True}, "away": {}},
    "devices": [
        {"kind": "real_motor", "name": "table_vert", "host": "self", "position": 2.5, "upper": 25.0, "upper_on": 1,
         "lower": -10.0, "lower_on": 1, "speed": 5000},
        {"kind": "real_motor", "name": "far_motor", "host": "away"},
        {"kind": "shutter", "name": "shutter", "host": "self"},
        {"kind": "string", "name": "robot_state", "host": "self", "contents": "{on gonio} 3"},
        {"kind": "operation", "names": ["mount"], "host": "self"},
    ],
}  # fmt: skip


async def until(true: Any, seconds: float = 10.0) -> None:
    deadline = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < deadline, "not in time"
        await asyncio.sleep(0.01)


@contextlib.asynccontextmanager
async def client(core: str = "new") -> AsyncIterator[tuple[DcssSimulator, DcssClient]]:
    async with DcssSimulator(Database.of(DATABASE), gui=core) as dcss:
        given = {
            "dcss": f"127.0.0.1:{dcss.gui_port}",
            "motors": ["table_vert", "far_motor"],
            "shutters": ["shutter"],
            "strings": ["robot_state"],
        }
        device = DcssClient("dcss/client/1", given)
        await device.start()
        try:
            await until(lambda: device.attributes["devices"].reading.value == 5)
            yield dcss, device
        finally:
            await device.stop()


@pytest.mark.parametrize("core", ["new", "old"])
def test_all_devices_of_dcss_are_shown_with_values_units_and_limits(core: str) -> None:
    async def test() -> None:
        async with client(core) as (_, device):
            rows = {row["name"]: row for row in json.loads(device.table.value)}
            assert (rows["table_vert"]["value"], rows["table_vert"]["upper"], rows["mount"]["kind"]) == (
                2.5, 25.0, "operation",
            )  # fmt: skip
            position = device.attributes["position_table_vert"]
            assert (position.value, position.spec.unit, position.spec.limits) == (2.5, "mm", (-10.0, 25.0))
            assert device.attributes["text_robot_state"].value == "{on gonio} 3"
            assert device.attributes["open_shutter"].value is False
            far = device.attributes["position_far_motor"].reading
            assert far.quality is Quality.INVALID and "away is offline" in far.reason
            assert (device.offline.value, rows["far_motor"]["online"]) == ("away", False)

    asyncio.run(test())


def test_a_put_moves_a_motor_once_we_are_the_active_client() -> None:
    async def test() -> None:
        async with client() as (dcss, device):
            with pytest.raises(RefusedError, match="not_active"):
                await device.put("position_table_vert", 4.0)
            await device.run("become_active", {})
            await until(lambda: device.is_active.value)
            await device.put("position_table_vert", 4.0)
            await until(lambda: device.attributes["moving_table_vert"].value)
            await until(lambda: device.attributes["position_table_vert"].value == 4.0)
            await until(lambda: not device.attributes["moving_table_vert"].value)
            with pytest.raises(RangeError, match=r"25.5 mm is outside \[-10.0, 25.0\] mm"):
                await device.put("position_table_vert", 25.5)
            await device.put("open_shutter", True)
            assert dcss.dcss.devices["shutter"].state == "open"
            await device.put("text_robot_state", "{on tong} 4")
            await until(lambda: dcss.dcss.devices["robot_state"].contents == "{on tong} 4")

    asyncio.run(test())


def test_moves_and_operations_run_to_their_end_with_their_result() -> None:
    async def test() -> None:
        async with client() as (_, device):
            await device.run("become_active", {})

            async def ended(what: str, **arguments: Any) -> dict[str, Any]:
                run = await device.run(what, arguments)
                await until(lambda: device.operations.status(run)["state"] in ("DONE", "FAILED", "ABORTED"))
                return device.operations.status(run)

            assert (await ended("move", name="table_vert", position=-1.25))["result"] == -1.25
            mounted = await ended("start_operation", name="mount", arguments="left {A 4}")
            assert mounted["result"] == {"status": "normal", "words": ["left", "A 4"], "updates": []}
            assert UnknownNameError.__name__ in (await ended("move", name="table_horz", position=1.0))["error"]
            refused = await ended("move", name="far_motor", position=1.0)
            assert refused["state"] == "FAILED" and "no_" in refused["error"]
            run = await device.run("move", {"name": "table_vert", "position": 24.0})
            await until(lambda: device.attributes["moving_table_vert"].value)
            await device.run("abort", {"id": run})
            await until(lambda: not device.attributes["moving_table_vert"].value)
            assert device.attributes["position_table_vert"].value < 24.0

    asyncio.run(test())


def test_a_client_comes_back_when_dcss_does() -> None:
    async def test() -> None:
        async with client() as (dcss, device):
            await dcss.gui.stop()
            await until(lambda: device.attributes["position_table_vert"].quality is Quality.INVALID)
            with pytest.raises(NotConnectedError):
                await device.run("abort_all", {})
            dcss.dcss.devices["table_vert"].position = 7.5
            await dcss.gui.start()
            await until(lambda: device.attributes["position_table_vert"].reading.value == 7.5)

    asyncio.run(test())
