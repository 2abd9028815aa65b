"""Slices of frames at grazing incidence: which pixels they are made of, and their axes in and across the plane."""

from __future__ import annotations

import math

import numpy as np
import pytest

from devices.pipelines.saxs_geometry import Geometry
from devices.pipelines.saxs_slice import SliceCut, SliceIntegrator

ROWS, COLUMNS = 9, 14
GEOMETRY = Geometry(beam_center=(2.0, 5.0), distance_mm=500.0, image_size=(ROWS, COLUMNS), wavelength_angstrom=1.2)
FRAME = 100.0 * np.arange(1, ROWS + 1)[:, np.newaxis] + np.arange(COLUMNS)[np.newaxis, :]
#: 2 pi / lambda, nm^-1.
WAVENUMBER = 2.0 * math.pi / (1.2 * 0.100001495)


def test_rows_are_counted_from_the_bottom_edge() -> None:
    first = SliceIntegrator(GEOMETRY, SliceCut("x", "InPlane", 1)).integrate(FRAME)
    np.testing.assert_array_equal(first.intensity, FRAME[-1])
    top = SliceIntegrator(GEOMETRY, SliceCut("x", "InPlane", ROWS)).integrate(FRAME)
    np.testing.assert_array_equal(top.intensity, FRAME[0])


def test_columns_are_counted_from_the_left_edge() -> None:
    found = SliceIntegrator(GEOMETRY, SliceCut("y", "Vertical", 4)).integrate(FRAME)
    np.testing.assert_array_equal(found.intensity, FRAME[:, 3])


def test_a_margin_adds_rows_on_both_sides() -> None:
    # Row 3 from the bottom is row 6; with a margin of 2 it is rows 4 to 8.
    found = SliceIntegrator(GEOMETRY, SliceCut("x", "InPlane", 3, margin=2)).integrate(FRAME)
    np.testing.assert_allclose(found.intensity, FRAME[4:9].mean(axis=0), rtol=1e-14)
    # Poisson: sqrt(S) / A.
    np.testing.assert_allclose(found.sigma, np.sqrt(FRAME[4:9].sum(axis=0)) / 5.0, rtol=1e-14)


def test_a_slice_that_reaches_beyond_the_edge_has_the_rows_that_are_there() -> None:
    found = SliceIntegrator(GEOMETRY, SliceCut("x", "InPlane", 1, margin=3)).integrate(FRAME)
    np.testing.assert_allclose(found.intensity, FRAME[5:].mean(axis=0), rtol=1e-14)
    wide = SliceIntegrator(GEOMETRY, SliceCut("y", "Vertical", 7, margin=100)).integrate(FRAME)
    np.testing.assert_allclose(wide.intensity, FRAME.mean(axis=1), rtol=1e-14)


@pytest.mark.parametrize(("direction", "position"), [("x", 0), ("x", 10), ("y", 0), ("y", 15), ("y", -3)])
def test_a_slice_outside_of_the_frame_is_refused(direction: str, position: int) -> None:
    with pytest.raises(ValueError, match=rf"CutPosition = {position} px is outside \[1, "):
        SliceIntegrator(GEOMETRY, SliceCut(direction, "InPlane", position))  # type: ignore[arg-type]


def test_in_the_plane_the_axis_is_the_scattering_vector_of_the_angle_at_the_sample() -> None:
    found = SliceIntegrator(GEOMETRY, SliceCut("x", "InPlane", 2))
    # 9 columns right of the beam: 9 x 0.172 mm at 500 mm.
    two_theta = math.atan(9 * 0.172 / 500.0)
    assert found.q[14 - 1 - 0] == pytest.approx(
        2.0 * WAVENUMBER * math.sin(math.atan(8 * 0.172 / 500.0) / 2), rel=1e-12
    )
    assert found.q[5] == 0.0
    assert found.q[0] == pytest.approx(-2.0 * WAVENUMBER * math.sin(math.atan(5 * 0.172 / 500.0) / 2), rel=1e-12)
    assert 2.0 * WAVENUMBER * math.sin(two_theta / 2) > found.q[-1], "there is no tenth column"


def test_across_the_plane_the_angle_of_incidence_is_in_the_axis() -> None:
    found = SliceIntegrator(GEOMETRY, SliceCut("y", "Vertical", 5, incident_degrees=0.4))
    incident = math.sin(math.radians(0.4))
    # The beam hits 2 px above the bottom edge: row 7. Row 0 is 7 px above it, and q_v grows upwards.
    exit_angle = math.atan(7 * 0.172 / 500.0)
    assert found.q[0] == pytest.approx(WAVENUMBER * (math.sin(exit_angle) - incident), rel=1e-12)
    assert found.q[7] == pytest.approx(-WAVENUMBER * incident, rel=1e-12)
    assert len(found.q) == ROWS
    assert np.all(np.diff(found.q) < 0.0)


def test_columns_of_which_all_is_masked_have_no_value() -> None:
    mask = np.zeros((ROWS, COLUMNS), np.uint8)
    mask[-3:, 4] = 1
    mask[-1, 6] = 1
    frame = FRAME.copy()
    frame[-2:, 9] = np.nan
    found = SliceIntegrator(GEOMETRY, SliceCut("x", "InPlane", 2, margin=1), mask).integrate(frame)
    assert np.isnan(found.intensity[4]) and np.isnan(found.sigma[4])
    assert found.intensity[6] == frame[-3:-1, 6].mean()
    assert found.intensity[9] == frame[-3, 9]
    rest = [column for column in range(COLUMNS) if column not in (4, 6, 9)]
    np.testing.assert_allclose(found.intensity[rest], frame[-3:, rest].mean(axis=0), rtol=1e-14)


def test_frames_and_masks_of_another_shape_are_refused() -> None:
    with pytest.raises(ValueError, match="image has the shape"):
        SliceIntegrator(GEOMETRY, SliceCut("x", "InPlane", 2)).integrate(FRAME.T)
    with pytest.raises(ValueError, match="mask has the shape"):
        SliceIntegrator(GEOMETRY, SliceCut("x", "InPlane", 2), FRAME.T)
