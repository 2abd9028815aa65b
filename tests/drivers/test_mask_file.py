"""Masks: Fit2D files written and read by us and by fabio, and images used as masks."""

import struct
from pathlib import Path

import fabio
import numpy as np
import pytest
import tifffile
from fabio.cbfimage import CbfImage
from fabio.fit2dmaskimage import Fit2dMaskImage
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as npst

from devices.core.errors import BadValueError, ProtocolError
from devices.drivers.detector_image import read_detector_image
from devices.drivers.mask_file import decode_mask, encode_fit2d_mask, read_mask

REAL_DATA = Path(__file__).resolve().parents[3] / "shared" / "data" / "saxs"


def corner_mask(rows: int, columns: int) -> np.ndarray:
    """An L in the top left corner and one pixel near the bottom right: no symmetry hides a flip."""
    mask = np.zeros((rows, columns), np.bool_)
    mask[0, :5] = True
    mask[:3, 0] = True
    mask[rows - 2, columns - 1] = True
    return mask


SHAPES = [(11, 37), (11, 32), (7, 64), (5, 33), (13, 31), (4, 8)]


@pytest.mark.parametrize("shape", SHAPES)
def test_a_fit2d_mask_keeps_every_pixel(shape: tuple[int, int], tmp_path: Path) -> None:
    mask = corner_mask(*shape)
    path = tmp_path / "mask.msk"
    path.write_bytes(encode_fit2d_mask(mask))
    np.testing.assert_array_equal(read_mask(path), mask)
    assert path.stat().st_size == 1024 + shape[0] * 4 * -(-shape[1] // 32)


@pytest.mark.parametrize("shape", SHAPES)
def test_fabio_reads_our_masks_and_we_read_its(shape: tuple[int, int], tmp_path: Path) -> None:
    """fabio keeps the order of the file, bottom row first."""
    mask = corner_mask(*shape)
    ours, theirs = tmp_path / "ours.msk", tmp_path / "theirs.msk"
    ours.write_bytes(encode_fit2d_mask(mask))
    np.testing.assert_array_equal(fabio.open(str(ours)).data[::-1] != 0, mask)
    Fit2dMaskImage(data=mask[::-1].astype(np.uint8)).write(str(theirs))
    np.testing.assert_array_equal(read_mask(theirs), mask)


def test_the_bottom_row_comes_first_and_the_lowest_bit_is_the_left_pixel() -> None:
    header = struct.pack("<4i2i", 0x4D, 0x41, 0x53, 0x4B, 35, 2).ljust(1024, b"\0")
    bottom, top = struct.pack("<2I", 0b101, 0b100), struct.pack("<2I", 1 << 31, 0b010)
    mask = decode_mask(header + bottom + top, "mask.msk")
    assert mask.shape == (2, 35)
    assert np.argwhere(mask).tolist() == [[0, 31], [0, 33], [1, 0], [1, 2], [1, 34]]


@settings(deadline=None)
@given(npst.arrays(np.bool_, npst.array_shapes(min_dims=2, max_dims=2, max_side=70)))
def test_any_mask_survives_writing_and_reading(mask: np.ndarray) -> None:
    np.testing.assert_array_equal(decode_mask(encode_fit2d_mask(mask), "mask.msk"), mask)


def test_in_an_image_whatever_is_not_zero_is_masked(tmp_path: Path) -> None:
    mask = corner_mask(11, 37)
    values = np.where(mask, np.int32(-1), np.int32(0))
    values[0, 0] = 255
    tifffile.imwrite(tmp_path / "mask.tif", values)
    CbfImage(data=values).write(str(tmp_path / "mask.cbf"))
    for name in ("mask.tif", "mask.cbf"):
        np.testing.assert_array_equal(read_mask(tmp_path / name), mask)
        np.testing.assert_array_equal(decode_mask((tmp_path / name).read_bytes(), name), mask)


def test_a_truncated_mask_is_named_with_its_reason() -> None:
    data = encode_fit2d_mask(corner_mask(11, 37))
    for length, reason in ((20, "20 of 1024 bytes"), (1023, "1023 of 1024 bytes"), (len(data) - 1, "87 of 88 bytes")):
        with pytest.raises(ProtocolError, match=rf"cut\.msk: truncated Fit2D mask: {reason}"):
            decode_mask(data[:length], "cut.msk")


@pytest.mark.parametrize(("columns", "rows"), [(0, 5), (-4, 5), (2**31 - 1, 2**31 - 1)])
def test_a_mask_of_impossible_size_is_refused(columns: int, rows: int) -> None:
    data = struct.pack("<4i2i", 0x4D, 0x41, 0x53, 0x4B, columns, rows).ljust(2048, b"\0")
    with pytest.raises(ProtocolError, match=f"{rows} x {columns} px"):
        decode_mask(data, "mask.msk")


def test_a_missing_mask_and_a_foreign_one_are_told_apart(tmp_path: Path) -> None:
    with pytest.raises(BadValueError, match=r"none\.msk cannot be read: No such file"):
        read_mask(tmp_path / "none.msk")
    (tmp_path / "notes.msk").write_text("the beam stop is at 400, 300")
    with pytest.raises(ProtocolError, match=r"notes\.msk: not a TIFF, CBF or EDF image"):
        read_mask(tmp_path / "notes.msk")


def test_only_frames_become_masks() -> None:
    with pytest.raises(BadValueError, match=r"\(37,\)"):
        encode_fit2d_mask(np.zeros(37))


@settings(deadline=None)
@given(st.sampled_from([b"", b"M\0\0\0A\0\0\0S\0\0\0K\0\0\0"]), st.binary(max_size=1300))
def test_random_bytes_give_a_mask_or_a_clear_error(start: bytes, rest: bytes) -> None:
    try:
        assert decode_mask(start + rest, "some.msk").dtype == np.bool_
    except ProtocolError as error:
        assert str(error).startswith("some.msk: ")


@pytest.mark.skipif(not REAL_DATA.is_dir(), reason=f"the real mask is not at {REAL_DATA}")
def test_the_real_mask_covers_every_pixel_that_does_not_count() -> None:
    mask = read_mask(REAL_DATA / "AAA_integ.msk")
    assert mask.shape == (1043, 981)
    assert mask.sum() == 356_788
    assert (read_detector_image(REAL_DATA / "agbeh2_1M.tif").data[~mask] >= 0).all()
