"""The processes of EPICS clients, as the soak drives them: started, asked, killed and started again."""

from __future__ import annotations

import json
import queue
import subprocess
import sys
import threading
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.support.serving import ROOT

#: program -> first client and how many, for each process; 20 clients in all.
PROCESSES = [("pva", 0, 4), ("pva", 4, 4), ("socket", 8, 8), *(("ca", number, 1) for number in range(16, 20))]


@dataclass
class Tally:
    """What all processes have said, those that were killed too."""

    faults: list[dict[str, Any]] = field(default_factory=list)
    ended: dict[str, int] = field(default_factory=dict)

    def add(self, counts: Mapping[str, int]) -> None:
        for name, count in counts.items():
            self.ended[name] = self.ended.get(name, 0) + count


class ClientProcess:
    """One process; ``answers`` come in any order, and end when the process does."""

    def __init__(self, place: int, seed: int, environment: Mapping[str, str], tally: Tally, log: Path) -> None:
        program, first, count = PROCESSES[place]
        self.place = place
        self.is_killed = False
        self.counts: dict[str, int] = {}
        self.live = 0
        self._tally = tally
        self._answers: dict[int, queue.Queue[dict[str, Any]]] = {}
        self._lock = threading.Lock()
        with log.open("ab") as errors:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "tests.soak.client", program, str(first), str(count), str(seed)],
                cwd=ROOT, env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=errors, text=True,
            )  # fmt: skip
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def check(self, number: int, **asked: Any) -> queue.Queue[dict[str, Any]]:
        """Where the answer will be; an empty one when the process ends before."""
        answer: queue.Queue[dict[str, Any]] = queue.Queue()
        with self._lock:
            self._answers[number] = answer
        try:
            assert self._process.stdin is not None
            self._process.stdin.write(json.dumps({"check": number, **asked}) + "\n")
            self._process.stdin.flush()
        except (OSError, ValueError):  # it ended just now
            answer.put({})
        return answer

    def kill(self) -> None:
        self.is_killed = True
        self._process.kill()
        self._process.wait()
        self._reader.join()

    def leave(self) -> int:
        """Have all clients leave; the exit code."""
        assert self._process.stdin is not None
        self._process.stdin.close()
        try:
            return self._process.wait(60.0)
        except subprocess.TimeoutExpired:
            self._process.kill()
            return self._process.wait()
        finally:
            self._reader.join()

    def _read(self) -> None:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            try:
                said = json.loads(line)
            except json.JSONDecodeError:  # what libraries print, or a line that a kill cut
                continue
            if "fault" in said:
                self._tally.faults.append(said)
            elif "counts" in said:
                self.counts, self.live = said["counts"], said["live"]
            else:
                with self._lock:
                    self._answers.pop(said["answer"]).put(said)
        code = self._process.wait()
        if code and not self.is_killed:
            self._tally.faults.append({"fault": "client", "text": f"{PROCESSES[self.place]} ended with {code}"})
        self._tally.add(self.counts)
        self.counts, self.live = {}, 0
        with self._lock:
            for answer in self._answers.values():
                answer.put({})


class Clients:
    """All processes; each method may be called in any thread."""

    def __init__(self, environment: Mapping[str, str], log: Path) -> None:
        self.tally = Tally()
        self.kills = 0
        self._environment, self._log = environment, log
        self._lock = threading.Lock()
        self._checks = 0
        self._processes: list[ClientProcess] = []

    def come(self, seed: int) -> None:
        """Start all of them."""
        self._processes = [self._started(place, seed + place) for place in range(len(PROCESSES))]

    def leave(self) -> None:
        """Have all of them leave, and wait."""
        for process in self._processes:
            process.leave()
        self._processes = []

    def check(self, rack: int, sequence: int, died_at: float | None, seconds: float) -> dict[str, Any]:
        """What all subscribers of a rack that are there and stay show: see ``client.check``."""
        with self._lock:
            self._checks += 1
            number = self._checks
            asked = {"rack": rack, "sequence": sequence, "died_at": died_at, "seconds": seconds}
            waiting = [process.check(number, **asked) for process in self._processes]
        answers = [answer for each in waiting if (answer := each.get(timeout=seconds + 30.0))]
        return {
            key: sum((answer[key] for answer in answers), start=type(answers[0][key])())
            for key in ("checked", "saw", "missed", "blind")
        }

    def kill(self, place: int, seed: int) -> None:
        """Kill a process, and start another in its place."""
        with self._lock:
            process = self._processes[place]
            process.kill()
            self._processes[place] = self._started(place, seed)
            self.kills += 1

    @property
    def counts(self) -> dict[str, int]:
        total = Tally(ended=dict(self.tally.ended))
        for process in list(self._processes):
            total.add(process.counts)
        return total.ended

    @property
    def live(self) -> int:
        """Subscriptions now."""
        return sum(process.live for process in list(self._processes))

    def _started(self, place: int, seed: int) -> ClientProcess:
        return ClientProcess(place, seed, self._environment, self.tally, self._log)
