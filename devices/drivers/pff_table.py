"""The headers of a PFF file as columns: when each frame was made, by which clock, and which quabos it lacks."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from devices.drivers.pff import FIELDS, QUABOS, stamps
from devices.drivers.pff_file import PffFile
from devices.drivers.white_rabbit import unix_ns


@dataclass(frozen=True, eq=False)
class StampTable:
    """The stamps of frames.

    Attributes:
        stamps: (frames, quabos, 5), of which the last are pkt_num, pkt_tai, pkt_nsec (ns), tv_sec (s), tv_usec (us);
            zeros for a quabo that was missing. One quabo for frames that are one quabo's.
        quabo: (frames,), whose frame it is; 0 for frames of all four.
        time_ns: (frames,), ns since 1970, as PffFile.time_ns tells.
        wr_valid: (frames,), whether that is the time of White Rabbit.
    """

    stamps: NDArray[np.int64]
    quabo: NDArray[np.int64]
    time_ns: NDArray[np.int64]
    wr_valid: NDArray[np.bool_]

    @classmethod
    def read(cls, file: PffFile, progress: Callable[[int], None] = lambda frames: None) -> StampTable:
        """Read all headers; ``progress`` is told how many frames were read.

        Raises:
            ProtocolError: a header is none.
        """
        count = len(file)
        quabos = QUABOS if file.product.has_quabos else 1
        table = cls(
            np.zeros((count, quabos, len(FIELDS)), np.int64),
            np.zeros(count, np.int64),
            np.zeros(count, np.int64),
            np.zeros(count, np.bool_),
        )
        for index in range(count):
            fields = file.header(index)
            found = stamps(fields)
            table.stamps[index] = found
            table.quabo[index] = 0 if file.product.has_quabos else int(fields.get("quabo_num", 0))
            stamp = next((each for each in found if each.tv_sec), found[0])
            made_ns = unix_ns(stamp)
            table.wr_valid[index] = made_ns is not None
            table.time_ns[index] = stamp.tv_sec * 10**9 + stamp.tv_usec * 1000 if made_ns is None else made_ns
            if index % 1000 == 999 or index == count - 1:
                progress(index + 1)
        return table

    def column(self, name: str) -> NDArray[np.int64]:
        """One of the FIELDS, (frames, quabos)."""
        return self.stamps[:, :, FIELDS.index(name)]

    @property
    def frames_of(self) -> Sequence[int]:
        """Frames of each quabo: those that are its own, or in which it is not missing."""
        if self.stamps.shape[1] == 1:
            return [int((self.quabo == quabo).sum()) for quabo in range(QUABOS)]
        return [int(each) for each in (self.column("tv_sec") > 0).sum(axis=0)]

    @property
    def desynced(self) -> int:
        """Frames whose White Rabbit time could not be used."""
        return int((~self.wr_valid).sum())

    @property
    def steps_back(self) -> int:
        """Frames that were made before the one that stands before them."""
        return int((np.diff(self.time_ns) < 0).sum())

    @property
    def span_s(self) -> float:
        """From the earliest to the latest frame, s."""
        return float(np.ptp(self.time_ns)) / 1e9 if len(self.time_ns) else 0.0

    @property
    def rate(self) -> float:
        """Frames a second, 1/s; 0 for less than two frames, and when all were made at once."""
        return (len(self.time_ns) - 1) / self.span_s if self.span_s else 0.0
