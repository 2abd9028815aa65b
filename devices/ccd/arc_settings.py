"""How one ARC controller is reached, what boards it has, what it is loaded with."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from typing import Final

from devices.core.errors import BadValueError, RefusedError
from devices.drivers.arc_commands import Board
from devices.drivers.controller_server import PORT

#: Names of timing boards -> generation of the controller.
TIMING_BOARDS: Final[Mapping[str, int]] = {"gen1": 1, "gen2": 2, "gen3": 3, "arc22": 3}
CLOCK_BOARDS: Final = ("gen1", "gen2", "arc32")
VIDEO_BOARDS: Final = ("gen1", "gen2", "arc45", "arc47", "arc48")
UTILITY_BOARDS: Final = ("gen1", "gen2", "gen3")
#: Video boards whose biases are set by board, kind, number; the others by board, number, kind.
KIND_FIRST: Final = ("arc47", "arc48")


class Download(Enum):
    """Who takes a .lod file apart."""

    SERVER = "the controller server, by LoadFile"
    WORDS = "this side, word by word"


@dataclass(frozen=True)
class BoardSet:
    """The boards of a controller, by the names that azcam has for them.

    Attributes:
        utility: empty: there is none.
    """

    timing: str = "arc22"
    clocks: tuple[str, ...] = ("arc32",)
    videos: tuple[str, ...] = ("arc45",)
    utility: str = ""

    def __post_init__(self) -> None:
        problems = []
        for what, names, known in (
            ("timing_board", (self.timing,), tuple(TIMING_BOARDS)),
            ("clock_boards", self.clocks, CLOCK_BOARDS),
            ("video_boards", self.videos, VIDEO_BOARDS),
            ("utility_board", (self.utility,) if self.utility else (), UTILITY_BOARDS),
        ):
            problems += [f"{what} = {name!r} is none of {', '.join(known)}" for name in names if name not in known]
        if self.timing == "gen1" and not self.utility:
            problems.append("a gen1 controller has power and shutter on its utility_board, which is empty")
        if problems:
            raise BadValueError("; ".join(problems))

    @property
    def generation(self) -> int:
        return TIMING_BOARDS[self.timing]

    @property
    def power_board(self) -> Board:
        """Where power and shutter are."""
        return Board.UTILITY if self.generation == 1 else Board.TIMING

    @property
    def boards(self) -> tuple[Board, ...]:
        """That have a DSP."""
        return (Board.PCI, Board.TIMING, *([Board.UTILITY] if self.utility else []))

    def require_video(self, board: str, what: str) -> None:
        """Refuse what another video board has.

        Raises:
            RefusedError: the controller has no such board.
        """
        if board not in self.videos:
            raise RefusedError(f"{what} is a command of {board} boards; video_boards = {list(self.videos)}")


@dataclass(frozen=True)
class ArcSettings:
    """Of `ArcLink`.

    Attributes:
        boards: of the controller.
        timing_file, utility_file, pci_file: .lod files that `reset` loads; None: the board keeps what it has. PCIe
            boards take no pci_file.
        download: who takes the files of timing and utility board apart.
        video_gain: 1, 2, 5 or 10. video_speed: 0 slow, 1 fast.
        timeout: of one command, s. load_timeout: of a file, s. flush_timeout: of one flush, s.
        power_timeout: until the power is on, s. frame_timeout: longest time in which a read-out makes no progress, s.
        row_delay_unit: of one count of the timing program's line delay, s.
        curves: of the sensors CAMTEMP, DEWTEMP, DIODE: 0 DT670, 1 AD590, 2 1N4148, 3 1N914.
        use_read_lock: the server lets one controller read at a time.
    """

    host: str
    port: int = PORT
    boards: BoardSet = BoardSet()
    timing_file: Path | None = None
    utility_file: Path | None = None
    pci_file: Path | None = None
    download: Download = Download.SERVER
    video_gain: int = 1
    video_speed: int = 1
    timeout: float = 2.0
    load_timeout: float = 30.0
    flush_timeout: float = 60.0
    power_timeout: float = 10.0
    frame_timeout: float = 10.0
    row_delay_unit: float = 1e-6
    curves: tuple[int, ...] = (0, 0, 0)
    use_read_lock: bool = False
