"""The simulated Alpaca camera: a detector with one amplifier, a shutter, a cooler."""

from __future__ import annotations

import asyncio
import time
from enum import IntEnum
from typing import Any

import numpy as np
from numpy.typing import NDArray

from devices.drivers.alpaca_errors import ErrorNumber
from devices.simulators._ccd.cryostat import Cryostat
from devices.simulators._ccd.detector import Axis, Detector, Window
from devices.simulators._ccd.sky import make_sky
from devices.simulators.alpaca.members import COMMANDS, Member, Refused, within
from devices.simulators.alpaca.settings import AlpacaSettings, Faults

AMBIENT_C = 20.0
LARGEST_ADU = 65_535


class State(IntEnum):
    """``CameraState``."""

    IDLE = 0
    WAITING = 1
    EXPOSING = 2
    READING = 3
    DOWNLOAD = 4
    ERROR = 5


class SimulatedCamera(Member):
    """Exposures take their time, then the read-out takes that of its pixels.

    Attributes:
        window: first column and row, columns and rows, all binned. binning: along x and y.
        image: of the last exposure, (y, x); None: there is none.
    """

    kind = "Camera"
    name = "Simulated camera"

    def __init__(self, settings: AlpacaSettings, faults: Faults) -> None:
        super().__init__()
        self.settings, self.faults = settings, faults
        self.binning = [1, 1]
        self.window = [0, 0, settings.columns, settings.rows]
        self.state = State.IDLE
        self.image: NDArray[np.uint16] | None = None
        self.cryostat = Cryostat(settings.cold_c, AMBIENT_C)
        self.cryostat.heat(AMBIENT_C)
        self._cooler, self._setpoint = False, -20.0
        self._gain, self._offset, self._mode = 100, 10, 0
        self._detector: Detector | None = None
        self._task: asyncio.Task[None] | None = None
        self._stopped = asyncio.Event()
        self._began, self._duration, self._percent = 0.0, 0.0, 0
        self._last: tuple[float, float] | None = None
        self.absent = COMMANDS | {
            *("gains", "offsets", "fastreadout", "ispulseguiding", "pulseguide"),
            *("bayeroffsetx", "bayeroffsety", "subexposureduration"),
            *(() if settings.has_cooler else ("cooleron", "coolerpower", "setccdtemperature")),
            *(() if settings.can_stop else ("stopexposure",)),
            *(() if settings.can_abort else ("abortexposure",)),
        }
        self.constants = {
            "canasymmetricbin": bool(settings.asymmetric),
            "canabortexposure": bool(settings.can_abort),
            "canstopexposure": bool(settings.can_stop),
            "cansetccdtemperature": bool(settings.has_cooler),
            "cangetcoolerpower": bool(settings.has_cooler),
            "canfastreadout": False,
            "canpulseguide": False,
            "cameraxsize": settings.columns,
            "cameraysize": settings.rows,
            "maxbinx": settings.most_binning,
            "maxbiny": settings.most_binning,
            "exposuremin": settings.shortest_s,
            "exposuremax": settings.longest_s,
            "exposureresolution": 0.001,
            "electronsperadu": settings.gain_e_adu,
            "fullwellcapacity": settings.full_well_e,
            "hasshutter": bool(settings.has_shutter),
            "maxadu": LARGEST_ADU,
            "pixelsizex": 7.4,
            "pixelsizey": 7.4,
            "sensorname": "SIM-1600",
            "sensortype": 0,
            "gainmin": 0,
            "gainmax": 400,
            "offsetmin": 0,
            "offsetmax": 100,
            "readoutmodes": ["Normal", "Low noise"],
            "heatsinktemperature": AMBIENT_C + 3.0,
        }

    def prepare(self) -> None:
        """Make the light that falls onto the detector; takes a second for a large one."""
        self._detector = Detector(self.settings, 1, make_sky(self.settings))

    def close(self) -> None:
        self._end()

    # Window and binning

    def get_binx(self) -> int:
        return self.binning[0]

    def get_biny(self) -> int:
        return self.binning[1]

    def put_binx(self, BinX: int) -> None:
        self._bin(0, BinX)

    def put_biny(self, BinY: int) -> None:
        self._bin(1, BinY)

    def _bin(self, axis: int, value: int) -> None:
        within("Bin" + "XY"[axis], value, 1, self.settings.most_binning)
        self.binning[axis] = value

    def get_startx(self) -> int:
        return self.window[0]

    def get_starty(self) -> int:
        return self.window[1]

    def get_numx(self) -> int:
        return self.window[2]

    def get_numy(self) -> int:
        return self.window[3]

    # As most drivers: whether a window fits is judged when an exposure begins.
    def put_startx(self, StartX: int) -> None:
        self.window[0] = StartX

    def put_starty(self, StartY: int) -> None:
        self.window[1] = StartY

    def put_numx(self, NumX: int) -> None:
        self.window[2] = NumX

    def put_numy(self, NumY: int) -> None:
        self.window[3] = NumY

    # Exposures

    def get_camerastate(self) -> int:
        return self.state

    def get_imageready(self) -> bool:
        return self.image is not None

    def get_percentcompleted(self) -> int:
        if self.state is State.EXPOSING:
            return min(100, int(100 * (time.monotonic() - self._began) / max(self._duration, 1e-9)))
        return self._percent

    def get_lastexposureduration(self) -> float:
        return self._last_exposure()[1]

    def get_lastexposurestarttime(self) -> str:
        began = time.gmtime(self._last_exposure()[0])
        return time.strftime("%Y-%m-%dT%H:%M:%S", began)

    def _last_exposure(self) -> tuple[float, float]:
        if self._last is None:
            raise Refused(ErrorNumber.VALUE_NOT_SET, "no exposure has ended yet")
        return self._last

    def put_startexposure(self, Duration: float, Light: bool) -> None:
        given = self.settings
        if self.state not in (State.IDLE, State.ERROR):
            raise Refused(ErrorNumber.INVALID_OPERATION, f"the camera is busy: {self.state.name}")
        within("Duration", Duration, given.shortest_s, given.longest_s)
        if not given.asymmetric and self.binning[0] != self.binning[1]:
            raise Refused(ErrorNumber.INVALID_VALUE, f"BinX = {self.binning[0]} and BinY = {self.binning[1]} differ")
        for axis, size in enumerate((given.columns, given.rows)):
            start, number = self.window[axis], self.window[axis + 2]
            most = size // self.binning[axis]
            within("Start" + "XY"[axis], start, 0, most - 1)
            within("Num" + "XY"[axis], number, 1, most - start)
        self.image, self._last = None, None
        self.state, self._percent = State.EXPOSING, 0
        self._began, self._duration = time.monotonic(), Duration
        self._stopped = asyncio.Event()
        self._task = asyncio.create_task(self._expose(Duration, Light), name="exposure")

    def put_stopexposure(self) -> None:
        self._stopped.set()

    def put_abortexposure(self) -> None:
        self._end()

    def _end(self) -> None:
        if self._task is not None:
            self._task.cancel()
            self._task = None
        self.state = State.IDLE

    async def _expose(self, duration: float, light: bool) -> None:
        began = time.time()
        try:
            await asyncio.wait_for(self._stopped.wait(), duration)
        except TimeoutError:
            lasted = duration
        else:
            lasted = min(duration, time.time() - began)
        if self.faults.error_state:
            self.state = State.ERROR
            return
        self.state = State.READING
        # Without a shutter, what should be dark is not.
        is_open = light or not self.settings.has_shutter
        due = time.monotonic() + self.window[2] * self.window[3] / self.settings.pixel_rate_hz
        image = await asyncio.to_thread(self._read, lasted if is_open else 0.0, lasted)
        beginning = time.monotonic()
        while (left := due - time.monotonic()) > 0.0:
            self._percent = int(100 * (1.0 - left / (due - beginning)))
            await asyncio.sleep(min(left, 0.05))
        while self.faults.no_image:  # noqa: ASYNC110 - a fault that a test takes away
            await asyncio.sleep(0.02)
        self._last, self.image, self._percent, self.state = (began, lasted), image, 100, State.IDLE

    def _read(self, open_s: float, dark_s: float) -> NDArray[np.uint16]:
        columns, rows = (
            Axis(self.window[axis + 2], self.window[axis] * binning, 0, self.window[axis + 2] * binning, binning)
            for axis, binning in enumerate(self.binning)
        )
        if self.faults.short_image:
            columns = Axis(columns.count - 1, columns.skip, 0, columns.data - columns.binning, columns.binning)
        if self.settings.scene == "test":
            return test_pattern(columns, rows)
        assert self._detector is not None, "not prepared"
        image: NDArray[Any] = self._detector.image(Window(rows, columns), open_s, dark_s, self.cryostat.celsius)[0]
        return image

    # Cooler

    def get_ccdtemperature(self) -> float:
        return round(self.cryostat.celsius, 3)

    def get_cooleron(self) -> bool:
        return self._cooler

    def put_cooleron(self, CoolerOn: bool) -> None:
        self._cooler = CoolerOn
        self.cryostat.heat(max(self._setpoint, self.settings.cold_c) if CoolerOn else AMBIENT_C)

    def get_setccdtemperature(self) -> float:
        return self._setpoint

    def put_setccdtemperature(self, SetCCDTemperature: float) -> None:
        within("SetCCDTemperature", SetCCDTemperature, -60.0, 40.0)
        self._setpoint = SetCCDTemperature
        self.put_cooleron(self._cooler)

    def get_coolerpower(self) -> float:
        depth = (AMBIENT_C - self.cryostat.celsius) / (AMBIENT_C - self.settings.cold_c)
        return round(100.0 * min(1.0, max(0.0, depth)), 1) if self._cooler else 0.0

    # Video chain

    def get_gain(self) -> int:
        return self._gain

    def put_gain(self, Gain: int) -> None:
        within("Gain", Gain, 0, 400)
        self._gain = Gain

    def get_offset(self) -> int:
        return self._offset

    def put_offset(self, Offset: int) -> None:
        within("Offset", Offset, 0, 100)
        self._offset = Offset

    def get_readoutmode(self) -> int:
        return self._mode

    def put_readoutmode(self, ReadoutMode: int) -> None:
        within("ReadoutMode", ReadoutMode, 0, 1)
        self._mode = ReadoutMode

    def get_devicestate(self) -> list[dict[str, object]]:
        names = {"CameraState": "camerastate", "CCDTemperature": "ccdtemperature", "ImageReady": "imageready"}
        return [{"Name": name, "Value": self.get(member, {})} for name, member in names.items()]


def test_pattern(columns: Axis, rows: Axis) -> NDArray[np.uint16]:
    """The scene ``test``: 31 * row + 1000 * (column % 8) + column of the detector, from 0, first ones of each bin."""
    x = columns.skip + columns.binning * np.arange(columns.count)
    y = rows.skip + rows.binning * np.arange(rows.count)
    return ((31 * y[:, np.newaxis] + 1000 * (x % 8) + x) % (LARGEST_ADU + 1)).astype(np.uint16)
