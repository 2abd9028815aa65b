"""PONI files: pyFAI itself says what they mean, and reads what is written."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from devices.core.errors import BadValueError, ProtocolError
from devices.drivers import poni_file
from devices.drivers.detector_image import read_detector_image
from devices.drivers.mask_file import read_mask
from devices.drivers.poni_file import Poni, calibration_entries, decode_poni, encode_poni, poni_of
from devices.drivers.saxs_calibration import Calibration, parse_calibration
from devices.drivers.saxs_calibration_import import imported
from devices.pipelines.saxs_geometry import q_map
from devices.pipelines.saxs_integrate import Integrator
from devices.pipelines.saxs_peak import strongest_peak

pyfai_geometry = pytest.importorskip("pyFAI.geometry")
pyfai_detectors = pytest.importorskip("pyFAI.detectors")
pyfai_integrator = pytest.importorskip("pyFAI.integrator.azimuthal")

REAL = Path(__file__).resolve().parents[3] / "shared" / "data" / "saxs"
NAMED = "Pilatus1M"

CONFIG = '{"pixel1": 0.000172, "pixel2": 0.000172, "max_shape": [60, 83], "orientation": %d}'
BODY = """\
# a comment: with a colon
%s
Distance: 0.81
Poni1: 0.0043
Poni2: -0.0021
Rot1: 0.031
Rot2: -0.052
Rot3: 0.4
Wavelength: 1.54e-10
"""
V1 = BODY % "PixelSize1: 0.000172\nPixelSize2: 0.000172"


def version_2(orientation: int = 3) -> str:
    return BODY % f"poni_version: 2.1\nDetector: Detector\nDetector_config: {CONFIG % orientation}"


def calibration(text: str, shape: tuple[int, int] = (60, 83)) -> Calibration:
    entries = imported(text, "x.poni", {"Geometry": {"Imagesize": list(shape)}}).entries
    return parse_calibration(entries, "x.poni", Path())


def pyfai_q(path: Path, shape: tuple[int, int]) -> NDArray[np.float64]:
    """q of the pixel centres as pyFAI has it, nm^-1."""
    # Not qArray, which is made of positions in float32.
    rows, columns = np.mgrid[: shape[0], : shape[1]].astype(np.float64)
    found: NDArray[np.float64] = pyfai_geometry.Geometry.sload(str(path)).qFunction(rows, columns)
    return found


@pytest.mark.parametrize("text", [V1, *map(version_2, (1, 2, 3, 4))])
def test_every_pixel_has_the_q_that_pyfai_gives_it(tmp_path: Path, text: str) -> None:
    path = tmp_path / "x.poni"
    path.write_text(text)
    ours = q_map(calibration(text).geometry)
    np.testing.assert_allclose(ours, pyfai_q(path, (60, 83)), rtol=1e-12, atol=1e-12)


def test_the_forms_of_the_file_say_the_same() -> None:
    assert decode_poni(V1, "a").pixel_um == decode_poni(version_2(), "b").pixel_um == (172.0, 172.0)
    one, two = calibration(V1), calibration(version_2())
    assert one.geometry == two.geometry
    # pyFAI takes the last of several entries, and names in any case.
    assert decode_poni(V1 + "distance: 2\nPONI1: 3\n", "c").distance_m == 2.0


@pytest.mark.parametrize("name", [*poni_file._KNOWN, "Pilatus 1M", "Eiger2 4M", "eiger2_4m"])
def test_a_detector_that_is_called_by_name_has_the_pixels_that_pyfai_gives_it(name: str) -> None:
    detector = pyfai_detectors.detector_factory(name.replace("eiger2_4m", "eiger2 4m"))
    text = BODY % f"poni_version: 2\nDetector: {name}\nDetector_config: {{}}"
    poni = decode_poni(text, "x.poni")
    assert poni.shape == detector.max_shape
    assert poni.pixel_um == pytest.approx((detector.pixel1 * 1e6, detector.pixel2 * 1e6), rel=1e-12)


rotation = st.floats(-0.3, 0.3)


@settings(max_examples=200, deadline=None)
@given(rotation, rotation, st.floats(-3.0, 3.0), st.floats(-0.2, 0.3), st.floats(-0.2, 0.3), st.floats(0.05, 5.0))
def test_the_conversion_is_that_of_pyfai(r1: float, r2: float, r3: float, p1: float, p2: float, metres: float) -> None:
    """getFit2D: beam centre and direct distance of pyFAI; its tilt rotation is ours with the other sign."""
    rows, columns, pixel = 300, 411, 172e-6
    entries = calibration_entries(Poni(metres, (p1, p2), (r1, r2, r3), 1e-10, (172.0, 172.0), (rows, columns)), "x")
    fit2d = pyfai_geometry.Geometry(metres, p1, p2, r1, r2, r3, pixel, pixel).getFit2D()
    geometry = entries["Geometry"]
    assert geometry["DedectorDistanceMM"] == pytest.approx(fit2d["directDist"], rel=1e-12)
    # pyFAI takes the tilt from its cosine, which loses half of the digits of a small one.
    assert geometry["BeamCenter"] == pytest.approx([rows - fit2d["centerY"], fit2d["centerX"]], rel=1e-6, abs=1e-2)
    assert geometry["Tilt"]["TiltAngleDeg"] == pytest.approx(fit2d["tilt"], abs=2e-6)
    if fit2d["tilt"] > 0.01:
        turned = geometry["Tilt"]["TiltRotDeg"] + fit2d["tiltPlanRotation"]
        assert math.remainder(turned, 360.0) == pytest.approx(0.0, abs=1e-3)


def document(tilt: float, rotation: float, center: tuple[float, float] = (41.3, -7.9)) -> dict[str, Any]:
    return {
        "Geometry": {
            "BeamCenter": list(center), "DedectorDistanceMM": 214.7, "PixelSizeMicroM": [172], "Imagesize": [57, 94],
            "Tilt": {"TiltAngleDeg": tilt, "TiltRotDeg": rotation},
        },
        "Wavelength": 1.54,
    }  # fmt: skip


@pytest.mark.parametrize(
    ("tilt", "rotation"),
    [(-5.0, -170.0), (-0.56, 73.569), (0.0, 0.0), (0.0, 135.0), (1e-4, -90.0), (2.0, 73.569), (5.0, 135.0)],
)
def test_a_calibration_that_was_written_is_the_same_to_pyfai(tmp_path: Path, tilt: float, rotation: float) -> None:
    ours = parse_calibration(document(tilt, rotation), "cal", Path())
    path = tmp_path / "x.poni"
    path.write_text(encode_poni(poni_of(ours)))
    q = q_map(ours.geometry)
    np.testing.assert_allclose(pyfai_q(path, (57, 94)), q, rtol=1e-10, atol=1e-10)
    # And it is what pyFAI makes of the numbers of Fit2D, azimuths included.
    other = pyfai_geometry.Geometry(detector=pyfai_detectors.Detector(172e-6, 172e-6, max_shape=(57, 94)))
    other.setFit2D(214.7, -7.9, 57 - 41.3, tilt, -rotation, 172, 172)
    written = pyfai_geometry.Geometry.sload(str(path))
    for name in ("dist", "poni1", "poni2", "rot1", "rot2", "rot3"):
        # The arc cosine near 1 gives pyFAI an angle only to 1e-8.
        assert getattr(written, name) == pytest.approx(getattr(other, name), rel=1e-9, abs=3e-8), name
    assert poni_of(ours).twist == pytest.approx(0.0, abs=1e-15)


@settings(max_examples=200, deadline=None)
@given(st.floats(-5.0, 5.0), st.floats(-180.0, 180.0), st.tuples(st.floats(-500, 1500), st.floats(-500, 1500)))
def test_there_and_back_is_the_same_geometry(tilt: float, rotation: float, center: tuple[float, float]) -> None:
    ours = parse_calibration(document(tilt, rotation, center), "cal", Path())
    text = encode_poni(poni_of(ours))
    back = calibration(text).geometry
    assert (back.image_size, back.pixel_um) == ((57, 94), pytest.approx(172.0, rel=1e-12))
    assert back.beam_center == pytest.approx(center, rel=1e-9, abs=1e-9)
    assert back.distance_mm == pytest.approx(214.7, rel=1e-12)
    assert back.wavelength_angstrom == pytest.approx(1.54, rel=1e-12)
    # A tilt of -t in the plane of rotation r is one of t in that of r + 180 degrees: what is compared is the plane.
    assert back._tilt == pytest.approx(ours.geometry._tilt, abs=1e-12)


def test_a_turn_about_the_beam_is_told(tmp_path: Path) -> None:
    found = imported(V1, "x.poni", {"Geometry": {"Imagesize": [60, 83]}})
    assert len(found.notes) == 1
    assert found.notes[0].startswith("x.poni: Rot3 turns the detector about the beam by 22.")
    level = V1.replace("Rot3: 0.4", "Rot3: 0.0")
    assert imported(level, "x.poni", {"Geometry": {"Imagesize": [60, 83]}}).notes == ()


def test_what_the_file_does_not_say_comes_from_a_template_or_is_asked_for() -> None:
    with pytest.raises(BadValueError, match="the shape of the detector, and neither does a template"):
        imported(V1, "x.poni", {})
    bare = BODY % "Detector: Detector"
    with pytest.raises(BadValueError, match="the size of the pixels"):
        imported(bare, "x.poni", {"Geometry": {"Imagesize": [60, 83]}})
    template = {"Geometry": {"Imagesize": [60, 83], "PixelSizeMicroM": [172]}}
    assert imported(bare, "x.poni", template).entries == imported(V1, "x.poni", template).entries
    dark = imported(V1.replace("Wavelength: 1.54e-10", ""), "x.poni", template)
    assert "Wavelength" not in dark.entries


def test_the_wavelength_keeps_q(tmp_path: Path) -> None:
    """A calibration counts in Angstrom star, pyFAI in metres: 1.5e-5 apart."""
    entries = imported(version_2(), "x.poni", {}).entries
    assert entries["Wavelength"] == pytest.approx(1.54 / 1.00001495, rel=1e-12)


@pytest.mark.parametrize(
    ("old", "new", "why"),
    [
        ("Poni1: 0.0043", "", "poni1 is missing"),
        ("Distance: 0.81", "Distance: far", "far"),
        ("Distance: 0.81", "Distance: inf", "not finite"),
        ("PixelSize1: 0.000172", "SplineFile: frelon.spline", "distorted"),
        ("PixelSize1: 0.000172", "Detector_config: [1]", "no JSON object"),
        ("PixelSize1: 0.000172", 'Detector_config: {"orientation": 9}', "outside"),
        ("PixelSize1: 0.000172", "Parallax: True", "Parallax"),
    ],
)
def test_a_file_that_cannot_be_taken_over_is_refused(old: str, new: str, why: str) -> None:
    with pytest.raises(ProtocolError, match=why):
        decode_poni(V1.replace(old, new), "x.poni")


def test_a_detector_behind_the_sample_is_refused() -> None:
    for old, new in (("Rot1: 0.031", "Rot1: 2.0"), ("Distance: 0.81", "Distance: -0.81")):
        with pytest.raises(BadValueError, match="away from the beam"):
            imported(V1.replace(old, new), "x.poni", {"Geometry": {"Imagesize": [60, 83]}})


def test_pixels_that_are_not_square_are_refused_with_their_key() -> None:
    text = V1.replace("PixelSize2: 0.000172", "PixelSize2: 0.000075")
    with pytest.raises(Exception, match=r"PixelSizeMicroM = \[172.0, 75.0\] um: pixels must be square"):
        calibration(text)


@pytest.mark.skipif(not REAL.exists(), reason=f"the real images are not in {REAL}")
def test_silver_behenate_has_its_first_ring_where_it_belongs_by_a_poni_file(tmp_path: Path) -> None:
    """d(001) = 58.38 Angstrom: 2 pi / d = 1.0762 nm^-1; and our curve is that of pyFAI."""
    # Fitted to 377 points of rings 1 to 7 with lambda = 1.54 Angstrom, no tilt: the poni is the beam centre.
    row, column, pixel = 1043 - 805.087, 422.371, 172e-6
    path = tmp_path / "agbeh.poni"
    path.write_text(
        f"poni_version: 2\nDetector: {NAMED}\nDetector_config: {{}}\nDistance: 0.835593\nPoni1: {row * pixel!r}\n"
        f"Poni2: {column * pixel!r}\nRot1: 0.0\nRot2: 0.0\nRot3: 0.0\nWavelength: 1.540023e-10\n"
    )
    found = imported(path.read_text(), str(path), {})
    geometry = parse_calibration(json.loads(json.dumps(found.entries)), "agbeh", Path()).geometry
    assert geometry.beam_center == pytest.approx((805.087, 422.371), rel=1e-12)
    image, mask = read_detector_image(REAL / "agbeh2_1M.tif").data, read_mask(REAL / "AAA_integ.msk")
    curve = Integrator(geometry, mask).integrate(image)
    first = curve.q < 1.6
    peak = strongest_peak(curve.q[first], curve.intensity[first], curve.sigma[first])
    assert peak == pytest.approx(1.0762, abs=1e-3)
    integrator = pyfai_integrator.AzimuthalIntegrator.sload(str(path))
    edges = (0.0, float(geometry.bins / geometry.bins_per_q))
    theirs = integrator.integrate1d_ng(
        image, geometry.bins, mask=mask, unit="q_nm^-1", radial_range=edges, correctSolidAngle=False,
        method=("full", "histogram", "cython"),
    )  # fmt: skip
    np.testing.assert_allclose(theirs.radial, curve.q, rtol=1e-6)  # its range is kept in float32
    both = np.isfinite(curve.intensity) & (theirs.count > 20.0)
    assert both.sum() > 900
    difference = np.abs(theirs.intensity[both] - curve.intensity[both]) / curve.intensity[both]
    # Ours has nine points in each pixel, pyFAI its exact outline: per mille where the curve is smooth.
    assert float(np.median(difference)) < 2e-3
    assert float(np.quantile(difference, 0.95)) < 1.5e-2
