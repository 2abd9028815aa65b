"""The viewer of a display: a ds9 that gets each image, and what is done with it."""

from __future__ import annotations

import asyncio
import tempfile
from pathlib import Path
from typing import Annotated, Any, Final

from devices.ccd.display_picture import DisplayPicture
from devices.ccd.display_properties import DisplayProperties
from devices.ccd.tool import settle
from devices.core import Argument, Operation, attribute, command, operation
from devices.core.errors import BadValueError, BusyError, ConfigurationError, NotAllowedError, reason
from devices.drivers.allowed_folders import AllowedFolders
from devices.drivers.ccd_fits import write_image
from devices.drivers.ds9 import Ds9, Part, safe_name
from devices.drivers.fits_cards import BLOCK
from devices.pipelines.ccd.ccd_image import CcdImage

GROUP: Final = "Viewer"
#: The file of an image without a name, for ds9.
UNNAMED: Final = "image.fits"


class DisplayViewer(DisplayPicture):
    """Shows the last image in a ds9 as well, if its property `viewer` says so."""

    properties_class = DisplayProperties
    properties: DisplayProperties

    viewer = attribute(str, initial="browser", group=GROUP, doc="Where images are shown: browser, xpa, samp")
    ds9 = attribute(
        str, access="read_write", group=GROUP, doc="Which ds9: its title, or its name at the SAMP hub; *: any"
    )
    viewer_problem = attribute(str, initial="", group=GROUP, doc="Why ds9 does not show the last image; empty: it does")
    shown = attribute(str, initial="", group=GROUP, doc="What ds9 was given last")

    def build(self) -> None:
        super().build()
        given = self.properties
        if wrong := [f"folders: {path}: not an absolute path" for path in given.folders if not path.is_absolute()]:
            raise ConfigurationError(self.name, wrong)
        try:
            self.ds9_program = given.make_ds9(given.ds9)
        except ValueError as error:
            raise ConfigurationError(self.name, [f"ds9_address = {given.ds9_address}: {error}"]) from error
        self.turn = asyncio.Lock()
        self.waits_for_key = False
        self._shows_image = False
        self.viewer.publish(given.viewer)
        settle(self.ds9, given.ds9)

    async def initialize_now(self) -> None:
        """Look whether ds9 is there."""
        if self.ds9_program is not None:
            await self.ds9_program.link.get("version")
            self.viewer_problem.publish_change("")

    @ds9.write
    async def write_ds9(self, which: str) -> None:
        if not which or not which.isprintable() or (" " in which and self.properties.viewer == "xpa"):
            raise BadValueError(f"ds9 = {which!r} is not the name of a ds9")
        await self._leave_ds9()
        self.ds9_program = self.properties.make_ds9(which)
        self.ds9.publish(which)

    async def stop(self) -> None:
        await super().stop()
        await self._leave_ds9()

    async def _leave_ds9(self) -> None:
        if self.ds9_program is not None:
            await self.ds9_program.link.close()

    # Images --------------------------------------------------------------------------------------------------------

    async def show(self, image: CcdImage, name: str = "") -> None:
        await super().show(image, name)
        if self.ds9_program is None:
            return
        try:
            await self._show_image(self.ds9_program, image, name)
        except Exception as error:
            # No picture in ds9 is no fault of the camera: somebody may have closed it.
            problem = f"{reason(error)}: {error}"[:4096]
            if problem != self.viewer_problem.value:
                self.log.warning("ds9: %s", problem)
            self.viewer_problem.publish_change(problem)

    async def _show_image(self, ds9: Ds9, image: CcdImage, name: str) -> None:
        """As a FITS file of all amplifiers together without overscan: the lowest row is at the bottom."""
        with await asyncio.to_thread(tempfile.TemporaryDirectory, prefix="diptych-display-") as folder:
            path = Path(folder) / (safe_name(Path(name).stem) + ".fits" if name else UNNAMED)
            await asyncio.to_thread(write_image, path, image, "ASM")
            await self._give(ds9, path, is_image=True)

    async def _give(self, ds9: Ds9, path: Path, part: Part = "", *, is_image: bool = False) -> None:
        async with self.turn:
            self._shows_image = False
            await ds9.show(path, part)
            self._shows_image = is_image
        self.viewer_problem.publish_change("")
        self.shown.publish(path.name)

    @operation(group=GROUP)
    async def display(
        self,
        run: Operation,
        path: Annotated[str, Argument(doc="A FITS file below one of the property folders; empty: the last image")] = "",
        extension: Annotated[int, Argument(limits=(-1, 10_000), doc="Of the file; -1: all, as a mosaic")] = -1,
    ) -> None:
        """Show a FITS file in ds9; or the last image again, also in browsers."""
        ds9 = self.ds9_program
        if not path or (ds9 is None and Path(path).name == self.last_name):
            image = self.last_image
            if ds9 is None:
                await self.publish_full_image()
            else:
                await self._show_image(ds9, image, self.last_name)
            return
        if ds9 is None:
            raise NotAllowedError("viewer = browser: browsers show images of the camera only, no files")
        real = await asyncio.to_thread(self.allowed_path, path)
        has_extensions = await asyncio.to_thread(_has_extensions, real)
        await self._give(ds9, real, extension if extension >= 0 else "mosaic" if has_extensions else "")

    @command(reads_only=True, group=GROUP)
    async def find_displays(self) -> dict[str, Any]:
        """Which ds9 there are."""
        return {"displays": [] if self.ds9_program is None else await self.ds9_program.link.find()}

    @command(group=GROUP)
    async def zoom(
        self, factor: Annotated[float, Argument(limits=(0.0, 1000.0), doc="0: the whole image is seen")] = 0.0
    ) -> None:
        """Zoom ds9 by a factor."""
        await self.need_ds9("zoom").zoom(factor)

    @command(group=GROUP)
    async def set_cursor_mode(
        self, mode: Annotated[str, Argument(text_limit=20, doc="none, region, crosshair, pan, zoom, ...")] = "region"
    ) -> None:
        """What the mouse does in ds9."""
        if not mode.isidentifier():
            raise BadValueError(f"mode = {mode!r} is not one word")
        await self.need_ds9("set_cursor_mode").point(mode)

    # For subclasses ------------------------------------------------------------------------------------------------

    def need_ds9(self, what: str) -> Ds9:
        if self.ds9_program is None:
            raise NotAllowedError(f"viewer = browser: {what} needs a ds9")
        if self.waits_for_key:
            raise BusyError("exam: ds9 waits for a key or a click on the image")
        return self.ds9_program

    async def is_image_shown(self, ds9: Ds9) -> bool:
        """Whether ds9 shows the camera's last image: somebody may have loaded something else."""
        return self._shows_image and await ds9.shown() == self.shown.value

    def allowed_path(self, path: str) -> Path:
        folders = self.properties.folders
        if not folders:
            raise NotAllowedError("the property folders is empty: no files are shown or saved")
        return AllowedFolders(folders).resolve(path)


def _has_extensions(path: Path) -> bool:
    """Whether the pixels of a FITS file are in its extensions."""
    try:
        with path.open("rb") as file:
            head = file.read(BLOCK)
    except OSError as error:
        raise BadValueError(f"path = {path}: {error.strerror}") from error
    if not head.startswith(b"SIMPLE  ="):
        raise BadValueError(f"path = {path} is not a FITS file")
    cards = {head[at : at + 8]: head[at + 10 : at + 30].strip() for at in range(0, len(head), 80)}
    return cards.get(b"NAXIS   ") == b"0"
