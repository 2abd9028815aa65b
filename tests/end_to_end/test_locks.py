"""Tango's own lock on a device of a facility, as clients of Tango and of EPICS meet it."""

from __future__ import annotations

from typing import Any

import pytest
import tango

from tests.clients.process import ClientError, ClientProcess
from tests.facility.running import wait_for
from tests.support.demo_facility import Facility

pytestmark = [pytest.mark.long, pytest.mark.timeout(200)]
CRYO = "cryo/cryocon/1"
kept: dict[str, Any] = {}  # in the client's process


def _lock() -> None:
    kept["proxy"] = tango.DeviceProxy(CRYO)
    kept["proxy"].lock(60)


def _write(kelvin: float) -> float:
    tango.DeviceProxy(CRYO).setpoint_1 = kelvin
    return float(tango.DeviceProxy(CRYO).setpoint_1)


def _unlock() -> None:
    kept["proxy"].unlock()


def test_a_locked_device_refuses_others_until_it_is_unlocked_and_tells_them_so(facility: Facility) -> None:
    holder, other = ClientProcess(facility.environment), ClientProcess(facility.environment)
    try:
        holder(_lock)
        with pytest.raises(
            ClientError, match=r"API_DeviceLocked(.|\n)*cryo/cryocon/1|cryo/cryocon/1(.|\n)*API_DeviceLocked"
        ):
            other(_write, 81.5)
        put = facility.run("caproto-put", "-c", "-w", "20", "CRYO1:Setpoint1", "82.5")
        wait_for(
            lambda: (
                "NotAllowedError: Device cryo/cryocon/1 is locked by another client"
                in facility.get("CRYO1:Setpoint1:Error")
            ),
            30.0,
            f"the mirror says that it was refused: {put.stderr}",
        )
        assert holder(_write, 80.25) == 80.25
        holder(_unlock)
        assert other(_write, 81.5) == 81.5
    finally:
        for client in (holder, other):
            client.close()
