"""The newest candidates, with their pictures, for tables and panels."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from devices.correlator.job import Cutout
from devices.pipelines.candidates.candidate import Candidate

KEPT: Final = 100


@dataclass(frozen=True)
class Entry:
    """A candidate and its pictures."""

    candidate: Candidate
    cutout: Cutout


class CandidateLog:
    """The newest candidates, newest first."""

    def __init__(self, kept: int = KEPT) -> None:
        self._kept = kept
        self._entries: list[Entry] = []
        self.total = self.injected = 0

    def __len__(self) -> int:
        return len(self._entries)

    def __getitem__(self, place: int) -> Entry:
        return self._entries[place]

    def add(self, candidate: Candidate, cutout: Cutout) -> None:
        """Note a candidate; a later revision takes the place of the earlier one."""
        entry = Entry(candidate, cutout)
        for place, known in enumerate(self._entries):
            if known.candidate.name == candidate.name:
                self._entries[place] = entry
                return
        self.total += 1
        self.injected += candidate.injected
        self._entries.insert(0, entry)
        del self._entries[self._kept :]

    def clear(self) -> None:
        self._entries.clear()

    def column(self, name: str) -> list[Any]:
        """One field of all."""
        return [getattr(entry.candidate, name) for entry in self._entries]

    def numbers(self, name: str) -> NDArray[np.float64]:
        return np.array(self.column(name), np.float64)

    def line(self, place: int) -> str:
        """A candidate for people."""
        found = self._entries[place].candidate
        words = [
            found.name,
            f"{found.snr:.1f} sigma",
            f"DM {found.dm:.0f} pc/cm3",
            f"{found.width_s:.2f} s",
            f"y {found.y}, x {found.x}",
        ]
        if not np.isnan(found.ra_deg):
            words.append(f"RA {found.ra_deg:.3f} Dec {found.dec_deg:.3f} deg")
        if not np.isnan(found.rfi_probability):
            words.append(f"RFI {100.0 * found.rfi_probability:.0f} %")
        if found.kind != "base":
            words.append(found.kind.replace("_", " "))
        if found.injected:
            words.append("INJECTED")
        return "  ".join(words)

    def to_json(self) -> str:
        """A list of objects; NaN is null."""
        return json.dumps([plain(entry.candidate) for entry in self._entries])


def plain(candidate: Candidate) -> dict[str, Any]:
    """A candidate for JSON: NaN, which JSON lacks, is None."""
    return {
        key: None if isinstance(value, float) and np.isnan(value) else value for key, value in asdict(candidate).items()
    }
