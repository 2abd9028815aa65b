"""Frames of DCSS, cut and joined at any byte."""

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from devices.core.errors import BadValueError, ProtocolError
from devices.drivers.xos import (
    HEADER_BYTES,
    LOGIN_BYTES,
    MAX_BINARY_BYTES,
    Frame,
    XosDecoder,
    encode_frame,
    encode_login,
)

# No blanks at the ends: they are padding.
TEXTS = st.text(st.characters(min_codepoint=32, max_codepoint=126), max_size=80).map(str.strip)
LOGIN = encode_login("stoc_send_client_type")


def fed(decoder: XosDecoder, stream: bytes, cuts: list[int]) -> list[Frame]:
    """What a decoder makes of a stream cut at these places."""
    places = sorted({0, len(stream), *(cut % (len(stream) + 1) for cut in cuts)})
    return [frame for first, last in itertools.pairwise(places) for frame in decoder.feed(stream[first:last])]


def test_a_frame_is_what_dcss_itself_sends() -> None:
    # Seen on the wire: 46 = 45 letters and the NUL.
    text = "stoh_register_operation helloWorld helloWorld"
    assert encode_frame(text) == b"          46            0 stoh_register_operation helloWorld helloWorld\0"
    assert len(encode_frame("")) == HEADER_BYTES + 1
    assert encode_frame("a", b"\0\xff")[-4:] == b"a\0\0\xff"


@given(st.lists(st.tuples(TEXTS, st.binary(max_size=300)), max_size=8), st.lists(st.integers(0, 5000), max_size=30))
def test_frames_are_whole_wherever_tcp_cuts_the_stream(messages: list[tuple[str, bytes]], cuts: list[int]) -> None:
    stream = LOGIN + b"".join(encode_frame(text, binary) for text, binary in messages)
    frames = fed(XosDecoder(), stream, cuts)
    assert frames == [Frame("stoc_send_client_type"), *(Frame(text, binary) for text, binary in messages)]


def test_a_stream_that_comes_byte_by_byte_is_read() -> None:
    decoder = XosDecoder()
    frames = [frame for byte in LOGIN + encode_frame("a b", b"12") for frame in decoder.feed(bytes([byte]))]
    assert frames == [Frame("stoc_send_client_type"), Frame("a b", b"12")]
    assert decoder.is_between_frames and decoder.protocol == 2


@given(
    TEXTS.filter(bool), st.binary(min_size=LOGIN_BYTES, max_size=LOGIN_BYTES), st.lists(st.integers(0, 200), max_size=9)
)
def test_what_follows_the_nul_of_the_first_message_means_nothing(text: str, garbage: bytes, cuts: list[int]) -> None:
    data = (text.encode() + b"\0" + garbage)[:LOGIN_BYTES]
    assert fed(XosDecoder(), data, cuts) == [Frame(text)]


@pytest.mark.parametrize(
    "data",
    [
        b"htos_client_is_hardware loop".ljust(200),
        b"htos_client_is_hardware loop\0".rjust(200),
        b"htos_client_is_hardware loop\0" * 7,
    ],
    ids=["blanks right", "blanks left", "over and over"],
)
def test_the_padding_of_every_sender_is_taken(data: bytes) -> None:
    assert XosDecoder().feed(data.ljust(200, b"\0")[:200]) == [Frame("htos_client_is_hardware loop")]


@pytest.mark.parametrize("tail", [b"", b"\0", b" \0", b"\n\0", b"\r\n\0"])
def test_a_text_ends_before_its_nul_blank_or_line_end(tail: bytes) -> None:
    text = b"stoh_register_shutter shutter closed" + tail
    header = b"%12d\0%12d\0" % (len(text), 0)
    decoder = XosDecoder(first=2)
    assert decoder.feed(header + text) == [Frame("stoh_register_shutter shutter closed")]


@pytest.mark.parametrize("header", [b"%12d %12d\0", b"%-12d %12d ", b"%12d\0%12d ", b"%d %d" + b" " * 23])
def test_sizes_are_read_with_blanks_or_nul_around(header: bytes) -> None:
    decoder = XosDecoder(first=2)
    assert decoder.feed(header % (2, 3) + b"ab\1\2\3") == [Frame("ab", b"\1\2\3")]


def test_a_host_of_the_first_protocol_is_known_by_its_first_registration() -> None:
    decoder = XosDecoder()
    later = [encode_login("stoh_register_operation helloWorld helloWorld\n"), encode_login("stoh_abort_all hard")]
    frames = decoder.feed(LOGIN + b"".join(later))
    assert [frame.text for frame in frames[1:]] == [
        "stoh_register_operation helloWorld helloWorld",
        "stoh_abort_all hard",
    ]
    assert decoder.protocol == 1


@pytest.mark.parametrize("first", [encode_login("stoc_send_client_type"), encode_frame("stoc_send_client_type 7")])
def test_the_client_port_is_read_whether_its_core_is_old_or_new(first: bytes) -> None:
    decoder = XosDecoder(first=0, protocol=2)
    frames = decoder.feed(first + encode_frame("stog_login_complete 7"))
    assert [frame.text.split()[0] for frame in frames] == ["stoc_send_client_type", "stog_login_complete"]


@pytest.mark.parametrize(
    "header", [b"stoh_start_operation hello", b"          -1            0 ", b"           1              "], ids=repr
)
def test_a_stream_out_of_step_is_an_error_at_once(header: bytes) -> None:
    with pytest.raises(ProtocolError, match="two sizes"):
        XosDecoder(first=2).feed(header)


def test_sizes_beyond_reason_are_refused_before_they_come() -> None:
    with pytest.raises(ProtocolError, match="text of 1048577 byte"):
        XosDecoder(first=2).feed(b"%12d %12d " % ((1 << 20) + 1, 0))
    with pytest.raises(ProtocolError, match="binary of 67108865 byte"):
        XosDecoder(first=2).feed(b"%12d %12d " % (5, MAX_BINARY_BYTES + 1))
    with pytest.raises(BadValueError, match="1048576 byte"):
        encode_frame("x" * (1 << 20))


@given(st.binary(max_size=2000))
def test_any_bytes_are_frames_or_a_protocol_error(data: bytes) -> None:
    decoder = XosDecoder()
    try:
        frames = decoder.feed(data)
    except ProtocolError:
        return
    assert all(frame.text == frame.text.strip() for frame in frames)


def test_what_is_not_ascii_does_not_stop_anybody() -> None:
    assert XosDecoder().feed("grün".encode("latin-1").ljust(200, b"\0")) == [Frame("gr�n")]
    assert encode_frame("20 °C") == encode_frame("20 ?C")
    assert XosDecoder(first=2).feed(encode_frame("a\0b")) == [Frame("a b")]


def test_a_login_longer_than_its_frame_is_refused() -> None:
    assert len(encode_login("x" * 199)) == 200
    with pytest.raises(BadValueError, match="200 byte is longer than 199"):
        encode_login("x" * 200)
