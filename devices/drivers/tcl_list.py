"""Tcl lists, in which DCSS passes arguments: ``a {b c} {}`` are three words.

Source:
    The Tcl manual, n: Tcl (rules 1 to 11), list, SplitList.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Final

from devices.core.errors import BadValueError

_BLANKS: Final = " \t\n\r\v\f"
_BARE: Final = re.compile(r'[^\s{}\[\]$;"\\#]+', re.ASCII)
_NAMED: Final = {"a": "\a", "b": "\b", "f": "\f", "n": "\n", "r": "\r", "t": "\t", "v": "\v"}
_ESCAPE: Final = re.compile(
    r"\\(?:(?P<octal>[0-7]{1,3})|x(?P<x>[0-9a-fA-F]{1,2})|u(?P<u>[0-9a-fA-F]{1,4})|(?P<line>\n[ \t]*)|(?P<one>.)|\Z)",
    re.S,
)
_PLAIN: Final = re.compile(r"[^ \t\n\r\v\f]+")
_LINE: Final = re.compile(r"\\\n[ \t]*")


def split(text: str) -> list[str]:
    """The words of a Tcl list, without their braces, quotes and backslashes.

    Raises:
        BadValueError: a brace or quote is not closed, or something follows directly behind one that is.
    """
    if "{" not in text and "\\" not in text and '"' not in text:
        return _PLAIN.findall(text)
    return _words(text)


def quote(word: str) -> str:
    """A word as it stands in a list: bare, in braces, or with backslashes where braces do not balance."""
    if not word:
        return "{}"
    if _BARE.fullmatch(word):
        return word
    if is_balanced(word):
        return f"{{{word}}}"
    return re.sub(r'([\s{}\[\]$;"\\#])', _backslashed, word, flags=re.ASCII)


def join(words: Iterable[str]) -> str:
    """A list of words; ``split`` gives them back."""
    return " ".join(map(quote, words))


def is_balanced(text: str) -> bool:
    """Whether a text can stand between braces: each brace has its partner, and no backslash is the last character."""
    depth = position = 0
    while position < len(text):
        character = text[position]
        if character == "\\":
            if position + 1 == len(text) or text[position + 1] == "\n":
                return False
            position += 1
        elif character == "{":
            depth += 1
        elif character == "}":
            depth -= 1
            if depth < 0:
                return False
        position += 1
    return depth == 0


def unescape(text: str, position: int) -> tuple[str, int]:
    """What the backslash here stands for, and where the text goes on."""
    found = _ESCAPE.match(text, position)
    assert found is not None, "no backslash there"
    return _unescaped(found), found.end()


def _words(text: str) -> list[str]:
    found: list[str] = []
    position, end = 0, len(text)
    while True:
        while position < end and text[position] in _BLANKS:
            position += 1
        if position == end:
            return found
        first = text[position]
        if first == "{":
            word, position = _braced(text, position + 1)
        elif first == '"':
            word, position = _quoted(text, position + 1)
        else:
            begin = position
            position = _bare_end(text, position)
            found.append(_substituted(text[begin:position]))
            continue
        if position < end and text[position] not in _BLANKS:
            raise BadValueError(f"list = {text!r:.80}: {text[position]!r} follows directly behind {first}...")
        found.append(word)


def _bare_end(text: str, position: int) -> int:
    while position < len(text) and text[position] not in _BLANKS:
        if text[position] == "\\":
            _, position = unescape(text, position)
        else:
            position += 1
    return position


def _braced(text: str, begin: int) -> tuple[str, int]:
    depth, position = 1, begin
    while position < len(text):
        character = text[position]
        if character == "\\":
            position += 1
        elif character == "{":
            depth += 1
        elif character == "}":
            depth -= 1
            if not depth:
                return _LINE.sub(" ", text[begin:position]), position + 1
        position += 1
    raise BadValueError(f"list = {text!r:.80}: a brace is not closed")


def _quoted(text: str, begin: int) -> tuple[str, int]:
    position = begin
    while position < len(text):
        if text[position] == '"':
            return _substituted(text[begin:position]), position + 1
        position += 2 if text[position] == "\\" else 1
    raise BadValueError(f"list = {text!r:.80}: a quote is not closed")


def _substituted(text: str) -> str:
    return _ESCAPE.sub(_unescaped, text) if "\\" in text else text


def _unescaped(found: re.Match[str]) -> str:
    if found["octal"]:
        return chr(int(found["octal"], 8) & 0xFF)
    if found["x"] or found["u"]:
        return chr(int(found["x"] or found["u"], 16))
    if found["line"]:
        return " "
    one: str | None = found["one"]
    return "\\" if one is None else _NAMED.get(one, one)


def _backslashed(found: re.Match[str]) -> str:
    return {"\n": "\\n", "\t": "\\t", "\r": "\\r", "\v": "\\v", "\f": "\\f"}.get(found[0], "\\" + found[0])
