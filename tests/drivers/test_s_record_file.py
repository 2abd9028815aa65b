"""Programs of a DSP in Motorola S-records."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from devices.core.errors import BadValueError, ConfigurationError
from devices.drivers.s_record_file import (
    SRecord,
    SRecordFile,
    format_s_records,
    parse_record,
    parse_s_records,
    read_s_records,
)

#: The well known example of the format: "hello world" of a compiler for the 68000.
HELLO = """\
S00F000068656C6C6F202020202000003C
S11F00007C0802A6900100049421FFF07C6C1B787C8C23783C6000003863000026
S11F001C4BFFFFE5398000007D83637880010014382100107C0803A64E800020E9
S111003848656C6C6F20776F726C642E0A0042
S5030003F9
S9030000FC
"""


def test_the_example_of_the_format_is_read() -> None:
    program = parse_s_records(HELLO)
    assert (program.name, program.start, program.size) == ("hello", 0, 28 + 28 + 14)
    assert [address for address, _ in program.data] == [0x00, 0x1C, 0x38]
    assert program.data[2][1] == b"Hello world.\n\0"


@st.composite
def programs(draw: st.DrawFn) -> tuple[SRecordFile, int]:
    """A program whose parts do not touch, and the type of record that holds its addresses."""
    kind = draw(st.sampled_from((1, 2, 3)))
    parts = draw(st.lists(st.binary(min_size=1, max_size=90), min_size=1, max_size=6))
    gaps = draw(st.lists(st.integers(0, 3000), min_size=len(parts), max_size=len(parts)))
    address, data = 0, []
    for part, gap in zip(parts, gaps, strict=True):
        data.append((address + gap, part))
        address += gap + len(part)
    name = draw(st.text("abcXYZ019_.", max_size=20))
    return SRecordFile(name, tuple(data), draw(st.integers(0, (1 << 8 * (kind + 1)) - 1))), kind


@given(programs(), st.integers(1, 200))
def test_what_was_written_is_read_again_whatever_the_lines_are(given: tuple[SRecordFile, int], width: int) -> None:
    program, kind = given
    again = parse_s_records(format_s_records(program, kind, width))
    assert (again.name, again.start) == (program.name, program.start)
    assert memory(again) == memory(program)


@given(programs(), st.data())
def test_a_digit_that_was_changed_is_always_found(given: tuple[SRecordFile, int], data: st.DataObject) -> None:
    lines = format_s_records(*given).splitlines()
    number = data.draw(st.integers(0, len(lines) - 1))
    place = data.draw(st.integers(2, len(lines[number]) - 1))
    old = lines[number][place]
    new = data.draw(st.sampled_from([each for each in "0123456789ABCDEF" if each != old]))
    lines[number] = lines[number][:place] + new + lines[number][place + 1 :]
    with pytest.raises(ConfigurationError, match=f"line {number + 1}: its (checksum|count) is"):
        parse_s_records("\n".join(lines))


@given(programs(), st.data())
def test_a_file_that_was_cut_is_refused(given: tuple[SRecordFile, int], data: st.DataObject) -> None:
    text = format_s_records(*given).rstrip()
    with pytest.raises(ConfigurationError):
        parse_s_records(text[: data.draw(st.integers(0, len(text) - 1))])


@given(st.text(max_size=60))
def test_any_other_text_is_refused_with_words(text: str) -> None:
    with pytest.raises(ConfigurationError):
        parse_s_records(text)


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        (("S5030003F9", "S5030004F8"), "line 5: there are 3 records with data, not 4"),
        (("S9030000FC\n", ""), "no record that starts the program"),
        (("S9030000FC", "S9030000FC\nS1041000BC2F"), "line 7: S1 stands behind the start"),
        (("S111003848", "S4110038480"), "line 4: 'S4110038480.*' is no S-record"),
        (("S111003848", "S11100 38 48"), "line 4: .* other signs than pairs of hexadecimal digits"),
        (("S111003848656C6C6F20776F726C642E0A0042", "S1050010ABCD72"), "two records have the byte at address 0x10"),
    ],
)
def test_files_that_mean_nothing_are_refused_with_their_lines(changed: tuple[str, str], words: str) -> None:
    with pytest.raises(ConfigurationError, match=words):
        parse_s_records(HELLO.replace(*changed))


def test_all_faults_of_a_file_are_told_at_once() -> None:
    with pytest.raises(ConfigurationError) as raised:
        parse_s_records(HELLO.replace("7C0802", "7C0902").replace("20E9", "20E8"), "gcam.s")
    assert raised.value.subject == "gcam.s"
    assert [each.split(":")[0] for each in raised.value.problems] == ["line 2", "line 3"]


@pytest.mark.parametrize("record", [SRecord(1, 0x1_0000), SRecord(4, 0), SRecord(3, 0, bytes(251)), SRecord(2, -1)])
def test_a_record_that_cannot_be_is_not_written(record: SRecord) -> None:
    with pytest.raises(BadValueError):
        record.line  # noqa: B018 - a property that checks


def test_a_record_takes_as_much_as_its_count_can_say() -> None:
    record = SRecord(3, 0xFFFF_FFFF, bytes(range(250)))
    assert parse_record(record.line) == record


def test_a_file_is_read_with_the_bytes_that_go_to_the_controller(tmp_path: Path) -> None:
    path = tmp_path / "gcam.s"
    path.write_bytes(HELLO.replace("\n", "\r\n").encode("ascii"))
    program, content = read_s_records(path)
    assert (program.name, content) == ("hello", path.read_bytes())
    with pytest.raises(BadValueError, match="cannot be read"):
        read_s_records(tmp_path / "none.s")


def memory(program: SRecordFile) -> dict[int, int]:
    return {address + n: byte for address, part in program.data for n, byte in enumerate(part)}
