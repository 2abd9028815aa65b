"""The DAQ node of PANOSETI modules: frames from a recorder, from sockets or packets, to all who want them."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any, Final

import numpy as np

from devices.core import Argument, Device, DeviceState, Operation, attribute, command, operation, pipeline
from devices.core.errors import ConfigurationError, DiptychError, NotConnectedError
from devices.daq.chosen_sources import ChosenSources
from devices.daq.events import BINS, Events
from devices.daq.frame import Frame
from devices.daq.module import Module
from devices.daq.node import Acquisition, Node
from devices.daq.properties import DaqProperties
from devices.daq.sources.source import Source
from devices.pipelines.coincidence import find_coincidences

IMAGE_PERIOD: Final = 0.1
COUNTER_PERIOD: Final = 1.0
RETRY_SECONDS: Final = 2.0
MOST_MODULES: Final = 256
MOST_CLIENTS: Final = 100
MOST_SOURCES: Final = 8

Seconds = Annotated[float, Argument(unit="s", limits=(0.01, 3600.0))]


class DaqNode(Device):
    """A data acquisition node: takes frames of PANOSETI modules from a recorder and gives them to all clients."""

    properties_class = DaqProperties
    properties: DaqProperties

    modules = attribute(int, shape=(MOST_MODULES,), initial=(), doc="Modules that frames came from")
    movie_rate = attribute(float, unit="1/s", precision=1, initial=0.0, doc="Movie images in a second, of all modules")
    pulse_height_rate = attribute(float, unit="1/s", precision=2, initial=0.0, doc="Pulse-height events in a second")
    frames = attribute(int, initial=0, doc="Frames that came since the start")
    clients = attribute(int, initial=0, doc="Clients that stream")
    client_list = attribute(str, shape=(MOST_CLIENTS,), initial=(), doc="Each client: frames sent, frames dropped")
    drops = attribute(int, initial=0, warning=(None, 1), doc="Frames that clients did not get, being too slow")
    data_dir = attribute(str, initial="", doc="Where the recorder writes")
    run_directory = attribute(str, initial="", doc="Name of the newest observing run's folder; empty: there is none")
    recording = attribute(bool, initial=False, doc="Whether frames come")
    simulating = attribute(bool, initial=False, doc="Whether frames are simulated")
    source_list = attribute(str, shape=(MOST_SOURCES,), initial=(), doc="Each source: what it counted, what is wrong")
    source_problem = attribute(str, initial="", doc="Why frames cannot come at present; empty when all is well")
    skipped_bytes = attribute(int, initial=0, warning=(None, 1), doc="Of what came, bytes that belonged to no frame")
    host_offset = attribute(int, unit="s", warning=(-2, 2), doc="Of the module whose clock differs most")
    desynced = attribute(int, initial=0, doc="Frames whose White Rabbit time could not be used")
    pulse_height_bins = attribute(float, shape=(BINS,), unit="count", doc="Of the histogram: middle of each bin")
    pulse_height_histogram = attribute(int, shape=(BINS,), doc="How often the highest pixel of an event was so high")
    coincidences = attribute(int, initial=0, doc="Events of several modules at once, by the last find_pulses")
    pedestal_images = attribute(int, initial=0, doc="Images in the last pedestal, of the module that had the fewest")

    find_coincidences = pipeline(find_coincidences)

    def build(self) -> None:
        given = self.properties
        problems = [
            f"{name} = {path!r}: not an absolute path"
            for name in ("data_dir", "data_root", "config")
            if (path := getattr(given, name)) and not Path(path).is_absolute()
        ]
        if problems:
            raise ConfigurationError(self.name, problems)
        self.events = Events()
        self.shown = self.parts(Module, [str(each) for each in given.show_modules])
        self._by_number = {module.number: module for module in self.shown.values()}
        chosen = ChosenSources(given)
        self.node = Node(chosen.make, chosen.limits, chosen.check)
        self.node.hub.listen(self._note)
        self._count = 0
        self._pedestal: dict[int, tuple[int, Any, Any]] | None = None
        self._beginning: asyncio.Task[None] | None = None
        self.pulse_height_bins.publish(Events.bin_centers())
        self.add_poll(self.poll_images, IMAGE_PERIOD, "showing images")
        self.add_poll(self.poll_counters, COUNTER_PERIOD, "showing counters")

    async def connect(self) -> None:
        if self.properties.begins_alone and self._beginning is None:
            self._beginning = asyncio.create_task(self._begin_alone(), name=f"{self.name} begins")

    async def stop(self) -> None:
        if self._beginning is not None:
            self._beginning.cancel()
        await self.node.stop()
        await super().stop()

    # Commands -----------------------------------------------------------------------------------------------------

    @command()
    async def initialise(
        self,
        data_dir: Annotated[str, Argument(doc="Where the recorder writes; empty: as before")] = "",
        interval: Annotated[float, Argument(unit="s", limits=(0.001, 60.0))] = 0.1,
        force: bool = False,
        simulate: bool = False,
    ) -> None:
        """Take frames from a recorder, or simulated ones; without ``force`` only while no client streams."""
        data_dir = data_dir or self.properties.data_dir
        await self.node.initialise(Acquisition(data_dir, interval, self._modules, simulate), force=force)

    @command()
    async def halt(self) -> None:
        """Take no more frames; clients' streams end."""
        await self.node.halt()

    @command()
    async def clear_histogram(self) -> None:
        """Begin the histogram of pulse heights, and the list of events, anew."""
        self.events.clear()
        await self.poll_counters()

    @operation()
    async def calibrate_pedestal(self, run: Operation, seconds: Seconds = 10.0) -> dict[str, Any]:
        """Take the mean and the standard deviation of every pixel of the movie images that come for some time."""
        self._pedestal = {}
        began = time.monotonic()
        try:
            while (passed := time.monotonic() - began) < seconds:
                counts = [count for count, _, _ in self._pedestal.values()]
                run.report(100.0 * passed / seconds, f"{sum(counts)} images of {len(counts)} modules")
                await asyncio.sleep(min(0.2, seconds - passed))
            found = self._pedestal
        finally:
            self._pedestal = None
        if not found or min(count for count, _, _ in found.values()) < 2:
            raise NotConnectedError(f"fewer than 2 movie images of a module came within {seconds:g} s")
        for number, (count, total, squares) in found.items():
            mean = total / count
            if (module := self._by_number.get(number)) is not None:
                module.pedestal.publish(mean)
                module.pedestal_sigma.publish(np.sqrt(np.maximum(squares - count * mean**2, 0.0) / (count - 1)))
        fewest = min(count for count, _, _ in found.values())
        self.pedestal_images.publish(fewest)
        return {"modules": {str(number): count for number, (count, _, _) in sorted(found.items())}}

    @command(reads_only=True)
    async def find_pulses(
        self,
        window: Annotated[int, Argument(unit="ns", limits=(1, 1_000_000_000))] = 1000,
        modules: Annotated[int, Argument(doc="At least so many see it", limits=(2, 1000))] = 2,
    ) -> dict[str, Any]:
        """Coincident pulse-height events of several modules among the newest 20 000."""
        times, numbers, peaks = self.events.columns()
        found = await self.find_coincidences(times, numbers, peaks, window, modules)
        self.coincidences.publish(len(found.time_ns))
        newest = slice(-100, None)
        return {
            "events": len(times),
            "coincidences": len(found.time_ns),
            "newest": [
                {"time_ns": int(at), "spread_ns": int(spread), "modules": int(seen), "amplitude": float(total)}
                for at, spread, seen, total in zip(
                    found.time_ns[newest], found.spread_ns[newest], found.modules[newest], found.amplitude[newest],
                    strict=True,
                )
            ],
        }  # fmt: skip

    # How it is done -----------------------------------------------------------------------------------------------

    @property
    def _modules(self) -> frozenset[int]:
        return frozenset(self.properties.modules)

    async def _begin_alone(self) -> None:
        given, told = self.properties, ""
        while True:
            try:
                wanted = Acquisition(given.data_dir, given.interval, self._modules, given.simulates)
                await self.node.initialise(wanted, force=True)
                return
            except DiptychError as error:
                if told != str(error):
                    told = str(error)
                    self.log.warning("cannot begin: %s", error)
                    self.node.problem = str(error)
                await asyncio.sleep(RETRY_SECONDS)

    def _note(self, frame: Frame) -> None:
        self._count += 1
        if (module := self._by_number.get(frame.module)) is not None:
            module.note(frame)
        if not frame.product.is_movie:
            self.events.note(frame)
        elif self._pedestal is not None:
            image = frame.image.astype(np.float64)
            count, total, squares = self._pedestal.get(frame.module, (0, 0.0, 0.0))
            self._pedestal[frame.module] = count + 1, total + image, squares + image**2

    async def poll_images(self) -> None:
        """Show the newest images, not more often than anybody can look at them."""
        now = time.time()
        for module in self.shown.values():
            module.show(self.node.hub.flows, now)
        self.frames.publish_change(self._count)

    async def poll_counters(self) -> None:
        """Show rates, clients, the histogram, and how the node stands."""
        now, hub, node = time.time(), self.node.hub, self.node
        movies = sum(flow.rate(now) for key, flow in hub.flows.items() if key.product.startswith("img"))
        heights = sum(flow.rate(now) for key, flow in hub.flows.items() if not key.product.startswith("img"))
        self.movie_rate.publish_change(round(movies, 2))
        self.pulse_height_rate.publish_change(round(heights, 3))
        self.modules.publish_change(np.array(hub.modules))
        self.clients.publish_change(len(node.readers))
        self.client_list.publish_change(
            tuple(f"{reader.peer}: {reader.sent} sent, {reader.dropped} dropped" for reader in node.readers)[
                :MOST_CLIENTS
            ]
        )
        self.drops.publish_change(hub.all_dropped())
        self.recording.publish_change(movies + heights > 0.0)
        self.pulse_height_histogram.publish_change(self.events.histogram.copy())
        acquisition = node.acquisition
        self.data_dir.publish_change("" if acquisition is None else acquisition.data_dir)
        self.simulating.publish_change(acquisition is not None and acquisition.simulates)
        self._show_sources(node.sources_in_use)
        shown = list(self.shown.values())
        offsets = [each.host_offset.value for each in shown if each.host_offset.reading.value is not None]
        if offsets:
            self.host_offset.publish_change(max(offsets, key=abs))
        self.desynced.publish_change(sum(each.desynced.value for each in shown))
        if not node.is_valid:
            self.set_state(DeviceState.STANDBY, node.problem)
        elif problem := self.source_problem.value:
            self.set_state(DeviceState.ALARM, problem)
        else:
            self.set_state(
                DeviceState.ON, "simulated frames" if self.simulating.value else f"frames of {self.data_dir.value}"
            )

    def _show_sources(self, sources: Sequence[Source]) -> None:
        lines = []
        for source in sources[:MOST_SOURCES]:
            counted = ", ".join(f"{count} {name.replace('_', ' ')}" for name, count in source.counters().items())
            lines.append(f"{type(source).__name__}: {counted}" + f"; {source.problem}" * bool(source.problem))
        self.source_list.publish_change(tuple(lines))
        self.source_problem.publish_change("; ".join(each.problem for each in sources if each.problem))
        self.skipped_bytes.publish_change(sum(each.skipped_bytes for each in sources))
        self.run_directory.publish_change(next((each.run_name for each in sources if each.run_name), ""))
