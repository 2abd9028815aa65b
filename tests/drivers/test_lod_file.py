"""Programs of Motorola DSPs as .lod files."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from devices.core.errors import BadValueError
from devices.drivers.lod_file import LodBlock, parse_lod, read_lod

WORDS = st.lists(st.integers(0, 0xFFFFFF), min_size=1, max_size=40)
BLOCKS = st.lists(st.builds(LodBlock, st.sampled_from("PXY"), st.integers(0, 0xFFFF), WORDS.map(tuple)), min_size=1)

PCI = """_START PCIBOOT 0000 0000 0000 DSP56300
_DATA P 000000
000005 000100 112233
_DATA P 000101
445566 778899 AABBCC DDEEFF
_END 000100
"""


@given(BLOCKS, st.integers(1, 9), st.integers(4, 6), st.booleans())
def test_every_word_comes_back_at_its_address_however_the_lines_are_broken(
    blocks: list[LodBlock], per_line: int, digits: int, lower: bool
) -> None:
    lines = ["_START PROGRAM 0000 0000 0000 DSP56300", "_COMMENT _DATA is a word, too", ""]
    for block in blocks:
        lines.append(f"_DATA {block.space} {block.address:0{digits}X}")
        words = [f"{each:06X}" for each in block.words]
        lines += [" ".join(words[n : n + per_line]) for n in range(0, len(words), per_line)]
    lines += ["_SYMBOL P", "BEGIN I 000040", "_END 000040"]
    text = "\r\n".join(lines)
    program = parse_lod(text.lower().replace("_data", "_DATA") if lower else text)
    assert program.blocks == tuple(blocks)
    assert program.start == 0x40
    assert sum(1 for _ in program.words()) == sum(len(block.words) for block in blocks)
    space, address, word = list(program.words())[-1]
    last = blocks[-1]
    assert (space, address, word) == (last.space, last.address + len(last.words) - 1, last.words[-1])


@given(st.text(max_size=200))
def test_what_is_no_program_is_refused_and_nothing_else_is_raised(text: str) -> None:
    with pytest.raises(BadValueError):
        parse_lod(text)


@given(st.text("_DATPXYEND0123456789AF \n", max_size=120))
def test_what_looks_like_a_program_is_one_or_is_refused(text: str) -> None:
    try:
        program = parse_lod(text)
    except BadValueError:
        return
    assert all(0 <= word <= 0xFFFFFF for _, _, word in program.words())


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("_DATA P 0040\n12345G\n_END 0040", "line 2: '12345G'"),
        ("_DATA P 0040\n1234567\n_END 0040", "line 2: '1234567'"),
        ("_DATA Q 0040\n123456\n_END 0040", "line 1: '_DATA Q 0040'"),
        ("123456\n_END 0040", "line 1: '123456' comes before"),
        ("_DATA P 0040\n123456\n", "no _END"),
        ("_START P\n_END 0040", "no data"),
    ],
)
def test_what_is_wrong_is_told_with_its_line(text: str, why: str) -> None:
    with pytest.raises(BadValueError, match=why):
        parse_lod(text)


def test_the_boot_image_of_an_interface_board_begins_with_count_and_address() -> None:
    assert parse_lod(PCI).boot_image() == (5, 0x100, 0x112233, 0x445566, 0x778899, 0xAABBCC, 0xDDEEFF)
    with pytest.raises(BadValueError, match="5 words are announced, 4 follow"):
        parse_lod(PCI.replace(" DDEEFF", "")).boot_image()


def test_a_file_that_is_no_program_is_named(tmp_path: Path) -> None:
    path = tmp_path / "tim.lod"
    path.write_text("_START TIM\n")
    with pytest.raises(BadValueError, match=r"tim\.lod: it has no _END"):
        read_lod(path)
    path.write_bytes(b"\xff\xfe_END")
    with pytest.raises(BadValueError, match=r"tim\.lod"):
        read_lod(path)
