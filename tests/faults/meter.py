"""A simulated meter that shows the time: whoever has a value of it knows how old it is.

``python -m tests.faults.meter HOST PORT JOURNAL`` answers lines over TCP and prints its port. ``READ?`` is the kernel's
monotonic clock, which all processes of a machine share, whatever the date is; ``SET x`` is written to the journal
before it is answered ``OK``, and is there again after a power cut; ``SET?`` asks for it.
"""

from __future__ import annotations

import asyncio
import sys
import time
from pathlib import Path


class Meter:
    """The instrument; its journal has one line for each setting that it took."""

    def __init__(self, journal: Path) -> None:
        journal.touch()
        taken = journal.read_text().split()
        self._setting = taken[-1] if taken else "0.0"
        self._journal = journal.open("a")

    def answer(self, line: str) -> str:
        match line.split():
            case ["READ?"]:
                return f"{time.monotonic():.4f}"
            case ["SET?"]:
                return self._setting
            case ["SET", value]:
                self._setting = value
                self._journal.write(f"{value}\n")
                self._journal.flush()
                return "OK"
        return "ERR"

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while line := await reader.readline():
                writer.write(f"{self.answer(line.decode())}\n".encode())
        except OSError:
            pass  # its client was killed
        finally:
            writer.close()


async def main(host: str, port: int, journal: Path) -> None:
    server = await asyncio.start_server(Meter(journal).serve, host, port)
    print(server.sockets[0].getsockname()[1], flush=True)
    async with server:
        await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], int(sys.argv[2]), Path(sys.argv[3])))
