"""The serial commands of Meade's LX200, which many mounts speak, over TCP or a serial line.

Source:
    Meade, *Telescope Serial Command Protocol*, revision 2010.10.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Final, Literal

from devices.core.errors import BadValueError, NotConnectedError, ProtocolError, RefusedError, TimeoutError
from devices.drivers.link import Link, open_link
from devices.drivers.lx200_text import format_degrees, format_hours, parse_degrees, parse_hours

#: The longest pulse: four digits of ms.
LONGEST_PULSE: Final = 9.999
ANSWER_LIMIT: Final = 256
#: A mount answers in tenths of a second; a line at 9600 baud takes 1 ms for a byte.
TIMEOUT: Final = 2.0
Read = Callable[[Link], Awaitable[str]]
Direction = Literal["n", "s", "e", "w"]
ALIGNMENTS: Final = {"A": "alt-azimuth", "P": "polar", "G": "German equatorial", "L": "land"}


class Lx200:
    """A mount on one link; who asks waits for who asked before.

    Args:
        url: ``tcp://HOST:PORT`` or ``serial:///dev/ttyUSB0?baudrate=9600``.
    """

    def __init__(self, url: str, timeout: float = TIMEOUT) -> None:
        self.url = url
        self.timeout = timeout
        self._link: Link | None = None
        self._turn = asyncio.Lock()
        self._exchanges: set[asyncio.Task[str]] = set()

    async def connect(self) -> str:
        """Open the link and switch to long formats; product and firmware.

        Raises:
            NotConnectedError, TimeoutError: nobody is there, or it says nothing.
            ProtocolError: it speaks something else.
        """
        await self.close()
        self._link = await open_link(self.url, timeout=self.timeout)
        # The format is toggled, so it is looked at first.
        if not _is_long(await self.ask("GR")):
            await self.tell("U")
            if not _is_long(text := await self.ask("GR")):
                raise ProtocolError(f"{self.url}: the right ascension stays {text!r} after :U#")
        try:
            return f"{await self.ask('GVP')} {await self.ask('GVN')}"
        except TimeoutError:
            # The first of them do not say what they are; the link was closed by it.
            self._link = await open_link(self.url, timeout=self.timeout)
            return "LX200"

    async def close(self) -> None:
        """Close the link; nothing happens if it is closed."""
        link, self._link = self._link, None
        if link is not None:
            await link.close()

    # The three kinds of answers --------------------------------------------------------------------------------------

    async def tell(self, command: str) -> None:
        """A command that is not answered."""
        await self._exchange(_words(command), _nothing)

    async def ask(self, command: str) -> str:
        """A command that is answered by a text up to ``#``."""
        return await self._exchange(_words(command), _until_hash)

    async def set(self, command: str) -> None:
        """A command that is answered by 1, or by 0 if it is refused.

        Raises:
            RefusedError: the mount does not take it.
        """
        answer = await self._exchange(_words(command), _letter)
        if answer == "0":
            raise RefusedError(f"{self.url}: the mount refuses :{command}#")
        if answer != "1":
            raise ProtocolError(f"{self.url}: {answer!r} after :{command}# is neither 0 nor 1")

    # Where it points -------------------------------------------------------------------------------------------------

    async def alignment(self) -> str:
        """How it stands: alt-azimuth, polar, German equatorial, land (where it does not track)."""
        letter = await self._exchange(b"\x06", _letter)
        if letter not in ALIGNMENTS:
            raise ProtocolError(f"{self.url}: alignment {letter!r} is none of {', '.join(ALIGNMENTS)}")
        return ALIGNMENTS[letter]

    async def right_ascension(self) -> float:
        """Of where it points, h, in the mount's own equinox."""
        return parse_hours(await self.ask("GR"))

    async def declination(self) -> float:
        """Of where it points, deg, in the mount's own equinox."""
        return parse_degrees(await self.ask("GD"))

    async def sidereal_time(self) -> float:
        """Of the mount's own clock, h."""
        return parse_hours(await self.ask("GS"))

    async def is_slewing(self) -> bool:
        """Whether it is on the way: it then shows bars of distance."""
        return bool((await self.ask("D")).strip(" \t"))

    # Moving ----------------------------------------------------------------------------------------------------------

    async def slew(self, hours: float, degrees: float) -> None:
        """Begin to go to a place in the mount's own equinox, and follow it.

        Raises:
            RefusedError: it is below the mount's horizon or above its limit; the text is the mount's.
        """
        await self._aim(hours, degrees)
        answer = await self._exchange(_words("MS"), _zero_or_text)
        if answer != "0":
            raise RefusedError(f"{self.url}: the mount does not go there: {answer[1:].strip() or answer}")

    async def sync(self, hours: float, degrees: float) -> None:
        """Tell the mount that it points to this place now, in its own equinox."""
        await self._aim(hours, degrees)
        await self.ask("CM")

    async def stop(self) -> None:
        """Stop whatever moves, but not tracking."""
        await self.tell("Q")

    async def park(self) -> None:
        """Begin to go to the place of rest."""
        await self.tell("hP")

    async def track(self, on: bool) -> None:
        """Follow the sky, or stand still (Meade: alignment alt-azimuth, or land)."""
        await self.tell("AA" if on else "AL")

    async def pulse(self, direction: Direction, seconds: float) -> None:
        """Move at guiding speed for a time; returns when it is over.

        Raises:
            BadValueError: longer than 9.999 s.
        """
        if not 0.0 <= seconds <= LONGEST_PULSE:
            raise BadValueError(f"pulse = {seconds} s is outside [0, {LONGEST_PULSE}] s")
        await self.tell(f"Mg{direction}{round(seconds * 1000):04d}")
        await asyncio.sleep(seconds)

    async def move_focus(self, seconds: float) -> None:
        """Run the motor of the focus for a time, inwards if it is negative; returns when it has stopped."""
        await self.tell("F+" if seconds > 0.0 else "F-")
        try:
            await asyncio.sleep(abs(seconds))
        finally:
            await self.tell("FQ")

    # Below -----------------------------------------------------------------------------------------------------------

    async def _aim(self, hours: float, degrees: float) -> None:
        await self.set(f"Sr{format_hours(hours)}")
        await self.set(f"Sd{format_degrees(degrees, minute=':')}")

    async def _exchange(self, request: bytes, read: Read) -> str:
        # Who is cancelled waits no longer, but the answer is still read: the next one belongs to somebody else.
        task = asyncio.ensure_future(self._alone(request, read))
        self._exchanges.add(task)
        task.add_done_callback(self._over)
        return await asyncio.shield(task)

    def _over(self, task: asyncio.Task[str]) -> None:
        self._exchanges.discard(task)
        if not task.cancelled():
            task.exception()

    async def _alone(self, request: bytes, read: Read) -> str:
        async with self._turn:
            link = self._link
            if link is None:
                raise NotConnectedError(f"{self.url}: not connected")
            try:
                await link.drain()
                await link.write(request)
                return await read(link)
            except (TimeoutError, ConnectionError, ProtocolError):
                # Whose answer comes next is not known any more.
                await self.close()
                raise


async def _nothing(link: Link) -> str:
    return ""


async def _letter(link: Link) -> str:
    return (await link.read_exactly(1)).decode("latin-1")


async def _until_hash(link: Link) -> str:
    return (await link.read_until(b"#", ANSWER_LIMIT)).decode("latin-1")


async def _zero_or_text(link: Link) -> str:
    first = await _letter(link)
    return first if first == "0" else first + await _until_hash(link)


def _words(command: str) -> bytes:
    return f":{command}#".encode("latin-1")


def _is_long(right_ascension: str) -> bool:
    parse_hours(right_ascension)
    return right_ascension.count(":") == 2
