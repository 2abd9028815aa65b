"""What amplifiers read of a window: sizes as azcam has them, and a detector read pixel by pixel."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from devices.pipelines.ccd.deinterlace import amplifiers, assemble_rows, assembled, oriented, trimmed
from devices.pipelines.ccd.detector import FocalPlane, Format, Geometry, Roi
from devices.pipelines.ccd.geometry import make_geometry, whole
from devices.pipelines.ccd.sections import AmpAxis, amp_axes, section, shown
from devices.pipelines.ccd.sections import trimmed as trimmed_axis


@dataclass(frozen=True)
class Azcam:
    """Sizes that azcam 26.0.5 gives for its set_format, set_focalplane, set_roi (run, not read)."""

    format: tuple[int, ...]
    detectors: tuple[int, int]
    amps: tuple[int, int]
    roi: tuple[int, ...]
    columns_amp: int
    rows_amp: int
    pixels: int


AZCAM = [
    Azcam((4096, 50, 20, 32, 4000, 7, 3, 5, 0), (1, 1), (2, 2), (1, 4096, 1, 4000, 2, 3), 1076, 673, 2896592),
    Azcam((4096, 0, 0, 32, 4000, 0, 0, 0, 0), (1, 1), (2, 2), (1025, 3072, 11, 3990, 1, 1), 1056, 1990, 4 * 2101440),
    Azcam((8192, 0, 0, 32, 4000, 0, 0, 0, 0), (2, 1), (4, 1), (1, 8192, 1, 4000, 1, 1), 2080, 4000, 4 * 8320000),
    Azcam((8192, 0, 0, 32, 8000, 0, 0, 0, 0), (2, 2), (2, 2), (101, 8192, 11, 8000, 2, 3), 2030, 1330, 4 * 2699900),
]


@pytest.mark.parametrize("azcam", AZCAM, ids=lambda azcam: str(azcam.roi))
def test_images_have_the_size_that_they_have_in_azcam(azcam: Azcam) -> None:
    amps = azcam.amps[0] * azcam.amps[1]
    plane = FocalPlane(*azcam.detectors, *azcam.amps, (0,) * amps)
    geometry = make_geometry(Format(*azcam.format), plane, Roi(*azcam.roi))
    assert (geometry.columns.read, geometry.rows.read) == (azcam.columns_amp, azcam.rows_amp)
    assert geometry.pixels == azcam.pixels


def test_every_pixel_of_the_registers_is_read_or_skipped() -> None:
    """Predark 50: 20 binned pixels of it are read by twos, the first 10 are skipped; flush counts of azcam."""
    geometry = make_geometry(
        Format(4096, 50, 20, 32, 4000, 7, 3, 5), FocalPlane(1, 1, 2, 2, (0, 1, 2, 3)), Roi(1, 4096, 1, 4000, 2, 3)
    )
    columns, rows = geometry.columns, geometry.rows
    assert (columns.pre_skip, columns.underscan, columns.skip, columns.data, columns.post_skip) == (10, 20, 0, 1024, 0)
    assert (rows.pre_skip, rows.underscan, rows.skip, rows.data, rows.post_skip) == (1, 2, 0, 666, 2)
    assert (columns.clocked, rows.clocked) == (2162, 2022)
    geometry = make_geometry(Format(100, 8, 0, 4, 60), FocalPlane(), Roi(11, 100, 1, 60))
    assert (geometry.columns.pre_skip, geometry.columns.skip, geometry.columns.data) == (0, 18, 90)


@pytest.mark.parametrize(
    ("roi", "message"),
    [
        (Roi(0, 4096, 1, 4000), r"first_col = 0 is outside \[1, 2048\]"),
        (Roi(2049, 4096, 1, 4000), r"first_col = 2049 is outside \[1, 2048\]"),
        (Roi(1025, 4096, 1, 4000), r"last_col = 4096 is outside \[1026, 3073\], with first_col = 1025"),
        (Roi(1, 4096, 1, 4001), r"last_row = 4001 is outside \[1, 4000\]"),
        (Roi(1, 4096, 11, 9), r"last_row = 9 is outside \[12, 3991\]"),
        (Roi(1, 4096, 1, 4000, 0, 1), r"col_bin = 0 is outside \[1, 2048\]"),
        (Roi(1, 4096, 1, 4000, 1, 3000), r"row_bin = 3000 is outside \[1, 2000\]"),
    ],
)
def test_a_window_that_amplifiers_do_not_have_is_refused_with_its_bounds(roi: Roi, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        make_geometry(Format(4096, 0, 0, 32, 4000), FocalPlane(1, 1, 2, 2, (0, 1, 2, 3)), roi)


def test_the_bounds_that_an_error_tells_are_the_ones_that_work() -> None:
    plane = FocalPlane(2, 1, 4, 1, (0, 1, 0, 1))
    format = Format(8192, 0, 0, 32, 4000)
    for last, works in ((1063, False), (1064, True), (4203, False)):
        roi = Roi(501, last, 1, 4000, 16, 1)
        if works:
            assert make_geometry(format, plane, roi).columns.data == 1
        elif last < 4203:
            with pytest.raises(ValueError, match=r"last_col = 1063 is outside \[1064, 7207\]"):
                make_geometry(format, plane, roi)
    assert make_geometry(format, plane, Roi(501, 7207, 1, 4000, 16, 1)).columns.data == 96
    with pytest.raises(ValueError, match="last_col = 7208"):
        make_geometry(format, plane, Roi(501, 7208, 1, 4000, 16, 1))


@pytest.mark.parametrize(
    ("format", "plane", "message"),
    [
        (Format(4097, 0, 0, 0, 4000), FocalPlane(1, 1, 2, 1, (0, 1)), "4097 cols cannot be shared by 2"),
        (Format(4096, -1, 0, 0, 4000), FocalPlane(), "col predark = -1 is outside"),
        (Format(4096, 0, 0, 0, 4000), FocalPlane(2, 1, 3, 1, (0, 0, 0)), "amps_x = 3 cannot be shared by 2"),
        (Format(4096, 0, 0, 0, 4000), FocalPlane(1, 1, 2, 1, (0,)), "1 flips for 2 amplifiers"),
        (Format(4096, 0, 0, 0, 4000), FocalPlane(1, 1, 1, 1, (4,)), r"flip of an amplifier = 4 is outside \[0, 3\]"),
        (
            Format(4096, 0, 0, 0, 4000),
            FocalPlane(1, 1, 2, 1, (0, 1), ((1, 1), (1, 1))),
            "each of the 2 x 1 places once",
        ),
        (Format(200_000, 0, 0, 0, 200_000), FocalPlane(), "larger than"),
    ],
)
def test_detectors_that_cannot_be_are_refused(format: Format, plane: FocalPlane, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        make_geometry(format, plane, whole(format))


def test_a_centred_window_of_two_flipped_amplifiers_is_one_piece_of_the_mosaic() -> None:
    """The window 1025:3072; azcam 26 says [4096:3073] of the second amplifier."""
    geometry = make_geometry(Format(4096, 0, 0, 32, 4000), FocalPlane(1, 1, 2, 1, (0, 1)), Roi(1025, 3072, 1, 4000))
    left, right = (amp_axes(geometry, amp)[0] for amp in (0, 1))
    assert (left.mosaic(), right.mosaic()) == ((1025, 2048), (3072, 2049))
    assert (left.amplifier(), right.amplifier()) == ((1025, 2048), (1025, 2048))
    assert (right.ltm, right.ltv) == (-1.0, 3073.0)
    assert (right.atm, right.atv) == (-1, 4097)


def test_sections_of_a_binned_window_with_underscan_on_the_second_detector_by_hand() -> None:
    """Detector 2 of 600 columns, its second amplifier read from the right: its columns 5 to 184, by threes."""
    geometry = make_geometry(
        Format(1200, 10, 4, 7, 90, 0, 0, 2), FocalPlane(2, 1, 4, 1, (0, 1, 0, 1)), Roi(5, 2 * 364, 2, 91 - 2, 3, 2)
    )
    x, y = amp_axes(geometry, 3)
    assert (geometry.columns.underscan, geometry.columns.pre_skip, geometry.columns.data) == (3, 1, 60)
    assert (x.data(), x.bias()) == ((4, 63), (64, 70))
    # Corner column 1200; first data column 1196, last 1196 - 180 + 1.
    assert (x.mosaic(), x.detector(), x.amplifier()) == ((1196, 1017), (596, 417), (5, 184))
    assert x.detector_binned() == (198, 139)
    # The first binned column covers 1196, 1195, 1194: its centre 1195 is file column 4.
    assert x.to_image(1195.0) == pytest.approx(4.0)
    assert (y.mosaic(), y.data(), y.bias()) == ((2, 89), (1, 44), (45, 46))
    assert y.to_image(2.5) == pytest.approx(1.0)
    assert section(x.mosaic(), y.mosaic()) == "[1196:1017,2:89]"


# Small detectors, read pixel by pixel in the way that their registers move.


@st.composite
def geometries(draw: st.DrawFn) -> Geometry:
    def count(least: int, most: int) -> int:
        return draw(st.integers(least, most))

    detectors_x, detectors_y = count(1, 2), count(1, 2)
    amps_x, amps_y = detectors_x * count(1, 2), detectors_y * count(1, 2)
    amps = amps_x * amps_y
    visible_x, visible_y = count(2, 7), count(2, 6)
    flips = tuple(draw(st.lists(st.integers(0, 3), min_size=amps, max_size=amps)))
    places = draw(st.permutations([(x + 1, y + 1) for y in range(amps_y) for x in range(amps_x)]))
    plane = FocalPlane(detectors_x, detectors_y, amps_x, amps_y, flips, draw(st.sampled_from([(), tuple(places)])))
    format = Format(
        visible_x * amps_x,
        count(0, 4),
        count(0, 3),
        count(0, 3),
        visible_y * amps_y,
        count(0, 3),
        count(0, 2),
        count(0, 2),
    )
    col_bin, row_bin = count(1, visible_x), count(1, visible_y)
    first_col, first_row = count(1, visible_x - col_bin + 1), count(1, visible_y - row_bin + 1)
    data_x, data_y = count(1, (visible_x - first_col + 1) // col_bin), count(1, (visible_y - first_row + 1) // row_bin)
    last_col = (first_col - 1 + data_x * col_bin * (amps_x // detectors_x)) * detectors_x
    last_row = (first_row - 1 + data_y * row_bin * (amps_y // detectors_y)) * detectors_y
    return make_geometry(format, plane, Roi(first_col, last_col, first_row, last_row, col_bin, row_bin))


def covered(window_first: int, place: int, visible: int, flipped: bool, binning: int, data: int) -> list[list[int]]:
    """The unbinned pixels of the mosaic, from 1, in each data pixel, in the order of reading."""
    pixels = [place * visible + n for n in range(1, visible + 1)]
    if flipped:
        pixels.reverse()
    read = pixels[window_first - 1 : window_first - 1 + data * binning]
    return [read[n * binning : (n + 1) * binning] for n in range(data)]


def pixels_of(geometry: Geometry, amp: int) -> tuple[list[list[int]], list[list[int]]]:
    plane, roi = geometry.focal_plane, geometry.roi
    (x, y), (flip_x, flip_y) = plane.position(amp), plane.is_flipped(amp)
    return (
        covered(roi.first_col, x, geometry.visible_columns, flip_x, roi.col_bin, geometry.columns.data),
        covered(roi.first_row, y, geometry.visible_rows, flip_y, roi.row_bin, geometry.rows.data),
    )


def read_out(geometry: Geometry) -> NDArray[np.uint16]:
    """(amp, y, x) in the order of reading: sums of mosaic pixels, each of its own value; a bias is 60000 and more."""
    mosaic = np.arange(geometry.format.rows * geometry.format.columns).reshape(geometry.format.rows, -1)
    amps = np.full(geometry.amp_shape, 60000, np.uint16) + np.arange(geometry.amps, dtype=np.uint16)[:, None, None]
    for amp in range(geometry.amps):
        columns, rows = pixels_of(geometry, amp)
        for j, of_row in enumerate(rows):
            for i, of_column in enumerate(columns):
                total = sum(int(mosaic[row - 1, column - 1]) for row in of_row for column in of_column)
                amps[amp, geometry.rows.underscan + j, geometry.columns.underscan + i] = total
    return amps


@given(geometries(), st.sampled_from([np.uint16, np.uint32]), st.randoms(use_true_random=False))
@settings(max_examples=150, deadline=None)
def test_every_layout_gives_the_amplifiers_as_they_were_read(geometry: Geometry, dtype: type, random: object) -> None:
    amps, rows, columns = geometry.amp_shape
    truth = read_out(geometry).astype(dtype)
    order = list(range(amps))
    random.shuffle(order)  # type: ignore[attr-defined]
    stream = [truth[order[n], j, i] for j in range(rows) for i in range(columns) for n in range(amps)]
    got = amplifiers(np.array(stream, dtype), geometry, "INTERLEAVED", tuple(order))
    np.testing.assert_array_equal(got, truth)
    taps = [truth[order[n], j, i] for j in range(rows) for n in range(amps) for i in range(columns)]
    np.testing.assert_array_equal(amplifiers(np.array(taps, dtype), geometry, "TAPS", tuple(order)), truth)
    picture = assembled(truth, geometry, trim=False)
    np.testing.assert_array_equal(amplifiers(picture, geometry, "ASSEMBLED", tuple(order)), truth)
    assert got.dtype == dtype


@given(geometries())
@settings(max_examples=150, deadline=None)
def test_the_picture_shows_each_pixel_where_it_is_on_the_detector(geometry: Geometry) -> None:
    amps = read_out(geometry)
    picture = assembled(amps, geometry)
    mosaic = np.arange(geometry.format.rows * geometry.format.columns).reshape(geometry.format.rows, -1)
    columns = sorted({tuple(sorted(pixels)) for amp in range(geometry.amps) for pixels in pixels_of(geometry, amp)[0]})
    rows = sorted({tuple(sorted(pixels)) for amp in range(geometry.amps) for pixels in pixels_of(geometry, amp)[1]})
    if len(columns) != picture.shape[1] or len(rows) != picture.shape[0]:
        return  # amplifiers above each other were read from different ends and a part of them only: no common columns
    for j, of_row in enumerate(rows):
        for i, of_column in enumerate(columns):
            assert picture[j, i] == sum(int(mosaic[row - 1, column - 1]) for row in of_row for column in of_column)
    bands = np.empty_like(picture)
    for first in range(0, len(bands), 3):
        assemble_rows(amps, geometry, True, first, bands[first : first + 3])
    np.testing.assert_array_equal(bands, picture)


@given(geometries())
@settings(max_examples=200, deadline=None)
def test_sections_and_transformations_of_each_amplifier_name_the_pixels_that_were_read(geometry: Geometry) -> None:
    for amp in range(geometry.amps):
        for number, (axis, pixels) in enumerate(zip(amp_axes(geometry, amp), pixels_of(geometry, amp), strict=True)):
            window = (geometry.columns, geometry.rows)[number]
            first = window.underscan + 1
            assert axis.data() == (first, first + window.data - 1)
            assert axis.mosaic() == (pixels[0][0], pixels[-1][-1])
            agree(axis, pixels)
            bias = axis.bias()
            if window.overscan:
                assert bias == (first + window.data, window.read)
            else:
                assert bias == ((1, window.underscan) if window.underscan else None)
            turned = shown(axis)
            agree(turned, pixels[::-1] if axis.sign < 0 else pixels)
            if (bias := turned.bias()) is not None and axis.sign < 0:
                assert bias == tuple(window.read + 1 - edge for edge in reversed(axis.bias() or ()))
            agree(trimmed_axis(turned), pixels[::-1] if axis.sign < 0 else pixels)


def agree(axis: AmpAxis, pixels: list[list[int]]) -> None:
    for n, unbinned in enumerate(pixels):
        assert axis.to_image(sum(unbinned) / len(unbinned)) == pytest.approx(axis.data_first + n)
    corner = axis.place * axis.visible + (1 if axis.atm > 0 else axis.visible)
    assert axis.atm * corner + axis.atv == 1
    begin, end = axis.mosaic()
    assert axis.amplifier() == (axis.atm * begin + axis.atv, axis.atm * end + axis.atv)
    assert all((edge - 1) // axis.visible == axis.place for edge in (begin, end))
    low, high = sorted(axis.detector_binned())
    assert high - low + 1 == len(pixels)
    assert low == (min(axis.detector()) - 1) // axis.window.binning + 1


def test_amplifiers_that_do_not_fit_are_refused() -> None:
    geometry = make_geometry(Format(12, 0, 0, 2, 5), FocalPlane(1, 1, 2, 1, (0, 1)), Roi(1, 12, 1, 5))
    raw = np.zeros(80, np.uint16)
    assert amplifiers(raw, geometry, "TAPS").shape == (2, 5, 8)
    for words, message in (
        ((raw[:-1], geometry, "TAPS"), r"gave 79 px; 2 amplifiers of 8 x 5 px are 80 px"),
        ((raw, geometry, "SPIRAL"), "layout = 'SPIRAL' is none of INTERLEAVED"),
        ((raw, geometry, "TAPS", (0, 0)), r"order = \(0, 0\) does not name each"),
        ((raw, geometry, "TAPS", (), np.zeros((2, 5, 8), np.uint32)), "does not fit"),
    ):
        with pytest.raises(ValueError, match=message):
            amplifiers(*words)


@pytest.mark.parametrize("amps_x", [1, 2, 3, 4, 8, 6])
@pytest.mark.parametrize("dtype", [np.uint16, np.uint32, np.int32])
def test_streams_longer_than_the_blocks_that_are_copied_at_once_come_whole(amps_x: int, dtype: type) -> None:
    format = Format(amps_x * 70, 0, 0, 3, 50)
    geometry = make_geometry(format, FocalPlane(1, 1, amps_x, 1, (0,) * amps_x), whole(format))
    truth = np.random.default_rng(3).integers(0, 65536, geometry.amp_shape).astype(dtype)
    room = np.zeros(geometry.amp_shape, dtype)
    stream = np.ascontiguousarray(np.moveaxis(truth, 0, 2)).reshape(-1)
    assert amplifiers(stream, geometry, "INTERLEAVED", (), room) is room
    np.testing.assert_array_equal(room, truth)
    odd = np.frombuffer(b"\0\0" + stream.tobytes(), np.uint8)[2:].view(dtype)  # words of 8 bytes are not aligned
    np.testing.assert_array_equal(amplifiers(odd, geometry, "INTERLEAVED"), truth)


def test_turned_and_trimmed_images_are_views() -> None:
    geometry = make_geometry(Format(12, 2, 2, 3, 5), FocalPlane(1, 1, 2, 1, (0, 3)), Roi(1, 12, 1, 5))
    amps = read_out(geometry)
    straight, turned = oriented(amps, geometry)
    assert straight.base is not None
    assert np.shares_memory(turned, amps)
    np.testing.assert_array_equal(turned, amps[1, ::-1, ::-1])
    assert trimmed(amps, geometry).shape == (2, 5, 6)
    assert np.shares_memory(trimmed(amps, geometry), amps)
    unflipped = replace(geometry, focal_plane=FocalPlane(1, 1, 2, 1, (0, 0)))
    assert assembled(amps, unflipped, trim=False).shape == (5, 22)
