"""The ARC controller as a device."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from devices.ccd.arc_link import ArcLink
from devices.ccd.arc_settings import KIND_FIRST, ArcSettings, BoardSet, Download
from devices.ccd.controller import CcdController
from devices.ccd.controller_link import ControllerLink
from devices.ccd.endpoint import endpoint
from devices.ccd.tool import ToolProperties, settle
from devices.core import Argument, attribute, command, setting
from devices.core.errors import BadValueError, ConfigurationError
from devices.drivers.arc_commands import LARGEST_ADDRESS, LARGEST_WORD, Board, Space, letters, word
from devices.drivers.controller_server import PORT

Word = Annotated[int, Argument(limits=(0, LARGEST_WORD))]
Slot = Annotated[int, Argument(limits=(0, 15), doc="By its jumpers")]
Output = Annotated[int, Argument(limits=(0, 63))]
Names = Annotated[list[str], Argument(shape=(8,))]
_NONE: list[str] = []
_NO_WORDS: list[int] = []


def _curves(numbers: tuple[int, ...]) -> None:
    if len(numbers) != 3 or any(not 0 <= each <= 3 for each in numbers):
        raise ValueError("it is not three of 0 DT670, 1 AD590, 2 1N4148, 3 1N914")


@dataclass(frozen=True)
class ArcProperties(ToolProperties):
    """Where an ARC controller is, its boards, and what they are loaded with."""

    link: str = setting(doc="tcp://HOST:2405 of the controller server", check=lambda text: endpoint(text, PORT))
    timing_board: str = setting("arc22", doc="gen1, gen2, gen3 or arc22")
    clock_boards: tuple[str, ...] = setting(("arc32",), doc="gen1, gen2 or arc32, one of each board")
    video_boards: tuple[str, ...] = setting(("arc45",), doc="gen1, gen2, arc45, arc47 or arc48, one of each board")
    utility_board: str = setting("", doc="gen1, gen2 or gen3; empty: there is none")
    timing_file: Path = setting(Path(), doc="The .lod file that a reset loads into the timing board")
    utility_file: Path = setting(Path(), doc="The .lod file for the utility board; empty: it keeps what it has")
    pci_file: Path = setting(Path(), doc="The .lod file for a PCI board; PCIe boards need none")
    download: Download = setting(Download.SERVER, doc="Who takes the files apart: SERVER, or WORDS: this side")
    video_gain: int = setting(1, doc="1, 2, 5 or 10", limits=(1, 10))
    video_speed: int = setting(1, doc="0 slow, 1 fast", limits=(0, 1))
    curves: tuple[int, ...] = setting(
        (0, 0, 0), doc="Of CAMTEMP, DEWTEMP, DIODE: 0 DT670, 1 AD590, 2 1N4148, 3 1N914", check=_curves
    )
    timeout: float = setting(2.0, doc="How long to wait for one answer, s", limits=(0.05, 60.0))
    load_timeout: float = setting(30.0, doc="How long a file may take to load, s", limits=(0.1, 600.0))
    flush_timeout: float = setting(60.0, doc="How long one flush, or a shift, may take, s", limits=(0.1, 3600.0))
    power_timeout: float = setting(10.0, doc="How long power may take to come on, s", limits=(0.1, 120.0))
    frame_timeout: float = setting(10.0, doc="How long a read-out may make no progress, s", limits=(0.1, 3600.0))
    row_delay_unit: float = setting(
        1e-6, doc="One count of the line delay of the timing program, s", limits=(1e-9, 1.0)
    )
    use_read_lock: bool = setting(False, doc="The server lets one controller read at a time")


class ArcController(CcdController):
    """An ARC (Leach, SDSU) CCD controller of generation 1, 2 or 3 behind its controller server.

    A restart leaves the controller as it is; `reset` loads the boards and powers the detector.
    """

    properties_class = ArcProperties
    properties: ArcProperties

    timing_board = attribute(str, group="Boards", doc="gen1, gen2, gen3 or arc22")
    clock_boards = attribute(str, shape=(8,), group="Boards", doc="gen1, gen2 or arc32")
    video_boards = attribute(str, shape=(8,), group="Boards", doc="gen1, gen2, arc45, arc47 or arc48")
    utility_board = attribute(str, group="Boards", doc="gen1, gen2 or gen3; empty: there is none")
    timing_file = attribute(str, group="Boards", doc="What a reset loads into the timing board")
    video_gain = attribute(int, limits=(1, 10), group="Video", doc="1, 2, 5 or 10")
    video_speed = attribute(int, limits=(0, 1), group="Video", doc="0 slow, 1 fast")
    synthetic_image = attribute(bool, initial=False, group="Video", doc="Images are a ramp that the timing board makes")

    def build(self) -> None:
        super().build()
        given = self.properties
        if not given.timing_file.is_absolute():
            raise ConfigurationError(self.name, [f"timing_file = {given.timing_file}: not an absolute path"])
        self.timing_file.publish(str(given.timing_file))
        settle(self.video_gain, given.video_gain)
        settle(self.video_speed, given.video_speed)
        settle(self.synthetic_image, False)
        self._show_boards()

    def make_link(self) -> ControllerLink:
        given = self.properties
        host, port = endpoint(given.link, PORT)
        try:
            boards = BoardSet(given.timing_board, given.clock_boards, given.video_boards, given.utility_board)
        except BadValueError as error:
            raise ConfigurationError(self.name, str(error).split("; ")) from None
        return ArcLink(
            ArcSettings(
                host,
                port,
                boards,
                timing_file=given.timing_file,
                utility_file=_file(given.utility_file),
                pci_file=_file(given.pci_file),
                download=given.download,
                video_gain=given.video_gain,
                video_speed=given.video_speed,
                timeout=given.timeout,
                load_timeout=given.load_timeout,
                flush_timeout=given.flush_timeout,
                power_timeout=given.power_timeout,
                frame_timeout=given.frame_timeout,
                row_delay_unit=given.row_delay_unit,
                curves=given.curves,
                use_read_lock=given.use_read_lock,
            )
        )

    @property
    def arc(self) -> ArcLink:
        assert isinstance(self.link, ArcLink)
        return self.link

    async def reset_now(self) -> None:
        await super().reset_now()
        settle(self.synthetic_image, False)

    def _show_boards(self) -> None:
        boards = self.arc.boards
        self.timing_board.publish(boards.timing)
        self.clock_boards.publish(boards.clocks)
        self.video_boards.publish(boards.videos)
        self.utility_board.publish(boards.utility)

    # Video -----------------------------------------------------------------------------------------------------------

    @video_gain.write
    async def write_video_gain(self, gain: int) -> None:
        self._unused("video_gain")
        await self.arc.set_video(gain, self.arc.video_speed)
        self.video_gain.publish(gain)

    @video_speed.write
    async def write_video_speed(self, speed: int) -> None:
        self._unused("video_speed")
        await self.arc.set_video(self.arc.video_gain, speed)
        self.video_speed.publish(speed)

    @synthetic_image.write
    async def write_synthetic_image(self, on: bool) -> None:
        self._unused("synthetic_image")
        await self.arc.set_synthetic(on)
        self.synthetic_image.publish(on)

    @command(level="expert", dangerous=True, group="Video")
    async def set_bias(
        self, slot: Slot, dac: Output, kind: Annotated[str, Argument(text_limit=3, doc="VID or CLK")], value: Word
    ) -> None:
        """Set one voltage of a clock or video board, until the next reset."""
        self._unused("set_bias")
        if kind.upper() not in ("VID", "CLK"):
            raise BadValueError(f"kind = {kind!r} is neither VID nor CLK")
        # Boards of the generations after arc45 have the words in another order.
        later = any(board in KIND_FIRST for board in self.arc.boards.videos) and kind.upper() == "VID"
        number, type_ = dac, word(kind.upper())
        words = (slot, type_, number, value) if later else (slot, number, type_, value)
        await self.arc.driver.do("SBN", Board.TIMING, *words)

    @command(level="expert", dangerous=True, group="Video")
    async def set_video_offset(self, slot: Slot, dac: Output, value: Word) -> None:
        """Set the offset of one video channel of an arc48 board, until the next reset."""
        self._unused("set_video_offset")
        self.arc.boards.require_video("arc48", "set_video_offset")
        await self.arc.driver.do("SVO", Board.TIMING, slot, dac, value)

    @command(level="expert", group="Video")
    async def set_mux(self, slot: Slot, first: Output, second: Output) -> None:
        """Choose which two signals of a clock board stand at its test outputs."""
        self._unused("set_mux")
        await self.arc.driver.do("SMX", Board.TIMING, slot, first, second)

    # Boards ----------------------------------------------------------------------------------------------------------

    @command(level="expert", group="Boards")
    async def set_boards(
        self,
        timing: Annotated[str, Argument(text_limit=8)],
        clocks: Names = _NONE,
        videos: Names = _NONE,
        utility: Annotated[str, Argument(text_limit=8)] = "",
    ) -> None:
        """Say what boards there are, until the device is started again; no clocks, no videos: as they are."""
        self._unused("set_boards")
        held = self.arc.boards
        self.arc.boards = BoardSet(timing, tuple(clocks) or held.clocks, tuple(videos) or held.videos, utility)
        self.is_reset.publish(False)
        self._show_boards()

    @command(level="expert", group="Boards")
    async def test_datalink(self, board: Board = Board.TIMING) -> None:
        """Send words to a board and back: a board that was not loaded answers, too, from its boot memory."""
        self._unused("test_datalink")
        await self.arc.driver.test_data_link(board)

    @command(level="expert", dangerous=True, group="Boards")
    async def set_power(self, on: bool) -> None:
        """Switch the voltages of the detector."""
        self._unused("set_power")
        arc = self.arc
        await arc.driver.do("PON" if on else "POF", arc.boards.power_board, timeout=arc.settings.power_timeout)

    @command(level="expert", group="Boards")
    async def set_idling(self, on: bool) -> None:
        """Clock the detector, or not, while nothing else goes on."""
        self._unused("set_idling")
        await self.arc.driver.do("IDL" if on else "STP", Board.TIMING)

    @command(level="expert", group="Boards")
    async def read_memory(
        self, space: Space, board: Board, address: Annotated[int, Argument(limits=(0, LARGEST_ADDRESS))]
    ) -> int:
        """A word of a board's memory."""
        self._unused("read_memory")
        return await self.arc.driver.read(board, space, address)

    @command(level="expert", dangerous=True, group="Boards")
    async def write_memory(
        self, space: Space, board: Board, address: Annotated[int, Argument(limits=(0, LARGEST_ADDRESS))], value: Word
    ) -> None:
        """Change a word of a board's memory, until the next reset."""
        self._unused("write_memory")
        await self.arc.driver.write(board, space, address, value)
        self.arc.forget_words()

    @command(level="expert", dangerous=True, group="Boards")
    async def board_command(
        self,
        name: Annotated[str, Argument(text_limit=3, doc="Three letters, e.g. SBV")],
        board: Board = Board.TIMING,
        arguments: Annotated[list[int], Argument(shape=(4,), limits=(0, LARGEST_WORD))] = _NO_WORDS,
    ) -> str:
        """Send a command to a board; its answer: three letters, or a number."""
        self._unused("board_command")
        if len(name) != 3 or not (name.isascii() and name.isalpha()):
            raise BadValueError(f"name = {name!r} is not three letters")
        return letters(await self.arc.driver.command(name.upper(), board, *map(int, arguments)))


def _file(path: Path) -> Path | None:
    return None if path == Path() else path
