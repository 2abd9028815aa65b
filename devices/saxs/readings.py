"""What a SAXS detector shows: the newest image with its curves, the integral parameters, the queue, the calibration."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from devices.core import DataType, Deadband, Device, LiveAttribute, Quality, attribute
from devices.core.errors import BadValueError, RangeError
from devices.drivers.saxs_calibration import Calibration
from devices.pipelines.saxs_parameters import GuinierFit, guinier_fit
from devices.pipelines.saxs_peak import strongest_peak
from devices.saxs.batch import ImageDone
from devices.saxs.properties import SaxsProperties
from devices.saxs.results import Curve, ImageCurves, Series
from devices.saxs.run import MOST_BINS

#: An image is live for this time after its exposure, s.
LIVE_SECONDS = 60.0
#: Images whose integral parameters are published, the newest.
HISTORY = 2000
#: Also an equal value is an event: who waits for all readings of an image knows them by their time stamp.
ALWAYS = Deadband(period=0.0)


class SaxsReadings(Device):
    """The attributes of a SAXS detector, and how results are published."""

    properties: SaxsProperties

    image_path = attribute(str, change=ALWAYS, doc="The file that image and curves belong to")
    image_time = attribute(float, unit="s", precision=3, doc="When the image was taken by its header, since 1970")
    exposure_time = attribute(float, unit="s", precision=3, doc="Exposure time of the image")
    image = attribute(np.int32, shape=(1043, 981), unit="count", doc="The image as read, (rows, columns)")

    curves = attribute(str, shape=(128,), doc="The curves of every image, by kind and index: Radial0, Slice1")
    curve_shown = attribute(
        str, access="read_write", initial="", memorized="show", doc="Which of the curves is shown; empty: the first"
    )
    q = attribute(
        float, shape=(MOST_BINS,), unit="nm^-1", precision=4, change=ALWAYS, doc="Scattering vector of the bins"
    )
    sigma = attribute(float, shape=(MOST_BINS,), unit="count", doc="Standard deviation of intensity, by Poisson")
    intensity = attribute(
        float, shape=(MOST_BINS,), unit="count", doc="Mean per pixel in each bin; NaN where all is masked"
    )
    q_peak = attribute(float, unit="nm^-1", precision=4, doc="Position of the strongest ring")
    i0 = attribute(float, unit="count nm^-1", doc="Integral of I dq from qStart to qStop")
    i1 = attribute(float, unit="count nm^-2", doc="Integral of I q dq from qStart to qStop")
    invariant = attribute(float, unit="count nm^-3", doc="Integral of I q^2 dq from qStart to qStop")
    correlation_length = attribute(float, unit="nm", precision=3, doc="I1 / invariant")
    radius_of_gyration = attribute(float, unit="nm", precision=3, doc="By Guinier's approximation from qStart on")
    history_time = attribute(float, shape=(HISTORY,), unit="s", doc="When the newest images were taken, since 1970")
    history_i0 = attribute(float, shape=(HISTORY,), unit="count nm^-1", doc="Their integrals of I dq")
    history_invariant = attribute(float, shape=(HISTORY,), unit="count nm^-3", doc="Their invariants")
    history_correlation_length = attribute(float, shape=(HISTORY,), unit="nm", doc="Their correlation lengths")

    images_processed = attribute(int, initial=0, doc="Images integrated since the start")
    images_failed = attribute(int, initial=0, doc="Images of the queue that were given up")
    images_waiting = attribute(int, initial=0, doc="Images of the queue that wait, are in work or are tried again")
    images_passed_over = attribute(int, initial=0, doc="Images that came while nobody watched")
    image_rate = attribute(float, unit="1/s", precision=1, initial=0.0, doc="Images integrated in a second, lately")
    last_failure = attribute(str, initial="", doc="Which image was given up last, and why")
    queue_folder = attribute(str, initial="", doc="The folder of the queue's images; empty: there is no queue")
    queue_started = attribute(float, unit="s", precision=0, initial=0.0, doc="When the queue began, since 1970")
    queue_closed = attribute(bool, initial=True, doc="Whether the queue takes no more images")
    results_file = attribute(str, initial="", doc="The HDF5 file of the queue's curves")

    mask_file = attribute(str, doc="The mask in use; empty: nothing is masked")
    beam_center_y = attribute(float, unit="px", precision=3, doc="Beam centre from the bottom edge")
    beam_center_x = attribute(float, unit="px", precision=3, doc="Beam centre from the left edge")
    distance = attribute(float, unit="mm", precision=3, doc="From the sample to the detector, along the beam")
    wavelength = attribute(float, unit="Angstrom", precision=5, doc="Wavelength of the beam")
    bins = attribute(int, doc="Bins of the first curve")

    _stamped = 0.0

    def build(self) -> None:
        self.image.configure(datatype=DataType.of(np.int32, self.properties.largest_image))

    def publish_calibration(self, calibration: Calibration, mask_files: list[str]) -> None:
        geometry = calibration.geometry
        self.mask_file.publish(path_text(mask_files[0]) if mask_files else "")
        self.beam_center_y.publish(geometry.beam_center[0])
        self.beam_center_x.publish(geometry.beam_center[1])
        self.distance.publish(geometry.distance_mm)
        self.wavelength.publish(geometry.wavelength_angstrom)
        self.bins.publish(geometry.bins)

    def forget_curves(self) -> None:
        """Another calibration is in use: no curve of an earlier one stays beside it."""
        shown = (self.q, self.intensity, self.sigma, self.q_peak, self.i0, self.i1, self.invariant)
        for live in (*shown, self.correlation_length, self.radius_of_gyration):
            live.publish_invalid("no image has been integrated with this calibration yet")

    def publish_image(self, done: ImageDone, found: ImageCurves, frame: NDArray[Any] | None) -> float:
        """Show an image and the chosen one of its curves; `frame` None: the one before stays.

        Returns:
            The time stamp of all its readings, s since 1970.
        """
        at, why = self._stamp(done), "the file does not say"
        self.image_path.publish(path_text(found.image), timestamp=at)
        _publish_if_known(self.image_time, done.taken if done.has_own_time else None, at, why)
        _publish_if_known(self.exposure_time, done.exposure_seconds, at, why)
        if frame is not None:
            try:
                self.image.publish(frame, timestamp=at, copy=False)
            except (BadValueError, RangeError) as error:
                # Pixels that are no int32 are not rounded; the curve has been made from them as they are.
                self.image.publish_invalid(str(error), timestamp=at)
        if found.curves:
            self._publish_curve(self._shown(found), at)
        return at

    def publish_history(self, series: Mapping[str, Series]) -> None:
        """Show the integral parameters of the newest images, by the first mask that has them."""
        if not series:
            return
        first = series[min(series)]
        time_s, i0, i1, i2 = (np.array(column[-HISTORY:]) for column in (first.time, first.i0, first.i1, first.i2))
        self.history_time.publish(time_s, copy=False)
        self.history_i0.publish(i0, copy=False)
        self.history_invariant.publish(i2, copy=False)
        with np.errstate(divide="ignore", invalid="ignore"):
            lengths = i1 / i2
        # One image without intensity is no reason to call the others invalid.
        self.history_correlation_length.publish(lengths, quality=Quality.VALID, copy=False)

    def _shown(self, found: ImageCurves) -> Curve:
        wanted = self.curve_shown.value
        return next((curve for curve in found.curves if curve.name == wanted), found.curves[0])

    def _publish_curve(self, curve: Curve, at: float) -> None:
        self.q.publish(curve.x, timestamp=at, copy=False)
        self.sigma.publish(curve.sigma, timestamp=at, copy=False)
        is_radial = curve.parameters is not None
        peak = strongest_peak(curve.x, curve.intensity, curve.sigma) if is_radial else None
        _publish_if_known(self.q_peak, peak, at, "no ring stands out" if is_radial else "not a curve against q")
        parameters = curve.parameters
        why = "not a curve against q"
        for live, value in (
            (self.i0, parameters and parameters.i0),
            (self.i1, parameters and parameters.i1),
            (self.invariant, parameters and parameters.invariant),
            (self.correlation_length, parameters and parameters.correlation_length),
        ):
            _publish_if_known(live, value, at, why)
        fit: GuinierFit | None = None
        if is_radial:
            fit = guinier_fit(curve.x, curve.intensity, curve.sigma, float(curve.settings.get("qStart", 0.0)))
        _publish_if_known(self.radius_of_gyration, fit.radius_of_gyration if fit else None, at, "no Guinier range")
        # Last, so that whoever acts on it finds all that belongs to it.
        self.intensity.publish(curve.intensity, timestamp=at, copy=False)

    def _stamp(self, done: ImageDone) -> float:
        """The time that the readings of an image bear, s since 1970.

        A live image bears its header's time, and so lines up with the other instruments in an archive. An old one that
        is integrated again, or one of a detector whose clock is in another time zone, bears the present: archives and
        strip charts throw away what is older than what they have, and an operator would see nothing happen. The
        header's time is always in ``image_time``.
        """
        now = time.time()
        oldest = max(self._stamped, now - LIVE_SECONDS - (done.exposure_seconds or 0.0))
        live = done.has_own_time and oldest < done.taken <= now
        self._stamped = done.taken if live else now
        return self._stamped


def _publish_if_known(live: LiveAttribute[float], value: float | None, timestamp: float, why_not: str) -> None:
    if value is None:
        live.publish_invalid(why_not, timestamp=timestamp)
    else:
        live.publish(value, timestamp=timestamp)


def path_text(path: object) -> str:
    """A path as a text that can be sent: a file may have any bytes as its name."""
    return str(path).encode(errors="replace").decode()
