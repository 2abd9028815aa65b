"""Overrides of a faceplate as data: what to call things, their order and group, what to hide, how to show it.

One TOML file for each device, ``opi/overrides/cryo_cryocon_1.toml``, or for all devices of a class, ``CryoCon.toml``::

    title = "Cryostat"
    order = ["temperature_a", "setpoint_1"]        # first in their groups
    hide = ["gpib_address"]

    [attributes.temperature_a]
    label = "Sample"
    group = "Sample stage"
    format = "decimal"
    precision = 4

    [commands.control_on]
    confirm = "Switch all heaters on?"

    [[plots]]
    title = "Scattering curve"
    x = "q"
    y = ["intensity"]
    log_y = true
"""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from devices.core.errors import ConfigurationError
from servers.facility.spelling import did_you_mean
from servers.panels.subset import subset

ATTRIBUTE_KEYS = {"label": str, "group": str, "format": str, "precision": int, "hide": bool, "expert": bool}
COMMAND_KEYS = {"label": str, "group": str, "confirm": str, "hide": bool, "expert": bool}
PLOT_KEYS = {"title": str, "x": str, "y": list, "log_x": bool, "log_y": bool}


@dataclass(frozen=True)
class Override:
    """What a person changed of a generated faceplate; everything may be left out."""

    title: str = ""
    order: tuple[str, ...] = ()
    hide: frozenset[str] = frozenset()
    attributes: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    commands: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    plots: tuple[Mapping[str, Any], ...] = ()

    def of(self, kind: str, name: str, key: str, otherwise: Any) -> Any:
        """One override of an attribute or a command (``kind``), or what holds without."""
        table = self.attributes if kind == "attributes" else self.commands
        return table.get(name, {}).get(key, otherwise)

    def hides(self, kind: str, name: str) -> bool:
        return name in self.hide or bool(self.of(kind, name, "hide", False))

    def unknown(self, attributes: set[str], commands: set[str]) -> list[str]:
        """One line for each name that the device has not: a change of the device that the file did not follow."""
        problems = []
        for what, used, known in (
            ("attribute", {*self.attributes, *(name for plot in self.plots for name in _plotted(plot))}, attributes),
            ("command", set(self.commands), commands),
            ("attribute or command", {*self.order, *self.hide}, attributes | commands),
        ):
            problems += [f"no {what} {name}{did_you_mean(name, known)}" for name in sorted(used - known)]
        return problems


def read_override(folder: Path, device: str, device_class: str) -> Override:
    """The override of a device, else of its class, else none.

    Raises:
        ConfigurationError: a file has a wrong key, type or value; all at once.
    """
    for name in (device.replace("/", "_"), device_class):
        path = folder / f"{name}.toml"
        if path.is_file():
            return _read(path)
    return Override()


def _read(path: Path) -> Override:
    try:
        data = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise ConfigurationError(str(path), [str(error)]) from error
    problems = [f"unknown key {key}" for key in data if key not in Override.__dataclass_fields__]
    for kind, keys in (("attributes", ATTRIBUTE_KEYS), ("commands", COMMAND_KEYS)):
        for name, entry in data.get(kind, {}).items():
            problems += _wrong(f"{kind}.{name}", entry, keys)
            style = entry.get("format") if isinstance(entry, dict) else None
            if style is not None and style not in subset().enums["format"]:
                problems.append(
                    f"{kind}.{name}: format = {style!r} is not one of {', '.join(subset().enums['format'])}"
                )
    for number, plot in enumerate(data.get("plots", [])):
        problems += _wrong(f"plots[{number}]", plot, PLOT_KEYS)
    if problems:
        raise ConfigurationError(str(path), problems)
    return Override(
        data.get("title", ""),
        tuple(data.get("order", ())),
        frozenset(data.get("hide", ())),
        data.get("attributes", {}),
        data.get("commands", {}),
        tuple(data.get("plots", ())),
    )


def _wrong(where: str, entry: Any, keys: Mapping[str, type]) -> list[str]:
    if not isinstance(entry, dict):
        return [f"{where} is not a table"]
    return [
        f"{where}: unknown key {key}{did_you_mean(key, keys)}"
        if key not in keys
        else f"{where}: {key} = {value!r} is not of the type {keys[key].__name__}"
        for key, value in entry.items()
        if key not in keys or not isinstance(value, keys[key])
    ]


def _plotted(plot: Mapping[str, Any]) -> list[str]:
    return [*([plot["x"]] if "x" in plot else []), *plot.get("y", [])]
