"""Boxes on the picture of a focal plane, in coordinates of detector and amplifiers."""

from __future__ import annotations

import numpy as np
import pytest

from devices.pipelines.ccd.deinterlace import assembled
from devices.pipelines.ccd.detector import FocalPlane, Format, Roi
from devices.pipelines.ccd.geometry import make_geometry
from devices.pipelines.ccd.picture import picked
from devices.pipelines.ccd.region import Box, on_amplifier, on_detector

FORMAT = Format(60, 0, 0, 4, 40)
PLANE = FocalPlane(1, 1, 2, 2, (0, 1, 2, 3))  # read at the four corners


def test_a_box_has_as_many_pixels_as_it_is_wide() -> None:
    assert Box.around(10.5, 8.5, 4, 6) == (9, 12, 6, 11)
    assert Box.around(10, 8, 3, 5) == (9, 11, 6, 10)
    assert Box.around(10.49999999, 8.5, -4, 6) == (9, 12, 6, 11)
    assert Box.around(20.5, 10.5, 4, 2, 90) == (20, 21, 9, 12)  # on its side
    assert Box.around(7.2, 7.2, 0, 0) == (8, 8, 8, 8)


def test_a_box_holds_the_pixels_that_are_drawn_in_it() -> None:
    geometry = make_geometry(FORMAT, PLANE, Roi(1, 60, 1, 40))
    amps = np.arange(np.prod(geometry.amp_shape), dtype=np.uint16).reshape(geometry.amp_shape)
    picture = assembled(amps, geometry)
    box = Box(28, 33, 19, 22)  # over the middle: all four amplifiers
    np.testing.assert_array_equal(picked(amps, geometry, *box.within(geometry)), picture[18:22, 27:33])
    assert [len(each) for each in Box(55, 70, -3, 2).within(geometry)] == [6, 2]
    assert [len(each) for each in Box(61, 70, 1, 2).within(geometry)] == [0, 2]


def test_without_window_and_binning_the_picture_is_the_detector() -> None:
    geometry = make_geometry(FORMAT, PLANE, Roi(1, 60, 1, 40))
    assert on_detector(Box(28, 33, 19, 22), geometry) == (28, 33, 19, 22)


def test_window_and_binning_are_undone_on_each_amplifier() -> None:
    # Two columns and four rows are skipped, two columns make one: columns 3..28 and 33..58, rows 5..20 and 21..36.
    geometry = make_geometry(FORMAT, PLANE, Roi(3, 56, 5, 36, 2, 1))
    assert on_detector(Box(1, 1, 1, 1), geometry) == (3, 4, 5, 5)
    assert on_detector(Box(13, 14, 16, 17), geometry) == (27, 34, 20, 21)  # over the gap in the middle
    assert on_detector(Box(26, 26, 32, 32), geometry) == (57, 58, 36, 36)


def test_pixels_of_an_amplifier_are_counted_from_where_it_is_read() -> None:
    geometry = make_geometry(FORMAT, PLANE, Roi(1, 60, 1, 40))
    assert on_amplifier(Box(1, 4, 1, 6), geometry) == (1, 4, 1, 6)
    assert on_amplifier(Box(57, 60, 1, 6), geometry) == (1, 4, 1, 6)
    assert on_amplifier(Box(57, 60, 31, 40), geometry) == (1, 4, 1, 10)
    # What reaches over its edge goes on to be counted.
    assert on_amplifier(Box(25, 32, 1, 1), geometry) == (25, 32, 1, 1)


@pytest.mark.parametrize("roi", [Roi(1, 60, 1, 40), Roi(3, 56, 5, 36, 2, 1)])
def test_amplifiers_may_stand_in_any_order(roi: Roi) -> None:
    turned = FocalPlane(1, 1, 2, 2, (3, 2, 1, 0), ((2, 2), (1, 2), (2, 1), (1, 1)))
    box = Box(2, 5, 20, 22)
    straight = make_geometry(FORMAT, PLANE, roi)
    assert on_amplifier(box, make_geometry(FORMAT, turned, roi)) == on_amplifier(box, straight)
