"""Replies of the text protocol: one line, which clients of azcam split as a POSIX shell does."""

from __future__ import annotations

import json
import shlex
from typing import Any, Final

from devices.core.errors import DiptychError

OK: Final = "OK"
ERROR: Final = "ERROR"
#: What means something to ``shlex.split``.
_SHELL: Final = "'\"\\"


class AzcamError(DiptychError):
    """An error under the name that clients of azcam know."""


def ok(value: Any, *, as_word: bool = False) -> str:
    """The reply to a command that went well.

    Args:
        as_word: an object becomes one word of JSON, for clients that split it.
    """
    text = rendered(value, as_word=as_word)
    return f"{OK} {text}" if text else OK


def rendered(value: Any, *, as_word: bool = False) -> str:
    """A value as azcam writes it: text as it is, items with blanks between them, objects as JSON."""
    if value is None:
        return ""
    if isinstance(value, str):
        return _one_line(value if _is_balanced(value) else shlex_quoted(value))
    if isinstance(value, list | tuple):
        return _one_line(" ".join(map(_item, value)))
    if isinstance(value, dict):
        text = json.dumps(value)
        return "'" + text.replace("'", "\\u0027") + "'" if as_word else text
    return repr(value)


def error(problem: BaseException) -> str:
    """The reply to a command that failed: the class of the error, and its text in quotes that are balanced."""
    text = str(problem)
    quote = '"' if "'" in text and '"' not in text else "'"
    if quote == "'":
        text = text.replace("'", "`")
    return _one_line(f"{ERROR} {type(problem).__name__}({quote}{_plain(text)}{quote})")


def shlex_quoted(text: str) -> str:
    """A text as one word, which ``shlex.split`` gives back as it was."""
    if "'" not in text:
        return f"'{text}'"
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'


def _item(value: Any) -> str:
    if type(value) in (int, float):
        return repr(value)
    text = value if isinstance(value, str) else rendered(value) if isinstance(value, dict) else repr(value)
    if isinstance(value, list | tuple):
        return text
    if not text or any(letter.isspace() or letter in _SHELL for letter in text):
        return shlex_quoted(text)
    return text


def _is_balanced(text: str) -> bool:
    if not any(letter in text for letter in _SHELL):
        return True
    try:
        shlex.split(text)
    except ValueError:
        return False
    return True


def _one_line(text: str) -> str:
    return text.replace("\r", " ").replace("\n", " ") if "\n" in text or "\r" in text else text


def _plain(text: str) -> str:
    # Within double quotes a backslash would take its neighbour along.
    return text.replace("\\", "/")
