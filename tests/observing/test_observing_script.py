"""Observing scripts as files: one schema in three forms, and every fault in one message."""

from __future__ import annotations

from pathlib import Path

import pytest
from astropy import units
from astropy.coordinates import FK4, FK5, SkyCoord

from devices.ccd.observing.policy import Policy
from devices.ccd.observing.script import Equipment, Script
from devices.core.errors import BadValueError
from devices.drivers.script_table import MAX_BYTES
from devices.pipelines.ccd.sky_text import degrees_of, degrees_text, hours_of, hours_text, to_j2000

CAMERA = Equipment(("zero", "flat", "dark", "object", "ThAr"), 3600.0, ("clear", "B", "V"), has_telescope=True)

CSV = """\
# M42 in two colours
command, target, ra, dec, filter, type, seconds, repeats, east, north, focus, text, on_failure

,M42,05:35:17.3,-05:23:28,B,object,120,3,,,,,retry 2 skip
,M42,05:35:17.3,-05:23:28,V,object,90.5,,30,-12,,,
steptel,,,,,,,,-7.5,,,,
movefocus,,,,,,,,,,1250,,
comment,,,,,,,,,,,"now, the biases",
,,,,,zero,,5,,,,,
"""

YAML = """\
# M42 in two colours
- {target: M42, ra: 05:35:17.3, dec: -05:23:28, filter: B, type: object, seconds: 120, repeats: 3,
   on_failure: retry 2 skip}
- target: M42
  ra: 05:35:17.3
  dec: -05:23:28
  filter: V
  type: object
  seconds: 90.5
  east: 30
  north: -12
- {command: steptel, east: -7.5}
- {command: movefocus, focus: 1250}
- {command: comment, text: "now, the biases"}
- {type: zero, repeats: 5, filter: null}
"""


def faults_of(name: str, text: str, equipment: Equipment | None = CAMERA) -> list[str]:
    with pytest.raises(BadValueError) as found:
        Script.parse(name, text, equipment)
    return str(found.value).splitlines()


def test_csv_and_yaml_say_the_same() -> None:
    rows = [Script.parse(name, text, CAMERA).rows for name, text in (("night.csv", CSV), ("night.yaml", YAML))]
    assert [str(row) for row in rows[0]] == [
        "obs M42 B object 120 s x 3 (retry 2 skip)",
        "obs M42 V object 90.5 s +30 -12 arcsec",
        "steptel -7.5 +0 arcsec",
        "movefocus 1250",
        "comment now, the biases",
        "obs zero 0 s x 5",
    ]
    assert [str(row) for row in rows[0]] == [str(row) for row in rows[1]]
    assert [row.place for row in rows[0]] == [row.place for row in rows[1]]
    # YAML on its own makes 20117.3 of it.
    assert rows[1][0].place == pytest.approx((5 + 35 / 60 + 17.3 / 3600, -(5 + 23 / 60 + 28 / 3600)))
    assert [row.line for row in rows[0]] == [4, 5, 6, 7, 8, 9]
    assert [row.line for row in rows[1]] == [2, 4, 12, 13, 14, 15]


def test_lines_of_azcams_observe_are_read() -> None:
    text = """\
! a comment
obs 10.5 object "M31 field F" 1 V 00:36:00 40:30:00 2000.0
3 obs 2.3 dark "a test dark" 2 B
stepfocus -50
delay 3.5
steptel 12.34 -5
movetel 112940.40 +310030.0 2000.0
print hi there
prompt "open the dome"
quit
"""
    script = Script.parse("bass.txt", text, CAMERA)
    assert [str(row) for row in script.rows] == [
        "obs M31 field F V object 10.5 s",
        "obs a test dark B dark 2.3 s x 2",
        "stepfocus -50",
        "delay 3.5 s",
        "steptel +12.34 -5 arcsec",
        "movetel",
        "comment hi there",
        "prompt open the dome",
        "quit",
    ]
    assert script.rows[5].place == pytest.approx((11 + 29 / 60 + 40.4 / 3600, 31 + 30 / 3600))
    assert faults_of("a.txt", "obs 1 dark t 1 B 1 2 J2000 4\nexec rm")[1:] == [
        "line 1, command = 'obs': 9 words follow, at most 8",
        "line 2, command = 'exec': none of obs, test, stepfocus, steptel, movetel, movefilter, delay, print, comment, "
        "prompt, quit",
    ]


def test_every_fault_of_a_file_is_told_with_line_column_value_and_what_is_allowed() -> None:
    text = """\
target,ra,dec,filter,type,seconds,repeats,on_failure
M42,05:35:17.3,-95:23:28,B,object,120,3,
M43,25:00:00,-05:16,Z,object,1e9,0,shrug
M44,,,U,quartz,4000,1,
M45,03:47,,V,object,ten,1,,,7
"""
    assert faults_of("night.csv", text) == [
        "night.csv has 12 faults; nothing was done:",
        "line 2, dec = '-95:23:28': degrees from -90 to 90, as -05:23:28, -052328 or -5.3911",
        "line 3, ra = '25:00:00': hours from 0 to 24, as 05:35:17.3, 053517.3 or 5.58814",
        "line 3, seconds = '1e9': a number from 0 to 1000000 s",
        "line 3, repeats = '0': a whole number from 1 to 10000",
        "line 3, on_failure = 'shrug': stop, skip, pause, retry N, retry N skip or retry N pause, with N from 1 to 100",
        "line 3, filter = 'Z': none of clear, B, V",
        "line 4, type = 'quartz': none of zero, flat, dark, object, ThAr",
        "line 4, filter = 'U': none of clear, B, V",
        "line 4, seconds = '4000': a number from 0 to 3600 s",
        "line 5: 10 cells, and only 8 columns; '', '7' have none",
        "line 5, seconds = 'ten': a number from 0 to 1000000 s",
        "line 5, dec: obs needs it: degrees from -90 to 90, as -05:23:28, -052328 or -5.3911",
    ]


@pytest.mark.parametrize(
    ("name", "text", "fault"),
    [
        ("n.csv", "target,colour,type,type\nM1,red,zero,zero", "line 1, column 'colour': none of command, target"),
        ("n.csv", "target,colour,type,type\nM1,red,zero,zero", "line 1, column 'type': it is there 2 times"),
        ("n.csv", 'target,type\n"M1,zero\n', "line 2: unexpected end of data"),
        ("n.csv", "", "the script has no rows"),
        ("n.csv", "command\ndance", "line 2, command = 'dance': one of obs, test,"),
        ("n.csv", "command,seconds\nprompt,3", "line 2, seconds = '3': prompt has no such field; it has text"),
        ("n.csv", "command,seconds\nprompt,3", "line 2, text: prompt needs it"),
        ("n.csv", "command\nsteptel", "line 2, east: steptel needs it"),
        ("n.csv", "type\nobject", "line 2, seconds: obs needs it"),
        ("n.csv", "type,seconds,equinox\nobject,1,J2000", "line 2, ra: obs needs it"),
        ("n.csv", "type,seconds,ra,dec,equinox\nobject,1,1,2,1900", "line 2, equinox = '1900': J2000 (or 2000.0)"),
        ("n.csv", "target,type\nétoile,zero", "line 2, target = 'étoile': at most 200 characters of ASCII"),
        ("n.csv", "type,seconds\nobject,nan", "line 2, seconds = 'nan': a number"),
        ("n.csv", "type\nzero\n" * 1100, "rows = 2199: at most 1000 are allowed"),
        ("n.yaml", "rows: 3", "line 1: a list of rows is wanted"),
        ("n.yaml", "- 3\n- {type: [zero]}", "line 1: a row is wanted"),
        ("n.yaml", "- 3\n- {type: [zero]}", "line 2: NAME: VALUE is wanted, with one value"),
        ("n.yaml", "- type: zero\n  type: dark", "line 2, column 'type': this row has it already"),
        ("n.yaml", "- {type: zero", "line 1: expected ',' or '}'"),
        ("n.yaml", "- &a {type: zero}\n- {<<: *a}", "line 2: NAME: VALUE is wanted"),
        ("n.yaml", "- !!python/object/apply:os.system {type: zero}\n- 3", "line 2: a row is wanted"),
        ("n.yaml", "[" * 50_000, "line 1: at most 5000 characters"),
        ("n.yaml", "[\n" * 3000, "line 1: this is no YAML"),
        ("n.py", "type\nzero", "name = 'n.py': it must end with .csv, .yaml, .yml, .txt"),
        ("n.csv", "x" * (MAX_BYTES + 1), "size = 100001 bytes: at most 100000 bytes are allowed"),
    ],
)  # fmt: skip
def test_a_file_that_is_no_script_says_why(name: str, text: str, fault: str) -> None:
    assert any(line.startswith(fault) for line in faults_of(name, text)), faults_of(name, text)


def test_a_hundred_faults_are_told_and_the_rest_is_counted() -> None:
    found = faults_of("n.csv", "type,seconds\n" + "object,-1\n" * 150)
    assert len(found) == 102
    assert found[-1] == "and 50 more"


def test_a_camera_without_telescope_and_instrument_takes_scripts_without_them() -> None:
    plain = Equipment(("zero", "object"), 3600.0, (), has_telescope=False)
    assert Script.parse("n.csv", "type,seconds\nobject,5", plain).images == 1
    assert faults_of("n.csv", "type,seconds,filter,ra,dec\nobject,5,V,1,2", plain)[1:] == [
        "line 2, filter = 'V': there are none",
        "line 2, ra = '1': there is no telescope to move",
    ]


def test_the_shipped_night_is_a_good_script() -> None:
    path = Path(__file__).parents[2] / "dbconfig" / "ccd" / "night.csv"
    script = Script.parse(path.name, path.read_text(), Equipment(("zero", "flat", "object"), 3600.0, ("B", "V"), True))
    assert script.images >= 10


@pytest.mark.parametrize(
    ("text", "policy"),
    [
        ("stop", Policy()),
        (" Skip ", Policy(0, "skip")),
        ("retry 3", Policy(3, "stop")),
        ("retry 2 pause", Policy(2, "pause")),
    ],
)
def test_policies_are_words(text: str, policy: Policy) -> None:
    assert Policy.parse(text) == policy
    assert Policy.parse(str(policy)) == policy


@pytest.mark.parametrize("text", ["retry", "retry 0", "retry 101", "go", "skip 2", ""])
def test_other_words_are_no_policy(text: str) -> None:
    with pytest.raises(ValueError, match="stop, skip, pause"):
        Policy.parse(text)


# Coordinates --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "hours"),
    [
        *((text, 5.588139) for text in ("05:35:17.3", "5 35 17.3", "053517.3", "5.588139")),
        ("5:30", 5.5),
        ("0", 0.0),
    ],
)
def test_right_ascensions_are_written_in_several_ways(text: str, hours: float) -> None:
    assert hours_of(text) == pytest.approx(hours, abs=1e-6)


def test_declinations_just_south_of_the_equator_keep_their_sign() -> None:
    assert degrees_of("-00:30:00") == -0.5
    assert degrees_of("-003000") == -0.5
    assert degrees_of("+89:59:59.5") == pytest.approx(89.999861)


@pytest.mark.parametrize("text", ["24:00:00", "-1", "5:60:00", "5:30:60", "5h", "", "1e1", "123456789", "5:-3:00"])
def test_what_is_no_right_ascension_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"."):
        hours_of(text)


def test_places_are_shown_without_sixty_seconds() -> None:
    assert hours_text(5.999999999) == "06:00:00.0"
    assert hours_text(23.9999999) == "00:00:00.0"
    assert degrees_text(-0.5) == "-00:30:00"
    assert degrees_text(29.9999999) == "+30:00:00"


@pytest.mark.parametrize(
    ("equinox", "frame"),
    [("1950.0", FK4(equinox="B1950")), ("B1950", FK4(equinox="B1950")), ("J2026.9", FK5(equinox="J2026.9"))],
)  # fmt: skip
def test_places_of_other_equinoxes_become_those_of_j2000_as_astropy_has_them(equinox: str, frame: object) -> None:
    expected = SkyCoord(83.82 * units.deg, -5.39 * units.deg, frame=frame).transform_to(FK5(equinox="J2000"))
    hours, degrees = to_j2000(83.82 / 15.0, -5.39, equinox, 0.0)
    assert abs(hours * 15.0 - expected.ra.deg) * 3600.0 < 0.05
    assert abs(degrees - expected.dec.deg) * 3600.0 < 0.05
    assert abs(hours * 15.0 - 83.82) > 0.3, "the equinox makes a difference"
