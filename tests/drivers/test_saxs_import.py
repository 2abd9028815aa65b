"""Calibrations of other programs: what they mean here, against the programs' own formulas where there are any."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from devices.core.errors import BadValueError, ConfigurationError, DiptychError, ProtocolError
from devices.drivers.saxs_calibration_import import import_calibration, imported, merged, read_template
from devices.pipelines.saxs_geometry import Geometry, q_map

FIT2D_LOG = """\
INFO: Number of coordinates = 1800
INFO: Refined Beam centre =   388.000     800.000 (pixels)
INFO: Refined Beam centre =    66.736     137.600 (mm)
INFO: Refined sample to detector distance =     1031.657 mm
INFO: Refined wavelength =   1.54000 Angstroms
INFO: Refined tilt plane rotation angle =    73.569 degrees
INFO: Refined tilt angle =    -0.560 degrees
INFO: Refined Beam centre =   387.772     808.370 (pixels)
INFO: Refined Beam centre =    66.697     139.040 (mm)
"""

NIKA = {
    "BeamCenterX": 421.5,
    "BeamCenterY": 237.0,
    "SampleToCCDDistance": 835.6,
    "XrayEnergy": 8.05,
    "PixelSizeX": 0.172,
    "PixelSizeY": 0.172,
    "HorizontalTilt": 0.0,
    "VerticalTilt": 2.0,
    "Rows": 1043,
    "Columns": 981,
}

FLAT: dict[str, Any] = {
    "Title": "old",
    "MaskFile": "AAA_integ.msk",
    "BeamCenter": [808.37, 387.772],
    "DedectorDistanceMM": 1031.657,
    "PixelSizeMicroM": [172.0],
    "Imagesize": [1043, 981],
    "Tilt": {"TiltAngleDeg": -0.56, "TiltRotDeg": 73.569},
    "Wavelength": 1.54,
    "Oversampling": 2,
    "PixelPerRadialElement": 1.5,
    "PolarizationCorrection": {"Fraction": 0.9, "Angle": 15},
    "Plotter": "gnuplot",
}


def taken(path: Path, text: str, template: dict[str, Any] | None = None) -> dict[str, Any]:
    path.write_text(text)
    return import_calibration(path, template)[0]


def test_a_log_of_fit2d_gives_its_last_refinement(tmp_path: Path) -> None:
    found = taken(tmp_path / "fit2d.log", FIT2D_LOG)
    # Fit2D says X Y, a calibration Y X; both count Y from the bottom.
    assert found["Geometry"]["BeamCenter"] == [808.37, 387.772]
    assert found["Geometry"]["DedectorDistanceMM"] == 1031.657
    assert found["Geometry"]["Tilt"] == {"TiltAngleDeg": -0.56, "TiltRotDeg": 73.569}
    assert found["Wavelength"] == 1.54
    # What Fit2D does not say comes from the schema; existing servers want all of it.
    assert found["Geometry"]["Imagesize"] == [1043, 981]
    assert found["Masks"][0]["Oversampling"] == 3
    assert {"GISAXSmode", "OverwriteFiles", "Live-Filelisting", "Threads"} <= found.keys()


@pytest.mark.parametrize(
    "line",
    [
        "INFO: Refined Beam centre (X/Y pixels) =  387.772  808.370",
        "INFO: Refined Beam centre = 3.87772E+02 8.08370D+02 (pixels)",
        "  INFO: Refined Beam centre =387.772,808.370 (pixels)\r",
    ],
)
def test_a_beam_centre_is_read_however_fit2d_writes_it(line: str) -> None:
    assert imported(line + "\n", "log", {}).entries == {"Geometry": {"BeamCenter": [808.37, 387.772]}}


def test_a_beam_centre_in_mm_alone_is_not_taken_for_pixels() -> None:
    with pytest.raises(ProtocolError, match="no line 'INFO: Refined Beam centre"):
        imported("INFO: Refined Beam centre =    66.697     139.040 (mm)\n", "log", {})


@pytest.mark.parametrize("form", ["json", "lines", "wave note"])
def test_a_geometry_of_nika_counts_pixel_centres_from_the_top(tmp_path: Path, form: str) -> None:
    text = {
        "json": json.dumps(NIKA),
        "lines": "\n".join(f"{key} = {value}" for key, value in NIKA.items()),
        "wave note": "IgorType=Nika;" + "".join(f"{key}={value};" for key, value in NIKA.items()),
    }[form]
    found = taken(tmp_path / "nika.txt", text)
    geometry = found["Geometry"]
    assert geometry["BeamCenter"] == [1043 - 237.0 - 0.5, 422.0]
    assert geometry["Imagesize"] == [1043, 981]
    assert geometry["PixelSizeMicroM"] == [172.0]
    # Copper K alpha: 8.05 keV is 1.5402 Angstrom.
    assert found["Wavelength"] == pytest.approx(1.5402, abs=1e-4)
    # About the horizontal axis only: the tilt is that angle, and its plane is vertical.
    assert geometry["Tilt"]["TiltAngleDeg"] == pytest.approx(2.0, rel=1e-12)
    assert geometry["Tilt"]["TiltRotDeg"] == pytest.approx(90.0, rel=1e-12)


def test_two_rotations_of_nika_are_one_tilt() -> None:
    found = imported(json.dumps({**NIKA, "HorizontalTilt": 3.0, "VerticalTilt": -4.0}), "nika", {})
    tilt = found.entries["Geometry"]["Tilt"]
    across, along = math.sin(math.radians(3.0)), math.sin(math.radians(4.0))
    assert math.sin(math.radians(tilt["TiltAngleDeg"])) == pytest.approx(math.hypot(across, along), rel=1e-12)
    # Both components are negative: the third quadrant.
    assert tilt["TiltRotDeg"] == pytest.approx(math.degrees(math.atan2(-along, -across)), rel=1e-12)
    assert -180.0 < tilt["TiltRotDeg"] < -90.0


def test_a_geometry_of_nika_needs_to_know_the_height_of_the_frame(tmp_path: Path) -> None:
    text = json.dumps({key: value for key, value in NIKA.items() if key not in ("Rows", "Columns")})
    with pytest.raises(BadValueError, match="nothing of Rows and Columns"):
        taken(tmp_path / "nika.json", text)
    template = {"Geometry": {"Imagesize": [195, 487]}}
    assert taken(tmp_path / "nika.json", text, template)["Geometry"]["BeamCenter"][0] == 195 - 237.0 - 0.5


@pytest.mark.parametrize("value", ["north", None, "nan", 1e999])
def test_a_geometry_of_nika_with_a_value_that_is_no_number_is_refused_by_its_name(value: Any) -> None:
    with pytest.raises(ProtocolError, match="HorizontalTilt"):
        imported(json.dumps({**NIKA, "HorizontalTilt": value}), "nika", {})


def test_the_older_flat_form_is_sorted_into_its_groups(tmp_path: Path) -> None:
    path = tmp_path / "cal.json"
    path.write_text(json.dumps(FLAT))
    found, notes = import_calibration(path)
    assert found["Geometry"] == {
        key: FLAT[key] for key in ("BeamCenter", "DedectorDistanceMM", "PixelSizeMicroM", "Imagesize", "Tilt")
    }
    mask = found["Masks"][0]
    assert (mask["MaskFile"], mask["Oversampling"], mask["PixelPerRadialElement"]) == ("AAA_integ.msk", 2, 1.5)
    assert found["PolarizationCorrection"] == FLAT["PolarizationCorrection"]
    assert found["Wavelength"] == 1.54
    assert notes == [f"{path}: Plotter is not known and left out"]


def test_a_calibration_is_taken_as_it_is(tmp_path: Path) -> None:
    first = taken(tmp_path / "a.json", json.dumps(FLAT))
    assert taken(tmp_path / "b.json", json.dumps(first)) == first


def test_what_a_file_does_not_say_stays_as_the_template_has_it(tmp_path: Path) -> None:
    template: dict[str, Any] = {
        "Title": "mine",
        "Geometry": {"BeamCenter": [1, 2], "DedectorDistanceMM": 3, "Imagesize": [195, 487], "PixelSizeMicroM": [75]},
        "Masks": [{"MaskFile": "a.msk", "Oversampling": 5}, {"MaskFile": "b.msk"}],
        "Threads": 7,
    }
    before = json.dumps(template)
    found = taken(tmp_path / "fit2d.log", FIT2D_LOG, template)
    assert (found["Title"], found["Threads"], found["Wavelength"]) == ("mine", 7, 1.54)
    assert found["Geometry"]["BeamCenter"] == [808.37, 387.772]
    assert (found["Geometry"]["Imagesize"], found["Geometry"]["PixelSizeMicroM"]) == ([195, 487], [75])
    assert [mask["MaskFile"] for mask in found["Masks"]] == ["a.msk", "b.msk"]
    assert json.dumps(template) == before, "the template itself is not touched"


def test_masks_are_merged_one_by_one() -> None:
    old = {"Masks": [{"MaskFile": "a", "Name": "A"}, {"MaskFile": "b"}]}
    assert merged(old, {"Masks": [{"Name": "new"}]})["Masks"] == [{"MaskFile": "a", "Name": "new"}, {"MaskFile": "b"}]
    assert merged({"Masks": [{"Name": "A"}]}, {"Masks": [{}, {"Name": "B"}]})["Masks"] == [{"Name": "A"}, {"Name": "B"}]


def test_what_neither_file_nor_template_says_is_named(tmp_path: Path) -> None:
    path = tmp_path / "fit2d.log"
    path.write_text("INFO: Refined Beam centre =  387.772  808.370 (pixels)\n")
    with pytest.raises(ConfigurationError) as caught:
        import_calibration(path)
    assert set(caught.value.problems) == {"Geometry.DedectorDistanceMM: missing", "Wavelength: missing"}


@pytest.mark.parametrize("text", ["", "hello", "[1, 2]", "{", '{"a": 1}', "INFO: nothing", "\0\xff", "Poni1: a"])
def test_what_is_no_calibration_is_refused(tmp_path: Path, text: str) -> None:
    path = tmp_path / "x"
    path.write_text(text, encoding="latin-1")
    with pytest.raises((ProtocolError, ConfigurationError)) as caught:
        import_calibration(path)
    assert str(path) in str(caught.value)


@settings(max_examples=300, deadline=None)
@given(
    st.one_of(
        st.text(),
        st.lists(st.sampled_from([*FIT2D_LOG.splitlines(), *(f"{k}={v}" for k, v in NIKA.items()), "Poni1: 1e400",
                                  "Distance: 1", "Poni2: x", "Rot1: 4", "Rot2: 0", "Rot3: nan", "Detector_config: [",
                                  'Detector_config: {"pixel1": "a", "max_shape": 3}'])).map("\n".join),
        st.dictionaries(st.sampled_from([*NIKA, *FLAT, "Geometry"]),
                        st.one_of(st.none(), st.floats(), st.text(max_size=3), st.lists(st.integers(), max_size=3),
                                  st.dictionaries(st.text(max_size=2), st.integers(), max_size=1))).map(json.dumps),
    )
)  # fmt: skip
def test_no_text_makes_another_error_than_those_of_a_wrong_file(tmp_path_factory: Any, text: str) -> None:
    path = tmp_path_factory.getbasetemp() / "any"
    path.write_text(text, encoding="utf-8", errors="replace")
    template = {"Geometry": {"Imagesize": [10, 20], "PixelSizeMicroM": [100]}}
    try:
        found, _ = import_calibration(path, template)
    except DiptychError:
        return
    assert found["Geometry"]["BeamCenter"]


def test_a_template_must_be_a_group_of_json(tmp_path: Path) -> None:
    path = tmp_path / "template.json"
    for text in ("[]", "{", "\xff"):
        path.write_text(text, encoding="latin-1")
        with pytest.raises(ConfigurationError):
            read_template(path)
    with pytest.raises(BadValueError):
        read_template(tmp_path / "missing.json")


def test_the_rings_of_a_nika_geometry_lie_about_its_beam_centre(tmp_path: Path) -> None:
    """The pixel whose centre Nika names is the one with the smallest q."""
    small = {**NIKA, "BeamCenterX": 12, "BeamCenterY": 5, "Rows": 20, "Columns": 33, "VerticalTilt": 0.0}
    found = taken(tmp_path / "nika.json", json.dumps(small))
    geometry = found["Geometry"]
    q = q_map(Geometry(tuple(geometry["BeamCenter"]), geometry["DedectorDistanceMM"], (20, 33)))
    assert np.unravel_index(np.argmin(q), q.shape) == (5, 12)
