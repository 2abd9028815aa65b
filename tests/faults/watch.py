"""What clients see: the watchers of a campaign, what is not good now, and what was shown as good that nobody knew."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
import time
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import IO, Any, Final

from tests.support.serving import ROOT

SEES: Final = 0.05  # s, between two looks


class Watcher:
    """One process of ``tests.faults.watcher``.

    Args:
        name: what it is called in reports.
        protocol: ``ca`` or ``pva``.
        before: what its command line begins with.
        is_far: while its cable is pulled nobody can tell it anything.
    """

    def __init__(
        self, name: str, protocol: str, pvs: Sequence[str], clocks: Sequence[str], environment: Mapping[str, str],
        log: Path, before: Sequence[str] = (), *, is_far: bool = False,
    ) -> None:  # fmt: skip
        self.name, self.is_far = name, is_far
        self.good = dict.fromkeys(pvs, False)
        self.changed_at = 0.0
        self.updates = 0
        self.oldest: dict[str, float] = {}  # clock -> the highest age at which it was shown as good
        self.gaps: list[tuple[float, float]] = []  # when a clock had no good value here
        self._lock = threading.Lock()
        with log.open("ab") as errors:
            self._process = subprocess.Popen(
                [*before, sys.executable, "-m", "tests.faults.watcher", protocol],
                cwd=ROOT, env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=errors, text=True,
            )  # fmt: skip
        self._input: IO[str] | None = self._process.stdin
        assert self._input is not None
        self._input.write(json.dumps({"pvs": list(pvs), "clocks": [each for each in clocks if each in pvs]}) + "\n")
        self._input.flush()
        threading.Thread(target=self._read, name=name, daemon=True).start()

    def take_oldest(self) -> dict[str, float]:
        """The ages since the last call."""
        with self._lock:
            found, self.oldest = self.oldest, {}
        return found

    def leave_out(self, pvs: Iterable[str]) -> None:
        for pv in pvs:
            self.good.pop(pv, None)

    def bad(self) -> list[str]:
        return [pv for pv, is_good in list(self.good.items()) if not is_good]

    def end(self) -> None:
        with suppress(OSError):
            if self._input is not None:
                self._input.close()
        try:
            self._process.wait(20.0)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()

    @property
    def is_running(self) -> bool:
        return self._process.poll() is None

    def _read(self) -> None:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            try:
                said: dict[str, Any] = json.loads(line)
            except json.JSONDecodeError:  # what libraries print
                continue
            if "old" in said:
                with self._lock:
                    self.oldest[said["old"]] = max(said["age"], self.oldest.get(said["old"], 0.0))
            elif "gap" in said:
                self.gaps.append((said["first"], said["last"]))
            elif "pv" in said:
                if said["pv"] in self.good:
                    self.good[said["pv"]] = said["good"]
                    self.changed_at = said["t"]
            elif "updates" in said:
                self.updates = said["updates"]


class Watch:
    """All watchers together."""

    def __init__(self) -> None:
        self.watchers: list[Watcher] = []
        self._worst = 0

    @property
    def gaps(self) -> list[tuple[float, float]]:
        """From which value of a clock to which one no other came to a client."""
        return [gap for each in self.watchers for gap in each.gaps]

    def bad(self) -> dict[str, list[str]]:
        return {each.name: found for each in self.watchers if (found := each.bad())}

    def look(self) -> bool:
        """Whether all is well now; the worst of all looks is kept."""
        count = max((len(each.bad()) for each in self.watchers), default=0)
        self._worst = max(self._worst, count)
        return not count

    def take_worst(self) -> int:
        """How many PVs were not good at one client, at most since the last call."""
        worst, self._worst = self._worst, 0
        return worst

    def wait_until_good(self, calm_s: float, seconds: float) -> float | None:
        """When the last PV of the last client became good, s of the monotonic clock; None: they did not.

        Args:
            calm_s: for how long nothing may be bad any more.
        """
        deadline = time.monotonic() + seconds
        good_since: float | None = None
        while time.monotonic() < deadline:
            if not self.look():
                good_since = None
            elif good_since is None:
                good_since = time.monotonic()
            elif time.monotonic() - good_since > calm_s:
                return max(each.changed_at for each in self.watchers)
            time.sleep(SEES)
        return None

    def take_oldest(self) -> dict[tuple[str, Watcher], float]:
        """PV and client -> the highest age at which it was shown as good, since the last call."""
        return {(pv, each): age for each in self.watchers for pv, age in each.take_oldest().items()}

    def end(self) -> None:
        for each in self.watchers:
            each.end()
