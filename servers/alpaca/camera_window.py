"""Window and binning of an Alpaca camera, kept until an exposure begins: one may be wrong without the others."""

from __future__ import annotations

from typing import Any

from devices.core.errors import RangeError
from servers.alpaca.camera_facts import CameraFacts
from servers.alpaca.member import get, put, whole
from servers.alpaca.subframe import Subframe

#: Numbers of Alpaca are words of 32 bits.
MOST = (1 << 31) - 1


class CameraWindow(CameraFacts):
    """The side of a camera that is told what to read."""

    def __init__(self, *words: Any) -> None:
        super().__init__(*words)
        self.subframe = Subframe.whole(self.exposure.setup)

    @get()
    def maxbinx(self) -> int:
        plane = self.exposure.setup.focal_plane
        return min(self.can.most_binning, self.exposure.setup.format.columns // plane.amps_x)

    @get()
    def maxbiny(self) -> int:
        plane = self.exposure.setup.focal_plane
        return min(self.can.most_binning, self.exposure.setup.format.rows // plane.amps_y)

    @get()
    def binx(self) -> int:
        return self.subframe.x.binning

    @put(BinX=whole)
    def put_binx(self, pixels: int) -> None:
        _check("BinX", pixels, 1, self.maxbinx())
        self.subframe = self.subframe.changed("x", binning=pixels)

    @get()
    def biny(self) -> int:
        return self.subframe.y.binning

    @put(BinY=whole)
    def put_biny(self, pixels: int) -> None:
        _check("BinY", pixels, 1, self.maxbiny())
        self.subframe = self.subframe.changed("y", binning=pixels)

    @get()
    def numx(self) -> int:
        return self.subframe.x.size

    @put(NumX=whole)
    def put_numx(self, pixels: int) -> None:
        _check("NumX", pixels, 1, MOST)
        self.subframe = self.subframe.changed("x", size=pixels)

    @get()
    def numy(self) -> int:
        return self.subframe.y.size

    @put(NumY=whole)
    def put_numy(self, pixels: int) -> None:
        _check("NumY", pixels, 1, MOST)
        self.subframe = self.subframe.changed("y", size=pixels)

    @get()
    def startx(self) -> int:
        return self.subframe.x.start

    @put(StartX=whole)
    def put_startx(self, pixels: int) -> None:
        _check("StartX", pixels, 0, MOST)
        self.subframe = self.subframe.changed("x", start=pixels)

    @get()
    def starty(self) -> int:
        return self.subframe.y.start

    @put(StartY=whole)
    def put_starty(self, pixels: int) -> None:
        _check("StartY", pixels, 0, MOST)
        self.subframe = self.subframe.changed("y", start=pixels)


def _check(name: str, pixels: int, least: int, most: int) -> None:
    if not least <= pixels <= most:
        raise RangeError(f"{name} = {pixels} px is outside [{least}, {most}] px")
