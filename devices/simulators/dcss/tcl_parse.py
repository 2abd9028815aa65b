"""Where commands, words, braces and names of a Tcl script begin and end.

Source:
    The Tcl manual, n: Tcl (rules 1 to 12).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from devices.core.errors import BadValueError, DiptychError
from devices.drivers import tcl_list

_NAME: Final = frozenset("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_")


class TclError(DiptychError):
    """A script failed; the text is what ``catch`` gives."""


class Leave(Exception):
    """``break``, ``continue``, ``return``: ends loops and procedures."""

    def __init__(self, how: str, value: str = "") -> None:
        super().__init__(how)
        self.how, self.value = how, value


@dataclass(frozen=True)
class Word:
    """A word of a command as it stands; in braces it is literal."""

    text: str
    is_literal: bool


def parse(script: str) -> list[list[Word]]:
    """The commands of a script, each a list of words; comments are left out."""
    commands: list[list[Word]] = []
    words: list[Word] = []
    position, end = 0, len(script)
    while position < end:
        character = script[position]
        if script.startswith("\\\n", position):
            position += 2
        elif character in " \t\r":
            position += 1
        elif character in "\n;":
            if words:
                commands.append(words)
            words = []
            position += 1
        elif character == "#" and not words:
            while position < end and script[position] != "\n":
                position += 2 if script[position] == "\\" else 1
        else:
            last = word_end(script, position)
            text = script[position:last]
            is_braced = text[0] == "{"
            words.append(Word(text[1:-1] if text[0] in '{"' else text, is_braced))
            position = last
    return [*commands, words] if words else commands


def word_end(text: str, position: int) -> int:
    """Where a word ends that begins here."""
    if text[position] == "{":
        return brace_end(text, position) + 1
    quoted = text[position] == '"'
    position += quoted
    while position < len(text):
        character = text[position]
        if character == "\\":
            position += 1
        elif character == "[":
            position = bracket_end(text, position)
        elif quoted and character == '"':
            return position + 1
        elif not quoted and character in " \t\r\n;":
            return position
        position += 1
    if quoted:
        raise TclError('missing "')
    return min(position, len(text))


def brace_end(text: str, position: int) -> int:
    """Where the brace is that closes the one here."""
    depth = 0
    while position < len(text):
        character = text[position]
        if character == "\\":
            position += 1
        elif character == "{":
            depth += 1
        elif character == "}":
            depth -= 1
            if not depth:
                return position
        position += 1
    raise TclError("missing close-brace")


def bracket_end(text: str, position: int) -> int:
    """Where the bracket is that closes the one here."""
    position += 1
    while position < len(text):
        character = text[position]
        if character == "]":
            return position
        if character == "\\":
            position += 1
        elif character == "[":
            position = bracket_end(text, position)
        elif character == "{":
            position = brace_end(text, position)
        position += 1
    raise TclError("missing close-bracket")


def name_end(text: str, position: int) -> int:
    """Where the name of a variable ends, ``$name``, ``${name}`` or ``$name(index)``; position + 1: it is none."""
    end = position + 1
    if text[end : end + 1] == "{":
        return brace_end(text, end) + 1
    while end < len(text) and text[end] in _NAME:
        end += 1
    if end > position + 1 and text[end : end + 1] == "(" and ")" in text[end:]:
        end = text.index(")", end) + 1
    return end


def split(text: str) -> list[str]:
    """The words of a list.

    Raises:
        TclError: it is none.
    """
    try:
        return tcl_list.split(text)
    except BadValueError as error:
        raise TclError(str(error)) from None
