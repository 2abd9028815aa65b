"""Where pixels lie: against the defining formulas with angles, against Bragg's law, and against pyFAI."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from devices.pipelines.saxs_geometry import Geometry, Polarization, bin_labels, polarization_map, q_map

LAMBDA_STAR_NM = 0.1000014950
TILTED = Geometry(
    beam_center=(92.3, 31.7),
    distance_mm=61.0,
    image_size=(120, 83),
    tilt_degrees=-10.0,
    tilt_rotation_degrees=73.569,
)


def defined_q(geometry: Geometry, oversampling: int) -> np.ndarray:
    """q of every sub-pixel by the definition with angles, (rows * oversampling, columns * oversampling), nm^-1."""
    rows, columns = geometry.image_size
    y = (np.arange(rows * oversampling)[:, np.newaxis] + 0.5) / oversampling - (rows - geometry.beam_center[0])
    x = (np.arange(columns * oversampling)[np.newaxis, :] + 0.5) / oversampling - geometry.beam_center[1]
    r = np.hypot(x, y) * geometry.pixel_um / 1000.0
    phi = np.arctan2(y, x)
    rotation = math.radians(geometry.tilt_rotation_degrees)
    alpha = np.arcsin(math.sin(math.radians(geometry.tilt_degrees)) * np.sin(phi + rotation + math.pi / 2))
    d = geometry.distance_mm
    way = np.sqrt(d**2 + r**2 - 2 * d * r * np.cos(math.pi / 2 + alpha))
    theta = np.arccos(np.clip((way**2 + d**2 - r**2) / (2 * way * d), -1.0, 1.0))
    return 4 * math.pi * np.sin(theta / 2) / (geometry.wavelength_angstrom * LAMBDA_STAR_NM)


geometries = st.builds(
    Geometry,
    beam_center=st.tuples(st.floats(-60, 150), st.floats(-60, 150)),
    distance_mm=st.floats(150, 3000),
    image_size=st.tuples(st.integers(3, 40), st.integers(3, 40)),
    pixel_um=st.floats(50, 200),
    tilt_degrees=st.floats(-30, 30),
    tilt_rotation_degrees=st.floats(-180, 180),
    wavelength_angstrom=st.floats(0.5, 3.0),
    oversampling=st.integers(1, 4),
    pixels_per_bin=st.floats(0.3, 4.0),
)


@settings(deadline=None, max_examples=60)
@given(geometries)
def test_q_agrees_with_the_definition_by_angles(geometry: Geometry) -> None:
    # The arc cosine of the definition itself loses half of its digits towards the beam.
    near_beam = 1e-7
    q, defined = q_map(geometry), defined_q(geometry, 1)
    assert q.shape == geometry.image_size
    np.testing.assert_allclose(q[defined > 0.05], defined[defined > 0.05], rtol=0, atol=1e-10)
    np.testing.assert_allclose(q, defined, rtol=0, atol=near_beam)


@settings(deadline=None, max_examples=60)
@given(geometries)
def test_sub_pixels_fall_into_the_bins_of_the_definition(geometry: Geometry) -> None:
    defined = defined_q(geometry, geometry.oversampling)
    rows, columns = geometry.image_size
    n = geometry.oversampling
    y = (np.arange(rows * n)[:, np.newaxis] + 0.5) / n - (rows - geometry.beam_center[0])
    x = (np.arange(columns * n)[np.newaxis, :] + 0.5) / n - geometry.beam_center[1]
    position = defined * (np.hypot(x, y).max() / geometry.pixels_per_bin / defined.max())
    # Sub-pixels within rounding of a border between two bins may fall to either side.
    inside = np.abs(position - np.round(position)) > 1e-5
    labels = bin_labels(geometry)
    np.testing.assert_array_equal(labels[inside], np.floor(position[inside]))
    assert labels.max() == geometry.bins - 1


def test_bin_centres_are_equally_spaced_from_q_zero_to_the_farthest_corner() -> None:
    q = TILTED.q()
    step = q[1] - q[0]
    np.testing.assert_allclose(q, (np.arange(len(q)) + 0.5) * step, rtol=1e-12)
    farthest = defined_q(TILTED, TILTED.oversampling).max()
    assert q[-1] - step / 2 <= farthest * (1 + 1e-12) <= q[-1] + step / 2
    assert len(q) == TILTED.bins


def test_a_pixel_lies_where_bragg_puts_it() -> None:
    """24 px along a row are a scattering angle of atan(24 * 0.172 / 200); q = 4 pi sin(angle / 2) / lambda."""
    geometry = Geometry(beam_center=(20.5, 10.5), distance_mm=200.0, image_size=(60, 45), wavelength_angstrom=1.0)
    angle = math.atan(24 * 0.172 / 200.0)
    expected = 4 * math.pi * math.sin(angle / 2) / LAMBDA_STAR_NM
    assert q_map(geometry)[60 - 21, 10 + 24] == pytest.approx(expected, rel=1e-12)


def test_the_beam_centre_is_counted_from_the_bottom_edge() -> None:
    geometry = Geometry(beam_center=(50.5, 7.5), distance_mm=300.0, image_size=(64, 33))
    assert np.unravel_index(q_map(geometry).argmin(), (64, 33)) == (64 - 51, 7)


def test_a_frame_upside_down_is_a_tilt_rotated_the_other_way() -> None:
    rows = TILTED.image_size[0]
    flipped = Geometry(
        beam_center=(rows - TILTED.beam_center[0], TILTED.beam_center[1]),
        distance_mm=TILTED.distance_mm,
        image_size=TILTED.image_size,
        tilt_degrees=TILTED.tilt_degrees,
        tilt_rotation_degrees=-TILTED.tilt_rotation_degrees,
    )
    np.testing.assert_allclose(q_map(flipped)[::-1], q_map(TILTED), rtol=1e-12)


@pytest.mark.parametrize(("tilt", "rotation"), [(0.0, 0.0), (-5.0, 31.0), (12.0, -146.1), (-0.56, 73.569)])
def test_q_agrees_with_pyfai(tilt: float, rotation: float) -> None:
    azimuthal = pytest.importorskip("pyFAI.integrator.azimuthal", reason="pyFAI is not installed")
    geometry = Geometry(
        beam_center=(805.087, 422.371),
        distance_mm=835.593,
        image_size=(1043, 981),
        tilt_degrees=tilt,
        tilt_rotation_degrees=rotation,
    )
    peer = azimuthal.AzimuthalIntegrator(
        pixel1=172e-6, pixel2=172e-6, wavelength=geometry.wavelength_angstrom * LAMBDA_STAR_NM * 1e-9
    )
    peer.setFit2D(835.593, 422.371, 1043 - 805.087, tilt=tilt, tiltPlanRotation=-rotation, pixelX=172.0, pixelY=172.0)
    # `qArray` is kept in single precision, the function is not; it takes pixel indices.
    row, column = np.indices((1043, 981), dtype=float)
    np.testing.assert_allclose(q_map(geometry), peer.qFunction(row, column), rtol=0, atol=1e-10)


def test_a_beam_polarized_along_the_rows_scatters_less_sideways() -> None:
    """In the plane of polarization the intensity falls with cos^2 of the scattering angle, across it stays 1."""
    geometry = Geometry(beam_center=(30.5, 25.5), distance_mm=5.0, image_size=(70, 55))
    factor = polarization_map(geometry, Polarization(fraction=1.0, angle_degrees=0.0))
    angle = math.atan(20 * 0.172 / 5.0)
    assert factor[70 - 31, 25 + 20] == pytest.approx(math.cos(angle) ** 2, rel=1e-12)
    assert factor[70 - 31 - 20, 25] == pytest.approx(1.0, abs=1e-12)
    assert factor[70 - 31, 25] == 1.0


def test_an_unpolarized_beam_scatters_equally_to_all_sides() -> None:
    geometry = Geometry(beam_center=(30.5, 25.5), distance_mm=5.0, image_size=(70, 55))
    factor = polarization_map(geometry, Polarization(fraction=0.5, angle_degrees=77.0))
    angle = math.atan(20 * 0.172 / 5.0)
    expected = (1 + math.cos(angle) ** 2) / 2
    assert factor[39, 45] == pytest.approx(expected, rel=1e-12)
    assert factor[19, 25] == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize(
    ("changes", "text"),
    [
        ({"distance_mm": 0.0}, "distance_mm = 0.0 mm"),
        ({"distance_mm": math.nan}, "distance_mm = nan is not finite"),
        ({"wavelength_angstrom": -1.54}, "wavelength_angstrom = -1.54 Angstrom"),
        ({"pixels_per_bin": 0.0}, "pixels_per_bin = 0.0 px"),
        ({"pixels_per_bin": 1e-6}, "more than 1048576 bins"),
        ({"oversampling": 1000}, r"oversampling = 1000 is outside \[1, 20\]"),
        ({"image_size": (0, 981)}, "image_size = 0 x 981 px"),
        ({"image_size": (100_000, 100_000)}, "image_size = 100000 x 100000 px"),
        ({"tilt_degrees": 90.0}, r"tilt_degrees = 90.0 degrees is outside \(-90, 90\)"),
        ({"tilt_degrees": -80.0, "distance_mm": 20.0}, "behind the sample"),
        ({"beam_center": (math.inf, 3.0)}, "beam_center"),
        ({"image_size": (1, 1), "beam_center": (0.5, 0.5), "oversampling": 1}, "no range of q"),
    ],
)
def test_an_impossible_geometry_is_refused(changes: dict, text: str) -> None:
    with pytest.raises(ValueError, match=text):
        Geometry(**{"beam_center": (805.087, 422.371), "distance_mm": 835.593, **changes})


@pytest.mark.parametrize("fraction", [-0.1, 1.1, math.nan])
def test_an_impossible_polarization_is_refused(fraction: float) -> None:
    with pytest.raises(ValueError, match="fraction"):
        Polarization(fraction)
