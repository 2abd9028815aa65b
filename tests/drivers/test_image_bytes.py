"""ImageBytes: every picture comes back as it was, and what is no picture is refused with its reason."""

from __future__ import annotations

import struct
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from numpy.typing import NDArray

from devices.core.errors import BadValueError, DiptychError, NotConnectedError, ProtocolError, RangeError, RefusedError
from devices.drivers.alpaca_errors import ErrorNumber, number_of
from devices.drivers.image_bytes import ElementType, decode, encode, encode_error

KINDS = ["<i2", "<i4", "<f8", "<f4", "<u8", "u1", "<i8", "<u2", "<u4"]


@given(
    st.sampled_from(KINDS).flatmap(
        lambda kind: hnp.arrays(kind, hnp.array_shapes(min_dims=2, max_dims=3, min_side=1, max_side=9))
    ),
    st.integers(0, 2**32 - 1),
    st.integers(0, 2**32 - 1),
)
def test_any_picture_comes_back_with_its_transactions(pixels: NDArray[Any], client: int, server: int) -> None:
    found = decode(encode(pixels, client, server))
    assert found.pixels.dtype == pixels.dtype
    np.testing.assert_array_equal(found.pixels, pixels)
    assert (found.client_transaction, found.server_transaction) == (client, server)
    assert found.element_type is ElementType.INT32


def test_the_bytes_of_three_columns_and_two_rows_are_those_of_the_standard() -> None:
    picture = np.array([[11, 21, 31], [12, 22, 32]], np.uint16)  # (y, x): pixel x, y has the value 10 x + y
    content = encode(picture, 7, 9, ElementType.INT32)
    assert struct.unpack("<11i", content[:44]) == (1, 0, 7, 9, 44, 2, 8, 2, 3, 2, 0)
    assert struct.unpack("<6H", content[44:]) == (11, 12, 21, 22, 31, 32)


def test_a_picture_that_spans_many_tiles_comes_back() -> None:
    picture = np.arange(300 * 517, dtype=np.uint32).reshape(300, 517)
    np.testing.assert_array_equal(decode(encode(picture)).pixels, picture)


@pytest.mark.parametrize(
    ("number", "kind", "text"),
    [
        (0x407, NotConnectedError, "camera is off (0x407 NOT_CONNECTED)"),
        (0x401, RangeError, "camera is off (0x401 INVALID_VALUE)"),
        (0x5A3, RefusedError, "camera is off (0x5A3 DRIVER)"),
    ],
)
def test_an_error_in_place_of_a_picture_is_raised(number: int, kind: type[DiptychError], text: str) -> None:
    with pytest.raises(kind) as caught:
        decode(encode_error(number, "camera is off", 3, 4))
    assert text in str(caught.value)


def test_a_server_gives_the_number_that_a_client_understands_as_the_same_error() -> None:
    assert number_of(RangeError("NumX = 5000 px is outside [1, 4096] px")) == 0x401
    assert number_of(OSError("disk")) == ErrorNumber.DRIVER == 0x500


@pytest.mark.parametrize(
    ("where", "word", "complaint"),
    [
        (0, 2, "version 2"),
        (4, 40, r"outside \[44, 50\]"),
        (4, 51, r"outside \[44, 50\]"),
        (5, 0, "unknown type"),
        (6, 17, "unknown type"),
        (7, 1, "rank 1"),
        (7, -1, "rank -1"),
        (8, 4, "have 6 bytes of pixels"),
        (9, 0, "sizes"),
        (8, 2**31 - 1, "have 6 bytes of pixels"),
    ],
)
def test_a_header_that_lies_is_refused(where: int, word: int, complaint: str) -> None:
    content = encode(np.array([[1, 2, 3]], np.uint16))
    struct.pack_into("<i", content, 4 * where, word)
    with pytest.raises(ProtocolError, match=complaint):
        decode(content)


@given(st.binary(max_size=80))
def test_what_is_no_picture_raises_an_error_of_ours(content: bytes) -> None:
    with pytest.raises(DiptychError):
        decode(content)


def test_a_cut_picture_is_refused() -> None:
    content = encode(np.ones((5, 7), np.int32))
    with pytest.raises(ProtocolError, match="have 139 bytes"):
        decode(content[:-1])


@pytest.mark.parametrize("pixels", [np.ones(4, np.uint16), np.ones((2, 0), np.uint16), np.ones((2, 2), np.complex64)])
def test_what_a_picture_cannot_be_is_not_sent(pixels: NDArray[Any]) -> None:
    with pytest.raises(BadValueError):
        encode(pixels)
