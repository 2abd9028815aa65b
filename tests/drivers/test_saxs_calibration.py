"""Calibration files: what they say, their defaults, and every wrong entry by its key."""

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from devices.core.errors import ConfigurationError
from devices.drivers.saxs_calibration import parse_calibration, read_calibration
from devices.pipelines.saxs_geometry import Geometry, Polarization

FULL: dict[str, Any] = {
    "Title": "march/agbeh",
    "Geometry": {
        "BeamCenter": [808.37, 387.772],
        "DedectorDistanceMM": 1031.657,
        "PixelSizeMicroM": [172.0],
        "Imagesize": [1043, 981],
        "Tilt": {"TiltAngleDeg": -0.56, "TiltRotDeg": 73.569},
    },
    "Wavelength": 1.54,
    "Masks": [
        {"MaskFile": "AAA_integ.msk", "Oversampling": 3, "PixelPerRadialElement": 1, "qStart": 0, "qStop": 0.5},
        {"MaskFile": "/masks/wide.tif", "Oversampling": 1, "PixelPerRadialElement": 2.5, "Name": "wide"},
    ],
    "Slices": [],
    "GISAXSmode": False,
    "PolarizationCorrection": {"Fraction": 0.9, "Angle": 15},
    "Directory": ["march"],
    "Live-Filelisting": True,
    "OverwriteFiles": True,
    "Threads": 2,
}


def changed(path: str, value: Any) -> dict[str, Any]:
    """The full calibration with one entry replaced."""
    document: Any = json.loads(json.dumps(FULL))
    *groups, last = [int(key) if key.isdigit() else key for key in path.split("/")]
    entry = document
    for key in groups:
        entry = entry[key]
    entry[last] = value
    return document  # type: ignore[no-any-return]


def problems(document: Any) -> tuple[str, ...]:
    with pytest.raises(ConfigurationError) as caught:
        parse_calibration(document, "cal.json", Path())
    assert caught.value.subject == "cal.json"
    return caught.value.problems


def test_a_full_file_gives_one_geometry_per_mask(tmp_path: Path) -> None:
    path = tmp_path / "cal.json"
    path.write_text(json.dumps(FULL))
    calibration = read_calibration(path)
    first, second = calibration.masks
    assert first.geometry == Geometry(
        (808.37, 387.772), 1031.657, (1043, 981), 172.0, -0.56, 73.569, 1.54, oversampling=3, pixels_per_bin=1.0
    )
    assert (second.geometry.oversampling, second.geometry.pixels_per_bin) == (1, 2.5)
    assert second.geometry.tilt_degrees == -0.56
    assert first.file == tmp_path / "AAA_integ.msk"
    assert (second.file, second.name) == (Path("/masks/wide.tif"), "wide")
    assert calibration.polarization == Polarization(0.9, 15.0)
    assert calibration.title == "march/agbeh"


def test_a_short_file_is_a_pilatus_1m_without_tilt_mask_and_polarization() -> None:
    document = {"Geometry": {"BeamCenter": [805, 422], "DedectorDistanceMM": 835.6}, "Wavelength": 1.54}
    calibration = parse_calibration(document, "cal.json", Path())
    assert [mask.file for mask in calibration.masks] == [None]
    assert calibration.masks[0].geometry == Geometry((805.0, 422.0), 835.6, (1043, 981), 172.0, 0.0, 0.0, 1.54, 3, 1.0)
    assert calibration.polarization is None


def test_an_empty_polarization_group_is_a_synchrotron() -> None:
    calibration = parse_calibration(changed("PolarizationCorrection", {}), "cal.json", Path())
    assert calibration.polarization == Polarization(0.95, 0.0)


@pytest.mark.parametrize(
    ("path", "value", "problem"),
    [
        ("Wavelength", "1.54", "Wavelength: '1.54' is not of type 'number'"),
        ("Wavelength", -1, "Wavelength: -1 is less than or equal to the minimum of 0"),
        ("Wavelength", True, "Wavelength: True is not of type 'number'"),
        ("Geometry/BeamCenter", [805.0], "Geometry.BeamCenter: [805.0] is too short"),
        ("Geometry/BeamCenter", [805.0, None], "Geometry.BeamCenter[1]: None is not of type 'number'"),
        ("Geometry/DetectorDistanceMM", 900, "Geometry.DetectorDistanceMM: unknown key"),
        ("Geometry/Tilt/TiltAngleDeg", 90, "Geometry.Tilt.TiltAngleDeg: 90 is greater than or equal to"),
        ("Geometry/Imagesize", [1043.5, 981], "Geometry.Imagesize[0]: 1043.5 is not of type 'integer'"),
        ("Geometry/PixelSizeMicroM", [172, 100], "Geometry with Masks[0]: PixelSizeMicroM = [172, 100] um"),
        ("Masks", [], "Masks: [] should be non-empty"),
        ("Masks/1/Oversampling", 1000, "Masks[1].Oversampling: 1000 is greater than the maximum of 20"),
        ("Masks/1/PixelPerRadialElement", 0, "Masks[1].PixelPerRadialElement: 0 is less than"),
        ("Masks/0/Phi-mode", "yes", "Masks[0].Phi-mode: 'yes' is not of type 'boolean'"),
        ("PolarizationCorrection/Fraction", 1.5, "PolarizationCorrection.Fraction: 1.5 is greater than"),
        (
            "Geometry/DedectorDistanceMM",
            0.5,
            "Geometry with Masks[0]: tilt_degrees = -0.56 degrees at distance_mm = 0.5",
        ),
    ],
)
def test_a_wrong_entry_is_named_by_its_key(path: str, value: Any, problem: str) -> None:
    found = problems(changed(path, value))
    assert any(line.startswith(problem) for line in found), found


def test_all_wrong_entries_are_reported_at_once() -> None:
    document = changed("Masks/0/Oversampling", 0)
    document["Masks"][1]["Radius"] = 3
    document["Masks"][1]["Width"] = 3
    del document["Wavelength"], document["Geometry"]["BeamCenter"], document["Geometry"]["DedectorDistanceMM"]
    assert sorted(problems(document)) == [
        "Geometry.BeamCenter: missing",
        "Geometry.DedectorDistanceMM: missing",
        "Masks[0].Oversampling: 0 is less than the minimum of 1",
        "Masks[1].Radius: unknown key",
        "Masks[1].Width: unknown key",
        "Wavelength: missing",
    ]


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        (b"{", "not JSON"),
        (b"\xff\xfe{}", "not JSON"),
        (b'{"Wavelength": NaN}', "NaN is not a number"),
        (b"[" * 100_000, "not JSON"),
        (b"[1, 2]", "is not of type 'object'"),
        (b'{"Wavelength": 1' + b"0" * 6000 + b"}", "not JSON"),
        (b" " * (1 << 20) + b"{}", "more than 1048576 bytes"),
    ],
)
def test_a_file_that_is_no_calibration_is_refused(content: bytes, problem: str, tmp_path: Path) -> None:
    path = tmp_path / "cal.json"
    path.write_bytes(content)
    with pytest.raises(ConfigurationError, match=problem):
        read_calibration(path)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match=r"nowhere\.json cannot be read: No such file"):
        read_calibration(tmp_path / "nowhere.json")


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=6,
)
PATHS = ["Wavelength", "Geometry", "Geometry/BeamCenter", "Geometry/Tilt", "Geometry/DedectorDistanceMM", "Masks",
         "Masks/0", "Masks/0/Oversampling", "Masks/1/PixelPerRadialElement", "PolarizationCorrection"]  # fmt: skip


@settings(deadline=None)
@given(st.sampled_from(PATHS), json_values)
def test_any_entry_is_taken_or_refused_with_a_reason(path: str, value: Any) -> None:
    try:
        parse_calibration(changed(path, value), "cal.json", Path())
    except ConfigurationError as error:
        assert error.problems


@settings(deadline=None)
@given(content=st.binary(max_size=200))
def test_random_bytes_give_a_clear_error(content: bytes, tmp_path_factory: pytest.TempPathFactory) -> None:
    path = tmp_path_factory.getbasetemp() / "random.json"
    path.write_bytes(content)
    with pytest.raises(ConfigurationError, match=r"random\.json"):
        read_calibration(path)
