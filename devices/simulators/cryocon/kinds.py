"""How the simulated Cryo-con shows and takes values, and the entries of its command tree that are made of that."""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from dataclasses import dataclass
from functools import reduce
from typing import Any

from devices.simulators.cryocon.instrument import CryoConInstrument, displayed, kelvin
from devices.simulators.cryocon.syntax import Entry, Nack

Instrument = CryoConInstrument
NUMBER = re.compile(r"[-+]?(\d+\.?\d*|\.\d+)([eE][-+]?\d+)?")


@dataclass(frozen=True)
class Kind:
    """How one kind of value is shown and taken, in the display units of what it belongs to."""

    show: Callable[[Any, str], str]
    take: Callable[[str, str], Any]


def number(text: str) -> float:
    value = float(text) if NUMBER.fullmatch(text) else math.nan
    if not math.isfinite(value):
        raise Nack
    return value


def between(low: float, high: float) -> Kind:
    def take(text: str, units: str) -> float:
        value = number(text)
        if not low <= value <= high:
            raise Nack
        return value

    return Kind(lambda value, units: f"{value:.6f}", take)


def whole(low: int, high: int) -> Kind:
    def take(text: str, units: str) -> int:
        if not re.fullmatch(r"\d{1,6}", text) or not low <= int(text) <= high:
            raise Nack
        return int(text)

    return Kind(lambda value, units: str(value), take)


def number_of(*numbers: int) -> Kind:
    """One of some whole numbers."""
    labels = one_of(*map(str, numbers))
    return Kind(labels.show, lambda text, units: int(labels.take(text, units)))


def one_of(*labels: str) -> Kind:
    def take(text: str, units: str) -> str:
        found = next((label for label in labels if label.upper() == text.upper()), None)
        if found is None:
            raise Nack
        return found

    return Kind(lambda value, units: str(value), take)


def switch(on: str, off: str) -> Kind:
    labels = one_of(on, off)
    return Kind(lambda value, units: on if value else off, lambda text, units: labels.take(text, units) == on)


def string(limit: int) -> Kind:
    return Kind(lambda value, units: f'"{value}"', lambda text, units: text.strip('"')[:limit])


ON_OFF, YES_NO = switch("ON", "OFF"), switch("YES", "NO")
NAME, ADDRESS = string(15), string(40)
PERCENT = between(0.0, 100.0)
TEMPERATURE = Kind(
    lambda value, units: f"{displayed(value, units):.6f}", lambda text, units: kelvin(number(text), units)
)
SETPOINT = Kind(lambda value, units: f"{displayed(value, units):.6f}{units}", TEMPERATURE.take)
DIFFERENCE = Kind(
    lambda value, units: f"{value * (1.8 if units == 'F' else 1.0):.6f}",
    lambda text, units: abs(number(text)) / (1.8 if units == "F" else 1.0),
)


def letter(instrument: Instrument, index: str) -> str:
    letter = index.strip().upper().removeprefix("CH")
    if letter.isdecimal() and int(letter) < len(instrument.inputs):
        letter = list(instrument.inputs)[int(letter)]
    if letter not in instrument.inputs:
        raise Nack
    return letter


def member(attribute: str) -> Callable[[Instrument, str], Any]:
    """Find one of several numbered things."""

    def find(instrument: Instrument, index: str) -> Any:
        members = getattr(instrument, attribute)
        if not index.isdecimal() or int(index) not in members:
            raise Nack
        return members[int(index)]

    return find


def source(find: Callable[[Instrument, str], Any]) -> Entry[Instrument]:
    """The setting of the input that something listens to."""

    def settings(instrument: Instrument, index: str) -> Any:
        target = find(instrument, index)
        return getattr(target, "settings", target)

    def put(instrument: Instrument, index: str, parameter: str) -> None:
        settings(instrument, index).source = letter(instrument, parameter)

    return Entry(lambda instrument, index: str(settings(instrument, index).source), put)


def units(instrument: Instrument, target: Any) -> str:
    settings = getattr(target, "settings", target)
    source = instrument.inputs[settings.source].settings if hasattr(settings, "source") else settings
    return str(getattr(source, "units", "K"))


def setting(find: Callable[[Instrument, str], Any], path: str, kind: Kind, put: bool = True) -> Entry[Instrument]:
    """An entry that shows, and if ``put`` changes, one attribute of what the index finds."""
    *way, name = path.split(".")

    def get(instrument: Instrument, index: str) -> str:
        target = find(instrument, index)
        return kind.show(getattr(reduce(getattr, way, target), name), units(instrument, target))

    def take(instrument: Instrument, index: str, parameter: str) -> None:
        target = find(instrument, index)
        setattr(reduce(getattr, way, target), name, kind.take(parameter, units(instrument, target)))

    return Entry(get, take if put else None)


def shown(find: Callable[[Instrument, str], Any], show: Callable[[Any], str]) -> Entry[Instrument]:
    return Entry(lambda instrument, index: show(find(instrument, index)))


def done(do: Callable[[Instrument, str], Any]) -> Entry[Instrument]:
    """An entry that does something; False means that it cannot."""

    def put(instrument: Instrument, index: str, parameter: str) -> None:
        if do(instrument, index or parameter) is False:
            raise Nack

    return Entry(put=put)


def fixed(text: str) -> Entry[Instrument]:
    """An entry that always answers the same."""
    return Entry(lambda instrument, index: text)
