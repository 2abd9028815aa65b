"""What the instruments acknowledged, written down by their clients, and what of it is not there."""

from __future__ import annotations

import json
import socket
import threading
import warnings
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import numpy as np
from astropy.io import fits

from servers.history.sqlite_history import SqliteHistory
from servers.history.store import StoreAwayError

HOLE_S: Final = 2.5  # records of a clock that is read ten times a second and kept every half second
NEW_S: Final = 5.0  # what is newer may be on its way into the history
KEPT_IMAGES: Final = 5
REFUSED: Final = "not acknowledged"


@dataclass
class Ledger:
    """What was asked for; ``take`` is called in one thread, the rest in another.

    Attributes:
        counts: kind -> how many were acknowledged; REFUSED -> how many were not.
    """

    file: Path
    counts: dict[str, int] = field(default_factory=dict)
    _entries: list[dict[str, Any]] = field(default_factory=list)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def take(self, said: dict[str, Any]) -> None:
        with self._lock, self.file.open("a") as file:
            file.write(json.dumps(said) + "\n")
            self._entries.append(said)
            kind = said["kind"] if said["ack"] else REFUSED
            self.counts[kind] = self.counts.get(kind, 0) + 1

    def entries(self, kind: str, name: str = "") -> list[dict[str, Any]]:
        with self._lock:
            return [each for each in self._entries if each["kind"] == kind and name in ("", each["name"])]

    def acknowledged(self, kind: str, name: str = "") -> list[dict[str, Any]]:
        return [each for each in self.entries(kind, name) if each["ack"]]


def lost_in_meter(ledger: Ledger, pv: str, journal: Path) -> list[str]:
    """Acknowledged settings that the meter never took."""
    wanted = ledger.acknowledged("setting", pv)  # before the journal is read: it grows meanwhile
    taken = {float(line) for line in journal.read_text().split()}
    return [f"{pv} = {each['value']}" for each in wanted if each["value"] not in taken]


def lost_in_audit(ledger: Ledger, folder: Path) -> list[dict[str, Any]]:
    """Acknowledged settings without a line in the audit."""
    wanted, found = ledger.acknowledged("setting"), set()
    for path in folder.glob("audit.jsonl*"):
        for line in path.read_text(errors="replace").splitlines():
            try:
                entry = json.loads(line)
                found.add((entry["pv"], float(np.ravel(entry["new"])[0])))
            except (ValueError, KeyError, TypeError, IndexError):
                continue  # a line that a full disk cut, or a command
    return [each for each in wanted if (each["name"], each["value"]) not in found]


def lost_in_cryocon(ledger: Ledger, pv: str, port: int, since: float) -> list[str]:
    """The set point of the instrument itself, when it is neither the last one acknowledged nor a later one.

    Args:
        since: s of the monotonic clock; the instrument forgot what was before.
    """
    before = _since(ledger, pv, since)
    with socket.create_connection(("127.0.0.1", port), 5.0) as link:
        link.sendall(b"LOOP 1:SETPT?\n")
        answer = link.makefile().readline().strip()
    kelvin = float(answer.rstrip("KCFS"))
    last = max((number for number, each in enumerate(before) if each["ack"]), default=None)
    if last is None:
        return []
    # What was asked for while this one read is as good, and of the next one nobody has heard yet.
    allowed = [each["value"] for each in _since(ledger, pv, since)[last:]]
    if any(abs(kelvin - each) < 0.0006 for each in allowed) or _is_next(kelvin, allowed):
        return []
    return [f"{pv}: the instrument has {kelvin} K, acknowledged was {before[last]['value']} K"]


def _since(ledger: Ledger, pv: str, since: float) -> list[dict[str, Any]]:
    return [each for each in ledger.entries("setting", pv) if each["begun"] > since]


def _is_next(kelvin: float, allowed: Sequence[float]) -> bool:
    return 0.0 < kelvin - allowed[-1] < 0.003


class Images:
    """Checks images that were acknowledged, each once, and makes room for the next ones."""

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger
        self._checked = 0
        self._kept: list[Path] = []

    def lost(self) -> list[str]:
        """Images that are not there, or not whole."""
        entries = self._ledger.acknowledged("image")
        new, self._checked = entries[self._checked :], len(entries)
        problems = [problem for each in new if (problem := self._problem(each["value"]))]
        for old in self._kept[:-KEPT_IMAGES]:
            old.unlink(missing_ok=True)
        self._kept = self._kept[-KEPT_IMAGES:]
        return problems

    def _problem(self, result: dict[str, Any]) -> str:
        path = Path(result["file"])
        if result["problems"]:
            return f"{path}: {result['problems']}"
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("error")
                with fits.open(path, checksum=True) as found:
                    found.verify("exception")
                    if not any(each.data is not None and each.data.size for each in found):
                        return f"{path}: no pixels"
        except (OSError, Warning, fits.VerifyError) as error:
            return f"{path}: {type(error).__name__}: {error}"
        if path in self._kept:
            return f"{path}: two images have this name"
        self._kept.append(path)
        return ""


class Records:
    """Finds holes in the history of a clock, and records that were there and are not any more."""

    def __init__(self, file: Path, pv: str) -> None:
        self._file, self._pv = file, pv
        self._known: set[float] = set()
        self._told: set[float] = set()
        self.count = 0

    def lost(self, now: float, begun: float, allowed: Sequence[tuple[float, float]]) -> list[str]:
        """Holes and losses that were not told yet.

        Args:
            now, begun: s of the monotonic clock: the history is complete in between.
            allowed: when there may be holes.
        """
        try:
            readings = self._readings()
        except StoreAwayError as error:
            return [f"{self._pv}: {error}"]
        self.count = len(readings)
        gone = self._known - set(readings.tolist())
        self._known = {each for each in readings.tolist() if each < now - NEW_S}
        inner = readings[(readings > begun) & (readings < now - NEW_S)]
        problems = [f"{self._pv}: {len(gone)} records were there and are gone"] if gone else []
        for first, last in self._holes(inner):
            if first not in self._told and not _is_within(first, last, allowed):
                self._told.add(first)
                problems.append(f"{self._pv}: {last - first:.1f} s without a record")
        return problems

    def _holes(self, readings: np.ndarray[Any, np.dtype[np.float64]]) -> Iterator[tuple[float, float]]:
        for place in np.flatnonzero(np.diff(readings) > HOLE_S):
            yield float(readings[place]), float(readings[place + 1])

    def _readings(self) -> np.ndarray[Any, np.dtype[np.float64]]:
        """All values that were recorded as known, in order; the value tells when it was, whatever the date said."""
        history = SqliteHistory(self._file)
        try:
            (trend,) = history.query([self._pv], 0.0, 4e9, 100_000_000)
        finally:
            history.close()
        points = trend.points
        return np.unique(points.last[points.is_connected & (points.severity < 3)])


def _is_within(first: float, last: float, allowed: Sequence[tuple[float, float]]) -> bool:
    return any(begun <= last and ended >= first for begun, ended in allowed)
