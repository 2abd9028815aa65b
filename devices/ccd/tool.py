"""What all tools of a camera share: a header with its keywords, to be initialised, to be reset."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, ClassVar, TypeVar

from devices.ccd.header import Entry, Header, Value, typed
from devices.core import Argument, Device, LiveAttribute, Operation, Properties, attribute, command, operation, setting
from devices.core.errors import BadValueError, ConfigurationError, TimeoutError
from devices.drivers.allowed_folders import AllowedFolders

T = TypeVar("T")
#: A template file is a page of text, bytes.
MOST_TEMPLATE = 1_000_000
#: A filter wheel or focuser that moves longer has failed, s.
LONGEST_MOTION = 120.0
#: A put waits so long for a motion: the framework ends it at 2.5 s.
SHORT_MOTION = 1.5
Keyword = Annotated[str, Argument(text_limit=40, doc="Upper or lower case")]


def settle(live: LiveAttribute[T], value: T) -> None:
    """Publish what a setting is, and that nobody asked for anything else."""
    live.publish(value)
    live.publish_setpoint(value)


@dataclass(frozen=True)
class ToolProperties(Properties):
    """What every tool can be told."""

    system_folder: Path = setting(Path(), doc="Where header templates lie (azcam's systemfolder); none: no templates")
    header_file: str = setting("", doc="A header template, read at the start; relative to system_folder")


class CcdTool(Device):
    """A tool: part of the equipment that takes part in exposures and has keywords to say."""

    properties_class = ToolProperties
    properties: ToolProperties

    #: Its place in the primary header.
    header_group: ClassVar[str] = ""

    keywords = attribute(str, shape=(200,), initial=(), doc="Its header: KEYWORD = value / comment")

    def build(self) -> None:
        self.header = Header()
        given = self.properties
        if given.system_folder != Path() and not given.system_folder.is_absolute():
            raise ConfigurationError(self.name, [f"system_folder = {given.system_folder}: not an absolute path"])
        if given.header_file:
            # What an exposure would need at night is found missing at the start.
            try:
                self.template_header.read(self._template(given.header_file))
            except (OSError, ValueError) as error:
                raise ConfigurationError(self.name, [f"header_file = {given.header_file}: {error}"]) from error
        self.show_header()

    @property
    def template_header(self) -> Header:
        """Where keywords of template files go."""
        return self.header

    # For the exposure and for subclasses ---------------------------------------------------------------------------

    async def entries(self) -> Mapping[str, Entry | tuple[Value, str]]:
        """What this tool has to say in a header now: keyword -> value and comment."""
        return {}

    async def initialize_now(self) -> None:
        """What `initialize` does beyond the link to the hardware."""

    async def reset_now(self) -> None:
        """Bring the hardware to its normal state."""

    async def exposure_start(self) -> None:
        """An exposure begins."""

    async def exposure_finish(self) -> None:
        """An exposure has ended, well or not."""

    async def is_moving(self) -> bool:
        """Ask whether something that an image would show still moves."""
        return False

    async def at_rest(self, seconds: float = LONGEST_MOTION) -> None:
        """Wait until nothing moves.

        Raises:
            TimeoutError: it does not come to rest within `seconds`.
        """
        deadline = time.monotonic() + seconds
        while await self.is_moving():
            if time.monotonic() > deadline:
                raise TimeoutError(f"{self.name} is not at rest within {seconds:g} s")
            await asyncio.sleep(0.05)

    async def rests_soon(self) -> None:
        """Wait for a motion for as long as a put may take; a longer one goes on, and its read-back tells."""
        with contextlib.suppress(TimeoutError):
            await self.at_rest(SHORT_MOTION)

    def show_header(self) -> None:
        """Publish the keywords."""
        lines = []
        for name, entry in self.header:
            lines.append(f"{name} = {entry.value}" + (f" / {entry.comment}" if entry.comment else ""))
        self.keywords.publish_change(tuple(lines[:200]))

    def _template(self, path: str) -> list[str]:
        folder = self.properties.system_folder
        if folder == Path():
            raise BadValueError("the property system_folder is not set")
        file = AllowedFolders([folder]).resolve(path)
        if file.stat().st_size > MOST_TEMPLATE:
            raise BadValueError(f"{path} has more than {MOST_TEMPLATE} bytes")
        return file.read_text(encoding="ascii", errors="strict").splitlines()

    # Commands ------------------------------------------------------------------------------------------------------

    @operation()
    async def initialize(self, run: Operation) -> None:
        """Make ready for work, as at the start."""
        await self.initialize_now()

    @operation()
    async def reset(self, run: Operation) -> None:
        """Bring the hardware to its normal state."""
        await self.reset_now()

    @command(group="Header")
    async def update_header(self) -> None:
        """Ask the hardware anew for what stands in its header."""
        self.header.show(await self.entries())
        self.show_header()

    @command(group="Header")
    async def set_keyword(
        self,
        keyword: Keyword,
        value: Annotated[str, Argument(text_limit=2000)],
        comment: Annotated[str, Argument(text_limit=200)] = "",
        type: Annotated[str, Argument(text_limit=10, doc="str, int, float, bool; empty: what it looks like")] = "",
    ) -> None:
        """Give a keyword to the header; it stays until it is deleted."""
        self.header.set(keyword, typed(value, type), comment)
        self.show_header()

    @command(reads_only=True, group="Header")
    async def get_keyword(self, keyword: Keyword) -> dict[str, Any]:
        """A keyword's value, comment and type."""
        entry = self.header.get(keyword)
        return {"value": entry.value, "comment": entry.comment, "type": type(entry.value).__name__}

    @command(group="Header")
    async def delete_keyword(self, keyword: Keyword) -> None:
        """Take a keyword away."""
        self.header.delete(keyword)
        self.show_header()

    @command(reads_only=True, group="Header")
    async def get_keywords(self) -> dict[str, Any]:
        """All keywords of the header: keyword -> [value, comment]."""
        return {name: [entry.value, entry.comment] for name, entry in self.header}

    @command(group="Header")
    async def delete_keywords(self) -> None:
        """Take away all keywords that were given or read."""
        self.header.clear()
        self.show_header()

    @command(group="Header")
    async def read_header(self, path: Annotated[str, Argument(doc="Relative to the property system_folder")]) -> None:
        """Read keywords from a template file: lines of KEY value / comment."""
        try:
            lines = await asyncio.to_thread(self._template, path)
        except (OSError, UnicodeError) as error:
            raise BadValueError(f"path = {path!r}: {error}") from error
        self.template_header.read(lines)
        self.show_header()
