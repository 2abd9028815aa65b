"""Programs of Motorola DSPs as text: .lod files, as the Motorola assembler and linker write them."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from devices.core.errors import BadValueError
from devices.drivers.arc_commands import LARGEST_WORD

#: A program of a DSP is some ten thousand words.
LARGEST_FILE = 4 << 20

_HEX = re.compile(r"[0-9A-Fa-f]+")


@dataclass(frozen=True)
class LodBlock:
    """Words at successive addresses of one memory space.

    Attributes:
        space: P, X or Y.
    """

    space: str
    address: int
    words: tuple[int, ...]


@dataclass(frozen=True)
class LodFile:
    """A program.

    Attributes:
        name: of its module. start: where it begins; None: the file does not say.
    """

    name: str
    blocks: tuple[LodBlock, ...]
    start: int | None = None

    def words(self) -> Iterator[tuple[str, int, int]]:
        """Space, address, word of each."""
        for block in self.blocks:
            for offset, value in enumerate(block.words):
                yield block.space, block.address + offset, value

    def boot_image(self) -> tuple[int, ...]:
        """Of an interface board: the number of words, where they go, and the words.

        Raises:
            BadValueError: the first block does not begin with count and address, or the words are not so many.
        """
        if not self.blocks or len(self.blocks[0].words) < 2:
            raise BadValueError(f"{self.name}: it does not begin with the number of words and their address")
        (count, address, *first), rest = self.blocks[0].words, self.blocks[1:]
        pushed = [*first, *(value for block in rest for value in block.words)]
        if len(pushed) != count:
            raise BadValueError(f"{self.name}: {count} words are announced, {len(pushed)} follow")
        return count, address, *pushed


def read_lod(path: Path) -> LodFile:
    """Read a .lod file.

    Raises:
        BadValueError: it is none, or too large. OSError.
    """
    size = path.stat().st_size
    if size > LARGEST_FILE:
        raise BadValueError(f"{path} has {size} bytes, more than {LARGEST_FILE}")
    try:
        return parse_lod(path.read_text(encoding="ascii"))
    except (UnicodeDecodeError, BadValueError) as error:
        raise BadValueError(f"{path}: {error}") from None


def parse_lod(text: str) -> LodFile:
    """Parse the text of a .lod file; symbols and comments are passed over.

    Raises:
        BadValueError: with the number of the line.
    """
    name, start = "", None
    blocks: list[tuple[str, int, list[int]]] = []
    record = ""
    for number, line in enumerate(text.splitlines(), 1):
        words = line.split()
        if not words:
            continue
        if words[0].startswith("_"):
            record = words[0].upper()
            match record, words[1:]:
                case "_START", [first, *_]:
                    name = first
                case "_START", []:
                    pass
                case "_DATA", [space, address] if space.upper() in ("P", "X", "Y"):
                    blocks.append((space.upper(), _number(address, 0xFFFFFF, number), []))
                case "_END", [address, *_]:
                    start = _number(address, 0xFFFFFF, number)
                case "_END", []:
                    pass
                case (("_SYMBOL" | "_COMMENT"), _):
                    pass
                case _:
                    raise BadValueError(f"line {number}: {line.strip()[:60]!r} is no record of a .lod file")
            if record == "_END":
                break
        elif record == "_DATA":
            blocks[-1][2].extend(_number(each, LARGEST_WORD, number) for each in words)
        elif record == "":
            raise BadValueError(f"line {number}: {line.strip()[:60]!r} comes before any record")
    if record != "_END":
        raise BadValueError("it has no _END: a part of it is missing")
    if not any(words for _, _, words in blocks):
        raise BadValueError("it has no data")
    return LodFile(name, tuple(LodBlock(space, address, tuple(words)) for space, address, words in blocks), start)


def _number(text: str, largest: int, line: int) -> int:
    if not _HEX.fullmatch(text) or int(text, 16) > largest:
        raise BadValueError(f"line {line}: {text[:20]!r} is no hexadecimal number up to {largest:X}")
    return int(text, 16)
