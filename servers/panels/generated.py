"""The panels that belong to the machine: ``opi/gen``, made from device descriptions, and the check of all panels."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from devices.core.errors import ConfigurationError, ProtocolError
from servers.epics import names
from servers.facility.facility_file import Facility
from servers.facility.rehearsal import description_of
from servers.panels.bob import read_bob, to_xml
from servers.panels.faceplate import faceplates
from servers.panels.linter import KnownPvs, lint
from servers.panels.override import read_override

GENERATED: Final = "gen"
OVERRIDES: Final = "overrides"


@dataclass(frozen=True)
class Plate:
    """A device with PVs: what its faceplate is made from."""

    device: str
    description: Mapping[str, Any]


def plates_of(facilities: Iterable[Facility]) -> list[Plate]:
    """Every device of these facilities that has PVs and describes itself, once.

    Raises:
        ConfigurationError: a device cannot be built.
    """
    found: dict[str, Plate] = {}
    for facility in facilities:
        for classes in facility.devices.values():
            for class_name, devices in classes.items():
                if class_name not in facility.classes:
                    continue
                for device, properties in devices.items():
                    description = description_of(facility.classes[class_name], device, properties)
                    if description["pv_prefix"]:
                        found.setdefault(device, Plate(device, description))
    return list(found.values())


def known_pvs(plates: Iterable[Plate]) -> KnownPvs:
    """Every PV of these devices, and which of them run something dangerous."""
    served: set[str] = set()
    dangerous: set[str] = set()
    for plate in plates:
        served.update(names.device_pvs(plate.description))
        prefix = plate.description["pv_prefix"]
        for command in plate.description["commands"]:
            if command["dangerous"] and command.get("mirror", True):
                base = prefix + (command.get("pv_name") or names.segment(command["name"]))
                dangerous.update({base, base + names.RUN} if command["arguments"] else {base})
    return KnownPvs(frozenset(served), frozenset(dangerous))


def generate(plates: Iterable[Plate], folder: Path) -> dict[Path, str]:
    """The text of every file of ``folder``/gen.

    Raises:
        ConfigurationError: an override is wrong; all of its faults.
    """
    texts: dict[Path, str] = {}
    for plate in plates:
        override = read_override(folder / OVERRIDES, plate.device, plate.description["device_class"])
        attributes, commands = (
            {item["name"] for item in plate.description[kind]} for kind in ("attributes", "commands")
        )
        if problems := override.unknown(attributes, commands):
            raise ConfigurationError(f"override of {plate.device}", problems)
        for name, panel in faceplates(plate.device, plate.description, override).items():
            texts[folder / GENERATED / name] = to_xml(panel)
    return texts


def write(plates: list[Plate], folder: Path) -> Iterator[str]:
    """Bring ``folder``/gen up to date; one line for each file that changed."""
    texts = generate(plates, folder)
    for path in sorted((folder / GENERATED).glob("*.bob")):
        if path not in texts:
            path.unlink()
            yield f"removed {path}"
    for path, text in texts.items():
        if _read(path) != text:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, encoding="utf-8")
            yield f"wrote {path}"


def check(plates: list[Plate], folder: Path) -> Iterator[str]:
    """One line for each generated file that is not up to date, and each fault of any panel in the folder."""
    texts = generate(plates, folder)
    for path, text in texts.items():
        if _read(path) != text:
            yield f"{path}: not up to date; run `diptych panels`"
    for path in sorted((folder / GENERATED).glob("*.bob")):
        if path not in texts:
            yield f"{path}: no device has this panel any more; run `diptych panels`"
    yield from lint(sorted(folder.rglob("*.bob")), known_pvs(plates), folder)


def tidy(folder: Path) -> Iterator[str]:
    """Write every panel in Phoebus' own form; one line for each file that changed."""
    for path in sorted(folder.rglob("*.bob")):
        try:
            text = to_xml(read_bob(path))
        except ProtocolError as error:
            yield str(error)
            continue
        if _read(path) != text:
            path.write_text(text, encoding="utf-8")
            yield f"wrote {path}"


def _read(path: Path) -> str | None:
    return path.read_text(encoding="utf-8") if path.is_file() else None
