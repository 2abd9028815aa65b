"""One of every type: what an attribute is on Tango, Channel Access and PVAccess, as a table, and a device of it."""

from __future__ import annotations

import enum
import json
import math
from dataclasses import dataclass, field
from typing import Annotated, Any

import numpy as np

from devices.core import Argument, Device, DeviceState, Encoded, Quality, attribute, command

STAMP = 1_700_000_000.125  # s; the first time stamp, which binary numbers have exactly


def labels(number: int, text: str) -> type[enum.Enum]:
    """An enumeration with so many labels, none of them in alphabetical order."""
    return enum.Enum("Labels", {f"M{index}": f"{text}{(7 * index) % number:02d}" for index in range(number)})


@dataclass(frozen=True)
class Row:
    """One attribute.

    Attributes:
        kind, words: of its declaration.
        tango: its type there (``CmdArgType``).
        ca: its native type (``ChannelType``), which is that of the first of its ``values`` as of any other.
        pva: the p4p code of its value; ``enum`` and ``image`` for the structures.
        values: what tells this type from all others: bounds, empty and longest ones.
        companions: suffix of a further PV -> what it shows, for each of ``values``.
    """

    name: str
    kind: Any
    tango: str
    ca: str
    pva: str
    values: tuple[Any, ...]
    words: dict[str, Any] = field(default_factory=dict)
    companions: dict[str, tuple[Any, ...]] = field(default_factory=dict)

    @property
    def segment(self) -> str:
        return "".join(part[:1].upper() + part[1:] for part in self.name.split("_"))

    @property
    def is_number(self) -> bool:
        return self.kind not in (bool, str, Encoded, DeviceState) and not isinstance(self.kind, enum.EnumMeta)

    @property
    def rank(self) -> int:
        return len(self.words.get("shape", ()))


#: Bounds that every scalar number has; a uint8 and an int16 can hold them, too.
BOUNDS = {"limits": (1.0, 120.0), "warning": (10.0, 90.0), "alarm": (5.0, 100.0)}
TEXT = "0123456789" * 500


def _number(name: str, kind: Any, tango: str, ca: str, pva: str, *values: Any, **more: Any) -> Row:
    text = {":Text": tuple(str(value) for value in values)} if name in ("int64", "uint64") else {}
    words = {"unit": "µm", "doc": f"The {name}", "access": "read_write", **more}
    return Row(name, kind, tango, ca, pva, values, words, text)


def _spectrum(name: str, kind: Any, tango: str, ca: str, pva: str, *extremes: Any) -> Row:
    several = [extremes[index % len(extremes)] for index in range(7)]
    values = ([], [extremes[0]], several)
    return Row(name, kind, tango, ca, pva, values, {"shape": (7,), "access": "read_write", "unit": "1/nm"})


def _image(name: str, kind: Any, tango: str, ca: str, *extremes: Any) -> Row:
    rows = [[extremes[(3 * row + column) % len(extremes)] for column in range(3)] for row in range(2)]
    wide = [[extremes[column % len(extremes)] for column in range(5)]]
    values = (rows, wide)
    return Row(name, kind, tango, ca, "image", values, {"shape": (4, 6)}, {":Width": (3, 5), ":Height": (2, 1)})


def _enumeration(name: str, kind: type[enum.Enum], ca: str, *indices: int) -> Row:
    words = {"access": "read_write", "doc": "A choice"}
    shown = {":Label": tuple(list(kind)[index].value for index in indices)} if ca == "LONG" else {}
    return Row(name, kind, "DevEnum", ca, "enum", indices, words, shown)


TINY32, LARGE32 = float(np.finfo(np.float32).tiny), float(np.finfo(np.float32).max)
LARGE64 = float(np.finfo(np.float64).max)

ROWS = (
    Row("flag", bool, "DevBoolean", "ENUM", "?", (True, False), {"access": "read_write"}),
    _number("uint8", np.uint8, "DevUChar", "CHAR", "B", 0, 200, 255),
    _number("int16", np.int16, "DevShort", "INT", "h", -32768, 32767),
    _number("uint16", np.uint16, "DevUShort", "LONG", "H", 0, 40_000, 65535),
    _number("int32", np.int32, "DevLong", "LONG", "i", -(2**31), 2**31 - 1),
    _number("uint32", np.uint32, "DevULong", "DOUBLE", "I", 0, 2**31 + 1, 2**32 - 1),
    _number("int64", np.int64, "DevLong64", "DOUBLE", "l", -(2**63), 2**53 + 1, 2**63 - 1),
    _number("uint64", np.uint64, "DevULong64", "DOUBLE", "L", 0, 2**63 + 1025, 2**64 - 1),
    _number("float32", np.float32, "DevFloat", "FLOAT", "f", 0.1, TINY32, -LARGE32, math.inf),
    _number("float64", float, "DevDouble", "DOUBLE", "d", 0.1, 5e-324, -LARGE64, math.inf, -math.inf, precision=3),
    _enumeration("two", labels(2, "position "), "ENUM", 1, 0),
    _enumeration("sixteen", labels(16, "ä filter position no "), "ENUM", 15, 0),  # 24 bytes each: EPICS takes 25
    _enumeration("seventeen", labels(17, "position "), "LONG", 16, 0),
    _enumeration("long_label", labels(3, "a label of many bytes: "), "ENUM", 2),  # 25 bytes
    _enumeration("longer_label", labels(3, "a label of more bytes: ä"), "LONG", 2),  # 27 bytes
    _enumeration("longest_label", labels(3, "a label that is longer than a string of EPICS may be "), "LONG", 2),
    Row("state_value", DeviceState, "DevState", "ENUM", "enum", tuple(range(14))),
    Row("short_text", str, "DevString", "STRING", "s", ("", "x", TEXT[:38] + "y", "ä" * 19),
        {"text_limit": 39, "access": "read_write"}),
    Row("long_text", str, "DevString", "CHAR", "s",
        ("", TEXT[:39], TEXT[:40], TEXT[:38] + "ä", TEXT[:4096], "Grüße " * 512, "ÿ" * 2048), {"access": "read_write"}),
    _spectrum("flags", bool, "DevBoolean", "CHAR", "a?", True, False),
    _spectrum("uint8s", np.uint8, "DevUChar", "CHAR", "aB", 255, 0, 128),
    _spectrum("int16s", np.int16, "DevShort", "INT", "ah", -32768, 32767),
    _spectrum("uint16s", np.uint16, "DevUShort", "LONG", "aH", 65535, 0),
    _spectrum("int32s", np.int32, "DevLong", "LONG", "ai", -(2**31), 2**31 - 1),
    _spectrum("uint32s", np.uint32, "DevULong", "DOUBLE", "aI", 2**32 - 1, 0),
    _spectrum("int64s", np.int64, "DevLong64", "DOUBLE", "al", -(2**63), 2**63 - 1),
    _spectrum("uint64s", np.uint64, "DevULong64", "DOUBLE", "aL", 2**64 - 1, 0),
    _spectrum("float32s", np.float32, "DevFloat", "FLOAT", "af", 0.1, -math.inf, math.nan),
    _spectrum("float64s", float, "DevDouble", "DOUBLE", "ad", 0.1, math.nan, math.inf, -LARGE64),
    Row("choices", labels(5, "no "), "DevEnum", "LONG", "ai", ([], [4], [0, 4, 2]), {"shape": (7,)}),
    Row("states", DeviceState, "DevState", "LONG", "ai", ([], [8], [0, 13, 2]), {"shape": (7,)}),
    Row("texts", str, "DevString", "STRING", "as", ([], [""], [TEXT[:39], TEXT[:40], TEXT[:38] + "ä", "", "ß"]),
        {"shape": (7,), "access": "read_write"}),
    _image("flag_image", bool, "DevBoolean", "CHAR", True, False, False),
    _image("uint8_image", np.uint8, "DevUChar", "CHAR", 0, 255, 7),
    _image("int16_image", np.int16, "DevShort", "INT", -32768, 32767),
    _image("uint16_image", np.uint16, "DevUShort", "LONG", 65535, 0, 3),
    _image("int32_image", np.int32, "DevLong", "LONG", -(2**31), 2**31 - 1),
    _image("uint32_image", np.uint32, "DevULong", "DOUBLE", 2**32 - 1, 5),
    _image("int64_image", np.int64, "DevLong64", "DOUBLE", -(2**62), 17),
    _image("float32_image", np.float32, "DevFloat", "FLOAT", 0.1, -1e30, math.nan),
    _image("float64_image", float, "DevDouble", "DOUBLE", 0.1, -1e300, 5e-324),
    Row("encoded", Encoded, "DevEncoded", "CHAR", "aB", (("RAW", "00ff80"), ("a-format", "07"), ("", "")), {},
        {":Format": ("RAW", "a-format", "")}),
)  # fmt: skip

#: Attributes with bounds, whose severity is judged.
JUDGED = (
    _number("judged_float", float, "DevDouble", "DOUBLE", "d", 50.5, precision=2, hysteresis=0.0, **BOUNDS),
    _number("judged_single", np.float32, "DevFloat", "FLOAT", "f", 50.5, precision=1, **BOUNDS),
    _number("judged_int32", np.int32, "DevLong", "LONG", "i", 50, **BOUNDS),
    _number("judged_int16", np.int16, "DevShort", "INT", "h", 50, **BOUNDS),
    _number("judged_uint8", np.uint8, "DevUChar", "CHAR", "B", 50, **BOUNDS),
    _number("judged_uint64", np.uint64, "DevULong64", "DOUBLE", "L", 50, **BOUNDS),
)


class _Publisher(Device):
    """Publishes in any of its attributes what a client asks for."""

    @command()
    async def publish(self, what: Annotated[str, Argument(text_limit=1 << 20)]) -> None:
        """Publish JSON: name, value (encoded: format and hexadecimal digits), timestamp in s, quality."""
        said = json.loads(what)
        value = said["value"]
        if isinstance(value, dict):
            value = Encoded(value["format"], bytes.fromhex(value["data"]))
        live, quality = self.attributes[said["name"]], Quality(said.get("quality", "VALID"))
        if quality is Quality.INVALID:
            live.publish_invalid(said.get("reason", "the sensor is open"), timestamp=said["timestamp"])
        else:
            live.publish(value, timestamp=said["timestamp"], quality=quality)


EveryType = type(
    "EveryType",
    (_Publisher,),
    {"__doc__": "One attribute of every type.", "__module__": __name__}
    | {row.name: attribute(row.kind, **row.words) for row in (*ROWS, *JUDGED)},
)


def publication(row: Row, value: Any, timestamp: float, quality: str = "VALID") -> str:
    """The argument of ``publish``."""
    if row.kind is Encoded:
        value = {"format": value[0], "data": value[1]}
    elif isinstance(row.kind, enum.EnumMeta) and not row.rank:
        value = int(value)
    return json.dumps({"name": row.name, "value": value, "timestamp": timestamp, "quality": quality})
