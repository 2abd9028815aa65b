"""Motorola S-records (``.s``): the text in which the program of a DSP is kept, each line with its own checksum."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from devices.core.errors import BadValueError, ConfigurationError
from devices.drivers.limited_file import read_limited

#: Type -> bytes of its address. S0 names the program, S5 and S6 count the records with data, S7 to S9 start it.
ADDRESS_BYTES: Final = {0: 2, 1: 2, 2: 3, 3: 4, 5: 2, 6: 3, 7: 4, 8: 3, 9: 2}
DATA_TYPES: Final = (1, 2, 3)
#: Type of the data -> type of the record that starts the program, with an address of the same width.
START_OF: Final = {1: 9, 2: 8, 3: 7}
#: A program of a DSP has some thousand words, bytes.
LARGEST_FILE: Final = 8_000_000
#: The number of bytes of a record is one byte itself.
MOST_BYTES: Final = 255
#: Faults that are told of one file; the rest says nothing new.
MOST_PROBLEMS: Final = 20


@dataclass(frozen=True)
class SRecord:
    """One line.

    Attributes:
        type: of `ADDRESS_BYTES`. address: of S5 and S6 the number of records.
    """

    type: int
    address: int
    data: bytes = b""

    @property
    def line(self) -> str:
        """As it stands in a file.

        Raises:
            BadValueError: an unknown type, an address or data that do not fit into it.
        """
        width = ADDRESS_BYTES.get(self.type)
        if width is None:
            raise BadValueError(f"S{self.type} is no type of S-record")
        count = width + len(self.data) + 1
        if count > MOST_BYTES or not 0 <= self.address < 1 << 8 * width:
            raise BadValueError(f"S{self.type} holds no {len(self.data)} bytes at address 0x{self.address:X}")
        body = bytes([count]) + self.address.to_bytes(width, "big") + self.data
        return f"S{self.type}{(body + bytes([checksum(body)])).hex().upper()}"


@dataclass(frozen=True)
class SRecordFile:
    """A program.

    Attributes:
        name: of S0, "" when there is none.
        data: address -> bytes, one entry for each record, in their order.
        start: where the program begins.
    """

    name: str
    data: tuple[tuple[int, bytes], ...]
    start: int

    @property
    def size(self) -> int:
        """Of the program, bytes."""
        return sum(len(each) for _, each in self.data)


def checksum(body: bytes) -> int:
    """Of count, address and data: the complement of the lowest byte of their sum."""
    return ~sum(body) & 0xFF


def parse_record(line: str) -> SRecord:
    """One line, blanks around it allowed.

    Raises:
        BadValueError: it is no S-record, or its count or its checksum is not that of its bytes.
    """
    text = line.strip()
    if len(text) < 4 or text[0] not in "Ss" or not text[1].isdecimal() or int(text[1]) not in ADDRESS_BYTES:
        raise BadValueError(f"{text[:40]!r} is no S-record")
    try:
        # fromhex alone would take blanks between the digits.
        body = bytes.fromhex(text[2:]) if text[2:].isalnum() else None
    except ValueError:
        body = None
    if body is None:
        raise BadValueError(f"{text[:40]!r} has other signs than pairs of hexadecimal digits")
    kind = int(text[1])
    width = ADDRESS_BYTES[kind]
    if body[0] != len(body) - 1 or len(body) < width + 2:
        raise BadValueError(f"its count is {body[0]}, it has {len(body) - 1} bytes after it")
    if body[-1] != checksum(body[:-1]):
        raise BadValueError(f"its checksum is {body[-1]:02X}, that of its bytes {checksum(body[:-1]):02X}")
    return SRecord(kind, int.from_bytes(body[1 : 1 + width], "big"), body[1 + width : -1])


def parse_s_records(text: str, name: str = "S-records") -> SRecordFile:
    """A whole file.

    Args:
        name: of the file, for errors.

    Raises:
        ConfigurationError: lines that are no records, checksums, a number of records that is not the one it was
            written with, no data, no start, anything behind it, two records for one address: all of them, with lines.
    """
    problems: list[str] = []
    title, start = "", None
    data: list[tuple[int, bytes]] = []
    for number, line in enumerate(text.splitlines(), 1):
        if not line.strip():
            continue
        try:
            record = parse_record(line)
        except BadValueError as error:
            problems.append(f"line {number}: {error}")
            continue
        if start is not None:
            problems.append(f"line {number}: S{record.type} stands behind the start of the program")
        elif record.type == 0:
            title = record.data.rstrip(b"\0").decode("latin-1").strip()
        elif record.type in DATA_TYPES:
            data.append((record.address, record.data))
        elif record.type in (5, 6) and record.address != len(data) and not problems:
            problems.append(f"line {number}: there are {len(data)} records with data, not {record.address}")
        elif record.type in START_OF.values():
            start = record.address
    if not data and not problems:
        problems.append("there is no record with data")
    if start is None and not problems:
        problems.append("there is no record that starts the program (S7, S8, S9); the file may have been cut")
    problems += _overlaps(data)
    if problems or start is None:
        told = problems[:MOST_PROBLEMS]
        if len(problems) > len(told):
            told.append(f"and {len(problems) - len(told)} more")
        raise ConfigurationError(name, told)
    return SRecordFile(title, tuple(data), start)


def read_s_records(path: Path) -> tuple[SRecordFile, bytes]:
    """A file and its bytes, which are what goes to the controller.

    Raises:
        BadValueError: it cannot be read. ConfigurationError: as `parse_s_records`.
    """
    content = read_limited(path, LARGEST_FILE)
    return parse_s_records(content.decode("latin-1"), str(path)), content


def format_s_records(program: SRecordFile, type: int = 3, bytes_of_line: int = 32) -> str:
    """A file of a program: S0, its data in records of 1, 2 or 3, and the start that belongs to them.

    Raises:
        BadValueError: an address that does not fit into the type.
    """
    records = [SRecord(0, 0, program.name.encode("latin-1"))]
    records += [SRecord(type, *part) for part in _parts(program.data, bytes_of_line)]
    records.append(SRecord(START_OF[type], program.start))
    return "".join(f"{each.line}\n" for each in records)


def _parts(data: Iterable[tuple[int, bytes]], most: int) -> Iterator[tuple[int, bytes]]:
    for address, content in data:
        for first in range(0, len(content), most):
            yield address + first, content[first : first + most]


def _overlaps(data: list[tuple[int, bytes]]) -> list[str]:
    """Two records for one address mean two programs in one file."""
    found, end = [], 0
    for address, content in sorted(data):
        if content and address < end:
            found.append(f"two records have the byte at address 0x{address:X}")
        end = max(end, address + len(content))
    return found
