"""A recorder, and what it has taken."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from dataclasses import asdict

from servers.epics.mirror import Mirror
from servers.facility.pv_list import ServedPv
from servers.history.archive_list import ArchiveList, Rule
from servers.history.recorder import Recorder
from servers.history.store import Facts, Sample
from tests.facility.running import wait_for

AT_ONCE = ArchiveList((Rule(every_s=0.0),))


def pv(name: str, kind: str = "float64", device: str = "cryo/cryocon/1", part: str = "temperature_a") -> ServedPv:
    return ServedPv(name, device, part, kind, 0, False, "operator")


def list_of(mirror: Mirror) -> list[ServedPv]:
    """The PVs of a mirror as they come over Tango."""
    rows = json.loads(json.dumps([asdict(entry) for entry in mirror.list_pvs()]))
    return [ServedPv(**row | {"labels": tuple(row["labels"])}) for row in rows]


class Recording:
    """Takes when it is asked; ``samples`` are all so far.

    Args:
        port: of Channel Access, on this host.
    """

    def __init__(self, port: int, archive: ArchiveList = AT_ONCE) -> None:
        self.recorder = Recorder("127.0.0.1", port, archive)
        self.samples: list[Sample] = []
        self.facts: dict[str, Facts] = {}

    def __enter__(self) -> Recording:
        return self

    def __exit__(self, *_: object) -> None:
        self.samples += self.recorder.close()

    def follow(self, served: Iterable[ServedPv]) -> None:
        self.samples += self.recorder.follow(served)
        self.facts |= self.recorder.described()[0]

    def of(self, name: str) -> list[Sample]:
        self.samples += self.recorder.take()
        return [sample for sample in self.samples if sample.pv == name]

    def until(self, name: str, true: Callable[[Sample], bool], what: str, seconds: float = 20.0) -> Sample:
        """The newest sample of a PV, as soon as it is as wanted."""
        wait_for(lambda: (found := self.of(name)) and true(found[-1]), seconds, f"{name}: {what}")
        return self.of(name)[-1]
