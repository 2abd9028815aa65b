"""The SAXS detector: image files become curves of intensity against q, on request and as they appear in a folder."""

from __future__ import annotations

import asyncio
import contextvars
import time
from pathlib import Path
from typing import Annotated, Any

import numpy as np

from devices.core import (
    Argument,
    DataType,
    Device,
    DeviceState,
    LiveAttribute,
    Operation,
    attribute,
    operation,
    pipeline,
)
from devices.core.errors import BadValueError, ConfigurationError, NotAllowedError, RangeError, reason
from devices.drivers.allowed_folders import AllowedFolders
from devices.drivers.image_folder import ImageFolder
from devices.saxs.calibrated import MOST_BINS, Calibrated, load_calibration
from devices.saxs.integrated import Integrated, integrate_detector_file
from devices.saxs.properties import SaxsProperties

#: An image is live for this time after its exposure, s.
LIVE_SECONDS = 60.0

ImagePath = Annotated[str, Argument(doc="Absolute, or relative to the watched folder")]


class SaxsDetector(Device):
    """A SAXS detector: integrates its image files azimuthally, with mask and calibration, into I(q).

    It watches the folder that the detector writes to, and integrates any other file on request.
    """

    properties_class = SaxsProperties
    properties: SaxsProperties

    image_path = attribute(str, doc="The file that image and curves belong to")
    image_time = attribute(float, unit="s", precision=3, doc="When the image was taken by its header, since 1970")
    exposure_time = attribute(float, unit="s", precision=3, doc="Exposure time of the image")
    image = attribute(np.int32, shape=(1043, 981), unit="count", doc="The image as read, (rows, columns)")
    q = attribute(float, shape=(MOST_BINS,), unit="nm^-1", precision=4, doc="Scattering vector of the bins")
    sigma = attribute(float, shape=(MOST_BINS,), unit="count", doc="Standard deviation of intensity, by Poisson")
    intensity = attribute(
        float, shape=(MOST_BINS,), unit="count", doc="Azimuthal mean per pixel in each bin; NaN where all is masked"
    )
    q_peak = attribute(float, unit="nm^-1", precision=4, doc="Position of the strongest ring")

    images_processed = attribute(int, initial=0, doc="Images integrated since the start")
    images_failed = attribute(int, initial=0, doc="Images of the watched folder that were given up")
    images_waiting = attribute(int, initial=0, doc="Images of the watched folder that wait")
    last_failure = attribute(str, initial="", doc="Which image was given up last, and why")
    watching = attribute(
        bool, access="read_write", memorized="show", doc="Whether new images of the folder are integrated"
    )

    calibration_file = attribute(
        str,
        # Memorized, and read back by connect() itself: that is before the first image, where "apply" would be after.
        memorized="show",
        doc="The calibration in use; a put loads another, an empty text the first one, the same name reads it again",
    )
    mask_file = attribute(str, doc="The mask in use; empty: nothing is masked")
    beam_center_y = attribute(float, unit="px", precision=3, doc="Beam centre from the bottom edge")
    beam_center_x = attribute(float, unit="px", precision=3, doc="Beam centre from the left edge")
    distance = attribute(float, unit="mm", precision=3, doc="From the sample to the detector, along the beam")
    wavelength = attribute(float, unit="Angstrom", precision=5, doc="Wavelength of the beam")
    bins = attribute(int, doc="Radial bins of the curves")

    integrate = pipeline(integrate_detector_file)

    def build(self) -> None:
        given = self.properties
        paths = {"folder": [given.folder], "allowed_folders": given.allowed_folders}
        if given.calibration:
            paths["calibration"] = [given.calibration]
        problems = [
            f"{name} = {path!r}: not an absolute path"
            for name, values in paths.items()
            for path in values
            if not Path(path).is_absolute()
        ]
        if problems:
            raise ConfigurationError(self.name, problems)
        self.image.configure(datatype=DataType.of(np.int32, given.largest_image))
        self.watching.publish(given.watch)
        self.watching.publish_setpoint(given.watch)
        self._allowed = AllowedFolders([Path(given.folder), *map(Path, given.allowed_folders)])
        self._folder = ImageFolder(Path(given.folder), given.attempts)
        self._waiting: asyncio.Queue[Path] = asyncio.Queue()
        self._worker: asyncio.Task[None] | None = None
        self._calibrated: Calibrated | None = None
        self._calibration_asked: str | None = None
        self._calibrating = asyncio.Lock()
        self._stamped = 0.0
        self.add_poll(self.poll_folder, given.period, "looking for images")

    async def connect(self) -> None:
        await asyncio.to_thread(self._folder.look)
        async with self._calibrating:
            if self._calibration_asked is None:
                kept = self.memory.values.get("calibration_file", "")
                self._calibration_asked = self.calibration_file.spec.datatype.convert(kept, "calibration_file kept")
            await self._calibrate(self._calibration_asked)
            self.calibration_file.publish_setpoint(self._calibration_asked)
        # In a context of its own: what connect() publishes goes INVALID with the folder, what images gave does not.
        self._worker = asyncio.create_task(self._integrate_waiting(), context=contextvars.Context())

    async def disconnect(self) -> None:
        worker, self._worker = self._worker, None
        if worker is not None:
            worker.cancel()
            await asyncio.wait({worker})

    # Calibration --------------------------------------------------------------------------------------------------

    @calibration_file.write
    async def write_calibration_file(self, path: str) -> None:
        async with self._calibrating:
            await self._calibrate(path)
            self._calibration_asked = path

    async def _calibrate(self, path: str) -> None:
        """Take another calibration into use; the present one stays when that fails."""
        file, allowed = Path(path or self.properties.calibration or "calibration.json"), self._allowed
        trusted = not path and self.properties.calibration
        found = await asyncio.to_thread(load_calibration, file, None if trusted else allowed)
        if self._calibrated is None:
            self._calibrated = found
        elif not found.gives_the_same_as(self._calibrated):
            self._calibrated = found
            for live in (self.q, self.intensity, self.sigma, self.q_peak):
                live.publish_invalid("no image has been integrated with this calibration yet")
        geometry = found.geometry
        self.mask_file.publish(str(found.mask_file or ""))
        self.beam_center_y.publish(geometry.beam_center[0])
        self.beam_center_x.publish(geometry.beam_center[1])
        self.distance.publish(geometry.distance_mm)
        self.wavelength.publish(geometry.wavelength_angstrom)
        self.bins.publish(geometry.bins)
        self.calibration_file.publish(str(found.file))

    # Images -------------------------------------------------------------------------------------------------------

    @operation()
    async def integrate_file(self, run: Operation, path: ImagePath) -> dict[str, Any]:
        """Integrate one image file and publish it as the latest image; TIFF, CBF or EDF."""
        name = Path(path).name
        run.report(0.0, f"{name}: reading and integrating")
        real, found = await self._integrate(path)
        bins = len(found.profile.q)
        peak = "no ring" if found.q_peak is None else f"the strongest ring at q = {found.q_peak:.4f} nm^-1"
        run.report(100.0, f"{name}: {bins} bins, {peak}")
        return {"path": _text(real), "bins": bins, "q_peak": found.q_peak}

    async def poll_folder(self) -> None:
        """Let new complete images wait for their integration."""
        for path in self._folder.compare(await asyncio.to_thread(self._folder.look)):
            self._waiting.put_nowait(path)
        self.images_waiting.publish(self._waiting.qsize())
        if self.watching.value:
            self.set_state(DeviceState.ON, f"watching {self._folder.folder}")
        else:
            self.set_state(DeviceState.STANDBY, f"not watching {self._folder.folder}; integrate_file works")

    async def _integrate_waiting(self) -> None:
        while True:
            path = await self._waiting.get()
            if not self.watching.value:
                # Passed over, so that the switch does not bring everything that came meanwhile.
                continue
            try:
                await self._integrate(path)
            except asyncio.CancelledError:
                self._folder.interrupted(path)
                raise
            except Exception as error:
                # One bad image never stops the next, whatever is wrong with it.
                if not self._folder.failed(path):
                    self.log.warning("%s is given up: %s: %s", path, reason(error), error)
                    self.images_failed.publish(self.images_failed.value + 1)
                    self.last_failure.publish(_text(f"{path}: {reason(error)}: {error}")[:4096])
            self.images_waiting.publish(self._waiting.qsize())

    async def _integrate(self, path: str | Path) -> tuple[Path, Integrated]:
        """Integrate a file and publish what it gives; the real path, and the result."""
        if self._calibrated is None:
            raise NotAllowedError("there is no calibration yet; the status says why")
        real = await asyncio.to_thread(self._allowed.resolve, path)
        while True:
            used = self._calibrated
            found = await self.integrate(
                str(real), self.properties.max_image_bytes, used.mask, used.geometry, used.polarization
            )
            # Another calibration meanwhile: the curve would not belong to the one that is shown beside it.
            if used is self._calibrated:
                break
        self._publish(real, found)
        return real, found

    def _publish(self, path: Path, found: Integrated) -> None:
        at, why = self._stamp(found), "the file does not say"
        self.image_path.publish(_text(path), timestamp=at)
        _publish_if_known(self.image_time, found.timestamp, at, why)
        _publish_if_known(self.exposure_time, found.exposure_seconds, at, why)
        try:
            self.image.publish(found.frame, timestamp=at, copy=False)
        except (BadValueError, RangeError) as error:
            # Pixels that are no int32 are not rounded; the curve has been made from them as they are.
            self.image.publish_invalid(str(error), timestamp=at)
        self.q.publish(found.profile.q, timestamp=at, copy=False)
        self.sigma.publish(found.profile.sigma, timestamp=at, copy=False)
        _publish_if_known(self.q_peak, found.q_peak, at, "no ring stands out")
        # Last, so that whoever acts on it finds all that belongs to it.
        self.intensity.publish(found.profile.intensity, timestamp=at, copy=False)
        self.images_processed.publish(self.images_processed.value + 1)

    def _stamp(self, found: Integrated) -> float:
        """The time that the readings of an image bear, s since 1970.

        A live image bears its header's time, and so lines up with the other instruments in an archive. An old one that
        is integrated again, or one of a detector whose clock is in another time zone, bears the present: archives and
        strip charts throw away what is older than what they have, and an operator would see nothing happen. The
        header's time is always in ``image_time``.
        """
        now = time.time()
        oldest = max(self._stamped, now - LIVE_SECONDS - (found.exposure_seconds or 0.0))
        live = found.timestamp is not None and oldest < found.timestamp <= now
        self._stamped = found.timestamp if live and found.timestamp is not None else now
        return self._stamped


def _publish_if_known(live: LiveAttribute[float], value: float | None, timestamp: float, why_not: str) -> None:
    if value is None:
        live.publish_invalid(why_not, timestamp=timestamp)
    else:
        live.publish(value, timestamp=timestamp)


def _text(path: object) -> str:
    """A path as a text that can be sent: a file may have any bytes as its name."""
    return str(path).encode(errors="replace").decode()
