"""One telescope module of a DAQ node: its newest images, its rates, its clock, its pedestal."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from devices.core import Part, attribute
from devices.core.errors import ProtocolError
from devices.daq.frame import Frame, Key
from devices.daq.hub import Flow
from devices.drivers.pff import PRODUCTS
from devices.drivers.white_rabbit import header_time_ns, host_offset_s, unix_ns

if TYPE_CHECKING:
    from devices.daq.device import DaqNode

NANOSECONDS = 1e9
COUNTER = 1 << 16
NONE_YET = np.zeros((32, 32))


class Module(Part["DaqNode"]):
    """What is shown of one module."""

    movie = attribute(
        np.uint16, shape=(32, 32), unit="count", doc="Newest movie image of module {key}, (rows, columns)"
    )
    movie_time = attribute(float, unit="s", precision=6, doc="When it was taken, since 1970")
    movie_rate = attribute(float, unit="1/s", precision=1, initial=0.0, doc="Movie images of module {key} in a second")
    pulse_height = attribute(
        np.int16, shape=(32, 32), unit="count", doc="Newest pulse heights of module {key}, (rows, columns)"
    )
    pulse_height_time = attribute(float, unit="s", precision=9, doc="When they were taken, since 1970")
    pulse_height_rate = attribute(float, unit="1/s", precision=2, initial=0.0, doc="Pulse-height events in a second")
    host_offset = attribute(
        int, unit="s", warning=(-2, 2), doc="How far the recorder's clock is ahead of White Rabbit, -512 to 511"
    )
    desynced = attribute(int, initial=0, doc="Frames whose White Rabbit time could not be used")
    lost = attribute(int, initial=0, doc="Packets of module {key} that are missing by their numbers")
    pedestal = attribute(
        float, shape=(32, 32), unit="count", initial=NONE_YET, doc="Mean of each pixel, by calibrate_pedestal; 0 before"
    )
    pedestal_sigma = attribute(
        float, shape=(32, 32), unit="count", initial=NONE_YET, doc="Its standard deviation in one image"
    )

    def __init__(self, device: DaqNode, key: str) -> None:
        super().__init__(device, key)
        self.number = int(key)
        self._offset: int | None = None
        self._desynced = self._lost = 0
        self._counters: dict[tuple[str, int], int] = {}
        self._shown: dict[str, Frame] = {}

    def note(self, frame: Frame) -> None:
        """A frame of this module: what its clock and its counters tell."""
        try:
            found = frame.stamps
        except ProtocolError:
            return
        for place, stamp in enumerate(found):
            if not stamp.tv_sec:
                continue  # a quabo that was missing
            self._offset = host_offset_s(stamp)
            if unix_ns(stamp) is None:
                self._desynced += 1
            quabo = (frame.product.name, place if frame.product.has_quabos else frame.quabo)
            before = self._counters.get(quabo)
            self._counters[quabo] = stamp.pkt_num
            if before is not None:
                missing = (stamp.pkt_num - before - 1) % COUNTER
                if missing < COUNTER // 2:  # beyond, packets came in another order, or the board began anew
                    self._lost += missing

    def show(self, flows: dict[Key, Flow], now: float) -> None:
        """Publish what is new."""
        rates = {True: 0.0, False: 0.0}
        for key, flow in flows.items():
            if key.module != self.number:
                continue
            is_movie = PRODUCTS[key.product].is_movie
            rates[is_movie] += flow.rate(now)
            kind = "movie" if is_movie else "pulse_height"
            shown = self._shown.get(kind)
            if flow.newest is not None and (shown is None or flow.newest.received_ns > shown.received_ns):
                self._shown[kind] = flow.newest
                self._publish(kind, flow.newest)
        self.movie_rate.publish_change(round(rates[True], 2))
        self.pulse_height_rate.publish_change(round(rates[False], 3))
        if self._offset is not None:
            self.host_offset.publish_change(self._offset)
        self.desynced.publish_change(self._desynced)
        self.lost.publish_change(self._lost)

    def _publish(self, kind: str, frame: Frame) -> None:
        image, at = (self.movie, self.movie_time) if kind == "movie" else (self.pulse_height, self.pulse_height_time)
        stamp = frame.received_ns / NANOSECONDS
        image.publish(frame.image, timestamp=stamp)
        try:
            at.publish(header_time_ns(frame.stamps) / NANOSECONDS, timestamp=stamp)
        except ProtocolError as error:
            at.publish_invalid(str(error), timestamp=stamp)
