"""The camera that a script works with: found by name, reserved for it, asked for work and waited for."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Final

from devices.ccd.exposure import CcdExposure
from devices.ccd.focus_run import Focuser
from devices.ccd.instrument import CcdInstrument
from devices.ccd.observing.script import Equipment
from devices.ccd.observing.timetable import Aim
from devices.ccd.telescope import CcdTelescope
from devices.core import Device
from devices.core.client import asked_by, asking
from devices.core.errors import DiptychError, NotAllowedError
from devices.core.reservation import LONGEST_NAME, LONGEST_S

#: An exposure that is aborted has so much time to end, s: the script itself has 5 s.
ABORT_SECONDS: Final = 4.0


class Tools:
    """The devices of one camera.

    Args:
        observer: the device that runs scripts.
        exposure: name of the exposure device, in the same server.
        focuser: whose focus scripts move.
    """

    def __init__(self, observer: Device, exposure: str, focuser: Focuser) -> None:
        self._observer, self._exposure, self._focuser = observer, exposure, focuser
        self._taken: list[Device] = []

    @property
    def exposure(self) -> CcdExposure:
        """Raises NotConnectedError: it is not in this server."""
        return self._observer.peers.find(self._exposure, CcdExposure)

    @property
    def instrument(self) -> CcdInstrument | None:
        return self.exposure.scene.instrument

    @property
    def telescope(self) -> CcdTelescope | None:
        return self.exposure.scene.telescope

    @property
    def focuser(self) -> CcdInstrument | CcdTelescope:
        """Raises NotAllowedError: there is none."""
        found = self.instrument if self._focuser is Focuser.INSTRUMENT else self.telescope
        if found is None:
            raise NotAllowedError(f"focuser = {self._focuser.value}: there is none")
        return found

    def equipment(self) -> Equipment:
        """What scripts are checked against."""
        exposure, instrument = self.exposure, self.instrument
        exposure.find_type("zero")  # brings the lamps up to date
        return Equipment(
            tuple(exposure.image_types.value),
            exposure.properties.longest,
            () if instrument is None else tuple(instrument.filters.value),
            self.telescope is not None,
        )

    def aim(self) -> Aim | None:
        """Where the telescope points; None: there is none, or it is away."""
        telescope = self.telescope
        if telescope is None or telescope.right_ascension.reading.value is None:
            return None
        given = telescope.properties
        return Aim(given.site, given.lowest_altitude, given.highest_altitude, telescope.aim)

    def filter(self) -> str:
        """The one in the beam; "" when it is not known."""
        instrument = self.instrument
        return "" if instrument is None else instrument.filter.reading.value or ""

    # Reserved ------------------------------------------------------------------------------------------------------

    @contextmanager
    def reserved(self, name: str) -> Iterator[None]:
        """Have the camera for a script; within, everything is asked of it as the script.

        A client that has reserved it already lends its reservation.

        Raises:
            NotAllowedError: another client has reserved one of the devices.
        """
        devices = self._all()
        for device in devices:
            device.reservation.demand("observing")
        is_lent = any(device.reservation.name for device in devices)
        with asked_by(asking.get() if is_lent else f"script of {self._observer.name}"):
            try:
                self.reserve(name)
                yield
            finally:
                self.release()

    def reserve(self, name: str) -> None:
        """Reserve what is free, and prolong what is reserved so; for a day."""
        devices = [device for device in self._all() if device in self._taken or not device.reservation.name]
        for device in self._all():
            device.reservation.demand("observing")
        for device in devices:
            device.reservation.take(f"observing {name}"[:LONGEST_NAME].strip(), LONGEST_S)
        self._taken = devices

    def release(self) -> None:
        """Let others have it."""
        for device in self._taken:
            # Tango's Init may have put another device into its place, and somebody may have ended it.
            device.reservation.give_back(device.reservation.name)
        self._taken = []

    def _all(self) -> list[Device]:
        exposure = self.exposure
        return [each for each in (exposure, exposure.scene.controller, self.instrument, self.telescope) if each]

    # Work ----------------------------------------------------------------------------------------------------------

    async def done(self, device: Device, operation: str, **words: Any) -> Any:
        """Run an operation to its end; its result. A cancelled call aborts it and waits for that.

        Raises:
            AbortedError: somebody aborted it. DiptychError: why it failed.
        """
        identity = str(await device.run(operation, words))
        try:
            return await device.operations.result(identity)
        except asyncio.CancelledError:
            device.operations.abort(identity)
            try:
                async with asyncio.timeout(ABORT_SECONDS):
                    await device.operations.result(identity)
            except TimeoutError:
                self._observer.log.error("%s did not end within %g s of its abort", device.name, ABORT_SECONDS)
            except DiptychError as error:  # that it was aborted, mostly
                self._observer.log.info("%s: %s", device.name, error)
            raise
