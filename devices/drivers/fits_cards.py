"""FITS headers: keywords as cards of 80 characters, and the checksum of a header and its data.

FITS Standard 4.0 (2018): sections 4.2 (values), 4.2.1.2 (long texts), 4.4.2.7 and appendix J (checksums); keywords of
more than 8 characters by the HIERARCH convention.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable

import numpy as np

from devices.core.errors import BadValueError
from devices.pipelines.ccd.ccd_image import Card, Value

BLOCK = 2880
_KEYWORD = re.compile(r"[A-Z0-9_-]{1,8}")
_LONG_KEYWORD = re.compile(r"[A-Z0-9_-][A-Z0-9_ -]{0,60}[A-Z0-9_-]")
_NO_CHECKSUM = "0" * 16
_NO_DATASUM = "?" * 10


def header(cards: Iterable[Card]) -> bytes:
    """A header with END, filled up to whole blocks.

    Raises:
        BadValueError: a keyword that FITS cannot hold.
    """
    content = "".join(line for card in (*cards, Card("END", "")) for line in card_lines(card)).encode("ascii")
    return content.ljust(-(-len(content) // BLOCK) * BLOCK)


def unsigned_header(cards: Iterable[Card]) -> bytes:
    """A header with room for the sums of the data, which `signed` puts in."""
    return header(
        [
            *cards,
            Card("DATASUM", _NO_DATASUM, "sum of the data"),
            Card("CHECKSUM", _NO_CHECKSUM, "of this header and its data"),
        ]
    )


def signed(unsigned: bytes, data_sum: int) -> bytes:
    """A header with DATASUM and CHECKSUM; `data_sum` is the 32-bit sum of the data."""
    begin, _, end = unsigned.rpartition(_NO_DATASUM.encode())
    content = begin + f"{data_sum:010d}".encode() + end
    begin, _, end = content.rpartition(_NO_CHECKSUM.encode())
    return begin + encoded_checksum(ones_sum(content, data_sum)).encode() + end


def card_lines(card: Card) -> list[str]:
    """The lines of 80 characters of one keyword.

    What FITS has no way to say is said as well as it can: a number that is not finite is a keyword without a value, a
    character that is not printable ASCII a question mark. A comment that does not fit is cut, a text never.
    """
    keyword, value, comment = card.keyword.strip().upper(), card.value, _ascii(card.comment)
    if keyword in ("COMMENT", "HISTORY", "END"):
        text = _ascii(str(value))
        return [f"{keyword:<8}{text[at : at + 72]}".ljust(80) for at in range(0, len(text) or 1, 72)]
    is_long = not _KEYWORD.fullmatch(keyword)
    if is_long and not _LONG_KEYWORD.fullmatch(keyword):
        raise BadValueError(f"keyword {card.keyword!r} is not one of FITS: capitals, digits, - and _")
    begin = f"HIERARCH {keyword} = " if is_long else f"{keyword:<8}= "
    if isinstance(value, str):
        return _text_lines(begin, _ascii(value), comment, is_long)
    body = _number(value)
    if not is_long:
        body = body.rjust(20)
    if len(begin) + len(body) > 80:
        raise BadValueError(f"keyword {keyword} has no room for its value {value}")
    return [_with_comment(begin + body, comment)]


def encoded_checksum(total: int) -> str:
    """The 16 characters that make the sum of a header, with 16 characters 0 in their place, to -0."""
    complement = 0xFFFFFFFF - total
    columns = []
    for byte in complement.to_bytes(4, "big"):
        quarter, rest = divmod(byte, 4)
        four = [quarter + 48 + (rest if n == 0 else 0) for n in range(4)]
        while any(58 <= each <= 64 or 91 <= each <= 96 for each in four):
            for n in (0, 2):
                if any(58 <= each <= 64 or 91 <= each <= 96 for each in four[n : n + 2]):
                    four[n] += 1
                    four[n + 1] -= 1
        columns.append(four)
    text = "".join(chr(columns[byte][n]) for n in range(4) for byte in range(4))
    return text[-1] + text[:-1]


def ones_sum(content: bytes, total: int = 0) -> int:
    """The 32-bit sum in ones' complement of big-endian words."""
    return folded(total + int(np.frombuffer(content, ">u4").sum(dtype=np.uint64)))


def folded(total: int) -> int:
    """A sum with its carries brought round to 32 bits."""
    while total > 0xFFFFFFFF:
        total = (total & 0xFFFFFFFF) + (total >> 32)
    return total


def _text_lines(begin: str, text: str, comment: str, is_long: bool) -> list[str]:
    quoted = text.replace("'", "''")
    if len(begin) + len(quoted) + 2 <= 80:
        return [_with_comment(f"{begin}'{quoted:<8}'" if not is_long else f"{begin}'{quoted}'", comment)]
    if is_long:
        raise BadValueError(f"{begin.strip(' =')} has no room for a text of {len(text)} characters")
    # 67 characters and an & on each line; a doubled quote is not torn.
    pieces = []
    while len(quoted) > 67:
        cut = 67
        while quoted[:cut].count("'") % 2:
            cut -= 1
        pieces.append(quoted[:cut] + "&")
        quoted = quoted[cut:]
    pieces.append(quoted)
    starts = [begin, *["CONTINUE  "] * (len(pieces) - 1)]
    lines = [f"{start}'{piece}'" for start, piece in zip(starts, pieces, strict=True)]
    return [*(line.ljust(80) for line in lines[:-1]), _with_comment(lines[-1], comment)]


def _number(value: Value) -> str:
    if isinstance(value, (bool, np.bool_)):
        return "T" if value else "F"
    if isinstance(value, (int, np.integer)):
        return str(int(value))
    number = float(value)
    if not math.isfinite(number):
        return ""
    mantissa, exponent, power = repr(number).upper().partition("E")
    return f"{mantissa if '.' in mantissa else mantissa + '.0'}{exponent}{power}"


def _with_comment(line: str, comment: str) -> str:
    return (f"{line.ljust(30)} / {comment}" if comment else line)[:80].ljust(80)


def _ascii(text: str) -> str:
    if text.isascii() and text.isprintable():
        return text
    return "".join(each if " " <= each <= "~" else "?" for each in text)
