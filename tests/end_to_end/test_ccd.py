"""A sequencer and the camera of the demo, over Tango and over EPICS."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from astropy.io import fits

from devices.core.errors import AbortedError, BusyError, RangeError
from servers.ccd_client import CcdClient
from tests.support.demo_facility import Facility
from tests.support.serving import wait_until

pytestmark = pytest.mark.timeout(180)


@pytest.fixture
def camera(facility: Facility) -> CcdClient:
    return CcdClient(f"tango://127.0.0.1:{10000 + facility.offset}/ccd/1/exposure")


def check(file: str, title: str, seconds: float) -> None:
    """A file of four amplifiers of 256 x 192 pixels between 16 columns of prescan and 32 of overscan."""
    with fits.open(file, checksum=True) as found:
        found.verify("exception")
        assert [each.data.shape for each in found[1:]] == [(192, 304)] * 4
        header = found[0].header
        assert (header["OBJECT"], header["IMAGETYP"], header["EXPREQ"]) == (title, "flat", seconds)
        assert header["EXPTIME"] == pytest.approx(seconds, abs=0.1)


def test_a_put_with_completion_is_answered_when_the_file_is_there(facility: Facility) -> None:
    for name, value in (("Seconds", "0.5"), ("ImageType", "flat")):
        assert facility.run("caproto-put", f"CCD1:Expose:{name}", value).returncode == 0
    assert facility.run("caproto-put", "-S", "CCD1:Expose:Title", "a 450 nm flat field image").returncode == 0
    done = facility.run("caproto-put", "-c", "-w", "60", "CCD1:Expose:Run", "1")
    assert done.returncode == 0, done.stderr
    result = json.loads(facility.run("caproto-get", "-S", "--terse", "CCD1:Expose:Result").stdout)
    check(result["file"], "a 450 nm flat field image", 0.5)
    assert facility.run("caproto-get", "-S", "--terse", "CCD1:LastFilename").stdout.strip() == result["file"]
    assert int(facility.get("CCD1:LastNumber")) == result["number"]


def test_a_sequencer_takes_images_by_the_client_class(facility: Facility, camera: CcdClient) -> None:
    told: list[str] = []
    image = camera.expose(0.5, "flat", "a 450 nm flat field image", progress=lambda percent, what: told.append(what))
    check(image.file, "a 450 nm flat field image", 0.5)
    assert any("s left" in each for each in told)
    assert image.problems == ()
    assert Path(camera.status()["filename"]).name == f"a.{image.number + 1:04d}.fits"
    camera.put("exposure_time", 0.1)
    assert len(set(camera.sequence(2))) == 2
    sides = ("CCD1:DISP:Image:Width", "CCD1:DISP:Image:Height")
    wait_until(
        lambda: (
            facility.run("caproto-get", "--terse", *sides).stdout.translate({91: None, 93: None}).split()
            == ["512", "384"]
        ),
        20.0,
    )


def test_a_second_start_is_refused_and_an_abort_ends_the_first(camera: CcdClient) -> None:
    first = camera.start("expose", seconds=60.0, image_type="dark")
    wait_until(lambda: camera.get("exposure_state") == "Exposing", 10.0)
    with pytest.raises(BusyError, match=first):
        camera.expose(0.0)
    camera.pause()
    assert camera.get("exposure_state") == "Paused"
    camera.abort()
    with pytest.raises(AbortedError):
        camera.wait(first, 10.0)
    assert camera.get("exposure_state") == "Idle"
    with pytest.raises(RangeError, match="image_type = 'neon'"):
        camera.expose(0.0, "neon")
    assert camera.expose(0.0, "zero").exposure_time == 0.0


def test_a_put_with_completion_fails_when_the_exposure_does(facility: Facility) -> None:
    done = facility.run("caproto-put", "-S", "-c", "-w", "30", "CCD1:Expose", '{"image_type": "neon"}')
    assert facility.get("CCD1:Expose:Status") == "FAILED", done.stdout
    assert "none of zero" in facility.run("caproto-get", "-S", "--terse", "CCD1:Expose:Error").stdout
