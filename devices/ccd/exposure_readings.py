"""What an exposure shows: its state, what is left, what became of the last one."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable
from typing import TypeVar

from devices.ccd.camera_scene import CameraScene
from devices.ccd.exposure_settings import ExposureSettings
from devices.ccd.exposure_state import FLAGS, ExposureState
from devices.ccd.header import Header
from devices.ccd.plan import Exposure
from devices.core import Deadband, DeviceState, Operation, attribute, command
from devices.core.errors import reason
from devices.drivers.send_image import ImageServer
from devices.drivers.send_image_header import FILE_TYPES

T = TypeVar("T")


class ExposureReadings(ExposureSettings):
    """The side of an exposure that says how it stands."""

    header_group = "exposure"

    exposure_state = attribute(ExposureState, initial=ExposureState.IDLE, doc="What the camera does")
    exposure_flag = attribute(int, initial=0, doc="The same as azcam's number: 0 none, 1 exposing, 6 paused, 7 readout")
    exposure_time_remaining = attribute(
        float, unit="s", precision=1, initial=0.0, change=Deadband(absolute=0.05), doc="Of the integration"
    )
    exposure_time_actual = attribute(float, unit="s", precision=3, initial=0.0, doc="Of the last image")
    dark_time = attribute(float, unit="s", precision=3, initial=0.0, doc="Of the last image, pauses included")
    paused_time = attribute(float, unit="s", precision=1, initial=0.0, doc="Of the last image")
    pixels_remaining = attribute(int, unit="px", initial=0, doc="Still to be read")
    completed = attribute(bool, initial=True, doc="Whether the last exposure came to its end")
    images_taken = attribute(int, initial=0, doc="Since the start")
    sequence_number = attribute(int, initial=0, doc="Images of this sequence so far")
    is_sequence = attribute(bool, initial=False, doc="Whether a sequence runs")
    is_guiding = attribute(bool, initial=False, doc="Whether guiding runs")
    last_error = attribute(str, initial="", doc="Why the last exposure failed; empty after one that did not")
    last_problems = attribute(
        str, shape=(16,), initial=(), doc="What went wrong with the last image and did not end it"
    )

    def build(self) -> None:
        self.scene = CameraScene(self)
        self.system_header = Header()
        super().build()
        self._reported: Operation | None = None
        self._seen = 0
        self._done = self._share = 0.0
        self._readout_seconds = 1.0
        self._readout_began = 0.0

    @property
    def template_header(self) -> Header:
        """Templates of the exposure are those of the whole system."""
        return self.system_header

    async def reporting(self, run: Operation, work: Awaitable[T], done: float = 0.0, share: float = 1.0) -> T:
        """Do it, and let the operation tell how far it is."""
        self._reported, self._done, self._share = run, done, share
        try:
            return await work
        except asyncio.CancelledError:
            self.last_error.publish("aborted")
            raise
        except Exception as error:
            self.last_error.publish(f"{reason(error)}: {error}"[:4096])
            raise
        finally:
            self._reported = None

    @command(group="Exposure")
    async def check_image_ready(self) -> bool:
        """Whether an image has come since somebody asked last."""
        is_new, self._seen = self.images_taken.value != self._seen, self.images_taken.value
        return is_new

    def show_state(self, state: ExposureState) -> None:
        """The camera does something else now."""
        self.exposure_state.publish(state)
        self.exposure_flag.publish(FLAGS[state][0])
        if state is ExposureState.READOUT:
            self._readout_began = time.monotonic()
        elif state is ExposureState.HELD:
            self._readout_seconds = max(0.1, time.monotonic() - self._readout_began)
        self._report(None, state.value)
        text = "" if state is ExposureState.IDLE else state.value
        self.set_state(DeviceState.ON if state is ExposureState.IDLE else DeviceState.RUNNING, text)

    def show_remaining(self, exposure: Exposure, seconds: float) -> None:
        """So much of the integration is left."""
        self.exposure_time_remaining.publish(seconds)
        total = exposure.plan.seconds + self._readout_seconds
        self._report(max(0.0, exposure.plan.seconds - seconds) / total, f"exposing, {seconds:.1f} s left")

    def show_pixels(self, exposure: Exposure, pixels: int) -> None:
        """So many pixels are still to come."""
        self.pixels_remaining.publish(max(0, pixels))
        total = exposure.plan.seconds + self._readout_seconds
        read = 1.0 - pixels / exposure.plan.geometry.pixels
        self._report((exposure.plan.seconds + read * self._readout_seconds) / total, f"reading out, {pixels} px left")

    def _report(self, fraction: float | None, message: str) -> None:
        if self._reported is not None:
            # 100 % is when the file is there.
            percent = None if fraction is None else min(99.0, 100.0 * (self._done + self._share * fraction))
            self._reported.report(percent, message)

    def image_taken(self, exposure: Exposure) -> None:
        """An image is complete, and written where it was to be."""
        self.images_taken.publish(self.images_taken.value + 1)
        self.exposure_time_actual.publish(exposure.exposure_time)
        self.dark_time.publish(exposure.dark_time)
        self.paused_time.publish(exposure.paused)

    def show_end(self, exposure: Exposure, is_complete: bool) -> None:
        """An exposure is over, well or not."""
        self.exposure_time_remaining.publish(0.0)
        self.pixels_remaining.publish(0)
        self.last_problems.publish_change(tuple(text[:4096] for text in exposure.problems[:16]))
        self.completed.publish(is_complete)

    async def send(self, exposure: Exposure) -> None:
        """Send a written image to the host of the properties.

        Raises:
            NotConnectedError, TimeoutError, RefusedError: it was not taken; the file is written all the same.
        """
        given, target, image = self.properties, exposure.plan.target, exposure.image
        assert target is not None and image is not None
        server = ImageServer(given.remote_imageserver_host, given.remote_imageserver_port, given.server_type)
        if given.server_type == "ccdacq":
            await server.send_pixels(image.amps[0])
            return
        plane, (_, rows, columns) = image.geometry.focal_plane, image.geometry.amp_shape
        await server.send_file(
            target.path,
            given.remote_imageserver_filename or target.path.name,
            overwrite=target.overwrites,
            file_type=FILE_TYPES[target.file_type.value],
            columns=plane.amps_x * columns,
            rows=plane.amps_y * rows,
        )
