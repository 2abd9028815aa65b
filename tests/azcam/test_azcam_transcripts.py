"""What consoles and scripts of azcam send, and what they are answered."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from devices.ccd.exposure_state import ExposureState
from devices.core.errors import RefusedError
from tests.azcam.console import Served, on_camera

#: Request and reply, word by word; the camera is that of tests.ccd.camera, untouched. ~ begins a regular expression.
TRANSCRIPT = """
> get_par version
< ~OK \\d+\\.\\d+.*
> echo hello there
< OK hello there
> ECHO
< OK
> register a console
< OK
> exposure.get_roi
< OK 1 60 1 40 1 1
> exposure.set_roi 1 60 1 40 2 4
< OK
> exposure.get_roi 0
< OK 1 60 1 40 2 4
> exposure.image.focalplane.get_roi
< OK 1 60 1 40 2 4
> roi_reset
< OK
> get_roi
< OK 1 60 1 40 1 1
> exposure.set_roi 0 60
< ~ERROR RangeError\\('first_col = 0 is outside .*'\\)
> exposure.get_roi 1
< ERROR RangeError('roi_num = 1 is outside [0, 0]: there is one only')
> exposure.get_format
< OK 60 0 0 4 40 0 0 0 0
> exposure.get_focalplane
< OK 1 1 2 2 [0, 1, 2, 3]
> exposure.set_focalplane 1 1 2 1 '[0, 1]'
< OK
> exposure.get_focalplane
< OK 1 1 2 1 [0, 1]
> exposure.set_focalplane 1 1 2 2 [0,1,2,3]
< OK
> exposure.set_exposuretime 2.5
< OK
> exposure.get_exposuretime
< OK 2.5
> exposure.set_exposuretime soon
< ERROR BadValueError("exposure_time = 'soon' is not a number")
> exposure.set_exposuretime
< ERROR BadValueError('exposure_time is missing')
> exposure.set_exposuretime -1
< ~ERROR RangeError\\('exposure_time = -1.0 s is outside .*'\\)
> exposure.get_exposuretime_remaining
< OK 0.0
> exposure.get_pixels_remaining
< OK 0
> exposure.get_exposureflag
< OK 0 NONE
> exposure.finished
< OK 1
> exposure.get_image_types
< OK zero object flat dark ramp HeNeAr ThAr quartz
> exposure.set_image_type flat
< OK
> exposure.get_image_type
< OK flat
> exposure.check_comparison_imagetype ThAr
< OK 1
> exposure.check_comparison_imagetype
< OK 0
> exposure.set_image_type nonsense
< ~ERROR RangeError\\("image_type = 'nonsense' is none of zero, .*"\\)
> exposure.set_image_title "a 450 nm flat"
< OK
> exposure.get_image_title
< OK a 450 nm flat
> exposure.set_image_title M 31 at z=0.001
< OK
> api.get_image_title
< OK M 31 at z=0.001
> exposure.set_image_title "Hubble's star"
< OK
> exposure.get_image_title
< OK "Hubble's star"
> exposure.set_image_title
< OK
> exposure.get_image_title
< OK
> exposure.set_auto_title 1
< OK
> get_par autotitle
< OK 1
> instrument.get_filters
< OK clear B V R I
> instrument.get_all_comps
< OK HeNeAr ThAr quartz
> instrument.set_comps HeNeAr ThAr
< OK
> instrument.get_comps
< OK HeNeAr ThAr
> instrument.comps_on
< OK
> instrument.comps_off
< OK
> instrument.set_comps
< OK
> instrument.get_comps
< OK
> instrument.set_filter v 0
< OK
> instrument.get_filter
< OK V
> get_filter
< OK V
> instrument.set_filter U
< ERROR RangeError("filter = 'U' is none of clear, B, V, R, I")
> instrument.set_wavelength 450
< OK
> instrument.get_wavelength
< OK 450.0
> instrument.set_focus 100
< OK
> instrument.set_focus -30 0 step
< OK
> instrument.get_focus
< OK 70.0
> instrument.set_shutter 1
< OK
> controller.set_shutter 1 0
< OK
> controller.set_shutter 0
< OK
> telescope.move 05:35:17.3 -05:23:28 2000.0
< OK
> telescope.offset 12.5 -3
< OK
> telescope.stop
< OK
> telescope.move 25:00:00 0
< ~ERROR BadValueError\\("ra = '25:00:00', dec = '0', epoch = '2000.0': 25 h is outside .*"\\)
> telescope.set_focus 12.5
< OK
> telescope.get_focus
< OK 12.5
> tempcon.get_temperatures
< OK -101.5 -180.25
> get_temperatures
< OK -101.5 -180.25
> tempcon.get_temperature 1
< OK -180.25
> api.set_control_temperature -110 0
< OK
> tempcon.get_control_temperature
< OK -110.0
> tempcon.set_control_temperature 300
< ~ERROR RangeError\\('control_temperature = 300.0 degC is outside .*'\\)
> exposure.set_keyword OBSERVER "M. L." 'at the telescope'
< OK
> exposure.get_keyword OBSERVER
< OK 'M. L.' 'at the telescope' str
> exposure.set_keyword NIGHT 7 none int
< OK
> exposure.header.get_keyword night
< OK 7 '' int
> exposure.get_keywords
< OK NIGHT OBSERVER
> exposure.delete_keyword OBSERVER
< OK
> exposure.read_header
< OK ['NIGHT', 7, '', 'int']
> exposure.get_keyword OBSERVER
< ERROR UnknownNameError('keyword OBSERVER is not in this header')
> exposure.check_image_ready
< OK 0
> exposure.sendimage.set_remote_imageserver
< OK
> exposure.record_current_times
< OK
> focus_initalize
< OK
> focus_initialize
< OK
> focus.set_pars 1.5 5 20
< OK
> updatemonitor
< ERROR AzcamError('there is no monitor')
> # a remark
< OK
> exposure.get_roi "
< ERROR BadValueError('No closing quotation')
"""

#: Words that azcam would have looked up in its objects, and called.
FORBIDDEN = {
    "exposure.__class__": "ERROR AttributeError(\"'exposure' object has no attribute '__class__'\")",
    "exposure.__init__ 1": "ERROR AttributeError(\"'exposure' object has no attribute '__init__'\")",
    "exposure.engine.exposure": "ERROR AttributeError(\"'exposure' object has no attribute 'engine.exposure'\")",
    "controller.upload /etc/passwd": "ERROR AttributeError(\"'controller' object has no attribute 'upload'\")",
    "api.commands": "ERROR AttributeError(\"'api' object has no attribute 'commands'\")",
    "os.system ls": "ERROR AzcamError('remote call not allowed: os')",
    "nosuch": "ERROR AttributeError(\"'API' object has no attribute 'nosuch'\")",
    "exit": "ERROR AzcamError('remote call not allowed: exit')",
    "exposure.get_roi 0 0 0": "ERROR BadValueError('3 arguments are given, at most 1 are expected')",
}


def exchanges() -> list[tuple[str, str]]:
    lines = [line[2:] for line in TRANSCRIPT.strip().splitlines()]
    return list(zip(lines[::2], lines[1::2], strict=True))


def test_commands_are_answered_as_old_clients_expect(tmp_path: Path) -> None:
    async def test(served: Served) -> None:
        requests = [request for request, _ in exchanges()]
        for (request, wanted), found in zip(exchanges(), await served.lines(*requests), strict=True):
            fits = re.fullmatch(wanted[1:], found) if wanted.startswith("~") else wanted == found
            assert fits, f"{request}: {found} instead of {wanted}"

    on_camera(tmp_path, test)


def test_nothing_but_the_table_can_be_called(tmp_path: Path) -> None:
    async def test(served: Served) -> None:
        assert dict(zip(FORBIDDEN, await served.lines(*FORBIDDEN), strict=True)) == FORBIDDEN
        # azcam makes a new exposure of the first of these, in the place of the one that works.
        assert await served.lines("exposure.get_roi") == ["OK 1 60 1 40 1 1"]

    on_camera(tmp_path, test)


@pytest.mark.parametrize("prefix", ["exposure.", "api.", ""])
def test_an_image_is_taken_whose_title_has_several_words(tmp_path: Path, prefix: str) -> None:
    """The console sends titles of ``api.expose`` without quotes."""

    async def test(served: Served) -> None:
        quoted = '"a 450 nm flat field image"' if prefix == "exposure." else "a 450 nm flat field image"
        assert await served.lines(f"{prefix}expose 0.1 flat {quoted}") == ["OK"]
        assert await served.lines("get_par lastfilename") == [f"OK {served.camera.folder}/a.0001.fits"]
        assert (served.camera.folder / "a.0001.fits").exists()
        exposure = served.camera.exposure
        assert (exposure.image_title.value, exposure.exposure_time.value) == ("a 450 nm flat field image", 0.1)
        assert await served.lines("exposure.check_image_ready", "exposure.check_image_ready") == ["OK 1", "OK 0"]

    on_camera(tmp_path, test)


def test_an_exposure_is_started_watched_and_aborted(tmp_path: Path) -> None:
    async def test(served: Served) -> None:
        assert await served.lines('exposure.expose1 60 object "M 31"') == ["OK"]
        await served.camera.reaches(ExposureState.EXPOSING)
        status = await served.console(lambda console: console.status())
        assert status["exposurecolor"] == "green" and status["exposurelabel"].endswith("sec remaining")
        assert 90.0 < status["progressbar"] <= 100.0
        assert (await served.lines("exposure.expose 1"))[0].startswith(
            "ERROR BusyError('expose is refused: expose runs"
        )
        assert await served.lines("exposure.pause_exposure", "exposure.get_exposureflag") == ["OK", "OK 6 PAUSED"]
        assert await served.lines("exposure.resume_exposure", "exposure.get_exposureflag") == ["OK", "OK 1 EXPOSING"]
        assert await served.lines("exposure.abort") == ["OK"]
        await served.camera.reaches(ExposureState.IDLE)
        assert await served.lines("exposure.expose 0 zero") == ["OK"], "an abort must not swallow the next exposure"

    on_camera(tmp_path, test)


def test_an_exposure_that_fails_is_an_error_and_the_next_one_works(tmp_path: Path) -> None:
    async def test(served: Served) -> None:
        served.camera.link.faults["read_image"] = RefusedError("the controller answered ?3F")
        assert await served.lines("exposure.expose 0 zero") == ["ERROR RefusedError('the controller answered ?3F')"]
        assert await served.lines("exposure.get_exposureflag", "exposure.expose 0 zero") == ["OK 0 NONE", "OK"]

    on_camera(tmp_path, test)


def test_sequences_tests_and_steps_run_to_their_end(tmp_path: Path) -> None:
    async def test(served: Served) -> None:
        requests = [
            "exposure.set_image_type dark",
            "exposure.set_exposuretime 0.01",
            "exposure.sequence 3 1 0",
            "exposure.test 0.01 1",
            "exposure.begin 0.01 flat steps",
            "exposure.integrate",
            "exposure.parshift 5",
            "exposure.readout",
            "exposure.end",
            "exposure.guide 1",
            "exposure.flush 2",
        ]
        assert await served.lines(*requests) == ["OK"] * len(requests)
        names = sorted(path.name for path in served.camera.folder.glob("*.fits"))
        assert names == ["a.0001.fits", "a.0002.fits", "a.0003.fits", "a.0004.fits", "a.0005.fits", "test.fits"]
        assert "shift_rows 5" in served.camera.link.asked and "flush 2" in served.camera.link.asked

    on_camera(tmp_path, test)


def test_the_status_has_the_nineteen_entries_of_azcam(tmp_path: Path) -> None:
    async def test(served: Served) -> None:
        status = await served.console(lambda console: console.status())
        moment = status.pop("timestamp")
        assert re.fullmatch(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d", moment)
        assert status == {
            "message": "",
            "exposurelabel": "",
            "exposurecolor": "transparent",
            "exposurestate": "",
            "progressbar": 0.0,
            "camtemp": "-101.5",
            "dewtemp": "-180.2",
            "filename": f"{served.camera.folder}/a.0001.fits",
            "seqcount": 0,
            "seqtotal": 0,
            "imagetitle": "",
            "imagetype": "zero",
            "imagetest": 0,
            "exposuretime": 1.0,
            "colbin": 1,
            "rowbin": 1,
            "systemname": "tests",
            "mode": "",
        }
        # Consoles split what they get for a bare word; it must be JSON afterwards all the same.
        again = await served.console(lambda console: console.command("api.get_status"))
        assert json.loads(again)["imagetype"] == "zero"

    on_camera(tmp_path, test)


def test_a_camera_without_an_instrument_says_so(tmp_path: Path) -> None:
    async def test(served: Served) -> None:
        assert await served.lines("instrument.get_filter", "instrument.comps_on", "get_par instrumentenabled") == [
            "ERROR NotAllowedError('this camera has no instrument')",
            "ERROR NotAllowedError('this camera has no instrument')",
            "OK 0",
        ]

    on_camera(tmp_path, test, instrument="", telescope="")
