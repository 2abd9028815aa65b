"""Arguments of remote methods: texts of the socket, or values of JSON and Python, as what the devices take."""

from __future__ import annotations

import ast
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from devices.core.errors import BadValueError, RangeError
from servers.azcam.words import Word

#: Text or value -> value; errors name the argument, which is the second one.
Converter = Callable[[Any, str], Any]
#: What clients of azcam send for nothing.
_NOTHING: Final = frozenset({"", "none"})
_FLAGS: Final = {
    "1": True,
    "true": True,
    "yes": True,
    "on": True,
    "0": False,
    "false": False,
    "no": False,
    "off": False,
}


def text(value: Any, name: str) -> str:
    """A text as it is."""
    if isinstance(value, list | dict):
        raise BadValueError(f"{name} = {value!r:.80} is not a text")
    return str(value)


def text_or_nothing(value: Any, name: str) -> str:
    """A text; None in any spelling is an empty one."""
    return "" if value is None or str(value).strip().casefold() in _NOTHING else text(value, name)


def number(value: Any, name: str) -> float:
    """A number."""
    try:
        return float(value)
    except (TypeError, ValueError, OverflowError):
        raise BadValueError(f"{name} = {value!r:.80} is not a number") from None


def number_or_nothing(value: Any, name: str) -> float | None:
    """A number, or nothing at all."""
    return None if value is None or str(value).strip().casefold() in _NOTHING else number(value, name)


def whole(value: Any, name: str) -> int:
    """A whole number; 2.0 is one."""
    if isinstance(value, str) and value.strip().lstrip("+-").isdecimal():
        try:
            return int(value)
        except ValueError:  # +-1, or thousands of digits
            raise BadValueError(f"{name} = {value:.80} is not a whole number") from None
    found = number(value, name)
    if not found.is_integer():
        raise BadValueError(f"{name} = {value} is not a whole number")
    return int(found)


def flag(value: Any, name: str) -> bool:
    """Yes or no, by words or numbers."""
    try:
        return _FLAGS[str(int(value) if isinstance(value, float) else value).strip().casefold()]
    except (KeyError, ValueError):
        raise BadValueError(f"{name} = {value!r:.80} is neither 0 nor 1") from None


def only_one(value: Any, name: str) -> None:
    """The number of a filter, a sensor, a focus: there is one of each."""
    if whole(value, name) not in (-1, 0):
        raise RangeError(f"{name} = {value} is outside [0, 0]: there is one only")


def anything(value: Any, name: str) -> Any:
    """What it looks like: a number or a text."""
    if not isinstance(value, str):
        return value
    for kind in (int, float):
        try:
            return kind(value)
        except ValueError:
            continue
    return value


def literal(value: Any, name: str) -> Any:
    """A list or an object, also as text of JSON or Python."""
    if not isinstance(value, str):
        return value
    for parse in (json.loads, ast.literal_eval):
        try:
            return parse(value)
        except (ValueError, SyntaxError, RecursionError, MemoryError):
            continue
    raise BadValueError(f"{name} = {value!r:.80} is neither a list nor an object")


def items(kind: Converter) -> Converter:
    """Several values: a list, its text, or several words."""

    def convert(value: Any, name: str) -> list[Any]:
        if isinstance(value, str) and value.lstrip().startswith(("[", "(")):
            value = literal(value, name)
        elif isinstance(value, str):
            value = value.replace(",", " ").split()
        found: list[Any] = []
        for each in value if isinstance(value, list | tuple) else [value]:
            # One word of several may be a list by itself: [[1, 1], [2, 1]] is positions, too.
            nested = isinstance(each, list | tuple) or (isinstance(each, str) and each.startswith(("[", "(")))
            found += convert(each, name) if nested else [kind(each, name)]
        return found

    return convert


def mapping(value: Any, name: str) -> str:
    """An object, as JSON."""
    found = literal(value, name)
    if not isinstance(found, dict):
        raise BadValueError(f"{name} = {value!r:.80} is not an object")
    return json.dumps(found)


@dataclass(frozen=True)
class Argument:
    """One argument of a method.

    Attributes:
        name: as azcam calls it; ``others`` are understood as well.
        target: as the device calls it; "": the same.
        rest: it takes all words that are left.
    """

    name: str
    kind: Converter = text
    default: Any = None
    required: bool = False
    target: str = ""
    others: tuple[str, ...] = ()
    rest: bool = False

    @property
    def key(self) -> str:
        return self.target or self.name


class Arguments:
    """All arguments of a method."""

    def __init__(self, arguments: Sequence[Argument]) -> None:
        self.all = tuple(arguments)
        self.names = {name: each for each in arguments for name in (each.name, each.key, *each.others)}
        # Most methods have no arguments and need not be looked at twice.
        self._defaults = {
            each.key: each.default for each in arguments if not each.required and each.default is not None
        }
        self._required = tuple(each for each in arguments if each.required)

    def from_words(self, words: Sequence[Word]) -> dict[str, Any]:
        """What a line of the socket says; NAME=VALUE with another name than an argument's is a value with an = in it.

        Raises:
            BadValueError, RangeError: too many, too few, twice, or of another type.
        """
        if not words and not self._required:
            return dict(self._defaults)
        if not any(word.name for word in words):
            return self.bind([word.text for word in words], {})
        named = {word.name: word.text for word in words if word.name in self.names}
        return self.bind([word.whole for word in words if word.name not in self.names], named)

    def bind(self, given: Sequence[Any], named: Mapping[str, Any]) -> dict[str, Any]:
        """Values by the device's names.

        Raises:
            BadValueError, RangeError: too many, too few, twice, unknown, or of another type.
        """
        values: dict[str, Any] = {}
        rest = list(given)
        for each in self.all:
            if not rest:
                break
            taken: Any = rest.pop(0)
            if each.rest and rest:
                several = [taken, *rest]
                taken, rest = (" ".join(map(str, several)) if each.kind in (text, text_or_nothing) else several), []
            values[each.key] = each.kind(taken, each.name)
        if rest:
            raise BadValueError(f"{len(given)} arguments are given, at most {len(self.all)} are expected")
        for name, value in named.items():
            argument = self.names.get(name)
            if argument is None:
                raise BadValueError(f"there is no argument {name}; there are {', '.join(a.name for a in self.all)}")
            if argument.key in values:
                raise BadValueError(f"{argument.name} is given twice")
            values[argument.key] = argument.kind(value, argument.name)
        missing = [each.name for each in self._required if each.key not in values]
        if missing:
            raise BadValueError(f"{', '.join(missing)} is missing")
        if not self._defaults and None not in values.values():
            return values
        # Nothing is what was left out: the device's own default holds.
        return {**self._defaults, **{key: value for key, value in values.items() if value is not None}}
