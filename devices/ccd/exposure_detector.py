"""The detector of an exposure: format, focal plane, window, binning."""

from __future__ import annotations

import json
import zlib
from dataclasses import astuple
from typing import Annotated, Any, Final

import numpy as np

from devices.ccd.detector_setup import DetectorSetup, read_setup
from devices.ccd.exposure_properties import ExposureProperties
from devices.ccd.tool import CcdTool
from devices.core import Argument, attribute, command
from devices.core.errors import BadValueError, reason
from devices.core.json_text import read_json_text
from devices.pipelines.ccd.geometry import whole

MOST_AMPS = 1024
Pixels = Annotated[int, Argument(unit="px", limits=(-1, 1_000_000))]
Count = Annotated[int, Argument(limits=(0, 1_000_000))]
Numbers = Annotated[list[float], Argument(shape=(2 * MOST_AMPS,))]
Integers = Annotated[list[int], Argument(shape=(MOST_AMPS,))]
_UNFLIPPED: list[int] = [0]
#: Under which name changes of the detector are memorized.
REMEMBERED: Final = "detector"


class ExposureDetector(CcdTool):
    """The side of an exposure that knows what is read.

    What is put here holds from the next exposure on; the controller is told when that begins. It survives a restart, as
    long as the property is what it was.
    """

    properties: ExposureProperties

    format = attribute(
        int, shape=(9,), unit="px", group="Detector",
        doc="Columns of all detectors, predark, underscan, overscan; the same of rows; frame transfer",
    )  # fmt: skip
    focal_plane = attribute(
        int, shape=(4 + MOST_AMPS,), group="Detector",
        doc="Detectors in x and y, amplifiers in x and y, flip of each: 0 none, 1 x, 2 y, 3 both",
    )  # fmt: skip
    roi = attribute(
        int, shape=(6,), group="Detector", setpoint_follows=True,
        doc="First and last column, first and last row, column and row binning; unbinned, from 1",
    )  # fmt: skip
    detector = attribute(str, group="Detector", text_limit=65536, doc="All of it as JSON; put to change some of it")
    image_columns = attribute(int, unit="px", group="Detector", doc="Of the next image, overscan included")
    image_rows = attribute(int, unit="px", group="Detector", doc="Of the next image, overscan included")
    image_pixels = attribute(int, unit="px", group="Detector", doc="Of all amplifiers together")
    amplifiers = attribute(int, group="Detector", doc="That are read")

    def build(self) -> None:
        super().build()
        self.setup = self._configured = read_setup(self.properties.detector)
        self.setup.geometry()
        self._show_setup()

    async def restore_detector(self) -> None:
        """Say again what was said of the detector before a restart."""
        kept = self.memory.values.get(REMEMBERED)
        if not isinstance(kept, dict) or kept.get("of") != _fingerprint(self._configured):
            return
        try:
            self.setup = self.setup.changed(kept["changes"])
        except (BadValueError, KeyError, TypeError) as error:
            self.log.error("what was said of the detector is not restored: %s: %s", reason(error), error)
        self._show_setup()

    def _remember(self) -> None:
        configured = self._configured.as_dict()
        changes = {name: value for name, value in self.setup.as_dict().items() if value != configured[name]}
        self.memory.remember(REMEMBERED, {"of": _fingerprint(self._configured), "changes": changes})

    def _show_setup(self) -> None:
        setup, geometry = self.setup, self.setup.geometry()
        plane = setup.focal_plane
        self.format.publish(np.array(astuple(setup.format)))
        self.focal_plane.publish(
            np.array([plane.detectors_x, plane.detectors_y, plane.amps_x, plane.amps_y, *plane.flips])
        )
        self.roi.publish(np.array(astuple(setup.roi)))
        text = json.dumps(setup.as_dict())
        self.detector.publish(text)
        self.detector.publish_setpoint(text)
        self.image_columns.publish(plane.amps_x * geometry.columns.read)
        self.image_rows.publish(plane.amps_y * geometry.rows.read)
        self.image_pixels.publish(geometry.pixels)
        self.amplifiers.publish(geometry.amps)

    def change(self, **words: Any) -> None:
        """Say something of the detector otherwise; all is as before when that cannot be."""
        self.setup = self.setup.changed(words)
        self._show_setup()
        self._remember()

    @roi.write
    async def write_roi(self, numbers: np.ndarray[Any, Any]) -> None:
        self.change(roi=numbers.tolist())

    @detector.write
    async def write_detector(self, text: str) -> None:
        await self.set_detpars(text)

    @command(group="Detector")
    async def set_roi(
        self,
        first_col: Pixels = -1,
        last_col: Pixels = -1,
        first_row: Pixels = -1,
        last_row: Pixels = -1,
        col_bin: Annotated[int, Argument(limits=(-1, 1024))] = -1,
        row_bin: Annotated[int, Argument(limits=(-1, 1024))] = -1,
    ) -> None:
        """Read a window of the detector, binned; -1: as it is."""
        self.change(roi=[first_col, last_col, first_row, last_row, col_bin, row_bin])

    @command(group="Detector")
    async def roi_reset(self) -> None:
        """Read all of the detector, not binned."""
        roi = whole(self.setup.format)
        self.change(roi=list(astuple(roi)))

    @command(group="Detector")
    async def set_format(
        self,
        ns_total: Count,
        ns_predark: Count,
        ns_underscan: Count,
        ns_overscan: Count,
        np_total: Count,
        np_predark: Count = 0,
        np_underscan: Count = 0,
        np_overscan: Count = 0,
        np_frametransfer: Count = 0,
    ) -> None:
        """Pixels of the whole focal plane, and what each amplifier reads around them; the window is all of it."""
        serial = [ns_total, ns_predark, ns_underscan, ns_overscan]
        self.change(format=[*serial, np_total, np_predark, np_underscan, np_overscan, np_frametransfer])

    @command(group="Detector")
    async def set_focalplane(
        self,
        numdet_x: Count,
        numdet_y: Count,
        numamps_x: Count,
        numamps_y: Count,
        amp_cfg: Annotated[
            list[int], Argument(shape=(MOST_AMPS,), doc="Flip of each: 0, 1 x, 2 y, 3 both")
        ] = _UNFLIPPED,
    ) -> None:
        """Detectors and amplifiers of the whole mosaic."""
        self.change(focal_plane=[numdet_x, numdet_y, numamps_x, numamps_y, list(amp_cfg)])

    @command(group="Detector")
    async def set_ref_pixel(self, x: float, y: float) -> None:
        """Where on the focal plane the telescope points; 0, 0: its middle."""
        self.change(reference_pixel=[x, y])

    @command(group="Detector")
    async def set_extension_position(self, positions: Numbers) -> None:
        """Column and row of each amplifier in the mosaic, from 1: x, y, x, y, ..."""
        self.change(positions=list(positions))

    @command(group="Detector")
    async def set_extname(self, names: Annotated[list[str], Argument(shape=(MOST_AMPS,))]) -> None:
        """Names of the extensions; an empty list: im1, im2, ..."""
        self.change(extension_names=list(names))

    @command(group="Detector")
    async def set_extnum(self, numbers: Integers) -> None:
        """Numbers of the extensions."""
        self.change(extension_numbers=list(numbers))

    @command(group="Detector")
    async def set_jpg_order(self, numbers: Integers) -> None:
        """Places of the amplifiers in a picture of all."""
        self.change(jpg_order=list(numbers))

    @command(group="Detector")
    async def set_detnum(self, numbers: Integers) -> None:
        """Number of each amplifier's detector."""
        self.change(detector_numbers=list(numbers))

    @command(group="Detector")
    async def set_detpos(self, positions: Numbers) -> None:
        """Column and row of each amplifier's detector, from 1: x, y, x, y, ..."""
        self.change(detector_positions=list(positions))

    @command(group="Detector")
    async def set_detgap(self, gaps: Numbers) -> None:
        """Unbinned columns and rows before each detector, added up: x, y, x, y, ..."""
        self.change(detector_gaps=list(gaps))

    @command(group="Detector")
    async def set_data_order(self, order: Integers) -> None:
        """Where each amplifier comes in the controller's stream, from 0, as azcam has it; an empty list: in order."""
        self.change(data_order=list(order))

    @command(group="Detector")
    async def set_detpars(self, detector: Annotated[str, Argument(text_limit=65536, doc="JSON object")]) -> None:
        """Say several things of the detector at once; keys as in the property `detector`."""
        try:
            words = read_json_text(detector)
        except ValueError as error:
            raise BadValueError(f"detector: no JSON: {error}") from error
        if not isinstance(words, dict):
            raise BadValueError("detector: a JSON object is expected")
        self.change(**words)


def _fingerprint(setup: DetectorSetup) -> int:
    """Of a detector, as JSON has it."""
    return zlib.crc32(json.dumps(setup.as_dict()).encode())
