"""The picture of a display: the last image for eyes, and the statistics of a region of it."""

from __future__ import annotations

import asyncio
from typing import Annotated, Any, Final

import numpy as np

from devices.ccd.tool import CcdTool
from devices.core import Argument, attribute, command
from devices.core.errors import NotAllowedError, RangeError, reason
from devices.pipelines.ccd.ccd_image import CcdImage
from devices.pipelines.ccd.deinterlace import assembled, assembled_shape
from devices.pipelines.ccd.picture import picked, region_statistics

#: The larger side of the picture that is published, pixels.
SHOWN: Final = 512
MOST: Final = 32768

Pixel = Annotated[int, Argument(unit="px", limits=(0, MOST))]


class DisplayPicture(CcdTool):
    """The last image: every n-th pixel of all amplifiers together, without overscan."""

    header_group = "display"

    image = attribute(
        np.uint32, shape=(SHOWN, SHOWN), unit="adu", doc="The last image as it lies on the detector, lowest row first"
    )
    step = attribute(int, unit="px", initial=1, doc="Of so many columns, and rows, one is shown")
    full_image = attribute(np.uint32, shape=(MOST, MOST), unit="adu", doc="All pixels; while publishes_full is on")
    publishes_full = attribute(bool, access="read_write", initial=False, doc="Whether full_image is published")
    columns = attribute(int, unit="px", initial=0, doc="Of the whole image")
    rows = attribute(int, unit="px", initial=0, doc="Of the whole image")
    region = attribute(
        int, shape=(4,), unit="px", doc="First and last column, first and last row of the statistics; from 1; 0: all"
    )
    mean = attribute(float, unit="adu", precision=2, doc="Of the region")
    median = attribute(float, unit="adu", precision=1, doc="Of the region")
    standard_deviation = attribute(float, unit="adu", precision=2, doc="Of the region")
    minimum = attribute(float, unit="adu", precision=0, doc="Of the region")
    maximum = attribute(float, unit="adu", precision=0, doc="Of the region")

    def build(self) -> None:
        super().build()
        self._image: CcdImage | None = None
        self._next: CcdImage | None = None
        #: What files of the last image, and of the next one, are called; "": they have none.
        self.last_name = self._next_name = ""
        self._showing: asyncio.Task[None] | None = None
        self.region.publish(np.zeros(4, int))
        self.region.publish_setpoint(np.zeros(4, int))

    @region.write
    async def write_region(self, numbers: np.ndarray[Any, Any]) -> None:
        if numbers.size != 4:
            raise RangeError(f"region has {numbers.size} numbers, 4 are expected")
        self.region.publish(numbers)
        if self._image is not None:
            await self._measure(self._image)

    @property
    def last_image(self) -> CcdImage:
        """Raises NotAllowedError: there is none yet."""
        if self._image is None:
            raise NotAllowedError("there is no image yet")
        return self._image

    def offer(self, image: CcdImage, name: str = "") -> None:
        """Show an image soon; one that comes before it is shown takes its place. No exposure waits for eyes.

        Args:
            name: of its file.
        """
        self._next, self._next_name = image, name
        if self._showing is None or self._showing.done():
            self._showing = asyncio.create_task(self._show_next(), name=f"{self.name} shows")

    async def stop(self) -> None:
        if self._showing is not None:
            self._showing.cancel()
        await super().stop()

    async def _show_next(self) -> None:
        while self._next is not None:
            image, self._next = self._next, None
            try:
                await self.show(image, self._next_name)
                self.set_fault("display", "")
            except Exception as error:
                self.log.error("the image is not shown: %s: %s", reason(error), error)
                self.set_fault("display", f"the last image is not shown: {reason(error)}: {error}")

    async def show(self, image: CcdImage, name: str = "") -> None:
        """Show an image from now on."""
        # The image only: its picture would be a second one in memory.
        self._image, self.last_name = image, name
        rows, columns = assembled_shape(image.geometry)
        step = max(1, -(-max(rows, columns) // SHOWN))
        self.columns.publish(columns)
        self.rows.publish(rows)
        self.step.publish(step)
        await self._measure(image)
        if self.publishes_full.value:
            await self._publish_full(image)
        parts = range(0, columns, step), range(0, rows, step)
        self.image.publish(await asyncio.to_thread(picked, image.amps, image.geometry, *parts))

    async def _measure(self, image: CcdImage) -> None:
        first_col, last_col, first_row, last_row = self.region.value.tolist()
        rows, columns = assembled_shape(image.geometry)
        region = (
            range(columns)[max(first_col - 1, 0) : last_col or None],
            range(rows)[max(first_row - 1, 0) : last_row or None],
        )
        if not all(region):
            for live in (self.mean, self.median, self.standard_deviation, self.minimum, self.maximum):
                live.publish_invalid("the region lies outside the image")
            return
        found = await asyncio.to_thread(region_statistics, image.amps, image.geometry, *region)
        for name, value in found._asdict().items():
            self.attributes[name].publish(value)

    @command()
    async def set_region(self, first_col: Pixel, last_col: Pixel, first_row: Pixel, last_row: Pixel) -> None:
        """Choose the region of the statistics, pixels of the image from 1; 0: to its edge."""
        await self.put("region", [first_col, last_col, first_row, last_row])

    @command()
    async def publish_full_image(self) -> None:
        """Publish all pixels of the last image, once."""
        await self._publish_full(self.last_image)

    async def _publish_full(self, image: CcdImage) -> None:
        picture = np.empty(assembled_shape(image.geometry), np.uint32)
        await asyncio.to_thread(assembled, image.amps, image.geometry, out=picture)
        self.full_image.publish(picture, copy=False)
