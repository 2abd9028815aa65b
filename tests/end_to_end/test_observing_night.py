"""A night by the observer, by an azcam console and by Alpaca: three times the same files; and as long as foreseen."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pexpect
import pytest
import tango
from alpaca.camera import Camera
from alpaca.filterwheel import FilterWheel
from alpaca.telescope import Telescope
from astropy.io import fits

from servers.ccd_client import CcdClient
from servers.facility.ports import DEFAULT_PORTS
from tests.azcam.console import Console
from tests.support import demo_facility
from tests.support.demo_facility import BIN, Facility, free_offset, started, stopped
from tests.support.serving import ROOT, wait_until

pytestmark = [pytest.mark.long, pytest.mark.timeout(1500)]

#: Two fields that never set at 32.4 deg north, each in two colours.
NIGHT = """\
command,target,ra,dec,filter,type,seconds,repeats,east,north
movefilter,,,,clear,,,,,
movetel,,13:00:00,+80:00:00,,,,,,
,bias,,,,zero,,2,,
,dome,,,V,flat,0.5,,,
,north field,13:00:00,+80:00:00,B,object,4,2,,
,north field,13:00:00,+80:00:00,V,object,3,2,,
,pole,03:00:00,+86:30:00,V,object,2,,,
,pole,03:00:00,+86:30:00,B,object,2,,30,-15
"""
IMAGES = 9
#: Keywords of time, of what follows the sky, and of what was measured.
OF_ITS_OWN = {
    *("FILENAME", "CHECKSUM", "EXPTIME", "DARKTIME"),
    *("DATE", "DATE-OBS", "DATE-END", "TIME-OBS", "UTC-OBS", "UT", "LOCTIME", "MJD-OBS", "ST", "LST-OBS"),
    *("HA", "AZIMUTH", "ELEVAT", "ZD", "PARANGLE", "AIRMASS"),
    *("CAMTEMP", "DEWTEMP", "CCDTEMP1", "CCDTEMP2", "CCDTEMP3", "INSTTMP1", "INSTTMP2"),
}


@dataclass(frozen=True)
class Shot:
    """What a client of another protocol does for one row."""

    target: str
    place: tuple[str, str] | None
    offset: tuple[str, str] | None
    filter: str
    type: str
    seconds: float
    repeats: int


def shots() -> list[Shot]:
    found = []
    for line in NIGHT.splitlines()[3:]:
        _, target, ra, dec, filter, type, seconds, repeats, east, north = line.split(",")
        place, offset = (ra, dec) if ra else None, (east, north) if east else None
        found.append(Shot(target or "", place, offset, filter, type, float(seconds or 0), int(repeats or 1)))
    return found


@pytest.fixture(scope="module")
def facility(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Facility]:
    """The small camera; its detector sees light and reads it, and nothing that depends on the clock."""
    folder = tmp_path_factory.mktemp("night")
    for name in ("ccd-mock.json", "ccd-mock.facility.yaml"):
        text = (ROOT / "dbconfig" / name).read_text().replace("@here", str(ROOT / "dbconfig"))
        text = text.replace('"CCD1:TEL:"\n              ]', '"CCD1:TEL:"], "slew_rate": ["30"], "acceleration": ["60"')
        text = text.replace('["60"\n', '["60"]\n')
        options = "options: {columns: 512, rows: 384, dark_e_s: 0, cosmic_rays_mpix_h: 0, seed: 7}"
        text = text.replace("options: {columns: 512, rows: 384}", options)
        if name.endswith("yaml"):
            text += "  alpaca:\n    kind: alpaca\n    device: ccd/1/exposure\n    options: {listen: '@alpaca'}\n"
        (folder / name).write_text(text)
    json.loads((folder / "ccd-mock.json").read_text())
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(demo_facility, "START_SECONDS", 240.0)
        running = started(folder / "state", free_offset(), file=folder / "ccd-mock.json")
    yield running
    stopped(running)


def begin_anew(facility: Facility, camera: CcdClient, root: str) -> None:
    """The simulated controller begins its random numbers again; images have another name."""
    controller = tango.DeviceProxy(f"tango://127.0.0.1:{10000 + facility.offset}/ccd/1/controller")
    facility.child("sim", "archon").kill()
    wait_until(lambda: controller.state() == tango.DevState.FAULT, 30.0, "its loss is seen")
    wait_until(lambda: controller.state() in (tango.DevState.ON, tango.DevState.ALARM), 90.0, "it is connected")
    # Without one, the first header has no temperatures.
    tempcon = tango.DeviceProxy(f"tango://127.0.0.1:{10000 + facility.offset}/ccd/1/tempcon")
    wait_until(lambda: tempcon.read_attribute("camera_temperature").value is not None, 60.0, "a temperature")
    for name, value in (
        ("image_root", f"{root}."),
        ("image_number", 1),
        ("image_title", "none"),
        ("exposure_time", 9.0),
    ):
        camera.put(name, value)


def test_a_night_gives_the_same_files_by_the_observer_by_azcam_and_by_alpaca(facility: Facility) -> None:
    server = f"tango://127.0.0.1:{10000 + facility.offset}"
    camera = CcdClient(f"{server}/ccd/1/exposure")
    script = facility.state_dir / "night.csv"
    script.write_text(NIGHT)

    def by_observer() -> None:
        done = facility.run("diptych", "observe", str(script), "--yes", seconds=240.0)
        assert done.returncode == 0, done.stdout + done.stderr
        assert f"rows 8 done, 0 failed, 0 skipped; {IMAGES} images" in done.stdout

    def by_azcam() -> None:
        with Console(f"127.0.0.1:{DEFAULT_PORTS['azcam'] + facility.offset}") as console:
            console.socket.settimeout(90.0)

            def say(line: str) -> None:
                assert console.line(line).startswith("OK"), line

            say("instrument.set_filter clear")
            say("telescope.move 13:00:00 +80:00:00 2000.0")
            for shot in shots():
                if shot.place is not None:
                    say(f"telescope.move {shot.place[0]} {shot.place[1]} 2000.0")
                if shot.offset is not None:
                    say(f"telescope.offset {shot.offset[0]} {shot.offset[1]}")
                if shot.filter:
                    say(f"instrument.set_filter {shot.filter}")
                for _ in range(shot.repeats):
                    say(f'exposure.expose {shot.seconds:g} {shot.type} "{shot.target}"')

    def by_alpaca() -> None:
        address = f"127.0.0.1:{DEFAULT_PORTS['alpaca'] + facility.offset}"
        detector, wheel, telescope = Camera(address, 0), FilterWheel(address, 0), Telescope(address, 0)
        for each in (detector, wheel, telescope):
            each.Connected = True

        def choose(filter: str) -> None:
            wheel.Position = wheel.Names.index(filter)
            wait_until(lambda: wheel.Names[wheel.Position] == filter, 30.0, filter)

        def rests() -> None:
            wait_until(lambda: not telescope.Slewing, 90.0, "it is there")

        def point(ra: str, dec: str) -> None:
            telescope.SlewToCoordinatesAsync(float(ra[:2]), float(dec[:3]) + float(dec[4:6]) / 60.0)
            rests()

        choose("clear")
        point("13:00:00", "+80:00:00")
        for shot in shots():
            if shot.place is not None:
                point(*shot.place)
            if shot.offset is not None:
                telescope.Action("offset", " ".join(shot.offset))
                rests()
            if shot.filter:
                choose(shot.filter)
            detector.Action("image_title", shot.target)
            detector.Action("image_type", "flat" if shot.type == "flat" else "")
            for _ in range(shot.repeats):
                detector.StartExposure(shot.seconds, shot.type != "zero")
                wait_until(lambda: detector.ImageReady, 60.0, "the image")

    ways: dict[str, Callable[[], None]] = {"observer": by_observer, "azcam": by_azcam, "alpaca": by_alpaca}
    nights = []
    for name, way in ways.items():
        begin_anew(facility, camera, name)
        way()
        files = sorted((facility.state_dir / "ccd").glob(f"{name}.*.fits"))
        assert len(files) == IMAGES, name
        nights.append(files)
    check_physics(nights[0])
    for images in zip(*nights, strict=True):
        same(images)


def check_physics(files: list[Path]) -> None:
    """The night is what was asked for."""
    found = [fits.getheader(path) for path in files]
    assert [each["OBJECT"] for each in found] == [
        *["bias"] * 2, "dome", *["north field"] * 4, *["pole"] * 2
    ]  # fmt: skip
    assert [each["FILTER"] for each in found] == ["clear", "clear", "V", "B", "B", "V", "V", "V", "B"]
    assert [each["IMAGETYP"] for each in found] == ["zero", "zero", "flat", *["object"] * 6]
    assert found[7]["DEC"].startswith("+86:30:00") and found[8]["DEC"].startswith("+86:29:44.9")
    assert (found[8]["RAOFFST"], found[8]["DECOFFST"]) == (30.0, -15.0)
    # 4 s of a sky of 20 e-/s at 1.5 e-/adu, over the bias of the overscan.
    pixels = fits.getdata(files[3], 1).astype(float)
    assert np.median(pixels[:, 16:272]) - np.median(pixels[:, 272:]) == pytest.approx(53.3, abs=3.0)


def same(paths: tuple[Path, ...]) -> None:
    """Pixels are the same, and every card but those of the time."""
    opened: list[list[Any]] = []
    for path in paths:
        with fits.open(path, checksum=True) as file:
            file.verify("exception")
            opened.append([(unit.header.copy(), None if unit.data is None else unit.data.copy()) for unit in file])
    for units in zip(*opened, strict=True):
        headers = [header for header, _ in units]
        cards = [[(card.keyword, card.comment) for card in header.cards] for header in headers]
        assert all(each == cards[0] for each in cards), [set(each) ^ set(cards[0]) for each in cards]
        values = [[card.value for card in header.cards] for header in headers]
        differing = {name for (name, _), *each in zip(cards[0], *values, strict=True) if len(set(each)) > 1}
        left = differing - OF_ITS_OWN
        assert not left, [
            (path.name, name, header[name]) for name in left for path, header in zip(paths, headers, strict=True)
        ]
        for _, data in units[1:]:
            np.testing.assert_array_equal(data, units[0][1], str(paths))


def test_a_night_takes_as_long_as_its_dry_run_says(facility: Facility) -> None:
    """Overheads were measured by the night before; this one is another."""
    observer = CcdClient(f"tango://127.0.0.1:{10000 + facility.offset}/ccd/1/observer")
    script = facility.state_dir / "other.csv"
    script.write_text(
        "command,target,ra,dec,filter,type,seconds,repeats\n"
        "movefilter,,,,clear,,,\n"
        ",pole,03:00:00,+86:30:00,V,object,6,5\n"
        ",north field,13:00:00,+80:00:00,B,object,8,4\n"
        "delay,,,,,,5,\n"
        ",,,,V,object,5,4\n"
    )
    done = facility.run("diptych", "observe", str(script), "--dry-run", seconds=90.0)
    assert done.returncode == 0, done.stderr
    assert "other.csv: 13 images in " in done.stdout
    script.with_name("bad.csv").write_text("type,seconds,filter\nobject,-1,U\nzero,,V\n")
    bad = facility.run("diptych", "observe", str(script.with_name("bad.csv")), seconds=90.0)
    assert bad.returncode == 1
    assert bad.stderr.splitlines() == [
        "error: bad.csv has 2 faults; nothing was done:",
        "  line 2, seconds = '-1': a number from 0 to 1000000 s",
        "  line 2, filter = 'U': none of clear, B, V, R, I",
    ]
    assert camera_rests(observer)
    observer.call("load_text", name=script.name, text=script.read_text())
    expected = json.loads(observer.call("timetable", first_row=1, begin=""))["seconds"]
    began = time.monotonic()
    result = observer.run("observe", timeout=200.0, script="")
    assert result["images"] == 13
    assert expected > 87.0
    assert time.monotonic() - began == pytest.approx(expected, rel=0.10)
    assert result["seconds"] == pytest.approx(expected, rel=0.10)


def test_ctrl_c_pauses_and_asks(facility: Facility) -> None:
    observer = CcdClient(f"tango://127.0.0.1:{10000 + facility.offset}/ccd/1/observer")
    script = facility.state_dir / "darks.yaml"
    script.write_text("- {type: dark, seconds: 3, repeats: 3}\n- {type: zero, repeats: 500}\n")
    words = ["observe", str(script)]
    terminal = pexpect.spawn(
        str(BIN / "diptych"),
        words,
        env=facility.environment,
        timeout=120.0,
        dimensions=(40, 160),
        encoding="utf-8",
        codec_errors="replace",
    )
    try:
        terminal.expect("row 1 of 2: obs dark 3 s x 3")
        terminal.sendintr()
        terminal.expect("it pauses when the present image is there")
        terminal.expect("resume, skip this row, abort, or leave it paused")
        assert observer.get("paused") and observer.get("image") in (1, 2)
        assert not tango.DeviceProxy(f"tango://127.0.0.1:{10000 + facility.offset}/ccd/1/exposure").reserved_by
        terminal.sendline("what?")
        terminal.expect("resume, skip this row, abort, or leave it paused")
        terminal.sendline("r")
        wait_until(lambda: observer.get("row") == 2 and observer.get("image") > 1, 120.0, "the biases")
        terminal.sendintr()
        terminal.expect("resume, skip this row, abort, or leave it paused")
        terminal.sendline("s")
        terminal.expect("rows 1 done, 0 failed, 1 skipped")
        terminal.expect(pexpect.EOF)
        terminal.wait()
        assert terminal.exitstatus == 0
    finally:
        terminal.close(force=True)
        observer.call("abort", "")


def test_a_night_goes_on_after_its_server_was_killed(facility: Facility) -> None:
    name = f"tango://127.0.0.1:{10000 + facility.offset}/ccd/1"
    observer, camera = CcdClient(f"{name}/observer"), CcdClient(f"{name}/exposure")
    camera.put("image_root", "killed.")
    script = facility.state_dir / "killed.csv"
    script.write_text("target,filter,type,seconds,repeats\nfield,V,object,1.5,4\n,,zero,,2\n")
    done = facility.run("diptych", "observe", str(script), "--background", seconds=90.0)
    assert done.returncode == 0 and "follows it" in done.stdout, done.stdout + done.stderr
    wait_until(lambda: observer.get("image") == 2, 90.0, "two images")
    facility.child("serve", "ccd").kill()
    state = tango.DeviceProxy(f"{name}/observer").state
    wait_until(lambda: state() == tango.DevState.ON and observer.get("unfinished"), 180.0, "it is there again")
    # The third image was lost with its server; the two before are not taken again.
    assert observer.get("unfinished") == "killed.csv: row 1 of 2, 2 images of it"
    control = tango.DeviceProxy(f"{name}/controller").state
    wait_until(lambda: control() in (tango.DevState.ON, tango.DevState.ALARM), 90.0, "the controller is connected")
    done = facility.run("diptych", "observe", "--carry-on", seconds=200.0)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "rows 2 done, 0 failed, 0 skipped; 4 images" in done.stdout
    headers = [fits.getheader(path) for path in sorted((facility.state_dir / "ccd").glob("killed.*.fits"))]
    assert [each["IMAGETYP"] for each in headers] == ["object"] * 4 + ["zero"] * 2
    assert {each["FILTER"] for each in headers} == {"V"}, "a filter that a row before had set is set again"


def camera_rests(observer: CcdClient) -> bool:
    """Nothing runs: a dry run moves nothing."""
    return observer.get("operation") == "" and observer.get("row") == 0
