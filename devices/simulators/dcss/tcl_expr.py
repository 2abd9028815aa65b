"""Expressions of Tcl: numbers, texts, variables, commands, operators, some functions."""

from __future__ import annotations

import math
import operator
import re
from collections.abc import Awaitable, Callable
from typing import Final

from devices.core.errors import DiptychError
from devices.simulators.dcss.tcl_parse import bracket_end, name_end, word_end

Value = int | float | str
_NUMBER: Final = re.compile(r"[-+]?(?:0[xX][0-9a-fA-F]+|(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][-+]?[0-9]+)?)")
_TOKEN: Final = re.compile(
    r"\s*(?:(?P<number>[0-9.][0-9a-zA-Z.]*(?:(?<=[eE])[-+][0-9]+)?)|(?P<name>[a-zA-Z_]+)|(?P<sign>\|\||&&|==|!=|<=|>=|[-+*/%<>!(),?:]))"
)
#: From loose to tight.
_LEVELS: Final = (("||",), ("&&",), ("==", "!=", "eq", "ne"), ("<", ">", "<=", ">="), ("+", "-"), ("*", "/", "%"))
_FUNCTIONS: Final[dict[str, Callable[..., Value]]] = {
    "abs": abs,
    "int": lambda value: int(value),
    "round": lambda value: math.floor(value + 0.5),
    "double": float,
    "sqrt": math.sqrt,
    "sin": math.sin,
    "cos": math.cos,
    "min": min,
    "max": max,
}
_COMPARE: Final[dict[str, Callable[[object, object], object]]] = {
    "==": operator.eq,
    "!=": operator.ne,
    "<": operator.lt,  # type: ignore[dict-item]
    ">": operator.gt,  # type: ignore[dict-item]
    "<=": operator.le,  # type: ignore[dict-item]
    ">=": operator.ge,  # type: ignore[dict-item]
}


class ExprError(DiptychError, ValueError):
    """An expression is wrong."""


class Expression:
    """One expression.

    Args:
        substitute: replaces variables and commands.
    """

    def __init__(self, text: str, substitute: Callable[[str], Awaitable[str]]) -> None:
        self._text, self._substitute, self._position = text, substitute, 0

    async def value(self) -> str:
        """What it gives, as a text: ``1``, ``0.5``, ``abc``.

        Raises:
            ExprError: it is none.
        """
        found = await self._level(0)
        if self._text[self._position :].strip():
            raise ExprError(f"syntax error in expression {self._text!r:.80}")
        return spelled(found)

    async def _level(self, level: int) -> Value:
        if level == len(_LEVELS):
            return await self._operand()
        left = await self._level(level + 1)
        while (sign := self._peek()) in _LEVELS[level]:
            self._next()
            left = _apply(sign, left, await self._level(level + 1))
        return left

    async def _operand(self) -> Value:
        text = self._text
        while text[self._position : self._position + 1].isspace():
            self._position += 1
        first = text[self._position : self._position + 1]
        if first in ('"', "{", "$", "["):
            return await self._replaced(first)
        symbol = self._next()
        if symbol in ("-", "+", "!"):
            operand = await self._operand()
            if symbol == "!":
                return int(not _truth(operand))
            return -_number(operand) if symbol == "-" else _number(operand)
        if symbol == "(":
            found = await self._level(0)
            self._expect(")")
            return found
        if symbol in _FUNCTIONS:
            self._expect("(")
            arguments = [_number(await self._level(0))]
            while self._peek() == ",":
                self._next()
                arguments.append(_number(await self._level(0)))
            self._expect(")")
            return _FUNCTIONS[symbol](*arguments)
        if symbol in ("true", "yes", "on", "false", "no", "off"):
            return int(symbol in ("true", "yes", "on"))
        return _number(symbol)

    async def _replaced(self, first: str) -> Value:
        begin = self._position
        if first == "$":
            end = name_end(self._text, begin)
        elif first == "[":
            end = bracket_end(self._text, begin) + 1
        else:
            end = word_end(self._text, begin)
        self._position = end
        word = self._text[begin:end]
        if first == "{":
            return word[1:-1]
        return guessed(await self._substitute(word[1:-1] if first == '"' else word))

    def _peek(self) -> str:
        found = _TOKEN.match(self._text, self._position)
        return found[0].strip() if found else ""

    def _next(self) -> str:
        found = _TOKEN.match(self._text, self._position)
        if found is None:
            raise ExprError(f"syntax error in expression {self._text!r:.80}")
        self._position = found.end()
        return found[0].strip()

    def _expect(self, sign: str) -> None:
        if self._next() != sign:
            raise ExprError(f"{sign} is missing in expression {self._text!r:.80}")


def guessed(text: str) -> Value:
    """A number where a text looks like one."""
    if _NUMBER.fullmatch(text.strip()):
        return _number(text)
    return text


def spelled(value: Value) -> str:
    """A value as a text."""
    return str(int(value)) if isinstance(value, bool) else repr(value) if isinstance(value, float) else str(value)


def _apply(sign: str, left: Value, right: Value) -> Value:
    if sign == "||":
        return int(_truth(left) or _truth(right))
    if sign == "&&":
        return int(_truth(left) and _truth(right))
    if sign in ("eq", "ne"):
        return int((spelled(left) == spelled(right)) == (sign == "eq"))
    if sign in _COMPARE:
        if isinstance(left, str) or isinstance(right, str):
            left, right = spelled(left), spelled(right)
        return int(bool(_COMPARE[sign](left, right)))
    first, second = _number(left), _number(right)
    if sign in "/%" and second == 0:
        raise ExprError("divide by zero")
    if sign == "/":
        return first // second if isinstance(first, int) and isinstance(second, int) else first / second
    results: dict[str, Callable[[], Value]] = {
        "+": lambda: first + second,
        "-": lambda: first - second,
        "*": lambda: first * second,
        "%": lambda: first % second,
    }
    return results[sign]()


def _number(value: Value) -> int | float:
    if not isinstance(value, str):
        return value
    try:
        return (
            int(value.strip(), 0) if not set(value) & set(".eE") or value.strip()[:2] in ("0x", "0X") else float(value)
        )
    except ValueError:
        try:
            return float(value)
        except ValueError:
            raise ExprError(f"expected number but got {value!r:.40}") from None


def _truth(value: Value) -> bool:
    return (
        bool(_number(value))
        if not isinstance(value, str) or guessed(value) != value
        else value in ("true", "yes", "on")
    )
