"""What the next exposure is: time, type, title, what is done before and after it."""

from __future__ import annotations

import enum
from typing import Annotated, Any

from devices.ccd.camera_scene import CameraScene
from devices.ccd.exposure_detector import ExposureDetector
from devices.ccd.exposure_files import ExposureFiles
from devices.ccd.image_store import check_target
from devices.ccd.image_type import SHUTTER_OPENS, ImageType, image_type
from devices.ccd.plan import Plan
from devices.ccd.tool import settle
from devices.core import Argument, attribute, command
from devices.core.errors import NotAllowedError, NotConnectedError, RangeError

#: -1: the exposure time that is set.
Seconds = Annotated[float, Argument(unit="s", limits=(-1.0, 1e6), doc="Negative: the time that is set")]
TypeName = Annotated[str, Argument(text_limit=39, doc="zero, object, flat, dark, ramp or a lamp; empty: as it is set")]
Title = Annotated[str, Argument(text_limit=1000, doc="Empty: as it is set")]


class Flushing(enum.Enum):
    """When a sequence clears the detector; numbers as azcam has them."""

    EACH = "each"
    FIRST = "first"
    NONE = "none"


class ExposureSettings(ExposureFiles, ExposureDetector):
    """The side of an exposure that clients set up, and that decides what the next one is."""

    scene: CameraScene

    exposure_time = attribute(
        float, unit="s", precision=3, memorized="apply", group="Exposure", doc="Of the next image"
    )
    image_type = attribute(str, text_limit=39, group="Exposure", doc="Of the next image; upper or lower case")
    image_types = attribute(str, shape=(64,), group="Exposure", doc="All types: the built-in ones and the lamps")
    image_title = attribute(
        str, access="read_write", initial="", text_limit=1000, group="Exposure", doc="OBJECT of the next image"
    )
    auto_title = attribute(
        bool, access="read_write", memorized="show", group="Exposure", doc="The type is the title, but for objects"
    )
    flush_array = attribute(
        bool,
        access="read_write",
        initial=True,
        memorized="show",
        group="Exposure",
        doc="The detector is cleared before",
    )
    flush_cycles = attribute(
        int, access="read_write", initial=1, limits=(1, 1000), memorized="show", group="Exposure", doc="How often"
    )
    display_image = attribute(
        bool, access="read_write", initial=True, memorized="show", group="Exposure", doc="Images are displayed"
    )
    test_image = attribute(
        bool, access="read_write", initial=False, group="Exposure",
        doc="The next images are tests: named test, overwritten, not counted",
    )  # fmt: skip
    tdi_mode = attribute(bool, initial=False, group="Exposure", doc="The read-out is a time-delayed integration")
    tdi_delay = attribute(
        float, access="read_write", initial=0.005, unit="s", limits=(0.0, 1.0), memorized="show", precision=6,
        group="Exposure", doc="Before each row of a time-delayed integration",
    )  # fmt: skip
    par_delay = attribute(
        float, access="read_write", initial=0.0, unit="s", limits=(0.0, 1.0), memorized="show", precision=6,
        group="Exposure", doc="Before each row of any other read-out",
    )  # fmt: skip
    write_async = attribute(
        bool, access="read_write", initial=False, memorized="show", group="Files",
        doc="An exposure ends when the image is read; the file is written in the background",
    )  # fmt: skip
    send_image = attribute(
        bool, access="read_write", group="Exposure", doc="Images are sent to the host of the properties"
    )
    sequence_total = attribute(
        int, access="read_write", initial=1, limits=(1, 1_000_000), group="Sequence", doc="Images of a sequence"
    )
    sequence_delay = attribute(
        float, access="read_write", initial=0.0, unit="s", limits=(0.0, 86400.0), group="Sequence", precision=1,
        doc="Between the images of a sequence",
    )  # fmt: skip
    sequence_flush = attribute(
        Flushing,
        access="read_write",
        initial=Flushing.EACH,
        group="Sequence",
        doc="When a sequence clears the detector",
    )

    def build(self) -> None:
        super().build()
        given = self.properties
        self.exposure_time.configure(limits=(0.0, given.longest))
        settle(self.exposure_time, 1.0)
        settle(self.image_type, "zero")
        settle(self.tdi_mode, False)
        settle(self.auto_title, given.auto_title)
        settle(self.send_image, given.remote_imageserver_flag)
        self.image_types.publish(tuple(SHUTTER_OPENS))
        self.show_filename()
        self.test_image.subscribe(lambda *_: self.show_filename())

    def show_filename(self) -> None:
        path = self.next_path(self.type_for_name(), is_test=self.test_image.value)
        self.filename.publish_change(str(path))

    def type_for_name(self) -> str:
        return self.image_type.value

    def find_type(self, name: str) -> ImageType:
        """The type of this name, or RangeError."""
        try:
            instrument = self.scene.instrument
            lamps = () if instrument is None else instrument.all_comps.value
        except NotConnectedError:
            lamps = ()
        self.image_types.publish_change((*SHUTTER_OPENS, *lamps))
        return image_type(name, lamps)

    @exposure_time.write
    async def write_exposure_time(self, seconds: float) -> None:
        self.exposure_time.publish(seconds)

    @image_type.write
    async def write_image_type(self, name: str) -> None:
        self.image_type.publish(self.find_type(name).name)
        self.show_filename()

    @tdi_mode.write
    async def write_tdi_mode(self, scans: bool) -> None:
        if scans and not self.scene.controller.link.capabilities.delays_rows:
            raise NotAllowedError("this controller delays no rows; it cannot scan")
        self.tdi_mode.publish(scans)

    @command(reads_only=True, group="Exposure")
    async def is_comparison(self, image_type: TypeName) -> bool:
        """Whether a type is one of lamps (check_comparison_imagetype)."""
        return self.find_type(image_type or self.image_type.value).is_comparison

    async def take_over(self, seconds: float, image_type: str, title: str) -> None:
        """Make what was given with a command the settings; all of it is checked before."""
        if seconds > self.properties.longest:
            raise RangeError(f"seconds = {seconds} s is outside [0.0, {self.properties.longest}] s")
        found = self.find_type(image_type) if image_type else None
        if seconds >= 0.0:
            await self.put("exposure_time", seconds)
        if found is not None:
            await self.put("image_type", found.name)
        if title:
            await self.put("image_title", title)

    def plan(
        self,
        *,
        seconds: float | None = None,
        name: str = "",
        title: str = "",
        is_test: bool = False,
        flushes: bool = True,
        **words: Any,
    ) -> Plan:
        """The next exposure as it is set up; whatever cannot be is refused here, before anything moves.

        Raises:
            RangeError, NotAllowedError, NotConnectedError: why not.
        """
        found = self.find_type(name or self.image_type.value)
        if found.is_comparison and self.scene.instrument is None:
            raise NotAllowedError(f"image_type = {found.name}: there is no instrument with lamps")
        geometry = self.setup.geometry()
        is_test = is_test or self.test_image.value
        can = self.scene.controller.link.capabilities
        if self.tdi_mode.value and not can.delays_rows:
            raise NotAllowedError("tdi_mode is on, and this controller delays no rows")
        most = can.most_binning
        if max(self.setup.roi.col_bin, self.setup.roi.row_bin) > most:
            raise RangeError(f"binning is outside [1, {most}] of this controller")
        self.store.check()
        target = self.target(found.name, is_test=is_test) if self.save_file.value else None
        if target is not None:
            check_target(target, 2 * geometry.pixels + 100_000)
        if not title:
            auto = self.auto_title.value and found.name != "object"
            title = found.name if auto else self.image_title.value
        given = self.exposure_time.value if seconds is None else seconds
        return Plan(
            seconds=0.0 if found.name == "zero" else given,
            image_type=found,
            title=title,
            setup=self.setup,
            geometry=geometry,
            target=target,
            flushes=self.flush_cycles.value if flushes and self.flush_array.value else 0,
            is_test=is_test,
            row_delay=(self.tdi_delay if self.tdi_mode.value else self.par_delay).value if can.delays_rows else None,
            scans=self.tdi_mode.value,
            in_background=self.write_async.value,
            **words,
        )
