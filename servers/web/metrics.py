"""``/metrics`` for Prometheus: processes, the mirrors' own counters, alarms."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Final, NamedTuple

from aiohttp import web

from servers.health.exposition import CONTENT_TYPE, Metric, exposition
from servers.health.metrics import process_metrics
from servers.health.processes import processes
from servers.web.channels import Channel, Channels
from servers.web.site import Site

FIRST_S: Final = 2.0  # for the first values of all PVs


class Figure(NamedTuple):
    """A PV behind the prefix of its device, and what it is as a metric."""

    pv: str
    metric: str
    kind: str
    help: str
    severity: str = ""


MIRROR: Final = (
    Figure("Uptime", "diptych_mirror_uptime_seconds", "gauge", "Since the mirror began to serve."),
    Figure("LoopLag", "diptych_mirror_loop_lag_seconds", "gauge", "How late the Channel Access loop is."),
    Figure("Pvs", "diptych_mirror_pvs", "gauge", "PVs served."),
    Figure("Clashes", "diptych_mirror_clashes", "gauge", "PV names that two things want."),
    Figure("CaClients", "diptych_mirror_ca_clients", "gauge", "Channel Access clients connected."),
    Figure("PvaChannels", "diptych_mirror_pva_channels", "gauge", "PVs with a PVAccess client."),
    Figure("UpdateRate", "diptych_mirror_updates_per_second", "gauge", "Updates sent, both protocols."),
    Figure("Skipped", "diptych_mirror_skipped_total", "counter", "Values that a newer one replaced before they left."),
    Figure("EventLosses", "diptych_mirror_event_losses_total", "counter", "Losses of Tango events found and repaired."),
    Figure("Puts", "diptych_mirror_puts_total", "counter", "Writes by clients."),
    Figure("RefusedPuts", "diptych_mirror_refused_puts_total", "counter", "Writes refused."),
    Figure("ImageStarts", "diptych_mirror_image_starts_total", "counter", "Starts of the process of large attributes."),
)
ACTIVE: Final = ("diptych_alarms_active", "gauge", "Active alarms.")
ALARMS: Final = (
    Figure("Minor", *ACTIVE, severity="MINOR"),
    Figure("Major", *ACTIVE, severity="MAJOR"),
    Figure("Invalid", *ACTIVE, severity="INVALID"),
    Figure("Unacknowledged", "diptych_alarms_unacknowledged", "gauge", "Alarms that nobody has acknowledged."),
    Figure("Shelved", "diptych_alarms_shelved", "gauge", "Alarms set aside for a time."),
    Figure("OutOfService", "diptych_alarms_out_of_service", "gauge", "Alarms set aside until they are put back."),
    Figure("Watched", "diptych_alarms_watched_pvs", "gauge", "PVs that are watched."),
)


class Metrics:
    """Answers ``/metrics``; from the first question on it follows the PVs that it needs.

    Args:
        state_dir: of the facility; None: nothing is known of its processes.
        mirrors: prefixes of the mirrors' own PVs.
        alarms: prefix of the alarm device's PVs; "" where there is none.
    """

    def __init__(self, state_dir: Path | None, mirrors: Sequence[str], alarms: str) -> None:
        self._state_dir, self._mirrors, self._alarms = state_dir, mirrors, alarms
        self._channels: dict[str, Channel] = {}
        self._news = asyncio.Event()

    async def answer(self, request: web.Request, site: Site) -> web.Response:
        """What there is to know now; of a device that is away only that."""
        self._follow(site.channels)
        found = [] if self._state_dir is None else await asyncio.to_thread(processes, self._state_dir)
        await self._wait_for_first()
        info = Metric("diptych_info", "gauge", "1; what runs here.")
        info.add(1.0, facility=site.facility, version=site.version)
        metrics = [info, *process_metrics(found)]
        for device, prefixes, figures in (("mirror", self._mirrors, MIRROR), ("alarms", self._alarm_prefixes, ALARMS)):
            metrics += self._of_devices(device, prefixes, figures)
        return web.Response(body=exposition(metrics).encode(), headers={"Content-Type": CONTENT_TYPE})

    @property
    def _alarm_prefixes(self) -> Sequence[str]:
        return [self._alarms] if self._alarms else []

    def _of_devices(self, device: str, prefixes: Sequence[str], figures: Sequence[Figure]) -> list[Metric]:
        up = Metric(f"diptych_{device}_up", "gauge", "1 if the device answers.")
        metrics = {each.metric: Metric(each.metric, each.kind, each.help) for each in figures}
        for prefix in prefixes:
            values = {each: _value(self._channels[prefix + each.pv]) for each in figures}
            up.add(float(any(value is not None for value in values.values())), prefix=prefix)
            for figure, value in values.items():
                if value is not None:
                    severity = {"severity": figure.severity} if figure.severity else {}
                    metrics[figure.metric].add(value, prefix=prefix, **severity)
        return [up, *metrics.values()]

    def _follow(self, channels: Channels) -> None:
        if self._channels:
            return
        for prefixes, figures in ((self._mirrors, MIRROR), (self._alarm_prefixes, ALARMS)):
            for name in (prefix + each.pv for prefix in prefixes for each in figures):
                self._channels[name] = channels.watch(name, self._note)
                self._note(self._channels[name])

    def _note(self, channel: Channel) -> None:
        channel.take()
        self._news.set()

    async def _wait_for_first(self) -> None:
        deadline = time.monotonic() + FIRST_S
        while not all(each.version for each in self._channels.values()):
            self._news.clear()
            try:
                await asyncio.wait_for(self._news.wait(), deadline - time.monotonic())
            except TimeoutError:
                return  # what has not come until now is away


def _value(channel: Channel) -> float | None:
    """The value of a number that is connected and valid."""
    if not channel.is_connected or channel.value is None:
        return None
    value: Any = channel.value
    read: Callable[[str], Any] = value.get
    severity = read("alarm.severity")
    number = read("value")
    return float(number) if isinstance(number, int | float) and severity != 3 else None
