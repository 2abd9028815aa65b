"""A request of the text protocol as words: ``exposure.expose 2 flat title="a flat"``."""

from __future__ import annotations

import re
from typing import Final, NamedTuple

from devices.core.errors import BadValueError

#: Whoever has none of these in a line gets its words by splitting at blanks.
_SPECIAL: Final = re.compile(r"""['"#=]""")
_NAME: Final = re.compile(r"([A-Za-z_]\w*)=")
#: What a quote begins goes on to the next blank outside quotes, so that the quoting of POSIX shells is understood.
_QUOTED: Final = re.compile(r"""(?:'[^']*'|"[^"]*"|[^\s'"]+)+""")
_PART: Final = re.compile(r"""'([^']*)'|"([^"]*)"|([^\s'"]+)""")
_BARE: Final = re.compile(r"\S*")


class Word(NamedTuple):
    """One word without its quotes.

    Attributes:
        name: what stands before its first =, when that is a name; "" for none.
        text: what stands behind it, or all of it.
    """

    text: str
    name: str = ""

    @property
    def whole(self) -> str:
        """The word as if = meant nothing."""
        return f"{self.name}={self.text}" if self.name else self.text


def split_words(line: str) -> list[Word]:
    """The words of a line.

    Blanks separate; quotes of both kinds protect, at the begin of a word and behind NAME=; an apostrophe within a word
    is a letter; a # that begins a word begins a comment; a backslash is a letter.

    Raises:
        BadValueError: a quote is not closed.
    """
    if _SPECIAL.search(line) is None:
        return [Word(text) for text in line.split()]
    found: list[Word] = []
    place = 0
    while True:
        while place < len(line) and line[place].isspace():
            place += 1
        if place == len(line) or line[place] == "#":
            return found
        name = ""
        if match := _NAME.match(line, place):
            name, place = match[1], match.end()
        if line.startswith(("'", '"'), place):
            quoted = _QUOTED.match(line, place)
            if quoted is None or not (quoted.end() == len(line) or line[quoted.end()].isspace()):
                raise BadValueError("No closing quotation")
            text = "".join(part[1] or part[2] or part[3] or "" for part in _PART.finditer(quoted[0]))
            place = quoted.end()
        else:
            bare = _BARE.match(line, place)
            assert bare is not None
            text, place = bare[0], bare.end()
        found.append(Word(text, name))
