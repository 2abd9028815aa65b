"""Parts of the picture of all amplifiers, beside the whole picture."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from devices.pipelines.ccd.deinterlace import assembled
from devices.pipelines.ccd.detector import FocalPlane, Format
from devices.pipelines.ccd.geometry import make_geometry, whole
from devices.pipelines.ccd.picture import picked, region_statistics

#: A mosaic of 2 x 3 amplifiers, each flipped otherwise, in an order of its own.
FORMAT = Format(22, 0, 2, 3, 21)
PLANE = FocalPlane(1, 1, 2, 3, (0, 1, 2, 3, 1, 2), ((2, 1), (1, 1), (1, 3), (2, 2), (1, 2), (2, 3)))
GEOMETRY = make_geometry(FORMAT, PLANE, whole(FORMAT))
AMPS = np.random.default_rng(7).integers(0, 65536, GEOMETRY.amp_shape).astype(np.uint16)
PICTURE = assembled(AMPS, GEOMETRY)


def ranges(size: int) -> st.SearchStrategy[range]:
    return st.builds(range, st.integers(0, size - 1), st.integers(1, size), st.integers(1, 9)).filter(bool)


@given(ranges(22), ranges(21))
@settings(max_examples=300, deadline=None)
def test_parts_and_their_statistics_are_those_of_the_whole_picture(columns: range, rows: range) -> None:
    part = PICTURE[np.ix_(rows, columns)]
    np.testing.assert_array_equal(picked(AMPS, GEOMETRY, columns, rows), part)
    found = region_statistics(AMPS, GEOMETRY, columns, rows)
    assert (found.minimum, found.maximum) == (part.min(), part.max())
    assert (found.mean, found.median) == (part.mean(), np.median(part))
    assert found.standard_deviation == pytest.approx(part.std())


def test_extremes_of_a_large_image_are_of_all_its_pixels() -> None:
    format = Format(2000, 0, 0, 0, 1500)
    geometry = make_geometry(format, FocalPlane(1, 1, 2, 1, (0, 1)), whole(format))
    amps = np.full(geometry.amp_shape, 1000, np.uint16)
    amps[1, 701, 333], amps[0, 17, 2] = 60_000, 3
    found = region_statistics(amps, geometry, range(2000), range(1500))
    assert (found.minimum, found.maximum, found.median) == (3.0, 60_000.0, 1000.0)
    with pytest.raises(ValueError, match="no pixels"):
        region_statistics(amps, geometry, range(0), range(1500))
