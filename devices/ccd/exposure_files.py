"""The files of an exposure: where images go, and those that did not get there."""

from __future__ import annotations

import asyncio
import tempfile
from pathlib import Path
from typing import Annotated, Any, Final

import numpy as np

from devices.ccd.detector_setup import DetectorSetup
from devices.ccd.exposure_properties import ExposureProperties
from devices.ccd.file_name import MOST_NUMBER, FileName, FileType, check_root, folder_and_root
from devices.ccd.image_store import ImageStore
from devices.ccd.plan import Target
from devices.ccd.tool import CcdTool, settle
from devices.core import Argument, Operation, attribute, command, operation
from devices.core.errors import BadValueError, ConfigurationError, NotAllowedError
from devices.drivers.allowed_folders import AllowedFolders
from devices.drivers.ccd_fits import write_image
from devices.pipelines.ccd.ccd_image import CcdImage

FIRST_NUMBER: Final = 1


class ExposureFiles(CcdTool):
    """The side of an exposure that names and writes files."""

    properties_class = ExposureProperties
    properties: ExposureProperties

    image_folder = attribute(str, memorized="apply", group="Files", doc="Where the next images go")
    image_root = attribute(str, memorized="apply", group="Files", doc="How file names begin", text_limit=200)
    image_number = attribute(
        int,
        access="read_write",
        initial=FIRST_NUMBER,
        limits=(0, MOST_NUMBER),
        memorized="show",
        group="Files",
        doc="Number of the next image",
    )
    file_type = attribute(
        FileType, access="read_write", memorized="show", group="Files", doc="What is written: FITS, MEF, BIN, ASM"
    )
    auto_increment = attribute(
        bool, access="read_write", initial=True, memorized="show", group="Files", doc="The number goes up by itself"
    )
    include_number = attribute(
        bool, access="read_write", initial=True, memorized="show", group="Files", doc="The number is part of the name"
    )
    auto_name = attribute(
        bool, access="read_write", memorized="show", group="Files", doc="The type of the image is part of the name"
    )
    overwrite = attribute(
        bool, access="read_write", memorized="show", group="Files", doc="Files of the same name are replaced"
    )
    compress = attribute(
        bool, access="read_write", memorized="show", group="Files", doc="Pixels are compressed without loss"
    )
    save_file = attribute(bool, access="read_write", initial=True, group="Files", doc="Images are written")
    filename = attribute(str, initial="", group="Files", doc="The next file")
    last_filename = attribute(str, initial="", group="Files", doc="The file that was written last")
    last_number = attribute(int, initial=0, group="Files", doc="Number of the image that was written last")
    unsaved = attribute(
        int, initial=0, warning=(None, 1), group="Files", doc="Images that could not be written; rescue writes them"
    )
    unsaved_images = attribute(str, shape=(64,), initial=(), group="Files", doc="Which they are, and why")

    def build(self) -> None:
        super().build()
        given = self.properties
        self.allowed = AllowedFolders([given.data_folder, *given.allowed_folders])
        spool = given.data_folder / ".unsaved" if given.spool_folder == Path() else given.spool_folder
        problems = [
            f"{path}: not an absolute path" for path in (*self.allowed.folders, spool) if not path.is_absolute()
        ]
        if problems:
            raise ConfigurationError(self.name, problems)
        self.store = ImageStore(spool, write, self.log)
        self._has_numbered = False
        settle(self.image_folder, str(given.data_folder))
        settle(self.image_root, given.image_root)
        settle(self.file_type, given.file_type)
        settle(self.auto_name, given.auto_name)
        settle(self.overwrite, given.overwrite)
        settle(self.compress, given.compress)
        for name in ("image_number", "file_type", "include_number", "auto_name"):
            self.attributes[name].subscribe(lambda *_: self.show_filename())

    async def find_unsaved(self) -> None:
        """Look for what an earlier process could not write."""
        await asyncio.to_thread(self.properties.data_folder.mkdir, parents=True, exist_ok=True)
        await asyncio.to_thread(self.store.find)
        self.show_unsaved()
        await asyncio.to_thread(_warm_up)

    @image_folder.write
    async def write_image_folder(self, folder: str) -> None:
        real = await asyncio.to_thread(self.allowed.resolve, folder)
        if not await asyncio.to_thread(real.is_dir):
            raise BadValueError(f"image_folder = {folder} is not a folder")
        self.image_folder.publish(str(real))
        self.show_filename()

    @image_root.write
    async def write_image_root(self, root: str) -> None:
        try:
            check_root(root)
        except ValueError as error:
            raise BadValueError(str(error)) from error
        self.image_root.publish(root)
        self.show_filename()

    def last_image(self) -> CcdImage | None:
        """The image of the last exposure, while there is one."""
        return None

    def type_for_name(self) -> str:
        """The type of the next image, of which its name may tell."""
        return ""

    def next_path(self, image_type: str, *, is_test: bool = False) -> Path:
        """Where an image of a type goes."""
        return FileName(
            Path(self.image_folder.value),
            self.image_root.value,
            self.image_number.value,
            self.file_type.value,
            self.auto_name.value,
            self.include_number.value,
        ).path(image_type, is_test=is_test)

    def target(self, image_type: str, *, is_test: bool) -> Target:
        """Where an image of a type goes, and how."""
        if not is_test:
            self._pass_over_files_of_the_process_before(image_type)
        return Target(
            self.next_path(image_type, is_test=is_test),
            self.file_type.value,
            self.overwrite.value or is_test,
            self.compress.value,
            self.properties.make_lockfile and self.file_type.value is FileType.BIN,
        )

    def count(self, *, is_test: bool) -> None:
        """The next image has another name; a test counts for nothing."""
        if not is_test:
            self.last_number.publish(self.image_number.value)
            if self.auto_increment.value and self.include_number.value:
                number = min(self.image_number.value + 1, MOST_NUMBER)
                self.image_number.publish(number)
                self.image_number.publish_setpoint(number)
                # As if a client had put it: after a restart numbering goes on.
                self.remember(self.image_number)

    def _pass_over_files_of_the_process_before(self, image_type: str) -> None:
        """A process that was killed may have written its last image and not yet remembered the next number."""
        if self._has_numbered or not (self.auto_increment.value and self.include_number.value):
            return
        self._has_numbered = True
        first = number = self.image_number.value
        remembers = first != FIRST_NUMBER
        while remembers and number < MOST_NUMBER and not self.overwrite.value and self.next_path(image_type).exists():
            number += 1
            self.image_number.publish(number)
        if number != first:
            self.image_number.publish_setpoint(number)
            self.log.warning("image_number goes from %d to %d: those files are there already", first, number)

    def show_filename(self) -> None:
        """Publish where the next image goes."""
        self.filename.publish_change(str(self.next_path(self.type_for_name())))

    def show_unsaved(self) -> None:
        """Publish what is not written."""
        found = tuple(f"{each.name}: {each.why}"[:1000] for each in self.store.unsaved)
        self.unsaved_images.publish_change(found[-64:])
        self.unsaved.publish_change(len(found))

    @command(group="Files")
    async def set_filename(
        self,
        filename: Annotated[str, Argument(doc="Folder and beginning of the name; what follows a point is left out")],
    ) -> None:
        """Set folder and root of the next images; without a folder, that one stays."""
        try:
            folder, root = folder_and_root(filename)
        except ValueError as error:
            raise BadValueError(str(error)) from error
        if folder or filename.startswith("/"):
            await self.put("image_folder", folder or "/")
        await self.put("image_root", root)

    @operation(group="Files")
    async def write_file(
        self,
        run: Operation,
        filename: Annotated[str, Argument(doc="Relative to the folder of the next image")],
        file_type: Annotated[str, Argument(text_limit=4, doc="FITS, MEF, BIN, ASM; empty: as it is set")] = "",
    ) -> dict[str, Any]:
        """Write the last image once more, under a name of its own."""
        image = self.last_image()
        if image is None:
            raise NotAllowedError("there is no image yet")
        chosen = self.attributes["file_type"].spec.datatype.convert(file_type or self.file_type.value, "file_type")
        path = await asyncio.to_thread(self.allowed.resolve, Path(self.image_folder.value) / filename)
        target = Target(path, chosen, self.overwrite.value, self.compress.value)
        await asyncio.to_thread(write, image, target)
        return {"file": str(path)}

    @operation(group="Files")
    async def rescue(
        self, run: Operation, folder: Annotated[str, Argument(doc="Where to; empty: the folder of the next image")] = ""
    ) -> dict[str, Any]:
        """Write the images that could not be written before, under names that are free."""
        real = await asyncio.to_thread(self.allowed.resolve, folder or self.image_folder.value)
        try:
            written = await self.store.rescue(real)
        finally:
            self.show_unsaved()
        return {"files": written}

    @command(dangerous=True, group="Files")
    async def discard_unsaved(self) -> int:
        """Give up the images that could not be written; returns how many."""
        count = await self.store.discard()
        self.show_unsaved()
        return count


def _warm_up() -> None:
    """Write something once: what is compiled is loaded then, which takes as long as to write a large image."""
    geometry = DetectorSetup().geometry()
    image = CcdImage(np.zeros(geometry.amp_shape, np.uint16), geometry)
    with tempfile.TemporaryDirectory() as folder:
        write(image, Target(Path(folder) / "warm-up.fits", FileType.MEF))


def write(image: CcdImage, target: Target) -> None:
    """Write an image as a file, in a thread."""
    announcement = target.path.with_suffix(".OK")
    if target.is_announced:
        announcement.unlink(missing_ok=True)
    write_image(target.path, image, target.file_type.value, target.overwrites, target.compresses)
    if target.is_announced:
        announcement.touch()
