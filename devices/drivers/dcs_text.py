"""What may stand in a message to DCSS: characters, lengths, numbers.

DCSS and its clients evaluate messages as Tcl, hold tokens in 80 bytes, and broadcast texts of a thousand bytes at most.
"""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from typing import Final

from devices.core.errors import BadValueError
from devices.drivers import tcl_list

MAX_NAME: Final = 40
#: Of one word: DCSS reads it into 80 bytes, whatever its length.
MAX_WORD: Final = 79
#: Of a whole text with its NUL, byte: the rule of the beamlines.
MAX_TEXT_BYTES: Final = 1024
#: Positions are assembled in 200 bytes.
MAX_NUMBER: Final = 1e12
#: DCSS makes a blank of each of these in what it broadcasts; these say the same to a person.
_SPEAKABLE: Final = str.maketrans({"[": "(", "]": ")", "$": "S", ";": ",", '"': "'"})
_UNSPEAKABLE: Final = re.compile(r"[\x00-\x1f\x7f]")
_ROUND: Final = str.maketrans("{}", "()")
#: Most words: nothing in them to look at.
_PLAIN: Final = re.compile(rf"[A-Za-z0-9_.,:/+=@-]{{1,{MAX_WORD}}}")
_PRIVATE: Final = re.compile(r"PRIVATE\S*")


def speakable(text: str) -> str:
    """A text with the characters that DCSS lets pass: ``[ ] $ ; "`` become ``( ) S , '``, control characters blanks."""
    return _UNSPEAKABLE.sub(" ", text.translate(_SPEAKABLE)).encode("ascii", "replace").decode("ascii")


def word(value: object) -> str:
    """An argument as a Tcl word: numbers as ``%f`` and ``%d``, True and False as 1 and 0, texts quoted.

    Raises:
        BadValueError: a number is not finite or too great, a text longer than `MAX_WORD`.
    """
    if isinstance(value, bool):
        return str(int(value))
    if isinstance(value, int | float):
        return number(value)
    text = str(value)
    if _PLAIN.fullmatch(text):
        return text
    text = speakable(text)
    if len(text) > MAX_WORD:
        raise BadValueError(f"word = {text:.60}... of {len(text)} characters is longer than {MAX_WORD}")
    return tcl_list.quote(text)


def number(value: float) -> str:
    """A number as DCSS writes it, six digits behind the point.

    Raises:
        BadValueError: it is not finite, or not below 1e12.
    """
    if not (math.isfinite(value) and abs(value) < MAX_NUMBER):
        raise BadValueError(f"number = {value} is not between -{MAX_NUMBER:g} and {MAX_NUMBER:g}")
    return f"{value:d}" if isinstance(value, int) else f"{value:f}"


def rest(text: str) -> str:
    """A text that ends a message as it is; where braces do not balance, they become parentheses."""
    found = speakable(text).strip(" ")
    return found if tcl_list.is_balanced(found) else found.translate(_ROUND).rstrip("\\")


def compose(command: str, words: Sequence[object] = (), tail: str = "", *, max_bytes: int = MAX_TEXT_BYTES) -> str:
    """A whole message.

    Args:
        words: each becomes one word of a Tcl list, see `word`.
        tail: follows them, see `rest`.
        max_bytes: of the text with its NUL.
    Raises:
        BadValueError: see `word`; or the whole is longer than ``max_bytes``.
    """
    parts = [command, *map(word, words)]
    if tail:
        parts.append(rest(tail))
    text = " ".join(parts)
    if len(text) >= max_bytes:
        raise BadValueError(f"{text:.60}... of {len(text) + 1} byte is longer than {max_bytes} byte")
    return text


def masked(text: str) -> str:
    """A text for a log or a record: what begins with PRIVATE (session ids) is hidden."""
    return _PRIVATE.sub("PRIVATE...", text) if "PRIVATE" in text else text
