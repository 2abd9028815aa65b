"""``~/.saxsdognetwork``: the servers of a Saxsdog network and their secrets, one entry for each queue."""

from __future__ import annotations

import json
import logging
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from devices.core.errors import BadValueError, ConfigurationError, UnknownNameError
from servers.facility.document import read_json, schema_problems
from servers.leash.endpoint import Endpoint
from servers.leash.private_file import open_to_others, write_private
from servers.leash.request import read_schema

log = logging.getLogger(__name__)

NAME: Final = ".saxsdognetwork"
#: As some instructions spell it; read where there is no other.
OTHER_NAME: Final = ".saxdognetwork"
FEWEST_SECRET_CHARACTERS: Final = 16


@dataclass(frozen=True)
class NetworkEntry:
    """One server.

    Attributes:
        server: where clients send their commands to.
        feeder: where complete images are announced.
        secret: what requests are signed with.
        name: of the queue.
    """

    server: Endpoint
    feeder: Endpoint
    secret: str
    name: str

    def document(self) -> dict[str, str]:
        """The entry as it stands in the file."""
        return {"Server": str(self.server), "Feeder": str(self.feeder), "Secret": self.secret, "Name": self.name}

    def __repr__(self) -> str:  # without the secret
        return f"NetworkEntry({self.name}, {self.server}, {self.feeder})"


def network_file(home: Path | None = None) -> Path:
    """The file of a home folder, whichever way it is spelled; of neither the first."""
    home = home or Path.home()
    first, other = home / NAME, home / OTHER_NAME
    return other if other.exists() and not first.exists() else first


def read_network(path: Path | None = None) -> tuple[NetworkEntry, ...]:
    """All entries of a network file, by default that of the home folder; logs a warning when others may read it.

    Raises:
        ConfigurationError: it is missing or faulty; every problem.
    """
    path = path or network_file()
    if not path.exists():
        raise ConfigurationError(str(path), ["no such file: saxsnetconf makes one, or copy that of the server's host"])
    document = read_json(path)
    problems = schema_problems(document, read_schema("network"))
    entries = [] if problems else [_entry(number, each, problems) for number, each in enumerate(document)]
    if problems:
        raise ConfigurationError(str(path), problems)
    if warning := open_to_others(path):
        log.warning("%s: %s", path, warning)
    for entry in entries:
        if entry is not None and len(entry.secret) < FEWEST_SECRET_CHARACTERS:
            log.warning("%s: the Secret of %s has only %d characters", path, entry.name, len(entry.secret))
    return tuple(entry for entry in entries if entry is not None)


def entry_of(entries: Sequence[NetworkEntry], number: int) -> NetworkEntry:
    """The entry of a number, from 0.

    Raises:
        UnknownNameError: there are fewer.
    """
    if not 0 <= number < len(entries):
        known = ", ".join(f"{place} ({entry.name})" for place, entry in enumerate(entries)) or "none"
        raise UnknownNameError(f"there is no server number {number}; the file has {known}")
    return entries[number]


def write_network(path: Path, entries: Sequence[NetworkEntry]) -> None:
    """Replace a network file; only its owner may read it."""
    write_private(path, json.dumps([entry.document() for entry in entries], indent=4) + "\n")


def _entry(number: int, found: dict[str, Any], problems: list[str]) -> NetworkEntry | None:
    ends = {}
    for key in ("Server", "Feeder"):
        try:
            ends[key] = Endpoint.parse(found[key])
        except BadValueError as error:
            problems.append(f"{number} > {key}: {error}")
    try:
        found["Secret"].encode()
    except UnicodeEncodeError:
        problems.append(f"{number} > Secret: is no text that UTF-8 can spell")
    if len(ends) < 2:
        return None
    return NetworkEntry(ends["Server"], ends["Feeder"], found["Secret"], found["Name"])
