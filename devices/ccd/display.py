"""The display of a camera: pictures, regions of them in all coordinates, what lies in them."""

from __future__ import annotations

import asyncio
import math
from typing import Annotated, Any, Final, Literal

from devices.ccd.display_picture import MOST
from devices.ccd.display_viewer import GROUP, DisplayViewer
from devices.core import Argument, Operation, command, operation
from devices.core.errors import NotAllowedError, RangeError
from devices.drivers.ccd_fits import write_image
from devices.drivers.ds9 import PATIENCE_S, Shape
from devices.drivers.picture_file import save_png
from devices.pipelines.ccd.deinterlace import assembled_shape
from devices.pipelines.ccd.picture import Statistics, picked, region_statistics
from devices.pipelines.ccd.region import Box, on_amplifier, on_detector

Coordinates = Literal["image", "detector", "amplifier"]
#: Pixels that `get_data` gives at most.
MOST_DATA: Final = 250_000
#: The larger side of a picture that is saved without ds9, pixels; of more every n-th.
MOST_SAVED: Final = 4096

System = Annotated[str, Argument(text_limit=20, doc="image, detector or amplifier")]
Number = Annotated[int, Argument(limits=(-1, 10_000), doc="Of the region, from 0")]
Place = Annotated[float, Argument(unit="px", limits=(0.0, MOST), doc="Of the picture, from 1")]
Length = Annotated[float, Argument(unit="px", limits=(0.0, MOST))]
FilePath = Annotated[str, Argument(doc="Below one of the property folders")]


class CcdDisplay(DisplayViewer):
    """Shows the last image, in browsers and, if its property `viewer` says so, in a ds9.

    Regions are boxes that were drawn in ds9; with the browser alone there is one, `region`.
    """

    # Regions -------------------------------------------------------------------------------------------------------

    @command(reads_only=True, group=GROUP)
    async def get_rois(self, coordinates: System = "image") -> dict[str, Any]:
        """The boxes: first and last column, first and last row of each.

        In detector coordinates unbinned pixels of the focal plane; in those of the amplifier of its middle, counted
        from the corner where that is read.
        """
        system = _system(coordinates)
        return {"rois": [list(box) for box in await self._boxes(system)]}

    @command(reads_only=True, group=GROUP)
    async def get_regions(self, coordinates: System = "image") -> dict[str, Any]:
        """All regions of ds9 with its own numbers and its own idea of the coordinates, which knows no windows."""
        shapes = await self.need_ds9("regions").shapes(_system(coordinates))
        return {"regions": [[shape.kind, *shape.numbers] for shape in shapes]}

    @command(reads_only=True, group=GROUP)
    async def get_stats(self, roi_number: Number = -1) -> dict[str, Any]:
        """Statistics of a box of the image, adu; -1: of the attribute region."""
        if roi_number < 0:
            names = ("mean", "median", "standard_deviation", "minimum", "maximum")
            return {name: self.attributes[name].value for name in names}
        found = await self._statistics(await self._box(roi_number))
        if found is None:
            raise RangeError(f"region {roi_number} lies outside the image")
        return found._asdict()

    @command(reads_only=True, group=GROUP)
    async def get_data(self, roi_number: Number = 0) -> dict[str, Any]:
        """The pixels of a box of the image, row by row from the lowest, adu."""
        box, image = await self._box(roi_number), self.last_image
        columns, rows = box.within(image.geometry)
        if len(columns) * len(rows) > MOST_DATA:
            raise RangeError(f"region {roi_number} has {len(columns)} x {len(rows)} px, more than {MOST_DATA} px")
        pixels = picked(image.amps, image.geometry, columns, rows)
        return {"columns": len(columns), "rows": len(rows), "pixels": pixels.reshape(-1).tolist()}

    @command(group=GROUP)
    async def draw_box(
        self,
        x: Place,
        y: Place,
        columns: Length,
        rows: Length,
        angle: Annotated[float, Argument(unit="deg", limits=(-360.0, 360.0))] = 0.0,
    ) -> None:
        """Draw a box around a pixel of the picture; in a browser it is the region."""
        if self.ds9_program is not None:
            await self.need_ds9("draw_box").draw_box(x, y, columns, rows, angle)
            return
        box = Box.around(x, y, columns, rows, angle)
        if box.first_col < 1 or box.first_row < 1:
            raise RangeError(f"the box begins at column {box.first_col}, row {box.first_row}; the first ones are 1")
        await self.put("region", list(box))

    @command(group=GROUP)
    async def delete_all_rois(self) -> None:
        """Delete all regions; in a browser the region is the whole image again."""
        if self.ds9_program is not None:
            await self.need_ds9("delete_all_rois").delete_shapes()
        else:
            await self.put("region", [0, 0, 0, 0])

    @operation(group=GROUP)
    async def exam(
        self,
        run: Operation,
        box_size: Annotated[int, Argument(unit="px", limits=(1, 10_000), doc="Of the box of the statistics")] = 20,
        patience: Annotated[float, Argument(unit="s", limits=(0.1, PATIENCE_S))] = PATIENCE_S,
    ) -> dict[str, Any]:
        """Wait for a key or a click on ds9's image: where that was, and statistics around.

        ds9 does nothing else until then; also when this is aborted it goes on waiting for the key.
        """
        ds9 = self.need_ds9("exam")
        async with self.turn:
            self.waits_for_key = True
            try:
                run.report(message="ds9 waits for a key or a click on the image")
                press = await ds9.await_press(patience)
            finally:
                self.waits_for_key = False
        found: dict[str, Any] = {"key": press.key, "x": press.x, "y": press.y}
        if await self.is_image_shown(ds9):
            # The pixel under the cursor is in the middle.
            odd = box_size // 2 * 2 + 1
            around = await self._statistics(Box.around(math.floor(press.x + 0.5), math.floor(press.y + 0.5), odd, odd))
            if around is not None:
                found |= around._asdict()
        return found

    # Files ---------------------------------------------------------------------------------------------------------

    @operation(group=GROUP)
    async def save_image(self, run: Operation, path: FilePath = "display.png") -> dict[str, Any]:
        """Save what is seen as PNG: by ds9 on its host; without one, the picture with the lowest row at the bottom."""
        real = await asyncio.to_thread(self.allowed_path, path)
        if self.ds9_program is not None:
            await self.need_ds9("save_image").save_picture(real)
        else:
            image = self.last_image
            rows, columns = assembled_shape(image.geometry)
            step = max(1, -(-max(rows, columns) // MOST_SAVED))
            parts = range(0, columns, step), range(0, rows, step)
            pixels = await asyncio.to_thread(picked, image.amps, image.geometry, *parts)
            await asyncio.to_thread(save_png, real, pixels)
        return {"file": str(real)}

    @operation(group=GROUP)
    async def save_fits(self, run: Operation, path: FilePath = "display.fits") -> dict[str, Any]:
        """Save the last image as FITS, all amplifiers together without overscan."""
        real = await asyncio.to_thread(self.allowed_path, path)
        await asyncio.to_thread(write_image, real, self.last_image, "ASM", True)
        return {"file": str(real)}

    # How it is done ------------------------------------------------------------------------------------------------

    async def _boxes(self, system: Coordinates) -> list[Box]:
        if self.ds9_program is None:
            first_col, last_col, first_row, last_row = self.region.value.tolist()
            boxes = [Box(first_col or 1, last_col or self.columns.value, first_row or 1, last_row or self.rows.value)]
        else:
            ds9 = self.need_ds9("get_rois")
            if system != "image" and not await self.is_image_shown(ds9):
                # Another file: ds9 goes by that file's own keywords.
                return _boxes_of(await ds9.shapes(system))
            boxes = _boxes_of(await ds9.shapes("image"))
        if system == "image":
            return boxes
        convert = on_detector if system == "detector" else on_amplifier
        return [convert(box, self.last_image.geometry) for box in boxes]

    async def _box(self, number: int) -> Box:
        """A box of the camera's image."""
        if self.ds9_program is not None and not await self.is_image_shown(self.need_ds9("regions")):
            raise NotAllowedError("ds9 shows something else than the last image")
        boxes = await self._boxes("image")
        if not 0 <= number < len(boxes):
            raise RangeError(f"roi_number = {number} is outside [0, {len(boxes) - 1}]")
        return boxes[number]

    async def _statistics(self, box: Box) -> Statistics | None:
        """Of what the image has of a box; None: nothing."""
        image = self.last_image
        columns, rows = box.within(image.geometry)
        if not (columns and rows):
            return None
        return await asyncio.to_thread(region_statistics, image.amps, image.geometry, columns, rows)


def _system(coordinates: str) -> Coordinates:
    match coordinates.casefold():
        case "image" | "default" | "":
            return "image"
        case "detector":
            return "detector"
        case "amplifier":
            return "amplifier"
    raise RangeError(f"coordinates = {coordinates!r} is none of image, detector, amplifier")


def _boxes_of(shapes: list[Shape]) -> list[Box]:
    return [Box.around(*shape.numbers[:5]) for shape in shapes if shape.kind == "box" and len(shape.numbers) >= 4]
