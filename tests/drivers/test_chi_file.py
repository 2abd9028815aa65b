"""Text files of curves: every byte as existing readers want it."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from devices.core.errors import BadValueError, ProtocolError
from devices.drivers.chi_file import HEADER_LINES, encode_radial, encode_slice, read_chi, write_whole

X, INTENSITY, SIGMA = np.array([0.5, 1.0, -0.25]), np.array([3.0, np.nan, 1e22]), np.array([1.0, np.nan, 1 / 3])
#: 19 digits, each row after a blank, NaN as nan; the last line is a blank alone.
COLUMNS = (
    b" 5.000000000000000000e-01 3.000000000000000000e+00 1.000000000000000000e+00\n"
    b" 1.000000000000000000e+00 nan nan\n"
    b" -2.500000000000000000e-01 1.000000000000000000e+22 3.333333333333333148e-01\n "
)


def test_a_curve_against_q_is_written_byte_for_byte() -> None:
    found = encode_radial(
        '{"Title": "100 % silver"}', {"I0": 1.5, "I1": 2.0, "I2": float("nan")}, ("q", "I", "e"), X, INTENSITY, SIGMA
    )
    assert found == b'{"Title": "100 % silver"}\n{"I0": 1.5, "I1": 2.0, "I2": NaN}\n["q", "I", "e"]\n   3\n' + COLUMNS


def test_a_curve_without_integral_parameters_has_none_in_its_header() -> None:
    found = encode_radial("{}", None, ("phi", "I", "e"), X, INTENSITY, SIGMA)
    assert found == b'{}\n{}\n["phi", "I", "e"]\n   3\n' + COLUMNS


def test_a_slice_is_written_byte_for_byte() -> None:
    found = encode_slice('{"Direction": "x"}', ("q", "I", "e"), X, INTENSITY, SIGMA)
    assert found == b'{"Direction": "x"}\n["q", "I", "e"]\nIntensity\n   3\n' + COLUMNS


def test_the_numbers_are_those_of_numpys_savetxt(tmp_path: Path) -> None:
    np.savetxt(tmp_path / "by-numpy", np.column_stack([X, INTENSITY, SIGMA]), newline="\n ")
    assert (tmp_path / "by-numpy").read_bytes() == COLUMNS.removeprefix(b" ")


values = st.lists(st.floats(width=64), min_size=1, max_size=20)


@given(values, st.randoms())
def test_what_is_written_is_read_to_the_last_bit(
    tmp_path_factory: pytest.TempPathFactory, x: list[float], r: object
) -> None:
    path = tmp_path_factory.getbasetemp() / "any.chi"
    columns = np.array(x), np.array(x[::-1]), np.array(x) * 3.0
    path.write_bytes(encode_slice("{}", ("a", "b", "c"), *columns))
    head, found = read_chi(path)
    assert head == ["{}", '["a", "b", "c"]', "Intensity", f"   {len(x)}"]
    np.testing.assert_array_equal(found, columns)


def test_files_of_two_columns_are_read_too(tmp_path: Path) -> None:
    path = tmp_path / "fit2d.chi"
    path.write_text("image.tif\nq\nI\n       2\n  1.0E-01  7.5\n  2.0E-01  8.5\n")
    head, found = read_chi(path)
    assert head[0] == "image.tif" and len(head) == HEADER_LINES
    np.testing.assert_array_equal(found, [[0.1, 0.2], [7.5, 8.5]])


@pytest.mark.parametrize(
    "text", ["", "a\nb\nc\n", "a\nb\nc\nd\n", "a\nb\nc\nd\n1\n2\n", "a\nb\nc\nd\n1 2\n3\n", "a\nb\nc\nd\n1 x\n"]
)
def test_other_files_are_refused(tmp_path: Path, text: str) -> None:
    path = tmp_path / "a.chi"
    path.write_text(text)
    with pytest.raises(ProtocolError, match=r"a\.chi"):
        read_chi(path)
    with pytest.raises(BadValueError):
        read_chi(tmp_path / "missing.chi")


def test_a_file_appears_whole_and_nothing_is_left_of_one_that_fails(tmp_path: Path) -> None:
    path = tmp_path / "a.chi"
    write_whole(path, b"one")
    write_whole(path, b"two")
    assert path.read_bytes() == b"two"
    assert os.listdir(tmp_path) == ["a.chi"]
    (tmp_path / "in the way").mkdir()
    with pytest.raises(BadValueError, match=r"in the way cannot be written: Is a directory"):
        write_whole(tmp_path / "in the way", b"three")
    with pytest.raises(BadValueError, match="No such file or directory"):
        write_whole(tmp_path / "gone" / "a.chi", b"four")
    assert sorted(os.listdir(tmp_path)) == ["a.chi", "in the way"]
