"""Configuration files of an Archon, .acf and .ncf: what they say, and the lines that it becomes on the wire.

Both are INI text as archongui writes it: ``[SYSTEM]`` repeats what the controller said of itself, ``[CONFIG]`` holds
``KEY=VALUE``. In an .acf the module's name is parted from the key by a backslash and a value with ``, ; =`` or a blank
stands in quotes. Of an .ncf, which no document at hand describes, it is assumed that it differs in this alone: the
parting sign may be a slash, a module may have a section of its own (``[MOD1]``), blanks may stand around ``=``, and
lines may begin with ``;`` or ``#``.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from enum import IntEnum
from pathlib import Path

from devices.core.errors import BadValueError, ConfigurationError, RangeError, UnknownNameError

MOST_LINES = 16384
"""Lines of the controller's configuration memory."""

LARGEST_PARAMETER = (1 << 20) - 1
"""Parameters of the timing script have 20 bits."""

_MODULE = re.compile(r"MOD\d+", re.IGNORECASE)
_APPLIES = [
    (re.compile(pattern, re.IGNORECASE), command)
    for pattern, command in (
        (r"PARAMETER\d+$", "LOADPARAMS"),
        (r"(LINECOUNT|PIXELCOUNT|TAPLINE\d+|SAMPLEMODE|FRAMEMODE)$", "APPLYCDS"),
        (r"TRIGOUT\w+$", "APPLYSYSTEM"),
        (r"MOD\d+/", "APPLYMOD"),
    )
]
_ESCAPES = {"n": "\n", "r": "\r", "t": "\t", "0": "\0"}


class FrameMode(IntEnum):
    """Where the lines of the taps go: from the top down, from the bottom up, or half of the taps each."""

    TOP = 0
    BOTTOM = 1
    SPLIT = 2


@dataclass(frozen=True)
class Tap:
    """A video input; its pixels go into a line of the frame from the left (``AD1L``) or from the right (``AD1R``)."""

    channel: str
    gain: float
    offset: float

    @property
    def reversed(self) -> bool:
        return self.channel.upper().endswith("R")


class ArchonConfiguration:
    """Lines of configuration memory: key (``MOD1/NAME``) -> value, in their order; keys are caseless.

    Raises:
        ConfigurationError: a key occurs twice, or there are more lines than the memory has.
    """

    def __init__(self, values: Iterable[tuple[str, str]], system: Mapping[str, str] | None = None) -> None:
        self._values: dict[str, str] = {}
        self._numbers: dict[str, int] = {}
        self.system = dict(system or {})
        problems = []
        for key, value in values:
            if key.upper() in self._numbers:
                problems.append(f"{key} occurs twice")
            self._numbers[key.upper()] = len(self._values)
            self._values[key] = value
        if len(self._values) > MOST_LINES:
            problems.append(f"{len(self._values)} lines are more than {MOST_LINES}")
        if problems:
            raise ConfigurationError("Archon configuration", problems)
        self._keys = list(self._values)

    def __len__(self) -> int:
        return len(self._keys)

    def __contains__(self, key: str) -> bool:
        return key.upper() in self._numbers

    def __iter__(self) -> Iterator[tuple[str, str]]:
        return iter(self._values.items())

    def __getitem__(self, key: str) -> str:
        """Raises: UnknownNameError."""
        return self._values[self._keys[self.line_number(key)]]

    def line_number(self, key: str) -> int:
        """Where a key lies in configuration memory, from 0.

        Raises:
            UnknownNameError: it does not.
        """
        try:
            return self._numbers[key.upper()]
        except KeyError:
            raise UnknownNameError(f"{key} is no key of the Archon's configuration") from None

    def set(self, key: str, value: str) -> str:
        """Change one value; returns the line for the wire."""
        if "\n" in value or "\r" in value:
            raise BadValueError(f"{key} = {value!r} has more than one line")
        own = self._keys[self.line_number(key)]
        self._values[own] = value
        return f"{own}={value}"

    def integer(self, key: str, default: int | None = None) -> int:
        """Raises: UnknownNameError, BadValueError."""
        if default is not None and key not in self:
            return default
        try:
            return int(self[key])
        except ValueError:
            raise BadValueError(f"{key} = {self[key]!r} is not a whole number") from None

    @property
    def lines(self) -> list[str]:
        """As they go over the wire."""
        return [f"{key}={value}" for key, value in self._values.items()]

    @property
    def parameters(self) -> dict[str, int]:
        """Of the timing script: name -> value.

        Raises:
            BadValueError: a parameter is not of the form Name=value.
        """
        found = {}
        for name, _, value in self._parameter_lines():
            found[name] = value
        return found

    def has_parameter(self, name: str) -> bool:
        return any(own.upper() == name.upper() for own, _, _ in self._parameter_lines())

    def set_parameter(self, name: str, value: int) -> tuple[int, str]:
        """Change one parameter; returns the number and the text of its line.

        Raises:
            RangeError: it does not fit into 20 bits.
            UnknownNameError: the timing script has none of this name.
        """
        if not 0 <= value <= LARGEST_PARAMETER:
            raise RangeError(f"{name} = {value} is outside [0, {LARGEST_PARAMETER}]")
        for own, key, _ in self._parameter_lines():
            if own.upper() == name.upper():
                return self.line_number(key), self.set(key, f"{own}={value}")
        raise UnknownNameError(f"{name} is no parameter of the timing script; it has {', '.join(self.parameters)}")

    @property
    def taps(self) -> list[Tap]:
        """Raises: BadValueError."""
        taps = []
        for number in range(self.integer("TAPLINES", 0)):
            text = self[f"TAPLINE{number}"]
            words = [word.strip() for word in text.split(",")]
            if not words[0]:
                continue  # an unused line
            try:
                gain, offset = float(words[1]), float(words[2])
            except (ValueError, IndexError):
                raise BadValueError(f"TAPLINE{number} = {text!r} is not of the form AD1L, gain, offset") from None
            taps.append(Tap(words[0], gain, offset))
        return taps

    @property
    def frame_mode(self) -> FrameMode:
        """Raises: BadValueError."""
        number = self.integer("FRAMEMODE", 0)
        try:
            return FrameMode(number)
        except ValueError:
            raise BadValueError(f"FRAMEMODE = {number:.40g} is no arrangement of taps that is known") from None

    def _parameter_lines(self) -> Iterator[tuple[str, str, int]]:
        for number in range(self.integer("PARAMETERS", 0)):
            key = f"PARAMETER{number}"
            name, equals, value = self[key].partition("=")
            if not (equals and value.strip().isdigit()):
                raise BadValueError(f"{key} = {self[key]!r} is not of the form Name=value")
            yield name.strip(), key, int(value)


def parse_configuration(text: str) -> ArchonConfiguration:
    """Take the text of an .acf or .ncf apart.

    Raises:
        ConfigurationError: it has no [CONFIG], or lines that are none of KEY=VALUE; all of them are named.
    """
    values: list[tuple[str, str]] = []
    system: dict[str, str] = {}
    problems: list[str] = []
    section, seen = "", False
    for number, raw in enumerate(text.removeprefix("\ufeff").split("\n"), 1):
        line = raw.strip()
        if not line or line[0] in ";#":
            continue
        if line.startswith("[") and line.endswith("]"):
            section = line[1:-1].strip().upper()
            seen = seen or section == "CONFIG"
            continue
        key, equals, value = line.partition("=")
        key = key.strip().replace("\\", "/")
        if not (equals and key):
            problems.append(f"line {number}, {line[:60]!r}, is not of the form KEY=VALUE")
        elif section == "SYSTEM":
            system[key.upper()] = _unquoted(value.strip())
        elif section == "CONFIG":
            values.append((key, _unquoted(value.strip())))
        elif _MODULE.fullmatch(section):
            values.append((f"{section}/{key}", _unquoted(value.strip())))
    if not (seen or values):
        problems.insert(0, "there is no section [CONFIG]")
    if problems:
        raise ConfigurationError("Archon configuration", problems)
    return ArchonConfiguration(values, system)


def read_configuration_file(path: Path) -> ArchonConfiguration:
    """Read an .acf or .ncf file.

    Raises:
        ConfigurationError: it cannot be read, or `parse_configuration` says why not.
    """
    try:
        data = path.read_bytes()
        try:
            text = data.decode("utf-8")
        except UnicodeDecodeError:
            text = data.decode("latin-1")  # older files; every byte is a letter there
        return parse_configuration(text)
    except OSError as error:
        raise ConfigurationError(str(path), [error.strerror or str(error)]) from None
    except ConfigurationError as error:
        raise ConfigurationError(str(path), error.problems) from None


def format_configuration(configuration: ArchonConfiguration) -> str:
    """The text of an .acf."""
    out = ["[SYSTEM]", *(f"{key}={_quoted(value)}" for key, value in configuration.system.items())]
    out += ["[CONFIG]", *(f"{key.replace('/', chr(92))}={_quoted(value)}" for key, value in configuration)]
    return "\n".join(out) + "\n"


def apply_commands(keys: Iterable[str]) -> list[str]:
    """The least that takes changed keys over; APPLYALL where nothing less is known to."""
    commands: dict[str, None] = {}
    for key in keys:
        command = next((command for pattern, command in _APPLIES if pattern.match(key)), "APPLYALL")
        if command == "APPLYMOD":
            command += key[3 : key.index("/")]
        commands[command] = None
    return ["APPLYALL"] if "APPLYALL" in commands else sorted(commands)


def split_time(milliseconds: int) -> tuple[int, int]:
    """A time as the product of two parameters of 20 bits, (IntMS, IntMul); exact where a small multiplier divides it.

    Raises:
        RangeError: it is negative, or too long for both.
    """
    if not 0 <= milliseconds <= LARGEST_PARAMETER**2:
        raise RangeError(f"time = {milliseconds} ms is outside [0, {LARGEST_PARAMETER**2}] ms")
    least = max(1, -(-milliseconds // LARGEST_PARAMETER))
    multiplier = next((m for m in range(least, least + 64) if milliseconds % m == 0), least)
    return round(milliseconds / multiplier), multiplier


def _unquoted(value: str) -> str:
    if len(value) < 2 or not (value[0] == value[-1] == '"'):
        return value
    return re.sub(r"\\(.)", lambda found: _ESCAPES.get(found[1], found[1]), value[1:-1])


def _quoted(value: str) -> str:
    if not re.search(r'[,;=\s"\\]', value):
        return value
    return '"' + value.replace("\\", "\\\\").replace('"', '\\"') + '"'
