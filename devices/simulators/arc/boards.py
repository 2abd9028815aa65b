"""The DSPs of the simulated ARC controller: memory, programs, and the commands that a board knows."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from devices.drivers.arc_commands import BOOT_COMMANDS, LARGEST_ADDRESS, LARGEST_WORD, Reply, Space

#: A program begins here; what lies below belongs to the boot memory's own program.
PROGRAM_BEGINS = 0x40

Does = Callable[[list[int]], Awaitable[int | None]]


class DspBoard:
    """One board.

    Attributes:
        memory: (space, address) -> word; what was never written is 0.
        commands: what its program does, by name; None of an answer is DON.
        has_program: whether words were written to its program memory since the last reset.
        spoils_link: TDL brings back something else.
    """

    def __init__(self, commands: dict[str, Does]) -> None:
        self.memory: dict[tuple[Space, int], int] = {}
        self.commands = commands
        self.has_program = False
        self.spoils_link = False

    def reset(self) -> None:
        """Back to the boot memory."""
        self.memory.clear()
        self.has_program = False

    def y(self, address: int) -> int:
        return self.memory.get((Space.Y, address), 0)

    def write(self, space: Space, address: int, value: int) -> None:
        self.memory[space, address] = value
        self.has_program |= space is Space.P and address >= PROGRAM_BEGINS

    async def answer(self, name: str, arguments: list[int]) -> int:
        """What a command is answered by; ERR: it knows no such command, or not yet."""
        if name not in BOOT_COMMANDS and not self.has_program:
            return Reply.ERR
        try:
            match name, arguments:
                case "TDL", [value]:
                    return value ^ 0x10 if self.spoils_link else value
                case "RDM", [place]:
                    return self.memory.get(_split(place), 0)
                case "WRM", [place, value] if value <= LARGEST_WORD:
                    self.write(*_split(place), value)
                    return Reply.DON
                case "RST", _:
                    self.reset()
                    return Reply.SYR
                case "LDA", [_]:
                    return Reply.DON
                case _:
                    does = self.commands.get(name)
                    if does is None:
                        return Reply.ERR
                    answer = await does(arguments)
                    return Reply.DON if answer is None else answer
        except (ValueError, IndexError):
            return Reply.ERR


def _split(place: int) -> tuple[Space, int]:
    return Space(place & ~LARGEST_ADDRESS), place & LARGEST_ADDRESS
