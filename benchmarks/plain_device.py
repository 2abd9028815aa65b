"""The peer: the device of ``model_device`` as somebody writes it by hand with PyTango. Run with a port."""

from __future__ import annotations

import sys
import threading
import time

import numpy as np
import tango
from tango.server import Device, attribute, command

from benchmarks.model_device import IMAGE, SPECTRUM

NAME = "bench/plain/1"


class PlainDevice(Device):
    def init_device(self) -> None:
        super().init_device()
        self._value = 77.5
        self._seconds = 4.0
        self._spectrum = np.linspace(0.0, 1.0, SPECTRUM)
        self._image = (np.arange(np.prod(IMAGE)).reshape(IMAGE) % 65536).astype(np.uint16)
        for name in ("value", "text", "spectrum", "image"):
            self.set_change_event(name, True, False)

    @attribute(dtype=float, unit="K")
    def value(self) -> float:
        return self._value

    @attribute(dtype=str)
    def text(self) -> str:
        return "Nothing to report, all is well."

    @attribute(dtype=(float,), max_dim_x=SPECTRUM)
    def spectrum(self) -> np.ndarray:
        return self._spectrum

    @attribute(dtype=((np.uint16,),), max_dim_x=IMAGE[1], max_dim_y=IMAGE[0])
    def image(self) -> np.ndarray:
        return self._image

    @attribute(dtype=float, unit="s")
    def seconds(self) -> float:
        return self._seconds

    @seconds.write
    def seconds(self, seconds: float) -> None:
        self._seconds = seconds

    @command(dtype_in=float)
    def steady(self, rate: float) -> None:
        threading.Thread(target=self._publish, args=(rate,), daemon=True).start()

    def _publish(self, rate: float) -> None:
        with tango.EnsureOmniThread():
            begin = time.perf_counter()
            for number in range(int(rate * self._seconds)):
                time.sleep(max(0.0, begin + number / rate - time.perf_counter()))
                self._value = now = time.time()
                self.push_change_event("value", now, now, tango.AttrQuality.ATTR_VALID)
            self._value = 0.0
            self.push_change_event("value", 0.0)


if __name__ == "__main__":
    endpoint = f"giop:tcp:127.0.0.1:{sys.argv[1]}"
    tango.server.run((PlainDevice,), args=["PlainDevice", "bench", "-nodb", "-ORBendPoint", endpoint, "-dlist", NAME])
