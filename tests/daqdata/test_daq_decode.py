"""Images out of a stream's bytes are what protobuf reads there, and tell when their pixels were taken."""

import contextlib
from collections.abc import Callable
from decimal import Decimal
from typing import Any

import numpy as np
import pandas as pd
import pytest
from google.protobuf.json_format import MessageToDict
from google.protobuf.message import DecodeError
from google.protobuf.struct_pb2 import Struct
from hypothesis import given, settings
from hypothesis import strategies as st

from devices.core.errors import BadValueError, ProtocolError
from servers.daqdata.daq_data_pb2 import PanoImage, StreamImagesResponse
from servers.daqdata.decode import decode_response, image_dictionary
from servers.daqdata.decode_header import HeaderDecoder, struct_dict
from servers.daqdata.wire_fields import Unusual, fields

# 2024-07-25T04:34:46 UTC; TAI was 37 s ahead, so the low 10 bits of its seconds were 483.
SECOND = 1721882086
TAI = (SECOND + 37) % 1024
STAMP = {"pkt_num": 17, "pkt_tai": TAI, "pkt_nsec": 123456789, "tv_sec": SECOND, "tv_usec": 123999}
MISSING = dict.fromkeys(STAMP, 0)


def response(header: dict[str, Any], pixels: np.ndarray, kind: int = PanoImage.MOVIE, **more: Any) -> bytes:
    wire = Struct()
    wire.update(header)
    image = PanoImage(
        type=kind,
        header=wire,
        image_array=pixels.ravel().tolist(),
        shape=pixels.shape,
        bytes_per_pixel=pixels.dtype.itemsize,
        file="start_2024-07-25T04_34_46Z.dp_img16.bpp_2.module_3.seqno_0.pff",
        frame_number=411,
        module_id=254,
    )
    return StreamImagesResponse(pano_image=image, **more).SerializeToString()


def quabos(*stamps: dict[str, int]) -> dict[str, Any]:
    return {f"quabo_{number}": stamp for number, stamp in enumerate(stamps)}


# Random messages --------------------------------------------------------------------------------------------------

numbers = st.floats(allow_nan=False)
values = st.recursive(
    st.none() | st.booleans() | numbers | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=6,
)
flat = st.dictionaries(st.text(max_size=9), numbers, max_size=7)
headers = flat | st.dictionaries(st.text(max_size=9), flat | numbers, max_size=5)


@settings(deadline=None)
@given(headers | st.dictionaries(st.text(max_size=5), values, max_size=4))
def test_a_header_is_what_protobuf_reads_the_first_and_the_second_time(header: dict[str, Any]) -> None:
    wire = Struct()
    wire.update(header)
    decoder = HeaderDecoder()
    for _ in range(2):
        assert decoder.decode(wire.SerializeToString()) == struct_dict(wire) == header


@settings(deadline=None, max_examples=40)
@given(st.lists(flat.filter(bool), min_size=2, max_size=6))
def test_one_decoder_tells_layouts_of_one_length_apart(many: list[dict[str, float]]) -> None:
    decoder = HeaderDecoder()
    for header in many * 2:
        wire = Struct()
        wire.update(header)
        assert decoder.decode(wire.SerializeToString()) == header


@settings(deadline=None)
@given(
    st.integers(1, 12),
    st.integers(1, 12),
    st.sampled_from((1, 2)),
    st.sampled_from((0, 1, 2)),
    st.randoms(use_true_random=False),
    st.integers(0, 2**32 - 1),
    st.text(max_size=20),
)
def test_an_image_is_what_protobuf_reads(rows, columns, size, kind, random, module, text) -> None:
    largest = random.choice((1, 100, 200, 20000, 1 << 8 * size)) % (1 << 8 * size) or 1
    image = PanoImage(
        type=kind,
        image_array=[random.randint(0, largest) for _ in range(rows * columns)],
        shape=(rows, columns),
        bytes_per_pixel=size,
        file=text,
        frame_number=module // 3,
        module_id=module,
    )
    image.header.update({"quabo_0": {"pkt_num": random.random()}, "gain": 2})
    message = StreamImagesResponse(name=text, message=text, pano_image=image)
    message.timestamp.FromNanoseconds(SECOND * 10**9 + 5)
    found = decode_response(message.SerializeToString())
    expected = MessageToDict(image, preserving_proto_field_name=True, always_print_fields_with_no_presence=True)
    pixels = found.pop("image_array")
    assert pixels.shape == (rows, columns)
    # The same bits, whether they are read as signed or not.
    assert (pixels.astype(np.int64) % (1 << 8 * size)).ravel().tolist() == expected.pop("image_array")
    assert found == expected


@st.composite
def damaged(draw: st.DrawFn) -> bytes:
    """An image of which one byte is another one, or whose end is missing."""
    data = bytearray(response({"quabo_0": STAMP, "gain": 2.0}, np.array([[1, 2, 300], [4, 5, 60000]], np.uint16)))
    data[draw(st.integers(0, len(data) - 1))] = draw(st.integers(0, 255))
    return bytes(data[: draw(st.integers(len(data) // 2, len(data)))])


@settings(deadline=None, max_examples=200)
@given(st.binary(max_size=60) | damaged())
def test_any_bytes_are_an_image_or_a_clear_error(data: bytes) -> None:
    def outcome(decode: Callable[[], dict[str, Any]]) -> Any:
        try:
            found = decode()
        except (ProtocolError, BadValueError) as error:
            return type(error)
        return found | {"image_array": found["image_array"].tolist()}

    found = outcome(lambda: decode_response(data))
    try:
        expected = StreamImagesResponse.FromString(data).pano_image
    except DecodeError:
        return  # what is damaged may be in a field that nobody looks at
    assert found == outcome(lambda: image_dictionary(expected))


@settings(deadline=None)
@given(st.binary(max_size=40), st.integers(0, 40))
def test_fields_never_end_outside_of_their_message(data: bytes, end: int) -> None:
    end = min(end, len(data))
    with contextlib.suppress(Unusual):
        assert all(begin <= end and stop <= end for _, kind, begin, stop in fields(data, 0, end) if kind != 0)


# What senders may do otherwise ------------------------------------------------------------------------------------


def test_a_message_whose_image_comes_in_two_parts_is_merged_as_protobuf_does() -> None:
    first = response(quabos(STAMP), np.array([[1, 2, 300], [4, 5, 60000]], np.uint16))
    second = StreamImagesResponse(pano_image=PanoImage(module_id=3)).SerializeToString()
    found = decode_response(first + second)
    assert found["module_id"] == 3
    assert found["image_array"].tolist() == [[1, 2, 300], [4, 5, 60000]]


def test_pixels_that_are_not_packed_are_read() -> None:
    # field 3 as a number of its own: 0x18, value; shape 1 x 2 packed; 2 bytes per pixel
    inner = bytes((0x18, 9, 0x18, 5, 0x22, 2, 1, 2, 0x28, 2))
    found = decode_response(bytes((0x22, len(inner))) + inner)
    assert found["image_array"].tolist() == [[9, 5]]


def test_pulse_heights_are_signed() -> None:
    pixels = np.array([[-1, -330], [3286, 0], [5, -6]], np.int16)
    found = decode_response(response(STAMP | {"quabo_num": 2}, pixels.view(np.uint16), PanoImage.PULSE_HEIGHT))
    assert found["image_array"].dtype == np.int16
    np.testing.assert_array_equal(found["image_array"], pixels)


@pytest.mark.parametrize(
    ("change", "text"),
    [
        ({"bytes_per_pixel": 3}, "bytes_per_pixel = 3"),
        ({"shape": [2, 2]}, "6 pixels"),
        ({"shape": [0]}, "6 pixels"),
        ({"image_array": [1, 2, 3, 4, 5, 65536]}, "a pixel = 65536"),
    ],
)
def test_an_image_that_is_not_what_it_says_is_told(change: dict[str, Any], text: str) -> None:
    message = StreamImagesResponse.FromString(response({}, np.arange(6, dtype=np.uint16).reshape(3, 2)))
    for key, value in change.items():
        message.pano_image.ClearField(key)
        if isinstance(value, list):
            getattr(message.pano_image, key).extend(value)
        else:
            setattr(message.pano_image, key, value)
    with pytest.raises(BadValueError, match=text):
        decode_response(message.SerializeToString())


# Times ------------------------------------------------------------------------------------------------------------


def header_of(header: dict[str, Any], shape: tuple[int, int] = (32, 32)) -> dict[str, Any]:
    return decode_response(response(header, np.zeros(shape, np.uint16)))["header"]


def test_the_time_of_an_image_is_that_of_white_rabbit_to_the_nanosecond() -> None:
    found = header_of(quabos(STAMP, STAMP, STAMP, STAMP))
    assert found["wr_unix_timestamp"] == Decimal("1721882086.123456789")
    assert found["pkt_unix_timestamp"] == Decimal("1721882086.123999")
    assert found["pandas_unix_timestamp"] == pd.Timestamp("2024-07-25T04:34:46.123456789")
    assert found["wr_valid"] is True
    assert found["quabo_3"] == {key: float(value) for key, value in STAMP.items()}


def test_a_clock_that_runs_free_leaves_the_recorders_time() -> None:
    found = header_of(STAMP | {"pkt_nsec": 2146239299, "quabo_num": 1}, (16, 16))
    assert found["wr_unix_timestamp"] == 0
    assert found["pandas_unix_timestamp"] == pd.Timestamp("2024-07-25T04:34:46.123999")
    assert found["wr_valid"] is False


def test_the_time_of_an_image_without_its_first_quabo_is_that_of_the_next() -> None:
    found = header_of(quabos(MISSING, MISSING, STAMP, STAMP))
    assert found["wr_unix_timestamp"] == Decimal("1721882086.123456789")


def test_an_image_of_which_no_quabo_came_has_no_time() -> None:
    found = header_of(quabos(MISSING, MISSING, MISSING, MISSING))
    assert found["wr_valid"] is False
    assert found["pkt_unix_timestamp"] == 0


@pytest.mark.parametrize(
    "header",
    [{}, {"gain": 3.0}, {"quabo_0": "none"}, {"quabo_0": {"tv_sec": "x"}}, STAMP | {"tv_sec": 1e300}],
)
def test_headers_without_stamps_and_other_shapes_have_no_times_and_raise_nothing(header: dict[str, Any]) -> None:
    assert header_of(header, (3, 5)) == header
