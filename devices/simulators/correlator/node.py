"""One simulated node, and what goes wrong with it."""

from __future__ import annotations

import asyncio
import logging
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Final

import numpy as np

from devices.core.errors import DiptychError
from devices.drivers.correlator_client import CorrelatorClient
from devices.drivers.correlator_message import MessageName
from devices.drivers.correlator_npy import node_header
from devices.simulators.correlator.settings import NodeSettings
from devices.simulators.correlator.sky import Sky

log = logging.getLogger("diptych.simulators.correlator")

DRIP_S: Final = 0.1


@dataclass
class Sent:
    """What became of the gulps of all nodes.

    Attributes:
        accepted, refused, failed, left_out, sends: sub-bands; how often they were sent.
        receipts: digit -> answers.
    """

    accepted: int = 0
    refused: int = 0
    failed: int = 0
    left_out: int = 0
    sends: int = 0
    receipts: Counter[int] = field(default_factory=Counter)


class FaultyClient(CorrelatorClient):
    """A client whose first sends come damaged, or that is slow."""

    def __init__(self, host: str, port: int, token: str, *, corrupt: int, bytes_per_s: float | None) -> None:
        super().__init__(host, port, token=token)
        self._corrupt, self._bytes_per_s = corrupt, bytes_per_s

    async def send(self, name: MessageName, body: Sequence[bytes | memoryview]) -> tuple[int, str]:
        if self._corrupt:
            self._corrupt -= 1
            body = [b"\0" + body[0][1:], *body[1:]]
        return await super().send(name, body)

    async def transmit(self, part: bytes | memoryview) -> None:
        if self._bytes_per_s is None:
            return await super().transmit(part)
        step = max(1, int(self._bytes_per_s * DRIP_S))
        for begin in range(0, len(part), step):
            await super().transmit(part[begin : begin + step])
            await asyncio.sleep(DRIP_S)
        return None


class Clock:
    """When gulps begin, and when their nodes have them.

    Args:
        begin: of gulp 0, UTC.
    """

    def __init__(self, settings: NodeSettings, begin: datetime) -> None:
        self._settings, self._begin = settings, begin
        self._started = asyncio.get_running_loop().time()

    def isot(self, gulp: int) -> str:
        """When a gulp begins, as nodes spell it."""
        return (self._begin + timedelta(seconds=gulp * self._settings.gulp_s)).isoformat(timespec="milliseconds")

    async def ended(self, gulp: int, delay_s: float) -> float:
        """Wait until a gulp has ended; by how many gulps that was too late."""
        gulp_s = self._settings.gulp_s / self._settings.rate
        left_s = self._started + (gulp + 1) * gulp_s + delay_s - asyncio.get_running_loop().time()
        await asyncio.sleep(max(0.0, left_s))
        return max(0.0, -left_s / gulp_s)


class SimulatedNode:
    """Sends one sub-band, or all of them one after the other.

    Args:
        sub_bands: which.
        token: what the ingest asks for.
        sent: is told what became of them.
    """

    def __init__(self, sub_bands: Sequence[int], sky: Sky, settings: NodeSettings, token: str, sent: Sent) -> None:
        first = sub_bands[0]
        host, _, port = settings.server.rpartition(":")
        self._sub_bands, self._sky, self._settings, self._sent = sub_bands, sky, settings, sent
        self._client = FaultyClient(
            host.strip("[]"),
            int(port) + first * settings.multiport,
            token,
            corrupt=settings.corrupt_first,
            bytes_per_s=settings.slow_bytes_per_s if first in settings.slow_nodes else None,
        )
        self._delay_s = settings.jitter_s * sky.fault(-1, first) + settings.late_s * (first in settings.late_nodes)
        self._header = node_header((settings.size, settings.size, settings.samples), settings.headersize)
        self._told = ""

    async def run(self, clock: Clock) -> None:
        """Send gulp after gulp."""
        gulp = 0
        try:
            while not self._settings.gulps or gulp < self._settings.gulps:
                behind = await clock.ended(gulp, self._delay_s)
                if behind > self._settings.behind_gulps:
                    self._tell(f"is behind: {int(behind)} gulps are left out")
                    self._sent.left_out += int(behind) * len(self._sub_bands)
                    gulp += int(behind)
                    continue
                for sub_band in self._sub_bands:
                    await self._send(gulp, sub_band, clock.isot(gulp))
                gulp += 1
        finally:
            self._client.close()

    async def _send(self, gulp: int, sub_band: int, isot: str) -> None:
        settings, fault = self._settings, self._sky.fault(gulp, sub_band)
        if sub_band in settings.missing_nodes or fault < settings.missing_share:
            return
        image = [part.reshape(-1).view(np.uint8).data for part in self._sky.image(gulp, sub_band)]
        pointing = (settings.uv_diag_m, settings.dec_deg) if settings.pointing else ()
        name = MessageName(None if settings.one_client else sub_band, isot, *pointing)
        body: list[bytes | memoryview] = [self._header, *image]
        for _ in range(2 if fault > 1.0 - settings.duplicate_share else 1):
            try:
                delivery = await self._client.put(name, body)
            except DiptychError as error:
                self._sent.failed += 1
                self._tell(str(error))
                return
            self._sent.sends += delivery.sends
            self._sent.receipts[int(delivery.receipt)] += 1
            self._sent.accepted += delivery.accepted
            self._sent.refused += not delivery.accepted
            self._tell("" if delivery.accepted else f"{isot}: {delivery.status}: {delivery.text}")

    def _tell(self, text: str) -> None:
        """Log what is wrong once, and its end."""
        if bool(text) != bool(self._told):
            log.warning("node %s: %s", self._sub_bands[0], text or "goes on")
        self._told = text
