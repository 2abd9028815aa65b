"""A detector for the leash: no image is integrated, but its queue, its folders and its merges are real."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from devices.core.errors import BusyError, ConfigurationError, NotAllowedError
from devices.drivers.allowed_folders import AllowedFolders
from devices.pipelines.saxs_parameters import IntegralParameters
from devices.saxs.results import Attachment, Curve, ImageCurves, QueueCounts, Series
from servers.leash.endpoint import Endpoint
from servers.leash.network_file import NetworkEntry
from servers.leash.service import LeashService, LeashSettings

SECRET = "3f9c41d07be2a85516ce08f2b7d943"  # 30 hexadecimal digits, as saxsnetconf made them
NAN = float("nan")


class Detector:
    """Follows `servers.leash.target.Target`; the test says when an image is done and when a merge ends."""

    def __init__(self, base: Path) -> None:
        self.base = base
        self.queue: tuple[Mapping[str, Any], Sequence[Attachment]] | None = None
        self.started = 0.0
        self.files: list[str] = []
        self.closed = False
        self.curves: ImageCurves | None = None
        self.series: dict[str, Series] = {}
        self.times: list[float] = []
        self.merges = 0
        self.merging: Mapping[str, Any] | None = None
        self.logs: Sequence[Attachment] = ()
        self.news: list[str] = []
        self.merged: Mapping[str, Any] | None = None
        self.prepared = asyncio.Event()  # a new queue waits for it: its tables take seconds
        self.prepared.set()

    async def new_queue(self, calibration: Mapping[str, Any], masks: Sequence[Attachment]) -> None:
        await self.prepared.wait()
        if "Wavelength" not in calibration:
            raise ConfigurationError("calibration", ["Wavelength is missing"])
        AllowedFolders([self.base]).resolve("/".join(calibration.get("Directory", ["."])))
        if any(not mask.data.startswith(b"M\0\0\0A\0\0\0S\0\0\0K") for mask in masks):
            raise OSError("a mask is no Fit2D mask")
        self.queue, self.started, self.closed = (calibration, masks), time.time(), False
        self.curves, self.series, self.times = None, {}, []

    async def read_folder(self) -> None:
        self.curves, self.series, self.times = None, {}, []
        self.files += sorted(str(path) for path in self.base.rglob("*.tif"))

    async def close_queue(self) -> None:
        if self.queue is None:
            raise NotAllowedError("there is no queue")
        self.closed = True

    async def abort_queue(self) -> None:
        self.queue = self.curves = None
        self.files.clear()

    async def new_file(self, path: str) -> None:
        if self.queue is not None and not self.closed:
            self.files.append(str(AllowedFolders([self.base]).resolve(path)))

    def queue_counts(self) -> QueueCounts | None:
        if self.queue is None:
            return None
        return QueueCounts(len(self.times), len(self.files), self.started, merges=self.merges)

    def queue_calibration(self) -> tuple[Mapping[str, Any], Sequence[Attachment]] | None:
        return self.queue

    def newest_curves(self) -> ImageCurves | None:
        return self.curves

    def finished_times(self) -> Sequence[float]:
        return self.times

    def integral_series(self) -> Mapping[str, Series]:
        return self.series

    async def list_folder(self, components: Sequence[str]) -> tuple[Sequence[str], Sequence[tuple[str, bool]]]:
        folder = AllowedFolders([self.base]).resolve("/".join(components))
        return ("", *folder.parts[1:]), [(path.name, path.is_dir()) for path in sorted(folder.iterdir())]

    async def file_lists(self) -> Mapping[str, Sequence[str]]:
        return {"Radial0": ["work/aa.chi", "work/ab.chi"], "Slice1": ["work/aa_cS1.chi"]}

    async def start_merge(self, configuration: Mapping[str, Any], logs: Sequence[Attachment]) -> None:
        if self.merging is not None:
            raise BusyError("a merge runs")
        self.merging, self.logs = configuration, logs
        self.news.append("reading logs\n")

    def merge_news(self) -> str:
        news, self.news = "".join(self.news), []
        return news

    def merge_result(self) -> Mapping[str, Any] | None:
        return self.merged

    # What the test does -------------------------------------------------------------------------------------------

    def finish(self, name: str, i0: float) -> None:
        """An image of silver behenate is done: five bins, the last one without a pixel; a slice of four."""
        q = np.array([0.5, 1.0763, 1.5, 2.153, 2.6])
        intensity = np.array([12.0, 480.5, 15.25, 96.0, NAN])
        parameters = IntegralParameters(i0, 2.0 * i0, 5.0 * i0)
        labels = ("q [nm^-1]", "I(q) [counts/pixel]", "sigma")
        mask, cut = {"Name": "all", "Oversampling": 3}, {"Direction": "x", "CutPosition": 400}
        columns = np.arange(4.0)
        taken = 1400682300.25 + 10.0 * len(self.times)
        self.curves = ImageCurves(
            f"{self.base}/img/{name}.tif",
            f"{self.base}/work/{name}",
            taken,
            (
                Curve("Radial", 0, mask, q, intensity, np.sqrt(intensity), labels, parameters),
                Curve("Radial", 1, {"Phi-mode": True}, q, intensity, np.sqrt(intensity), labels),
                Curve("Slice", 2, cut, columns, 3.0 * columns, columns, ("Qx", "I", "sigma")),
            ),
        )
        self.times.append(time.time())
        series = self.series.setdefault("R0", Series())
        for column, value in zip(
            (series.time, series.file, series.i0, series.i1, series.i2), (taken, name, *parameters), strict=True
        ):
            column.append(value)  # type: ignore[attr-defined]

    def end_merge(self) -> None:
        shutter = {"time": [1.0, 2.0], "value": [NAN, 1.0]}
        self.merged = {"syncplot": {"Images": {}, "Shutter": shutter}, "fileslist": {"Radial0": ["work/aa.chi"]}}
        self.merging, self.merges = None, self.merges + 1


def entry(server: str = "tcp://127.0.0.1:0", feeder: str = "tcp://127.0.0.1:9", name: str = "Queue1") -> NetworkEntry:
    return NetworkEntry(Endpoint.parse(server), Endpoint.parse(feeder), SECRET, name)


@dataclass
class Running:
    """A leash in a thread with a loop of its own, so that a test may ask it as other processes do."""

    detector: Detector
    service: LeashService
    loop: asyncio.AbstractEventLoop

    @property
    def url(self) -> str:
        return self.service.endpoints[0]

    def do(self, work: Callable[..., object], *arguments: Any) -> None:
        """Call something of the detector in its loop, and wait for its end."""

        async def call() -> None:
            work(*arguments)

        asyncio.run_coroutine_threadsafe(call(), self.loop).result(5.0)


@contextmanager
def running_leash(base: Path, settings: LeashSettings | None = None) -> Iterator[Running]:
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever, daemon=True)
    thread.start()
    try:
        leash = asyncio.run_coroutine_threadsafe(_start(base, settings), loop).result(10.0)
        try:
            yield leash
        finally:
            asyncio.run_coroutine_threadsafe(leash.service.stop(), loop).result(10.0)
    finally:
        loop.call_soon_threadsafe(loop.stop)
        thread.join(10.0)
        loop.close()


async def _start(base: Path, settings: LeashSettings | None) -> Running:
    detector = Detector(base)
    service = LeashService(detector, settings or LeashSettings(entry(), follow_feeder=False))
    await service.start()
    return Running(detector, service, asyncio.get_running_loop())
