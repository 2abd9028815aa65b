"""Any window of a picture of several amplifiers is what a cut of the whole picture is."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from devices.ccd.detector_setup import DetectorSetup
from devices.core.errors import RangeError
from devices.pipelines.ccd.ccd_image import CcdImage
from devices.pipelines.ccd.deinterlace import assembled
from devices.pipelines.ccd.detector import Geometry
from servers.alpaca.subframe import Axis, Subframe


def setup_of(
    amps_x: int, amps_y: int, detectors: tuple[int, int], flips: list[int], size: tuple[int, int]
) -> DetectorSetup:
    """Amplifiers of ``size`` columns and rows, with 3 columns of underscan, 5 of overscan and 2 rows of it."""
    columns, rows = size
    words = {
        "format": [columns * amps_x, 3, 3, 5, rows * amps_y, 0, 0, 2, 0],
        "focal_plane": [*detectors, amps_x, amps_y, flips],
    }
    return DetectorSetup().changed(words)


def read(scene: NDArray[Any], geometry: Geometry) -> CcdImage:
    """What amplifiers would read of a scene (y, x) of unbinned pixels: every binned one is the sum of its own."""
    amps = np.full(geometry.amp_shape, 7, np.uint32)
    columns, rows = geometry.columns, geometry.rows
    for amp in range(geometry.amps):
        place_x, place_y = geometry.focal_plane.position(amp)
        tile = scene[
            place_y * geometry.visible_rows : (place_y + 1) * geometry.visible_rows,
            place_x * geometry.visible_columns : (place_x + 1) * geometry.visible_columns,
        ]
        flip_x, flip_y = geometry.focal_plane.is_flipped(amp)
        tile = tile[:: -1 if flip_y else 1, :: -1 if flip_x else 1]
        first_x, first_y = geometry.roi.first_col - 1, geometry.roi.first_row - 1
        tile = tile[first_y : first_y + rows.data * rows.binning, first_x : first_x + columns.data * columns.binning]
        binned = tile.reshape(rows.data, rows.binning, columns.data, columns.binning).sum((1, 3))
        amps[amp, rows.underscan : rows.underscan + rows.data, columns.underscan : columns.underscan + columns.data] = (
            binned
        )
    return CcdImage(amps, geometry)


@st.composite
def cases(draw: st.DrawFn) -> tuple[DetectorSetup, Subframe, int]:
    detectors = draw(st.integers(1, 2)), draw(st.integers(1, 2))
    amps_x, amps_y = detectors[0] * draw(st.integers(1, 2)), detectors[1] * draw(st.integers(1, 2))
    flips = draw(st.lists(st.integers(0, 3), min_size=amps_x * amps_y, max_size=amps_x * amps_y))
    size = draw(st.integers(4, 13)), draw(st.integers(4, 11))
    setup = setup_of(amps_x, amps_y, detectors, flips, size)
    axes = []
    for amps, length in ((amps_x, size[0]), (amps_y, size[1])):
        binning = draw(st.integers(1, 3))
        most = amps * (length // binning)
        start = draw(st.integers(0, most - 1))
        axes.append(Axis(start, draw(st.integers(1, most - start)), binning))
    return setup, Subframe(*axes), draw(st.integers(0, 1000))


@settings(max_examples=150, deadline=None)
@given(cases())
def test_a_window_is_a_cut_of_the_whole_picture(case: tuple[DetectorSetup, Subframe, int]) -> None:
    setup, subframe, seed = case
    subframe.check(setup)
    scene = np.random.default_rng(seed).integers(0, 60000, (setup.format.rows, setup.format.columns), np.uint32)
    whole = setup.changed({"roi": [-1, -1, -1, -1, subframe.x.binning, subframe.y.binning]})
    picture = assembled(read(scene, whole.geometry()).amps, whole.geometry())
    wanted = picture[
        subframe.y.start : subframe.y.start + subframe.y.size, subframe.x.start : subframe.x.start + subframe.x.size
    ]
    for windows in (True, False):
        roi = subframe.roi(setup, windows=windows)
        words = [roi.first_col, roi.last_col, roi.first_row, roi.last_row, roi.col_bin, roi.row_bin]
        image = read(scene, setup.changed({"roi": words}).geometry())
        np.testing.assert_array_equal(subframe.picture(image), wanted)


def test_no_more_is_read_than_needed() -> None:
    setup = setup_of(2, 1, (1, 1), [0, 1], (2048, 100))
    star = Subframe(Axis(3000, 40), Axis(20, 10))
    roi = star.roi(setup)
    columns = setup.changed({"roi": [roi.first_col, roi.last_col, roi.first_row, roi.last_row, 1, 1]}).geometry()
    # Of the right amplifier, which is read from the right: columns 4095 - 3039 to 4095 - 3000.
    assert (columns.columns.skip, columns.columns.data) == (1056, 40)
    assert (columns.rows.skip, columns.rows.data) == (20, 10)


def test_what_the_detector_has_not_is_refused() -> None:
    setup = setup_of(2, 2, (1, 1), [0, 1, 2, 3], (30, 20))
    whole = Subframe.whole(setup)
    whole.check(setup)
    assert whole.roi(setup) == setup.roi, "the whole detector is the window that it begins with"
    with pytest.raises(RangeError, match=r"NumX = 60 px is outside \[1, 20\] px, with BinX = 3"):
        whole.changed("x", binning=3).check(setup)
    with pytest.raises(RangeError, match=r"StartY = 1 px is outside \[0, 0\] px, with NumY = 40 and BinY = 1"):
        whole.changed("y", start=1).check(setup)


def test_an_image_of_another_binning_is_told() -> None:
    setup = setup_of(1, 1, (1, 1), [0], (30, 20))
    image = read(np.zeros((20, 30), np.uint32), setup.geometry())
    with pytest.raises(ValueError, match="binned 1 x 1, 2 x 1 was wanted"):
        Subframe(Axis(0, 15, 2), Axis(0, 20)).picture(image)
