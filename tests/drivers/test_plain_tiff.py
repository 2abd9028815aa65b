"""The quick reader of detectors' TIFF files: the frames of tifffile, or none; never a wrong one, never an error."""

from __future__ import annotations

import io
import struct
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile
from hypothesis import example, given, settings
from hypothesis import strategies as st

from devices.core.errors import DiptychError
from devices.drivers.detector_image import decode_detector_image
from devices.drivers.plain_tiff import decode_plain_tiff

TYPES = ("u1", "u2", "u4", "i1", "i2", "i4", "f4", "f8")
REAL = Path(__file__).resolve().parents[3] / "shared" / "data" / "saxs" / "agbeh2_1M.tif"


def frame(dtype: str) -> np.ndarray[Any, Any]:
    """(7, 12), no two pixels the same."""
    return (np.arange(84).reshape(7, 12) - (40 if dtype[0] != "u" else 0)).astype(dtype)


def tiff(data: np.ndarray[Any, Any], **options: Any) -> bytes:
    file = io.BytesIO()
    tifffile.imwrite(file, data, metadata=None, **options)
    return file.getvalue()


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("dtype", TYPES)
@pytest.mark.parametrize("strip", [None, 1, 3])
def test_every_type_is_read_as_tifffile_reads_it(dtype: str, order: str, strip: int | None) -> None:
    content = tiff(frame(dtype), byteorder=order, rowsperstrip=strip, description="# Exposure_time 0.5 s")
    found = decode_plain_tiff(content)
    assert found is not None
    np.testing.assert_array_equal(found.data, frame(dtype))
    np.testing.assert_array_equal(found.data, tifffile.imread(io.BytesIO(content)))
    assert found.data.dtype.newbyteorder("=") == np.dtype(dtype)
    assert found.description == "# Exposure_time 0.5 s"


def test_the_date_is_read() -> None:
    found = decode_plain_tiff(tiff(frame("i4"), datetime="2014:05:21 12:34:56"))
    assert found is not None
    assert (found.date, found.description) == ("2014:05:21 12:34:56", "")


@pytest.mark.parametrize(
    "content",
    [
        tiff(frame("u2"), compression="zlib"),
        tiff(frame("u2"), bigtiff=True),
        tiff(np.stack([frame("u2"), frame("u2")])),
        tiff(np.stack([frame("u1")] * 3, axis=-1), photometric="rgb"),
        tiff(frame("u2"), tile=(16, 16)),
        tiff(frame("f4").astype("f2")),
        tiff(frame("f8").astype("c16")),
    ],
    ids=["compressed", "BigTIFF", "two frames", "colour", "tiles", "half precision", "complex"],
)
def test_other_files_are_left_to_tifffile(content: bytes) -> None:
    assert decode_plain_tiff(content) is None


def test_a_file_that_is_not_all_there_is_none_at_any_length() -> None:
    whole = tiff(frame("i4"), description="x" * 100)
    assert decode_plain_tiff(whole) is not None
    # tifffile pads nothing after the frame: not one byte can be missed.
    assert [n for n in range(len(whole)) if decode_plain_tiff(whole[:n]) is not None] == []


def test_strips_with_gaps_between_them_are_left_to_tifffile() -> None:
    whole = tiff(frame("u2"), rowsperstrip=1)
    moved = bytearray(whole)
    offsets = struct.pack(
        "<7I", *(int(tifffile.TiffFile(io.BytesIO(whole)).pages[0].dataoffsets[0]) + 24 * n for n in range(7))
    )
    at = whole.index(offsets)
    first, second = struct.unpack_from("<2I", offsets)
    moved[at : at + 8] = struct.pack("<2I", second, first)
    assert decode_plain_tiff(bytes(moved)) is None
    np.testing.assert_array_equal(tifffile.imread(io.BytesIO(moved))[:2], frame("u2")[1::-1])


def test_entries_of_a_detectors_own_may_be_empty() -> None:
    """As those of a PILATUS3: its private tags have no values at all."""
    private = [(36870, "s", 0, "", True), (37120, "I", 3, (1, 2, 3), True)]
    content = bytearray(tiff(frame("i4"), extratags=private))
    (at,) = (tag.offset for tag in tifffile.TiffFile(io.BytesIO(content)).pages[0].tags.values() if tag.code == 36870)
    content[at + 4 : at + 8] = bytes(4)
    found = decode_plain_tiff(bytes(content))
    assert found is not None
    np.testing.assert_array_equal(found.data, frame("i4"))


@pytest.mark.skipif(not REAL.exists(), reason=f"the real image is not in {REAL.parent}")
def test_an_image_of_a_pilatus_is_read_without_tifffile() -> None:
    found = decode_plain_tiff(REAL.read_bytes())
    assert found is not None
    assert (found.data.shape, found.data.dtype.kind) == ((1043, 981), "i")
    np.testing.assert_array_equal(found.data, tifffile.imread(REAL))
    # Facts of this file: gaps and dead pixels of the detector.
    assert (np.count_nonzero(found.data == -1), np.count_nonzero(found.data == -2)) == (73533, 138)
    assert "Exposure_time" in found.description


WHOLE = tiff(frame("u2"), description="a text")


@settings(max_examples=600, deadline=None)
@given(
    st.lists(st.tuples(st.integers(0, len(WHOLE) - 1), st.integers(0, 255)), max_size=12), st.integers(0, len(WHOLE))
)
@example([], len(WHOLE))
def test_no_damage_makes_an_error_or_a_frame_that_tifffile_reads_differently(
    damage: list[tuple[int, int]], length: int
) -> None:
    content = bytearray(WHOLE)
    for at, value in damage:
        content[at] = value
    found = decode_plain_tiff(bytes(content[: max(length, len(WHOLE) // 2)]))
    if found is None:
        return
    assert found.data.size > 0
    # It is quick and lenient; what it gives must be a frame of the very bytes of the file.
    assert found.data.tobytes() in bytes(content)


@settings(max_examples=300, deadline=None)
@given(st.binary(max_size=200), st.sampled_from([b"II*\0", b"MM\0*", b"II*\0\x08\0\0\0", b"MM\0*\0\0\0\x08", b""]))
def test_no_bytes_make_another_error_than_that_of_a_wrong_file(rest: bytes, start: bytes) -> None:
    found = decode_plain_tiff(start + rest)
    assert found is None or found.data.ndim == 2
    with pytest.raises(DiptychError):
        if found is None:
            decode_detector_image(start + rest, "x.tif")
        raise DiptychError
