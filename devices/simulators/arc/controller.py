"""What each command of the simulated ARC controller and of its server does."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from functools import partial

import numpy as np

from devices.core.errors import BadValueError
from devices.drivers import arc_temperature
from devices.drivers.arc_commands import (
    CAMERA_TEMPERATURE,
    DEWAR_TEMPERATURE,
    DIODE,
    GAINS,
    LARGEST_WORD,
    OPTIONS,
    OPTIONS_SHUTTER_BIT,
    SET_POINT,
    SHUTTER_BIT,
    STATUS,
    SYNTHETIC_BIT,
    Board,
    Reply,
    Space,
    TimingWord,
    letters,
)
from devices.drivers.lod_file import parse_lod
from devices.simulators._ccd.detector import Axis, Window
from devices.simulators._ccd.served_camera import ServedCamera
from devices.simulators._ccd.settings import fault_words
from devices.simulators._controller_server import Refused, SimulatedController
from devices.simulators.arc.boards import Does, DspBoard
from devices.simulators.arc.settings import ArcSettings

#: The ambient temperature of the dewar's third sensor, C.
WARM_C = 20.0


class ArcController(SimulatedController):
    """The state behind the sockets.

    Attributes:
        boards: PCI, timing, utility.
        power: whether the clocks and biases are on. power_fails: PON does not bring them up.
        idling: whether the detector is clocked while nothing else goes on.
        gain, speed: of the video boards. settings_made: every SBN, SVO, SMX, as (name, arguments).
    """

    def __init__(self, settings: ArcSettings) -> None:
        super().__init__()
        words = fault_words(settings.faults)
        for fault in words:
            if hasattr(self.faults, fault):
                setattr(self.faults, fault, True)
        self.power_fails = "no_power" in words
        self.settings = settings
        self.camera = ServedCamera(settings)
        self.order = tuple(int(each) for each in settings.order.split(",") if each)
        self.values = {"ExposureTime": 0, "NumberPixelsImage": 0, "UseReadLock": 0, "ShutterState": 1}
        self.power = self.idling = False
        self.gain, self.speed = 1, 0
        self.settings_made: list[tuple[str, list[int]]] = []
        self.boards = {
            Board.PCI: DspBoard({}),
            Board.TIMING: DspBoard(self._timing_commands()),
            Board.UTILITY: DspBoard(self._power_commands() if settings.generation == 1 else {}),
        }
        for board in self.boards.values():
            board.spoils_link = "bad_link" in words

    @property
    def timing(self) -> DspBoard:
        return self.boards[Board.TIMING]

    def start(self) -> None:
        self.camera.start()

    def close(self) -> None:
        self.camera.close()

    @property
    def image(self) -> memoryview:
        return self.camera.image.data.cast("B")

    @property
    def image_ready(self) -> int:
        return self.camera.image.nbytes

    # The server

    async def reply(self, line: str) -> str:
        words = line.split()
        if self.settings.controller_type or words[:1] in (["Echo"], ["cmd"]) or words[1:2] == ["ControllerType"]:
            return await super().reply(line)
        self.commands.append(line)
        return "DEMO"

    async def answer(self, words: list[str]) -> str:
        camera = self.camera
        match words:
            case ["BoardCommand", name, board, *arguments] if len(arguments) == 4:
                used = [int(each) for each in arguments if int(each) != -1]
                return f"0x{await self._board(Board(int(board)), letters(int(name)), used):08X}"
            case ["Get", "ControllerType"]:
                return str(self.settings.controller_type)
            case ["Get", "ExposureTimeRemaining"]:
                return str(round(1000 * camera.elapsed_s))  # what has gone by, for all its name
            case ["Get", "PixelCount"]:
                return str(camera.pixels_read)
            case ["Get", name] if name in self.values:
                return str(self.values[name])
            case ["Set", name, value] if name in self.values:
                self.values[name] = int(value)
                if name == "ExposureTime":
                    camera.exposure_s = int(value) / 1000
                    camera.plan_end()
            case ["ResetController" | "ResetServer" | "RestartServer"]:
                self._reset()
            case ["StartExposure"]:
                self._needs_power()
                camera.opens_shutter = self._shutter_bit and bool(self.values["ShutterState"])
                camera.begin()
            case ["ReadImage"]:
                self._needs_power()
                self._read()
            case ["PauseExposure"]:
                camera.hold()
            case ["ResumeExposure"]:
                camera.go_on()
            case ["AbortExposure" | "AbortReadout"]:
                camera.stop()
            case ["LoadFile", board, name]:
                self._load(Board(int(board)), name)
            case ["ioctl", number]:
                int(number)
            case ["RemoveReadLock"] | ["CloseServer"]:
                pass
            case _:
                raise Refused(f"unknown command {' '.join(words)[:60]}")
        return ""

    def _reset(self) -> None:
        self.camera.stop()
        for board in self.boards.values():
            board.reset()
        self.power = self.idling = False

    def _load(self, board: Board, name: str) -> None:
        try:
            program = parse_lod(self.files[name].decode("ascii"))
            if board is Board.PCI:
                program.boot_image()
        except KeyError:
            raise Refused(f"there is no file {name}") from None
        except (BadValueError, UnicodeDecodeError) as error:
            raise Refused(str(error)) from None
        for space, address, value in program.words():
            self.boards[board].write(Space[space], address, value)

    async def _board(self, board: Board, name: str, arguments: list[int]) -> int:
        if any(not 0 <= each <= LARGEST_WORD for each in arguments):
            return Reply.ERR
        if board is Board.UTILITY and (name, arguments[:1]) in [("RDM", [Space.Y | each]) for each in range(12, 15)]:
            self._measure()
        answer = await self.boards[board].answer(name, arguments)
        if board is Board.UTILITY and (name, arguments[:1]) == ("WRM", [Space.Y | SET_POINT]):
            self.camera.cryostat.heat(arc_temperature.celsius(arguments[1], self.settings.curve))
        return answer

    # The timing board

    def _timing_commands(self) -> dict[str, Does]:
        found: dict[str, Does] = {
            "CLR": self._clear,
            "IDL": partial(self._idle, True),
            "STP": partial(self._idle, False),
            "FPX": partial(self._shift, 1),
            "RPX": partial(self._shift, -1),
            "SGN": self._set_gain,
            "SBV": self._powered,
            "CSW": self._note("CSW"),
            "SDC": self._note("SDC"),
            "WRC": self._note("WRC"),
            "SBN": self._note("SBN"),
            "SVO": self._note("SVO"),
            "SMX": self._note("SMX"),
        }
        return found | (self._power_commands() if self.settings.generation > 1 else {})

    def _power_commands(self) -> dict[str, Does]:
        return {
            "PON": partial(self._switch, True),
            "POF": partial(self._switch, False),
            "OSH": partial(self._move_shutter, True),
            "CSH": partial(self._move_shutter, False),
        }

    def _note(self, name: str) -> Does:
        async def does(arguments: list[int]) -> None:
            self.settings_made.append((name, arguments))

        return does

    async def _powered(self, arguments: list[int]) -> None:
        """SBV: voltages are kept, whether there is power or not."""

    async def _switch(self, on: bool, arguments: list[int]) -> int | None:
        self.power = on and not self.power_fails
        return Reply.ERR if on and self.power_fails else None

    async def _move_shutter(self, is_open: bool, arguments: list[int]) -> None:
        self.camera.light.force(True if is_open else None)
        if not is_open:
            self.camera.light.integrate(False)

    async def _idle(self, on: bool, arguments: list[int]) -> None:
        self.idling = on

    async def _clear(self, arguments: list[int]) -> None:
        await asyncio.sleep(self.settings.sweep_s)
        self.camera.clear()

    async def _shift(self, sign: int, arguments: list[int]) -> None:
        rows = self.timing.y(TimingWord.NPXSHIFT)
        await asyncio.sleep(rows * self.settings.row_s)
        self.camera.shift(sign * rows)

    async def _set_gain(self, arguments: list[int]) -> int | None:
        gain, speed = arguments
        if gain not in GAINS or speed not in (0, 1):
            return Reply.ERR
        self.gain, self.speed = gain, speed
        return None

    def _needs_power(self) -> None:
        if not self.timing.has_program:
            raise Refused("the timing board has no program")
        if not self.power:
            raise Refused("the power is off")

    @property
    def _shutter_bit(self) -> bool:
        if self.settings.generation == 1:
            return bool(self.boards[Board.UTILITY].memory.get((Space.X, OPTIONS), 0) & OPTIONS_SHUTTER_BIT)
        return bool(self.timing.memory.get((Space.X, STATUS), 0) & SHUTTER_BIT)

    def _read(self) -> None:
        y, word = self.timing.y, TimingWord
        amps = y(word.NSAMPS) * y(word.NPAMPS)
        columns = _axis(y, word.NSPRESKIP, word.NSUNDERSCAN, word.NSSKIP, word.NSDATA, word.NSOVERSCAN, word.NSBIN)
        rows = _axis(y, word.NPPRESKIP, word.NPUNDERSCAN, word.NPSKIP, word.NPDATA, word.NPOVERSCAN, word.NPBIN)
        pixels = amps * columns.count * rows.count
        if not pixels or pixels != self.values["NumberPixelsImage"]:
            wanted = self.values["NumberPixelsImage"]
            raise Refused(
                f"{amps} amplifiers of {columns.count} x {rows.count} px are not the {wanted} px of the image"
            )
        if self.timing.memory.get((Space.X, STATUS), 0) & SYNTHETIC_BIT:
            self.camera.show(np.arange(pixels, dtype=np.uint32).astype(np.uint16))
        else:
            delay_s = y(word.LINE_DELAY) * self.settings.line_delay_s
            self.camera.read(Window(rows, columns), amps, self.order, delay_s)

    # The utility board

    def _measure(self) -> None:
        curve, celsius = self.settings.curve, self.camera.cryostat.celsius
        for address, value in (
            (DIODE, WARM_C),
            (CAMERA_TEMPERATURE, celsius),
            (DEWAR_TEMPERATURE, self.settings.cold_c),
        ):
            self.boards[Board.UTILITY].memory[Space.Y, address] = arc_temperature.counts(value, curve)


def _axis(y: Callable[[int], int], pre: int, under: int, skip: int, data: int, over: int, binning: int) -> Axis:
    bins = max(1, y(binning))
    return Axis(y(under) + y(data) + y(over), y(skip), y(under) * bins, y(data) * bins, bins, y(pre))
