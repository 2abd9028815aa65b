"""The parts of an exposure by themselves: names, types, keywords, detectors."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from devices.ccd.detector_setup import DetectorSetup, read_setup
from devices.ccd.file_name import FileName, FileType, check_root, folder_and_root
from devices.ccd.header import Header, typed
from devices.ccd.image_type import image_type
from devices.ccd.telescope_header import sexagesimal
from devices.core.errors import BadValueError, RangeError, UnknownNameError
from devices.pipelines.ccd.deinterlace import amplifiers
from devices.pipelines.ccd.detector import Roi

HERE = Path("/data")


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        (FileName(HERE, "a.", 7, FileType.FITS), "/data/a.0007.fits"),
        (FileName(HERE, "a.", 7, FileType.MEF, has_type=True), "/data/a.DARK.0007.fits"),
        (FileName(HERE, "night", 12345, FileType.BIN), "/data/night12345.bin"),
        (FileName(HERE, "night", 3, FileType.ASM, has_number=False), "/data/night.fits"),
        (FileName(HERE, "night", 3, FileType.ASM, has_type=True, has_number=False), "/data/night.DARK.fits"),
    ],
)
def test_names_of_files(name: FileName, expected: str) -> None:
    assert str(name.path("dark")) == expected
    assert str(name.path("dark", is_test=True)) == f"/data/test.{expected.rpartition('.')[2]}"


def test_set_filename_takes_folder_and_root() -> None:
    assert folder_and_root("/data/n1/flat.0003.fits") == ("/data/n1", "flat")
    assert folder_and_root("flat") == ("", "flat")
    with pytest.raises(ValueError, match="no name"):
        folder_and_root("/data/")


@pytest.mark.parametrize("root", ["../a", "a/b", "a\\b", "a\n", "x" * 201])
def test_a_root_that_leads_elsewhere_is_refused(root: str) -> None:
    with pytest.raises(ValueError, match="root = "):
        check_root(root)


def test_a_type_that_is_no_built_in_one_is_a_lamp() -> None:
    assert image_type("ZERO", ()).opens_shutter is False
    assert image_type("ramp", ()).opens_during_readout
    comparison = image_type("Thar", ["ThAr", "Ne"])
    assert (comparison.name, comparison.keyword, comparison.is_comparison) == ("thar", "comp", True)
    with pytest.raises(RangeError, match="'xe' is none of zero, object, flat, dark, ramp, thar, ne"):
        image_type("xe", ["ThAr", "Ne"])


def test_a_template_has_values_comments_and_remarks() -> None:
    header = Header()
    header.read(
        [
            "# of the observatory",
            "OBSERVAT 'Steward  O''Neil'",
            "TELESCOP= 90prime / the Bok",
            "APERTURE 2.29 / [m] of the mirror",
            "NIGHT T",
            "RUN 42",
            "DATE-X 2026-11-21 / a text",
            "COMMENT taken with care",
            "",
        ]
    )
    kept = {name: (entry.value, entry.comment) for name, entry in header}
    assert kept == {
        "APERTURE": (2.29, "[m] of the mirror"),
        "DATE-X": ("2026-11-21", "a text"),
        "NIGHT": (True, ""),
        "OBSERVAT": ("Steward  O'Neil", ""),
        "RUN": (42, ""),
        "TELESCOP": ("90prime", "the Bok"),
    }
    assert header.comments == ["taken with care"]


def test_a_template_with_wrong_lines_changes_nothing_and_tells_all_of_them() -> None:
    header = Header()
    header.set("run", 1)
    with pytest.raises(BadValueError, match=r"line 2: keyword NAXIS1 belongs.*line 3: keyword 'A\$' is not"):
        header.read(["RUN 2", "NAXIS1 5", "A$ 3"])
    assert header.get("RUN").value == 1


@pytest.mark.parametrize(
    ("keyword", "value"),
    [
        ("NAXIS2", 1),
        ("BZERO", 0),
        ("A B$", 1),
        ("", 1),
        ("X", float("nan")),
        ("X", "tab\t"),
        ("X", "Müller"),
        ("END", 1),
    ],
)
def test_what_fits_cannot_hold_is_refused_when_it_is_given(keyword: str, value: str | float) -> None:
    with pytest.raises(BadValueError):
        Header().set(keyword, value)


def test_keywords_that_were_given_hide_those_of_the_tool_until_they_are_deleted() -> None:
    header = Header()
    header.show({"FILTER": ("V", "in the beam")})
    header.set("filter", "mine")
    header.show({"FILTER": ("R", "in the beam")})
    assert header.get("FILTER").value == "mine"
    header.delete("filter")
    with pytest.raises(UnknownNameError):
        header.get("filter")
    header.show({"FILTER": ("R", "in the beam")})
    assert header.get("FILTER").value == "R"


@pytest.mark.parametrize(
    ("text", "kind", "value"),
    [("7", "", 7), ("-7.5e3", "", -7500.0), ("T", "", True), ("7", "str", "7"), ("7", "float", 7.0), ("1.", "", 1.0)],
)
def test_a_text_is_what_it_looks_like_or_what_is_asked_for(text: str, kind: str, value: object) -> None:
    found = typed(text, kind)
    assert (found, type(found)) == (value, type(value))


def test_a_text_that_is_not_of_the_kind_is_refused() -> None:
    for text, kind in (("seven", "int"), ("x", "bool"), ("7", "complex")):
        with pytest.raises(BadValueError, match=kind):
            typed(text, kind)


def test_a_detector_is_described_as_azcam_does() -> None:
    setup = read_setup(
        '{"format": [4096, 12, 8, 20, 2048, 0, 0, 0, 0], "focalplane": [2, 1, 4, 1, [0, 1, 0, 1]],'
        ' "ref_pixel": [2000, 1000], "ext_name": ["a", "b", "c", "d"], "det_gap": [[0, 0], [0, 0], [30, 2], [30, 2]],'
        ' "ext_position": [[4, 1], [3, 1], [2, 1], [1, 1]], "rdnoises": [3.1, 3.2, 3.3, 3.4]}'
    )
    assert setup.roi == Roi(1, 4096, 1, 2048)
    assert setup.focal_plane.positions[0] == (4, 1)
    assert [cards[0].value for cards in setup.extension_cards()] == ["a", "b", "c", "d"]
    assert setup.extension_cards()[2][1][:2] == ("RDNOISE", 3.3)
    # Amplifiers 0 and 1 stand on the second detector.
    assert [(each.x, each.y) for each in setup.sky(10.0, 20.0).placements] == [(30.0, 2.0), (0.0, 0.0)]
    again = DetectorSetup().changed(setup.as_dict())
    assert again == setup


def test_the_data_order_says_where_each_amplifier_comes_as_azcam_has_it() -> None:
    words = {"focalplane": [1, 1, 4, 1, [0, 0, 0, 0]], "data_order": [2, 0, 3, 1]}
    setup = DetectorSetup().changed(words)
    # azcam: amplifier n has what stands at place data_order[n] of the stream. No order that is its own inverse.
    stream = np.arange(setup.geometry().pixels, dtype=np.uint16) % 4
    amps = amplifiers(stream, setup.geometry(), "INTERLEAVED", setup.order)
    assert [set(image.ravel().tolist()) for image in amps] == [{2}, {0}, {3}, {1}]
    assert DetectorSetup().changed(setup.as_dict()) == setup
    with pytest.raises(RangeError, match="does not name each of 4 amplifiers"):
        DetectorSetup().changed({**words, "data_order": [0, 1, 2, 2]})


@pytest.mark.parametrize(
    "words",
    [
        {"format": [100, 0]},
        {"format": [101, 0, 0, 0, 40], "focalplane": [1, 1, 2, 1, [0, 1]]},
        {"focalplane": [1, 1, 2, 1, [0, 1, 2]]},
        {"focalplane": [1, 1, 2, 1, [0, 4]]},
        {"roi": [1, 2000]},
        {"roi": [1.5, 20]},
        {"gains": [1.0, 2.0]},
        {"order": [1]},
        {"colour": "red"},
        {"axes": "RA"},
    ],
)
def test_a_detector_that_cannot_be_is_refused(words: dict[str, object]) -> None:
    with pytest.raises((BadValueError, RangeError)):
        DetectorSetup().changed(words)


def test_sexagesimal_angles_never_show_60_seconds() -> None:
    assert sexagesimal(5.5883, 3) == "05:35:17.880"
    assert sexagesimal(-0.5, 2, signed=True) == "-00:30:00.00"
    assert sexagesimal(9.99999999, 2) == "10:00:00.00"
