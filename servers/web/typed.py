"""What a page writes, as a value of the PV's type: numbers from text are parsed strictly, labels become their index."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from p4p import Value
from p4p.nt import NTURI

from devices.core.errors import BadValueError, RangeError
from servers.facility.spelling import did_you_mean

#: Of the integer types; PVAccess itself would wrap around.
RANGES = {
    code: (int(np.iinfo(dtype).min), int(np.iinfo(dtype).max))
    for code, dtype in {"b": "i1", "h": "i2", "i": "i4", "l": "i8", "B": "u1", "H": "u2", "I": "u4", "L": "u8"}.items()
}
TRUE, FALSE = ("1", "true", "on"), ("0", "false", "off")


#: What arguments of a call are in PVAccess; a boolean is an integer in Python, and comes first.
ARGUMENT_CODES = ((bool, "?"), (int, "l"), (float, "d"), (str, "s"))


def query_of(command: str, arguments: Any) -> Value:
    """The question of a call by name.

    Args:
        arguments: from the page: numbers and texts by name.

    Raises:
        BadValueError: they are something else.
    """
    if not isinstance(arguments, Mapping):
        raise BadValueError(f"arguments of {command} = {arguments!r:.80} are not values by name")
    codes = []
    for name, value in arguments.items():
        code = next((code for kind, code in ARGUMENT_CODES if isinstance(value, kind)), None)
        if code is None or not name.isidentifier() or (code == "l" and not -(2**63) <= value < 2**63):
            raise BadValueError(f"{command}: {name[:80]} = {value!r:.80} is not an argument of a command")
        codes.append((name, code))
    return NTURI(codes).wrap(command, kws=dict(arguments), scheme="pva")


def fill(name: str, present: Value, wanted: Any) -> None:
    """Set ``value`` of a PVAccess value.

    Args:
        present: the PV's value; its labels count.
        wanted: from the page: a number, a text, or a list of one of them.

    Raises:
        BadValueError, RangeError: it is not of the PV's type.
    """
    kind = present.getID()
    if kind.startswith("epics:nt/NTEnum"):
        present["value.index"] = _index(name, present.value.choices, wanted)
        return
    code = present.type().aspy("value")
    if not isinstance(code, str):
        raise BadValueError(f"{name} cannot be written from a panel")
    if code.startswith("a"):
        items = wanted if isinstance(wanted, list) else [wanted]
        present["value"] = [_scalar(name, code[1:], item) for item in items]
    else:
        present["value"] = _scalar(name, code, wanted)


def _index(name: str, labels: list[str], wanted: Any) -> int:
    text = str(wanted).strip()
    if text in labels:
        return labels.index(text)
    if text.isdigit() and int(text) < max(len(labels), 1):
        return int(text)
    raise BadValueError(f"{name} = {text!r} is not one of {', '.join(labels)}{did_you_mean(text, labels)}")


def _scalar(name: str, code: str, wanted: Any) -> Any:
    if isinstance(wanted, list | Mapping) or wanted is None:
        raise BadValueError(f"{name} = {wanted!r} is not a single value")
    if code == "s":
        return wanted if isinstance(wanted, str) else f"{wanted:g}" if isinstance(wanted, float) else str(wanted)
    text = str(wanted).strip()
    if code == "?":
        if text.lower() not in TRUE + FALSE:
            raise BadValueError(f"{name} = {text!r} is neither on nor off")
        return text.lower() in TRUE
    try:
        if code in "df":
            return float(text)
        number = _whole(text)
    except ValueError:
        what = "a number" if code in "df" else "a whole number"
        raise BadValueError(f"{name} = {text!r} is not {what}") from None
    low, high = RANGES[code]
    if not low <= number <= high:
        raise RangeError(f"{name} = {number} is outside [{low}, {high}]")
    return number


def _whole(text: str) -> int:
    try:
        return int(text, 16) if text.lower().startswith("0x") else int(text)
    except ValueError:
        number = float(text)
        if not number.is_integer():
            raise
        return int(number)
