"""PFF: frames with headers of fixed widths, cut out of streams however they are portioned."""

from __future__ import annotations

import itertools
import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from devices.core.errors import ProtocolError, UnknownNameError
from devices.drivers.pff import (
    MARK,
    PRODUCTS,
    RawFrame,
    Splitter,
    Stamp,
    encode_header,
    parse_header,
    product,
    stamps,
)

REAL = Path(__file__).resolve().parents[3] / "shared/data/panoseti"
needs_data = pytest.mark.skipif(not REAL.exists(), reason="needs the PANOSETI files of ../shared/data")

STAMP = Stamp(41, 979, 123_456_789, 1_721_882_086, 765_432)


def frame(name: str, index: int, nsec: int = 5, quabo: int = 1) -> RawFrame:
    of = product(name)
    stamp = Stamp(index, 979, nsec, 1_721_882_086, 765_432)
    header = encode_header([stamp] * 4) if of.has_quabos else encode_header([stamp], quabo)
    pixels = (np.arange(of.shape[0] * of.shape[1]) * 3 + index).astype(of.dtype).tobytes()
    return RawFrame(of, header, pixels)


@pytest.mark.parametrize(
    ("name", "header_bytes", "frame_bytes"),
    [("img16", 491, 2540), ("img8", 491, 1516), ("ph256", 123, 636), ("ph1024", 491, 2540)],
)
def test_frames_are_as_long_as_those_of_the_recorder(name: str, header_bytes: int, frame_bytes: int) -> None:
    found = frame(name, 65535, 999_999_999)
    assert len(found.header) + 2 == header_bytes  # with its blank line
    assert len(found.bytes) == frame_bytes
    assert json.loads(found.header) == found.fields


def test_a_header_of_four_quabos_has_a_line_for_each() -> None:
    lines = encode_header([STAMP, Stamp(0, 0, 0, 0, 0), STAMP, STAMP._replace(pkt_num=7)]).split(b"\n")
    assert lines[0] == b"{" and lines[5] == b"}"
    assert lines[1] == (
        b'   "quabo_0": { "pkt_num":         41, "pkt_tai":  979, "pkt_nsec": 123456789,'
        b' "tv_sec": 1721882086, "tv_usec": 765432}, '
    )
    found = stamps(parse_header(b"\n".join(lines)))
    assert found == [STAMP, Stamp(0, 0, 0, 0, 0), STAMP, STAMP._replace(pkt_num=7)]


def test_a_header_of_one_quabo_tells_its_number() -> None:
    found = frame("ph256", 41, quabo=3)
    assert found.quabo == 3
    assert stamps(found.fields) == [Stamp(41, 979, 5, 1_721_882_086, 765_432)]
    assert found.image.shape == (16, 16) and found.image[2, 3] == (2 * 16 + 3) * 3 + 41


@pytest.mark.parametrize("text", [b"", b"[1]", b"{", b"\xff\xfe", b'{"a": 1', b"[" * 100_000])
def test_what_is_no_header_is_refused(text: bytes) -> None:
    with pytest.raises(ProtocolError, match="a header is"):
        parse_header(text)


@pytest.mark.parametrize(
    "fields",
    [
        {},
        {"quabo_0": 5},
        {"quabo_0": {"pkt_num": 1}},
        {"pkt_num": "x", "pkt_tai": 1, "pkt_nsec": 1, "tv_sec": 1, "tv_usec": 1},
        {"pkt_num": float("inf"), "pkt_tai": 1, "pkt_nsec": 1, "tv_sec": 1, "tv_usec": 1},
    ],
)
def test_a_header_without_its_fields_is_refused(fields: dict[str, object]) -> None:
    with pytest.raises(ProtocolError, match="a header lacks"):
        stamps(fields)


@pytest.mark.parametrize("number", ['"x"', "null", "4", "-1", "1e400", "[]"])
def test_a_number_of_a_quabo_that_is_none_is_0(number: str) -> None:
    assert RawFrame(product("ph256"), f'{{ "quabo_num": {number}}}'.encode(), bytes(512)).quabo == 0


def test_unknown_products_are_named() -> None:
    with pytest.raises(UnknownNameError, match="'img32' is no data product; there are img16, img8, ph256, ph1024"):
        product("img32")


frames = st.builds(
    lambda name, items: [frame(name, index, nsec, quabo) for index, (nsec, quabo) in enumerate(items)],
    st.sampled_from(sorted(PRODUCTS)),
    st.lists(st.tuples(st.sampled_from([0, 999_999_999, 1_000_000_000, 4_294_967_295]), st.integers(0, 3)), max_size=6),
)
cuts = st.lists(st.integers(0, 16_000), max_size=12)


def portions(stream: bytes, at: list[int]) -> list[bytes]:
    edges = [0, *sorted(min(cut, len(stream)) for cut in at), len(stream)]
    return [stream[first:last] for first, last in itertools.pairwise(edges)]


def split(of: str, parts: list[bytes], prefix_bytes: int = 0) -> tuple[list[RawFrame], int]:
    splitter = Splitter(product(of), prefix_bytes)
    return [found for part in parts for found in splitter.feed(part)], splitter.skipped


@settings(max_examples=150, deadline=None)
@given(frames, cuts, st.booleans())
def test_all_frames_come_however_the_stream_is_portioned(wanted: list[RawFrame], at: list[int], prefixed: bool) -> None:
    """Headers grow by a digit when a clock runs free; on sockets the number of a module stands before each frame."""
    name = wanted[0].product.name if wanted else "img16"
    prefixes = [(31490 + 11 * place).to_bytes(2, "big") if prefixed else b"" for place in range(len(wanted))]
    stream = b"".join(prefix + each.bytes for prefix, each in zip(prefixes, wanted, strict=True))
    found, skipped = split(name, portions(stream, at), 2 if prefixed else 0)
    assert [each.bytes for each in found] == [each.bytes for each in wanted]
    assert [each.prefix for each in found] == prefixes
    assert skipped == 0


@settings(max_examples=150, deadline=None)
@given(frames, st.data())
def test_after_damage_only_what_is_damaged_is_missing(wanted: list[RawFrame], data: st.DataObject) -> None:
    """Bytes that are cut out of a frame may cost that one and the next one, no other."""
    if not wanted:
        return
    victim = data.draw(st.integers(0, len(wanted) - 1))
    whole = wanted[victim].bytes
    first = data.draw(st.integers(0, len(whole) - 1))
    last = data.draw(st.integers(first, len(whole)))
    parts = [each.bytes for each in wanted]
    parts[victim] = whole[:first] + whole[last:]
    found, _ = split(wanted[0].product.name, portions(b"".join(parts), data.draw(cuts)))
    got = [each.bytes for each in found]
    intact = [each.bytes for place, each in enumerate(wanted) if place not in (victim, victim + 1)]
    assert [each for each in got if each in intact] == intact


@settings(max_examples=150, deadline=None)
@given(st.lists(st.sampled_from([b"{", b'{ "quabo_', b"\n\n", b"*", MARK, b"\0" * 700, b"}", b'"', b"x" * 5000])), cuts)
def test_noise_makes_no_frames_and_loses_none_after_it(noise: list[bytes], at: list[int]) -> None:
    wanted = [frame("ph256", 5), frame("ph256", 6)]
    text = b"".join(noise)
    found, skipped = split("ph256", portions(text + b"".join(each.bytes for each in wanted), at))
    assert [each.bytes for each in found] == [each.bytes for each in wanted]
    assert skipped == len(text)


@settings(max_examples=100, deadline=None)
@given(st.binary(max_size=9000), cuts, st.integers(0, 2))
def test_any_bytes_are_taken_without_an_error(data: bytes, at: list[int], prefix_bytes: int) -> None:
    found, skipped = split("img8", portions(data, at), prefix_bytes)
    assert sum(len(each.bytes) + prefix_bytes for each in found) + skipped <= len(data)


def test_endless_noise_takes_no_memory() -> None:
    splitter = Splitter(product("img16"))
    for _ in range(200):
        assert not list(splitter.feed(b"noise" * 1000))
    assert len(splitter._buffer) < 20_000
    assert splitter.skipped > 980_000


@needs_data
@pytest.mark.parametrize(
    ("name", "count", "frame_bytes"),
    [("img16.bpp_2.module_1", 1000, 2540), ("ph256.bpp_2.module_1", 2000, 636), ("ph256.bpp_2.module_3", 2000, 636)],
)
def test_headers_of_real_files_are_written_in_the_same_bytes(name: str, count: int, frame_bytes: int) -> None:
    data = next(REAL.glob(f"*dp_{name}*.pff")).read_bytes()
    found, skipped = split(name.partition(".")[0], portions(data, list(range(0, len(data), 99_991))))
    assert (len(found), skipped, len(data)) == (count, 0, count * frame_bytes)
    for each in found:
        quabo = None if each.product.has_quabos else each.fields["quabo_num"]
        assert encode_header(stamps(each.fields), quabo) == each.header
