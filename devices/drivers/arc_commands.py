"""The words of ARC controllers: boards, memory spaces, commands and replies of their DSPs."""

from __future__ import annotations

from enum import IntEnum
from typing import Final

#: Words of the DSPs have 24 bits.
LARGEST_WORD: Final = 0xFFFFFF
LARGEST_ADDRESS: Final = 0xFFFF


def word(text: str) -> int:
    """Three letters as one word of 24 bits: DON -> 0x444F4E."""
    return int.from_bytes(text.encode("ascii"), "big")


def letters(value: int) -> str:
    """The letters of a word, or its digits where they are none: 0x444F4E -> DON."""
    data = value.to_bytes(4, "big").lstrip(b"\0")
    return data.decode("ascii") if len(data) >= 3 and data.isalpha() and data.isupper() else f"0x{value:06X}"


class Board(IntEnum):
    """Whom a command is for."""

    PCI = 1
    TIMING = 2
    UTILITY = 3


class Space(IntEnum):
    """Memory of a board: it is added to the address."""

    P = 0x100000
    X = 0x200000
    Y = 0x400000
    R = 0x800000


class Reply(IntEnum):
    """What a board answers."""

    DON = word("DON")
    RDR = word("RDR")
    ERR = word("ERR")
    SYR = word("SYR")
    RDA = word("RDA")
    IIA = word("IIA")
    TOUT = 0x544F5554
    ROUT = 0x524F5554


#: Replies of which no one is the value that was asked for.
FAILURES: Final = {
    Reply.ERR: "the board refused it",
    Reply.TOUT: "the board did not answer the controller server",
    Reply.ROUT: "the board's read-out timed out",
}


class TimingWord(IntEnum):
    """Addresses of the timing board's Y memory; what is read is counted binned, what is skipped is not."""

    CAMSTAT = 0x00
    NSDATA = 0x01
    NPDATA = 0x02
    NSBIN = 0x03
    NPBIN = 0x04
    NSAMPS = 0x05
    NPAMPS = 0x06
    NSCLEAR = 0x07
    NPCLEAR = 0x08
    NSPRESKIP = 0x09
    NSUNDERSCAN = 0x0A
    NSSKIP = 0x0B
    NSPOSTSKIP = 0x0C
    NSOVERSCAN = 0x0D
    NPPRESKIP = 0x0E
    NPUNDERSCAN = 0x0F
    NPSKIP = 0x10
    NPPOSTSKIP = 0x11
    NPOVERSCAN = 0x12
    NPXSHIFT = 0x13
    FRAMET = 0x15
    PREFLASH = 0x16
    NSIMAGE = 0x1B
    NPIMAGE = 0x1C
    LINE_DELAY = 0x20


#: X:0 of the timing board, its STATUS, and X:1 of the utility board of the first generation, its OPTIONS.
STATUS: Final = 0
SYNTHETIC_BIT: Final = 1 << 10
SHUTTER_BIT: Final = 1 << 11
OPTIONS: Final = 1
OPTIONS_SHUTTER_BIT: Final = 1 << 0

#: Y memory of the utility board: three sensors and the set point, counts.
DIODE: Final = 12
CAMERA_TEMPERATURE: Final = 13
DEWAR_TEMPERATURE: Final = 14
SET_POINT: Final = 0x1C

#: What a board knows without a downloaded program.
BOOT_COMMANDS: Final = ("TDL", "RDM", "WRM", "LDA", "RST")

GAINS: Final = (1, 2, 5, 10)
