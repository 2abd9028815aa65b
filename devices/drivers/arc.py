"""ARC controllers through their controller server: commands to boards, memory, downloads."""

from __future__ import annotations

from typing import Final

from devices.core.errors import ProtocolError, RangeError, RefusedError, TimeoutError
from devices.drivers.arc_commands import FAILURES, LARGEST_ADDRESS, LARGEST_WORD, Board, Reply, Space, letters, word
from devices.drivers.controller_server import PORT, ControllerServer
from devices.drivers.lod_file import LodFile

#: Values that a data link must bring back: all bits, none, every other one.
LINK_PATTERNS: Final = (0, 0xFFFFFF, 0x555555, 0xAAAAAA, 0x123456)
UNUSED: Final = -1


class ArcDriver:
    """The commands of an ARC controller.

    Args:
        timeout: of one command, s.
    """

    def __init__(self, host: str, port: int = PORT, *, timeout: float = 2.0) -> None:
        self.server = ControllerServer(host, port, timeout=timeout)

    async def command(self, name: str, board: Board, *arguments: int, timeout: float | None = None) -> int:
        """Send a three-letter command to a board; its answer.

        Raises:
            RefusedError: ERR. TimeoutError: the board does not answer the server. And as `ControllerServer.command`.
        """
        for argument in arguments:
            if not 0 <= argument <= LARGEST_WORD:
                raise RangeError(f"{name}: {argument} is no word of 24 bits")
        words = [*arguments, *[UNUSED] * (4 - len(arguments))]
        text = f"BoardCommand {word(name)} {board.value} {' '.join(map(str, words))}"
        answer = await self.server.number(text, timeout)
        if answer in FAILURES:
            what = f"{self.server.url}: {name} {' '.join(map(str, arguments))}".rstrip()
            error = RefusedError if answer == Reply.ERR else TimeoutError
            raise error(f"{what} ({board.name} board): {FAILURES[Reply(answer)]}")
        return answer

    async def do(self, name: str, board: Board, *arguments: int, timeout: float | None = None) -> None:
        """Send a command whose answer is DON.

        Raises:
            ProtocolError: it is something else. And as `command`.
        """
        answer = await self.command(name, board, *arguments, timeout=timeout)
        if answer != Reply.DON:
            raise ProtocolError(f"{self.server.url}: {name} ({board.name} board) was answered by {letters(answer)}")

    async def read(self, board: Board, space: Space, address: int) -> int:
        """A word of a board's memory."""
        return await self.command("RDM", board, _place(space, address))

    async def write(self, board: Board, space: Space, address: int, value: int) -> None:
        """Change a word of a board's memory."""
        await self.do("WRM", board, _place(space, address), value)

    async def change_bits(self, board: Board, space: Space, address: int, bits: int, on: bool) -> None:
        """Set or clear bits of a word; it is written only where that changes it."""
        held = await self.read(board, space, address)
        wanted = held | bits if on else held & ~bits
        if wanted != held:
            await self.write(board, space, address, wanted)

    async def test_data_link(self, board: Board) -> None:
        """Whether words come back from a board as they were sent, also from one that has no program.

        Raises:
            ProtocolError: another one came.
        """
        for sent in LINK_PATTERNS:
            answer = await self.command("TDL", board, sent)
            if answer != sent:
                raise ProtocolError(
                    f"{self.server.url}: data link of the {board.name} board: 0x{sent:06X} came back as 0x{answer:06X}"
                )

    async def reset(self) -> None:
        """Reset the controller: its boards run what their boot memory has.

        Raises:
            as `ControllerServer.command`.
        """
        await self.server.command("ResetController", 4 * self.server.timeout)

    async def load_file(self, board: Board, content: bytes, timeout: float) -> None:
        """Have the server download a .lod file to a board."""
        name = await self.server.upload(content, timeout)
        try:
            await self.server.command(f"LoadFile {board.value} {name}", timeout)
        finally:
            if self.server.connected:
                await self.server.delete(name)

    async def load_words(self, board: Board, program: LodFile) -> None:
        """Download a program word by word."""
        for space, address, value in program.words():
            await self.write(board, Space[space], address, value)


def _place(space: Space, address: int) -> int:
    if not 0 <= address <= LARGEST_ADDRESS:
        raise RangeError(f"address 0x{address:X} is outside [0, 0x{LARGEST_ADDRESS:X}]")
    return space.value | address
