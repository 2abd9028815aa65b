"""Formulas of alarm rules: ``CRYO1:TemperatureA > 90 and CRYO1:ControlOn == "On"``.

A parser of its own, as a PV name is no name of any language, and nothing of a rule file is ever executed.
"""

from __future__ import annotations

import math
import operator
import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Final, NamedTuple

from devices.core.errors import BadValueError

MAX_LENGTH: Final = 2000  # characters
MAX_DEPTH: Final = 40

Value = float | str | bool


class Seen(NamedTuple):
    """What is known of a PV: a number or a text; ``label`` is what an enumeration calls it."""

    value: float | str
    label: str | None = None
    severity: int = 0
    is_connected: bool = True


class UnknownInputError(BadValueError):
    """A formula cannot be judged now: a PV has no value, or one that does not suit it."""


Inputs = Mapping[str, Seen]
Node = Callable[[Inputs], Value]

_TOKEN = re.compile(
    r"""\s*(?:
      (?P<number>(?:\d+\.\d*|\.?\d+)(?:[eE][+-]?\d+)?(?![\w:.]))
    | (?P<text>"[^"]*"|'[^']*')
    | `(?P<quoted>[^`]+)`
    | (?P<name>[A-Za-z][A-Za-z0-9_]*(?:[:.][A-Za-z0-9_]+)*)
    | (?P<sign><=|>=|==|!=|[-+*/<>(),])
    )""",
    re.VERBOSE,
)
_COMPARISONS: Final[dict[str, Callable[[Value, Value], bool]]] = {
    "<": operator.lt, "<=": operator.le, ">": operator.gt, ">=": operator.ge, "==": operator.eq, "!=": operator.ne,
}  # fmt: skip
_CALCULATIONS: Final[dict[str, Callable[[float, float], float]]] = {
    "+": operator.add, "-": operator.sub, "*": operator.mul, "/": lambda above, below: _divided(above, below),
}  # fmt: skip
_WORDS: Final = ("and", "or", "not", "true", "false")
_NUMERIC: Final[dict[str, Callable[..., float]]] = {"abs": abs, "min": min, "max": max}


@dataclass(frozen=True)
class Formula:
    """A formula that was understood.

    Attributes:
        names: the PVs, and the Tango attributes (in backquotes), that it needs.
    """

    text: str
    names: frozenset[str]
    _node: Node = field(repr=False, compare=False)

    def is_true(self, inputs: Inputs) -> bool:
        """Judge it.

        Raises:
            UnknownInputError: a value is missing, or does not suit.
        """
        return _truth(self._node(inputs), self.text)

    def value(self, inputs: Inputs) -> Value:
        return self._node(inputs)


def parse(text: str) -> Formula:
    """Understand a formula.

    Raises:
        BadValueError: it is no formula; says where.
    """
    return _Parser(text).formula()


class _Token(NamedTuple):
    kind: str
    text: str
    at: int


class _Parser:
    """Recursive descent: or, and, not, comparison, sum, product, sign, atom."""

    def __init__(self, text: str) -> None:
        if len(text) > MAX_LENGTH:
            raise BadValueError(f"a formula has at most {MAX_LENGTH} characters, not {len(text)}")
        self._text = text
        self._tokens = list(_tokens(text))
        self._next = 0
        self._depth = 0
        self._names: set[str] = set()

    def formula(self) -> Formula:
        node = self._either()
        if self._peek().kind != "end":
            raise self._wrong("the end")
        if not self._names:
            raise BadValueError(f"{self._text!r}: no PV stands in it from character 1 on: it would never change")
        return Formula(self._text, frozenset(self._names), node)

    def _either(self) -> Node:
        parts = [self._both()]
        while self._takes("name", "or"):
            parts.append(self._both())
        if len(parts) == 1:
            return parts[0]
        return lambda inputs: any(_truth(part(inputs), self._text) for part in parts)

    def _both(self) -> Node:
        parts = [self._negation()]
        while self._takes("name", "and"):
            parts.append(self._negation())
        if len(parts) == 1:
            return parts[0]
        return lambda inputs: all(_truth(part(inputs), self._text) for part in parts)

    def _negation(self) -> Node:
        count = 0
        while self._takes("name", "not"):
            count += 1
        node = self._comparison()
        return node if not count else lambda inputs: _truth(node(inputs), self._text) == (count % 2 == 0)

    def _comparison(self) -> Node:
        left = self._sum()
        token = self._peek()
        compare = _COMPARISONS.get(token.text) if token.kind == "sign" else None
        if compare is None:
            return left
        self._next += 1
        right = self._sum()
        following = self._peek()
        if following.kind == "sign" and following.text in _COMPARISONS:
            raise self._wrong("'and' between two comparisons")
        return lambda inputs: _compared(compare, token.text, left(inputs), right(inputs))

    def _sum(self) -> Node:
        return self._chain("+-", self._product)

    def _product(self) -> Node:
        return self._chain("*/", self._signed)

    def _chain(self, signs: str, operand: Callable[[], Node]) -> Node:
        """Operands from left to right; judged in a loop, as a long sum must not nest as deep as it is long."""
        first, others = operand(), []
        while (sign := self._peek()).kind == "sign" and sign.text in signs:
            self._next += 1
            others.append((_CALCULATIONS[sign.text], operand()))
        if not others:
            return first

        def calculated(inputs: Inputs) -> float:
            total = _number(first(inputs))
            for calculate, other in others:
                total = calculate(total, _number(other(inputs)))
            return total

        return calculated

    def _signed(self) -> Node:
        is_negative = False
        while (sign := self._peek()).kind == "sign" and sign.text in "+-":
            self._next += 1
            is_negative ^= sign.text == "-"
        node = self._atom()
        return (lambda inputs: -_number(node(inputs))) if is_negative else node

    def _atom(self) -> Node:
        token = self._peek()
        self._next += 1
        if token.kind == "number":
            number = float(token.text)
            return lambda inputs: number
        if token.kind == "text":
            words = token.text[1:-1]
            return lambda inputs: words
        if token.kind == "quoted":
            return self._input(token.text)
        if token.kind == "name" and token.text in ("true", "false"):
            return lambda inputs: token.text == "true"
        if token.kind == "name" and token.text not in _WORDS:
            if not self._takes("sign", "("):
                return self._pv(token)
            with self._deeper(token):
                return self._call(token)
        if token.kind == "sign" and token.text == "(":
            with self._deeper(token):
                node = self._either()
            self._demand(")")
            return node
        self._next -= 1
        raise self._wrong("a number, a PV or '('")

    def _pv(self, token: _Token) -> Node:
        if ":" not in token.text:
            self._next -= 1
            raise self._wrong("a PV, which has a colon")
        return self._input(token.text)

    def _input(self, name: str) -> Node:
        self._names.add(name)
        return lambda inputs: _known(inputs, name)

    def _call(self, token: _Token) -> Node:
        if token.text in ("severity", "connected"):
            named = self._peek()
            self._next += 1
            if named.kind not in ("quoted", "name") or (named.kind == "name" and ":" not in named.text):
                self._next -= 1
                raise self._wrong("the name of a PV")
            self._demand(")")
            self._names.add(named.text)
            if token.text == "connected":
                return lambda inputs: (seen := inputs.get(named.text)) is not None and seen.is_connected
            return lambda inputs: float(_seen(inputs, named.text).severity)
        function = _NUMERIC.get(token.text)
        if function is None:
            self._next -= 2
            raise self._wrong(f"one of {', '.join((*_NUMERIC, 'severity', 'connected'))}")
        arguments = [self._sum()]
        while self._takes("sign", ","):
            arguments.append(self._sum())
        self._demand(")")
        if (token.text == "abs") != (len(arguments) == 1):
            wanted = "one value" if token.text == "abs" else "several values"
            raise BadValueError(f"{self._text!r}: {token.text} at character {token.at + 1} has {wanted}")
        return lambda inputs: function(*[_number(argument(inputs)) for argument in arguments])

    @contextmanager
    def _deeper(self, token: _Token) -> Iterator[None]:
        self._depth += 1
        if self._depth > MAX_DEPTH:
            raise BadValueError(f"{self._text[:60]!r}...: more than {MAX_DEPTH} deep at character {token.at + 1}")
        yield
        self._depth -= 1

    def _peek(self) -> _Token:
        return self._tokens[self._next]

    def _takes(self, kind: str, text: str) -> bool:
        token = self._peek()
        if (token.kind, token.text) != (kind, text):
            return False
        self._next += 1
        return True

    def _demand(self, sign: str) -> None:
        if not self._takes("sign", sign):
            raise self._wrong(repr(sign))

    def _wrong(self, wanted: str) -> BadValueError:
        token = self._peek()
        found = "it ends" if token.kind == "end" else f"{token.text!r} stands"
        return BadValueError(f"{self._text!r}: {found} at character {token.at + 1}, where {wanted} is wanted")


def _tokens(text: str) -> Iterator[_Token]:
    at = 0
    while text[at:].strip():
        match = _TOKEN.match(text, at)
        if match is None or match.lastgroup is None:
            start = at + len(text[at:]) - len(text[at:].lstrip())
            raise BadValueError(f"{text!r}: {text[start]!r} at character {start + 1} has no meaning here")
        yield _Token(match.lastgroup, match[match.lastgroup], match.start(match.lastgroup))
        at = match.end()
    yield _Token("end", "", len(text))


def _seen(inputs: Inputs, name: str) -> Seen:
    seen = inputs.get(name)
    if seen is None:
        raise UnknownInputError(f"{name} has not been seen yet")
    if not seen.is_connected:
        raise UnknownInputError(f"{name} is not connected")
    return seen


class _Label(str):
    """The label of an enumeration, which also is a number."""

    __slots__ = ("number",)

    def __new__(cls, label: str, number: float) -> _Label:
        made = super().__new__(cls, label)
        made.number = number
        return made

    number: float


def _known(inputs: Inputs, name: str) -> Value:
    seen = _seen(inputs, name)
    if seen.label is not None and not isinstance(seen.value, str):
        return _Label(seen.label, seen.value)
    if isinstance(seen.value, float) and math.isnan(seen.value):
        raise UnknownInputError(f"{name} has no value")
    return seen.value


def _number(value: Value) -> float:
    if isinstance(value, _Label):
        return value.number
    if isinstance(value, str):
        raise UnknownInputError(f"{value!r} is a text where a number is wanted")
    if math.isnan(value):
        raise UnknownInputError("a calculation gives no number")
    return float(value)


def _truth(value: Value, text: str) -> bool:
    if isinstance(value, bool):
        return value
    if isinstance(value, str) and not isinstance(value, _Label):
        raise UnknownInputError(f"{text!r} gives the text {value!r}, which is neither true nor false")
    return _number(value) != 0.0


def _compared(compare: Callable[[Value, Value], bool], sign: str, left: Value, right: Value) -> bool:
    texts = isinstance(left, str), isinstance(right, str)
    if all(texts):
        if sign not in ("==", "!="):
            raise UnknownInputError(f"{left!r} {sign} {right!r}: texts can only be equal or not")
        return compare(str(left), str(right))
    return compare(_number(left), _number(right))


def _divided(above: float, below: float) -> float:
    if below == 0.0:
        raise UnknownInputError(f"{above:g} is divided by 0")
    return above / below
