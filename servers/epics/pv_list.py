"""The PVs that a process serves now: each name with its record, whose it is, and who else would want it."""

from __future__ import annotations

import threading
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import NamedTuple

from servers.epics.names import Clash, NameBook
from servers.epics.records import Record


@dataclass(frozen=True)
class PvEntry:
    """One line of the list of PVs.

    Attributes:
        part: the attribute, or the command with ``()``.
        kind: element type, as a device description spells it; ``rank`` 0 scalar, 1 array, 2 image.
        level: who may write, ``operator`` or ``expert``.
        is_dangerous: a put runs what a person is to be asked about before.
        reads_only: a put runs something that changes nothing.
        period: s, the longest silence that the device promises; None when it speaks on change only.
        unit: whole, other than on Channel Access.
        labels: of an enumeration, all of them.
    """

    name: str
    device: str
    part: str
    kind: str
    rank: int
    is_writable: bool
    level: str
    is_dangerous: bool
    reads_only: bool
    period: float | None
    unit: str
    labels: tuple[str, ...]

    @classmethod
    def of(cls, record: Record, device: str, part: str) -> PvEntry:
        """What the list says of a record."""
        return cls(
            record.name,
            device,
            part,
            record.kind.value,
            record.rank,
            record.handler is not None,
            record.level,
            record.is_dangerous,
            record.reads_only,
            record.period,
            record.facts.unit,
            record.facts.labels,
        )


class Heir(NamedTuple):
    """Who has wanted a name that is free now."""

    device: str
    part: str
    record: Record


class PvList:
    """Which record has which name. Safe to use from several threads."""

    def __init__(self) -> None:
        self.book = NameBook()
        self._lock = threading.Lock()
        self._records: dict[str, Record] = {}
        self._owners: dict[str, dict[str, str]] = {}  # for each device, its PVs and the part of each
        self._losers: dict[str, dict[tuple[str, str], Record]] = {}  # who else wants a name that is taken

    def __len__(self) -> int:
        return len(self._records)

    def get(self, name: str) -> Record | None:
        """The record of a name; None when it is not served."""
        return self._records.get(name)

    @property
    def names(self) -> frozenset[str]:
        """All names that are served now."""
        with self._lock:
            return frozenset(self._records)

    def entries(self, others: Mapping[Record, tuple[str, str]]) -> list[PvEntry]:
        """One line for each PV, by name.

        Args:
            others: records that another process serves, and whose they are.
        """
        with self._lock:
            owner = {pv: (device, part) for device, pvs in self._owners.items() for pv, part in pvs.items()}
            records = {record: owner[name] for name, record in self._records.items()}
        lines = [PvEntry.of(record, *where) for record, where in (records | dict(others)).items()]
        return sorted(lines, key=lambda line: line.name)

    def add(self, device: str, part: str, record: Record) -> Clash | bool:
        """Give a record its name.

        Returns:
            whether it is new; the clash when somebody else has the name, and then it waits for that.
        """
        with self._lock:
            if self._records.get(record.name) is record:
                return False
            clash = self.book.claim(record.name, f"{device} {part}")
            if clash is not None:
                self._losers.setdefault(record.name, {})[device, part] = record
                return clash
            self._records[record.name] = record
            self._owners.setdefault(device, {})[record.name] = part
            return True

    def remove(self, device: str, parts: Collection[str]) -> tuple[list[str], list[Heir]]:
        """Take back the names of these attributes and commands.

        Returns:
            what is served no longer, and who has waited for it.
        """
        heirs: list[Heir] = []
        with self._lock:
            owned = self._owners.get(device, {})
            names = [pv for pv, part in owned.items() if part in parts]
            for name in names:
                del self._records[name], owned[name]
            self.book.release({f"{device} {part}" for part in parts})
            for name, losers in list(self._losers.items()):
                for part in parts:
                    losers.pop((device, part), None)
                if name in names or not losers:
                    heirs += [Heir(*loser, record) for loser, record in self._losers.pop(name).items()]
        return names, heirs

    def withhold(self, names: Collection[str]) -> list[str]:
        """Take names away that another process has; those that were served are returned."""
        with self._lock:
            held = [name for name in names if self._records.pop(name, None) is not None]
            for owned in self._owners.values():
                for name in held:
                    owned.pop(name, None)
        return held
