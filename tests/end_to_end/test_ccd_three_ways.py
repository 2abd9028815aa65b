"""Exposures over Tango, Channel Access and PVAccess, with the controller gone and back between them."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from pathlib import Path

import pytest
import tango
from astropy.io import fits

from devices.core.errors import DiptychError
from servers.ccd_client import CcdClient
from tests.support.demo_facility import Facility
from tests.support.serving import wait_until

pytestmark = pytest.mark.timeout(240)
BY_PVA = """
import sys
from p4p.client.thread import Context
with Context("pva") as context:
    context.put("CCD1:Expose", {"value": sys.argv[1]}, wait=True, timeout=60.0)
"""


@pytest.mark.long
def test_a_camera_whose_controller_dies_takes_the_next_exposures_by_all_ways(facility: Facility) -> None:
    camera = CcdClient(f"tango://127.0.0.1:{10000 + facility.offset}/ccd/1/exposure")
    words = json.dumps({"seconds": 0.2, "image_type": "flat", "title": "after a restart"})

    def by_tango() -> str:
        return camera.expose(0.2, "flat", "after a restart").file

    def by_channel_access() -> str:
        done = facility.run("caproto-put", "-S", "-c", "-w", "60", "CCD1:Expose", words, seconds=90.0)
        assert done.returncode == 0, done.stderr
        return facility.get("CCD1:LastFilename")

    def by_pv_access() -> str:
        done = facility.run("python", "-c", BY_PVA, words, seconds=90.0)
        assert done.returncode == 0, done.stderr
        return facility.get("CCD1:LastFilename")

    controller = tango.DeviceProxy(f"tango://127.0.0.1:{10000 + facility.offset}/ccd/1/controller")

    def comes_back() -> None:
        wait_until(lambda: controller.state() == tango.DevState.FAULT, 20.0, "its loss is seen")
        wait_until(lambda: controller.state() in (tango.DevState.ON, tango.DevState.ALARM), 60.0, "it is connected")

    files = [Path(by_tango())]
    ways: tuple[Callable[[], str], ...] = (by_tango, by_channel_access, by_pv_access)
    for way in ways:
        # Between two exposures: the next one must do without anybody's help, and reset what forgot everything.
        assert controller.is_reset
        facility.child("sim", "archon").kill()
        comes_back()
        assert not controller.is_reset
        files.append(Path(way()))
    assert len(set(files)) == 4

    # In the middle of one: it fails, soon, and says why.
    number = camera.start("expose", seconds=30.0, image_type="dark")
    wait_until(lambda: camera.get("exposure_state") == "Exposing", 20.0)
    facility.child("sim", "archon").kill()
    began = time.monotonic()
    with pytest.raises(DiptychError):
        camera.wait(number, 40.0)
    assert time.monotonic() - began < 25.0, "long before the exposure would have ended"
    assert camera.get("exposure_state") == "Idle"
    wait_until(lambda: controller.state() in (tango.DevState.ON, tango.DevState.ALARM), 60.0, "it is connected")
    files.append(Path(camera.expose(0.2, "flat", "after a restart").file))

    for file in files:
        with fits.open(file, checksum=True) as found:
            found.verify("exception")
            assert (found[0].header["OBJECT"], found[0].header["IMAGETYP"]) == ("after a restart", "flat")
            assert [each.data.shape for each in found[1:]] == [(192, 304)] * 4
            # 0.2 s of a sky of 20 e-/s at 1.5 e-/adu, and stars, behind the prescan; over the bias of the overscan.
            pixels = found[1].data.astype(float)
            assert 2.0 < pixels[:, 16:272].mean() - pixels[:, 272:].mean() < 20.0
