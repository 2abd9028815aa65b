"""Exposures of an Alpaca camera: begun, followed, ended, and their pictures."""

from __future__ import annotations

import asyncio
import builtins
import math
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from typing import Any, Final

from numpy.typing import NDArray

from devices.ccd.exposure_state import ExposureState
from devices.ccd.plan import Exposure
from devices.core.errors import NotAllowedError, RangeError, TimeoutError
from devices.core.operation_error import operation_error
from devices.core.operations import FINAL, OperationState
from devices.drivers.alpaca_errors import ErrorNumber
from devices.pipelines.ccd.detector import Roi
from servers.alpaca.camera_window import CameraWindow
from servers.alpaca.member import Refusal, get, not_implemented, number, put, truth
from servers.alpaca.subframe import Subframe

IDLE, WAITING, EXPOSING, READING, DOWNLOAD, ERROR = range(6)
#: What a camera does, in Alpaca's words.
STATES: Final = {
    ExposureState.IDLE: IDLE,
    ExposureState.SETUP: WAITING,
    ExposureState.READY: WAITING,
    ExposureState.EXPOSING: EXPOSING,
    ExposureState.PAUSED: WAITING,
    ExposureState.EXPOSED: READING,
    ExposureState.READOUT: READING,
    ExposureState.HELD: DOWNLOAD,
    ExposureState.WRITING: DOWNLOAD,
    ExposureState.ABORTING: WAITING,
}
#: An exposure that is accepted has begun by then, s.
BEGIN: Final = 2.0
_FINAL: Final = frozenset(state.value for state in FINAL)


@dataclass
class Begun:
    """An exposure that a client of Alpaca has begun.

    Attributes:
        operation: its id on the device.
        roi: the window of the detector that was set for it.
        taken: the exposure itself.
        outcome: how the operation ended; None: it goes on.
        picture: (y, x), once somebody has asked for it.
    """

    operation: str
    subframe: Subframe
    roi: Roi
    taken: Exposure
    outcome: dict[str, Any] | None = None
    picture: NDArray[Any] | None = None


class CameraExposure(CameraWindow):
    """The side of a camera that takes images.

    Those of other clients of the camera show in its state, and are nobody's images here.
    """

    def __init__(self, *words: Any) -> None:
        super().__init__(*words)
        self._begun: Begun | None = None
        #: Begin, s since 1970, and duration, s, of the last image.
        self._last: tuple[float, float] | None = None
        self._turn = asyncio.Lock()
        #: The type of the next images with light.
        self._light_type = "object"

    # What the interface has no member for ---------------------------------------------------------------------------

    async def image_title(self, title: str) -> str:
        """OBJECT of the next images."""
        await self.exposure.put("image_title", title)
        return title

    async def image_type(self, name: str) -> str:
        """What the next images with light are, flat or a lamp, say; empty: object."""
        self._light_type = self.exposure.find_type(name or "object").name
        return self._light_type

    actions = {"image_title": image_title, "image_type": image_type}  # noqa: RUF012

    # Begin and end --------------------------------------------------------------------------------------------------

    @put(Duration=number, Light=truth)
    async def startexposure(self, seconds: float, light: bool) -> None:
        exposure, subframe = self.exposure, self.subframe
        if not 0.0 <= seconds <= exposure.properties.longest:
            raise RangeError(f"Duration = {seconds} s is outside [0.0, {exposure.properties.longest}] s")
        subframe.check(exposure.setup)
        image_type = self._light_type if light else "dark" if seconds else "zero"
        async with self._turn:
            # What an exposure under way reads must not change.
            exposure.engine.check_idle()
            roi = subframe.roi(exposure.setup, windows=self.can.windows)
            if roi != exposure.setup.roi:
                await exposure.run("set_roi", asdict(roi))
            self._outcome()
            self._begun = None
            before = exposure.engine.exposure
            operation = await exposure.run("expose", {"seconds": seconds, "image_type": image_type})
            self._begun = Begun(operation, subframe, roi, await self._begin(operation, before))

    async def _begin(self, operation: str, before: Exposure | None) -> Exposure:
        """The exposure of an operation, once it has begun; raises what keeps it from it."""
        exposure = self.exposure
        changed = asyncio.Event()
        live = (exposure.exposure_state, exposure.attributes["operation"])
        leave = [each.subscribe(lambda *_: changed.set()) for each in live]
        try:
            async with asyncio.timeout(BEGIN):
                while (begun := exposure.engine.exposure) is before or begun is None:
                    status = exposure.operations.status(operation)
                    if status["state"] in _FINAL:
                        raise operation_error(status["error"])
                    changed.clear()
                    await changed.wait()
        except builtins.TimeoutError as error:
            raise TimeoutError(f"the exposure did not begin within {BEGIN:g} s") from error
        finally:
            for each in leave:
                each()
        return begun

    @put()
    async def abortexposure(self) -> None:
        if self.exposure.engine.state is not ExposureState.IDLE:
            await self.exposure.run("abort", {"id": ""})

    @put()
    async def stopexposure(self) -> None:
        if not self.can.reads_early:
            raise not_implemented("this controller cannot end an integration early")
        if self.exposure.engine.state in (ExposureState.EXPOSING, ExposureState.PAUSED):
            await self.exposure.run("start_readout")

    # How it stands --------------------------------------------------------------------------------------------------

    def _outcome(self) -> dict[str, Any] | None:
        """How the last exposure of these clients ended; None: it goes on, or there was none."""
        begun = self._begun
        if begun is None or begun.outcome is not None:
            return None if begun is None else begun.outcome
        status = self.exposure.operations.status(begun.operation)
        if status["state"] not in _FINAL:
            return None
        begun.outcome = status
        if status["state"] == OperationState.DONE.value:
            self._last = (begun.taken.began, begun.taken.exposure_time)
        return status

    def _failure(self) -> str:
        outcome = self._outcome()
        return "" if outcome is None or outcome["state"] != OperationState.FAILED.value else outcome["error"]

    @get()
    def camerastate(self) -> int:
        if (state := STATES[self.exposure.engine.state]) != IDLE:
            return state
        if self._begun is not None and self._outcome() is None:
            # Its file is written; in a moment all is over.
            return DOWNLOAD
        return ERROR if self._failure() else IDLE

    @get()
    def percentcompleted(self) -> int:
        exposure, state = self.exposure, self.exposure.engine.state
        under_way = exposure.engine.exposure
        if state is ExposureState.IDLE:
            return 100 if self._is_ready() else 0
        if under_way is None or state in (ExposureState.SETUP, ExposureState.READY, ExposureState.ABORTING):
            return 0
        left, total = 0.0, 1.0
        if state in (ExposureState.EXPOSING, ExposureState.PAUSED):
            left, total = exposure.exposure_time_remaining.value, under_way.plan.seconds
        elif state is ExposureState.READOUT:
            left, total = exposure.pixels_remaining.value, under_way.plan.geometry.pixels
        return max(0, min(100, math.floor(100.0 * (1.0 - left / total)))) if total else 100

    @get()
    def imageready(self) -> bool:
        if failure := self._failure():
            raise Refusal(ErrorNumber.DRIVER, f"the exposure failed: {failure}")
        return self._is_ready()

    def _is_ready(self) -> bool:
        outcome = self._outcome()
        return outcome is not None and outcome["state"] == OperationState.DONE.value

    @get()
    def lastexposureduration(self) -> float:
        return self._last_image()[1]

    @get()
    def lastexposurestarttime(self) -> str:
        began = datetime.fromtimestamp(self._last_image()[0], UTC)
        return began.replace(tzinfo=None).isoformat(timespec="milliseconds")

    def _last_image(self) -> tuple[float, float]:
        self._outcome()
        if self._last is None:
            raise NotAllowedError("no image has been taken yet")
        return self._last

    # The picture ----------------------------------------------------------------------------------------------------

    async def picture(self) -> NDArray[Any]:
        """The image that is ready, (y, x), the lowest row first.

        Raises:
            NotAllowedError: none is. Refusal: the exposure failed.
        """
        if not self.imageready() or self._begun is None:
            raise NotAllowedError("no image is ready")
        begun = self._begun
        async with self._turn:
            if begun.picture is None:
                image = begun.taken.image
                assert image is not None
                if image.geometry.roi != begun.roi:
                    raise Refusal(ErrorNumber.DRIVER, "another client has changed the window as the exposure began")
                begun.picture = await asyncio.to_thread(begun.subframe.picture, image)
        return begun.picture

    @get()
    async def imagearray(self) -> NDArray[Any]:
        return await self.picture()

    @get()
    async def imagearrayvariant(self) -> NDArray[Any]:
        return await self.picture()
