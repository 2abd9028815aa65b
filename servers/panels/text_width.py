"""How wide a text is in the panels' font, to see before an operator does that a label is cut.

Source:
    Adobe's font metrics of Helvetica, whose widths Liberation Sans has; from space to ``~``,
    in thousandths of the size.
"""

from __future__ import annotations

from typing import Final

WIDTHS: Final = (
    278, 278, 355, 556, 556, 889, 667, 191, 333, 333, 389, 584, 278, 333, 278, 278,
    556, 556, 556, 556, 556, 556, 556, 556, 556, 556, 278, 278, 584, 584, 584, 556,
    1015, 667, 667, 722, 722, 667, 611, 778, 722, 278, 500, 667, 556, 833, 722, 778,
    667, 778, 722, 667, 611, 722, 667, 944, 667, 667, 611, 278, 278, 278, 469, 556,
    333, 556, 556, 500, 556, 556, 278, 556, 556, 222, 222, 500, 222, 833, 556, 556,
    556, 556, 333, 500, 278, 556, 500, 722, 500, 500, 500, 334, 260, 334, 584,
)  # fmt: skip
OTHER: Final = 600  # of any other character
BOLD: Final = 1.08  # how much wider bold letters are, at most, on the average of a word
LINE: Final = 1.15  # line pitch, of the size


def text_width(text: str, size: float, *, is_bold: bool = False) -> float:
    """Width of a text of one line, px.

    Args:
        size: of the font, px.
    """
    thousandths = sum(WIDTHS[ord(letter) - 32] if 32 <= ord(letter) < 127 else OTHER for letter in text)
    return thousandths * size / 1000 * (BOLD if is_bold else 1.0)


def lines_of(text: str, width: float, size: float, *, is_bold: bool = False) -> int:
    """How many lines a text takes when it is wrapped at ``width`` px; a word that does not fit counts as broken."""
    count = 0
    for line in text.split("\n"):
        count, used = count + 1, 0.0
        for word in line.split(" "):
            wide = text_width(word, size, is_bold=is_bold)
            gap = text_width(" ", size, is_bold=is_bold) if used else 0.0
            if used and used + gap + wide > width:
                count, used, gap = count + 1, 0.0, 0.0
            used += gap + wide
            while used > width:
                count, used = count + 1, used - width
    return count
