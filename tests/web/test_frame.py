"""Views of one frame: types, reductions, statistics."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from p4p.nt import NTNDArray

from devices.core.errors import BadValueError
from servers.web.frame import Autoscale, Frame, View, frame_of, reduced
from tests.web.test_image_socket import Received


def view_of(pixels: np.ndarray[Any, Any], **more: Any) -> Received:
    rows, columns = pixels.shape
    view = View(
        **({"x": 0, "y": 0, "width": columns, "height": rows, "canvas_width": 999, "canvas_height": 999} | more)
    )
    return Received.of(Frame(pixels, 1, 0.0).view(1, view, (0.0, 1.0)))


@pytest.mark.parametrize(
    ("dtype", "sent", "exact"),
    [
        ("?", "u1", 1), ("u1", "u1", 1), ("i1", "i4", 1), ("i2", "i4", 1), ("u2", "u2", 1), ("i4", "i4", 1),
        ("f4", "f4", 1), ("u4", "f4", 0), ("i8", "f4", 0), ("u8", "f4", 0), ("f8", "f4", 0),
    ],
)  # fmt: skip
def test_every_type_is_sent_as_one_that_the_page_can_draw(dtype: str, sent: str, exact: int) -> None:
    pixels = np.array([[0, 1, 1], [1, 0, 1]], dtype)
    got = view_of(pixels)
    assert got.pixels.dtype == np.dtype("<" + sent)
    assert np.array_equal(got.pixels, pixels)
    assert got.fields[3] & 1 == exact


@given(st.integers(1, 40), st.integers(1, 40), st.integers(1, 9), st.sampled_from(["max", "mean"]))
def test_each_reduced_pixel_is_of_its_own_block(rows: int, columns: int, factor: int, how: Any) -> None:
    pixels = np.random.default_rng(rows * 41 + columns).integers(0, 60_000, (rows, columns)).astype(np.uint16)
    got = reduced(pixels, factor, how)
    assert got.shape == (-(-rows // factor), -(-columns // factor))
    for row in range(got.shape[0]):
        for column in range(got.shape[1]):
            block = pixels[row * factor : (row + 1) * factor, column * factor : (column + 1) * factor]
            assert got[row, column] == pytest.approx(block.max() if how == "max" else block.mean(), rel=1e-5)


def test_a_hot_pixel_does_not_vanish_in_a_reduced_view() -> None:
    pixels = np.zeros((1000, 1500), np.uint16)
    pixels[999, 1499] = 7
    assert view_of(pixels, canvas_width=100, canvas_height=100).pixels.max() == 7


def test_autoscale_leaves_a_few_hot_pixels_out() -> None:
    pixels = np.random.default_rng(3).poisson(100.0, (500, 400)).astype(np.uint16)
    pixels[10, :50] = 65_535
    low, high = Autoscale().of(Frame(pixels, 1, 0.0))
    assert 60 < low < 100 < high < 160


def test_a_constant_image_has_a_scale_too() -> None:
    assert Autoscale().of(Frame(np.full((4, 5), 7), 1, 0.0)) == (7.0, 8.0)


def test_pixels_that_are_no_numbers_are_left_out_of_statistics() -> None:
    pixels = np.array([[1.0, np.nan, 3.0], [np.inf, 5.0, -np.inf]])
    found = Frame(pixels, 1, 0.0).statistics(0, 0, 3, 2, 4)
    assert (found["count"], found["min"], found["max"], found["mean"]) == (3, 1.0, 5.0, 3.0)
    assert Frame(pixels, 1, 0.0).probe(1, 0) is None
    assert Frame(np.full((2, 2), np.nan), 1, 0.0).statistics(0, 0, 2, 2, 4)["count"] == 0


def test_an_ntndarray_has_its_columns_first() -> None:
    value = NTNDArray().wrap(np.arange(6, dtype=np.int16).reshape(2, 3), timestamp=(1_790_000_000, 5))
    frame = frame_of(value, 4)
    assert frame is not None
    assert frame.pixels.tolist() == [[0, 1, 2], [3, 4, 5]]
    assert (frame.seq, int(frame.time)) == (4, 1_790_000_000)


def test_an_image_without_pixels_is_no_frame() -> None:
    assert frame_of(NTNDArray().wrap(np.zeros((0, 0), np.uint8)), 1) is None


def test_colour_becomes_luminance() -> None:
    value = NTNDArray().wrap(np.zeros((2, 4), np.uint8))
    value["value"] = np.array([200, 100, 50] * 6, np.uint8)
    value["dimension"] = [{"size": 3}, {"size": 3}, {"size": 2}]
    frame = frame_of(value, 1)
    assert frame is not None
    assert frame.pixels.tolist() == [[124] * 3] * 2  # 0.299 * 200 + 0.587 * 100 + 0.114 * 50


def test_dimensions_that_do_not_fit_the_data_are_refused() -> None:
    value = NTNDArray().wrap(np.zeros((2, 4), np.uint8))
    value["dimension"] = [{"size": 5}, {"size": 2}]
    with pytest.raises(BadValueError, match=r"an image of 8 pixels has the dimensions \[5, 2\]"):
        frame_of(value, 1)
