"""Which PVs are recorded, and how closely: the rules of ``dbconfig/archive.*``, YAML or JSON."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from fnmatch import fnmatchcase
from importlib import resources
from pathlib import Path
from typing import Any, Final

from devices.core.errors import BadValueError, ConfigurationError
from servers.facility.document import read_json, read_yaml, schema_problems, with_lines
from servers.facility.duration import seconds_of

EVERY_S: Final = 1.0


@dataclass(frozen=True)
class Rule:
    """How one PV is recorded. What changes severity or connection is always kept, at once.

    Attributes:
        pv, tango: patterns; those which are given must both fit.
        every_s: at most one sample in so long, s; the newest one is kept then.
        absolute: smallest change, in the PV's unit.
        relative: smallest change, per cent of the value kept last.
        period_s: longest silence, s; an equal value is kept after it. As of archive events.
        keep_s: for how long samples are kept, s; None for as long as the others.
        is_off: whether nothing is recorded.
    """

    pv: str = "*"
    tango: str = "*"
    every_s: float = EVERY_S
    absolute: float | None = None
    relative: float | None = None
    period_s: float | None = None
    keep_s: float | None = None
    is_off: bool = False

    def fits(self, pv: str, device: str, part: str) -> bool:
        """Whether the rule is meant for a PV of an attribute; PV patterns heed case, those of Tango names do not."""
        tango = self.tango.lower()
        names = (device.lower(), f"{device}/{part}".lower())
        return fnmatchcase(pv, self.pv) and (tango == "*" or any(fnmatchcase(name, tango) for name in names))

    def passes(self, kept: float, value: float) -> bool:
        """Whether a value differs enough from the one that was kept last."""
        if value == kept or (value != value and kept != kept):
            return False
        if (self.absolute is None and self.relative is None) or value != value or kept != kept:
            return True
        change = abs(value - kept)
        return (self.absolute is not None and change >= self.absolute) or (
            self.relative is not None and change >= abs(kept) * self.relative / 100.0
        )


USUAL: Final = Rule()


@dataclass(frozen=True)
class ArchiveList:
    """The rules, in the order of the file."""

    rules: tuple[Rule, ...] = ()

    def rule(self, pv: str, device: str = "", part: str = "") -> Rule:
        """The first rule that fits, or the usual one."""
        return next((rule for rule in self.rules if rule.fits(pv, device, part)), USUAL)


def read_archive_list(path: Path) -> ArchiveList:
    """The rules of a file.

    Raises:
        ConfigurationError: with all that is wrong; an unknown key with its line.
    """
    content = (read_json(path) if path.suffix == ".json" else read_yaml(path)) or {}
    schema: Mapping[str, Any] = json.loads(
        resources.files("servers.history").joinpath("archive.schema.json").read_text(encoding="utf-8")
    )
    problems = schema_problems(content, schema)
    rules = []
    if not problems:
        for number, entry in enumerate(content.get("rules", ())):
            try:
                rules.append(_rule(entry))
            except BadValueError as error:
                problems.append(f"rules > {number} > keep: {error}")
    if problems:
        raise ConfigurationError(path.name, with_lines(path, problems))
    return ArchiveList(tuple(rules))


def _rule(entry: Mapping[str, Any]) -> Rule:
    return Rule(
        pv=entry.get("pv", "*"),
        tango=entry.get("tango", "*"),
        every_s=entry.get("every", EVERY_S),
        absolute=entry.get("absolute"),
        relative=entry.get("relative"),
        period_s=entry.get("period"),
        keep_s=seconds_of(entry["keep"]) if "keep" in entry else None,
        is_off=entry.get("off", False),
    )
