"""The parameter table."""

from __future__ import annotations

import configparser
from pathlib import Path

import pytest

from servers.azcam.parameters import ATTRIBUTES, KEPT, WINDOW
from servers.azcam.settings import AzcamSettings
from tests.azcam.console import Served, on_camera

#: The names of azcam's table, of its hooks, and those that this camera has not.
NAMES = """
autotitle imagetype exposureflag exposuresequencedelay exposuresequencetotal exposuresequencenumber
exposuresequenceflush exposureupdatingheader isexposuresequence displayimage sendimage savefile flusharray tdidelay
tdimode pardelay exposureguidemode exposureguidestatus lastfilename imagefiletype imageheaderfile imagetest
imagesequencenumber imageautoincrementsequencenumber imageincludesequencenumber imageautoname imageoverwrite imageroot
imagefolder imagesizex imagesizey numpiximage colbin rowbin firstcol firstrow lastcol lastrow instrumentenabled
instrumentfocus telescopeenabled telescopefocus controltemperature camtemp dewtemp utilityboardinstalled
pciboardinstalled timingboardinstalled videogain videospeed usereadlock pcifile timingfile utilityfile timingboard
videoboards clockboards systemname abortflag verbosity hostname version wd logdata imagefilename imagetitle
exposuretime exposurecompleted exposuretimeremaining pixelsremaining temperatures logcommands
""".split()

#: set_par -> what get_par answers then.
SET = {
    "imagetitle 'a flat'": "OK a flat",
    "ExposureTime 2.5": "OK 2.5",
    "imagetype dark": "OK dark",
    "imageroot night1.": "OK night1.",
    "imagesequencenumber 17": "OK 17",
    "imageautoname 1": "OK 1",
    "imageoverwrite 0": "OK 0",
    "savefile True": "OK 1",
    "imagefiletype 6": "OK 6",
    "imagefiletype bin": "OK 2",
    "exposuresequenceflush 1": "OK 1",
    "exposuresequencetotal 5": "OK 5",
    "exposuresequencedelay 1.5 azcamconsole": "OK 1.5",
    "colbin 2": "OK 2",
    "instrumentfocus -12.5": "OK -12.5",
    "controltemperature -105": "OK -105.0",
    "site.pressure -3": "OK -3",
    "whatever 1.5e-3": "OK 0.0015",
    "comment 'two words'": "OK two words",
    "verbosity 2": "OK 2",
}

#: What is refused.
REFUSED = {
    "set_par systemname other": "ERROR NotAllowedError('systemname can be read only')",
    "set_par lastfilename other": "ERROR NotAllowedError('last_filename is read-only')",
    "set_par imagefiletype 3": "ERROR RangeError(\"imagefiletype = '3' is none of FITS 0, MEF 1, BIN 2, ASM 6\")",
    "set_par exposuresequenceflush 7": "ERROR RangeError('exposuresequenceflush = 7 is outside [0, 2]')",
    "set_par savefile maybe": "ERROR BadValueError(\"save_file = 'maybe' is neither 0 nor 1\")",
    "set_par imagesequencenumber -4": "ERROR RangeError('image_number = -4 is outside [0, 999999999]')",
    "set_par 'a=b' 1": "ERROR BadValueError(\"parameter 'a=b' of 'azcamserver' is not a name\")",
    "set_par a 1 '../x'": "ERROR BadValueError(\"parameter 'a' of '../x' is not a name\")",
    "save_pars": "ERROR NotAllowedError('parameters are not saved: the service has no option parameters')",
    "get_par": "ERROR BadValueError('parameter is missing')",
}


def test_every_name_of_the_table_has_a_value(tmp_path: Path) -> None:
    async def test(served: Served) -> None:
        for name, answer in zip(NAMES, await served.lines(*(f"get_par {name}" for name in NAMES)), strict=True):
            assert answer.startswith("OK"), f"{name}: {answer}"
        empty = [name for name in NAMES if await served.lines(f"get_par {name}") == ["OK"]]
        texts = {"lastfilename", "imageheaderfile", "pcifile", "timingfile", "utilityfile", "timingboard", "imagetitle"}
        assert set(empty) <= texts | {"videoboards", "clockboards"}

    assert len(NAMES) == len(set(NAMES)) >= {*ATTRIBUTES, *WINDOW, *KEPT}.__len__()
    on_camera(tmp_path, test)


def test_a_parameter_is_what_it_was_set_to(tmp_path: Path) -> None:
    async def test(served: Served) -> None:
        for words, wanted in SET.items():
            name = words.split()[0]
            assert await served.lines(f"set_par {words}", f"get_par {name.upper()}") == ["OK", wanted], words
        # They are the camera's own, not copies.
        exposure = served.camera.exposure
        assert exposure.sequence_total.value == 5 and exposure.roi.value.tolist()[4] == 2
        assert exposure.filename.value.endswith("night1.DARK.0017.bin")

    on_camera(tmp_path, test)


@pytest.mark.parametrize("request_line", REFUSED)
def test_what_cannot_be_is_refused(tmp_path: Path, request_line: str) -> None:
    async def test(served: Served) -> None:
        assert await served.lines(request_line) == [REFUSED[request_line]]

    on_camera(tmp_path, test)


def test_parameters_are_saved_and_those_of_no_tool_come_back(tmp_path: Path) -> None:
    file = tmp_path / "state" / "azcam.ini"

    async def first(served: Served) -> None:
        requests = ["set_par dome -12.5", "set_par dome 3 azcamconsole", "set_par imageroot b.", "save_pars"]
        assert await served.lines(*requests) == ["OK"] * 4
        found = configparser.ConfigParser(interpolation=None)
        found.read(file)
        assert found["azcamserver"]["imageroot"] == "b." and found["azcamserver"]["colbin"] == "1"

    async def second(served: Served) -> None:
        answers = await served.lines("get_par dome", "get_par dome azcamconsole", "get_par imageroot")
        assert answers == ["OK -12.5", "OK 3", "OK a."], "what tools have they remember by themselves"

    on_camera(tmp_path, first, AzcamSettings(parameters=file))
    on_camera(tmp_path, second, AzcamSettings(parameters=file))


def test_a_folder_that_cannot_be_written_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")

    async def test(served: Served) -> None:
        assert (await served.lines("save_pars"))[0].startswith("ERROR StorageError(")

    on_camera(tmp_path, test, AzcamSettings(parameters=tmp_path / "file" / "azcam.ini"))
