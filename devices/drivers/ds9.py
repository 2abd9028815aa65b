"""SAOImage DS9: pictures, regions, the cursor; through XPA or through SAMP."""

from __future__ import annotations

import asyncio
import re
from abc import ABC, abstractmethod
from pathlib import Path
from typing import Any, Final, Literal, NamedTuple

from devices.core.errors import BadValueError, ProtocolError, RefusedError, StorageError, TimeoutError
from devices.drivers.samp import SampHub, file_of_url
from devices.drivers.xpa import MOST_BYTES, AccessPoint, NameServer

System = Literal["image", "physical", "detector", "amplifier"]
#: Of a file: the first picture in it, all extensions each where its DETSEC says, or the extension of this number.
Part = Literal["", "mosaic"] | int
#: How long a person may take to press a key, s.
PATIENCE_S: Final = 600.0
#: A question through SAMP is asked again after this time, s, and so many times.
ANSWER_S: Final = 2.0
ASKED_AGAIN: Final = 3
_SHAPE: Final = re.compile(r"(\w+)\(([^()]*)\)")
_PIXEL: Final = re.compile(r"(\d+),(\d+) = (\S+)")


class Shape(NamedTuple):
    """A region: box, circle, ... with ds9's numbers of it; of a box the centre, columns, rows and degrees."""

    kind: str
    numbers: tuple[float, ...]


class Press(NamedTuple):
    """A key, ``<1>`` for the button of the mouse, and where the cursor was: column and row of the image, from 1."""

    key: str
    x: float
    y: float


class Ds9Link(ABC):
    """How a ds9 is reached."""

    @abstractmethod
    async def get(self, words: str, timeout_s: float | None = None) -> str:
        """Ask for something; RefusedError has ds9's words."""

    @abstractmethod
    async def set(self, words: str) -> None:
        """Tell something."""

    @abstractmethod
    async def load(self, words: str, path: Path, suffix: str = "") -> None:
        """Tell something that goes with a file, named by its whole path; the suffix says which part of it."""

    @abstractmethod
    async def find(self) -> list[str]:
        """Which there are."""

    async def close(self) -> None:
        """Give back what a link holds; it can be used again."""
        return


class XpaLink(Ds9Link):
    """Through XPA; files are sent, so that ds9 may run on another host.

    Args:
        source: the name server, or the one ds9.
        title: of the ds9 (its option -title), ``*``: any; for a name server.
    """

    def __init__(self, source: NameServer | AccessPoint, title: str = "*") -> None:
        self._source, self._title = source, title

    async def get(self, words: str, timeout_s: float | None = None) -> str:
        found = await (await self._point()).get(words, timeout_s)
        return found.decode(errors="replace").strip()

    async def set(self, words: str) -> None:
        await (await self._point()).set(words)

    async def load(self, words: str, path: Path, suffix: str = "") -> None:
        await (await self._point()).set(f"{words} {safe_name(path.name)}{suffix}", path)

    async def find(self) -> list[str]:
        if isinstance(self._source, AccessPoint):
            return [str(self._source)]
        return [str(point) for point in await self._source.look_up("DS9:*")]

    async def _point(self) -> AccessPoint:
        # It may have been started again, at another port.
        if isinstance(self._source, AccessPoint):
            return self._source
        return await self._source.find(f"DS9:{self._title}")


class SampLink(Ds9Link):
    """Through SAMP; ds9 reads the files itself, on this host.

    Args:
        client: ds9's name at the hub, ``*``: the first that understands ds9's messages.
    """

    def __init__(self, hub: SampHub, client: str = "*") -> None:
        self._hub, self._client = hub, client

    async def get(self, words: str, timeout_s: float | None = None) -> str:
        result = await self._ask(words) if timeout_s is None else await self._once(words, timeout_s)
        if "url" in result:
            return await asyncio.to_thread(_content, file_of_url(str(result["url"])))
        return str(result.get("value", "")).strip()

    async def _ask(self, words: str) -> dict[str, Any]:
        # ds9 loses a call now and then that comes while it draws (measured); a question may be asked again.
        for _ in range(ASKED_AGAIN):
            try:
                return await self._once(words, ANSWER_S)
            except TimeoutError:
                continue
        return await self._once(words)

    async def _once(self, words: str, timeout_s: float | None = None) -> dict[str, Any]:
        return await self._hub.call(self._client, "ds9.get", {"cmd": words}, timeout_s)

    async def set(self, words: str) -> None:
        await self._hub.call(self._client, "ds9.set", {"cmd": words})

    async def load(self, words: str, path: Path, suffix: str = "") -> None:
        # As words, not as a URL: of that ds9 shows no name, and it decodes none.
        if set(str(path)) & set("{}\\"):
            raise BadValueError(f"ds9 does not take {str(path)!r} as the name of a file")
        await self.set(f"{words} {{{path}{suffix}}}")

    async def find(self) -> list[str]:
        return await self._hub.names("ds9.set")

    async def close(self) -> None:
        await self._hub.close()


class Ds9:
    """What a ds9 can do."""

    def __init__(self, link: Ds9Link) -> None:
        self.link = link

    async def show(self, path: Path, part: Part = "") -> None:
        """Show a FITS file in the current frame; regions stay where they are."""
        await self.link.set("preserve regions yes")
        if part == "mosaic":
            await self.link.load("fits mosaicimage iraf", path)
        else:
            await self.link.load("fits", path, "" if part == "" else f"[{part}]")

    async def shown(self) -> str:
        """The name of the file in the current frame."""
        return (await self.link.get("file")).rpartition("/")[2]

    async def shapes(self, system: System = "image") -> list[Shape]:
        """All regions, in the order in which they were drawn."""
        text = await self.link.get(f"regions -format ds9 -system {system} -strip yes")
        found = []
        for kind, words in _SHAPE.findall(text):
            try:
                found.append(Shape(kind, tuple(float(word) for word in words.split(","))))
            except ValueError as error:
                raise ProtocolError(f"ds9: the region {kind}({words}) is not one of numbers") from error
        return found

    async def draw_box(self, x: float, y: float, columns: float, rows: float, degrees: float = 0.0) -> None:
        """Draw a box around a pixel of the image."""
        await self.link.set(f"regions command {{box({x:g}i,{y:g}i,{columns:g}i,{rows:g}i,{degrees:g})}}")

    async def delete_shapes(self) -> None:
        """Delete all regions."""
        await self.link.set("regions delete all")

    async def zoom(self, factor: float = 0.0) -> None:
        """Zoom by a factor; 0: so that the whole image is seen."""
        await self.link.set(f"zoom {factor:g}" if factor else "zoom to fit")

    async def point(self, mode: str) -> None:
        """What the mouse is for: none, region, crosshair, pan, zoom, ..."""
        await self.link.set(f"mode {mode}")

    async def await_press(self, seconds: float = PATIENCE_S) -> Press:
        """Wait until somebody presses a key or the mouse on the image. ds9 answers nothing else meanwhile.

        Raises:
            TimeoutError: nobody did; ds9 goes on waiting for it.
        """
        answer = await self.link.get("imexam any coordinate image", seconds)
        try:
            key, x, y = answer.rsplit(" ", 2)
            return Press(key, float(x), float(y))
        except ValueError as error:
            raise ProtocolError(f"ds9 answered {answer!r:.80} to imexam") from error

    async def values(self, x: int, y: int, columns: int, rows: int) -> dict[tuple[int, int], float]:
        """The pixels of a box of the image that begins at a column and a row: column, row -> value."""
        text = await self.link.get(f"data image {x} {y} {columns} {rows} no")
        return {(int(column), int(row)): float(value) for column, row, value in _PIXEL.findall(text)}

    async def save_picture(self, path: Path) -> None:
        """Save what is seen as PNG, on ds9's host; without its frame where ds9 cannot look at its own window."""
        if not re.fullmatch(r"[!-~]+", str(path)) or set(str(path)) & set('{}[]$"\\;'):
            raise BadValueError(f"ds9 does not take {str(path)!r} as the name of a file")
        try:
            await self.link.set(f"saveimage png {path}")
        except RefusedError:
            await self.link.set(f"export png {path}")


def safe_name(name: str) -> str:
    """The name of a file without what means something to ds9."""
    return re.sub(r"[^\w.+-]", "_", name, flags=re.ASCII)


def _content(path: Path) -> str:
    """What ds9 wrote for us, and for nobody else."""
    try:
        with path.open("rb") as file:
            content = file.read(MOST_BYTES)
        if path.name.startswith("ds9") and ".xpa." in path.name:
            path.unlink(missing_ok=True)
    except OSError as error:
        raise StorageError(f"{path}, which ds9 wrote, cannot be read: {error.strerror}") from error
    return content.decode(errors="replace").strip()
