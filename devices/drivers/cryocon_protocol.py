"""The text of the Cryo-con protocol: what an answer says, how a value is written, how questions share a line.

Source:
    Cryogenic Control Systems, *Model 24C User's Manual*, Remote Programming Guide.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import Enum, StrEnum
from typing import Generic, Protocol, TypeVar

from devices.core.errors import BadValueError, InvalidReadingError, ProtocolError, RangeError, RefusedError

T = TypeVar("T")
E = TypeVar("E", bound=StrEnum)

MESSAGE_LIMIT = 255
"""The longest line the instrument takes, in characters."""

NAME_LIMIT = 15
"""The longest string the instrument keeps, in characters."""


class Why(Enum):
    """Why an answer holds no value."""

    OUT_OF_RANGE = "the reading is outside the calibration curve of the sensor"
    SENSOR_FAULT = "sensor fault: open, shorted or not connected"
    NOT_APPLICABLE = "not applicable to this sensor or loop"
    REFUSED = "refused by the instrument (NACK)"
    MALFORMED = "an answer that the protocol does not know"


@dataclass(frozen=True, slots=True)
class Answer(Generic[T]):
    """What the instrument answered to one question: a value, or why there is none.

    Attributes:
        name: the question, e.g. ``INPut A:TEMPerature``.
        value: the value, None when ``why_not`` says why there is none.
        text: the answer as it came.
    """

    name: str
    value: T | None
    why_not: Why | None
    text: str

    @property
    def valid(self) -> bool:
        return self.why_not is None

    def __str__(self) -> str:
        return f"{self.name} = {self.text!r}: {self.why_not.value if self.why_not else 'valid'}"

    def get(self) -> T:
        """The value.

        Raises:
            InvalidReadingError: the sensor or the loop has none at present.
            RefusedError: the instrument answered NACK.
            ProtocolError: the answer is not of the expected form.
        """
        if self.why_not is None:
            return self.value  # type: ignore[return-value]  # T may itself be optional
        error = {Why.REFUSED: RefusedError, Why.MALFORMED: ProtocolError}.get(self.why_not, InvalidReadingError)
        raise error(str(self))


Parse = Callable[[str], T | Why]
"""From the text of one answer, stripped and not NACK, to its value or to why it has none."""

Format = Callable[[str, T], str]
"""From the name of a setting and a value to the text of the value; raises RangeError or BadValueError."""


@dataclass(frozen=True, slots=True)
class Codec(Generic[T]):
    """How one kind of value is read from an answer and written into a command."""

    parse: Parse[T]
    format: Format[T]


_NUMBER = re.compile(r"([-+]?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?)\s*(?:[A-Za-z%]{0,5})")


def answer(name: str, text: str, parse: Parse[T]) -> Answer[T]:
    """Judge the text of one answer."""
    text = text.strip()
    result = Why.REFUSED if is_nack(text) else parse(text)
    if isinstance(result, Why):
        return Answer(name, None, result, text)
    return Answer(name, result, None, text)


def is_nack(text: str) -> bool:
    """Whether an answer says that the instrument did not take the question or command."""
    return text.strip().upper() == "NACK"


def parse_number(text: str) -> float | Why:
    """A number, its unit letters taken off; dots and dashes are known by their shape, for their length varies."""
    if len(text) > 1 and not text.strip("."):
        return Why.OUT_OF_RANGE
    if len(text) > 1 and not text.strip("-"):
        return Why.SENSOR_FAULT
    if text.upper() == "N/A":
        return Why.NOT_APPLICABLE
    match = _NUMBER.fullmatch(text)
    value = float(match[1]) if match else math.nan
    return value if math.isfinite(value) else Why.MALFORMED


def number(low: float = -math.inf, high: float = math.inf, unit: str = "") -> Codec[float]:
    """A number within bounds."""

    def write(name: str, value: float) -> str:
        if not low <= value <= high or math.isinf(value):
            raise RangeError(f"{name} = {value:g} {unit} is outside [{low:g}, {high:g}] {unit}".replace("  ", " "))
        return f"{value:.9g}"

    return Codec(parse_number, write)


def integer(values: Sequence[int]) -> Codec[int]:
    """One of some whole numbers."""

    def read(text: str) -> int | Why:
        value = parse_number(text)
        if isinstance(value, Why):
            return value
        return int(value) if value.is_integer() else Why.MALFORMED

    def write(name: str, value: int) -> str:
        if value not in values:
            allowed = f"[{values[0]}, {values[-1]}]" if isinstance(values, range) else ", ".join(map(str, values))
            raise RangeError(f"{name} = {value} is outside {allowed}")
        return str(int(value))

    return Codec(read, write)


def choice(labels: type[E]) -> Codec[E]:
    """One label of an enumeration; the instrument may answer it in any case and spell it longer."""

    def read(text: str) -> E | Why:
        spelled = text.upper()
        if spelled == "N/A":
            return Why.NOT_APPLICABLE
        for label in labels:
            if label.value == spelled:
                return label
        longer = [label for label in labels if len(label.value) > 1 and spelled.startswith(label.value)]
        return max(longer, key=lambda label: len(label.value)) if longer else Why.MALFORMED

    def write(name: str, value: E) -> str:
        try:
            return labels(value.upper()).value
        except ValueError:
            raise BadValueError(f"{name} = {value!r} is none of {', '.join(labels)}") from None

    return Codec(read, write)


def switch(on: str = "ON", off: str = "OFF") -> Codec[bool]:
    """Yes or no, spelled as the instrument spells it."""

    def read(text: str) -> bool | Why:
        values: dict[str, bool | Why] = {on: True, off: False, "N/A": Why.NOT_APPLICABLE}
        return values.get(text.upper(), Why.MALFORMED)

    return Codec(read, lambda name, value: on if value else off)


def string(limit: int = NAME_LIMIT) -> Codec[str]:
    """A quoted string of printable ASCII without quotes and without the separator ``;``."""

    def write(name: str, value: str) -> str:
        if len(value) > limit:
            raise RangeError(f"{name} = {value!r} has {len(value)} characters, more than {limit}")
        if not (value.isascii() and value.isprintable()) or set(value) & set('";'):
            raise BadValueError(f"{name} = {value!r} is not printable ASCII without quotes and semicolons")
        return f'"{value}"'

    return Codec(lambda text: text.strip('"').strip(), write)


def _write_word(name: str, value: str) -> str:
    if not (value.isascii() and value.isalnum() and len(value) <= NAME_LIMIT):
        raise BadValueError(f"{name} = {value!r} is not one word of at most {NAME_LIMIT} ASCII letters and digits")
    return value


def _stamp(pattern: str) -> Codec[datetime]:
    """A date or a time of day, quoted, in the form of ``strftime``."""

    def read(text: str) -> datetime | Why:
        try:
            return datetime.strptime(text.strip('"'), pattern)
        except ValueError:
            return Why.MALFORMED

    return Codec(read, lambda name, value: value.strftime(f'"{pattern}"'))


word: Codec[str] = Codec(lambda text: text.strip('"'), _write_word)
"""A word without quotes, such as the type of a sensor."""

calendar_date = _stamp("%m/%d/%Y")
"""The date of the instrument's calendar; the time of day within it is ignored."""

time_of_day = _stamp("%H:%M:%S")
"""The time of the instrument's clock; the date within it is ignored."""


def plain_text(text: str) -> str:
    """An answer that is its own meaning."""
    return text


def short(keyword: str) -> str:
    """The abbreviation of a keyword path: its capitals, digits and punctuation."""
    return "".join(letter for letter in keyword if not letter.islower())


def split_answers(line: str) -> list[str]:
    """The answers of a compound reply; a semicolon within quotes separates nothing."""
    quoted = line.count('"') % 2 == 0
    parts = re.findall(r'(?:^|;)((?:"[^"]*"|[^;"])*)', line) if quoted else line.split(";")
    return [part.strip() for part in parts]


class Askable(Protocol):
    """A question: the subsystem it belongs to and what is asked there, both abbreviated."""

    @property
    def subsystem(self) -> str: ...
    @property
    def text(self) -> str: ...


A = TypeVar("A", bound=Askable)


def pack(questions: Iterable[A], limit: int = MESSAGE_LIMIT) -> list[tuple[str, list[A]]]:
    """Join questions, in order, into as few lines as possible, each with the questions it answers.

    ``;`` goes on in the same subsystem and ``;:`` changes to another. Below a second level (``ALARm:HIGHest``) the two
    meanings of ``;`` that parsers have differ, so such a question is always spelled from the root.
    """
    lines: list[tuple[str, list[A]]] = []
    line, asked, subsystem = "", list[A](), ""
    for question in questions:
        nested = ":" in question.text or ":" in question.subsystem
        whole = f"{question.subsystem}:{question.text}" if question.subsystem else question.text
        more = question.text if question.subsystem and question.subsystem == subsystem else f":{whole}"
        if asked and len(line) + 1 + len(more) > limit:
            lines.append((line, asked))
            line, asked = "", []
        line = f"{line};{more}" if asked else whole
        asked.append(question)
        subsystem = "" if nested else question.subsystem
    return [*lines, (line, asked)] if asked else lines
