"""Which alarms there are: ``dbconfig/alarms.*``, YAML or JSON."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from importlib import resources
from pathlib import Path
from typing import Any, Final

from devices.core.errors import BadValueError, ConfigurationError
from servers.alarms.alarm import Manner
from servers.alarms.formula import Formula, Inputs, parse
from servers.epics.alarm import Severity
from servers.facility.document import read_json, read_yaml, schema_problems, with_lines
from servers.facility.duration import seconds_of

DEFAULT_MAIL_SERVER: Final = "localhost:25"

_PLACE = re.compile(r"\{([^{}]*)\}")


@dataclass(frozen=True)
class PvEntry:
    """How the alarms of some PVs behave.

    Attributes:
        pv, tango: patterns; those which are given must both fit.
    """

    manner: Manner
    pv: str = "*"
    tango: str = "*"
    is_off: bool = False

    def fits(self, pv: str, device: str, part: str) -> bool:
        """Whether a PV is meant; PV patterns heed case, those of Tango names do not."""
        names = (device.lower(), f"{device}/{part}".lower())
        return fnmatchcase(pv, self.pv) and (
            self.tango == "*" or any(fnmatchcase(name, self.tango.lower()) for name in names)
        )


@dataclass(frozen=True)
class Rule:
    """An alarm of its own: a formula that should not be true."""

    name: str
    when: Formula
    severity: Severity
    message: str
    manner: Manner

    @property
    def names(self) -> frozenset[str]:
        """What it needs to be judged and told."""
        return self.when.names | frozenset(_PLACE.findall(self.message))

    def text(self, inputs: Inputs) -> str:
        """The message with the values of now."""

        def shown(place: re.Match[str]) -> str:
            seen = inputs.get(place[1])
            if seen is None or not seen.is_connected:
                return "?"
            if seen.label is not None:
                return seen.label
            return seen.value if isinstance(seen.value, str) else f"{seen.value:.6g}"

        return _PLACE.sub(shown, self.message)


@dataclass(frozen=True)
class Recipient:
    """Who is told: by mail, or by a webhook.

    Attributes:
        server: HOST:PORT of the mail server.
    """

    name: str
    mail: tuple[str, ...] = ()
    server: str = DEFAULT_MAIL_SERVER
    sender: str = ""
    webhook: str = ""


USUAL: Final = PvEntry(Manner())


@dataclass(frozen=True)
class AlarmList:
    """What a file says."""

    pvs: tuple[PvEntry, ...] = ()
    rules: tuple[Rule, ...] = ()
    recipients: Mapping[str, Recipient] = field(default_factory=dict)

    def entry(self, pv: str, device: str = "", part: str = "") -> PvEntry:
        """The first entry that fits, or the usual one."""
        return next((entry for entry in self.pvs if entry.fits(pv, device, part)), USUAL)


def read_alarm_list(path: Path) -> AlarmList:
    """The alarms of a file.

    Raises:
        ConfigurationError: with all that is wrong, and where.
    """
    content = (read_json(path) if path.suffix == ".json" else read_yaml(path)) or {}
    schema: Mapping[str, Any] = json.loads(
        resources.files("servers.alarms").joinpath("alarms.schema.json").read_text(encoding="utf-8")
    )
    problems = schema_problems(content, schema)
    if problems:
        raise ConfigurationError(path.name, with_lines(path, problems))
    reader = _Reader(content)
    found = reader.alarm_list()
    if reader.problems:
        raise ConfigurationError(path.name, with_lines(path, reader.problems))
    return found


class _Reader:
    """Makes the list of a document that agrees with the schema, and gathers what is wrong all the same."""

    def __init__(self, content: Mapping[str, Any]) -> None:
        self.problems: list[str] = []
        self._content = content
        self._recipients = {name: _recipient(name, given) for name, given in content.get("tell", {}).items()}

    def alarm_list(self) -> AlarmList:
        entries = enumerate(self._content.get("pvs", ()))
        return AlarmList(
            tuple(self._entry(f"pvs > {number}", given) for number, given in entries),
            tuple(rule for each in self._content.get("rules", {}).items() for rule in self._rules(*each)),
            self._recipients,
        )

    def _entry(self, where: str, given: Mapping[str, Any]) -> PvEntry:
        manner = self._manner(where, given)
        return PvEntry(manner, given.get("pv", "*"), given.get("tango", "*"), given.get("off", False))

    def _rules(self, name: str, given: Mapping[str, Any]) -> list[Rule]:
        """The rule, or none when its formula is wrong."""
        try:
            when = parse(given["when"])
        except BadValueError as error:
            self.problems.append(f"rules > {name} > when: {error}")
            return []
        for place in _PLACE.findall(given["message"]):
            if ":" not in place and "/" not in place:
                self.problems.append(f"rules > {name} > message: {{{place}}} is neither a PV nor a Tango attribute")
        manner = self._manner(f"rules > {name}", given)
        return [Rule(name, when, Severity[given["severity"]], given["message"], manner)]

    def _manner(self, where: str, given: Mapping[str, Any]) -> Manner:
        delay_s = 0.0
        try:
            delay_s = seconds_of(given["delay"]) if "delay" in given else 0.0
        except BadValueError as error:
            self.problems.append(f"{where} > delay: {error}")
        tell = tuple(given.get("tell", ()))
        for name in tell:
            if name not in self._recipients:
                self.problems.append(f"{where} > tell: {name} is not in the section tell")
        return Manner(delay_s, given.get("latch", True), given.get("guidance", ""), tell)


def _recipient(name: str, given: Mapping[str, Any]) -> Recipient:
    return Recipient(
        name,
        tuple(given.get("mail", ())),
        given.get("server", DEFAULT_MAIL_SERVER),
        given.get("sender", ""),
        given.get("webhook", ""),
    )
