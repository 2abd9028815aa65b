"""The state of a device: one precedence for everything that is true at the same time."""

from __future__ import annotations

from devices.core.datatype import DeviceState

#: States that say the device is not there for work; only FAULT is above them.
ABSENT = frozenset({DeviceState.INIT, DeviceState.OFF, DeviceState.DISABLE, DeviceState.UNKNOWN})
#: States of work under way.
ACTIVE = frozenset({DeviceState.RUNNING, DeviceState.MOVING})


def resolve(own: DeviceState, *, fault: bool, running: bool, alarm: bool) -> DeviceState:
    """The state to show: FAULT > INIT, OFF, DISABLE, UNKNOWN > RUNNING, MOVING > ALARM > STANDBY > ON and the rest.

    Args:
        own: what the device itself says of the hardware.
        fault: something keeps the device from working.
        running: an operation is under way.
        alarm: an attribute is beyond a warning or alarm bound.
    """
    if fault or own is DeviceState.FAULT:
        return DeviceState.FAULT
    if own in ABSENT:
        return own
    if own in ACTIVE:
        return own
    if running:
        return DeviceState.RUNNING
    if alarm or own is DeviceState.ALARM:
        return DeviceState.ALARM
    return own
