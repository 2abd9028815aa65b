"""Devices of one process find each other by name."""

from __future__ import annotations

import pytest

from devices.core import Device
from devices.core.errors import NotConnectedError
from devices.core.peers import Peers


class Shutter(Device):
    """A shutter."""


def test_a_device_finds_another_of_its_process_whatever_the_case_of_its_name() -> None:
    peers = Peers()
    shutter = Shutter("ccd/1/Shutter")
    peers.add(shutter)
    assert peers.find("CCD/1/shutter", Shutter) is shutter


def test_after_init_the_new_device_is_found_and_the_end_of_the_old_one_does_not_remove_it() -> None:
    peers = Peers()
    old, new = Shutter("ccd/1/shutter"), Shutter("ccd/1/shutter")
    peers.add(old)
    peers.add(new)
    peers.remove(old)
    assert peers.find("ccd/1/shutter", Device) is new
    peers.remove(new)
    with pytest.raises(NotConnectedError, match="device ccd/1/shutter is not in this server; there are none"):
        peers.find("ccd/1/shutter", Device)


def test_a_device_of_another_kind_is_refused_by_name() -> None:
    peers = Peers()
    peers.add(Device("ccd/1/display"))
    with pytest.raises(NotConnectedError, match="device ccd/1/display is a Device, not a Shutter"):
        peers.find("ccd/1/display", Shutter)
