"""The header of a tool: keywords that it, a client or a template file gave."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Final

from devices.core.errors import BadValueError, UnknownNameError

Value = str | int | float | bool

#: The order of the tools' groups in the primary header.
GROUPS: Final = (
    "system", "exposure", "controller", "instrument", "telescope", "tempcon", "display", "focalplane",
)  # fmt: skip
#: A keyword of the standard, or longer ones that need the HIERARCH convention.
KEYWORD = re.compile(r"[A-Z0-9_-]{1,8}|[A-Z0-9_-][A-Z0-9_ -]{0,38}[A-Z0-9_-]")
#: What describes the data themselves, which only the writer knows.
RESERVED = re.compile(
    r"SIMPLE|XTENSION|BITPIX|NAXIS\d*|EXTEND|PCOUNT|GCOUNT|END|CONTINUE|HIERARCH|BZERO|BSCALE|CHECKSUM|DATASUM"
)


@dataclass(frozen=True)
class Entry:
    """A keyword's value, and the comment behind it."""

    value: Value
    comment: str = ""


class Header:
    """The keywords of one tool; those that a client or a file gave stay until they are deleted."""

    def __init__(self) -> None:
        self._own: dict[str, Entry] = {}
        self._given: dict[str, Entry] = {}
        self.comments: list[str] = []

    def __iter__(self) -> Iterator[tuple[str, Entry]]:
        """All keywords by the alphabet; what was given hides what the tool says itself."""
        return iter(sorted({**self._own, **self._given}.items()))

    def __len__(self) -> int:
        return len({**self._own, **self._given})

    def show(self, entries: Mapping[str, Entry | tuple[Value, str]]) -> None:
        """What the tool itself says now, in the place of what it said before."""
        self._own = {
            name: checked(name, *(entry if isinstance(entry, tuple) else (entry.value, entry.comment)))
            for name, entry in entries.items()
        }

    def set(self, keyword: str, value: Value, comment: str = "") -> None:
        """Give a keyword.

        Raises:
            BadValueError: FITS takes no such keyword or value, or it belongs to the data.
        """
        name = keyword.strip().upper()
        self._given[name] = checked(name, value, comment)

    def get(self, keyword: str) -> Entry:
        """A keyword.

        Raises:
            UnknownNameError: there is none.
        """
        name = keyword.strip().upper()
        try:
            return self._given[name] if name in self._given else self._own[name]
        except KeyError:
            raise UnknownNameError(f"keyword {name} is not in this header") from None

    def delete(self, keyword: str) -> None:
        """Take a keyword away that was given; one of the tool itself comes again with its next update.

        Raises:
            UnknownNameError: there is none.
        """
        name = keyword.strip().upper()
        self.get(name)
        self._given.pop(name, None)
        self._own.pop(name, None)

    def clear(self) -> None:
        """Forget everything that was given."""
        self._given.clear()
        self.comments.clear()

    def read(self, lines: Iterable[str]) -> None:
        """Take the keywords of a template: ``KEY value / comment``, ``COMMENT text``, and # for remarks.

        Raises:
            BadValueError: a line cannot be taken; all such are told, and nothing is changed.
        """
        given: dict[str, Entry] = {}
        comments, problems = [], []
        for number, line in enumerate(lines, 1):
            text = line.strip()
            if not text or text.startswith("#"):
                continue
            keyword, _, rest = text.partition(" ")
            if keyword.upper() in ("COMMENT", "HISTORY"):
                comments.append(rest.strip())
                continue
            try:
                name = keyword.rstrip("=").upper()
                given[name] = checked(name, *template_value(rest.lstrip("= ")))
            except BadValueError as error:
                problems.append(f"line {number}: {error}")
        if problems:
            raise BadValueError("; ".join(problems))
        self._given |= given
        self.comments += [text for text in comments if text not in self.comments]


def template_value(text: str) -> tuple[Value, str]:
    """The value and the comment of ``value / comment``; a text may stand in quotes."""
    text = text.strip()
    if quoted := re.match(r"""'((?:[^']|'')*)'|"([^"]*)\"""", text):
        inside = quoted[2] if quoted[1] is None else quoted[1].replace("''", "'")
        return inside.rstrip(), text[quoted.end() :].strip().removeprefix("/").strip()
    value, _, comment = text.partition(" /")
    return typed(value), comment.strip()


def typed(text: str, kind: str = "") -> Value:
    """A value out of a text: what it looks like, or of the kind that was asked for (str, int, float, bool).

    Raises:
        BadValueError: it is not of that kind, or there is no such kind.
    """
    text = text.strip()
    kind = kind.strip().casefold()
    if kind in ("str", "string"):
        return text
    try:
        if kind in ("bool", "logical") or (not kind and text in ("T", "F")):
            return {"T": True, "F": False, "TRUE": True, "FALSE": False}[text.upper()]
        if kind in ("int", "integer") or (not kind and re.fullmatch(r"[+-]?\d+", text)):
            return int(text)
        if kind == "float" or (not kind and re.fullmatch(r"[+-]?(\d+\.\d*|\.?\d+)([eE][+-]?\d+)?", text)):
            return float(text)
    except (KeyError, ValueError):
        raise BadValueError(f"{text!r} is not of the type {kind}") from None
    if kind:
        raise BadValueError(f"type = {kind!r} is none of str, int, float, bool")
    return text


def checked(keyword: str, value: Value, comment: str = "") -> Entry:
    """A keyword that FITS can hold.

    Raises:
        BadValueError: it cannot.
    """
    if not KEYWORD.fullmatch(keyword):
        raise BadValueError(f"keyword {keyword!r} is not one of FITS: capitals, digits, - and _, at most 40 of them")
    if RESERVED.fullmatch(keyword):
        raise BadValueError(f"keyword {keyword} belongs to the data; it cannot be given")
    if isinstance(value, float) and not math.isfinite(value):
        raise BadValueError(f"{keyword} = {value} is not a number")
    for what, text in (("value", value), ("comment", comment)):
        if isinstance(text, str) and not all(" " <= each <= "~" for each in text):
            raise BadValueError(f"the {what} of {keyword} = {text!r} is not printable ASCII")
        # HIERARCH keywords have no continuation lines.
        if isinstance(text, str) and len(text) > (2000 if len(keyword) <= 8 else 60 - len(keyword)):
            raise BadValueError(f"the {what} of {keyword} has {len(text)} characters, too many")
    return Entry(value, comment)
