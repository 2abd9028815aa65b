"""The one state that a device shows of all that is true at the same time."""

from __future__ import annotations

import itertools

import pytest

from devices.core import DeviceState
from devices.core.state import resolve

S = DeviceState

#: From the strongest to the weakest, as the design says; the rest has ON's place.
PRECEDENCE = [{S.FAULT}, {S.INIT, S.OFF, S.DISABLE, S.UNKNOWN}, {S.RUNNING, S.MOVING}, {S.ALARM}, {S.STANDBY}, {S.ON}]


def place(state: DeviceState) -> int:
    return next((place for place, states in enumerate(PRECEDENCE) if state in states), len(PRECEDENCE) - 1)


@pytest.mark.parametrize("own", DeviceState)
def test_the_strongest_state_is_shown_and_of_equals_the_hardwares_own(own: DeviceState) -> None:
    for fault, running, alarm in itertools.product([False, True], repeat=3):
        true = [own, *[S.FAULT] * fault, *[S.RUNNING] * running, *[S.ALARM] * alarm]
        expected = min(true, key=place)
        assert resolve(own, fault=fault, running=running, alarm=alarm) is expected, (fault, running, alarm)


def test_an_alarm_does_not_hide_an_exposure_and_an_exposure_not_that_the_power_is_off() -> None:
    assert resolve(S.ON, fault=False, running=True, alarm=True) is S.RUNNING
    assert resolve(S.OFF, fault=False, running=True, alarm=True) is S.OFF
    assert resolve(S.OFF, fault=True, running=True, alarm=True) is S.FAULT
